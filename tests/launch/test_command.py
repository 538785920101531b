from pathlib import Path

import pytest
import yaml

from sleap_lab import experiment
from sleap_lab.errors import ConfigError
from sleap_lab.launch.command import launch
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.occupancy import LEFT_BY_RUNS
from sleap_lab.settings.compose import find_configs
from sleap_lab.settings.jobs import check_jobs

POINTS = [[10, 10], [20, 10], [10, 20]]
WORDS = ["data.path=labels.slp", "model=none", "tracker=fixed_window", "logger=none", "report=none"]


@pytest.fixture(autouse=True)
def labels(tmp_path, monkeypatch, video_path, make_labels):
    monkeypatch.chdir(tmp_path)
    make_labels([video_path], predicted=[(0, 0, POINTS), (0, 1, POINTS)]).save(
        "labels.slp", verbose=False
    )


def started(*overrides):
    words = [*WORDS, *overrides]
    return launch(check_jobs(words, multirun=False), words, ["sleap-lab", *words])


def run_folders(root="outputs"):
    return sorted(path.parent for path in Path(root).rglob("run.json"))


def test_a_run_gets_a_folder_named_by_the_time(capsys):
    assert started() == 0
    (folder,) = run_folders()
    assert [len(part) for part in folder.parts] == [
        len("outputs"),
        len("2026-01-02"),
        len("03-04-05-000006"),
    ]
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
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir: not known before the run: "):
        started("hydra.run.dir=${hydra.job.num}")


def test_an_interruption_comes_through(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        started()


def test_a_second_run_in_a_folder_is_refused():
    assert started("hydra.run.dir=mine") == 0
    before = Path("mine/run.json").read_bytes()
    with pytest.raises(ConfigError, match="mine holds the results of another run"):
        started("hydra.run.dir=mine", "tracker.max_tracks=1")
    assert Path("mine/run.json").read_bytes() == before


def test_a_run_takes_the_place_of_one_that_failed():
    truth = [
        "evaluator=oks",
        "evaluator.ground_truth_path=labels.slp",
        "evaluator.user_labels_only=false",
    ]
    assert started("hydra.run.dir=mine", "data.video_index=7", *truth) == 2
    Path("mine/metrics.json").write_text("{}")
    assert started("hydra.run.dir=mine") == 0
    assert not Path("mine/metrics.json").exists()


def test_every_file_of_a_run_makes_room_for_another():
    words = [
        "experiment=demo", "data.frames=0-9", "logger=none", "cache=off", "hydra.run.dir=mine",
        "output.formats=[slp,csv,analysis_h5,nwb,coco]",
        "report_figures=svg", "output.overlay_video=true", "output.return_confmaps=true",
    ]  # fmt: skip
    checked = check_jobs(words, multirun=False)
    assert launch(checked, words, ["sleap-lab", *words]) == 0
    left = {path.name for path in Path("mine").iterdir()} - {
        "run.json",
        "run.log",
        "run.lock",
        ".hydra",
    }
    assert left == {path.name for pattern in LEFT_BY_RUNS for path in Path("mine").glob(pattern)}


def test_a_config_of_ones_own_holds_in_the_run():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/box.yaml").write_text(
        "# @package _global_\nhydra: {run: {dir: results/monday}}\n"
        "output: {path: '${hydra:runtime.output_dir}/own.slp'}\n"
    )
    Path("mine/ours.yaml").write_text("tracker: {max_tracks: 1}\n")
    words, configs = [*WORDS, "experiment=box"], find_configs("ours", "mine")
    assert (
        launch(check_jobs(words, multirun=False, configs=configs), words, ["sleap-lab"], configs)
        == 0
    )
    assert Path("results/monday/own.slp").is_file()
    assert (
        yaml.safe_load(Path("results/monday/snapshot/config.yaml").read_text())["tracker"][
            "max_tracks"
        ]
        == 1
    )
