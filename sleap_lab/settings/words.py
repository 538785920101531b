"""Which values are text, and a parser of overrides that keeps them as they were typed.

Hydra would read `2024_01_05` as the number 20240105. It reads values in two places, the command
line and YAML files (`config_sources.py`), and knows the types of the keys in neither.
"""

import re
from enum import Enum
from functools import cache
from typing import Any, get_args, get_origin

from hydra.core.override_parser.overrides_parser import (
    KEY_RULES,
    CommonTokenStream,
    InputStream,
    OverrideLexer,
    OverrideParser,
    OverridesParser,
)
from hydra.core.override_parser.overrides_visitor import HydraErrorListener, HydraOverrideVisitor
from hydra.core.override_parser.types import Key, Override, QuotedString, ValueType

from sleap_lab.settings.config import GROUPS, keys

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


def is_kept(value: Any, text: str, kind: Kind) -> bool:
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
        return value if is_kept(value, text, self._kind()) else text

    def _kind(self) -> Kind:
        is_group = len(self._path) == 1 and (self._path[0] in GROUPS or self._path[0] not in keys())
        return Kind.TEXT if is_group else kind_of(self._path)


def _is_named_argument(element: OverrideParser.ElementContext) -> bool:
    """Return whether an element is an option of a function, as in `sort(a,b,reverse=true)`."""
    siblings = element.parentCtx.children
    return isinstance(siblings[max(siblings.index(element) - 1, 0)], OverrideParser.ArgNameContext)


QUOTED_KEY = re.compile(r"""([{,]\s*)(['"])((?:(?!\2).)*)\2(?=\s*:)""")
"""A quoted key of a dictionary, which Hydra's grammar does not know."""
IN_KEYS = re.compile(r"[\\()\[\]{}:=, \t]")
"""Characters of keys that the grammar reads with a backslash before them."""
BEGINS_DICTIONARY = re.compile(r"[^={]*=\s*\{")


class WordsParser(OverridesParser):
    """Parser of overrides that differs from Hydra's in text, and in quotes around keys."""

    def parse_rule(self, s: str, rule_name: str) -> Any:
        """Parse as Hydra does, by our visitor, and accept quotes around keys of dictionaries."""
        if BEGINS_DICTIONARY.match(s):
            s = QUOTED_KEY.sub(lambda key: key[1] + IN_KEYS.sub(r"\\\g<0>", key[3]), s)
        listener = HydraErrorListener()
        lexer = OverrideLexer(InputStream(s))
        lexer.removeErrorListeners()
        lexer.addErrorListener(listener)
        if rule_name not in KEY_RULES:
            lexer.mode(OverrideLexer.VALUE_MODE)
        parser = OverrideParser(CommonTokenStream(lexer))
        parser.removeErrorListeners()
        parser.addErrorListener(listener)
        parsed = TypedWords(self.functions).visit(getattr(parser, rule_name)())
        if isinstance(parsed, Override):
            parsed.input_line = s
            parsed.validate()
        return parsed
