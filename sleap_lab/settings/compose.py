"""From overrides to a checked config, with errors that name the key and the nearest spelling.

Hydra composes the config. This module turns its errors into one line each, and refuses what Hydra
accepts: keys added with `+` that nothing reads, values that are not accepted, and settings that
contradict each other.
"""

from collections.abc import Collection, Sequence
from dataclasses import fields
from functools import cache
from importlib import resources
from pathlib import Path

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.errors import ConfigError
from sleap_lab.settings.application import (
    CONFIG_MODULE,
    PRIMARY,
    Configs,
    hydra_application,
    hydra_of,
)
from sleap_lab.settings.check import check
from sleap_lab.settings.check_outputs import writes_predictions
from sleap_lab.settings.config import GROUPS, Config, defaults
from sleap_lab.settings.config_sources import SCHEMA, FileConfigSource, schema
from sleap_lab.settings.overrides import (
    Options,
    check_overrides,
    expand_home,
    explain,
    parse_overrides,
    refuse_sweeps,
    unknown_key,
)

FOR_EVALUATION = (
    "evaluator.ground_truth_path",
    "evaluator.video_map",
    "evaluator.save_metrics",
)
FOR_MODELS = ("model.paths", "model.backbone_ckpt_path", "model.head_ckpt_path")
FOR_PREDICTIONS = ("output.path", "output.formats")


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
        return Configs(f"{name}_on_{PRIMARY}", folder, (PRIMARY, name, "_self_"))
    if not {PRIMARY, SCHEMA} & {
        str(entry).lstrip("/") for entry in loaded.defaults if isinstance(entry, str)
    }:
        raise ConfigError(
            f"--config-name={name}: its defaults list lacks the base config; "
            f"begin it with: - {PRIMARY}"
        )
    return Configs(name, folder)


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


def chosen_options(settings: HydraConf) -> dict[str, str]:
    """Return the option that is chosen in each config group of the package; Hydra's are left out.

    Args:
        settings: Hydra's own settings of a job.
    """
    choices = {str(name): str(option) for name, option in settings.runtime.choices.items()}
    return {name: option for name, option in choices.items() if "/" not in name}


def typed_overrides(settings: HydraConf) -> list[str]:
    """Return the overrides of a job as they were typed; to read one by one resolves `${…}`.

    Args:
        settings: Hydra's own settings of the job.
    """
    task = settings.overrides.task
    assert isinstance(task, ListConfig)
    return list(map(str, OmegaConf.to_container(task, resolve=False)))


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
    typed = {override.key_or_group for override in parse_overrides(typed_overrides(settings))}
    names = {f.name for f in fields(Config)}
    for name in sorted(set(map(str, node)) - names - {"hydra"}):
        raise ConfigError(unknown_key(name))
    for group in GROUPS:
        _check_keys(node[group], group)
    try:
        plain = OmegaConf.masked_copy(node, sorted(names))
        config = OmegaConf.to_object(OmegaConf.merge(schema(), plain))
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
