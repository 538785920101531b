"""Centroids: where animals are, found by a centroid model or computed from labelled instances."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.checkpoints import TrainingConfig
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.pipelines.accelerator import on_host
from sleap_lab.pipelines.model import FrameBatch, Model
from sleap_lab.pipelines.observation import Observed, Refinements, observe_peaks
from sleap_lab.poses.centroids import METHODS, instance_centroids
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.poses.suppression import unsuppressed

MAX_CENTROIDS = 1_000
"""Centroids per frame. Of more, only the highest are used.

In a top-down pipeline each centroid is a crop.
"""

CENTROID_SKELETON = Skeleton(nodes=("centroid",), name="centroid")


@dataclass(frozen=True)
class Centroids:
    """Centroids of a batch, one row each.

    Attributes:
        where: (b, 2) int64 (video, frame).
        eff: (b,) float64 factor from image space to size-matched px.
        sample: (n,) int32, row of `where`, ascending.
        points: (n, refinements, 2) float32, size-matched px, by each of the requested refinements.
        values: (n,) float32, confidence.
    """

    where: np.ndarray
    eff: np.ndarray
    sample: np.ndarray
    points: np.ndarray
    values: np.ndarray

    def in_image(self, refinement: int) -> np.ndarray:
        """Return the points by one of the refinements, (n, 2) float64 px, image space."""
        places: np.ndarray = self.points[:, refinement] / self.eff[self.sample, None]
        return places


@dataclass(frozen=True)
class TrueCentroids:
    """Labelled instances that replace predicted centroids, or are matched with them.

    Attributes:
        poses: The labelled instances.
        points: (n, 2) px, image space, their centroids.
    """

    poses: Poses
    points: np.ndarray

    def in_frame(self, where: np.ndarray) -> np.ndarray:
        """Return the rows of a (video, frame) that have a centroid."""
        here = (self.poses.video == where[0]) & (self.poses.frame == where[1])
        return np.flatnonzero(here & ~np.isnan(self.points).any(axis=-1))


def true_centroids(
    truth: Poses, config: TrainingConfig, *, anchor_part: str | None
) -> TrueCentroids:
    """Compute the centroids of labelled instances as the training of a model does.

    Args:
        truth: Labelled instances.
        config: The model's training config; its confidence map head defines the centroid.
        anchor_part: Node that overrides the head's anchor.

    Raises:
        ConfigError: The labels have no such node.
        RunError: The training config names a centroid that is not known.
    """
    part, method = centroid_rule(config, anchor_part)
    if part and part not in truth.skeleton.nodes:
        nodes = ", ".join(truth.skeleton.nodes)
        raise ConfigError(
            f"preprocessing.anchor_part: {part!r}, as in {config.folder}, "
            f"is no node of the labels; accepted: {nodes}"
        )
    if method not in METHODS:
        raise RunError(
            f"{config.folder}: centroid_method {method!r} is not known; "
            f"accepted: {', '.join(METHODS)}"
        )
    anchor = truth.skeleton.nodes.index(part) if part else None
    fallback = config.heads["confmaps"].get("centroid_fallback") or "center_of_mass"
    return TrueCentroids(
        truth, instance_centroids(truth.points, method=method, anchor=anchor, fallback=fallback)
    )


def centroid_rule(config: TrainingConfig, anchor_part: str | None) -> tuple[str | None, str]:
    """Return the node that is the centroid for a model, if one is, and the name of the method.

    Args:
        config: The model's training config; its confidence map head defines the centroid.
        anchor_part: Node that overrides the head's anchor.
    """
    head = config.heads["confmaps"]
    part = anchor_part or head.get("anchor_part")
    return part, "anchor" if part else head.get("centroid_method") or "center_of_mass"


def observe_centroids(
    batch: FrameBatch, model: Model, *, peak_threshold: float, refinements: Refinements
) -> Observed[Centroids]:
    """Find the centroids of a batch, in reading order.

    Args:
        batch: The frames.
        model: A centroid model.
        peak_threshold: The run's threshold.
        refinements: Refinements of the points.
    """
    maps = model(batch.images)
    found = observe_peaks(maps, peak_threshold, refinements, MAX_CENTROIDS)
    pixel_size = model.pixel_size("confmaps")
    sample, points, values = on_host(found.samples, found.points * pixel_size, found.values)
    centroids = Centroids(
        batch.where,
        batch.eff,
        sample=sample.numpy().astype(np.int32),
        points=points.numpy(),
        values=values.numpy(),
    )
    return Observed(
        centroids,
        {"centroid_confmaps": maps["confmaps"]},
        {"centroid_confmaps": pixel_size},
        complete=found.complete,
        truncated=found.truncated,
    )


def choose_centroids(
    sample: np.ndarray,
    values: np.ndarray,
    points: np.ndarray,
    *,
    peak_threshold: float,
    max_instances: int | None,
    min_distance: float = 0.0,
) -> np.ndarray:
    """Return the rows of the centroids to use: those above the threshold, in their order.

    With `max_instances` these are the best of each frame, best first. Of these, one that lies near
    a better one of its frame that stays is left out.

    Args:
        sample: (n,) frame of each centroid, ascending.
        values: (n,) float32, confidence.
        points: (n, 2) px, image space.
        peak_threshold: Centroids are strictly above it.
        max_instances: Most centroids per frame.
        min_distance: Least distance between two centroids of a frame, px of image space.
    """
    rows = np.flatnonzero(values > peak_threshold)
    if max_instances is not None:
        rows = rows[best_in_frame(sample[rows], values[rows], max_instances)]
    return rows[_apart(sample[rows], values[rows], points[rows], min_distance)]


def _apart(
    sample: np.ndarray, values: np.ndarray, points: np.ndarray, min_distance: float
) -> np.ndarray:
    """Return (n,) bool, whether a centroid stays; the arguments are those of the chosen rows."""
    keep = np.ones(len(sample), dtype=bool)
    for b in np.unique(sample) if min_distance > 0 else ():
        rows = np.flatnonzero(sample == b)
        rows = rows[np.argsort(-values[rows], kind="stable")]
        distance = np.linalg.norm(points[rows, None] - points[rows], axis=-1)
        keep[rows] = unsuppressed(distance < min_distance)
    return keep


def rank_in_frame(sample: np.ndarray) -> np.ndarray:
    """Return the rank (n,) of each row among those of its frame, from 0; `sample` is ascending."""
    return np.arange(len(sample)) - np.searchsorted(sample, sample)


def best_in_frame(sample: np.ndarray, scores: np.ndarray, most: int) -> np.ndarray:
    """Return the rows of those with the highest scores of each frame, at most so many, best first.

    Args:
        sample: (n,) frame of each row, ascending.
        scores: (n,) scores; equal ones keep their order.
        most: Most rows per frame.
    """
    order = np.lexsort((-scores, sample))
    return order[rank_in_frame(sample[order]) < most]


def decode_centroids(
    observed: Centroids,
    truth: TrueCentroids | None,
    *,
    peak_threshold: float,
    refinement: int,
    max_instances: int | None,
    min_distance: float = 0.0,
) -> Poses:
    """Make instances of centroids alone.

    With ground truth each centroid takes the keypoints of the labelled instance with the nearest
    centroid, one to one, so that evaluation measures detection. Centroids beyond the number of
    labelled instances are left out. Without ground truth the centroids themselves are the result.

    Args:
        observed: Observed centroids.
        truth: Labelled instances, if there are any.
        peak_threshold: Centroids are strictly above it.
        refinement: Which of the observed refinements to take.
        max_instances: Most instances per frame, the best ones, best first.
        min_distance: Least distance between two centroids of a frame, px of image space.
    """
    points = observed.in_image(refinement)
    rows = choose_centroids(
        observed.sample,
        observed.values,
        points,
        peak_threshold=peak_threshold,
        max_instances=max_instances,
        min_distance=min_distance,
    )
    sample, scores = observed.sample[rows], observed.values[rows].astype(np.float64)
    found = make_poses(
        CENTROID_SKELETON,
        points[rows, None],
        video=observed.where[sample, 0],
        frame=observed.where[sample, 1],
        point_scores=scores[:, None],
        instance_scores=scores,
        frames=observed.where,
    )
    return found if truth is None else _copied(found, truth)


def _copied(found: Poses, truth: TrueCentroids) -> Poses:
    """Return centroids with the keypoints of the labelled instances nearest to them."""
    pairs = []
    for video, frame, rows in found.by_frame():
        labelled = truth.in_frame(np.array([video, frame]))
        distance = np.linalg.norm(
            found.points[rows, None, 0] - truth.points[None, labelled], axis=-1
        )
        pairs += [
            (rows[i], labelled[j]) for i, j in zip(*linear_sum_assignment(distance), strict=True)
        ]
    rows, labelled = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    return make_poses(
        truth.poses.skeleton,
        truth.poses.points[labelled],
        video=found.video[rows],
        frame=found.frame[rows],
        instance_scores=found.instance_scores[rows],
        frames=found.frames,
    )
