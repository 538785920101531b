"""The files to look through a result with."""

import csv
from dataclasses import replace

import pytest

from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.runs import review as module
from sleap_lab.runs.review import review
from sleap_lab.runs.subject import of_labels
from sleap_lab.runs.suggestions import suggest_frames
from sleap_lab.settings.config import EvaluatorConfig
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


@pytest.mark.parametrize("only_people", [True, False])
def test_half_corrected_truth_counts_as_it_did_in_the_run(
    tmp_path, make_labels, monkeypatch, only_people
):
    both = [(0, frame, moved(by)) for frame in range(200) for by in (0, 100)]
    poses = make_labels([tmp_path / "gone.mp4"], predicted=both)
    poses.save(str(tmp_path / "poses.slp"), verbose=False)
    labelled = range(0, 200, 4)
    truth = make_labels(
        [tmp_path / "gone.mp4"],
        user=[(0, frame, moved(0)) for frame in labelled],
        predicted=[(0, frame, moved(100)) for frame in labelled],
    )
    how = EvaluatorConfig(user_labels_only=only_people)
    subject = of_labels(tmp_path / "poses.slp")
    shown = []
    monkeypatch.setattr(module, "write_review", lambda _path, recording: shown.append(recording))
    found = review(replace(subject, truth=to_poses(truth), evaluator=how), tmp_path, identify)
    assert found.labelled.startswith("50 of 200 frames are labelled: 0.0% of all frames are bad")
    assert len(shown[0].truth) == (50 if only_people else 100)


def test_what_was_left_out_is_told(tmp_path, make_labels, video_path):
    predicted = [(0, 1, TRIANGLE), (0, 2, TRIANGLE)]
    labels = make_labels([video_path], user=[(0, 0, moved(9))], predicted=predicted)
    labels.labeled_frames[1].frame_idx = 0
    labels.save(str(tmp_path / "poses.slp"), verbose=False)
    found = review(of_labels(tmp_path / "poses.slp"), tmp_path, identify)
    assert "1 instance was left out" in found.notes[0]
    assert suggest_frames(of_labels(tmp_path / "poses.slp"), tmp_path, identify, 1).notes[0] in (
        found.notes
    )
