"""Every experiment preset: the command in its second line works, on the demo's files."""

import shlex
import shutil
from math import prod
from pathlib import Path

import pytest
import yaml

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


def n_jobs(preset):
    """Return the number of jobs that a preset makes a sweep of, 1 for other presets."""
    settings = yaml.safe_load(preset.read_text(encoding="utf-8"))
    params = settings.get("hydra", {}).get("sweeper", {}).get("params", {})
    return prod(len(str(values).split(",")) for values in params.values())


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_the_command_of_a_preset_works(preset, practice, call, monkeypatch):
    """Takes a second per job: the largest sweep has twelve, each in a process of its own."""
    package, command = preset.read_text(encoding="utf-8").splitlines()[:2]
    assert package == "# @package _global_"
    words = shlex.split(command.removeprefix("# "))
    assert words[0] == "sleap-lab"
    assert f"experiment={preset.stem}" in words
    monkeypatch.chdir(practice)
    ended = call(*words[1:], "data.frames=0-2", "report=none", "logger=none")
    assert ended.code == 0, ended.err
    assert "failed" not in ended.out
    if n_jobs(preset) > 1:
        assert ended.out.count("finished in") == n_jobs(preset)
        assert call(f"experiment={preset.stem}", "--cfg", "job").code == 0
