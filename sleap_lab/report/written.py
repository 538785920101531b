"""How settings, numbers and the columns of tables are written."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

UNKNOWN = "n/a"
LARGE = 10  # numbers from here on need fewer decimals
LONG = 40
"""Letters above which a cell is broken into lines."""

_FIGURE = r"[-+]?\d[\d,.]*(e[-+]?\d+)?( px|%)?"
_FIGURES = re.compile(rf"({_FIGURE}( to {_FIGURE})?|–|n/a|)")


def text(value: Any) -> str:
    """Write a setting as the config files do."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(text, value))}]"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def number(value: float) -> str:
    """Write a number, whole ones without decimals and small ones with more; `n/a` for nan."""
    return alike([value])[0]


def alike(values: Sequence[float]) -> list[str]:
    """Write numbers of one kind, all with the decimals that they need; `n/a` for nan."""
    known = np.array(values, dtype=float)
    known = known[~np.isnan(known)]
    whole = bool((known == np.round(known)).all())
    decimals = 0 if whole else 2 if np.abs(known).max() >= LARGE else 4
    return [UNKNOWN if np.isnan(value) else f"{value:,.{decimals}f}" for value in values]


def share(value: float) -> str:
    """Write a number between 0 and 1; `n/a` for nan."""
    return "n/a" if np.isnan(value) else f"{value:.3f}"


def px(value: float) -> str:
    """Write a distance; `n/a` for nan."""
    return "n/a" if np.isnan(value) else f"{value:.2f} px"


def kinds(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the class of each column of a table: `words` where it holds more than figures.

    Words stand at the left of their column, and those that are `long` are broken into lines.
    """
    return [
        ""
        if all(_FIGURES.fullmatch(cell) for cell in cells)
        else "words long"
        if max(map(len, cells)) > LONG
        else "words"
        for cells in zip(*rows, strict=True)
    ]


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Write a table as plain text, its columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
