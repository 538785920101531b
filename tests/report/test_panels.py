from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from sleap_lab.evaluation import Switch
from sleap_lab.poses.record import Skeleton
from sleap_lab.report import drawing, figures
from sleap_lab.report.panels import Panel, accuracy_panels, content_panels, groups


@pytest.fixture(autouse=True)
def style():
    with drawing.house_style():
        yield


def captions(panels) -> dict[str, str]:
    return {panel.title: panel.caption for panel in panels}


def test_accuracy_of_poses(poses, evaluation):
    panels = {panel.title: panel for panel in accuracy_panels(poses, evaluation)}
    assert list(panels) == [
        "Error of each node",
        "PCK of each node",
        "Similarity of matched pairs",
        "Error over the frames",
    ]
    assert "oks_stddev 0.05" in panels["Similarity of matched pairs"].caption
    # tail: 0, 1, 1, 2, 2 and 3 px; head and thorax one 0 more, so a median of 1
    assert (
        panels["Error of each node"].alt
        == f"Error of each node. The largest median is that of tail, {(1 + 2) / 2:.2f} px."
    )
    # the lost tail of the first pair is a miss at every distance
    assert panels["PCK of each node"].alt.endswith("lowest for tail.")
    assert [panel.shape for panel in panels.values()] == ["", "", "", "wide"]


def test_confidence_is_shown_against_error_where_it_says_something(poses, evaluation, monkeypatch):
    monkeypatch.setattr("sleap_lab.report.panels.FEWEST_NODES", 20)
    assert "Confidence and error" not in captions(
        accuracy_panels(poses, evaluation)
    )  # every node has the same
    # The surest nodes are those of the first frame, which are where they should be.
    graded = replace(poses, point_scores=1 - poses.frame[:, None] / 10 + np.zeros((len(poses), 3)))
    panels = {panel.title: panel for panel in accuracy_panels(graded, evaluation)}
    assert panels["Confidence and error"].alt == (
        "Error against confidence: median 3.00 px in the least sure tenth, 0.00 px in the surest."
    )


def test_identity_switches_are_marked_on_the_timeline(poses, truth, evaluation):
    switch = Switch(0, 0, 2, "a", "a", "b", "b", 40.0)
    panels = captions(content_panels(poses, truth, replace(evaluation, switches=(switch,))))
    assert "A triangle marks an identity switch" in panels["Frames that each track covers"]


def test_accuracy_without_a_match(poses, truth, score):
    assert list(accuracy_panels(poses[:0], score(truth, poses[:0]))) == []


def test_content_says_what_it_leaves_out(poses, truth, evaluation):
    content = captions(content_panels(poses, truth, evaluation))
    assert list(content) == [
        "Instances in each frame",
        "Frames that each track covers",
        "Nodes found",
        "Confidence of predicted instances",
    ]
    assert content["Instances in each frame"] == "1 of 5 processed frames are empty."
    assert (
        content["Frames that each track covers"]
        == "In brackets: number of instances. 1 instance has no track."
    )


def test_content_without_tracks_scores_or_second_node(poses):
    poses = replace(
        poses,
        skeleton=Skeleton(("centroid",)),
        points=poses.points[:, :1],
        point_scores=poses.point_scores[:, :1],
        tracks=np.full(len(poses), -1, np.int32),
        instance_scores=np.full(len(poses), np.nan),
    )
    assert list(captions(content_panels(poses, None, None))) == ["Instances in each frame"]


def test_more_tracks_than_rows(poses, monkeypatch):
    monkeypatch.setattr(figures, "MAX_TRACK_ROWS", 1)
    assert (
        "The 1 shortest tracks are left out."
        in captions(content_panels(poses, None, None))["Frames that each track covers"]
    )


@pytest.mark.parametrize(
    ("heights", "left", "right"),
    [
        ([4.0, 3.4, 2.8, 3.4], [4.0, 2.8], [3.4, 3.4]),
        ([7.0, 3.4, 2.8], [7.0], [3.4, 2.8]),
        ([3.0], [3.0], []),
    ],
)
def test_columns_are_of_like_height(heights, left, right):
    panels = [Panel("", "", "", "", Figure(figsize=(5, height))) for height in heights]
    ((first, second),) = groups(panels)
    assert [panel.figure.get_figheight() for panel in first] == left
    assert [panel.figure.get_figheight() for panel in second] == right


def test_a_wide_figure_is_a_row_by_itself():
    shapes = ["", "", "wide", "wide", ""]
    panels = [Panel(str(i), "", "", "", Figure(), shape) for i, shape in enumerate(shapes)]
    rows = [[panel.title for panel in [*left, *right]] for left, right in groups(panels)]
    assert rows == [["0", "1"], ["2"], ["3"], ["4"]]
