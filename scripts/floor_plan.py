"""The rooms of the package in their order: who may import whom.

A room is a folder or a file at the root of `sleap_lab/`. It may import the rooms below it in
`ROOMS`. `tests/docs/test_floor_plan.py` checks the code.

    python scripts/floor_plan.py     draw docs/assets/rooms.svg again, and count
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from graphlib import CycleError, TopologicalSorter
from itertools import permutations
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "sleap_lab"
PICTURE = PACKAGE.parent / "docs" / "assets" / "rooms.svg"

ROOMS = (
    *("__main__", "__init__", "cli", "compare", "launch", "sweeps", "tune", "experiment"),
    *("predict", "inference", "runs", "report", "pipelines", "evaluation", "quality"),
    *("checkpoints", "tracking", "filters", "media", "networks", "settings", "poses"),
    *("decode", "demo", "files", "terminal", "errors"),
)
"""From the top to the bottom: from what a user types to what everything is made of.

The package itself (`__init__`) names what is public, and no room imports it.
"""

COLUMNS = 5  # of the picture

Imports = Mapping[tuple[str, str], list[str]]


@cache
def modules() -> Mapping[str, set[str]]:
    """Return which modules each module of the package imports, all without `sleap_lab.`."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found[name.removesuffix(".__init__")] = set(imported(tree))
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the package that some code imports anywhere, without `sleap_lab.`."""
    for node in ast.walk(tree):
        names = list[str]()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for package, *parts in (name.split(".") for name in names):
            if package == PACKAGE.name:
                while parts and not is_module(parts):  # what a module defines
                    parts.pop()
                yield ".".join(parts) or "__init__"


def is_module(parts: Sequence[str]) -> bool:
    """Return whether there is a folder or a file of a name in the package."""
    path = PACKAGE.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


def circle(imports: Mapping[str, set[str]]) -> list[str]:
    """Return modules of which each is imported by the next, back to the first; empty if none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@cache
def imports() -> Imports:
    """Return which room imports which, with the modules in which it does."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for here, others in modules().items():
        room = here.split(".")[0]
        for there in sorted(others):
            if (other := there.split(".")[0]) != room:
                found[room, other].append(f"{here} imports {there}")
    return found


def floors(arrows: Imports) -> dict[str, int]:
    """Return the floor of each room, 1 at the bottom.

    A room is one floor above the highest room that it imports.
    """
    below = {room: [there for here, there in arrows if here == room] for room in ROOMS}

    @cache
    def floor(room: str) -> int:
        return 1 + max(map(floor, below[room]), default=0)

    return {room: floor(room) for room in ROOMS}


def upward(arrows: Imports) -> list[str]:
    """Return the imports that go against the order."""
    rank = {room: place for place, room in enumerate(ROOMS)}
    return [
        where
        for (here, there), modules in arrows.items()
        for where in modules
        if rank[here] >= rank[there]
    ]


def direct(arrows: Imports) -> list[tuple[str, str]]:
    """Return which room imports which, without those also imported by way of another."""
    below = {room: {there for here, there in arrows if here == room} for room in ROOMS}

    @cache
    def reached(room: str) -> frozenset[str]:
        return frozenset(below[room]).union(*map(reached, below[room]))

    return [
        (room, there)
        for room in ROOMS
        for there in sorted(below[room])
        if not any(there in reached(way) for way in below[room] - {there})
    ]


def columns(arrows: Sequence[tuple[str, str]], level: Mapping[str, int]) -> dict[str, int]:
    """Return the column of each room in which few arrows run behind rooms that they pass.

    Args:
        arrows: Which room an arrow leads from, and which to.
        level: The floor of each room.
    """
    rows = [[room for room in ROOMS if level[room] == floor] for floor in sorted({*level.values()})]
    column = {room: place for row in rows for place, room in enumerate(row)}

    def cost() -> float:
        hidden, across = 0, 0
        for here, there in arrows:
            across += abs(step := column[here] - column[there])
            for floor in range(level[there] + 1, level[here]):
                way = (floor - level[there]) / (level[here] - level[there])
                x = column[there] + way * step
                hidden += sum(abs(column[room] - x) < 0.6 for room in rows[floor - 1])
        return 10 * hidden + across

    def moved(row: Sequence[str], places: Sequence[int]) -> float:
        column.update(zip(row, places, strict=True))
        return cost()

    for _ in range(4):  # nothing changes after the third
        for row in rows:
            best = min(permutations(range(COLUMNS), len(row)), key=partial(moved, row))
            moved(row, best)
    return column


def draw(arrows: Imports) -> str:
    """Return an SVG of the rooms by floor, with an arrow to each room that is imported directly."""
    level, shown = floors(arrows), direct(arrows)
    column, width, height, gap = columns(shown, level), 118, 34, 34
    top = max(level.values())
    place = {
        room: (
            gap + width / 2 + column[room] * (width + gap),
            gap + height / 2 + (top - level[room]) * (height + gap),
        )
        for room in ROOMS
    }
    lines = []
    for room, other in shown:
        (x1, y1), (x2, y2) = place[room], place[other]
        lines.append(
            f'<line x1="{x1:.0f}" y1="{y1 + height / 2:.0f}" '
            f'x2="{x2:.0f}" y2="{y2 - height / 2 - 3:.0f}" marker-end="url(#tip)"/>'
        )
    boxes = [
        f'<g><rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" '
        f'width="{width}" height="{height}" rx="5"/>'
        f'<text fill="#1c2733" stroke="none" text-anchor="middle" x="{x:.0f}" y="{y + 5:.0f}">'
        f"{room}{'/' if (PACKAGE / room).is_dir() else '.py'}</text></g>"
        for room, (x, y) in place.items()
    ]
    whole, high = COLUMNS * (width + gap) + gap, top * (height + gap) + gap
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {high}" '
            'font-family="sans-serif" font-size="14">',
            '<defs><marker id="tip" markerWidth="7" markerHeight="6" refX="6" refY="3" '
            'orient="auto">',
            '<path d="M0,0 L7,3 L0,6 z" fill="#66727f"/></marker></defs>',
            f'<rect width="{whole}" height="{high}" fill="white"/>',
            '<g stroke="#66727f" stroke-width="1.2">',
            *lines,
            '</g><g fill="#eef3f8" stroke="#3b5b7a">',
            *boxes,
            "</g></svg>\n",
        ]
    )


def main() -> None:
    """Draw the picture and count."""
    arrows = imports()
    PICTURE.write_text(draw(arrows), encoding="utf-8")
    print(
        f"{len(ROOMS)} rooms, {max(floors(arrows).values())} floors, {len(arrows)} arrows, "
        f"{len(upward(arrows))} upwards: {PICTURE}"
    )


if __name__ == "__main__":
    main()
