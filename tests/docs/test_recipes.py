"""The recipes of CONTRIBUTING.md, each followed from the code as it is to tests that pass."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.diff"))
RENEW = """The code beside a line of this recipe has changed. Follow the recipe by hand on a clean
checkout, write `git diff -U1 > docs/recipes/NAME.diff` (new files: `git add -N` first), and take
the change back.
"""


def test_every_recipe_is_told():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(RECIPES) == 3
    assert [recipe.name for recipe in RECIPES if f"docs/recipes/{recipe.name}" not in text] == []


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)
def test_a_recipe_leads_to_a_test_that_passes(recipe, tmp_path):
    if apply(recipe, ROOT, "--reverse", "--check").returncode == 0:
        pytest.skip("this checkout has followed the recipe")
    for folder in ("sleap_lab", "conf"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            ignore=shutil.ignore_patterns("__pycache__", "models", "*.mp4"),
        )
    tests = re.findall(r"^\+\+\+ b/(tests/.*)", recipe.read_text(encoding="utf-8"), re.MULTILINE)
    for test in tests:
        (tmp_path / test).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / test).is_file():
            shutil.copy(ROOT / test, tmp_path / test)
    applied = apply(recipe, tmp_path)
    assert applied.returncode == 0, RENEW + applied.stderr
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [*command, "--rootdir", tmp_path, *tests],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def apply(recipe, folder, *options):
    return subprocess.run(
        ["git", "apply", *options, recipe],
        cwd=folder,
        # Of a repository further up, git would take a recipe for one of other files.
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
