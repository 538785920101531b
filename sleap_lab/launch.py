"""From a checked command line to runs: through Hydra, one job or many."""

import os
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.compose import CheckedJob, hand_to_hydra, hiding, parse_overrides, quote, to_config
from sleap_lab.errors import ConfigError, RunError, system_reason
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.folder import OUTPUTS, Invocation, new_folder

FULL_ERROR = "HYDRA_FULL_ERROR"


def launch(
    jobs: Sequence[CheckedJob],
    overrides: Sequence[str],
    flags: Sequence[str],
    command: Sequence[str],
    *,
    multirun: bool,
    config_dir: str | None = None,
) -> int:
    """Run a checked command line and return its exit code.

    Args:
        jobs: Its jobs.
        overrides: `KEY=VALUE` words of the command line.
        flags: The other words, options of Hydra.
        command: What the user typed, for the record.
        multirun: Whether it is a sweep.
        config_dir: Folder with further config options.

    Raises:
        ConfigError: The folder that the user chose cannot be told before the run, or is not free.
        RunError: Nothing can be written into the run folder.
    """
    if multirun:
        from sleap_lab.multirun import run_sweep

        return run_sweep(jobs, overrides, command, _chosen_folder(overrides, "hydra.sweep.dir"), config_dir)
    folder = _chosen_folder(overrides, "hydra.run.dir") or new_folder(Path(OUTPUTS))
    try:
        _run_job(
            [*overrides, *hiding(jobs[0].config.logger.tracking_uri, overrides), f"hydra.run.dir={quote(str(folder))}", *flags], command
        )
    except OSError as error:  # of the files that Hydra writes into it
        raise RunError(f"{folder}: cannot be written to ({system_reason(error)})") from error
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


def _run_job(words: Sequence[str], command: Sequence[str]) -> None:
    """Let Hydra compose the job, and run it in its folder."""
    from sleap_lab.experiment import run

    def job(node: DictConfig) -> None:
        settings = HydraConfig.get()
        choices = {str(name): str(option) for name, option in settings.runtime.choices.items() if "/" not in str(name)}
        invocation = Invocation(command, list(settings.overrides.task), choices)
        with chdir(settings.runtime.cwd):  # paths are meant from where the command was typed, whatever hydra.job.chdir says
            run(to_config(node), Path(settings.runtime.output_dir), invocation)

    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"  # what Hydra cannot write is told as everything else is, and not with a traceback
    try:
        hand_to_hydra(words, job)
    finally:
        del os.environ[FULL_ERROR]
        if before is not None:
            os.environ[FULL_ERROR] = before
