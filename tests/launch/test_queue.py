"""Jobs in the queue of Slurm; tests/cluster does the same with a real one."""

from collections import Counter
from threading import Event

import pytest
from omegaconf import OmegaConf

from sleap_lab.errors import RunError
from sleap_lab.launch import queue
from sleap_lab.runs import slurm

PARTITIONS = [
    {"PartitionName": "gpu", "Default": "YES", "MaxTime": "UNLIMITED"},
    {"PartitionName": "short", "Default": "NO", "MaxTime": "01:30:00"},
    {"PartitionName": "tiny", "Default": "NO", "MaxTime": "00:10:00"},
]


def launcher(**settings):
    return OmegaConf.create(
        {"partition": None, "timeout_min": 1440, "signal_delay_s": 120} | settings
    )


@pytest.mark.parametrize(
    ("partition", "minutes", "expected", "said"),
    [
        (None, 1440, (1440, 120), ""),
        ("short", 60, (60, 120), ""),
        ("short", 1440, (90, 120), "1440 is more than the 90 minutes that partition short allows"),
        ("tiny,short", 1440, (90, 120), "partition short, tiny allows"),
        ("tiny", 1440, (10, 120), "each job gets 10"),
        (None, 1, (1, 15), ""),  # the signal comes in the last quarter
    ],
)
def test_time_limits_fit_the_partition(partition, minutes, expected, said, monkeypatch, capsys):
    monkeypatch.setattr(slurm, "partitions", lambda: PARTITIONS)
    settings = launcher(partition=partition, timeout_min=minutes)
    queue.fit_time_limits(settings)
    assert (settings.timeout_min, settings.signal_delay_s) == expected
    shown = capsys.readouterr().err
    assert said in shown
    assert bool(shown) == bool(said)


def test_a_partition_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(slurm, "partitions", lambda: PARTITIONS)
    with pytest.raises(RunError, match="no partition big; it has: gpu, short, tiny"):
        queue.fit_time_limits(launcher(partition="big"))
    monkeypatch.setattr(slurm, "partitions", list)  # Slurm cannot tell
    queue.fit_time_limits(launcher(partition="big"))


def test_jobs_that_were_handed_in_are_recognised(tmp_path, monkeypatch):
    assert queue.still_queued(tmp_path, ["0"]) == {}
    queue._note(tmp_path, {"0": "14_0", "1": "14_1"})
    queue._note(tmp_path, {"1": "15"})
    monkeypatch.setattr(slurm, "queue", lambda: {"15": "Priority", "16": "None"})
    assert queue.still_queued(tmp_path, ["0", "1", "2"]) == {"1": "15"}
    monkeypatch.setattr(slurm, "queue", lambda: None)  # it cannot tell: they may still be there
    assert queue.still_queued(tmp_path, ["0", "1", "2"]) == {"0": "14_0", "1": "15"}


def test_waiting_ends_with_the_queue_or_with_the_jobs(monkeypatch, capsys):
    monkeypatch.setattr(queue, "LEAST_SECONDS", 0.001)
    monkeypatch.setattr(queue, "MOST_SECONDS", 0.001)
    answers = iter([{"14_0": "None"}, None, None, {"14_1": "Resources"}, {"99": "None"}])
    monkeypatch.setattr(slurm, "queue", lambda: next(answers))
    queue.wait(["14_0", "14_1"], Event())
    assert list(answers) == []
    assert capsys.readouterr().err.count("does not answer") == 1
    ended = Event()
    ended.set()
    monkeypatch.setattr(slurm, "queue", lambda: {"14_0": "None"})
    queue.wait(["14_0"], ended)


def test_of_very_many_jobs_that_never_began_some_are_named(tmp_path, monkeypatch, capsys):
    queue._note(tmp_path, {str(i): f"14_{i}" for i in range(40)})
    monkeypatch.setattr(slurm, "word", lambda job: f"Slurm says CANCELLED of job {job}")
    queue.say_what_never_began(tmp_path, {str(i): i for i in range(50)})
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith("job 0 never began: Slurm says CANCELLED of job 14_0")
    assert said[-1].endswith("35 more jobs never began")
    assert len(said) == 5 + 1


def test_records_that_a_shared_folder_shows_late_are_waited_for(tmp_path, monkeypatch):
    """Job 0 shows after two looks, 1 never; 2 was cancelled, so nobody waits for it."""
    states = {"14_0": "COMPLETED", "14_1": "FAILED", "14_2": "CANCELLED"}
    queue._note(tmp_path, {"0": "14_0", "1": "14_1", "2": "14_2"})
    monkeypatch.setattr(slurm, "facts", lambda job: {"JobState": states[job]})
    monkeypatch.setattr(queue, "SECONDS_BETWEEN_LOOKS", 0.001)
    monkeypatch.setattr(queue, "SECONDS_OF_DELAY", 0.1)
    looks = Counter()

    def is_there(name):
        looks[name] += 1
        return name == "0" and looks[name] > 2

    assert queue.wait_for_records(tmp_path, ["0", "1", "2"], is_there) == ["1", "2"]
    assert looks["1"] > 2
    assert looks["2"] == 1


def test_jobs_that_wait_for_more_than_their_turn_are_shown_once(monkeypatch, capsys):
    monkeypatch.setattr(queue, "LEAST_SECONDS", 0.001)
    monkeypatch.setattr(queue, "MOST_SECONDS", 0.001)
    held = {"14_1": "JobHeldUser", "14_2": "JobHeldUser", "14_3": "Priority", "9": "Dependency"}
    crashed = {"14_3": "launch failed requeued held"}
    answers = iter([held, held, held | crashed, {"14_0": "QOSMaxJobsPerUserLimit"}, {}])
    monkeypatch.setattr(slurm, "queue", lambda: next(answers))
    queue.wait(["14_0", "14_1", "14_2", "14_3"], Event())
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("job ")[2] for line in lines] == [
        "14_1, 14_2 waits in Slurm (JobHeldUser); scontrol release 14 lets it go on",
        "14_3 waits in Slurm (launch failed requeued held); scontrol release 14_3 lets it go on",
        "14_0 waits in Slurm (QOSMaxJobsPerUserLimit)",
    ]
