"""Predictions as jobs of their own: pieces are joined, shared, resumed, and fail for their jobs."""

import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import ConfigError
from sleap_lab.launch import pieces
from sleap_lab.launch.command import launch
from sleap_lab.launch.pieces import joinable, on_launcher, plan_predictions
from sleap_lab.runs import summary
from sleap_lab.runs.listing import open_one
from sleap_lab.runs.removal import plan_removal, remove
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.jobs import check_jobs
from sleap_lab.sweeps.best import Job

DEMO = Path(str(resources.files("sleap_lab.demo")))
WORDS = [
    "data.path=a.mp4",
    "data.frames=0-7",
    "runtime.batch_size=2",
    f"model.paths=[{DEMO / 'models' / 'single_instance'}]",
    "logger=none",
    "report=none",
]
HERE = ["hydra.sweep.dir=swept"]


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(DEMO / "single.mp4", "a.mp4")


def run(*words, multirun=True):
    words = [*WORDS, *words]
    return launch(check_jobs(words, multirun=multirun), words, ["sleap-lab", "-m", *words])


def planned(*words):
    checked = check_jobs([*WORDS, *words, *HERE], multirun=True).jobs
    jobs = [Job(i, Path("swept") / job.folder, job.overrides) for i, job in enumerate(checked)]
    return jobs, plan_predictions(
        Path("swept"), jobs, {i: job.config for i, job in enumerate(checked)}
    )


def places(prediction):
    return [job.folder.name for job in prediction.pieces]


def tracked(path):
    labels = sio.load_slp(str(path), open_videos=False)
    return labels.numpy(return_confidence=True), [track.name for track in labels.tracks]


def test_a_split_recording_gives_what_a_single_run_gives(capsys):
    assert run("tracker=local_queues", "hydra.run.dir=whole", multirun=False) == 0
    assert run("tracker=local_queues", "sweep.split_frames=3", "cache=off", *HERE) == 0
    whole, split = tracked("whole/predictions.slp"), tracked("swept/0/predictions.slp")
    np.testing.assert_array_equal(split[0], whole[0])
    assert split[1] == whole[1]
    found = summary.read(Path("swept/0"))
    assert (found.counts["pieces"], found.counts["frames"]) == (2, 8)
    assert found.stages["pieces"] > 0
    assert not Path("swept/.pieces").exists()
    told = "".join(capsys.readouterr())
    assert "job 0, frames 0-3" in told
    assert "job 0, frames 4-7" in told


def test_entries_of_pieces_in_the_cache_go_with_their_sweep():
    folder = "hydra.sweep.dir=outputs/swept"
    assert run("tracker=fixed_window,local_queues", "sweep.split_frames=4", folder) == 0
    kept = {path.stem for path in Path("outputs/cache").glob("*.npz")}
    recorded = [summary.read(Path("outputs/swept", job)).cache_entries for job in "01"]
    assert len(kept) >= 2
    assert set().union(*recorded) >= kept
    swept = open_one("outputs/swept")
    assert remove(plan_removal([swept], outputs_root=Path("outputs"))) == []
    assert list(Path("outputs/cache").iterdir()) == []


def test_jobs_with_the_same_prediction_share_its_pieces():
    _, (one,) = planned("tracker=fixed_window,local_queues", "sweep.split_frames=4")
    assert (one.of, places(one)) == ((0, 1), ["0-4", "4-8"])
    assert [str(job) for job in one.pieces] == ["job 0, frames 0-3", "job 0, frames 4-7"]
    _, two = planned("model.peak_threshold=0.1,0.2", "sweep.split_frames=4")
    assert [each.of for each in two] == [(0,), (1,)]
    assert len({each.folder for each in two}) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], []),
        (["sweep.split_frames=8"], []),  # not longer than a piece
        (["sweep.cpu_launcher=basic"], ["0-end"]),
        (["sweep.cpu_launcher=basic", "sweep.split_frames=50"], ["0-end"]),
        (["sweep.cpu_launcher=basic", "sweep.split_frames=6"], ["0-6", "6-8"]),
        (["sweep.split_frames=6", "runtime.batch_size=auto"], []),  # whole batches of any size
        (["sweep.split_frames=2", "data.path=broken.mp4"], []),  # its job says why
    ],
)
def test_what_is_predicted_by_jobs_of_its_own(words, expected):
    Path("broken.mp4").write_bytes(b"no video")
    _, found = planned(*words)
    assert [name for each in found for name in places(each)] == expected


def test_predictions_and_the_rest_may_have_launchers_of_their_own(capsys):
    assert run("sweep.cpu_launcher=joblib", *HERE) == 0
    assert summary.read(Path("swept/0")).counts["pieces"] == 1
    words = ["a=1", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    assert on_launcher(words, "ours") == ["a=1", "hydra/launcher=ours"]
    assert on_launcher(words, None) == words


def test_the_same_command_predicts_only_the_pieces_that_are_missing(monkeypatch):
    """Takes seven seconds: four pieces and what joins them, twice, each in a process of its own."""
    with monkeypatch.context() as patched:
        patched.setattr(pieces, "remove_used", lambda *_: None)
        monkeypatch.setattr("sleap_lab.launch.multirun.remove_used", lambda *_: None)
        assert run("sweep.split_frames=4", *HERE) == 0
    first, second = sorted(Path("swept/.pieces").glob("*/*"))
    before = summary.read(first).started
    shutil.rmtree(second)
    shutil.rmtree("swept/0")
    assert run("sweep.split_frames=4", *HERE) == 0
    assert summary.read(first).started == before
    assert summary.read(Path("swept/0")).counts["frames"] == 8
    assert (second / "piece.json").is_file()


def record(piece, **fields):
    summary.write(piece.folder, RunSummary(ended=summary.now(), **fields))


def test_a_job_fails_with_its_piece_and_waits_for_one_that_was_stopped():
    jobs, (one,) = planned("tracker=fixed_window,local_queues", "sweep.split_frames=4")
    first, second = one.pieces
    assert joinable(jobs, [one]) == []
    record(first, status="finished", exit_code=0)
    record(second, status="interrupted", exit_code=130)
    assert joinable(jobs, [one]) == []
    assert not (jobs[0].folder / "run.json").exists()
    record(second, status="finished", exit_code=0)
    assert joinable(jobs, [one]) == jobs
    record(second, status="failed", exit_code=1, error="too dark")
    assert joinable(jobs, [one]) == []
    for job in jobs:
        run = summary.read(job.folder)
        assert (run.status, run.exit_code, run.job) == ("failed", 1, job.number)
        assert run.error == "frames 4-7: too dark"


@pytest.mark.parametrize(
    ("words", "multirun", "told"),
    [
        (["sweep.split_frames=4"], False, "sweep.split_frames: predictions become jobs"),
        (["sweep.cpu_launcher=basic"], False, "sweep.cpu_launcher: predictions become jobs"),
        (["sweep.split_frames=0"], True, "sweep.split_frames: got 0; accepted: at least 1"),
        (["sweep.cpu_launcher=jobllib"], True, "sweep.cpu_launcher=jobllib: there is no such"),
        (
            ["sweep.split_frames=4", "output.return_confmaps=true"],
            True,
            "sweep.split_frames: network outputs",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(words, multirun, told):
    with pytest.raises(ConfigError) as caught:
        check_jobs([*WORDS, *words], multirun=multirun)
    assert str(caught.value).startswith(told)
