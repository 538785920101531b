from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from sleap_lab import experiment
from sleap_lab.compose import check_jobs
from sleap_lab.errors import ConfigError
from sleap_lab.launch import launch
from sleap_lab.runs import summary as run_summary

POINTS = [[10, 10], [20, 10], [10, 20]]
WORDS = ["data.path=labels.slp", "model=none", "tracker=fixed_window", "logger=none", "report=none"]


@pytest.fixture(autouse=True)
def without_hydra():
    """Hydra keeps one application per process."""
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


@pytest.fixture(autouse=True)
def labels(tmp_path, monkeypatch, video_path, make_labels):
    monkeypatch.chdir(tmp_path)
    make_labels([video_path], predicted=[(0, 0, POINTS), (0, 1, POINTS)]).save("labels.slp", verbose=False)


def started(*overrides):
    words = [*WORDS, *overrides]
    return launch(check_jobs(words, multirun=False), words, ["sleap-lab", *words])


def run_folders(root="outputs"):
    return sorted(path.parent for path in Path(root).rglob("run.json"))


def test_a_run_gets_a_folder_named_by_the_time(capsys):
    assert started() == 0
    (folder,) = run_folders()
    assert [len(part) for part in folder.parts] == [len("outputs"), len("2026-01-02"), len("03-04-05-000006")]
    assert run_summary.read(folder).choices["tracker"] == "fixed_window"
    assert yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text()) == WORDS
    assert (folder / "snapshot" / "command.txt").read_text() == f"sleap-lab {' '.join(WORDS)}\n"


def test_the_code_is_that_of_the_run():
    assert started("data.video_index=7") == 2
    Path("labels.slp").write_text("no longer a labels file")
    assert started() == 1


@pytest.mark.parametrize(
    ("chosen", "folder"),
    [
        ("hydra.run.dir=mine", "mine"),
        ("hydra.run.dir='my own, [1] = 2'", "my own, [1] = 2"),
        ('hydra.run.dir="it\'s"', "it's"),
        ("hydra.run.dir=in/${oc.env:SLEAP_LAB_TEST}", "in/the sea"),
    ],
)
def test_a_folder_can_be_chosen(chosen, folder, monkeypatch):
    monkeypatch.setenv("SLEAP_LAB_TEST", "the sea")
    assert started(chosen) == 0
    assert run_folders(".") == [Path(folder)]


def test_a_folder_can_be_chosen_by_the_time():
    assert started("hydra.run.dir=runs/${now:%Y}") == 0
    (folder,) = run_folders(".")
    assert folder.name.isdigit()


def test_paths_are_meant_from_where_the_command_was_typed():
    assert started("hydra.job.chdir=true", "output.path=out.slp") == 0
    assert Path("out.slp").is_file()


def test_a_folder_that_cannot_be_told_is_refused():
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir: cannot be told before the run: "):
        started("hydra.run.dir=${hydra.job.num}")


def test_an_interruption_comes_through(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        started()
