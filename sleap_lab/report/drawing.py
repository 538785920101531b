"""The house style of all figures, and how they become files and parts of a page."""

import base64
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PALE = "#1f2933", "#5d6976", "#e3e7eb", "#c3cbd3"

ACCENT, CONTRAST = "#2f6f9f", "#d1651b"

BETWEEN = "#4a90c4"
"""The accent of what is drawn as pixels, which stay the same on light and dark pages."""

PAPER = "#ffffff"

DARK = {
    INK: "#e4e8ec",
    MUTED: "#98a3ae",
    GRID: "#2b333b",
    PALE: "#4b5661",
    ACCENT: "#6db0e0",
    CONTRAST: "#f28e45",
    PAPER: "#14181c",
}
"""Colours on a page that the system shows dark; those of `style.html`."""

# Colours that colour-blind readers can tell apart (Okabe and Ito), without black and with the
# vivid ones first.
PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#f0e442")

NARROW, WIDE = 4.6, 9.4  # figure widths, inches; narrow, so that text is large on a page
ROOMY = 3.6  # figure height, inches

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.sans-serif": ["DejaVu Sans", "Helvetica Neue", "Arial"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "svg.fonttype": "none",
    # Element names are otherwise random, and equal runs would write unequal pages.
    "svg.hashsalt": "sleap_lab",
    "text.color": INK,
    "text.parse_math": False,  # a node may be called "$x"
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw everything inside in the report's style, whatever the user's matplotlib settings are."""
    from matplotlib import style

    with style.context(["default", STYLE]), warnings.catch_warnings():
        # Text stays text in the SVG; the reader's browser has glyphs that the font used for
        # measuring lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def encoded(figure: "Figure", kind: str, *, paper: str = PAPER) -> bytes:
    """Return a figure as a file, `svg` or `png`, the same bytes for the same figure."""
    file = BytesIO()
    figure.savefig(
        file,
        format=kind,
        facecolor=paper,
        metadata={"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind],
    )
    return file.getvalue()


def data_uri(figure: "Figure", kind: str = "svg") -> str:
    """Return a figure, `svg` or `png`, as a `data:` address.

    An SVG has no background, and takes the colours of `DARK` where the system asks for a dark page.
    """
    mime = {"svg": "svg+xml", "png": "png"}[kind]
    content = encoded(figure, kind, paper="none" if kind == "svg" else PAPER)
    if kind == "svg":
        before, opening, after = content.partition(b"<defs>")
        content = before + _dark_style().encode() + opening + after
    return f"data:image/{mime};base64,{base64.b64encode(content).decode()}"


def _dark_style() -> str:
    rules = " ".join(
        f'[style*="{what}: {light}"] {{ {what}: {dark} !important }}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    return f"<style>@media screen and (prefers-color-scheme: dark) {{ {rules} }}</style>"


def track_color(index: int) -> str:
    """Return the colour of a track, or of the index-th instance of a frame without tracks."""
    return PALETTE[index % len(PALETTE)]


def canvas(width: float, height: float) -> "tuple[Figure, Axes]":
    """Return an empty figure of this size (inches) and its axes, without pyplot's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150)
    return figure, figure.add_subplot()


def rows_height(rows: int, *, roomy: bool = False) -> float:
    """Return the height in inches of a figure with one row per name.

    A roomy figure is at least as high as the others beside it.
    """
    return max(0.9 + 0.21 * max(rows, 3), ROOMY if roomy else 0.0)


def name_rows(axes: "Axes", names: Sequence[str]) -> None:
    """Label one row per name, the first on top."""
    axes.set_yticks(range(len(names)), [cut(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def legend_above(axes: "Axes", handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Put a legend above the axes, where it covers no data."""
    ncols = 2 if axes.figure.bbox.width <= NARROW * axes.figure.dpi else 3
    legend = axes.legend(
        handles, labels, loc="lower left", ncols=ncols, bbox_to_anchor=(0, 1), borderaxespad=0.2
    )
    for handle in filter(None, legend.legend_handles):
        handle.set_alpha(
            1
        )  # where thousands of points are drawn, a single one is too pale to be seen


def cut(name: str, length: int = 26) -> str:
    """Cut a long name, and replace what cannot be written into an SVG."""
    name = "".join(letter if letter.isprintable() else "�" for letter in name)
    return name if len(name) <= length else name[: length - 1] + "…"
