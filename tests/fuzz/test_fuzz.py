"""A few attempts of each fuzz target, always the same; `make fuzz` makes others."""

import importlib.util
from pathlib import Path

import pytest

from sleap_lab.errors import RunError

SPEC = importlib.util.spec_from_file_location("fuzz", Path(__file__).parent / "fuzz.py")
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)
targets = fuzz.load_targets()

ATTEMPTS = 40


@pytest.mark.parametrize("name", targets.TARGETS)
def test_no_file_and_no_line_is_a_surprise(name, tmp_path):
    for number in range(ATTEMPTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert fuzz.attempt(name, number, folder, targets) is None, (
            f"python tests/fuzz/fuzz.py --only {name} --first {number} --attempts 1"
        )


def test_what_is_wrong_is_told(tmp_path, monkeypatch):
    def silent(random, folder):
        raise RunError(" ")

    monkeypatch.setitem(targets.TARGETS, "silent", silent)
    monkeypatch.setitem(targets.TARGETS, "broken", lambda random, folder: 1 / 0)
    assert fuzz.attempt("silent", 0, tmp_path, targets) == "it does not say what is wrong"
    assert "ZeroDivisionError" in fuzz.attempt("broken", 0, tmp_path, targets)
