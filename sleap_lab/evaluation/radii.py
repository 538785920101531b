"""Radii around predicted nodes that hold the true points as often as they say.

Split conformal prediction by node and confidence (Vovk 2012, "Conditional validity of inductive
conformal predictors"): the radius of a group of points is a quantile of the errors of that group
where these are known. Errors of neighbouring frames are alike, so that n points tell as much as
fewer independent ones (design effect, Kish 1965, eq. 5.1.1); the quantile is taken as for so many.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.errors import ConfigError, listed
from sleap_lab.evaluation.result import Evaluation
from sleap_lab.evaluation.serial import error_of_sum
from sleap_lab.evaluation.spread import FEWEST_VIDEOS, error_over_units, over_units
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import read_json
from sleap_lab.poses.record import Poses

COVERAGE = 0.9
"""Share of the true points that lie within the radius of their node."""
MOST_GROUPS = 5
FEWEST_POINTS = 50
"""Independent points of each group of confidence, where a node has more than one."""
VERSION = 1


class NodeRadii(NamedTuple):
    """Radii of a node by its confidence.

    Attributes:
        lowest: Least confidence of each group, ascending; the first group also holds what is below.
        radius: Radius of each group, px of the image; the surer the smaller.
        points: Points that these are from.
        independent: So many independent points tell as much.
    """

    lowest: list[float]
    radius: list[float]
    points: int
    independent: float


class Calibration(NamedTuple):
    """Radii by the name of the node.

    Attributes:
        nodes: The nodes that have radii.
        models: SHA-256 of the weights that predicted the points; empty where they are not known.
        source: What the radii were made from, in words.
    """

    nodes: Mapping[str, NodeRadii]
    models: tuple[str, ...] = ()
    source: str = ""


def compared_points(poses: Poses, evaluation: Evaluation) -> tuple[Poses, np.ndarray]:
    """Return matched predictions, by video and frame, and (pairs, nodes) px, their errors.

    The nodes are those that were compared; a node that either side lacks has the error nan.

    Args:
        poses: The predictions of the evaluation, with the compared nodes in their order.
        evaluation: How they compare with the ground truth.
    """
    rows = evaluation.matches.pose_rows
    errors = np.asarray(evaluation.metrics["distance_metrics"]["dists"], dtype=float)
    errors = errors.reshape(len(rows), len(poses.skeleton.nodes))
    order = np.lexsort((poses.frame[rows], poses.video[rows]))
    return poses[rows[order]], errors[order]


def learn(poses: Poses, errors: np.ndarray) -> dict[str, NodeRadii]:
    """Return the radii of all nodes that enough is known of.

    Where no point has a confidence, as in results of some other programs, all make one group.

    Args:
        poses: Matched predictions, by video and frame.
        errors: (n, nodes) px, distance of each node from the true one; nan where not compared.
    """
    scores = poses.point_scores
    if not np.isfinite(scores).any():
        scores = np.zeros(scores.shape)
    known = np.isfinite(errors) & np.isfinite(scores)
    found = {
        node: _of_node(
            scores[own, column],
            errors[own, column],
            poses.video[own],
            poses.frame[own],
        )
        for column, (node, own) in enumerate(zip(poses.skeleton.nodes, known.T, strict=True))
    }
    return {node: radii for node, radii in found.items() if radii is not None}


def _of_node(
    scores: np.ndarray, errors: np.ndarray, video: np.ndarray, frame: np.ndarray
) -> NodeRadii | None:
    """Return the radii of a node; None where too little is known."""
    n = len(errors)
    independent = _independent_points(errors, video, frame) if n else 0.0
    groups = int(np.clip(independent // FEWEST_POINTS, 1, MOST_GROUPS))
    lowest = np.unique(np.quantile(scores, np.arange(groups) / groups)) if n else np.zeros(0)
    group = np.searchsorted(lowest, scores, side="right") - 1
    parts = [errors[group == i] for i in range(len(lowest))]
    radius = [_radius(part, independent / n) for part in parts]
    # A node that is surer has no larger radius: such groups are joined (pool adjacent violators).
    i = 0
    while i + 1 < len(parts):
        if radius[i] >= radius[i + 1]:
            i += 1
            continue
        parts[i : i + 2] = [np.concatenate(parts[i : i + 2])]
        radius[i : i + 2] = [_radius(parts[i], independent / n)]
        lowest = np.delete(lowest, i + 1)
        i = max(i - 1, 0)
    if not parts or not np.isfinite(radius).all():
        return None
    return NodeRadii(lowest.tolist(), radius, n, independent)


def _radius(errors: np.ndarray, share: float) -> float:
    """Return the radius that holds the next point with the wanted probability.

    Args:
        errors: (n,) px.
        share: Independent points per point.

    Returns:
        px; infinite where there are too few points.
    """
    n = len(errors)
    rank = COVERAGE * n * (1 + 1 / (share * n)) if n and share else np.inf
    rank = np.ceil(rank - 1e-9)
    return float(np.sort(errors)[int(rank) - 1]) if rank <= n else float("inf")


def _independent_points(errors: np.ndarray, video: np.ndarray, frame: np.ndarray) -> float:
    """Return how many independent points would tell as much about the quantile of errors.

    Of several videos, these are the units; of few, frames that follow one another are. 0 where
    there are too few of them.
    """
    outside = (errors > np.quantile(errors, COVERAGE)) * 1.0
    share = outside.mean()
    places, index = np.unique(np.stack([video, frame], axis=1), axis=0, return_inverse=True)
    by_frame = np.bincount(index.reshape(-1), outside - share)[:, None]
    starts = np.flatnonzero(np.diff(places[:, 0], prepend=-1))
    if len(starts) >= FEWEST_VIDEOS:
        sums, size = over_units(by_frame, places[:, 0])
        variance = error_over_units(sums, size)[0] ** 2
    else:
        parts = np.split(by_frame, starts[1:])
        variance = np.sum([error_of_sum(part)[0] ** 2 for part in parts], axis=0)
    of_one = share * (1 - share)
    if not np.isfinite(variance).all() or not of_one:
        return 0.0
    return float(min(len(errors), len(errors) ** 2 * of_one / max(variance[0], 1e-9)))


def radii_of(calibration: Calibration, poses: Poses) -> np.ndarray:
    """Return (n, nodes) px, the radius of each predicted node; nan where there is none.

    Nodes without a calibration, nodes that were not found, and those that a person placed have
    none.
    """
    found = radii_by_score(calibration, poses.skeleton.nodes, poses.point_scores)
    return np.where(poses.visible & ~poses.user[:, None], found, np.nan)


def radii_by_score(
    calibration: Calibration, nodes: Sequence[str], scores: np.ndarray
) -> np.ndarray:
    """Return (n, nodes) px, the radius for each confidence; nan where there is none.

    Without a confidence, a node has a radius where all confidences have the same.

    Args:
        calibration: The radii.
        nodes: Names of the nodes.
        scores: (n, nodes) confidence of each node; nan where there is none.
    """
    found = np.full(scores.shape, np.nan)
    for column, node in enumerate(nodes):
        if (own := calibration.nodes.get(node)) is not None:
            place = np.searchsorted(own.lowest, scores[:, column], side="right") - 1
            known = np.isfinite(scores[:, column]) | (len(own.lowest) == 1)
            found[:, column] = np.where(known, np.array(own.radius)[place.clip(0)], np.nan)
    return found


def held(radii: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return whether each true point lies within its radius: 1, 0, or nan where not known."""
    known = np.isfinite(radii) & np.isfinite(errors)
    return np.where(known, errors <= radii, np.nan)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration as JSON.

    Raises:
        RunError: The file cannot be written.
    """
    content = {
        "version": VERSION,
        "coverage": COVERAGE,
        "source": calibration.source,
        "models": list(calibration.models),
        "nodes": {node: radii._asdict() for node, radii in calibration.nodes.items()},
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_calibration(path: Path) -> Calibration:
    """Read what `write_calibration` wrote.

    Raises:
        ConfigError: It is not there, or is no such file.
    """
    try:
        content = read_json(path)
        if content["version"] != VERSION or content["coverage"] != COVERAGE:
            raise ValueError("it is of another version")
        nodes = {str(node): _checked(radii) for node, radii in content["nodes"].items()}
        return Calibration(nodes, tuple(content["models"]), str(content["source"]))
    except FileNotFoundError:
        problem = "no such file"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        problem = f"not a calibration ({error})"
    raise ConfigError(
        f"evaluator.calibration: {path}: {problem}; sleap-lab calibrate RUN makes such a file"
    )


def _checked(content: Mapping[str, Any]) -> NodeRadii:
    radii = NodeRadii(
        [float(value) for value in content["lowest"]],
        [float(value) for value in content["radius"]],
        int(content["points"]),
        float(content["independent"]),
    )
    lowest, radius = np.array(radii.lowest), np.array(radii.radius)
    if not len(lowest) or lowest.shape != radius.shape or (np.diff(lowest) <= 0).any():
        raise ValueError("groups of confidence out of order")
    if not np.isfinite(radius).all() or (radius < 0).any():
        raise ValueError("a radius is no length")
    return radii


def check_calibration(path: Path, nodes: Sequence[str]) -> None:
    """Refuse a calibration that has no radius for any of these nodes.

    Raises:
        ConfigError: It has none, is not there, or is no calibration.
    """
    known = list(read_calibration(path).nodes)
    if not set(known) & set(nodes):
        raise ConfigError(
            f"evaluator.calibration: {path} has radii for other nodes ({listed(known, 5)}) "
            f"than those that are predicted ({listed(list(nodes), 5)})"
        )
