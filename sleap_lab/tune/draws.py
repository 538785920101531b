"""Draws from the searched settings: at random, and those of the first trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from sleap_lab.errors import ConfigError
from sleap_lab.tune.space import Choice, Dimension, Range, Settings, rounded

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

CROSSED = ("tracker", "comparison", "similarity")
"""Dimensions of which the first trials try every combination."""


def held_fixed(space: Sequence[Dimension], typed: Settings) -> list[Dimension]:
    """Remove the settings that the user gave from a space.

    Args:
        space: The dimensions.
        typed: Keys with the values that they keep.

    Raises:
        ConfigError: The given settings leave no tracker to try.
    """
    left: list[Dimension] = []
    for dimension in space:
        if isinstance(dimension, Range):
            left += [dimension] if dimension.name not in typed else []
            continue
        fitting = {
            label: option for label, option in dimension.options.items() if _agree(option, typed)
        }
        if dimension.name == "tracker" and not fitting:
            raise ConfigError(
                f"tune.trackers: none of {', '.join(dimension.options)} goes with "
                + ", ".join(
                    f"{key}={value}"
                    for key, value in typed.items()
                    if any(key in option for option in dimension.options.values())
                )
            )
        if fitting:
            left.append(replace(dimension, options=fitting))
    return left


def _agree(option: Settings, typed: Settings) -> bool:
    return all(typed.get(key, value) == value for key, value in option.items())


def suggest(trial: "BaseTrial", space: Sequence[Dimension], typed: Settings) -> Settings:
    """Draw settings from a space.

    Args:
        trial: Chooses the values.
        space: What is left to choose.
        typed: Keys with the values that they keep; some dimensions depend on them.
    """

    def drawn(dimension: Dimension) -> Any:
        name = dimension.name
        if isinstance(dimension, Choice):
            labels = list(dimension.options)
            return labels[0] if len(labels) == 1 else trial.suggest_categorical(name, labels)
        low, high = dimension.low, dimension.high
        if isinstance(low, int) and isinstance(high, int):
            return trial.suggest_int(name, low, high, log=dimension.log)
        return rounded(trial.suggest_float(name, low, high, log=dimension.log))

    chosen = _chosen(space, typed, drawn)
    return {key: value for key, value in chosen.items() if key not in typed}


def _chosen(
    space: Sequence[Dimension], typed: Settings, draw: Callable[[Dimension], Any]
) -> Settings:
    """Go through a space; whether a dimension exists depends on what was chosen before.

    Args:
        space: What is left to choose.
        typed: Keys with the values that they keep.
        draw: Returns the label of a choice, or the number in a range.
    """
    chosen = dict(typed)
    for dimension in space:
        if dimension.when(chosen):
            value = draw(dimension)
            chosen |= (
                dimension.options[value]
                if isinstance(dimension, Choice)
                else {dimension.name: value}
            )
    return chosen


def first_draws(
    space: Sequence[Dimension], base: Settings, typed: Settings
) -> list[dict[str, Any]]:
    """Return the draws of the first trials: each tracker with each way to compare.

    Everything else is as near to the default as possible.

    Args:
        space: What is left to choose.
        base: The default setting, every key of it.
        typed: Keys that keep their values, with these values.
    """
    crossed = [
        dimension
        for dimension in space
        if isinstance(dimension, Choice) and dimension.name in CROSSED
    ]
    names = [dimension.name for dimension in crossed]
    combinations = product(*(dimension.options for dimension in crossed))
    draws = [
        _usual(space, dict(zip(names, labels, strict=True)), base, typed) for labels in combinations
    ]
    # Not every tracker compares in every way, so some are the same.
    return list({tuple(draw.items()): draw for draw in draws}.values())


def _usual(
    space: Sequence[Dimension], picked: Mapping[str, str], base: Settings, typed: Settings
) -> dict[str, Any]:
    """Return the draw that is nearest to the default setting but for the picked labels."""
    draws: dict[str, Any] = {}

    def drawn(dimension: Dimension) -> Any:
        name = dimension.name
        if isinstance(dimension, Range):
            draws[name] = min(max(base[name], dimension.low), dimension.high)
            return draws[name]
        labels = list(dimension.options)
        label = picked.get(name) or next(
            (label for label in labels if _agree(dimension.options[label], base)), labels[0]
        )
        if len(labels) > 1:  # Optuna is not asked where there is one.
            draws[name] = label
        return label

    _chosen(space, typed, drawn)
    return draws
