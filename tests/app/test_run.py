"""One experiment through the command: what it leaves, its repetition, and its interruption."""

import json
import signal

import numpy as np
import pytest

from sleap_lab.evaluation import load_metrics
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.poses.record import COLUMNS

RUN_FOLDER = {
    ".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml",
    "metrics.csv", "metrics.flat.npz", "metrics.frames.csv", "metrics.json", "metrics.npz",
    "predictions.slp", "quality.csv", "report.html", "run.json", "run.log", "switches.csv",
    "snapshot/command.txt", "snapshot/config.yaml", "snapshot/device.json", "snapshot/git.json",
    "snapshot/hashes.json", "snapshot/overrides.yaml", "snapshot/packages.json",
    "snapshot/videos.json",
}  # fmt: skip


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


# --- what a run leaves ------------------------------------------------------------------


def test_the_demo_finishes_and_tells_what_it_found(finished):
    """Takes eight seconds: the run of the demo that other tests look at, too."""
    assert finished.code == 0, finished.err
    assert "Traceback" not in finished.err
    told = dict(line.split("  ", 1) for line in finished.out.splitlines())
    assert told["frames"].strip() == "6"
    assert {"predictions", "report", "run folder"} <= set(told)
    assert finished.run["counts"]["tracks"] == 3


def test_the_run_folder_holds_what_is_documented_and_nothing_else(finished):
    assert (
        files(finished.folder) - {"snapshot/dirty.patch"} == RUN_FOLDER
    )  # the patch is there where the checkout has changes


def test_nothing_is_written_elsewhere(finished):
    assert [path.name for path in finished.cwd.iterdir()] == ["outputs"]
    elsewhere = {path.name for path in (finished.cwd / "outputs").iterdir()} - {
        finished.folder.parent.name,
        "multirun",
    }
    assert elsewhere == {"cache", "mlartifacts", "mlflow.db", "mlflow.db.lock"}


def test_predictions_and_metrics_can_be_read(finished):
    labels = read_labels(finished.folder / "predictions.slp")
    assert [frame.frame_idx for frame in labels] == list(range(6))
    assert (
        load_metrics(finished.folder / "metrics.npz")["voc_metrics"]["oks_voc.mAP"]
        == finished.run["metrics"]["eval/oks_map"]
        > 0.5
    )
    assert (
        json.loads((finished.folder / "metrics.json").read_text())["headline"]["identity/idf1"]
        == finished.run["metrics"]["identity/idf1"]
    )


def test_the_run_is_in_mlflow_with_its_metrics_and_files(finished, mlflow_runs):
    (run,) = [
        run
        for run in mlflow_runs(finished.cwd)
        if run.data.tags["sleap_lab.folder"] == str(finished.folder)
    ]
    assert run.info.status == "FINISHED"
    assert run.data.metrics["eval/oks_map"] == finished.run["metrics"]["eval/oks_map"]
    assert run.data.params["tracker.candidates_method"] == "local_queues"
    artifacts = finished.cwd / "outputs" / "mlartifacts" / run.info.run_id / "artifacts"
    assert files(artifacts) - {"snapshot/dirty.patch"} == RUN_FOLDER


# --- repeating it -----------------------------------------------------------------------


def same_predictions(one, other):
    """Whether two predictions files hold the same poses, to the last bit."""
    a, b = to_poses(read_labels(one)), to_poses(read_labels(other))
    return a.track_names == b.track_names and all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=name not in ("user", "tracks"))
        for name in (*COLUMNS, "frames")
    )


@pytest.mark.parametrize("cache", ["off", "rw"], ids=["predicted again", "from the cache"])
def test_the_same_command_gives_the_same_answer(cache, finished, sleap_lab):
    folder = finished.cwd.parent / f"again {cache}"
    again = sleap_lab(
        *finished.words,
        f"cache={cache}",
        "logger=none",
        "report=none",
        f"hydra.run.dir='{folder}'",
        cwd=finished.cwd,
    )
    assert again.code == 0, again.err
    assert ("predicting" in again.err) == (cache == "off")
    assert same_predictions(finished.folder / "predictions.slp", folder / "predictions.slp")
    assert (folder / "metrics.json").read_bytes() == (finished.folder / "metrics.json").read_bytes()
    assert (folder / "metrics.npz").read_bytes() == (finished.folder / "metrics.npz").read_bytes()


def test_runs_started_at_the_same_moment_have_folders_of_their_own(demo, start, tmp_path):
    words = [
        f"data.path={demo.truth}",
        "data.frames=0-3",
        "model=none",
        "tracker=fixed_window",
        "logger=none",
        "report=none",
    ]
    processes = [start(*words, cwd=tmp_path) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    records = list(tmp_path.glob("outputs/*/*/run.json"))
    assert {json.loads(record.read_text())["pid"] for record in records} == {
        process.pid for process in processes
    }


# --- interrupting it --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "logger"),
    [(signal.SIGINT, "none"), (signal.SIGTERM, "mlflow")],
    ids=["Ctrl-C", "a request to terminate, with MLflow"],
)
def test_an_interruption_is_recorded(
    number, logger, demo, finished, start, wait_for, mlflow_runs, tmp_path
):
    folder = tmp_path / "run"
    words = [
        "data=demo",
        demo.paths,
        "runtime.batch_size=1",
        "cache=off",
        "report=none",
        f"logger={logger}",
        f"hydra.run.dir='{folder}'",
    ]
    process = start(*words, cwd=finished.cwd)
    try:
        wait_for(
            lambda: (folder / "run.log").is_file() and "load: " in (folder / "run.log").read_text(),
            process,
        )
        process.send_signal(number)
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.endswith("interrupted\n")
    assert "Traceback" not in err
    run = json.loads((folder / "run.json").read_text())
    assert (run["status"], run["exit_code"]) == ("interrupted", 130)
    logged = [
        run.info.status
        for run in mlflow_runs(finished.cwd)
        if run.data.tags["sleap_lab.folder"] == str(folder)
    ]
    assert logged == (["KILLED"] if logger == "mlflow" else [])
