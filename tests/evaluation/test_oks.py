import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sleap_lab.evaluation.oks import oks

NAN = [np.nan, np.nan]
SQUARE = np.array(
    [[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float
)  # area 10⁴, so (0.05)² · 2 · 10⁴ = 50


def shifted(pose, x, y):
    return pose + np.array([x, y])


def without(pose, *nodes):
    pose = pose.copy()
    pose[list(nodes)] = np.nan
    return pose


@pytest.mark.parametrize(
    ("truth", "pose", "expected"),
    [
        (SQUARE, SQUARE, 1),  # the same pose
        (SQUARE, shifted(SQUARE, 3, 4), np.exp(-25 / 50)),  # 5 px off everywhere
        (SQUARE, without(SQUARE, 0), 3 / 4),  # a node missing in the prediction scores 0
        (SQUARE, without(SQUARE, 0, 1, 2, 3), 0),  # nothing predicted
        (
            without(SQUARE, 2),
            shifted(SQUARE, 0, 2),
            np.exp(-4 / 50),
        ),  # a node missing in the truth is not counted
        (without(SQUARE, 0, 1), without(SQUARE, 2, 3), 0),  # on one axis, nothing visible in both
        (
            without(SQUARE, 1, 2, 3),
            shifted(SQUARE, 3, 4),
            1 - 5 / 50,
        ),  # one visible node: plain distance
        (without(SQUARE, 1, 2, 3), shifted(SQUARE, 60, 0), 0),  # the same, out of reach
        (
            without(SQUARE, 2, 3),
            shifted(SQUARE, 0, 10),
            1 - 10 / 50,
        ),  # all on one axis: plain distance
        (
            without(SQUARE, 2, 3),
            np.array([[0, 10], NAN, NAN, NAN]),
            1 - 10 / 50,
        ),  # mean over nodes visible in both
    ],
)
def test_oks_of_one_pair(truth, pose, expected):
    np.testing.assert_allclose(oks(truth[None], pose[None]), [[expected]], rtol=0, atol=1e-15)


def test_a_true_pose_without_nodes_is_nan_for_every_prediction():
    table = oks(np.stack([without(SQUARE, 0, 1, 2, 3), SQUARE]), np.stack([SQUARE, SQUARE]))
    np.testing.assert_array_equal(np.isnan(table), [[True, True], [False, False]])


def test_doubling_the_spread_takes_every_node_to_the_power_of_a_quarter():
    table = oks(SQUARE[None], shifted(SQUARE[None], 3, 4), stddev=0.05)
    np.testing.assert_allclose(table, [[np.exp(-25 / 50) ** (1 / 4)]])


def test_one_spread_per_node():
    moved = shifted(SQUARE, 3, 4)
    table = oks(SQUARE[None], moved[None], stddev=[0.025, 0.025, 0.05, 0.05])
    np.testing.assert_allclose(table, [[(2 * np.exp(-25 / 50) + 2 * np.exp(-25 / 200)) / 4]])


def test_scale_is_an_area_and_may_differ_between_true_poses():
    moved = shifted(SQUARE[None], 3, 4)
    assert oks(SQUARE[None], moved, scale=100)[0, 0] == pytest.approx(
        np.exp(-25 / (0.05**2 * 2 * 100))
    )
    table = oks(np.stack([SQUARE, SQUARE]), moved, scale=[10_000, 40_000])
    np.testing.assert_allclose(table, [[np.exp(-25 / 50)], [np.exp(-25 / 200)]])


def test_a_given_scale_does_not_help_a_pose_without_extent():
    one_node = without(SQUARE, 1, 2, 3)[None]
    assert oks(one_node, shifted(one_node, 3, 4), scale=10_000)[0, 0] == pytest.approx(1 - 5 / 50)


def test_nothing_to_compare():
    none = np.zeros((0, 4, 2))
    assert oks(none, SQUARE[None]).shape == (0, 1)
    assert oks(SQUARE[None], none).shape == (1, 0)


def test_agrees_with_pycocotools():
    COCOeval = pytest.importorskip("pycocotools.cocoeval").COCOeval
    rng = np.random.default_rng(0)
    truth, poses = rng.uniform(0, 200, (3, 5, 2)), rng.uniform(0, 200, (4, 5, 2))
    poses[:3] = truth + rng.normal(0, 4, truth.shape)
    truth[0, 1] = truth[2, [0, 3]] = np.nan
    low, high = np.nanmin(truth, axis=1), np.nanmax(truth, axis=1)

    coco = COCOeval(iouType="keypoints")
    coco.params.kpt_oks_sigmas = np.full(5, 0.03)
    coco.params.maxDets = [20]
    coco._gts[1, 1] = [
        {
            "keypoints": np.column_stack(
                [np.nan_to_num(pose), np.where(np.isnan(pose[:, 0]), 0, 2)]
            ).ravel(),
            "area": float(np.prod(h - lo)),
            "bbox": [*lo, *(h - lo)],
        }
        for pose, lo, h in zip(truth, low, high, strict=True)
    ]
    coco._dts[1, 1] = [
        {"keypoints": np.column_stack([pose, np.full(5, 2)]).ravel(), "score": -i}
        for i, pose in enumerate(poses)
    ]
    expected = coco.computeOks(1, 1).T
    assert (expected > 0.1).any()
    np.testing.assert_allclose(oks(truth, poses, stddev=0.03), expected, rtol=1e-12)


coordinates = st.floats(-1000, 1000).map(lambda x: round(x, 3))
pose_sets = arrays(
    np.float64, st.tuples(st.integers(1, 3), st.just(4), st.just(2)), elements=coordinates
)


@settings(deadline=None)
@given(pose_sets, pose_sets, st.floats(1e-2, 1))
def test_lies_between_0_and_1_and_is_1_for_the_same_pose(truth, poses, stddev):
    table = oks(truth, poses, stddev=stddev)
    assert table.min() >= 0
    assert table.max() <= 1
    np.testing.assert_allclose(np.diagonal(oks(truth, truth, stddev=stddev)), 1)


@settings(deadline=None)
@given(pose_sets, pose_sets, st.integers(0, 3))
def test_losing_a_predicted_node_never_helps_where_there_is_a_scale(truth, poses, node):
    fewer = poses.copy()
    fewer[:, node] = np.nan
    has_scale = np.ptp(truth, axis=1).prod(axis=-1) > 1e-9
    assert (oks(truth, fewer)[has_scale] <= oks(truth, poses)[has_scale]).all()
