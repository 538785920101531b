"""What happens to a cluster while a sweep runs on it: nodes that leave, jobs held and moved."""

from contextlib import suppress
from subprocess import CalledProcessError

import pytest
from slurm_daemons import until
from sweep_commands import clip

THRESHOLDS = "model.peak_threshold="
FRAMES = 400


@pytest.fixture
def video(tmp_path):
    """A clip that takes a job some seconds."""
    return clip(tmp_path / "clip.mp4", FRAMES)


@pytest.fixture
def node(cluster):
    """Return a function that sets the state of the first node; at the end it works again."""

    def state(name):
        cluster.ask("scontrol", "update", "NodeName=n1", f"State={name}", "Reason=test")

    yield state
    with suppress(CalledProcessError):  # it is back by itself
        state("RESUME")
    until(lambda: "n1" not in cluster.ask("sinfo", "--noheader", "--list-reasons"), "n1 is back")


def running_on(cluster, node):
    """Return the jobs that run on a node."""
    return cluster.ask("squeue", "--noheader", "--states=R", f"--nodelist={node}", "--format=%i")


@pytest.mark.parametrize("state", ["DRAIN", "DOWN"])
def test_a_sweep_outlives_a_node(cluster, start, video, node, state):
    """A drained node ends what it has; the jobs of one that is down are queued again."""
    command = start(
        f"data.path={video}", f"{THRESHOLDS}0.3,0.31,0.32,0.33", "hydra.launcher.cpus_per_task=4"
    )
    until(lambda: running_on(cluster, "n1").strip(), "a job runs there")
    node(state)
    assert command.ended() == 0
    assert command.states() == ["finished"] * 4
    assert {run["counts"]["frames"] for run in command.runs()} == {FRAMES}


def test_a_job_that_is_queued_again_and_again_goes_on(cluster, start, long_video):
    command = start(f"data.path={long_video}", f"{THRESHOLDS}0.3", "data.frames=0-1999")
    for times in range(3):
        until(lambda: command.job and command.states() == ["running"], "it runs")
        if times < 2:
            cluster.ask("scontrol", "requeue", command.job)
            until(lambda: "running" not in command.states(), "it has stopped")
    assert cluster.facts(command.job)["Restarts"] == "2"
    assert "cancelled or queued again in Slurm" in command.said
    assert command.ended() == 0
    (run,) = command.runs()
    assert (run["status"], run["counts"]["frames"]) == ("finished", 2000)


def test_held_jobs_are_waited_for_and_not_handed_in_again(cluster, start, short_video):
    cluster.close("gpu")
    words = [f"data.path={short_video}", f"{THRESHOLDS}0.3,0.31"]
    command = start(*words)
    until(lambda: command.job, "the jobs are handed in")
    until((command.sweep / "submitted.json").is_file, "their ids are noted")
    cluster.ask("scontrol", "hold", f"{command.job}_1")
    cluster.open("gpu")
    until(lambda: command.states() == ["finished"], "the other is done")
    command.kill()
    again = start(*words)
    until(lambda: f"job 1 still waits or runs as {command.job}_1" in again.said, "it is known")
    assert list(cluster.queue()) == [f"{command.job}_1"]
    until(lambda: f"{command.job}_1 waits in Slurm (JobHeld" in again.said, "it says why")
    cluster.ask("scontrol", "release", f"{command.job}_1")
    assert again.ended() == 0
    assert again.states() == ["finished", "finished"]
    assert again.job is None


def test_a_part_of_the_running_jobs_can_be_cancelled(cluster, start, video):
    words = [f"data.path={video}", f"{THRESHOLDS}0.3,0.31,0.32"]
    command = start(*words)
    until(lambda: command.job and "running" in command.states(), "a job runs")
    cluster.ask("scancel", f"{command.job}_[0,2]")
    assert command.ended() == 3
    assert command.runs()[-1]["status"] != "running"
    assert "finished" in command.states()
    again = start(*words)
    assert again.ended() == 0
    assert again.states() == ["finished"] * 3
