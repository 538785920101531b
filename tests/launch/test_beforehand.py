"""What is found about the jobs of a sweep before the first of them starts."""

import multiprocessing
import os
from dataclasses import replace

import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.launch import beforehand
from sleap_lab.launch.beforehand import Finding, examine, refuse_hopeless
from sleap_lab.settings.config import Config, DataConfig, ModelConfig, TrackerConfig

TRIANGLE = [[1, 1], [5, 1], [1, 5]]
WINDOWS = (2, 3, 4)


@pytest.fixture
def job(tmp_path, video_path, make_labels, monkeypatch):
    """Config of a job that tracks two frames."""
    monkeypatch.chdir(tmp_path)
    make_labels([video_path], predicted=[(0, 0, TRIANGLE), (0, 1, TRIANGLE)]).save(
        "labels.slp", verbose=False
    )
    return Config(
        data=DataConfig(path="labels.slp"),
        model=ModelConfig(kind="none"),
        tracker=TrackerConfig(tracking=True),
    )


def with_windows(job):
    return [
        replace(job, tracker=replace(job.tracker, tracking_window_size=size)) for size in WINDOWS
    ]


def test_jobs_that_read_the_same_share_the_reading(job, monkeypatch):
    import sleap_lab.inference.preparation as preparation

    opened = []
    monkeypatch.setattr(
        preparation, "open_inputs", lambda config, cache, real=preparation.open_inputs: (
            opened.append(config), real(config, cache)
        )[1]
    )  # fmt: skip
    other = replace(job, data=DataConfig(path="labels.slp", frames="0"))
    assert examine([*with_windows(job), other]) == [Finding()] * 4
    assert len(opened) == 2


def test_each_job_has_its_own_finding(job):
    data = DataConfig(path="labels.slp", video_index=7)
    configs = [job, replace(job, data=data), replace(job, data=DataConfig(path="gone.slp"))]
    errors = [finding.error for finding in examine(configs)]
    assert errors[0] is None
    assert isinstance(errors[1], ConfigError)
    assert isinstance(errors[2], RunError)


def test_of_many_inputs_some_are_opened_and_broken_weights_are_found_all_the_same(job, make_model):
    gone = [replace(job, data=DataConfig(path=f"{i}.slp")) for i in range(3)]
    assert examine(gone, seconds=0) == [Finding()] * 3
    folder = make_model("single_instance", {"confmaps": 2 * [[1, 0]]})
    (folder / "best.ckpt").write_bytes(b"no weights")
    for config in gone:
        config.model = ModelConfig(paths=[str(folder)])
    assert all("best.ckpt" in str(found.error) for found in examine(gone, seconds=0))


@pytest.mark.parametrize("here", [True, False])
def test_only_jobs_on_this_machine_need_its_devices(job, make_model, video_path, here):
    job = replace(
        job,
        data=DataConfig(path=str(video_path)),
        model=ModelConfig(paths=[str(make_model("single_instance", {"confmaps": 2 * [[1, 0]]}))]),
    )
    job.runtime.device = "cuda:99"
    (found,) = examine([job], here=here)
    assert (found.error is None) is not here


# --- what is said -----------------------------------------------------------------------


@pytest.fixture
def said(monkeypatch, capsys):
    """Return a function that says findings of the jobs 0, 1, 2, …; it returns what was said."""

    def say(*found, **options):
        monkeypatch.setattr(beforehand, "_found", lambda *_, **__: list(found))
        jobs = [(number, Config()) for number in range(len(found))]
        refuse_hopeless(jobs, multiprocessing.get_context("spawn"), "BasicLauncher", **options)
        return capsys.readouterr().err

    return say


def test_a_note_on_all_jobs_is_one_line(said):
    note = Finding(("a.mp4 is not there.",))
    assert said(note, note, note) == "warning: a.mp4 is not there.\n"
    assert said(note, Finding(), note) == "warning: jobs 0, 2: a.mp4 is not there.\n"
    assert said(Finding(), Finding()) == ""


def test_what_some_jobs_fail_for_is_said_and_the_others_run(said):
    bad = Finding(error=ConfigError("data.frames: no frame 9"))
    assert (
        said(bad, Finding(), bad, bad, bad, Finding(), bad)
        == "warning: jobs 0, 2-4, 6 cannot run: data.frames: no frame 9\n"
    )


@pytest.mark.parametrize("kind", [ConfigError, RunError])
def test_what_all_jobs_fail_for_is_the_error_of_the_command(said, kind):
    with pytest.raises(kind, match=r"^a\.mp4: broken$"):
        said(Finding(error=kind("a.mp4: broken")), Finding(error=kind("a.mp4: broken")))


def test_a_sweep_that_has_results_is_not_refused(said):
    bad = Finding(error=ConfigError("no frame 9"))
    assert said(bad, others=True) == "warning: job 0 cannot run: no frame 9\n"


def test_jobs_that_all_fail_for_reasons_of_their_own_are_listed(said, capsys):
    with pytest.raises(ConfigError, match="no job of the sweep can run"):
        said(Finding(error=ConfigError("no frame 9")), Finding(error=RunError("a.mp4: broken")))
    assert capsys.readouterr().err == (
        "warning: job 0 cannot run: no frame 9\nwarning: job 1 cannot run: a.mp4: broken\n"
    )


# --- in another process -----------------------------------------------------------------


def die(*_):
    os._exit(7)


def test_of_a_check_that_dies_nothing_is_known(job, monkeypatch, capsys):
    monkeypatch.setattr(beforehand, "_work", die)
    refuse_hopeless([(0, job)], multiprocessing.get_context("spawn"), "BasicLauncher")
    assert capsys.readouterr().err == ""
