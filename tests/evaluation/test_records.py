import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.evaluation.records import align_nodes, on_compared_nodes, with_nodes
from sleap_lab.poses.record import Skeleton, make_poses


def test_nodes_are_put_in_the_order_of_the_truth():
    truth = make_poses(Skeleton(("head", "tail")), [])
    poses = make_poses(Skeleton(("tail", "head")), [[[1, 1], [2, 2]]], point_scores=[[0.1, 0.2]])
    aligned = align_nodes(truth, poses)
    assert aligned.skeleton is truth.skeleton
    assert aligned.points.tolist() == [[[2, 2], [1, 1]]]
    assert aligned.point_scores.tolist() == [[0.2, 0.1]]


@pytest.mark.parametrize(
    ("truth_nodes", "pose_nodes", "only_truth", "only_poses"),
    [
        (("head", "tail"), ("head",), "tail", "none"),
        (("head",), ("head", "ear"), "none", "ear"),
        (("a", "b"), ("c", "d"), "a, b", "c, d"),  # as many nodes, but other ones
    ],
)
def test_other_nodes_are_refused_and_named(truth_nodes, pose_nodes, only_truth, only_poses):
    with pytest.raises(ConfigError, match="ground truth with another skeleton") as error:
        align_nodes(make_poses(Skeleton(truth_nodes), []), make_poses(Skeleton(pose_nodes), []))
    assert f"only in the ground truth: {only_truth}; only in the predictions: {only_poses}" in str(
        error.value
    )


def named(nodes, edges=()):
    return make_poses(
        Skeleton(tuple(nodes), edges=edges),
        np.arange(2.0 * len(nodes)).reshape(1, -1, 2),
        point_scores=[np.arange(len(nodes))],
    )


def test_common_nodes_are_compared_in_the_order_of_the_truth():
    truth, poses = on_compared_nodes(named("abcd", [(0, 1), (1, 3)]), named("xdba"), "common")
    assert truth.skeleton == Skeleton(("a", "b", "d"), edges=((0, 1), (1, 2)))
    assert poses.skeleton.nodes == ("a", "b", "d")
    assert truth.points[0, :, 0].tolist() == [0, 2, 6]
    assert poses.points[0, :, 0].tolist() == [6, 4, 2]
    assert poses.point_scores.tolist() == [[3, 2, 1]]


def test_the_refusal_of_other_nodes_names_the_way_out_and_nothing_in_common_is_refused():
    with pytest.raises(
        ConfigError, match=r"evaluator\.nodes=common compares the nodes that both have$"
    ):
        on_compared_nodes(named("ab"), named("bc"), "all")
    with pytest.raises(
        ConfigError,
        match=r"^evaluator\.nodes=common: .* no node in common; "
        r"ground truth: a, b; predictions: x$",
    ):
        on_compared_nodes(named("ab"), named("x"), "common")


def test_edges_and_symmetries_of_nodes_that_are_left_out_go_with_them():
    skeleton = Skeleton(
        ("a", "b", "c"), edges=((0, 1), (1, 2), (2, 0)), symmetries=((0, 2), (1, 2))
    )
    poses = make_poses(skeleton, [[[0, 0], [1, 1], [2, 2]]], point_scores=[[0.1, 0.2, 0.3]])
    fewer = with_nodes(poses, {"c", "a"})
    assert fewer.skeleton == Skeleton(("a", "c"), edges=((1, 0),), symmetries=((0, 1),))
    assert fewer.points.tolist() == [[[0, 0], [2, 2]]]
    assert fewer.point_scores.tolist() == [[0.1, 0.3]]
