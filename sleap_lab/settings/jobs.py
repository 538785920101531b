"""The jobs of a command line, all of them composed and checked before the first one runs."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra._internal.hydra import Hydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.errors import ConfigError, brief
from sleap_lab.settings.alike import alike, is_template, take_apart
from sleap_lab.settings.application import OURS, Configs, hydra_application, hydra_of
from sleap_lab.settings.compose import compose_node, options_of, read_config
from sleap_lab.settings.config import ONLY_IN_SWEEPS, OUTPUTS, Config, wants_arrays
from sleap_lab.settings.overrides import (
    ONLY_BASIC,
    Options,
    check_launching,
    check_overrides,
    first_line,
    fixed,
    launcher_kind,
    parse_overrides,
    refuse_launcher,
    refuse_sweeps,
    split_overrides,
)
from sleap_lab.settings.recordings import folder_name, job_per_recording

BY_TIME = tuple(
    f"{folder}/${{now:%Y-%m-%d}}/${{now:{time}}}"
    for folder, time in (
        (OUTPUTS, "%H-%M-%S-%f"),
        (f"{OUTPUTS}/multirun", "%H-%M-%S-%f"),
        (OUTPUTS, "%H-%M-%S"),
        ("multirun", "%H-%M-%S"),
    )
)
"""Default folders of runs and sweeps: those of this package, and Hydra's own.

In Hydra's own, two runs that start in the same second would share a folder.
"""
BASIC_SWEEPER = BasicSweeperConf()._target_
LONGEST_NAME = 255
BY_NUMBER = "${hydra.job.num}"
WITHOUT = {
    "model": "no model",
    "evaluator": "nothing to evaluate",
    "output": "nothing to write, as nothing is predicted or tracked",
}
"""Group of a key that is not used -> what there is not."""


@dataclass(frozen=True)
class CheckedJob:
    """One job of a command line.

    Attributes:
        overrides: Its overrides, as typed and without those of Hydra's own settings.
        config: Its checked config.
        folder: Name of its folder within the sweep; empty for a single run.
    """

    overrides: list[str]
    config: Config
    folder: str


@dataclass(frozen=True)
class CheckedCommand:
    """A command line that can be run.

    Attributes:
        jobs: Its jobs, in order.
        multirun: Whether it is a sweep.
        folder: The folder that the user chose for the run or sweep; None where it is named by date
            and time.
        launcher: Class of Hydra's launcher, which starts the jobs of a sweep.
    """

    jobs: list[CheckedJob]
    multirun: bool
    folder: Path | None
    launcher: str


def check_jobs(
    overrides: Sequence[str], *, multirun: bool, configs: Configs = OURS
) -> CheckedCommand:
    """Compose every job of a command line, so that a mistake is found before any of them runs.

    Args:
        overrides: As on the command line.
        multirun: Whether `-m` was typed; a preset or `hydra.mode` can make it a sweep, too.
        configs: The configs that it is composed of.

    Raises:
        ConfigError: A job's config is wrong.
    """
    own, hydras = split_overrides(overrides)
    with hydra_application(configs) as hydra:
        known = options_of(hydra, configs, overrides)
        check_overrides(overrides, known)
        settings = compose_node(hydra, configs, [*fixed(own), *hydras])
        multirun = multirun or settings.hydra.mode is RunMode.MULTIRUN
        if not multirun:
            refuse_sweeps(own)
            refuse_launcher(hydras, settings, "a single run is handed to no launcher; add -m")
        chosen = _chosen_folder(settings, "hydra.sweep.dir" if multirun else "hydra.run.dir")
        if multirun:
            batches = job_per_recording(_batches(own, settings, hydra), settings.data.path)

            def compose(words: Sequence[str]) -> DictConfig:
                check_overrides(words, known)
                return compose_node(hydra, configs, [*words, *hydras])

            jobs, unused = _jobs_of(*batches, compose, chosen)
        else:
            folder = _set_up(settings, chosen, None)
            with hydra_of(settings):
                config, unused = read_config(settings)
            jobs = [CheckedJob(own, config, folder)]
    _check_predictions([job.config for job in jobs], known, multirun=multirun)
    _check_together(jobs, unused)
    if multirun:
        _check_folders_differ([job.folder for job in jobs])
    return CheckedCommand(jobs, multirun, chosen, launcher_kind(settings.hydra.launcher))


def _jobs_of(
    batches: Sequence[Sequence[str]],
    names: Sequence[str | None],
    compose: Callable[[Sequence[str]], DictConfig],
    chosen: Path | None,
) -> tuple[list[CheckedJob], list[str]]:
    """Return the checked jobs of a sweep; one is composed for all that differ in values only.

    Args:
        batches: Overrides of each job.
        names: Name of each job's recording, where these are to name folders.
        compose: Composes the config of overrides.
        chosen: Folder that the user chose for the sweep.

    Returns:
        The jobs, and the keys that were reset as unused.
    """
    jobs, unused = [], dict[str, None]()
    templates: dict[tuple[str, ...], Config] = {}
    for number, (words, name) in enumerate(zip(batches, names, strict=True)):
        job, folder = take_apart(words), str(number)
        if name is not None:
            folder = folder_name(name, number, len(batches))
        if (like := templates.get(job.shape)) is not None:
            with suppress(OmegaConfBaseException):  # composing it tells what is wrong
                jobs.append(CheckedJob(list(words), alike(like, job), folder))
                continue
        node = compose(words)
        if by_number := _by_number(node):
            with open_dict(node):
                node.hydra.sweep.subdir = folder
        folder = _set_up(node, chosen, number)
        with hydra_of(node):
            config, left_out = read_config(node)
        if not left_out and by_number and is_template(node):
            templates[job.shape] = config
        jobs.append(CheckedJob(list(words), config, folder))
        unused |= dict.fromkeys(left_out)
    return jobs, list(unused)


def _check_together(jobs: Sequence[CheckedJob], unused: Sequence[str]) -> None:
    """Check trackers and places of results of all jobs, and say which settings are not used."""
    if unused:
        from sleap_lab import terminal  # slow to import
    for name in unused:
        terminal.note(f"{name} is not used: there is {WITHOUT[name.partition('.')[0]]}")
    if any(job.config.tracker.tracking for job in jobs):
        from sleap_lab.settings.check_tracker import check_tracker  # costs half a second

        for job in jobs:
            check_tracker(job.config.tracker)
    _check_outputs_differ([job.config for job in jobs])


def _check_predictions(configs: Sequence[Config], known: Options, *, multirun: bool) -> None:
    """Refuse predictions as jobs of their own where there are no jobs, or where they cannot be."""
    sweep = configs[0].sweep
    for name in ONLY_IN_SWEEPS:
        if getattr(sweep, name.removeprefix("sweep.")) is None:
            continue
        if not multirun:
            raise ConfigError(f"{name}: predictions become jobs of their own; add -m")
        if any(wants_arrays(config.output) for config in configs):
            raise ConfigError(
                f"{name}: network outputs (output.return_…, output.make_labels=false) are not "
                "joined from other jobs; leave one of them out"
            )
    if sweep.cpu_launcher is not None:
        check_launching(
            "hydra/launcher", sweep.cpu_launcher, known("hydra/launcher"), "sweep.cpu_launcher"
        )


def _batches(overrides: Sequence[str], settings: DictConfig, hydra: Hydra) -> list[list[str]]:
    """Return the overrides of each job of a sweep."""
    if (sweeper := settings.hydra.sweeper["_target_"]) != BASIC_SWEEPER:
        raise ConfigError(f"hydra/sweeper: got {sweeper.rpartition('.')[2]}; {ONLY_BASIC}")
    presets = [
        f"{name}={value}" for name, value in (settings.hydra.sweeper.get("params") or {}).items()
    ]
    parsed = parse_overrides([*presets, *overrides])
    for override in parsed:
        override.config_loader = hydra.config_loader  # for glob, which looks up options
    return [list(job) for job in BasicSweeper.split_arguments(parsed, None)[0]]


def _chosen_folder(settings: DictConfig, key: str) -> Path | None:
    """Return the folder that the command line or a config chooses.

    Returns:
        The folder; None where it is named by date and time.

    Raises:
        ConfigError: The folder is empty or not known before the run.
    """
    group = settings.hydra[key.split(".")[1]]
    unresolved: Any = OmegaConf.to_container(group, resolve=False)
    if str(unresolved["dir"]) in BY_TIME:
        return None
    try:
        with hydra_of(settings):
            folder = str(group.dir)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: not known before the run: {first_line(error)}") from error
    if not folder:
        raise ConfigError(f"{key}: got nothing; accepted: a folder")
    return Path(folder).expanduser()


def _set_up(node: DictConfig, chosen: Path | None, number: int | None) -> str:
    """Set in a composed job what Hydra sets once the job runs.

    A folder that would be named by date and time gets a constant name, so that the same command
    always gives the same config.

    Returns:
        Name of the job's folder within its sweep; empty for a single run.
    """
    with open_dict(node):
        if number is None:
            node.hydra.runtime.output_dir = str((chosen or Path(OUTPUTS) / "run").absolute())
            return ""
        node.hydra.job.num, node.hydra.job.id = number, str(number)
        folder = _job_folder(node)
        node.hydra.runtime.output_dir = str(
            ((chosen or Path(OUTPUTS) / "multirun") / folder).absolute()
        )
    return folder


def _by_number(node: DictConfig) -> bool:
    """Return whether a job's folder gets its number as name, because nobody chose another."""
    unresolved: Any = OmegaConf.to_container(node.hydra.sweep, resolve=False)
    return bool(unresolved["subdir"] == BY_NUMBER)


def _job_folder(node: DictConfig) -> str:
    """Return the folder that `hydra.sweep.subdir` gives a job, as a path relative to the sweep."""
    try:
        with hydra_of(node):
            name = str(node.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"hydra.sweep.subdir: not known before the job runs: {first_line(error)}"
        ) from error
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or any(part.startswith(".") for part in parts):
        raise ConfigError(
            f"hydra.sweep.subdir: got {name!r}; accepted: folders within that of the sweep, "
            f"as ${{hydra.job.num}} is"
        )
    if long := next((part for part in parts if len(os.fsencode(part)) > LONGEST_NAME), None):
        raise ConfigError(
            f"hydra.sweep.subdir: {brief(long)} is longer than the name of a folder can be; "
            f"use ${{hydra.job.num}}, or leave keys out with "
            "hydra.job.config.override_dirname.exclude_keys"
        )
    return str(Path(name))


def _check_folders_differ(folders: Sequence[str]) -> None:
    """Refuse a sweep whose jobs would share a folder."""
    owners: dict[str, int] = {}
    for number, name in enumerate(folders):
        if (first := owners.setdefault(name, number)) < number:
            raise ConfigError(
                f"hydra.sweep.subdir: jobs {first} and {number} would share {name!r}; "
                f"add ${{hydra.job.num}} to it"
            )
    for number, name in enumerate(folders):
        if inner := set(map(str, Path(name).parents)) & owners.keys():
            raise ConfigError(
                f"hydra.sweep.subdir: the folder {name!r} of job {number} would lie in that "
                f"of another job, {inner.pop()!r}"
            )


def _check_outputs_differ(configs: Sequence[Config]) -> None:
    """Refuse a sweep whose jobs would overwrite each other's files."""
    outputs = {
        "output.path": [config.output.path for config in configs],
        "evaluator.save_metrics": [config.evaluator.save_metrics for config in configs],
    }
    for name, paths in outputs.items():
        given = [Path(path).resolve() for path in paths if path is not None]
        if len(set(given)) < len(given):
            raise ConfigError(
                f"{name}: several jobs of the sweep would write {given[0]}; "
                "leave it out, each job has its own folder"
            )
