from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from sleap_lab import launch as launching
from sleap_lab.compose import check_jobs
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.experiment import run
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


def started(*overrides, flags=(), multirun=False):
    words = [*WORDS, *overrides]
    configs = check_jobs(words, multirun=multirun)
    return launch(words, flags, ["sleap-lab", *words], configs[0].logger, multirun=multirun)


def run_folders(root="outputs"):
    return sorted(path.parent for path in Path(root).rglob("run.json"))


# --- one run ----------------------------------------------------------------------------


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
    with pytest.raises(
        ConfigError, match=r"hydra\.run\.dir: only \$\{now:…\} and \$\{oc\.env:…\} can stand in it, got \$\{hydra\.job\.name\}"
    ):
        started("hydra.run.dir=${hydra.job.name}")


def test_an_interruption_comes_through(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(launching, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        started()


# --- sweeps -----------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [[], ["hydra.sweep.dir='my sweep, ${oc.env:SLEAP_LAB_TEST}'"]], ids=["by time", "chosen"])
def test_a_sweep_runs_every_combination_and_tells_how_each_went(chosen, monkeypatch, capsys):
    monkeypatch.setenv("SLEAP_LAB_TEST", "2")
    assert started("tracker.tracking_window_size=2,3", *chosen, flags=["-m"], multirun=True) == 0
    first, second = run_folders(".")
    assert (first.name, second.name, first.parent) == ("0", "1", second.parent)
    assert first.parent.parts[:2] == (("my sweep, 2",) if chosen else ("outputs", "multirun"))
    assert [run_summary.read(folder).job for folder in (first, second)] == [0, 1]
    assert (first.parent / "results.csv").read_text().startswith("job,status,tracker.tracking_window_size")
    assert run_summary.read(first.parent, run_summary.SWEEP_FILE).status == "finished"
    told = capsys.readouterr().out
    assert "tracking_window_size" in told.replace(" ", "_")
    assert told.splitlines()[-1].split() == ["sweep", "folder", *str(first.parent).split()]


def test_a_job_that_fails_fails_alone(monkeypatch, capsys):
    def run_but_job_0(config, folder, invocation):
        if invocation.job == 0:
            Path(config.data.path).rename("away.slp")
        result = run(config, folder, invocation)
        if invocation.job == 0:
            Path("away.slp").rename(config.data.path)
        return result

    monkeypatch.setattr(launching, "run", run_but_job_0)
    assert started("tracker.tracking_window_size=2,3", flags=["-m"], multirun=True) == 3
    assert [run_summary.read(folder).status for folder in run_folders()] == ["failed", "finished"]
    assert "labels.slp" in capsys.readouterr().out  # the table says why


def test_an_interrupted_sweep_keeps_what_is_done(monkeypatch):
    def run_but_job_1(config, folder, invocation):
        if invocation.job == 1:
            raise KeyboardInterrupt
        return run(config, folder, invocation)

    monkeypatch.setattr(launching, "run", run_but_job_1)
    with pytest.raises(KeyboardInterrupt):
        started("tracker.tracking_window_size=2,3,4", flags=["-m"], multirun=True)
    (done,) = run_folders()
    assert run_summary.read(done).status == "finished"
    assert run_summary.read(done.parent, run_summary.SWEEP_FILE).status == "interrupted"
    assert (done.parent / "results.csv").is_file()


def test_a_store_that_is_away_costs_a_sweep_nothing_but_the_mirror(monkeypatch, capsys):
    def fail(*_, **__):
        raise RunError("no server")

    monkeypatch.setattr(launching, "start_parent", fail)
    monkeypatch.setattr(launching, "finish_parent", fail)
    assert started("tracker.tracking_window_size=2,3", flags=["-m"], multirun=True) == 0
    captured = capsys.readouterr()
    assert captured.err.count("warning: no server\n") == 2
    assert "finished" in captured.out
