"""From overrides to a checked config, with errors that name the key and the nearest spelling.

Hydra composes the config. This module turns its errors into one line each, and refuses what Hydra
accepts: keys added with `+` that nothing reads, values that are not accepted, and settings that
contradict each other.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path

import hydra
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.conf import HydraConf
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.config_source import ConfigLoadError
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.errors import ConfigError
from sleap_lab.settings.check import check
from sleap_lab.settings.check_outputs import writes_predictions
from sleap_lab.settings.config import GROUPS, Config, defaults
from sleap_lab.settings.overrides import (
    Options,
    check_overrides,
    expand_home,
    explain,
    parse_overrides,
    refuse_sweeps,
    unknown_key,
)
from sleap_lab.settings.words import FileConfigSource

CONFIG_MODULE = "sleap_lab.conf"
PRIMARY = "config"

LAUNCHERS = {
    "submitit_local": {"timeout_min": 365 * 24 * 60},
    "submitit_slurm": {"timeout_min": 24 * 60, "max_num_timeout": 3},
}
"""Defaults of launchers where those of their plugin do not suit: they end a job after an hour.

A job that the time limit of Slurm ends is queued again, and continues with what it stored.
"""

FOR_EVALUATION = (
    "evaluator.ground_truth_path",
    "evaluator.video_map",
    "evaluator.save_metrics",
)
FOR_MODELS = ("model.paths", "model.backbone_ckpt_path", "model.head_ckpt_path")
FOR_PREDICTIONS = ("output.path", "output.formats")


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


@cache
def _schema() -> DictConfig:
    """Return the config with the types and defaults of all keys; it is to be copied."""
    return OmegaConf.structured(Config)


@cache
def _store_schema() -> None:
    ConfigStore.instance().store(name="schema", node=_schema())


class _Repository(ConfigRepository):
    """Sources of configs. Hydra copies them for every composition, but changes only their list."""

    def __deepcopy__(self, memo: dict[int, object]) -> "_Repository":
        return copy(self)


def register() -> None:
    """Make the schema and the resolvers known to Hydra; safe to call again."""
    _store_schema()
    # Again each time, as `OmegaConf.clear_resolvers` of a notebook takes it away.
    OmegaConf.register_new_resolver("demo", _demo_file, replace=True)


@lru_cache(maxsize=1)
def _set_defaults_of_launchers(plugins: Plugins) -> None:
    """Replace defaults of the installed launchers; options of the user can say otherwise.

    Args:
        plugins: The plugins, which stored their own defaults when they were loaded. A launcher that
            restores Hydra's state, as that of joblib does, lets them be loaded again.
    """
    store = ConfigStore.instance()
    for name, values in LAUNCHERS.items():
        try:
            known = store.load(f"hydra/launcher/{name}.yaml")
        except ConfigLoadError:  # not installed
            continue
        store.store(
            group="hydra/launcher",
            name=name,
            node=OmegaConf.merge(known.node, values),
            provider=known.provider,
        )


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
            f"--config-name={name}: its defaults list lacks the base config; "
            f"begin it with: - {PRIMARY}"
        )
    return Configs(name, folder)


def hand_to_hydra(words: Sequence[str], task: Callable[[DictConfig], None]) -> None:
    """Pass a command line to Hydra, which handles it or calls the task for each job.

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
    overrides = [expand_home(word) for word in overrides]
    with hydra_application(configs) as hydra:
        check_overrides(overrides, options_of(hydra, configs, overrides))
        refuse_sweeps(overrides)
        node = compose_node(hydra, configs, overrides)
        with hydra_of(node):
            return to_config(node), node


def compose_node(hydra: Hydra, configs: Configs, overrides: Sequence[str]) -> DictConfig:
    """Return what Hydra composes of overrides, its own settings included."""
    return hydra.compose_config(
        configs.name,
        list(overrides),
        run_mode=RunMode.RUN,
        from_shell=False,
        with_log_configuration=False,
    )


@contextmanager
def hydra_application(configs: Configs = OURS) -> Iterator[Hydra]:
    """Provide a Hydra with the configs of this package, beside one that is already in use.

    Raises:
        ConfigError: Hydra or OmegaConf raised an error within the context.
    """
    register()
    previous = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        version.setbase("1.3")
        search_path = create_config_search_path(f"pkg://{CONFIG_MODULE}")
        _set_defaults_of_launchers(Plugins.instance())
        if configs.folder is not None:
            own = f"file://{Path(configs.folder).absolute()}"
            search_path.prepend(
                provider="command-line", path=own, anchor=SearchPathQuery(provider="schema")
            )
        application = Hydra.create_main_hydra2("sleap_lab", search_path)
        assert isinstance(application.config_loader, ConfigLoaderImpl)
        application.config_loader.repository = _Repository(search_path)
        yield application
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    finally:
        GlobalHydra.instance().hydra = previous


@contextmanager
def hydra_of(node: DictConfig) -> Iterator[None]:
    """Let `${hydra:…}` resolve to the settings of a job that is composed but does not run."""
    settings = HydraConfig.instance()
    before = settings.cfg
    try:
        settings.set_config(node)
        yield
    finally:
        settings.cfg = before
        OmegaConf.set_readonly(node.hydra, None)  # Hydra makes it so


def chosen_options(settings: HydraConf) -> dict[str, str]:
    """Return the option that is chosen in each config group of the package; Hydra's are left out.

    Args:
        settings: Hydra's own settings of a job.
    """
    choices = {str(name): str(option) for name, option in settings.runtime.choices.items()}
    return {name: option for name, option in choices.items() if "/" not in name}


def to_config(node: DictConfig) -> Config:
    """Turn a composed node into a checked config.

    Raises:
        ConfigError: A key is unknown, a value is not accepted or a combination makes no sense.
    """
    return read_config(node)[0]


def read_config(node: DictConfig) -> tuple[Config, list[str]]:
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
        config = OmegaConf.to_object(OmegaConf.merge(_schema(), plain))
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error
    assert isinstance(config, Config)
    unused = _reset_unused(config, typed)
    check(config)
    return config, unused


def _reset_unused(config: Config, typed: Collection[str]) -> list[str]:
    """Reset keys for an evaluator, a model or predictions that the experiment does not have.

    Those for an evaluator or a model that were typed are kept, and refused by `check`. Those for
    predictions are reset in any case, as only some jobs of a sweep may make predictions.

    Returns:
        The keys that were reset.
    """
    without_use = [
        *([] if config.evaluator.evaluate else FOR_EVALUATION),
        *(FOR_MODELS if config.model.kind == "none" else []),
    ]
    without_use = [name for name in without_use if name not in typed]
    if config.output.make_labels and not writes_predictions(config):
        without_use += FOR_PREDICTIONS
    unused = []
    for name in without_use:
        group, _, key = name.partition(".")
        default = defaults()[name]
        if getattr(getattr(config, group), key) != default:
            setattr(getattr(config, group), key, default)
            unused.append(name)
    return unused


def _check_keys(node: DictConfig, group: str) -> None:
    """Refuse keys that were forced into a group with `+` or `++`."""
    known = {f.name for f in fields(GROUPS[group])}
    for name in map(str, node):
        if name not in known:
            raise ConfigError(unknown_key(f"{group}.{name}"))


def options_of(hydra: Hydra, configs: Configs, overrides: Sequence[str]) -> Options:
    """Return a function that lists the options of a group, also those in folders of the user."""
    searched = [text for text in overrides if text.lstrip("+").startswith("hydra.searchpath=")]
    assert isinstance(hydra.config_loader, ConfigLoaderImpl)
    # Of the loader itself, as its get_group_options would read the primary config for each group.
    open_repository = hydra.config_loader._parse_overrides_and_create_caching_repo
    repository = cache(lambda: open_repository(configs.name, searched)[1])
    return cache(lambda group: list(repository().get_group_options(group, ObjectType.CONFIG)))


def shipped_options() -> dict[str, list[str]]:
    """Return the options of every config group that ship with the package."""
    configs = resources.files(CONFIG_MODULE)
    return {
        group: sorted(
            file.name.removesuffix(".yaml")
            for file in configs.joinpath(group).iterdir()
            if file.name.endswith(".yaml")
        )
        for group in [*GROUPS, "experiment"]
    }
