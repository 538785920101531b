"""The recipes of CONTRIBUTING.md, each followed from the code as it is to a test that passes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.diff"))


def test_every_recipe_is_told():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(RECIPES) == 3
    assert [recipe.name for recipe in RECIPES if f"docs/recipes/{recipe.name}" not in text] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_leads_to_a_test_that_passes(recipe, tmp_path):
    """If a recipe does not apply, follow it by hand, and write the new diff."""
    for folder in ("sleap_lab", "conf"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__", "models", "*.mp4"),
        )
    applied = subprocess.run(
        ["git", "apply", "--verbose", recipe],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr
    (test,) = tmp_path.glob("tests/**/test_*.py")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        tmp_path,
        test,
    ]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
