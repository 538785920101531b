"""The ledger: which sweep is which, who may run it, and what is left to do."""

import os
from dataclasses import replace

import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import write_snapshot
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import (
    Config,
    DataConfig,
    LoggerConfig,
    ModelConfig,
    SweepConfig,
    TrackerConfig,
)
from sleap_lab.sweeps import ledger
from sleap_lab.sweeps.ledger import (
    Plan,
    PlannedJob,
    claim,
    has_to_run,
    read_plan,
    stop,
    stopped,
    sweep_fingerprint,
    write_plan,
)

PLAN = Plan(
    "abc",
    LoggerConfig(mlflow=True, tags={"lab": "west"}),
    [PlannedJob(0, "0", ["a=1"]), PlannedJob(1, "ü b", ["a='x y'"])],
)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.slp"
    path.write_bytes(b"labels")
    return path


@pytest.fixture
def config(labels):
    return Config(
        data=DataConfig(path=str(labels)),
        model=ModelConfig(kind="none"),
        tracker=TrackerConfig(tracking=True),
    )


# --- the fingerprint --------------------------------------------------------------------


def told(configs):
    return sweep_fingerprint(configs, [str(number) for number in range(len(configs))])


def test_other_folders_of_its_jobs_make_another_sweep(config):
    assert sweep_fingerprint([config], ["0"]) == told([config])
    assert sweep_fingerprint([config], ["w5"]) != told([config])


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"tracker": TrackerConfig(tracking=True, tracking_window_size=9)}, False),
        ({"report": "none"}, False),  # it leaves other files
        ({"logger": LoggerConfig(experiment_name="flies")}, False),
        # The sweep may be logged elsewhere, or later.
        ({"logger": LoggerConfig(mlflow=True, tracking_uri="http://elsewhere")}, True),
        ({"sweep": SweepConfig(rerun="failed", fail_fast=True)}, True),
        ({"cache": "off", "debug": True, "verbose": True}, True),
    ],
)
def test_a_sweep_is_another_where_its_results_are(config, change, same):
    assert (told([config, replace(config, **change)]) == told([config, config])) == same


def test_the_order_and_number_of_jobs_matter(config):
    other = replace(config, report="none")
    assert (
        len({told(jobs) for jobs in ([config], [config, config], [config, other], [other, config])})
        == 4
    )


def test_a_file_that_changed_makes_another_sweep(config, labels):
    before = told([config])
    assert told([config]) == before
    os.utime(labels, ns=(0, labels.stat().st_mtime_ns + 1))
    assert told([config]) != before


def test_the_build_of_opencv_does_not_make_another_sweep(config, use_headless_opencv):
    before = told([config])
    use_headless_opencv()
    assert told([config]) == before


def test_a_model_folder_is_told_by_its_files(config, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "best.ckpt").write_bytes(b"1")
    predicting = replace(config, model=ModelConfig(paths=[str(model)]))
    before = told([predicting])
    (model / "best.ckpt").write_bytes(b"12")
    assert told([predicting]) != before


# --- the plan ---------------------------------------------------------------------------


def test_a_plan_is_read_as_it_was_written(tmp_path):
    write_plan(tmp_path, PLAN)
    assert read_plan(tmp_path) == PLAN
    assert [path.name for path in tmp_path.iterdir()] == ["ledger.jsonl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a sweep folder: it holds no ledger.jsonl"),
        ("", "ledger.jsonl is damaged"),
        ('{"fingerprint": "abc", "logger": {}}\n{"number": 0}\n', "ledger.jsonl is damaged"),
        ('{"logger": {}}\n', "ledger.jsonl is damaged"),
    ],
)
def test_a_ledger_that_cannot_be_read_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "ledger.jsonl").write_text(content)
    with pytest.raises(RunError, match=message):
        read_plan(tmp_path)


# --- which folder -----------------------------------------------------------------------


@pytest.fixture
def begin(tmp_path):
    """Return a function that begins a sweep in a folder and returns the folder and its lock."""

    def begin(key="abc", chosen=None, *, afresh=False):
        plan = replace(PLAN, fingerprint=key)
        folder, lock = claim(tmp_path / "multirun", chosen, plan, afresh=afresh)
        write_plan(folder, plan)
        return folder, lock

    return begin


def test_the_newest_sweep_with_the_fingerprint_is_taken_up_again(begin):
    folders = []
    for key, afresh in (("abc", True), ("abc", True), ("other", False)):
        folder, lock = begin(key, afresh=afresh)
        folders.append(folder)
        lock.release()
    assert len(set(folders)) == 3
    assert begin("abc")[0] == folders[1]


def test_a_sweep_that_runs_is_left_alone(begin, capsys):
    first, lock = begin()
    second, other = begin()
    assert second != first
    assert f"the same sweep is running in {first}" in capsys.readouterr().err.replace("\n", "")
    lock.release()
    other.release()


def test_a_sweep_with_a_damaged_ledger_is_not_taken_up(begin):
    first, lock = begin()
    lock.release()
    (first / ledger.LEDGER).write_text("{")
    assert begin()[0] != first


def test_a_chosen_folder_is_taken_up_by_the_same_sweep_and_no_other(begin, tmp_path):
    chosen = tmp_path / "mine"
    lock = begin(chosen=chosen)[1]
    with pytest.raises(
        ConfigError,
        match=r"^hydra\.sweep\.dir: a sweep is running in .*mine; choose another folder$",
    ):
        begin(chosen=chosen)
    lock.release()
    with pytest.raises(
        ConfigError, match=r"^hydra\.sweep\.dir: .*mine holds another sweep; choose another folder$"
    ):
        begin("other", chosen)
    assert begin(chosen=chosen)[0] == chosen


def test_a_chosen_folder_may_hold_other_things_but_no_runs(begin, tmp_path):
    chosen = tmp_path / "mine"
    chosen.mkdir()
    (chosen / "notes.txt").touch()
    begin(chosen=chosen)[1].release()
    (chosen / ledger.LEDGER).unlink()
    (chosen / "0").mkdir()
    summary.write(chosen / "0", RunSummary())
    with pytest.raises(ConfigError, match="holds another sweep"):
        begin(chosen=chosen)


def test_a_chosen_folder_that_holds_a_run_is_refused(begin, tmp_path):
    (tmp_path / "mine").mkdir()
    summary.write(tmp_path / "mine", RunSummary())
    with pytest.raises(
        ConfigError, match=r"^hydra\.sweep\.dir: .*mine holds a run; choose another folder$"
    ):
        begin(chosen=tmp_path / "mine")


@pytest.fixture
def having_read(begin, tmp_path):
    """Return a function that begins a sweep with a job that has read a video behind its labels."""
    video = tmp_path / "video.mp4"
    video.write_bytes(b"frames")

    def having_read(chosen=None):
        folder, lock = begin(chosen=chosen)
        write_snapshot(
            folder / "0",
            config={},
            overrides=[],
            command=[],
            inputs={"data.path[0]": video},
            models=[],
            device="cpu",
        )
        lock.release()
        return folder, video

    return having_read


def put_back(path, content):
    """Write into a file, and give it the time that it had."""
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # file systems with coarse clocks
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("content", [b"other frames", b"FRAMES"])
def test_a_sweep_whose_files_have_changed_is_another(having_read, begin, content, capsys):
    first, video = having_read()
    put_back(video, content)
    second, lock = begin()
    lock.release()
    assert second != first
    assert f"{video} has changed since {first}; the sweep begins anew" in (
        capsys.readouterr().err.replace("\n", " ")
    )
    put_back(video, b"frames")
    second.joinpath("ledger.jsonl").unlink()
    assert begin()[0] == first


def test_a_copy_with_the_same_content_goes_on(having_read, begin):
    first, video = having_read()
    video.unlink()
    video.write_bytes(b"frames")
    assert begin()[0] == first


def test_a_chosen_folder_with_results_of_other_files_is_refused(having_read, begin, tmp_path):
    chosen, video = having_read(tmp_path / "mine")
    video.write_bytes(b"others")
    with pytest.raises(
        ConfigError,
        match=r"^hydra\.sweep\.dir: .*mine holds results of another .*video\.mp4, which has chang",
    ):
        begin(chosen=chosen)
    assert begin(chosen=chosen, afresh=True)[0] == chosen


def test_a_snapshot_that_is_damaged_says_nothing_of_its_files(having_read, begin):
    first, _ = having_read()
    (first / "0" / "snapshot" / "hashes.json").write_text("{")
    assert begin()[0] != first


# --- what is left to do -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "expected"),  # expected: with rerun none, failed, all
    [
        (None, (True, True, True)),
        (RunSummary(status="finished", exit_code=0), (False, False, True)),
        (RunSummary(status="partial", exit_code=3), (False, False, True)),
        (RunSummary(status="failed", exit_code=1), (False, True, True)),
        (RunSummary(status="failed"), (True, True, True)),  # its process died
        (RunSummary(status="interrupted", exit_code=130), (True, True, True)),
        # The command waits until the state of the job is known.
        (RunSummary(status="running"), (True, True, True)),
    ],
)
def test_what_has_to_run(run, expected):
    assert tuple(has_to_run(run, rerun) for rerun in ("none", "failed", "all")) == expected


def test_a_sweep_is_stopped_with_a_reason(tmp_path):
    assert stopped(tmp_path) is None
    stop(tmp_path, ledger.FAILED)
    assert stopped(tmp_path) == "failed"
