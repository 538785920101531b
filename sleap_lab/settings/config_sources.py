"""Where configs come from: files and packages, whose text stays text, and what code has stored.

These stand in the place of Hydra's own sources where this package composes, and nowhere else.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins import (
    file_config_source,
    importlib_resources_config_source,
    structured_config_source,
)
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader

from sleap_lab.errors import ConfigError, one_line
from sleap_lab.settings.config import Config
from sleap_lab.settings.credentials import conceal
from sleap_lab.settings.option_files import check_options
from sleap_lab.settings.words import Kind, Name, is_kept, is_list, kind_of

SCHEMA = "schema"
LAUNCHERS = {
    "submitit_local": {"timeout_min": 365 * 24 * 60},
    "submitit_slurm": {"timeout_min": 24 * 60, "max_num_timeout": 3},
}
"""Defaults of launchers where those of their plugin do not suit: they end a job after an hour.

A job that the time limit of Slurm ends is queued again, and continues with what it stored.
"""

HYDRAS_OWN = ("hydra", "_dummy_empty_config_.yaml")
"""What Hydra has stored: its groups, and what it composes where there is no primary config."""

NULLABLE = "tag:yaml.org,2002:null"
TEXT = "tag:yaml.org,2002:str"
LIST = "tag:yaml.org,2002:seq"
MERGE = "tag:yaml.org,2002:merge"


@cache
def schema() -> DictConfig:
    """Return the config with the types and defaults of all keys; it is to be copied."""
    return OmegaConf.structured(Config)


class _Loader(get_yaml_loader()):  # type: ignore[misc]
    """Reader of YAML that differs from OmegaConf's in text only."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            self._keep(node, ())
        return node

    def _keep(self, node: yaml.Node, path: Name) -> None:
        """Turn values of text keys into text, in a node and below it."""
        if isinstance(node, yaml.MappingNode):
            for place, (key, value) in enumerate(node.value):
                below = (*path, str(key.value))
                if isinstance(value, yaml.ScalarNode) and _is_one_of_list(below, value):
                    value = yaml.SequenceNode(LIST, [value], value.start_mark, value.end_mark)
                    node.value[place] = (key, value)
                if key.tag != MERGE:
                    self._keep_scalar(key, kind_of(below))
                self._keep(value, path if key.tag == MERGE else below)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._keep(item, path)
        elif path:
            self._keep_scalar(node, Kind.TEXT if path[0] == "defaults" else kind_of(path))

    def _keep_scalar(self, node: yaml.Node, kind: Kind) -> None:
        if (
            not isinstance(node, yaml.ScalarNode)
            or node.tag in (TEXT, NULLABLE)
            or kind is Kind.TYPED
        ):
            return
        if kind is Kind.TEXT or not is_kept(self.construct_object(node), node.value, kind):
            self.constructed_objects.pop(node, None)
            node.tag = TEXT


def _is_one_of_list(path: Name, node: yaml.ScalarNode) -> bool:
    """Return whether a scalar stands where a list is expected."""
    return node.tag != NULLABLE and "${" not in node.value and is_list(path)


def _read(
    name: str,
    text: str,
    check: Callable[[str | None, yaml.Node | None, Any], None] = lambda package, node, values: None,
) -> tuple[dict[str, str | None], Any]:
    """Read a config file.

    Args:
        name: The file, for messages.
        text: Its content.
        check: Called with the package that its header names, and its content as node and value.

    Returns:
        The settings of Hydra in its header, and its values.

    Raises:
        ConfigError: It is no YAML.
    """
    header = ConfigSource._get_header_dict(text[:512])
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        loaded = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise ConfigError(
            f"{name}{line}: this is not YAML: {error.problem or error.context}"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: this is not YAML: {' '.join(str(error).split())}") from error
    finally:
        loader.dispose()
    loaded = _concealed(loaded)
    check(header.get("package"), node, loaded)
    return header, {} if loaded is None else loaded


def _result(source: ConfigSource, header: dict[str, str | None], values: Any) -> ConfigResult:
    """Return what Hydra expects of a source that has read a config file."""
    return ConfigResult(
        config=OmegaConf.create(values),
        path=f"{source.scheme()}://{source.path}",
        provider=source.provider,
        header=header,
    )


def _concealed(value: Any) -> Any:
    """Return what a file holds without the secrets in its addresses, which are remembered."""
    if isinstance(value, dict):
        return {key: _concealed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_concealed(item) for item in value]
    return conceal(value) if isinstance(value, str) else value


class FileConfigSource(file_config_source.FileConfigSource):
    """Hydra's source of configs in folders, with text kept as text.

    It has the name of the class that it replaces, so that Hydra leaves that one out.
    """

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a config file of a folder."""
        path = Path(self.path, self._normalize_file_name(config_path))
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as text ({one_line(error)})") from error
        check = partial(check_options, str(path), config_path)
        return _result(self, *_read(str(path), text, check))


class ImportlibResourcesConfigSource(
    importlib_resources_config_source.ImportlibResourcesConfigSource
):
    """Hydra's source of configs in packages, with text kept as text; named like its base, too."""

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a config file of a package."""
        name = self._normalize_file_name(config_path)
        read = _read_installed if self.path.partition(".")[0] in INSTALLED else _read_packaged
        if (found := read(self.path, name)) is None:
            raise ConfigLoadError(f"Config not found : {config_path}")
        header, values = found
        return _result(self, dict(header), values)


def _read_packaged(package: str, name: str) -> tuple[dict[str, str | None], Any] | None:
    """Return header and values of a config file of a package; None where there is none."""
    file = resources.files(package).joinpath(name)
    return _read(str(file), file.read_text(encoding="utf-8")) if file.is_file() else None


INSTALLED = ("sleap_lab", "hydra")
"""Packages whose configs stay as they are; those of a user may be edited between two runs."""
_read_installed = cache(_read_packaged)


class StructuredConfigSource(structured_config_source.StructuredConfigSource):
    """Source of what code has stored: our configs, and what Hydra and its plugins need.

    Hydra has one store for all applications. In ours, those of others would be options of groups of
    the same name, or types of files of the same name. It is named like its base, as Hydra asks for.
    """

    def __init__(self, provider: str, path: str, own: Mapping[str, Any]) -> None:
        """Make a source.

        Args:
            provider: Who has put it on the search path.
            path: Its address.
            own: The configs of ours by name, in addition to the schema.
        """
        ConfigSource.__init__(self, provider, path)
        stored = _new_store()
        for name, node in own.items():
            stored.store(name, node)
        self._own = stored.repo

    @property
    def store(self) -> ConfigStore:  # type: ignore[override]
        """What is stored, always as it is now: plugins may be loaded again."""
        store = _new_store()
        store.repo = {
            **{name: ConfigStore.instance().repo[name] for name in HYDRAS_OWN},
            f"{SCHEMA}.yaml": ConfigNode(SCHEMA, schema(), None, None, None),
            **self._own,
        }
        return store

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a stored config; of a launcher, with defaults that suit."""
        result = super().load_config(config_path)
        group, _, name = config_path.rpartition("/")
        if group == "hydra/launcher" and name in LAUNCHERS:
            merged = OmegaConf.merge(result.config, LAUNCHERS[name])
            assert isinstance(merged, DictConfig)
            result.config = merged
        return result


def _new_store() -> ConfigStore:
    """Return a store that is not the one of all applications."""
    store: ConfigStore = type.__call__(ConfigStore)
    return store
