"""The run summary: written whole, read back the same, honest about dead processes."""

import json
import math
import os
import socket
import subprocess
import sys
from dataclasses import replace

import pytest

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.summary import (
    SWEEP_FILE,
    RunSummary,
    finite,
    is_alive,
    lock,
    overridden,
    process_exists,
    read_stamp,
    settle,
    stamp,
)


@pytest.fixture
def dead_process():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_a_new_summary_describes_this_process():
    run = RunSummary()
    assert (run.status, run.host, run.pid, run.ended) == (
        "running",
        socket.gethostname(),
        os.getpid(),
        None,
    )
    assert run.started.endswith("+00:00")


def test_what_is_written_is_read_back(tmp_path):
    run = RunSummary(
        status="partial",
        exit_code=3,
        metrics={"eval/pck": 0.5},
        counts={"frames": 7},
        overrides=["a=ü b"],
        job=4,
    )
    summary.write(tmp_path, run)
    assert summary.read(tmp_path) == run
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]  # nothing unfinished is left


def test_undefined_metrics_are_null_in_the_file_and_nan_in_memory(tmp_path):
    summary.write(tmp_path, RunSummary(metrics={"eval/pck": math.nan, "eval/far": math.inf}))
    assert json.loads((tmp_path / "run.json").read_text())["metrics"] == {
        "eval/pck": None,
        "eval/far": None,
    }
    assert all(math.isnan(value) for value in summary.read(tmp_path).metrics.values())


def test_a_key_of_another_version_is_ignored(tmp_path):
    (tmp_path / "run.json").write_text('{"status": "finished", "novelty": 1}')
    assert summary.read(tmp_path).status == "finished"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a run folder: it holds no run.json"),
        ('{"status": "fin', "run.json is damaged"),  # cut short
        ("[]", "run.json is damaged"),  # not a record
        ('{"job": 1}', "run.json is damaged: 'status'"),
        (
            '{"status": "done"}',
            "status must be one of running, finished, partial, failed, interrupted, got 'done'",
        ),
    ],
)
def test_unreadable_summaries_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=message):
        summary.read(tmp_path)


def test_a_run_whose_process_is_gone_was_interrupted(tmp_path, dead_process):
    summary.write(tmp_path, RunSummary(pid=dead_process), SWEEP_FILE)
    os.utime(tmp_path / SWEEP_FILE, (0, 60))
    run = settle(tmp_path, SWEEP_FILE)
    assert (run.status, run.ended) == ("interrupted", "1970-01-01T00:01:00+00:00")
    assert f"process {dead_process} " in run.error
    assert summary.read(tmp_path, SWEEP_FILE) == run


def test_a_lock_says_more_than_the_number_of_a_process(tmp_path, dead_process):
    elsewhere = RunSummary(host="elsewhere", pid=dead_process)
    with lock(tmp_path):
        summary.write(tmp_path, elsewhere)
        assert settle(tmp_path) == elsewhere
        assert is_alive(tmp_path, elsewhere)
    assert settle(tmp_path).status == "interrupted"
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["run.json", "run.lock"]


@pytest.mark.parametrize(
    "meanwhile", [{"status": "finished", "ended": "2026-01-01"}, {"started": "2026-01-01"}]
)
def test_a_run_that_ends_or_begins_again_while_it_is_looked_at_is_left(
    tmp_path, dead_process, monkeypatch, meanwhile
):
    run = RunSummary(pid=dead_process)
    summary.write(tmp_path, run)
    changed = replace(run, **meanwhile)

    def is_alive(folder, *_):
        summary.write(folder, changed)  # and its lock is released
        return False

    monkeypatch.setattr(summary, "is_alive", is_alive)
    assert settle(tmp_path) == summary.read(tmp_path) == changed


def test_what_ended_a_process_may_be_known(tmp_path, dead_process):
    summary.write(tmp_path, RunSummary(pid=dead_process))
    assert settle(tmp_path, cause="interrupted by the user").error == "interrupted by the user"


def test_attempts_at_a_run_are_told_apart(tmp_path):
    first = RunSummary()
    assert stamp(None) is None
    assert read_stamp(tmp_path) is None
    summary.write(tmp_path, first)
    assert read_stamp(tmp_path) == stamp(first)
    assert (
        len(
            {
                stamp(first),
                stamp(replace(first, ended=first.started)),
                stamp(replace(first, started="later")),
            }
        )
        == 3
    )


@pytest.mark.parametrize("change", [{}, {"host": "elsewhere", "pid": -1}, {"status": "failed"}])
def test_other_runs_are_left_as_they_are(tmp_path, change):
    run = replace(RunSummary(), **change)
    summary.write(tmp_path, run)
    assert settle(tmp_path) == run


def test_processes_of_other_users_and_machines_count_as_there(monkeypatch, dead_process):
    assert process_exists("elsewhere", dead_process)
    assert not process_exists(socket.gethostname(), dead_process)

    def refuse(pid, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert process_exists(socket.gethostname(), dead_process)


def test_only_metrics_with_a_value_are_finite():
    assert finite({"a": 1, "b": math.nan, "c": math.inf}) == {"a": 1.0}


def test_overrides_are_split_at_the_first_equals_sign():
    assert overridden(["a.b=1", "+c=x=y", "++d=", "~e", 'data.path="/a b/c=d.mp4"']) == {
        "a.b": "1",
        "c": "x=y",
        "d": "",
        "e": "",
        "data.path": '"/a b/c=d.mp4"',
    }
