"""From a checked command line to runs: through Hydra, one job or many."""

from collections.abc import Sequence
from contextlib import chdir, nullcontext
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sleap_lab import terminal
from sleap_lab.errors import RunError, system_reason
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.folder import Invocation, new_folder
from sleap_lab.runs.occupancy import occupied
from sleap_lab.settings.application import OURS, Configs, hydra_application
from sleap_lab.settings.compose import chosen_options, to_config, typed_overrides
from sleap_lab.settings.config import OUTPUTS
from sleap_lab.settings.jobs import CheckedCommand
from sleap_lab.settings.overrides import hiding, quote


def launch(
    checked: CheckedCommand,
    overrides: Sequence[str],
    command: Sequence[str],
    configs: Configs = OURS,
) -> int:
    """Run a checked command line and return its exit code.

    Args:
        checked: Its jobs.
        overrides: `KEY=VALUE` words of the command line.
        command: What the user typed, for the record.
        configs: The configs that it uses.

    Raises:
        ConfigError: The folder that the user chose is not free.
        RunError: Nothing can be written into the run folder.
    """
    if checked.multirun:
        from sleap_lab.launch.multirun import run_sweep

        return run_sweep(checked, overrides, command, configs)
    folder = checked.folder or new_folder(Path(OUTPUTS))
    try:
        hidden = hiding(checked.jobs[0].config.logger.tracking_uri, overrides)
        # No other process knows a new folder.
        with nullcontext() if checked.folder is None else occupied(folder) as mlflow:
            _run_job(
                [*overrides, *hidden, f"hydra.run.dir={quote(str(folder))}"],
                command,
                mlflow,
                configs,
            )
            return run_summary.read(folder).exit_code or 0
    except OSError as error:  # of the files that Hydra writes into it
        raise RunError(f"{folder}: cannot be written to ({system_reason(error)})") from error


def _run_job(
    words: Sequence[str], command: Sequence[str], mlflow: dict[str, str] | None, configs: Configs
) -> None:
    """Let Hydra compose the job, and run it in its folder."""
    with terminal.unless_quick("starting"):
        from sleap_lab.experiment import run

    def job(node: DictConfig) -> None:
        settings = HydraConfig.get()
        overridden, choices = typed_overrides(settings), chosen_options(settings)
        invocation = Invocation(command, overridden, choices, mlflow=mlflow)
        # Paths are relative to the directory of the command, whatever the value of hydra.job.chdir.
        with chdir(settings.runtime.cwd):
            run(to_config(node), Path(settings.runtime.output_dir), invocation)

    with hydra_application(configs) as hydra:
        hydra.run(configs.name, job, list(words))
