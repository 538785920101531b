"""From overrides to a checked config, with errors that name the key and the nearest spelling.

Hydra composes the config. This module turns its errors into one line each, and refuses what Hydra
accepts: keys added with `+` that nothing reads, values that are not accepted, and settings that
contradict each other.
"""

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from hydra import version
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.conf import HydraConf
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException, ValidationError

from sleap_lab.errors import ConfigError, brief, closest, did_you_mean
from sleap_lab.settings.check import check, type_name
from sleap_lab.settings.config import GROUPS, OUTPUTS, Config, defaults, keys
from sleap_lab.settings.credentials import HIDDEN
from sleap_lab.settings.words import FileConfigSource

CONFIG_MODULE = "sleap_lab.conf"
PRIMARY = "config"
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
ONLY_BASIC = (
    "all jobs are known before the first one runs, so only basic can be used: "
    "-m KEY=A,B runs every combination, and sleap-lab tune searches (sleap-lab tune --help)"
)
GLOBAL = "# @package _global_"
FREE_FORM = ("logger.tags",)
FOR_EVALUATION = ("evaluator.ground_truth_path", "evaluator.video_map")
FOR_MODELS = ("model.paths", "model.backbone_ckpt_path", "model.head_ckpt_path")
LONGEST_NAME = 255
LAUNCHING = ("hydra/launcher", "hydra/sweeper")
EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""The extra of the package that installs a launcher."""


@dataclass(frozen=True)
class Configs:
    """The configs that a command line is composed of.

    Attributes:
        name: The primary config, on which everything else is put.
        folder: Folder of the user with further options, and with the primary config where that is
            not the one of this package.
    """

    name: str = PRIMARY
    folder: str | None = None


OURS = Configs()


def register() -> None:
    """Make the schema and the resolvers known to Hydra; safe to call again."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("demo", _demo_file, replace=True)


def _demo_file(name: str) -> str:
    """Return the path of a file of the demo that ships with the package."""
    return str(resources.files("sleap_lab.demo").joinpath(name))


def find_configs(name: str | None, folder: str | None) -> Configs:
    """Return the configs that `--config-name` and `--config-dir` ask for.

    A primary config without a defaults list, as the `best.yaml` of a sweep, holds only what differs
    from the one of this package.

    Raises:
        ConfigError: The folder or the config does not exist, or its defaults list lacks the base
            config.
    """
    if folder is not None and not Path(folder).is_dir():
        raise ConfigError(f"--config-dir: no such folder: {folder}")
    name = (name or PRIMARY).removesuffix(".yaml")
    if name == PRIMARY:
        return Configs(PRIMARY, folder)
    source = FileConfigSource("command-line", str(Path(folder or ".").absolute()))
    if folder is None or not source.is_config(name):
        where = (
            f"no {name}.yaml in {folder}"
            if folder is not None
            else "give the folder of your own primary config with --config-dir"
        )
        raise ConfigError(f"--config-name={name}: there is no such config; {where}")
    loaded = source.load_config(name).config
    if not isinstance(loaded, DictConfig):
        raise ConfigError(f"--config-name={name}: a config is made of KEY: VALUE")
    if "defaults" not in loaded:
        ConfigStore.instance().store(
            name=f"{name}_on_{PRIMARY}", node={"defaults": [PRIMARY, name, "_self_"]}
        )
        return Configs(f"{name}_on_{PRIMARY}", folder)
    if not {PRIMARY, "schema"} & {
        str(entry).lstrip("/") for entry in loaded.defaults if isinstance(entry, str)
    }:
        raise ConfigError(
            f"--config-name={name}: its defaults list leaves out what an experiment is made of; "
            f"begin it with: - {PRIMARY}"
        )
    return Configs(name, folder)


def hand_to_hydra(words: Sequence[str], task: Callable[[DictConfig], None]) -> None:
    """Pass a command line to Hydra, which answers it or calls the task for each job.

    Args:
        words: The command line, without the command.
        task: Function that runs a job, called with its composed node.
    """
    before = sys.argv
    sys.argv = ["sleap-lab", *words]
    try:
        hydra.main(version_base="1.3", config_path=f"pkg://{CONFIG_MODULE}", config_name=PRIMARY)(
            task
        )()
    finally:
        sys.argv = before


def compose_config(
    overrides: Sequence[str], *, config_dir: str | None = None
) -> tuple[Config, DictConfig]:
    """Compose one experiment.

    Args:
        overrides: As on the command line, without sweeps.
        config_dir: Folder with further config groups and options.

    Returns:
        The checked config with absolute paths, and the composed node with Hydra's own settings.

    Raises:
        ConfigError: An override, a value or a combination is wrong.
    """
    configs = Configs(folder=config_dir)
    with hydra_application(configs) as hydra:
        check_overrides(overrides, _options_of(hydra, configs, overrides))
        _refuse_sweeps(overrides)
        node = _compose_node(hydra, configs, overrides)
        with _oursof(node):
            return to_config(node), node


def _compose_node(hydra: Hydra, configs: Configs, overrides: Sequence[str]) -> DictConfig:
    return hydra.compose_config(
        configs.name,
        list(overrides),
        run_mode=RunMode.RUN,
        from_shell=False,
        with_log_configuration=False,
    )


@contextmanager
def hydra_application(configs: Configs = OURS) -> Iterator[Hydra]:
    """Provide a Hydra that knows the configs of this package, beside one that is already in use.

    Raises:
        ConfigError: Hydra or OmegaConf raised an error within the context.
    """
    register()
    previous = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        version.setbase("1.3")
        search_path = create_config_search_path(f"pkg://{CONFIG_MODULE}")
        if configs.folder is not None:
            own = f"file://{Path(configs.folder).absolute()}"
            search_path.prepend(
                provider="command-line", path=own, anchor=SearchPathQuery(provider="schema")
            )
        yield Hydra.create_main_hydra2(task_name="sleap_lab", config_search_path=search_path)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    finally:
        GlobalHydra.instance().hydra = previous


@contextmanager
def _oursof(node: DictConfig) -> Iterator[None]:
    """Let `${hydra:…}` resolve to the settings of a job that is composed but does not run."""
    settings = HydraConfig.instance()
    before = settings.cfg
    try:
        settings.set_config(node)
        yield
    finally:
        settings.cfg = before
        OmegaConf.set_readonly(node.hydra, None)  # Hydra makes it so


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
    """

    jobs: list[CheckedJob]
    multirun: bool
    folder: Path | None


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
    unused: dict[str, None] = {}
    with hydra_application(configs) as hydra:
        options_of = _options_of(hydra, configs, overrides)
        check_overrides(overrides, options_of)
        settings = _compose_node(hydra, configs, [*fixed(own), *hydras])
        multirun = multirun or settings.hydra.mode is RunMode.MULTIRUN
        if not multirun:
            _refuse_sweeps(own)
        chosen = _chosen_folder(settings, "hydra.sweep.dir" if multirun else "hydra.run.dir")
        jobs = []
        for number, words in enumerate(_batches(own, settings, hydra) if multirun else [own]):
            if multirun:
                check_overrides(words, options_of)
            node = _compose_node(hydra, configs, [*words, *hydras]) if multirun else settings
            folder = _set_up(node, chosen, number if multirun else None)
            with _oursof(node):
                config, left_out = _read_config(node)
            jobs.append(CheckedJob(words, config, folder))
            unused |= dict.fromkeys(left_out)
    if unused:
        from sleap_lab import terminal  # slow to import
    for name in unused:
        reason = "no model" if name.startswith("model") else "nothing to evaluate"
        terminal.note(f"{name} is not used: there is {reason}")
    if any(job.config.tracker.tracking for job in jobs):
        from sleap_lab.settings.tracker import check_tracker  # costs half a second

        for job in jobs:
            check_tracker(job.config.tracker)
    if multirun:
        _check_folders_differ([job.folder for job in jobs])
    _check_outputs_differ([job.config for job in jobs])
    return CheckedCommand(jobs, multirun, chosen)


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
        with _oursof(settings):
            folder = str(group.dir)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: cannot be told before the run: {_first_line(error)}") from error
    if not folder:
        raise ConfigError(f"{key}: got nothing; accepted: a folder")
    return Path(folder)


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


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split overrides into those of the experiment and those of Hydra's own settings."""
    hydras = [text for text in overrides if text.lstrip("+~").startswith(("hydra.", "hydra/"))]
    return [text for text in overrides if text not in hydras], hydras


def fixed(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that have one value."""
    return [
        text
        for text, parsed in zip(overrides, parse_overrides(overrides), strict=True)
        if not parsed.is_sweep_override()
    ]


def _job_folder(node: DictConfig) -> str:
    """Return the folder that `hydra.sweep.subdir` gives a job, as a path relative to the sweep."""
    try:
        with _oursof(node):
            name = str(node.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"hydra.sweep.subdir: cannot be told before the job runs: {_first_line(error)}"
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
    for number, name in enumerate(folders):
        if (first := folders.index(name)) < number:
            raise ConfigError(
                f"hydra.sweep.subdir: jobs {first} and {number} would share {name!r}; "
                f"add ${{hydra.job.num}} to it"
            )
        if inner := set(map(str, Path(name).parents)) & set(folders):
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
        given = [path for path in paths if path is not None]
        if len(set(given)) < len(given):
            raise ConfigError(
                f"{name}: several jobs of the sweep would write {given[0]}; "
                "leave it out, each job has its own folder"
            )


def to_config(node: DictConfig) -> Config:
    """Turn a composed node into a checked config.

    Raises:
        ConfigError: A key is unknown, a value is not accepted or a combination makes no sense.
    """
    return _read_config(node)[0]


def _read_config(node: DictConfig) -> tuple[Config, list[str]]:
    """Return the checked config of a node, and the keys that were reset as unused."""
    # Hydra removes its settings from the node before it calls a task.
    settings = node.hydra if "hydra" in node else HydraConfig.get()
    typed = {override.key_or_group for override in parse_overrides(settings.overrides.task)}
    names = {f.name for f in fields(Config)}
    for name in sorted(set(map(str, node)) - names - {"hydra"}):
        raise ConfigError(unknown_key(name))
    for group in GROUPS:
        _check_keys(node[group], group)
    try:
        plain = OmegaConf.masked_copy(node, sorted(names))
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), plain))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    unused = _leave_out(config, typed)
    check(config)
    return config, unused


def _leave_out(config: Config, typed: Collection[str]) -> list[str]:
    """Reset keys that a preset sets for an evaluator or a model that the experiment does not have.

    Keys that were typed are kept, and refused by `check`.

    Returns:
        The keys that were reset.
    """
    without_use = [
        *([] if config.evaluator.evaluate else FOR_EVALUATION),
        *(FOR_MODELS if config.model.kind == "none" else []),
    ]
    unused = []
    for name in without_use:
        group, _, key = name.partition(".")
        default = defaults()[name]
        if name not in typed and getattr(getattr(config, group), key) != default:
            setattr(getattr(config, group), key, default)
            unused.append(name)
    return unused


def _check_keys(node: DictConfig, group: str) -> None:
    """Refuse keys that were forced into a group with `+` or `++`."""
    known = {f.name for f in fields(GROUPS[group])}
    for name in map(str, node):
        if name not in known:
            raise ConfigError(unknown_key(f"{group}.{name}"))


def unknown_key(name: str, known: Sequence[str] | None = None) -> str:
    """Return the message for a key that does not exist."""
    if known is None and name.partition(".")[0] == "tune":
        return f"{name}: there is such a key for tuning only: sleap-lab tune …"
    known = known or [*keys(), *GROUPS, "experiment"]
    return f"{name}: there is no such key.{_closest(name, known)}"


def _closest(name: str, known: Sequence[str]) -> str:
    """Return a hint at the nearest key.

    Compared are, in this order, whole names, the words of the keys of the same group, and the last
    parts of all keys.
    """
    group, _, last = name.rpartition(".")
    siblings = [key for key in known if key.rpartition(".")[0] == group]
    by_word = {
        word: key for key in reversed(siblings) for word in key.rpartition(".")[2].split("_")
    }
    by_last = {key.rpartition(".")[2]: key for key in reversed(known)}
    found = (
        closest(name, known, cutoff=0.8)
        or by_word.get(closest(last, by_word) or "")
        or by_last.get(closest(last, by_last) or "")
    )
    if found:
        return f" Did you mean {found!r}?"
    return f" Accepted: {', '.join(siblings)}" if siblings else f" Groups: {', '.join(GROUPS)}"


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides by Hydra's grammar.

    Raises:
        ConfigError: One of them cannot be parsed.
    """
    parsed = []
    for text in overrides:
        try:
            parsed.append(OverridesParser.create().parse_override(text))
        except HydraException as error:
            raise ConfigError(_quoting_hint(text, error)) from error
    return parsed


def _quoting_hint(text: str, error: Exception) -> str:
    name, separator, value = text.partition("=")
    if not separator:
        return f"{text!r} is neither a verb nor KEY=VALUE; see sleap-lab --help"
    quoted = as_typed([f"{name}={quote(value)}"])
    return (
        f"{name}: the value {value!r} has characters with a meaning in overrides; "
        f"quote it: {quoted}"
    )


def _refuse_sweeps(overrides: Sequence[str]) -> None:
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            name, value = override.key_or_group, override.get_value_string()
            quoted = as_typed([f"{name}={quote(value)}"])
            raise ConfigError(
                f"{name}: {value} are several values; add -m to run each, or quote it: {quoted}"
            )


def as_typed(words: Sequence[str]) -> str:
    """Write words as a line for a shell.

    A word with single quotes is put in double quotes where that is enough, which is easier to read
    than the escapes of `shlex`.
    """
    return " ".join(
        f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)
        for word in words
    )


def quote(value: Any) -> str:
    """Write a value, with any characters, so that Hydra's grammar reads it back unchanged."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(quote(item) for item in value)}]"
    text = str(value)
    if (
        text
        and all((c.isalnum() and c.isascii()) or c in "_/.-" for c in text)
        and text.lower() not in ("null", "true", "false", "nan", "inf")
    ):
        try:
            float(text)
        except ValueError:
            return text
    # Backslashes matter to the grammar only before a quote or an interpolation, or at the end.
    escaped, pending = [], ""
    for i, c in enumerate(text):
        if c == "\\":
            pending += c
            continue
        special = c == "'" or text.startswith("${", i)
        escaped.append(pending * 2 + "\\" + c if special else pending + c)
        pending = ""
    return "'" + "".join(escaped) + pending * 2 + "'"


def hiding(uri: str | None, overrides: Sequence[str]) -> list[str]:
    """Return an override that keeps the password of a preset out of the files that Hydra writes.

    Args:
        uri: `logger.tracking_uri` of the checked config, without its password.
        overrides: The other overrides.

    Returns:
        One override; none if there is no password, or the address is overridden already.
    """
    named = any(word.startswith("logger.tracking_uri=") for word in overrides)
    return [f"logger.tracking_uri={quote(uri)}"] if uri and HIDDEN in uri and not named else []


Options = Callable[[str], list[str]]
"""Returns the options of a group; none for a name that is not a group."""


def _options_of(hydra: Hydra, configs: Configs, overrides: Sequence[str]) -> Options:
    """Return a function that lists the options of a group, also those in folders of the user."""
    searched = [text for text in overrides if text.lstrip("+").startswith("hydra.searchpath=")]
    return cache(
        lambda group: list(
            hydra.config_loader.get_group_options(group, ObjectType.CONFIG, configs.name, searched)
        )
    )


def check_overrides(overrides: Sequence[str], options_of: Options) -> None:
    """Refuse overrides of groups, options and keys that do not exist.

    Args:
        overrides: As on the command line.
        options_of: Function that lists the options of a group.

    Raises:
        ConfigError: Naming the override and the nearest spelling.
    """
    for override in parse_overrides(overrides):
        name = override.key_or_group
        if name in LAUNCHING:
            _check_launching(name, override.value(), options_of(name))
        if name.startswith("hydra/") or name.startswith(tuple(f"{free}." for free in FREE_FORM)):
            continue
        if name.split(".")[0] == "hydra":
            _check_hydra_key(name)
        elif name not in keys():
            if options := options_of(name):
                value = override.value()
                if value is None and override.value_type is not None:
                    raise ConfigError(
                        f"{name}: got null; accepted: {', '.join(options)}; or leave it out"
                    )
                if (
                    isinstance(value, str)
                    and value not in options
                    and override.value_type is not None
                ):
                    hint = did_you_mean(value, options)
                    raise ConfigError(
                        f"{name}={value}: there is no such option; "
                        f"accepted: {', '.join(options)}.{hint}"
                    )
            else:
                raise ConfigError(unknown_key(name))


def _check_launching(group: str, value: Any, options: Sequence[str]) -> None:
    """Refuse a launcher or sweeper that is not installed, and say what to install or to use."""
    if group == "hydra/sweeper" and value != "basic":
        raise ConfigError(f"{group}={value}: {ONLY_BASIC}")
    if value not in options:
        how = (
            f" {value} comes with pip install 'sleap-lab[{EXTRAS[value]}]'"
            if value in EXTRAS
            else did_you_mean(str(value), options)
        )
        raise ConfigError(
            f"{group}={value}: there is no such option; accepted: {', '.join(options)}.{how}"
        )


def _check_hydra_key(name: str) -> None:
    """Refuse a key below `hydra.` that Hydra does not know; keys of plugins are not checked."""
    schema: Any = HydraConf
    path = "hydra"
    for part in name.split(".")[1:]:
        if not is_dataclass(schema):
            return
        known = {f.name: f.type for f in fields(schema)}
        if part not in known:
            raise ConfigError(unknown_key(f"{path}.{part}", [f"{path}.{k}" for k in known]))
        schema, path = known[part], f"{path}.{part}"


def _options(group: str) -> Iterator[str]:
    """Yield the options of a config group that ship with the package."""
    for file in sorted(
        resources.files(CONFIG_MODULE).joinpath(group).iterdir(), key=lambda f: f.name
    ):
        if file.name.endswith(".yaml"):
            yield file.name.removesuffix(".yaml")


def options() -> dict[str, list[str]]:
    """Return the options of every config group that ships with the package."""
    return {group: list(_options(group)) for group in [*GROUPS, "experiment"]}


def explain(error: BaseException) -> str:
    """Return one line that says what is wrong with a composition."""
    file = re.match(r"In '(.+?)': ", str(error))
    where = f"{file[1]}: " if file is not None else ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException) and cause.full_key:
            name = str(cause.full_key).partition("[")[0]
            if name.startswith(tuple(f"{free}." for free in FREE_FORM)) and not isinstance(
                cause, ValidationError
            ):
                return f"{name}: entries are added one by one: +{name}=VALUE"
            if file is not None and isinstance(cause, ConfigKeyError):
                own_group = file[1].startswith(f"{name}/")
                return where + (
                    f"begin the file with the line: {GLOBAL}" if own_group else unknown_key(name)
                )
            field = keys().get(name)
            accepted = f"; accepted: {type_name(field.type)}" if field is not None else ""
            return (
                f"{where}{cause.full_key}: {_first_line(cause.msg or cause).rstrip('.')}{accepted}"
            )
        cause = cause.__cause__ or cause.__context__
    if "hydra/sweeper" in str(error):
        return f"{_first_line(error)}; {ONLY_BASIC}"
    return _first_line(error)


def _first_line(error: Any) -> str:
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
