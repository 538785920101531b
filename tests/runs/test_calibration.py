"""What a run says of the radii that it was given."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.evaluation.radii import Calibration
from sleap_lab.media.labels import to_poses
from sleap_lab.runs.calibration import calibrate, calibration_notes
from sleap_lab.runs.subject import of_labels
from sleap_lab.settings.config import EvaluatorConfig


@pytest.fixture
def run_with(tmp_path):
    """Return a function that makes the folder of a run with these models."""

    def make(*models):
        (tmp_path / "snapshot").mkdir()
        hashes = {"inputs": {}, "models": [{"sha256": model} for model in models]}
        (tmp_path / "snapshot" / "hashes.json").write_text(json.dumps(hashes))
        return SimpleNamespace(folder=tmp_path)

    return make


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (("a", "b"), ("b", "a"), []),
        (("a",), ("c",), ["was made with other models"]),
        ((), ("c",), ["the models of this run are not known (model=none)"]),
        (("a",), (), ["the models of the run that it was made from are not known"]),
        ((), (), ["the models of the run that it was made from are not known"]),
    ],
)
def test_models_that_differ_or_are_not_known_are_told(run_with, here, there, said):
    notes = calibration_notes(run_with(*here), Calibration({}, there, "clip"), ())
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))


def test_a_run_that_found_nothing_has_too_few_points(tmp_path, make_labels, video_path):
    triangle = [[10.0, 10.0], [20.0, 10.0], [10.0, 20.0]]
    truth = to_poses(make_labels([video_path], user=[(0, 0, triangle)]))
    labels = make_labels([video_path], predicted=[(0, 0, triangle)])
    labels.labeled_frames[0].instances.clear()
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    subject = replace(of_labels(tmp_path / "poses.slp"), truth=truth, evaluator=EvaluatorConfig())
    with pytest.raises(ConfigError, match="0 compared points of 1 frame: too few"):
        calibrate(subject, tmp_path)


def test_predictions_that_counted_as_truth_say_nothing(tmp_path, make_labels, video_path):
    other = [[30.0, 10.0], [40.0, 10.0], [30.0, 20.0]]
    triangle = [[10.0, 10.0], [20.0, 10.0], [10.0, 20.0]]
    truth = make_labels([video_path], user=[(0, 0, triangle)], predicted=[(0, 0, other)])
    labels = make_labels([video_path], predicted=[(0, 0, triangle), (0, 0, other)])
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    how = EvaluatorConfig(user_labels_only=False)
    of_run = replace(of_labels(tmp_path / "poses.slp"), truth=to_poses(truth), evaluator=how)
    with pytest.raises(ConfigError, match="3 compared points of 1 frame: too few"):
        calibrate(of_run, tmp_path)


def test_truth_that_is_gone_is_named(tmp_path, make_labels, video_path):
    labels = make_labels([video_path], predicted=[(0, 0, [[10.0, 10.0], [20.0, 10.0], [9.0, 9.0]])])
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    gone = replace(of_labels(tmp_path / "poses.slp"), notes=("truth.slp: no such labels file",))
    with pytest.raises(ConfigError, match=r"were compared.*\(truth.slp: no such labels file\)"):
        calibrate(gone, tmp_path)
