"""The files to look through a result with."""

import csv

import pytest

from sleap_lab.media.labels import read_labels
from sleap_lab.runs.review import review
from sleap_lab.runs.subject import of_labels
from sleap_lab.tracking.offline import identify

TRIANGLE = [[10.0, 10.0], [20.0, 10.0], [10.0, 20.0]]


def moved(by):
    return [[x + by, y] for x, y in TRIANGLE]


@pytest.fixture
def path(tmp_path, make_labels, video_path):
    """Predictions on six frames; on frame 3 one pose lies on another."""
    predicted = [(0, frame, moved(frame)) for frame in [0, 1, 2, 3, 3, 4, 5]]
    labels = make_labels([video_path], predicted=predicted)
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    return tmp_path / "poses.slp"


def test_moments_page_and_suggestions(path, tmp_path):
    found = review(of_labels(path), tmp_path / "review", identify)
    assert found.moments[0].frame == 3
    with open(tmp_path / "review" / "suspects.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == [moment.frame for moment in found.moments]
    suggested = read_labels(tmp_path / "review" / "suspects.slp")
    assert [item.frame_idx for item in suggested.suggestions] == [m.frame for m in found.moments]
    assert len(suggested.labeled_frames) == 6
    page = (tmp_path / "review" / "review.html").read_text(encoding="utf-8")
    assert "gray.mp4" in page
    assert [(name, file.name) for name, file in found.files] == [
        ("moments", "suspects.csv"),
        ("for the SLEAP GUI", "suspects.slp"),
        ("page", "review.html"),
    ]


def test_videos_that_are_gone_are_named_and_poses_stay(tmp_path, make_labels):
    labels = make_labels([tmp_path / "gone.mp4"], predicted=[(0, 0, TRIANGLE), (0, 1, moved(1))])
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    found = review(of_labels(tmp_path / "poses.slp"), tmp_path, identify)
    page = (tmp_path / "review.html").read_text(encoding="utf-8")
    assert "gone.mp4: " in page
    assert "its poses lie on an empty picture" in page
    assert found.moments == []
    assert "No moment looks doubtful" in page
    assert not (tmp_path / "suspects.slp").exists()


def test_a_result_without_a_pose_says_so(tmp_path, make_labels, video_path):
    labels = make_labels([video_path], predicted=[(0, 0, TRIANGLE)])
    labels.labeled_frames[0].instances.clear()
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    found = review(of_labels(tmp_path / "poses.slp"), tmp_path, identify)
    assert found.labelled == "no frame has a pose, so there is nothing to look through"
    assert found.labelled in (tmp_path / "review.html").read_text(encoding="utf-8")


def test_poses_of_which_no_node_was_found_are_none(tmp_path, make_labels, video_path):
    nowhere = [[float("nan")] * 2] * 3
    labels = make_labels([video_path], predicted=[(0, i, nowhere) for i in [0, 0, 1, 1]])
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    found = review(of_labels(tmp_path / "poses.slp"), tmp_path, identify, budget=0.5)
    assert found.promise.startswith("no promise about identities")
    assert found.labelled == "no frame has a pose, so there is nothing to look through"
    assert found.labelled in (tmp_path / "review.html").read_text(encoding="utf-8")


def test_it_is_said_how_to_learn_the_error_from_anywhere(path, tmp_path):
    found = review(of_labels(path), tmp_path / "review", identify)
    assert f"data.path={path} model=none" in found.labelled
