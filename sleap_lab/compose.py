"""From overrides to a checked config, with errors that name the key and the nearest spelling.

Hydra composes; this module says what went wrong in one line, and refuses what Hydra would let pass:
keys added with `+` that nobody reads, values outside the accepted ones, and settings that contradict
each other.
"""

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra._internal.hydra import Hydra
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.config import GROUPS, Config, check, keys, type_name
from sleap_lab.credentials import HIDDEN
from sleap_lab.errors import ConfigError, closest, did_you_mean

CONFIG_MODULE = "sleap_lab.conf"
BASIC_SWEEPER = BasicSweeperConf()._target_
FREE_FORM = ("logger.tags",)
LAUNCHING = ("hydra/launcher", "hydra/sweeper")
EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""Which extra of the package brings a launcher."""


def register() -> None:
    """Make the schema and the resolvers known to Hydra; safe to call again."""
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("demo", _demo_file, replace=True)


def _demo_file(name: str) -> str:
    """Return the path of a file of the demo that ships with the package."""
    return str(resources.files("sleap_lab.demo").joinpath(name))


def hand_to_hydra(words: Sequence[str], task: Callable[[DictConfig], None]) -> None:
    """Let Hydra read a command line and answer it, or call the task with the composed node of each job.

    Args:
        words: The command line, without the command.
        task: What a job does.
    """
    before = sys.argv
    sys.argv = ["sleap-lab", *words]
    try:
        hydra.main(version_base="1.3", config_path=f"pkg://{CONFIG_MODULE}", config_name="config")(task)()
    finally:
        sys.argv = before


def compose_config(overrides: Sequence[str], *, config_dir: str | None = None) -> tuple[Config, DictConfig]:
    """Compose one experiment.

    Args:
        overrides: As on the command line, without sweeps.
        config_dir: Folder with further config groups and options.

    Returns:
        The checked config, with paths made absolute, and the composed node with Hydra's own settings.

    Raises:
        ConfigError: An override, a value or a combination is wrong.
    """
    node = _compose_node(overrides, config_dir)
    return to_config(node), node


def _compose_node(overrides: Sequence[str], config_dir: str | None) -> DictConfig:
    overrides = [*overrides, *search(config_dir)]
    with hydra_application():
        check_overrides(overrides)
        _refuse_sweeps(overrides)
        return compose("config", overrides=list(overrides), return_hydra_config=True)


@contextmanager
def hydra_application() -> Iterator[Hydra]:
    """Give a Hydra that knows our configs, beside any that is there already; what it finds wrong becomes a `ConfigError`."""
    register()
    previous = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(CONFIG_MODULE, version_base="1.3", job_name="sleap_lab"):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            yield hydra
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    finally:
        GlobalHydra.instance().hydra = previous


def search(config_dir: str | None) -> list[str]:
    """Return the override that adds a folder to those where Hydra looks for options."""
    return [f"hydra.searchpath={quote([f'file://{Path(config_dir).absolute()}'])}"] if config_dir else []


@dataclass(frozen=True)
class CheckedJob:
    """One job of a command line: what it overrides, as typed and without Hydra's own settings; its config; the name of its folder."""

    overrides: list[str]
    config: Config
    folder: str


def check_jobs(overrides: Sequence[str], *, multirun: bool, config_dir: str | None = None) -> list[CheckedJob]:
    """Compose every job of a command line, so that a mistake is found before any of them runs.

    Args:
        overrides: As on the command line.
        multirun: Whether they are a sweep, with several values per key.
        config_dir: Folder with further config options.

    Returns:
        The jobs, in order.

    Raises:
        ConfigError: A job's config is wrong.
    """
    own, hydras = split_overrides(overrides)
    batches = [own]
    if multirun:
        check_overrides([*overrides, *search(config_dir)])
        settings = _compose_node([*fixed(own), *hydras], config_dir)
        if settings.hydra.sweeper["_target_"] != BASIC_SWEEPER:
            raise ConfigError("hydra/sweeper: all jobs are known before the first one runs, so only basic can be used")
        presets = [f"{name}={value}" for name, value in (settings.hydra.sweeper.get("params") or {}).items()]
        batches = [list(job) for job in BasicSweeper.split_arguments(parse_overrides([*presets, *own]), None)[0]]
    jobs = []
    for number, words in enumerate(batches):
        config, node = compose_config([*words, *hydras], config_dir=config_dir)
        jobs.append(CheckedJob(words, config, _job_folder(node, number) if multirun else ""))
    if any(job.config.tracker.tracking for job in jobs):
        from sleap_lab.tracking import check as check_tracker  # costs half a second

        for job in jobs:
            check_tracker(job.config.tracker)
    if multirun:
        _check_folders_differ([job.folder for job in jobs])
    _check_outputs_differ([job.config for job in jobs])
    return jobs


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split overrides into those of the experiment and those of Hydra's own settings."""
    hydras = [text for text in overrides if text.lstrip("+~").startswith(("hydra.", "hydra/"))]
    return [text for text in overrides if text not in hydras], hydras


def fixed(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that have one value."""
    return [text for text, parsed in zip(overrides, parse_overrides(overrides), strict=True) if not parsed.is_sweep_override()]


def _job_folder(node: DictConfig, number: int) -> str:
    """Return the name that `hydra.sweep.subdir` gives to the folder of a job."""
    with open_dict(node):
        node.hydra.job.num, node.hydra.job.id = number, str(number)
    try:
        name = str(node.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise ConfigError(f"hydra.sweep.subdir: cannot be told before the job runs: {_first_line(error)}") from error
    if Path(name).name != name or name.startswith("."):
        raise ConfigError(f"hydra.sweep.subdir: got {name!r}; accepted: the name of one folder, as ${{hydra.job.num}} is")
    return name


def _check_folders_differ(folders: Sequence[str]) -> None:
    """Refuse a sweep whose jobs would share a folder."""
    for number, name in enumerate(folders):
        if (first := folders.index(name)) < number:
            raise ConfigError(f"hydra.sweep.subdir: jobs {first} and {number} would share {name!r}; add ${{hydra.job.num}} to it")


def _check_outputs_differ(configs: Sequence[Config]) -> None:
    """Refuse a sweep whose jobs would write the same file one over the other."""
    outputs = {
        "output.path": [config.output.path for config in configs],
        "evaluator.save_metrics": [config.evaluator.save_metrics for config in configs],
    }
    for name, paths in outputs.items():
        given = [path for path in paths if path is not None]
        if len(set(given)) < len(given):
            raise ConfigError(f"{name}: several jobs of the sweep would write {given[0]}; leave it out, each job has its own folder")


def to_config(node: DictConfig) -> Config:
    """Turn a composed node into a checked config.

    Raises:
        ConfigError: A key is unknown, a value is not accepted or a combination makes no sense.
    """
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
    check(config)
    return config


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
    """Suggest the nearest key: by its whole name, by the words of the keys of its group, by the last part of any key."""
    group, _, last = name.rpartition(".")
    siblings = [key for key in known if key.rpartition(".")[0] == group]
    by_word = {word: key for key in reversed(siblings) for word in key.rpartition(".")[2].split("_")}
    by_last = {key.rpartition(".")[2]: key for key in reversed(known)}
    found = closest(name, known, cutoff=0.8) or by_word.get(closest(last, by_word) or "") or by_last.get(closest(last, by_last) or "")
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
    return f"{name}: the value {value!r} has characters with a meaning in overrides; quote it: {as_typed([f'{name}={quote(value)}'])}"


def _refuse_sweeps(overrides: Sequence[str]) -> None:
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            name, value = override.key_or_group, override.get_value_string()
            raise ConfigError(
                f"{name}: {value} are several values; add -m to run each, or quote it: {as_typed([f'{name}={quote(value)}'])}"
            )


def as_typed(words: Sequence[str]) -> str:
    """Write words as a line for a shell; where a pair of double quotes is enough, it reads better than the escapes of `shlex`."""
    return " ".join(f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word) for word in words)


def quote(value: Any) -> str:
    """Write a value so that Hydra's grammar gives it back unchanged, whatever characters it holds."""
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
    """Return the override that keeps Hydra from writing the password that a preset holds into files of its own; none if there is none.

    Args:
        uri: `logger.tracking_uri` of the checked config, without its password.
        overrides: The others.
    """
    named = any(word.startswith("logger.tracking_uri=") for word in overrides)
    return [f"logger.tracking_uri={quote(uri)}"] if uri and HIDDEN in uri and not named else []


def check_overrides(overrides: Sequence[str]) -> None:
    """Refuse overrides of groups, options and keys that do not exist.

    Raises:
        ConfigError: Naming the override and the nearest spelling.
    """
    for override in parse_overrides(overrides):
        name = override.key_or_group
        if name in LAUNCHING and not _searches(overrides):
            _check_launching(name, override.value())
        if name.startswith("hydra/") or name.startswith(tuple(f"{free}." for free in FREE_FORM)):
            continue
        if name.split(".")[0] == "hydra":
            _check_hydra_key(name)
            continue
        if name in GROUPS or name == "experiment":
            value = override.value()
            options = list(_options(name))
            if isinstance(value, str) and value not in options and override.value_type is not None and options and not _searches(overrides):
                raise ConfigError(f"{name}={value}: there is no such option; accepted: {', '.join(options)}.{did_you_mean(value, options)}")
        elif name not in keys():
            raise ConfigError(unknown_key(name))


def _check_launching(group: str, value: Any) -> None:
    """Refuse a launcher or sweeper that is not installed, and say what to install."""
    options = _installed(group)
    if value not in options:
        how = f" {value} comes with pip install 'sleap-lab[{EXTRAS[value]}]'" if value in EXTRAS else did_you_mean(str(value), options)
        raise ConfigError(f"{group}={value}: there is no such option; accepted: {', '.join(options)}.{how}")


def _installed(group: str) -> list[str]:
    """Return the options of a group that Hydra or one of its plugins brings."""
    Plugins.instance()  # looks for them
    return [name.removesuffix(".yaml") for name in ConfigStore.instance().list(group)]


def _check_hydra_key(name: str) -> None:
    """Refuse a key below `hydra.` that Hydra does not know; what a plugin configures is its own affair."""
    schema: Any = HydraConf
    path = "hydra"
    for part in name.split(".")[1:]:
        if not is_dataclass(schema):
            return
        known = {f.name: f.type for f in fields(schema)}
        if part not in known:
            raise ConfigError(unknown_key(f"{path}.{part}", [f"{path}.{k}" for k in known]))
        schema, path = known[part], f"{path}.{part}"


def _searches(overrides: Sequence[str]) -> bool:
    """Whether further folders with options are searched."""
    return any(override.startswith("hydra.searchpath") for override in overrides)


def _options(group: str) -> Iterator[str]:
    """Yield the options of a config group that ship with the package."""
    for file in sorted(resources.files(CONFIG_MODULE).joinpath(group).iterdir(), key=lambda f: f.name):
        if file.name.endswith(".yaml"):
            yield file.name.removesuffix(".yaml")


def options() -> dict[str, list[str]]:
    """Return the options of every config group that ships with the package."""
    return {group: list(_options(group)) for group in [*GROUPS, "experiment"]}


def explain(error: BaseException) -> str:
    """Say in one line what is wrong with a composition."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException) and cause.full_key:
            name = str(cause.full_key).partition("[")[0]
            if name.startswith(tuple(f"{free}." for free in FREE_FORM)):
                return f"{name}: entries are added one by one: +{name}=VALUE"
            field = keys().get(name)
            accepted = f"; accepted: {type_name(field.type)}" if field is not None else ""
            return f"{cause.full_key}: {_first_line(cause.msg or cause).rstrip('.')}{accepted}"
        cause = cause.__cause__
    return _first_line(error)


def _first_line(error: Any) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
