"""What few labelled frames say of a whole recording."""

import numpy as np
import pytest

from sleap_lab.evaluation import evaluate
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import assess
from sleap_lab.runs.whole_recording import of_recording, with_labels
from sleap_lab.settings.config import EvaluatorConfig

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)


def result(labelled, frames=200, missed=(), off=1.0):
    """Return what was found with and without labels, of a square in every frame."""
    at = np.arange(frames)
    poses = make_poses(
        Skeleton(tuple("abcd"), edges=((0, 1), (1, 2), (2, 3))),
        SQUARE + off * np.ones((frames, 1, 1)),
        frame=at, frames=[(0, i) for i in range(frames)],
    )  # fmt: skip
    poses = poses[~np.isin(poses.frame, missed)]
    truth = make_poses(
        poses.skeleton, np.tile(SQUARE, (len(labelled), 1, 1)), frame=labelled, user=True
    )
    evaluation = evaluate(truth, poses, EvaluatorConfig(), videos={0: 0}, details=False)
    return assess(poses), evaluation


def test_signs_tell_frames_without_an_animal_from_the_others():
    labelled, missed = np.arange(0, 200, 4), np.arange(3, 200, 10)
    seen = of_recording(*result(labelled, missed=missed))
    assert (seen.frames, seen.bad.n) == (200, 50)
    # All frames in which the animal is missing are odd, all labelled ones even: 0 of 50 are bad.
    assert seen.bad.value == 0
    labelled = np.arange(0, 200, 3)
    seen = of_recording(*result(labelled, missed=missed))
    assert seen.bad.low <= len(missed) / 200 <= seen.bad.high
    assert abs(seen.bad.value - 0.1) < abs(np.isin(labelled, missed).mean() - 0.1) + 0.01
    assert seen.error.value == pytest.approx(np.sqrt(2))


def test_the_metrics_have_names_and_the_sentence_its_numbers():
    quality = with_labels(*result(np.arange(0, 200, 4)))
    assert quality.metrics["quality/bad_frames"] == 0
    assert 0.05 < quality.metrics["quality/bad_frames_high"] < 0.1
    assert quality.metrics["quality/error"] == pytest.approx(np.sqrt(2))
    assert quality.labelled.startswith("50 of 200 frames are labelled: 0.0% of all frames are bad")
    # Each found animal is off by the same: nothing shows how far others may be.
    assert "found are off by 1.41 px (no interval: the 50 labelled frames" in quality.labelled
    assert np.isnan(quality.metrics["quality/error_low"])
    assert "supposes that labelled frames are like the others" in quality.labelled


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        ([100], "1 of 200 frames are labelled; 20 or more tell something"),
        (range(19), "19 of 200 frames are labelled; 20 or more"),
    ],
)
def test_few_labels_tell_nothing_and_say_so(labelled, said):
    quality = with_labels(*result(np.array(labelled)))
    assert quality.labelled.startswith(said)
    assert np.isnan(quality.metrics["quality/bad_frames_low"])


def test_where_every_frame_is_labelled_nothing_is_estimated():
    quality, evaluation = result(np.arange(200))
    assert of_recording(quality, evaluation) is None
    assert with_labels(quality, evaluation) is quality
