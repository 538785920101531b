"""The rooms of the package in their order: who may import whom.

A room is a folder or a file at the root of `sleap_lab/`. It may import the rooms below it in
`ROOMS`. `tests/docs/test_floor_plan.py` checks the code.

    python scripts/floor_plan.py     draw docs/assets/rooms.svg again, and count
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
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

Imports = Mapping[tuple[str, str], list[str]]


@cache
def imports() -> Imports:
    """Return which room imports which, with the files in which it does."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for file in sorted(PACKAGE.rglob("*.py")):
        here = file.relative_to(PACKAGE)
        for module in modules(ast.parse(file.read_text(encoding="utf-8"))):
            if (there := module.split(".")[0]) != (room := here.parts[0].removesuffix(".py")):
                found[room, there].append(f"{here.as_posix()} imports {module}")
    return found


def modules(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of the package that some code imports anywhere, without `sleap_lab.`."""
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "sleap_lab":
            names = [
                f"sleap_lab.{alias.name}" if is_room(alias.name) else "sleap_lab.__init__"
                for alias in node.names
            ]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (
            name.removeprefix("sleap_lab.") for name in names if name.startswith("sleap_lab.")
        )


def is_room(name: str) -> bool:
    """Return whether there is a folder or a file of a name at the root of the package."""
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


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
        for (here, there), files in arrows.items()
        for where in files
        if rank[here] >= rank[there]
    ]


def draw(arrows: Imports) -> str:
    """Return an SVG of the rooms by floor.

    An arrow leads to each imported room that is not also imported by way of another.
    """
    below: dict[str, set[str]] = {room: set() for room in ROOMS}
    for here, there in arrows:
        below[here].add(there)

    @cache
    def reached(room: str) -> frozenset[str]:
        return frozenset(below[room]).union(*map(reached, below[room]))

    level, width, height, gap = floors(arrows), 118, 34, 34
    rows = [
        [room for room in ROOMS if level[room] == number]
        for number in range(max(level.values()), 0, -1)
    ]
    whole = max(map(len, rows)) * (width + gap) + gap
    place = {
        room: (
            whole / 2 + (k - (len(row) - 1) / 2) * (width + gap),
            gap + y * (height + gap) + height / 2,
        )
        for y, row in enumerate(rows)
        for k, room in enumerate(row)
    }
    lines = []
    for room in ROOMS:
        for other in sorted(
            there
            for there in below[room]
            if not any(there in reached(way) for way in below[room] - {there})
        ):
            (x1, y1), (x2, y2) = place[room], place[other]
            lines.append(
                f'<line x1="{x1:.0f}" y1="{y1 + height / 2:.0f}" '
                f'x2="{x2:.0f}" y2="{y2 - height / 2 - 3:.0f}" marker-end="url(#tip)"/>'
            )
    boxes = [
        f'<g><rect x="{x - width / 2:.0f}" y="{y - height / 2:.0f}" '
        f'width="{width}" height="{height}" rx="5"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}">'
        f"{room}{'/' if (PACKAGE / room).is_dir() else '.py'}</text></g>"
        for room, (x, y) in place.items()
    ]
    high = len(rows) * (height + gap) + gap
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
            *(
                box.replace("<text", '<text fill="#1c2733" stroke="none" text-anchor="middle"')
                for box in boxes
            ),
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
