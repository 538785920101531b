"""Hydra with the configs of this package, beside any other application of Hydra in the process.

Nothing of Hydra is changed: this application has a loader of its own, which reads overrides and
files so that text stays text. Launchers send it to the processes in which they compose jobs.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config_sources import (
    FileConfigSource,
    ImportlibResourcesConfigSource,
    StructuredConfigSource,
)
from sleap_lab.settings.hydra_state import own_state
from sleap_lab.settings.overrides import explain
from sleap_lab.settings.words import WordsParser

CONFIG_MODULE = "sleap_lab.conf"
PRIMARY = "config"
NAME = "sleap_lab"
STORE = "structured://"
"""Address of the store of all applications on search paths."""
DEMO = "sleap_lab.demo"
"""The resolver of paths in the demo, as in `${sleap_lab.demo:clip.mp4}`."""


@dataclass(frozen=True)
class Configs:
    """The configs that a command line is composed of.

    Attributes:
        name: The primary config, on which everything else is put.
        folder: Folder of the user with further options, and with the primary config where that is
            not the one of this package.
        defaults: Defaults list of the primary config where that is in no file.
    """

    name: str = PRIMARY
    folder: str | None = None
    defaults: tuple[str, ...] = ()

    @property
    def stored(self) -> dict[str, Any]:
        """The primary config by its name, where that is in no file."""
        return {self.name: {"defaults": list(self.defaults)}} if self.defaults else {}


OURS = Configs()


class _Repository(ConfigRepository):
    """Sources of configs. Hydra copies them for every composition, but changes only their list."""

    def __init__(self, search_path: ConfigSearchPath, stored: Mapping[str, Any]) -> None:
        self._stored = stored
        super().__init__(search_path)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Make the sources of a search path: ours where there are, else those of plugins."""
        super().initialize_sources(config_search_path)
        for i, source in enumerate(self.sources):
            where = (source.provider, source.full_path())
            if source.scheme() == FileConfigSource.scheme():
                self.sources[i] = FileConfigSource(*where)
            elif source.scheme() == ImportlibResourcesConfigSource.scheme():
                self.sources[i] = ImportlibResourcesConfigSource(*where)
            elif source.full_path() == STORE:
                self.sources[i] = StructuredConfigSource(*where, self._stored)

    def __deepcopy__(self, memo: dict[int, object]) -> "_Repository":
        return copy(self)


class _Loader(ConfigLoaderImpl):
    """Hydra's loader with our sources and our parser of overrides."""

    def __init__(self, search_path: ConfigSearchPath, stored: Mapping[str, Any]) -> None:
        self.config_search_path = search_path
        self.repository = _Repository(search_path, stored)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = WordsParser.create().parse_overrides(overrides)
        repository = CachingConfigRepository(self.repository)
        self._process_config_searchpath(config_name, parsed, repository)
        return parsed, repository


class _Application(Hydra):
    """Hydra, without what it registers for the whole process if that is there already."""

    def __init__(self, loader: _Loader) -> None:
        register()
        self.config_loader = loader


def register() -> None:
    """Register missing resolvers; safe to call again, as after `OmegaConf.clear_resolvers`."""
    if not all(map(OmegaConf.has_resolver, ("hydra", "now", "python_version"))):
        setup_globals()
    if not OmegaConf.has_resolver(DEMO):
        OmegaConf.register_new_resolver(DEMO, _demo_file)


def _demo_file(name: str) -> str:
    """Return the path of a file of the demo that ships with the package."""
    return str(resources.files("sleap_lab.demo").joinpath(name))


@contextmanager
def hydra_application(configs: Configs = OURS) -> Iterator[Hydra]:
    """Provide a Hydra with the configs of this package, beside one that is already in use.

    Raises:
        ConfigError: Hydra or OmegaConf raised an error within the context.
    """
    with own_state():
        try:
            version.setbase("1.3")
            JobRuntime.instance().set("name", NAME)
            search_path = create_config_search_path(f"pkg://{CONFIG_MODULE}")
            if configs.folder is not None:
                own = f"file://{Path(configs.folder).absolute()}"
                search_path.prepend(
                    provider="command-line", path=own, anchor=SearchPathQuery(provider="schema")
                )
            yield _Application(_Loader(search_path, configs.stored))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error)) from error


@contextmanager
def hydra_of(node: DictConfig) -> Iterator[None]:
    """Let `${hydra:…}` resolve to the settings of a job that is composed but does not run.

    Args:
        node: What the application of a `hydra_application` block has composed.
    """
    settings = HydraConfig.instance()
    before = settings.cfg
    try:
        settings.set_config(node)
        yield
    finally:
        settings.cfg = before
        OmegaConf.set_readonly(node.hydra, None)  # Hydra makes it so
