"""Settings are tried by jobs of a launcher: `launch/searching.py` on animals of this folder."""

import json
from pathlib import Path

import pytest

from sleap_lab.errors import RunError
from sleap_lab.launch import searching
from sleap_lab.launch.searching import join_in, run_on_launcher
from sleap_lab.settings.application import Configs
from sleap_lab.tune.run import tune
from sleap_lab.tune.study import load
from sleap_lab.tune.trials import finished

WORDS = ["data.path=found.slp", "model=none", "tracker=fixed_window"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, write_files):
    monkeypatch.chdir(tmp_path)
    return write_files(tmp_path)


def test_jobs_of_a_launcher_find_what_a_single_process_finds(here):
    words = [*here, "tracker.undecided=reference", "tune.trials=12"]
    alone = tune([*words, "tune.name=alone"])
    launched = tune(
        [*words, "tune.name=launched", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1"],
        on_launcher=run_on_launcher,
    )
    assert launched.best.held_out.value == alone.best.held_out.value == 1
    facts = [
        json.loads(Path(f"outputs/tune/{name}/tune.json").read_text())
        for name in ("alone", "launched")
    ]
    assert facts[0]["best"]["settings"] == facts[1]["best"]["settings"]
    assert Path("outputs/tune/launched/workers").is_dir()


@pytest.fixture
def small(search):
    made = search(trials=3)
    made.folder.mkdir()
    return made


def test_a_job_stops_when_the_command_is_gone_or_wants_no_more(small):
    import os
    import socket

    gone = {"search": small, "cwd": Path.cwd(), "pid": 2**22 + 1, "host": socket.gethostname()}
    join_in(None, **gone)
    assert finished(load(small)) == []
    (small.folder / "stop").touch()
    join_in(None, **{**gone, "pid": os.getpid()})
    assert finished(load(small)) == []
    (small.folder / "stop").unlink()
    join_in(None, **{**gone, "pid": os.getpid()})
    assert len(finished(load(small))) == 3


def test_jobs_that_end_early_are_told(small, monkeypatch):
    monkeypatch.setattr(searching, "join_in", lambda node, **_: None)
    with pytest.raises(RunError, match=r"tune.jobs: the jobs ended after 0 of 3 settings"):
        run_on_launcher(small, [*WORDS, "logger=none"], Configs(), lambda study: None)
