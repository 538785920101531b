"""Truth and predictions as they are compared: on the same nodes, or as centroids."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.evaluation.centroid import first_visible
from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses, Skeleton
from sleap_lab.settings.config import EvaluatorConfig
from sleap_lab.settings.thresholds import oks_stddevs


class Records(NamedTuple):
    """The two records as they are compared.

    Attributes:
        truth: Ground truth.
        poses: Predictions.
        config: How to score; where centroids are matched, with their method filled in.
        stddev: Spread of the OKS kernel, one number or one per node.
        notes: What is not compared as it stands in the files, one sentence each.
    """

    truth: Poses
    poses: Poses
    config: EvaluatorConfig
    stddev: float | list[float]
    notes: list[str]


def pose_records(truth: Poses, poses: Poses, config: EvaluatorConfig) -> Records:
    """Return both records on the nodes that are compared, with the spread of OKS for these nodes.

    Raises:
        ConfigError: The skeletons do not have the same nodes, or none in common; or `oks_stddev` is
            not one number or one per node of the truth.
    """
    notes = _node_notes(truth.skeleton, poses.skeleton)
    nodes = truth.skeleton.nodes
    truth, poses = on_compared_nodes(truth, poses, config.nodes)
    stddev = oks_stddevs(config, len(nodes))
    if isinstance(stddev, list):
        stddev = [stddev[nodes.index(node)] for node in truth.skeleton.nodes]
    return Records(truth, poses, config, stddev, notes)


def centroid_records(truth: Poses, poses: Poses, config: EvaluatorConfig) -> Records:
    """Return both records as poses of a single node, the centroid.

    Raises:
        ConfigError: The settings of centroids do not fit together, or `oks_stddev` is no positive
            number or list of them.
    """
    stddev = oks_stddevs(config)
    config, notes = _resolve_centroid(truth, config)
    return Records(*_to_centroids(truth, poses, config), config, stddev, notes)


def _resolve_centroid(truth: Poses, config: EvaluatorConfig) -> tuple[EvaluatorConfig, list[str]]:
    """Choose the method that gives the true centroids.

    An anchor that the skeleton lacks is replaced, which a note says, as in sleap-nn.
    """
    if config.centroid_method == "anchor" and config.anchor_part is None:
        raise ConfigError(
            "evaluator.centroid_method=anchor needs evaluator.anchor_part, the name of a node"
        )
    fallback = config.centroid_fallback or "center_of_mass"
    if config.anchor_part is None or config.anchor_part in truth.skeleton.nodes:
        method = config.centroid_method or ("anchor" if config.anchor_part else "center_of_mass")
        return replace(config, centroid_method=method, centroid_fallback=fallback), []
    method = config.centroid_method if config.centroid_method not in (None, "anchor") else fallback
    note = (
        f"evaluator.anchor_part={config.anchor_part}: the ground truth has no such node, "
        f"{method} is used instead; its nodes are {', '.join(truth.skeleton.nodes)}."
        f"{did_you_mean(config.anchor_part, truth.skeleton.nodes)}"
    )
    config = replace(config, anchor_part=None, centroid_method=method, centroid_fallback=fallback)
    return config, [note]


def _to_centroids(truth: Poses, poses: Poses, config: EvaluatorConfig) -> tuple[Poses, Poses]:
    """Reduce both records to poses of a single node, the centroid."""
    anchor = None if config.anchor_part is None else truth.skeleton.nodes.index(config.anchor_part)
    centroids = instance_centroids(
        truth.points,
        method=str(config.centroid_method),
        anchor=anchor,
        fallback=str(config.centroid_fallback),
    )

    def reduced(record: Poses, points: np.ndarray) -> Poses:
        return replace(
            record,
            skeleton=Skeleton(("centroid",)),
            points=points[:, None],
            point_scores=record.instance_scores[:, None],
        )

    return reduced(truth, centroids), reduced(poses, first_visible(poses.points))


def _node_notes(truth: Skeleton, poses: Skeleton) -> list[str]:
    """State how nodes are compared where the two skeletons differ."""
    if truth.nodes == poses.nodes:
        return []
    shared = [node for node in truth.nodes if node in poses.nodes]
    others = [node for node in (*truth.nodes, *poses.nodes) if node not in shared]
    if not others:
        return ["nodes are in another order in the predictions; compared by name"]
    return [
        f"compared on the nodes that both sides have ({', '.join(shared)}); "
        f"left out: {', '.join(others)}"
    ]


def align_nodes(truth: Poses, poses: Poses) -> Poses:
    """Return the predictions with their nodes in the order of the ground truth, matched by name.

    Raises:
        ConfigError: The two skeletons do not have the same nodes.
    """
    expected, found = truth.skeleton.nodes, poses.skeleton.nodes
    if expected == found:
        return poses
    if sorted(expected) != sorted(found):
        missing = ", ".join(sorted(set(expected) - set(found))) or "none"
        extra = ", ".join(sorted(set(found) - set(expected))) or "none"
        raise ConfigError(
            "evaluator.ground_truth_path: ground truth with another skeleton than the predictions; "
            f"nodes only in the ground truth: {missing}; only in the predictions: {extra}; "
            "evaluator.nodes=common compares the nodes that both have"
        )
    order = [found.index(name) for name in expected]
    return replace(
        poses,
        skeleton=truth.skeleton,
        points=poses.points[:, order],
        point_scores=poses.point_scores[:, order],
    )


def on_compared_nodes(truth: Poses, poses: Poses, nodes: str) -> tuple[Poses, Poses]:
    """Return both records with the same nodes in the order of the ground truth, matched by name.

    Args:
        truth: Ground truth.
        poses: Predictions.
        nodes: `all`, or `common` for those that both have.

    Raises:
        ConfigError: The two skeletons do not have the same nodes, or not one in common.
    """
    if nodes == "common":
        shared = set(truth.skeleton.nodes) & set(poses.skeleton.nodes)
        if not shared:
            raise ConfigError(
                "evaluator.nodes=common: ground truth and predictions have no node in common; "
                f"ground truth: {', '.join(truth.skeleton.nodes)}; "
                f"predictions: {', '.join(poses.skeleton.nodes)}"
            )
        truth, poses = (with_nodes(record, shared) for record in (truth, poses))
    return truth, align_nodes(truth, poses)


def with_nodes(poses: Poses, names: Collection[str]) -> Poses:
    """Return poses with some of their nodes only."""
    skeleton = poses.skeleton
    chosen = [i for i, name in enumerate(skeleton.nodes) if name in names]
    place = {node: i for i, node in enumerate(chosen)}

    def between(pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
        return tuple((place[a], place[b]) for a, b in pairs if a in place and b in place)

    nodes = tuple(skeleton.nodes[i] for i in chosen)
    fewer = replace(
        skeleton,
        nodes=nodes,
        edges=between(skeleton.edges),
        symmetries=between(skeleton.symmetries),
    )
    return replace(
        poses,
        skeleton=fewer,
        points=poses.points[:, chosen],
        point_scores=poses.point_scores[:, chosen],
    )
