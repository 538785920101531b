"""The load of the machine during a run."""

import csv
import sys

import pytest

from sleap_lab.errors import RunError
from sleap_lab.runs.system import system_over_time, system_recorded

psutil = pytest.importorskip("psutil")


def test_the_load_is_recorded_once_more_at_the_end_and_read_back(tmp_path):
    with system_recorded(tmp_path, wanted=True):
        pass
    with open(tmp_path / "system.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["metric"] for row in rows}
    assert {"system/cpu_utilization_percentage", "system/process_memory_usage_megabytes"} <= names
    found = system_over_time(tmp_path)
    assert {*found} == names
    ((step, megabytes),) = found["system/process_memory_usage_megabytes"]
    assert step == 0
    assert 1 < megabytes < psutil.virtual_memory().total / 1e6


def test_nothing_is_recorded_unless_it_is_wanted(tmp_path):
    with system_recorded(tmp_path, wanted=False):
        pass
    assert not list(tmp_path.iterdir())
    assert system_over_time(tmp_path) == {}


def test_without_psutil_the_run_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with (
        pytest.raises(RunError, match=r"pip install 'sleap-lab\[system\]'"),
        system_recorded(tmp_path, wanted=True),
    ):
        pass


def test_a_row_that_a_killed_run_was_writing_is_left_out(tmp_path):
    (tmp_path / "system.csv").write_text("seconds,metric,value\n5.2,a,1.5\n10.1,a")
    assert system_over_time(tmp_path) == {"a": [(5, 1.5)]}
