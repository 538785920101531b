"""Jobs on a real Slurm, however they end."""

import json
import signal

import pytest
from slurm_daemons import has_cgroups, until
from sweep_commands import MODEL, clip, started

THRESHOLDS = "model.peak_threshold="
FRAMES = 4000


@pytest.fixture
def video(tmp_path):
    """A clip that a job needs a while for."""
    return clip(tmp_path / "clip.mp4", FRAMES)


def is_computing(command):
    """Whether the first frames of a job of a command are predicted."""
    logs = command.cwd.glob("outputs/multirun/*/*/.submitit/*/*.err")
    return command.job and any("predicting: " in log.read_text() for log in logs)


# --- how a job ends, and what Slurm and the user are told -----------------------------------------


def test_a_job_that_fails_fails_for_slurm_too(cluster, start, short_video, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    cluster.close("gpu")
    command = start(f"data.path={broken},{short_video}")
    until(lambda: command.job, "the jobs are handed in")
    job = command.job
    after = [
        cluster.ask(
            "sbatch",
            "--parsable",
            f"--dependency=afterok:{job}_{task}",
            "--output=/dev/null",
            "--wrap=true",
        )
        for task in range(2)
    ]
    cluster.open("gpu")
    assert command.ended() == 3
    assert f"submitted as job {job} with 2 tasks" in command.said
    assert command.states() == ["failed", "finished"]
    assert [run["slurm_job"] for run in command.runs()] == [f"{job}_0", f"{job}_1"]
    packages = json.loads((command.sweep / "1/snapshot/packages.json").read_text())
    assert packages["slurm_job"] == f"{job}_1"
    until(lambda: cluster.facts(f"{job}_1")["JobState"] == "COMPLETED", "the job is over")
    failed = cluster.facts(f"{job}_0")
    assert (failed["JobState"], failed["ExitCode"]) == ("FAILED", "1:0")
    until(lambda: cluster.facts(after[1].strip())["JobState"] == "COMPLETED", "what depends on it")
    blocked = cluster.facts(after[0].strip())
    assert (blocked["JobState"], blocked["Reason"]) == ("PENDING", "DependencyNeverSatisfied")


@pytest.mark.parametrize("tracking", ["cgroup", "linuxproc"])
def test_a_cancelled_job_stores_what_it_has(tracking, start, long_video):
    if tracking == "cgroup" and not has_cgroups():
        pytest.skip("there are no control groups of version 1 here")
    with started(tracking) as cluster:
        command = start(f"data.path={long_video}", f"{THRESHOLDS}0.3", on=cluster)
        until(lambda: is_computing(command), "the job runs")
        cluster.ask("scancel", command.job)
        assert command.ended() == 1
        assert "job 0 interrupted: cancelled or queued again in Slurm (SIGTERM)" in command.said
        assert cluster.facts(command.job)["JobState"] == "CANCELLED"
        (run,) = command.runs()
        assert (run["status"], run["exit_code"]) == ("interrupted", 130)
        log = (command.sweep / "0/run.log").read_text()
        assert "Traceback" not in log


def test_a_job_that_waits_can_be_cancelled(cluster, start, short_video):
    cluster.close("gpu")
    command = start(f"data.path={short_video}", f"{THRESHOLDS}0.3,0.31")
    until(lambda: command.job, "the jobs are handed in")
    cluster.ask("scancel", f"{command.job}_1")
    cluster.open("gpu")
    assert command.ended() == 3
    assert command.states() == ["finished"]
    assert f"job 1 never began: job {command.job}_1 has left Slurm's queue" in command.said
    again = start(f"data.path={short_video}", f"{THRESHOLDS}0.3,0.31")
    assert again.ended() == 0
    assert again.states() == ["finished", "finished"]


def test_the_time_limit_is_told_and_the_job_queued_again(cluster, start, long_video):
    command = start(f"data.path={long_video}", f"{THRESHOLDS}0.3", "hydra.launcher.timeout_min=1")
    until(lambda: is_computing(command), "the job runs")
    until(lambda: cluster.facts(command.job)["Restarts"] == "1", "it is queued again")
    told = "job 0 interrupted: Slurm's time limit of 00:01:00"
    until(lambda: told in command.said, "the command has seen it")
    assert command.process.poll() is None  # it waits on
    cluster.ask("scancel", command.job)
    assert command.ended() == 1


def test_a_preempted_job_goes_on_where_it_was(cluster, start, video):
    command = start(f"data.path={video}", f"{THRESHOLDS}0.3")
    until(lambda: is_computing(command), "the job runs")
    cluster.ask(
        "sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null",
        "--wrap=srun true",
    )  # fmt: skip
    assert command.ended() == 0
    assert "job 0 interrupted: preempted" in command.said
    assert "job 0  finished" in command.said
    assert cluster.facts(command.job)["Restarts"] == "1"
    (run,) = command.runs()
    assert (run["status"], run["cache"]["predict"]) == ("finished", "resumed")
    assert run["counts"]["frames"] == FRAMES


def test_the_signal_before_the_limit_ends_no_process_of_its_own(cluster, start, video):
    with started("linuxproc") as all_get_it:
        command = start(f"data.path={video}", f"{THRESHOLDS}0.3", on=all_get_it)
        until(lambda: is_computing(command), "the job runs")
        all_get_it.ask("scancel", f"--signal={signal.SIGUSR2.name}", command.job)
        assert command.ended() == 0
        assert "job 0 interrupted: Slurm's time limit of 1-00:00:00" in command.said
        assert all_get_it.facts(command.job)["Restarts"] == "1"
        assert command.runs()[0]["cache"]["predict"] == "resumed"


def test_a_job_that_is_done_stays_done(cluster, start, short_video):
    command = start(f"data.path={short_video}", f"{THRESHOLDS}0.3")
    assert command.ended() == 0
    before = {
        path: path.read_bytes()
        for path in command.sweep.glob("0/*")
        if path.is_file() and path.suffix not in (".lock", ".log")
    }
    until(lambda: cluster.facts(command.job)["JobState"] == "COMPLETED", "the job is over")
    cluster.ask("scontrol", "requeue", command.job)
    until(
        lambda: (
            (found := cluster.facts(command.job))["Restarts"] == "1"
            and found["JobState"] == "COMPLETED"
        ),
        "it ran again",
    )
    assert {path: path.read_bytes() for path in before} == before


# --- the launcher's settings ----------------------------------------------------------------------


def test_what_a_launcher_file_says_holds(cluster, start, short_video, tmp_path):
    option = tmp_path / "lab/hydra/launcher/hour.yaml"
    option.parent.mkdir(parents=True)
    option.write_text("defaults: [submitit_slurm]\npartition: short\ntimeout_min: 60\n")
    command = start(
        "--config-dir=lab", "hydra/launcher=hour", "hydra.launcher.cpus_per_task=1",
        f"data.path={short_video}", f"{THRESHOLDS}0.3", slurm=False,
    )  # fmt: skip
    assert command.ended() == 0
    found = cluster.facts(command.job)
    assert (found["TimeLimit"], found["Partition"], found["NumCPUs"]) == ("01:00:00", "short", "1")


def test_a_lower_limit_of_the_partition_is_told(cluster, start, short_video):
    command = start(
        f"data.path={short_video}", f"{THRESHOLDS}0.3", "hydra.launcher.partition=short"
    )
    assert command.ended() == 0
    assert "timeout_min: 1440 is more than the 90 minutes that partition short" in command.said
    assert cluster.facts(command.job)["TimeLimit"] == "01:30:00"


def test_a_partition_that_does_not_exist_is_refused(start, short_video):
    command = start(f"data.path={short_video}", f"{THRESHOLDS}0.3", "hydra.launcher.partition=x")
    assert command.ended() == 1
    assert (
        "error: hydra.launcher.partition: Slurm has no partition x; it has: gpu, short, urgent"
        in command.said
    )
    assert "Traceback" not in command.said


def test_a_launcher_without_a_sweep_is_refused(cluster, start, short_video):
    command = start(MODEL, f"data.path={short_video}", verb="report=none")
    assert command.ended() == 2
    assert "hydra/launcher=submitit_slurm: a single run is handed to no launcher" in command.said
    assert not cluster.queue()
