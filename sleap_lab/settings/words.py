"""Keep values of text keys as text: Hydra and YAML would read `2024_01_05` as the number 20240105.

Hydra reads values in two places, the command line and YAML files, and knows the types of the keys
in neither. Importing this module extends both. It happens at import, because a launcher may compose
jobs in a process that only imports the package.
"""

import re
from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from hydra._internal.core_plugins import file_config_source, importlib_resources_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.override_parser import overrides_parser
from hydra.core.override_parser.overrides_visitor import HydraOverrideVisitor
from hydra.core.override_parser.types import Key, Override, QuotedString, ValueType
from hydra.grammar.gen.OverrideParser import OverrideParser
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

from sleap_lab.errors import ConfigError, one_line
from sleap_lab.settings.config import GROUPS, keys
from sleap_lab.settings.credentials import conceal
from sleap_lab.settings.option_files import check_options

Name = tuple[str, ...]
TEXT_TYPES = (str, str | None, list[str], dict[str, str])
MOVED = ("data", "moved")
VIDEO_MAP = ("evaluator", "video_map")
HYDRAS = tuple(
    tuple(name.split("."))
    for name in (
        "hydra.run.dir",
        "hydra.sweep.dir",
        "hydra.sweep.subdir",
        "hydra.sweeper.params",
        "hydra.searchpath",
        "hydra.output_subdir",
        "hydra.job.name",
        "hydra.job.env_set",
    )
)
"""Hydra's own keys that hold text.

Values of a sweep in a file (`hydra.sweeper.params`), as `3` or `2024_01_05`, are kept as text, and
are later read like those of the command line.
"""

CONTAINERS = (
    ("logger", "tags"),
    MOVED,
    VIDEO_MAP,
    ("hydra", "sweeper", "params"),
    ("hydra", "job", "env_set"),
)
"""Keys whose value holds entries, all of which are of the same kind."""

NULLABLE = "tag:yaml.org,2002:null"
TEXT = "tag:yaml.org,2002:str"
LIST = "tag:yaml.org,2002:seq"
MERGE = "tag:yaml.org,2002:merge"


class Kind(Enum):
    """How the values of a key are read.

    The value of each member holds the types that are kept: a number or bool of such a type is kept
    where writing it again gives the typed text, and becomes text otherwise. It is a set, because
    Python 3.11.2 puts an object without use in the place of an empty tuple.
    """

    TYPED = None
    """A key with a type other than text, which converts the value."""
    TEXT = frozenset[type]()
    INDEX_OR_NAME = frozenset({int})
    ANY = frozenset({int, float, bool})
    """A key of the user or of a plugin, whose value may be text or a number."""


@cache
def _kinds() -> dict[str, list[tuple[Name, Kind]]]:
    """Return the kind of every key under the last part of its name."""
    kinds: dict[str, list[tuple[Name, Kind]]] = {}
    for name, field in keys().items():
        path = tuple(name.split("."))
        is_text = field.type in TEXT_TYPES or field.metadata["path"] or path == MOVED
        kind = Kind.INDEX_OR_NAME if path == VIDEO_MAP else Kind.TEXT if is_text else Kind.TYPED
        kinds.setdefault(path[-1], []).append((path, kind))
    for path in HYDRAS:
        kinds.setdefault(path[-1], []).append((path, Kind.TEXT))
    return kinds


def kind_of(path: Name) -> Kind:
    """Return the kind of a key.

    Args:
        path: Parts of its name. The first parts may be missing, as in the file of an option, or
            other parts may precede them.
    """
    for length in range(len(path), 0, -1):
        for key, kind in _kinds().get(path[length - 1], ()):
            common = min(length, len(key))
            if key[-common:] == path[:length][-common:] and (
                length == len(path) or key in CONTAINERS
            ):
                return kind
    return Kind.ANY if path and path[0] != "tune" else Kind.TYPED


@cache
def is_list(path: Name) -> bool:
    """Return whether a key holds a list; the first parts of its name may be missing."""
    lists = (tuple(name.split(".")) for name, field in keys().items() if _holds_list(field.type))
    return any(key[-len(path) :] == path for key in lists)


def _holds_list(annotation: Any) -> bool:
    return (
        any(get_origin(part) is list for part in (annotation, *(get_args(annotation) or ())))
        and annotation is not Any
    )


def _kept(value: Any, text: str, kind: Kind) -> bool:
    """Return whether a value may stand for the text that it was read from."""
    if value is None or isinstance(value, (str, QuotedString)) or kind.value is None:
        return True
    return (
        type(value) in kind.value
        and (str(value).lower() if isinstance(value, bool) else repr(value)) == text
    )


class TypedWords(HydraOverrideVisitor):
    """Reader of overrides that differs from Hydra's in text only."""

    _path: Name = ()

    def visitKey(self, ctx: OverrideParser.KeyContext) -> Key:
        """Read a key and remember it as the one that is overridden."""
        key = super().visitKey(ctx)
        self._path = tuple(key.key_or_group.split("."))
        return key

    def visitOverride(self, ctx: OverrideParser.OverrideContext) -> Override:
        """Read an override; a single value of a key that holds a list is a list of one."""
        override = super().visitOverride(ctx)
        single = override.value_type in (ValueType.ELEMENT, None) and isinstance(
            override._value, (str, int, float, QuotedString)
        )
        text = override._value.text if single and isinstance(override._value, QuotedString) else ""
        if single and is_list(tuple(override.key_or_group.split("."))) and "${" not in text:
            override._value = [override._value]
        return override

    def visitDictKeyValuePair(self, ctx: OverrideParser.DictKeyValuePairContext) -> Any:
        """Read an entry of a dictionary; its key is a part of the name of the overridden key."""
        outer = self._path
        self._path = (*outer, ctx.dictKey().getText().strip())
        try:
            return super().visitDictKeyValuePair(ctx)
        finally:
            self._path = outer

    def visitFunction(self, ctx: OverrideParser.FunctionContext) -> Any:
        """Read a function; the limits of a range are numbers even for a key that holds text."""
        outer = self._path
        if ctx.getChild(0).getText() in ("range", "interval"):
            self._path = ()
        try:
            return super().visitFunction(ctx)
        finally:
            self._path = outer

    def _createPrimitive(self, ctx: Any) -> Any:
        value = super()._createPrimitive(ctx)
        if isinstance(ctx.parentCtx, OverrideParser.ElementContext) and _is_named_argument(
            ctx.parentCtx
        ):
            return value
        text = ctx.getText().strip()
        return value if _kept(value, text, self._kind()) else text

    def _kind(self) -> Kind:
        is_group = len(self._path) == 1 and (self._path[0] in GROUPS or self._path[0] not in keys())
        return Kind.TEXT if is_group else kind_of(self._path)


def _is_named_argument(element: OverrideParser.ElementContext) -> bool:
    """Return whether an element is an option of a function, as in `sort(a,b,reverse=true)`."""
    siblings = element.parentCtx.children
    return isinstance(siblings[max(siblings.index(element) - 1, 0)], OverrideParser.ArgNameContext)


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
        if kind is Kind.TEXT or not _kept(self.construct_object(node), node.value, kind):
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


QUOTED_KEY = re.compile(r"""([{,]\s*)(['"])((?:(?!\2).)*)\2(?=\s*:)""")
"""A quoted key of a dictionary, which Hydra's grammar does not know."""
IN_KEYS = re.compile(r"[\\()\[\]{}:=, \t]")
"""Characters of keys that the grammar reads with a backslash before them."""
BEGINS_DICTIONARY = re.compile(r"[^={]*=\s*\{")

_parse_rule = overrides_parser.OverridesParser.parse_rule


def _parse_with_quoted_keys(self: Any, s: str, rule_name: str) -> Any:
    """Parse as Hydra does, and accept quotes around the keys of dictionaries."""
    if BEGINS_DICTIONARY.match(s):
        s = QUOTED_KEY.sub(lambda key: key[1] + IN_KEYS.sub(r"\\\g<0>", key[3]), s)
    return _parse_rule(self, s, rule_name)


overrides_parser.OverridesParser.parse_rule = _parse_with_quoted_keys  # type: ignore[method-assign]
overrides_parser.HydraOverrideVisitor = TypedWords  # type: ignore[misc]
SourcesRegistry.instance().types |= {
    "file": FileConfigSource,
    "pkg": ImportlibResourcesConfigSource,
}
