"""How far two runs agree."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.evaluation import agreement
from sleap_lab.evaluation.agreement import (
    LARGEST_PIXELS,
    LARGEST_SCORE,
    compare_metrics,
    compare_poses,
)
from sleap_lab.poses.record import Skeleton, make_poses

NAN = float("nan")
SKELETON = Skeleton(("a", "b"))
POSES = make_poses(
    SKELETON,
    [[[0, 0], [10, 0]], [[50, 0], [NAN, NAN]], [[0, 1], [10, 1]]],
    frame=[0, 0, 1],
    point_scores=[[0.5, 0.5], [0.25, NAN], [0.5, 0.5]],
    instance_scores=[0.9, 0.8, NAN],
    tracks=[0, 1, -1],
    track_names=["x", "y"],
    frames=[(0, 0), (0, 1), (0, 2)],
)


def differing(now, *, exact=True, then=POSES):
    """What differs by more than is allowed: name -> number in the second run."""
    return {
        item.name: item.now for item in compare_poses(then, now, exact=exact) if not item.agrees
    }


def moved(poses, by):
    return replace(poses, points=poses.points + by)


def test_the_same_poses_agree_to_the_last_bit():
    assert differing(POSES) == {}
    found = {item.name: item for item in compare_poses(POSES, POSES, exact=True)}
    assert (found["frames"].now, found["instances"].now, found[LARGEST_PIXELS].now) == (3, 3, 0)


def test_the_order_of_instances_does_not_matter():
    turned = replace(POSES[[2, 1, 0]], track_names=("x", "y"))
    assert differing(turned) == {}


def test_names_of_tracks_matter_and_not_their_numbers():
    renumbered = replace(POSES, tracks=np.array([1, 0, -1]), track_names=("y", "x"))
    assert differing(renumbered) == {}
    assert differing(replace(POSES, track_names=("y", "x"))) == {"instances with another track": 2}
    assert differing(replace(POSES, tracks=np.array([0, 1, 0]))) == {
        "instances with another track": 1
    }


def test_small_differences_are_allowed_between_machines():
    assert differing(moved(POSES, 0.005)) == {LARGEST_PIXELS: pytest.approx(0.005)}
    assert differing(moved(POSES, 0.005), exact=False) == {}
    assert differing(moved(POSES, 0.02), exact=False) == {LARGEST_PIXELS: pytest.approx(0.02)}
    scored = replace(POSES, point_scores=POSES.point_scores + np.array([0.001, 0.003]))
    assert differing(scored, exact=False) == {LARGEST_SCORE: pytest.approx(0.003)}


def test_what_is_not_there_never_agrees():
    assert differing(POSES[:2], exact=False) == {"instances": 2, "instances without counterpart": 1}
    assert differing(replace(POSES, frames=POSES.frames[:2])) == {
        "frames": 2,
        "frames of one run only": 1,
    }
    points = POSES.points.copy()
    points[0, 1] = NAN
    assert differing(replace(POSES, points=points), exact=False) == {
        "nodes found in one run only": 1
    }
    scores = np.array([0.9, NAN, NAN])
    assert differing(replace(POSES, instance_scores=scores), exact=False) == {LARGEST_SCORE: np.inf}


def test_other_skeletons_have_nothing_in_common():
    other = replace(POSES, skeleton=Skeleton(("a", "c")))
    assert differing(other)["instances without counterpart"] == 6


def test_no_poses_agree_with_no_poses():
    empty = make_poses(SKELETON, [], frames=[(0, 0)])
    assert differing(empty, then=empty) == {}
    assert differing(empty, then=make_poses(SKELETON, [])) == {
        "frames": 1,
        "frames of one run only": 1,
    }


@pytest.mark.parametrize(
    ("name", "then", "now", "exact", "agrees"),
    [
        ("eval/oks_map", 0.5, 0.501, False, True),
        ("eval/oks_map", 0.5, 0.501, True, False),
        ("eval/oks_map", 0.5, 0.503, False, False),
        ("eval/dist_avg", 3, 3.009, False, True),  # px
        ("eval/dist_avg", 3, 3.011, False, False),
        ("identity/switches", 3, 4, False, False),  # a count
        ("counts/frames", 3, 3, True, True),
        ("eval/moks", NAN, NAN, True, True),  # undefined in both
        ("eval/moks", NAN, 0.5, False, False),
        ("eval/moks", 0.5, None, False, False),  # not there
        ("eval/moks", None, NAN, False, False),
    ],
)
def test_metrics(name, then, now, exact, agrees):
    (found,) = compare_metrics(
        *({} if value is None else {name: value} for value in (then, now)), exact=exact
    )
    assert found.agrees == agrees


def test_tracks_of_one_name_are_two():
    then, now = (
        replace(POSES, tracks=np.array(tracks), track_names=("x", "x"))
        for tracks in ([0, 1, -1], [1, 0, -1])
    )
    assert differing(replace(then, track_names=("x", "x"))) != {} or len(POSES) == 0
    (difference,) = [item for item in compare_poses(then, now, exact=True) if not item.agrees]
    assert (difference.name, difference.now) == ("instances with another track", 2)


def test_instances_are_paired_by_the_mean_distance_of_their_nodes():
    # The first moves by (5.7 + 0) / 2 = 2.8 px, the second by 3.5 px at both nodes.
    then = make_poses(SKELETON, [[[0, 0], [10, 0]]], tracks=[0], track_names=["x"])
    now = make_poses(
        SKELETON,
        [[[4, 4], [10, 0]], [[3.5, 0], [13.5, 0]]],
        frame=[0, 0],
        tracks=[0, 1],
        track_names=["x", "y"],
    )
    assert differing(now, then=then) == {
        "instances": 2,
        "instances without counterpart": 1,
        LARGEST_PIXELS: 4,
    }


def test_poses_without_a_common_node_differ_in_their_nodes():
    then = make_poses(SKELETON, [[[0, 0], [NAN, NAN]]])
    now = make_poses(SKELETON, [[[NAN, NAN], [9, 0]]])
    assert differing(now, then=then) == {"nodes found in one run only": 2}


def test_the_distance_of_two_poses_is_the_mean_over_the_nodes_of_both():
    gap = [np.nan, np.nan]
    then = np.array([[[0, 0], [10, 0]], [[0, 0], gap]])
    now = np.array([[[3, 4], [10, 1]], [[6, 8], gap], [gap, [1, 1]]])
    found = agreement._distances(then, now)
    none = agreement.NO_COMMON_NODE
    apart = np.hypot(9, 1)  # from (10, 0) to (1, 1)
    np.testing.assert_allclose(found, [[(5 + 1) / 2, 10, apart], [5, 10, none]])
