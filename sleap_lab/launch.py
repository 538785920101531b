"""From a checked command line to runs: through Hydra, one job or many."""

from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab import terminal
from sleap_lab.compose import hand_to_hydra, parse_overrides, quote, to_config
from sleap_lab.config import LoggerConfig
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.experiment import OUTPUTS, Invocation, new_folder, run
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.sweep import finish_parent, read_jobs, start_parent, sweep_rows, sweep_table

PARTIAL = 3


def launch(overrides: Sequence[str], flags: Sequence[str], command: Sequence[str], logger: LoggerConfig, *, multirun: bool) -> int:
    """Run a checked command line and return its exit code.

    Args:
        overrides: `KEY=VALUE` words of the command line.
        flags: The other words, options of Hydra.
        command: What the user typed, for the record.
        logger: Where a sweep is logged.
        multirun: Whether it is a sweep.

    Raises:
        ConfigError: The folder that the user chose cannot be told before the run.
    """
    key = "hydra.sweep.dir" if multirun else "hydra.run.dir"
    folder = _chosen_folder(overrides, key) or new_folder(Path(OUTPUTS) / "multirun" if multirun else Path(OUTPUTS))
    words = [*overrides, f"{key}={quote(str(folder))}", *flags]
    if multirun:
        return _sweep(words, command, folder, logger)
    _run_jobs(words, command)
    return run_summary.read(folder).exit_code or 0


def _chosen_folder(overrides: Sequence[str], key: str) -> Path | None:
    """Return the folder that an override chooses, if one does."""
    for override in parse_overrides(overrides):
        if override.key_or_group == key:
            try:
                return Path(str(OmegaConf.create({"folder": override.value()}).folder))
            except OmegaConfBaseException as error:
                raise ConfigError(f"{key}: only ${{now:…}} and ${{oc.env:…}} can stand in it, got {override.get_value_string()}") from error
    return None


def _sweep(words: Sequence[str], command: Sequence[str], folder: Path, logger: LoggerConfig) -> int:
    """Run all jobs under one parent, then report them side by side; one that fails does not stop the others."""
    outputs_root = Path(OUTPUTS).absolute()
    try:
        start_parent(logger, folder, command, outputs_root)
    except RunError as error:
        terminal.warn(str(error))
    interrupted = True
    rows = []
    try:
        _run_jobs(words, command)
        interrupted = False
    finally:
        try:
            rows = finish_parent(logger, folder, outputs_root, interrupted=interrupted)
        except RunError as error:
            terminal.warn(str(error))
            rows = sweep_rows(read_jobs(folder))
    terminal.results.print(sweep_table(rows))
    terminal.table([("sweep folder", terminal.shown(folder))])
    return 0 if all(row["status"] == "finished" for row in rows) else PARTIAL


def _run_jobs(words: Sequence[str], command: Sequence[str]) -> None:
    """Let Hydra compose each job, and run it in its folder."""

    def job(node: DictConfig) -> None:
        settings = HydraConfig.get()
        choices = {str(name): str(option) for name, option in settings.runtime.choices.items() if "/" not in str(name)}
        number = int(settings.job.num) if settings.mode == RunMode.MULTIRUN else None
        invocation = Invocation(command, list(settings.overrides.task), choices, number)
        with chdir(settings.runtime.cwd):  # paths are meant from where the command was typed, whatever hydra.job.chdir says
            run(to_config(node), Path(settings.runtime.output_dir), invocation)

    hand_to_hydra(words, job)
