"""What Slurm is asked, and what is made of its answers; the commands here are scripts."""

import math
import os

import pytest

from sleap_lab.runs import slurm


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Return a function that sets what a command of Slurm prints, and its exit code."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    def says(command, text, code=0):
        file = tmp_path / command
        file.write_text(
            f'#!/bin/sh\necho "$@" > {file}.words\ncat <<END\n{text}\nEND\nexit {code}\n'
        )
        file.chmod(0o755)
        return tmp_path / f"{command}.words"

    return says


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "17"}, "17"),
        # In an array each task has a number of its own, too, which nobody types.
        ({"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "14", "SLURM_ARRAY_TASK_ID": "0"}, "14_0"),
    ],
)
def test_the_job_that_a_process_runs_in(environment, expected, monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert slurm.job_id() == expected


def test_the_queue(says):
    words = says("squeue", "14_0 None\n14_1 launch failed requeued held")
    assert slurm.queue() == {"14_0": "None", "14_1": "launch failed requeued held"}
    assert f"--user={os.getuid()}" in words.read_text()
    says("squeue", "slurm_load_jobs error: Unable to contact slurm controller", 1)
    assert slurm.queue() is None


def test_where_there_is_no_slurm_nothing_is_queued(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.queue() == {}
    assert (slurm.facts("14"), slurm.partitions(), slurm.word("14")) == ({}, [], None)
    slurm.cancel(["14"])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("OUT_OF_MEMORY", "Slurm says OUT_OF_MEMORY of job 14_0"),
        ("RUNNING", None),
        ("COMPLETING", None),
    ],
)
def test_how_a_job_ended(says, state, expected):
    words = says("scontrol", f"JobId=14 JobName=a=b JobState={state} Comment=two words")
    assert slurm.facts("14_0")["JobName"] == "a=b"
    assert slurm.word("14_0") == expected
    assert words.read_text().split()[-2:] == ["job", "14_0"]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("00:01:30", 1.5),
        ("1-02:00:00", 26 * 60),
        ("30:00", 30),
        ("90", 1.5),
        ("UNLIMITED", math.inf),
        ("", math.inf),
    ],
)
def test_times(time, expected):
    assert slurm.minutes(time) == expected
