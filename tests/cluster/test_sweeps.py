"""Sweeps on a real Slurm: killed, typed again, throttled, and several at once."""

import hashlib
import json
import random
import signal
import time

from mlflow import MlflowClient
from slurm_daemons import until
from sweep_commands import DEMO, clip

from sleap_lab.runs.store import import_mlflow

CLIPS, FRAMES, KILLS = 12, 8, 5


def predictions(command):
    """Return the digest of the predictions of each job."""
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in command.sweep.glob("*/predictions.slp")
    }


def test_what_a_killed_command_left_in_the_queue_is_not_handed_in_again(
    cluster, start, short_video
):
    words = [f"data.path={short_video}", "model.peak_threshold=0.31,0.32,0.33"]
    cluster.close("gpu")
    first = start(*words)
    until(lambda: first.job, "the jobs are handed in")
    until((first.sweep / "submitted.json").is_file, "their ids are noted")
    first.kill()
    second = start(*words)
    until(lambda: "is not started again" in second.said, "it finds them")
    assert set(cluster.queue()) == {f"{first.job}_{task}" for task in range(3)}
    cluster.open("gpu")
    assert second.ended() == 0
    assert second.job is None
    assert second.states() == ["finished"] * 3


def test_jobs_of_two_arrays_do_each_job_once(cluster, start, short_video):
    """The ids of the first array are lost, as when its command is killed at the worst moment."""
    words = [f"data.path={short_video}", "model.peak_threshold=0.31,0.32"]
    cluster.close("gpu")
    first = start(*words)
    until(lambda: first.job, "the jobs are handed in")
    until((first.sweep / "submitted.json").is_file, "their ids are noted")
    first.kill()
    (first.sweep / "submitted.json").unlink()
    second = start(*words)
    until(lambda: second.job, "they are handed in again")
    assert len(cluster.queue()) == 4
    cluster.open("gpu")
    assert second.ended() == 0
    until(lambda: not cluster.queue(), "both arrays are over")
    assert second.states() == ["finished"] * 2
    # Those that had nothing to do ended well, too.
    ends = [
        cluster.facts(f"{job}_{i}")["ExitCode"] for job in (first.job, second.job) for i in "01"
    ]
    assert ends == ["0:0"] * 4


def test_interrupted_jobs_leave_the_queue(cluster, start, long_video):
    command = start(f"data.path={long_video}", "model.peak_threshold=0.31,0.32,0.33")
    until(lambda: command.job, "the jobs are handed in")
    until(lambda: "running" in command.states(), "a job runs")
    command.process.send_signal(signal.SIGINT)
    assert command.ended() == 130
    until(lambda: not cluster.queue(), "the queue is empty")
    assert set(command.states()) == {"interrupted"}


def test_thirty_jobs_never_more_at_once_than_allowed_and_another_sweep_beside(
    cluster, start, short_video, tmp_path
):
    source = start(f"data.path={short_video}", slurm=False)
    assert source.ended() == 0
    poses = source.sweep / "0" / "predictions.slp"
    windows = ",".join(map(str, range(1, 31)))
    command = start(
        f"data.path={poses}", "model=none", "model.paths=[]", "tracker=fixed_window",
        f"tracker.tracking_window_size={windows}", "hydra.launcher.array_parallelism=3",
        f"hydra.sweep.dir={tmp_path / 'thirty'}",
    )  # fmt: skip
    other = start(f"data.path={short_video}", "model.peak_threshold=0.31,0.32")
    most = 0
    while command.process.poll() is None:
        states = cluster.queue()
        own = [state for job, state in states.items() if job.startswith(f"{command.job}_")]
        most = max(most, own.count("RUNNING"))
        time.sleep(0.2)
    assert command.ended() == other.ended() == 0
    assert 2 <= most <= 3
    runs = [json.loads((tmp_path / f"thirty/{i}/run.json").read_text()) for i in range(30)]
    assert [run["status"] for run in runs] == ["finished"] * 30
    import_mlflow()
    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "sleap_lab")
    found = client.search_runs([experiment.experiment_id])
    assert len(found) == 1 + 1 + 1 + 30 + 1 + 2  # a parent each
    assert {run.info.status for run in found} == {"FINISHED"}
    tags = {run.data.tags.get("sleap_lab.slurm_job") for run in found} - {None}
    assert {f"{command.job}_29", f"{other.job}_1"} <= tags
    assert len(tags) == 32


def test_tune_ends_although_one_of_its_jobs_is_killed(cluster, start, tmp_path):
    """The launcher is chosen in a file."""
    option = tmp_path / "lab/experiment/far.yaml"
    option.parent.mkdir(parents=True)
    option.write_text(
        "# @package _global_\ndefaults: [override /hydra/launcher: submitit_slurm]\n"
        "hydra: {launcher: {cpus_per_task: 1}}\n"
    )
    truth = DEMO / "truth.slp"
    command = start(
        "--config-dir=lab", "experiment=far", f"data.path={truth}", "model=none",
        "evaluator=identity", f"evaluator.ground_truth_path={truth}",
        "tune.trials=20", "tune.jobs=2",
        verb="tune", slurm=False,
    )  # fmt: skip
    until(lambda: command.job, "the jobs are handed in")
    until(lambda: "RUNNING" in cluster.queue().values(), "one runs")
    cluster.ask("scancel", "--signal=KILL", f"{command.job}_0")
    assert command.ended() == 0
    assert not cluster.queue()
    assert len(list(tmp_path.glob("outputs/tune/*/tune.json"))) == 1


def test_killed_five_times_it_ends_with_the_same_files(cluster, start, tmp_path):
    paths = [clip(tmp_path / f"clip{i:02d}.mp4", FRAMES, first=i) for i in range(CLIPS)]
    words = [f"data.path={','.join(map(str, paths))}", "tracker=fixed_window"]
    (tmp_path / "undisturbed").mkdir()
    undisturbed = start(*words, cwd=tmp_path / "undisturbed", slurm=False)
    assert undisturbed.ended() == 0
    expected = predictions(undisturbed)
    assert len(expected) == CLIPS
    chance = random.Random(7)
    words.append("hydra.launcher.array_parallelism=2")
    command = start(*words)
    for i in range(KILLS):
        done = i * 2 + chance.random() * 2
        until(lambda command=command, done=done: command.process.poll() is not None
              or len(list(tmp_path.glob("outputs/multirun/*/*/*/predictions.slp"))) >= done,
              "some jobs are done")  # fmt: skip
        time.sleep(chance.random())
        running = [job for job, state in cluster.queue().items() if state == "RUNNING"]
        if i % 2 and running:
            cluster.ask("scancel", "--signal=KILL", chance.choice(running))
        else:
            command.kill()
        if command.process.poll() is not None:
            command = start(*words)
    for _ in range(3):  # jobs that were killed have no result yet
        if command.ended() == 0:
            break
        command = start(*words)
    assert command.ended() == 0
    assert len(list(tmp_path.glob("outputs/multirun/*/*"))) == 1
    assert predictions(command) == expected
    import_mlflow()
    client = MlflowClient(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    (experiment,) = (e for e in client.search_experiments() if e.name == "sleap_lab")
    found = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in found if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in found if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert len(children) == CLIPS
    assert {run.info.status for run in found} == {"FINISHED"}
