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
    assert rooms == {*floor_plan.ROOMS, *floor_plan.GROUND, *floor_plan.APART}


def test_no_room_imports_what_stands_above_it():
    assert floor_plan.upward(floor_plan.imports()) == []


def test_the_house_stays_low_and_its_rooms_apart():
    arrows = floor_plan.imports()
    assert max(floor_plan.floors(arrows).values()) <= 11
    assert len(arrows) <= 140
    assert len(list(floor_plan.PACKAGE.glob("*.py"))) <= 13


@pytest.mark.parametrize(
    ("arrows", "wrong"),
    [
        (
            {("poses", "tracking"): ["poses/a.py imports tracking.b"]},
            ["poses/a.py imports tracking.b"],
        ),
        ({("tracking", "poses"): ["tracking/b.py imports poses.a"]}, []),
        (
            {("errors", "files"): ["errors.py imports files.atomic"]},
            ["errors.py imports files.atomic"],
        ),
        ({("files", "errors"): ["files/a.py imports errors"]}, []),
        ({("__init__", "experiment"): ["__init__.py imports experiment"]}, []),  # what is public
    ],
)
def test_an_import_against_the_order_is_found(arrows, wrong):
    assert floor_plan.upward(arrows) == wrong


def test_imports_are_found_wherever_they_stand(tmp_path):
    code = (
        "import sleap_lab.cli\nfrom sleap_lab import terminal, run_inference\n"
        "def f():\n    from sleap_lab.poses.record import Poses\n"
    )
    assert sorted(floor_plan.modules(floor_plan.ast.parse(code))) == [
        "__init__",
        "cli",
        "poses.record",
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
