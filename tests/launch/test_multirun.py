"""Sweeps: which jobs run, which resume, what the death of a job costs, and exit codes."""

import csv
import json
import shutil
import sys
from pathlib import Path

import pytest
from hydra.core.plugins import Plugins

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.launch import job as job_module
from sleap_lab.launch import passing
from sleap_lab.launch.command import launch
from sleap_lab.launch.multirun import exit_code
from sleap_lab.runs import summary
from sleap_lab.runs.summary import SWEEP_FILE, RunSummary
from sleap_lab.settings.compose import find_configs
from sleap_lab.settings.jobs import check_jobs
from sleap_lab.sweeps.best import Job
from sleap_lab.sweeps.find import find_runs
from sleap_lab.sweeps.sync import sync

POINTS = [[10, 10], [20, 10], [10, 20]]
WORDS = ["data.path=labels.slp", "model=none", "tracker=fixed_window", "logger=none", "report=none"]

# Replaces the work of a job's process: the outcome depends on the window size of the tracker. It is
# a module in a folder where child processes can import it.
DYING = """
import os, signal
from sleap_lab.launch.job import _work

def work(config, *arguments):
    size = config.tracker.tracking_window_size
    if size == 11:
        os.kill(os.getpid(), signal.SIGSEGV)
    if size == 9:
        os.kill(os.getpid(), signal.SIGKILL)
    if size == 7:
        os._exit(7)
    _work(config, *arguments)
"""


@pytest.fixture(autouse=True)
def labels(tmp_path, monkeypatch, video_path, make_labels):
    monkeypatch.chdir(tmp_path)
    make_labels([video_path], predicted=[(0, 0, POINTS), (0, 1, POINTS)]).save(
        "labels.slp", verbose=False
    )


@pytest.fixture
def dying(tmp_path_factory, monkeypatch):
    """Let jobs with some window sizes die; gives what stops that."""
    folder = tmp_path_factory.mktemp("dying")
    (folder / "dying_jobs.py").write_text(DYING)
    monkeypatch.syspath_prepend(folder)
    import dying_jobs

    with monkeypatch.context() as patched:
        patched.setattr(job_module, "_work", dying_jobs.work)
        yield patched.undo
    del sys.modules["dying_jobs"]


def swept(*overrides):
    words = [*WORDS, *overrides]
    return launch(check_jobs(words, multirun=True), words, ["sleap-lab", "-m", *words])


def sweep_folders(root="outputs"):
    return sorted(path.parent for path in Path(root).rglob("ledger.jsonl"))


def statuses(folder):
    return [
        row["status"] for row in csv.DictReader((folder / "results.csv").read_text().splitlines())
    ]


def started_at(folder):
    """Return when each job last began, by the name of its folder."""
    return {
        path.parent.name: json.loads(path.read_text())["started"]
        for path in folder.glob("*/run.json")
    }


# --- many recordings --------------------------------------------------------------------


def test_each_recording_of_a_table_is_a_job_that_resumes(labels, capsys):
    Path("day1").mkdir()
    Path("day2").mkdir()
    for name in ("day1/a.slp", "day2/a.slp", "day2/broken.slp"):
        shutil.copy("labels.slp", name)
    Path("day2/broken.slp").write_bytes(b"no labels")
    Path("all.csv").write_text(
        "data.path,tracker.tracking_window_size\nday1/a.slp,2\nday2/a.slp,3\nday2/broken.slp,\n"
    )
    words = ["data.path=all.csv", *WORDS[1:]]

    def sweep():
        return launch(check_jobs(words, multirun=True), words, ["sleap-lab", "-m", *words])

    assert sweep() == 3
    (folder,) = sweep_folders()
    assert sorted(path.name for path in folder.glob("*_*")) == ["0_a", "1_a", "2_broken"]
    found = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [(row["video"], row["frames"], row["bad"], row["status"]) for row in found] == [
        ("day1/a.slp", "2", "0", "finished"),
        ("day2/a.slp", "2", "0", "finished"),
        ("day2/broken.slp", "", "", "failed"),
    ]
    assert all((folder / name / "predictions.slp").is_file() for name in ("0_a", "1_a"))
    assert not (folder / "best.yaml").exists()
    assert "day2/a.slp" in (folder / "results.html").read_text()
    before = started_at(folder)
    assert sweep() == 3
    assert started_at(folder) == before
    assert "nothing is left to do" in capsys.readouterr().err


# --- a sweep ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chosen",
    [[], ["hydra.sweep.dir='my sweep, ${oc.env:SLEAP_LAB_TEST}'"]],
    ids=["by time", "chosen"],
)
def test_every_combination_runs_and_the_table_tells_how_each_went(chosen, monkeypatch, capsys):
    monkeypatch.setenv("SLEAP_LAB_TEST", "2")
    assert (
        swept(
            "tracker.tracking_window_size=2,3",
            "tracker.features=keypoints,centroids",
            "tracker.scoring_method=euclidean_dist",
            *chosen,
        )
        == 0
    )
    (folder,) = sweep_folders(".")
    assert folder.parts[:2] == (("my sweep, 2",) if chosen else ("outputs", "multirun"))
    runs = [summary.read(folder / str(number)) for number in range(4)]
    assert [(run.job, run.status) for run in runs] == [(number, "finished") for number in range(4)]
    assert all((folder / str(number) / "predictions.slp").is_file() for number in range(4))
    assert (
        (folder / "results.csv")
        .read_text()
        .startswith("job,status,tracker.tracking_window_size,tracker.features,")
    )
    assert summary.read(folder, SWEEP_FILE).status == "finished"
    told = capsys.readouterr()
    assert sorted(line.split()[1] for line in told.out.splitlines()[:4]) == ["0", "1", "2", "3"]
    assert told.out.splitlines()[-1].split() == ["sweep", "folder", *str(folder).split()]
    assert told.err == ""


def test_a_job_knows_what_it_is_and_leaves_nothing_of_hydra_out():
    assert (
        swept("tracker.tracking_window_size=2,3", "hydra.sweep.subdir='job ${hydra.job.num}'") == 0
    )
    (folder,) = sweep_folders()
    run = summary.read(folder / "job 1")
    assert run.choices["tracker"] == "fixed_window"
    assert run.overrides[-1] == "tracker.tracking_window_size=3"
    assert (
        (folder / "job 1" / "snapshot" / "command.txt")
        .read_text()
        .startswith("sleap-lab -m data.path=labels.slp")
    )
    assert (folder / "job 1" / ".hydra" / "overrides.yaml").is_file()


def test_paths_are_meant_from_where_the_command_was_typed():
    assert (
        swept("output.path=out.slp", "tracker.tracking_window_size=2", "hydra.job.chdir=true") == 0
    )
    assert Path("out.slp").is_file()


def test_another_objective_chooses_another_best_job_and_runs_nothing(capsys):
    words = [
        "tracker.tracking_window_size=2,3",
        "evaluator=oks",
        "evaluator.ground_truth_path=labels.slp",
        "evaluator.user_labels_only=false",
    ]
    assert swept(*words) == 0
    (folder,) = sweep_folders()
    before = started_at(folder)
    seconds = {job: sum(summary.read(folder / job).stages.values()) for job in before}
    capsys.readouterr()
    for direction, choose in (("minimize", min), ("maximize", max)):
        assert (
            swept(*words, "sweep.objective=speed/total_seconds", f"sweep.direction={direction}")
            == 0
        )
        best = choose(seconds, key=seconds.get)
        assert f"best          job {best} by speed/total_seconds\n" in capsys.readouterr().out
        assert f"tracking_window_size: {2 + int(best)}\n" in (folder / "best.yaml").read_text()
    assert started_at(folder) == before
    with pytest.raises(
        ConfigError,
        match=r"^sweep\.objective: there is no metric 'oks_mapp'\. Did you mean 'eval/oks_map'\?",
    ):
        swept(*words, "sweep.objective=oks_mapp")


# --- jobs that fail or die --------------------------------------------------------------


def test_a_job_that_fails_fails_alone(capsys):
    assert swept("data.video_index=7,0") == 3
    (folder,) = sweep_folders()
    assert statuses(folder) == ["failed", "finished"]
    told = capsys.readouterr()
    beforehand, failed = told.err.splitlines()[:2]
    assert beforehand.startswith("warning: job 0 cannot run: data.video_index: ")
    assert failed.startswith("error: job 0 failed: data.video_index: ")
    assert f"(log: {folder / '0' / 'run.log'})" in told.err
    assert told.err.endswith("note: sweep.rerun=failed also runs those that failed: job 0\n")
    assert "ERROR data.video_index: " in (folder / "0" / "run.log").read_text()


def test_what_all_jobs_would_fail_for_is_said_once_before_the_first(capsys):
    with pytest.raises(ConfigError, match=r"^data\.video_index: "):
        swept("data.video_index=7", "tracker.tracking_window_size=2,3")
    assert capsys.readouterr().err == ""
    assert not sweep_folders()
    assert not list(Path("outputs").glob("multirun/*"))


def test_a_chosen_folder_stays_as_it_was(make_labels, video_path):
    words = ["tracker.tracking_window_size=2,3", "hydra.sweep.dir=mine"]
    with pytest.raises(ConfigError, match="no job of the sweep can run"):
        swept("data.video_index=7,8", *words)
    assert list(Path("mine").iterdir()) == []
    assert swept(*words) == 0


def test_a_job_that_dies_dies_alone_and_is_run_again(dying, capsys):
    words = ["tracker.tracking_window_size=2,7,9,11"]
    assert swept(*words) == 3
    (folder,) = sweep_folders()
    assert statuses(folder) == ["finished", "failed", "failed", "failed"]
    said = capsys.readouterr().err
    for number, why in enumerate(
        ("ended with exit code 7", "ended by SIGKILL", "ended by SIGSEGV"), start=1
    ):
        assert f"error: job {number} failed: its process" in said
        assert why in said
    assert said.endswith("note: the same command runs the jobs without a result: job 1, 2, 3\n")

    dying()
    before = started_at(folder)
    assert swept(*words) == 0
    assert sweep_folders() == [folder]
    after = started_at(folder)
    assert {name for name in after if after[name] != before.get(name)} == {"1", "2", "3"}
    assert "note: resuming" in capsys.readouterr().err


def test_the_log_of_a_crash_says_where_it_was(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("crashing")
    crash = "import faulthandler, sleap_lab.experiment\ndef run(*_): faulthandler._sigsegv()\n"
    (folder / "crashing_jobs.py").write_text(
        crash + "def work(*a):\n    sleap_lab.experiment.run = run\n"
        "    from sleap_lab.launch.job import _work\n    _work(*a)\n"
    )
    monkeypatch.syspath_prepend(folder)
    import crashing_jobs

    monkeypatch.setattr(job_module, "_work", crashing_jobs.work)
    assert swept("tracker.tracking_window_size=2") == 1
    (sweep,) = sweep_folders()
    assert "Fatal Python error: Segmentation fault" in (sweep / "0" / "run.log").read_text()


# --- again ------------------------------------------------------------------------------


def test_a_sweep_that_is_done_is_shown_and_not_run(capsys):
    words = ["data.video_index=0,7", "tracker.tracking_window_size=2"]
    assert swept(*words) == 3
    (folder,) = sweep_folders()
    before = started_at(folder)
    capsys.readouterr()
    assert swept(*words) == 3  # one that failed by an error of its own would fail again
    assert started_at(folder) == before
    told = capsys.readouterr()
    assert told.err.startswith(
        f"note: nothing is left to do in {folder}; sweep.rerun=all runs the sweep again\n"
    )
    assert "labels.slp has" in told.out.replace("\n", " ")

    assert swept(*words, "sweep.rerun=failed") == 3
    after = started_at(folder)
    assert [after[name] == before[name] for name in ("0", "1")] == [True, False]
    assert (folder / "1" / "run.log").read_text().count(
        "ERROR data.video_index: "
    ) == 2  # both attempts

    assert swept(*words, "sweep.rerun=all") == 3
    assert len(sweep_folders()) == 2
    assert started_at(folder) == after


def test_another_launcher_takes_the_same_sweep_up(capsys):
    words = ["tracker.tracking_window_size=2,3"]
    assert swept(*words) == 0
    assert swept(*words, "hydra/launcher=basic", "hydra.job.chdir=false") == 0
    assert len(sweep_folders()) == 1


def test_jobs_that_never_ran_are_run(monkeypatch, capsys):
    words = ["tracker.tracking_window_size=2,3,4"]

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(passing, "_launch", interrupt)
        with pytest.raises(KeyboardInterrupt):
            swept(*words)
    (folder,) = sweep_folders()
    assert "go on with: sleap-lab -m data.path=labels.slp" in capsys.readouterr().err
    assert statuses(folder) == 3 * ["not run"]
    assert summary.read(folder, SWEEP_FILE).status == "interrupted"
    assert swept(*words) == 0
    assert sweep_folders() == [folder]
    assert summary.read(folder, SWEEP_FILE).status == "finished"


def test_all_in_a_chosen_folder_is_run_there():
    words = ["tracker.tracking_window_size=2", "hydra.sweep.dir=mine"]
    assert swept(*words) == 0
    before = started_at(Path("mine"))
    Path("mine/0/predictions.csv").touch()
    Path("mine/0/notes.txt").write_text("what I think of it")
    assert swept(*words, "sweep.rerun=all") == 0
    assert started_at(Path("mine")) != before
    assert not Path("mine/0/predictions.csv").exists()
    assert Path("mine/0/notes.txt").read_text() == "what I think of it"


def test_folders_of_jobs_may_lie_deeper():
    """Takes five seconds: four jobs, each with its run in MLflow."""
    Path("mine").mkdir()
    Path("mine/ours.yaml").write_text(
        "hydra: {sweep: {subdir: "
        "'w${tracker.tracking_window_size}/n${tracker.min_match_points}'}}\n"
    )
    configs = find_configs("ours", "mine")
    words = [*WORDS, "tracker.tracking_window_size=2,3", "tracker.min_match_points=0,1"]
    words = ["logger=mlflow" if word == "logger=none" else word for word in words]
    for _ in range(2):  # the second time there is nothing left to do
        assert (
            launch(
                check_jobs(words, multirun=True, configs=configs),
                words,
                ["sleap-lab", "-m", *words],
                configs,
            )
            == 0
        )
    (folder,) = sweep_folders("outputs/multirun")  # MLflow has copies of its files
    jobs = [f"w{window}/n{points}" for window in (2, 3) for points in (0, 1)]
    assert [(folder / job / "predictions.slp").is_file() for job in jobs] == [True] * 4
    assert find_runs(str(folder), folder, outputs_root=Path("outputs")).folders == [
        folder / job for job in jobs
    ]
    assert [summary.sweep_of(folder / job) for job in jobs] == [folder.absolute()] * 4
    assert list(sync([], outputs_root=Path("outputs").absolute())) == [folder.absolute()]


def test_other_folders_of_the_jobs_make_another_sweep():
    for word in ("hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.subdir=job_${hydra.job.num}"):
        assert swept("tracker.tracking_window_size=2,3", word) == 0
    assert sorted(path.parent.name for path in Path("outputs").rglob("run.json")) == [
        "0",
        "1",
        "job_0",
        "job_1",
    ]
    assert len(sweep_folders()) == 2


def test_the_best_config_of_a_sweep_runs():
    truth = [
        "evaluator=oks",
        "evaluator.user_labels_only=false",
        "evaluator.ground_truth_path=truth.slp",
    ]
    Path("truth.slp").write_bytes(Path("labels.slp").read_bytes())
    assert swept("tracker.tracking_window_size=2,3", "hydra.sweep.dir=mine", *truth) == 0
    configs = find_configs("best", "mine")
    for words, many in (
        (["hydra.run.dir=again"], False),
        (["tracker=flow,local_queues", "hydra.sweep.dir=more"], True),
    ):
        assert (
            launch(check_jobs(words, multirun=many, configs=configs), words, ["sleap-lab"], configs)
            == 0
        )
    assert Path("again/metrics.json").is_file()
    assert Path("more/1/metrics.json").is_file()


def test_two_sweeps_never_share_a_folder():
    assert swept("tracker.tracking_window_size=2", "hydra.sweep.dir=mine") == 0
    with pytest.raises(ConfigError, match="mine holds another sweep; choose another folder"):
        swept("tracker.tracking_window_size=3", "hydra.sweep.dir=mine")


def test_what_changed_makes_another_sweep(video_path, make_labels):
    assert swept("tracker.tracking_window_size=2") == 0
    make_labels([video_path], predicted=[(0, 0, POINTS)]).save("labels.slp", verbose=False)
    assert swept("tracker.tracking_window_size=2") == 0
    assert swept("tracker.tracking_window_size=3") == 0
    assert len(sweep_folders()) == 3


def test_after_a_failure_no_job_starts_if_so_asked(capsys):
    words = ["data.video_index=7,0", "tracker.tracking_window_size=2,3"]
    assert swept(*words, "sweep.fail_fast=true") == 1
    (folder,) = sweep_folders()
    assert statuses(folder) == ["failed", "not run", "not run", "not run"]
    assert capsys.readouterr().err.endswith(
        "note: the same command runs the jobs without a result: job 1, 2, 3\n"
        "note: sweep.rerun=failed also runs those that failed: job 0\n"
    )
    assert swept(*words, "sweep.fail_fast=false") == 3
    assert statuses(folder) == ["failed", "failed", "finished", "finished"]


# --- launchers --------------------------------------------------------------------------


@pytest.fixture
def launcher():
    """The basic launcher, as Hydra knows it once it has looked for plugins."""
    Plugins.instance()
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    return BasicLauncher


def test_a_launcher_that_cannot_start_anything_is_named(launcher, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no srun here\nat all")

    monkeypatch.setattr(launcher, "launch", fail)
    with pytest.raises(RunError, match=r"^hydra/launcher: no srun here$"):
        swept("tracker.tracking_window_size=2,3")


def test_jobs_that_a_launcher_lost_are_handed_to_it_again(launcher, monkeypatch, capsys):
    work, lost = launcher.launch, []

    def lose_all_but_the_first(launching, jobs, initial_job_idx):
        lost.append(len(jobs) - 1)
        done = work(launching, jobs[:1], initial_job_idx)
        if len(jobs) > 1:
            raise RuntimeError("a worker died")
        return done

    monkeypatch.setattr(launcher, "launch", lose_all_but_the_first)
    assert swept("tracker.tracking_window_size=2,3,4") == 0
    assert lost == [2, 1, 0]
    assert (
        capsys.readouterr().err
        == 2 * "warning: hydra/launcher: a worker died; what is left is started again\n"
    )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["finished", "finished"], 0),
        (["finished", "partial"], 3),
        (["partial"], 3),
        (["finished", "failed"], 3),
        (["finished", "not run"], 3),
        (["failed", "interrupted"], 1),
    ],
)
def test_the_exit_code(given, code, tmp_path):
    runs = [None if status == "not run" else RunSummary(status=status) for status in given]
    assert exit_code([Job(number, tmp_path, [], run) for number, run in enumerate(runs)]) == code
