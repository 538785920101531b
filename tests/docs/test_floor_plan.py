"""Who may import whom: the order of the rooms, and its picture and table in the documentation."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("floor_plan", ROOT / "scripts" / "floor_plan.py")
assert SPEC is not None
assert SPEC.loader is not None
floor_plan = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(floor_plan)


def test_every_room_has_its_place():
    rooms = {
        path.name.removesuffix(".py")
        for path in floor_plan.PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert sorted(rooms) == sorted(floor_plan.ROOMS)


def test_no_room_imports_what_stands_above_it():
    assert floor_plan.upward(floor_plan.imports()) == []


def test_no_modules_import_each_other_in_a_circle():
    assert floor_plan.circle(floor_plan.modules()) == []


def test_the_house_stays_low_and_its_rooms_apart():
    arrows = floor_plan.imports()
    floors = floor_plan.floors(arrows)
    assert floors.keys() == set(floor_plan.ROOMS)  # all rooms are counted
    assert max(floors.values()) <= 11
    assert len(arrows) <= 140
    assert len(list(floor_plan.PACKAGE.glob("*.py"))) <= 13


@pytest.mark.parametrize(
    ("arrow", "is_wrong"),
    [
        (("poses", "tracking"), True),
        (("tracking", "poses"), False),
        (("errors", "files"), True),
        (("files", "errors"), False),
        (("__init__", "experiment"), False),  # what is public
        (("inference", "__init__"), True),
    ],
)
def test_an_import_against_the_order_is_found(arrow, is_wrong):
    where = ["a.b imports c.d"]
    assert floor_plan.upward({arrow: where}) == (where if is_wrong else [])


def test_a_room_stands_above_all_that_it_imports():
    floors = floor_plan.floors({("cli", "runs"): [], ("runs", "errors"): [], ("cli", "errors"): []})
    assert (floors["cli"], floors["runs"], floors["errors"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        ({"a.b": {"a.c", "d"}, "a.c": {"d"}}, set()),
        ({"a.b": {"a.c"}, "a.c": {"a.d"}, "a.d": {"a.b"}, "e": {"a.b"}}, {"a.b", "a.c", "a.d"}),
        ({"a.b": {"a.b"}}, {"a.b"}),
    ],
)
def test_a_circle_of_modules_is_found(modules, found):
    assert set(floor_plan.circle(modules)) == found


def test_imports_are_found_wherever_they_stand():
    code = (
        "import numpy\nimport sleap_lab.cli\n"
        "from sleap_lab import terminal, run_inference\nfrom sleap_lab.runs import summary\n"
        "def f():\n    from sleap_lab.poses.record import Poses\n"
    )
    assert sorted(floor_plan.imported(floor_plan.ast.parse(code))) == [
        "__init__",
        "cli",
        "poses.record",
        "runs.summary",
        "terminal",
    ]


def test_the_picture_is_that_of_the_code():
    """If it fails, run `python scripts/floor_plan.py`."""
    assert floor_plan.PICTURE.read_text(encoding="utf-8") == floor_plan.draw(floor_plan.imports())


def test_the_table_of_where_to_change_what_names_files_that_exist():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("## Where to change what") : page.index("`make docs` writes")]
    names = set(re.findall(r"`([\w/]+(?:\.py|/))`", table))
    assert len(names) > 15
    assert {
        name
        for name in names
        if not any((ROOT / start / name).exists() for start in ("sleap_lab", "."))
    } == set()


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_what_is_named_stands_in_the_file_that_is_named_with_it(page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    named = re.findall(r"`(\w+)`(?: (?:and|or) `(\w+)`)? of `([\w/]+\.py)`", text)
    assert named
    assert [
        (name, file)
        for *names, file in named
        for name in names
        if name not in (ROOT / "sleap_lab" / file).read_text(encoding="utf-8")
    ] == []
