"""The space that `tune.space` asks for: keys of the config with the values to try.

tune.space='model.peak_threshold=interval(0.05,0.6)'
tune.space='preprocessing.input_scale=choice(0.5,1.0)'
tune.space='[tracker.max_tracks=range(2,6), tracker.oks_stddev=tag(log,interval(0.01,0.5))]'
"""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
)

from sleap_lab.errors import ConfigError
from sleap_lab.settings.check import check_value
from sleap_lab.settings.config import Config, keys
from sleap_lab.settings.overrides import parse_overrides, unknown_key
from sleap_lab.tune.space import Choice, Dimension, Range, Settings, one_of

SPACE = "tune.space"
SEARCHABLE = ("model", "preprocessing", "filters", "tracker")
TRACKED = ("filters", "tracker")
"""Groups whose keys need no new predictions."""
SPECS = "interval(LOW,HIGH), choice(A,B), range(LOW,HIGH)"


def asked_space(words: Sequence[str]) -> list[Dimension]:
    """Return the dimensions that `tune.space` asks for.

    Args:
        words: Its values as typed, one for each time that it was.

    Raises:
        ConfigError: A key cannot be searched, or its values cannot be read.
    """
    parts = [
        _inner(part)
        for word in words
        for part in re.split(r",\s*(?=[\w.]+=)", _inner(word))
        if part
    ]
    dimensions = [_dimension(part) for part in parts]
    names = [dimension.name for dimension in dimensions]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"{SPACE}: {twice[0]} is given twice")
    return dimensions


def _inner(text: str) -> str:
    """Return a text without the quotes and brackets around it."""
    text = text.strip()
    while text[:1] + text[-1:] in ("''", '""', "[]") and len(text) > 1:
        text = text[1:-1].strip()
    return text


def _dimension(part: str) -> Dimension:
    """Return the dimension of a key with its values."""
    name, _, values = part.partition("=")
    if name not in keys():
        raise ConfigError(f"{SPACE}: {unknown_key(name)}")
    if name.partition(".")[0] not in SEARCHABLE:
        raise ConfigError(
            f"{SPACE}: {name} says what is compared, or cannot change it; "
            f"accepted: keys of {', '.join(SEARCHABLE)}"
        )
    (override,) = parse_overrides([f"{name}={values}"])
    found = override.value()
    if isinstance(found, IntervalSweep):
        return _range(name, found)
    options = _options(override, found)
    if len(options) < 2:
        raise ConfigError(f"{SPACE}: {name} has one value, {values}; accepted: {SPECS}")
    for option in options:
        check_value(name, option, keys()[name])
    return one_of(name, options)


def _range(name: str, found: IntervalSweep) -> Range:
    low, high = found.start, found.end
    if keys()[name].type in (int, int | None) and low == int(low or 0) and high == int(high or 0):
        low, high = int(low or 0), int(high or 0)
    if low is None or high is None or not low < high:
        raise ConfigError(f"{SPACE}: {name} has an empty interval, {low} to {high}")
    for end in (low, high):
        check_value(name, end, keys()[name])
    return Range(name, low, high, log="log" in found.tags)


def _options(override: Override, found: Any) -> list[Any]:
    """Return the single values of a choice or a range."""
    if isinstance(found, ChoiceSweep):
        return [item.text if isinstance(item, QuotedString) else item for item in found.list]
    if isinstance(found, RangeSweep):
        return list(override.sweep_iterator())
    return [found]


def defaults_of(dimensions: Sequence[Dimension], config: Config) -> Settings:
    """Return the values in a config of the searched keys that need new predictions."""
    flat = asdict(config)
    return {
        dimension.name: flat[group][key]
        for dimension in dimensions
        if isinstance(dimension, (Choice, Range))
        for group, _, key in [dimension.name.partition(".")]
        if group not in TRACKED
    }


def predicts(key: str) -> bool:
    """Return whether another value of a key needs other predictions."""
    return key.partition(".")[0] not in TRACKED
