"""Frames that are images, by the numbers that the images have in the predictions."""

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.evaluation import Evaluator
from sleap_lab.evaluation.images import by_image
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses.record import Skeleton, make_poses

SAME = VideoMatch(0, "a", 0, "b", "told so")
HERE, THERE = "/here/{}.png", "D:\\labels\\{}.png"


def video(*names, folder=HERE):
    return sio.Video([folder.format(name) for name in names], open_backend=False)


def renumbered(true_video, own_video, frames, notes=None):
    """Return the frames of one pose each, whose number is its x, and those that are listed."""
    truth = make_poses(Skeleton(("a",)), [[[i, 0]] for i in frames], frame=frames)
    found = by_image(truth, [true_video], [own_video], [SAME], [] if notes is None else notes)
    assert found.frames[:, 1].tolist() == found.frame.tolist()
    return dict(zip(found.points[:, 0, 0].astype(int).tolist(), found.frame.tolist(), strict=True))


@pytest.mark.parametrize(
    ("names", "frames", "expected"),
    [
        # As text, 10 comes before 2.
        (("1", "10", "2"), [0, 1, 2], {0: 0, 1: 2, 2: 1}),
        # Two were taken out to be labelled.
        (("2", "10"), [0, 1], {0: 1, 1: 2}),
        # The same order, and other names: they stay where they are.
        (("1", "2"), [0, 1], {0: 0, 1: 1}),
        (("x", "y"), [0, 1], {0: 0, 1: 1}),
    ],
)
@pytest.mark.parametrize("folder", [HERE, THERE])
def test_a_frame_has_the_number_of_its_image(names, frames, expected, folder):
    assert renumbered(video(*names, folder=folder), video("1", "2", "10"), frames) == expected


def test_an_image_that_the_predictions_lack_is_left_out_and_said():
    notes = []
    assert renumbered(video("3", "1", "2"), video("1", "2"), [0, 1, 2], notes) == {1: 0, 2: 1}
    assert notes == ["1 labelled image is not among those of the predictions and was left out"]


def test_images_of_one_name_are_told_apart_by_their_folders():
    true, own = video("b/1", "a/1"), video("a/1", "b/1", folder=THERE)
    assert renumbered(true, own, [0, 1]) == {0: 1, 1: 0}
    again = video("1", "1")
    assert renumbered(again, video("2", "1"), [0, 1]) == {0: 0, 1: 1}


def test_frames_of_a_recording_stay():
    recording = sio.Video("/here/a.mp4", open_backend=False)
    assert renumbered(recording, recording, [3, 1]) == {3: 3, 1: 1}


def test_embedded_images_are_those_that_they_were_taken_from():
    package = sio.Video("a.pkg.slp", open_backend=False)
    package.source_video = video("2", "1")
    assert renumbered(package, video("1", "2"), [0]) == {0: 1}


def test_predictions_on_images_in_another_order_are_perfect(make_labels):
    # 1.png, 2.png and 10.png, each with an animal elsewhere.
    poses = [[[x, 0], [x + 20, 5], [x, 30]] for x in (0.0, 300.0, 600.0)]
    truth = make_labels(["text"], user=[(0, i, poses[k]) for i, k in enumerate((0, 2, 1))])
    own = make_labels(["natural"], predicted=[(0, i, pose) for i, pose in enumerate(poses)])
    for labels, names in ((truth, (1, 10, 2)), (own, (1, 2, 10))):
        labels.videos[0].filename = [HERE.format(name) for name in names]
        labels.videos[0].backend_metadata["shape"] = (3, 48, 64, 1)
    found = Evaluator(truth, own).evaluate()
    assert found["mOKS"]["mOKS"] == pytest.approx(1)
    assert np.nanmax(found["distance_metrics"]["dists"]) == 0
