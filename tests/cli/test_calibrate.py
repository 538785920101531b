"""The verbs `calibrate` and `suggest`, on the demo's labels."""

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from sleap_lab.cli import main
from sleap_lab.demo import __file__ as demo
from sleap_lab.errors import ConfigError
from sleap_lab.experiment import run_experiment
from sleap_lab.media.labels import read_labels, save_labels

TRUTH = Path(demo).parent / "truth.slp"
TRACK = "data.path=poses.slp model=none tracker=fixed_window logger=none"
SCORED = f"{TRACK} evaluator=oks evaluator.ground_truth_path=truth.slp"


def call(*words):
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    return stop.value.code


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with the demo's truth, and with predictions that are off: the surer the less."""
    folder = tmp_path_factory.mktemp("lab")
    labels = read_labels(TRUTH)
    save_labels(labels, folder / "truth.slp")
    rng = np.random.default_rng(0)
    for frame in labels:
        for i, instance in enumerate(frame.instances):
            points = instance.numpy()
            score = rng.uniform(0.2, 1, len(points))
            points = points + rng.normal(size=points.shape) * (1.5 - score[:, None])
            frame.instances[i] = predicted(instance.skeleton, points, score)
    save_labels(labels, folder / "poses.slp")
    return folder


def predicted(skeleton, points, score):
    import sleap_io as sio

    return sio.PredictedInstance.from_numpy(
        points, skeleton=skeleton, point_scores=score, score=float(score.mean())
    )


@pytest.fixture
def here(lab, monkeypatch):
    monkeypatch.chdir(lab)
    for name in ("snapshot", "verify"):  # the checkout that the tests run in may be worked on
        monkeypatch.setattr(f"sleap_lab.runs.{name}.git_state", lambda *sources: (None, b""))
    return lab


def test_radii_are_learned_and_given_to_a_later_run(here, capsys):
    folder = run_experiment([*SCORED.split(), "report=none"]).folder
    assert call("calibrate", str(folder)) == 0
    told = capsys.readouterr().out
    assert "nose" in told
    assert f"evaluator.calibration={folder}/calibration.json" in told
    words = "output.formats=[slp,csv,analysis_h5] output.overlay_video=worst"
    result = run_experiment(
        [*SCORED.split(), *words.split(), f"evaluator.calibration={folder}/calibration.json"]
    )
    with open(result.folder / "predictions.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    radii = np.array([float(row["nose.radius"]) for row in rows])
    scores = np.array([float(row["nose.score"]) for row in rows])
    assert radii[scores < 0.3].min() > radii[scores > 0.9].max()
    with h5py.File(result.folder / "predictions.analysis.h5") as file:
        assert file["point_radii"].shape == file["point_scores"].shape
        array = file["point_radii"][()]
    assert sorted(array[:, 0][np.isfinite(array[:, 0])]) == sorted(radii)
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "Radii that hold the true point with 90% probability" in page
    assert (result.folder / "overlay.mp4").stat().st_size > 0
    facts = json.loads((result.folder / "snapshot" / "hashes.json").read_text())
    assert facts["inputs"]["evaluator.calibration"]["sha256"]


def test_a_run_without_ground_truth_cannot_be_calibrated(here, capsys):
    folder = run_experiment([*TRACK.split(), "report=none"]).folder
    assert call("calibrate", str(folder)) == ConfigError.exit_code
    assert "were compared with ground truth; give a run with" in capsys.readouterr().err
    assert call("calibrate", "poses.slp") == ConfigError.exit_code
    assert call("calibrate", "a", "b") == ConfigError.exit_code
    assert "give one run with ground truth; got a b" in capsys.readouterr().err


def test_a_calibration_that_is_none_is_refused_before_the_work(here):
    with pytest.raises(ConfigError, match=r"evaluator.calibration: .*gone.json: no such file"):
        run_experiment([*SCORED.split(), "evaluator.calibration=gone.json"])


def test_frames_to_label_are_suggested(here, capsys):
    assert call("suggest", "poses.slp", "-n", "7") == 0
    assert "frames to label    7" in capsys.readouterr().out
    (file,) = (here / "outputs" / "suggest").glob("*/suggested.slp")
    labels = read_labels(file)
    frames = [suggestion.frame_idx for suggestion in labels.suggestions]
    assert len(set(frames)) == 7
    assert len(labels.labeled_frames) == len(read_labels("poses.slp").labeled_frames)
    with open(file.with_suffix(".csv"), encoding="utf-8") as table:
        assert [int(row["frame"]) for row in csv.DictReader(table)] == frames


def test_a_frame_that_a_person_emptied_is_not_suggested(here, capsys):
    labels = read_labels("poses.slp")
    for entry in labels.labeled_frames[100:200]:
        entry.instances, entry.is_negative = [], entry.frame_idx == 150
    save_labels(labels, "emptied.slp")
    assert call("suggest", "emptied.slp", "-n", "380") == 0
    file = max((here / "outputs" / "suggest").glob("*/suggested.slp"))
    frames = {suggestion.frame_idx for suggestion in read_labels(file).suggestions}
    assert frames == set(range(380)) - {150}


def test_nodes_without_a_radius_are_named_where_nothing_is_written(here):
    folder = run_experiment([*SCORED.split(), "report=none"]).folder
    assert call("calibrate", str(folder)) == 0
    file = folder / "calibration.json"
    content = json.loads(file.read_text())
    del content["nodes"]["nose"]
    file.write_text(json.dumps(content))
    words = SCORED.replace("tracker=fixed_window ", "").split()
    result = run_experiment([*words, "report=none", f"evaluator.calibration={file}"])
    assert "evaluator.calibration has no radius for nose" in result.summary.notes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["poses.slp", "-n", "0"], "-n 0; accepted: how many frames, 1 or more"),
        (["poses.slp", "-n", "many"], "invalid int value: 'many'"),
        (["truth.slp"], "no frame that was processed and is not labelled yet"),
        (["gone.slp"], "gone.slp: no such labels file"),
    ],
)
def test_what_cannot_be_suggested_is_refused(here, words, message, capsys):
    assert call("suggest", *words) == ConfigError.exit_code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["suggest", "calibrate"])
def test_help_tells_what_is_written(verb, capsys):
    assert call(verb, "--help") == 0
    assert {"suggest": "suggested.slp", "calibrate": "calibration.json"}[
        verb
    ] in capsys.readouterr().out
