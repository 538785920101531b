"""The generated pages say what the code says."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location(
    "make_reference", ROOT / "scripts" / "make_reference.py"
)
assert SPEC is not None
assert SPEC.loader is not None
make_reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(make_reference)


@pytest.mark.parametrize("name", make_reference.PAGES)
def test_page_is_fresh(name):
    """If a page is stale, run `make docs`."""
    written = (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert written == make_reference.GENERATED + make_reference.PAGES[name]()
