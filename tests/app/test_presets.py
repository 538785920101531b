"""Every experiment preset: the command in its second line works, on the demo's files."""

import shlex
import shutil
from pathlib import Path

import pytest

from sleap_lab.demo.__main__ import copy

PRESETS = sorted((Path(__file__).parents[2] / "conf" / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module")
def practice(tmp_path_factory):
    """A copy of the demo, with labels and predictions of the names that the presets use."""
    folder = tmp_path_factory.mktemp("presets") / "practice"
    copy(folder)
    for name in ("labels.slp", "predictions.slp"):
        shutil.copyfile(folder / "truth.slp", folder / name)
    return folder


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_the_command_of_a_preset_works(preset, practice, call, monkeypatch):
    package, command = preset.read_text(encoding="utf-8").splitlines()[:2]
    assert package == "# @package _global_"
    words = shlex.split(command.removeprefix("# "))
    assert words[0] == "sleap-lab"
    assert f"experiment={preset.stem}" in words
    monkeypatch.chdir(practice)
    ended = call(*words[1:], "data.frames=0-2", "report=none", "logger=none")
    assert ended.code == 0, ended.err
    assert "failed" not in ended.out
