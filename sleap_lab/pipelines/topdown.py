"""Top-down: the nodes of each animal in a crop around its centroid."""

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.classes import assign_classes
from sleap_lab.networks.preprocess import crop_corners, cut_crops
from sleap_lab.pipelines.centroid import (
    TrueCentroids,
    choose_centroids,
    observe_centroids,
    rank_in_frame,
)
from sleap_lab.pipelines.model import Crops, FrameBatch, Model
from sleap_lab.pipelines.observation import Observed, Refinements
from sleap_lab.pipelines.profile import PREPROCESS, doing
from sleap_lab.pipelines.single_instance import highest
from sleap_lab.poses.record import Poses, Skeleton, make_poses

FEWEST_PER_PASS = {"cpu": 6}
MOST_PER_PASS = 16
"""Crops that go through the network together: on processors no less than the fewest, on other devices the most, if there are as many."""


@dataclass(frozen=True)
class Cropped:
    """Centroids and what the crops around them show, one row each.

    Attributes:
        where: (b, 2) int64 (video, frame).
        sample: (n,) int32, row of `where`, ascending.
        centroids: (n, 2) float64 px, image space, what the crops were cut around.
        boxes: (n, 2, 2) float64 px, image space (x, y), where points at the first and at the last pixel of a crop would lie.
        scores: (n,) float32, confidence of the centroid; 1 for labelled ones.
        seen: (n,) bool, false for centroids that this run had no use for and whose crops were not looked at.
        points: (n, nodes, refinements, 2) float64 px, image space, refined in each of the ways asked for; nan where not seen.
        values: (n, nodes) float32, confidence; nan where not seen.
        probabilities: (n, classes) float32; nan where not seen.
    """

    where: np.ndarray
    sample: np.ndarray
    centroids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    seen: np.ndarray
    points: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray


class Allowance:
    """How many crops beyond those that a run needs are looked at all the same, for runs with other settings."""

    def __init__(self, share: float) -> None:
        """Allow a share of the crops needed so far; 0 allows none, infinity all."""
        self._share = share
        self._needed = self._spent = 0
        self._lock = Lock()  # batches are observed side by side

    def grants(self, needed: int, spare: int) -> bool:
        """Say whether a batch that needs some crops may also look at the rest, which it does not need."""
        with self._lock:
            self._needed += needed
            granted = (
                self._share > 0
                and self._spent + spare <= self._share * self._needed + MOST_PER_PASS
            )
            self._spent += spare if granted else 0
        return granted


def crop_passes(sample: np.ndarray, scores: np.ndarray, fewest: int) -> Iterator[np.ndarray]:
    """Divide crops into passes through the network: the best of every frame, then the second best, and so on.

    What a network answers depends in the last bits on what else is in the pass. So the passes are the same whichever
    of the crops are needed, and those that have none of them are left out.

    Args:
        sample: (n,) frame of each crop, ascending.
        scores: (n,) confidence of its centroid.
        fewest: A pass goes on with the next best ones of every frame until it has so many crops.

    Yields:
        Rows of the crops in a pass, at most `MOST_PER_PASS`.
    """
    order = np.lexsort((-scores, sample))
    rank = rank_in_frame(sample[order])
    waiting = order[:0]
    for r in range(rank.max(initial=-1) + 1):
        waiting = np.concatenate([waiting, order[rank == r]])
        if len(waiting) >= fewest:
            yield from np.split(waiting, range(MOST_PER_PASS, len(waiting), MOST_PER_PASS))
            waiting = order[:0]
    if len(waiting):
        yield waiting


def observe_crops(
    batch: FrameBatch,
    centroid_model: Model | None,
    instance_model: Model,
    truth: TrueCentroids | None,
    *,
    centroid_threshold: float,
    max_instances: int | None,
    refinements: Refinements,
    allowance: Allowance,
    keep_maps: bool = False,
) -> Observed[Cropped]:
    """Find the centroids of a batch and look at the crops around those that are needed.

    Args:
        batch: The frames.
        centroid_model: Finds the centroids; None cuts crops around the labelled instances of `truth`, with a score of 1.
        instance_model: Sees the crops.
        truth: Labelled instances.
        centroid_threshold: The run's threshold for centroids.
        max_instances: The run's limit per frame.
        refinements: Ways in which nodes leave the grid; just one with a centroid model, as crops are cut around refined centroids.
        allowance: Whether crops that are not needed are looked at, too.
        keep_maps: Return the maps of the crops that are needed, in the order in which they become instances.
    """
    if centroid_model is not None:
        found = observe_centroids(
            batch, centroid_model, peak_threshold=centroid_threshold, refinements=refinements
        )
        sample, centroids, scores = (
            found.content.sample,
            found.content.points[:, 0],
            found.content.values,
        )
        maps, steps, complete, flooded = found.maps, found.steps, found.complete, found.flooded
    else:
        assert truth is not None, "crops need a centroid model or ground truth"
        sample, centroids = _labelled(batch, truth)
        scores, maps, steps, complete, flooded = (
            np.ones(len(sample), dtype=np.float32),
            {},
            {},
            True,
            False,
        )
    needed = choose_centroids(
        sample, scores, peak_threshold=centroid_threshold, max_instances=max_instances
    )
    passes = list(
        crop_passes(sample, scores, FEWEST_PER_PASS.get(instance_model.device.type, MOST_PER_PASS))
    )
    chosen = [rows for rows in passes if np.isin(rows, needed).any()]
    if allowance.grants(len(needed), sum(map(len, passes)) - sum(map(len, chosen))):
        chosen = passes
    size = instance_model.crop_size
    assert size is not None, "checked when the pipeline is built"
    corners = crop_corners(centroids, size)
    outputs = []
    for rows in chosen:
        with doing(PREPROCESS):
            crops = cut_crops(batch.images, sample[rows], corners[rows], size)
        outputs.append(instance_model(crops))
    rows = np.concatenate([np.zeros(0, dtype=np.intp), *chosen])
    points, values, probabilities = _read_crops(outputs, instance_model, corners[rows], refinements)
    eff, n = batch.eff[sample, None], len(sample)
    ends = np.broadcast_to([[0.0, 0.0], [size - 1.0, size - 1.0]], (n, 2, 2))
    content = Cropped(
        where=batch.where,
        sample=sample,
        centroids=centroids / eff,
        boxes=instance_model.from_crops(ends, corners) / eff[..., None],
        scores=scores,
        seen=np.isin(np.arange(n), rows),
        points=_spread(points / eff[rows, None, None], rows, n),
        values=_spread(values, rows, n),
        probabilities=_spread(probabilities, rows, n),
    )
    crop_maps = {}
    if outputs and keep_maps:
        place = np.zeros(n, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        wanted = torch.from_numpy(place[needed]).to(instance_model.device)
        crop_maps = {
            name: torch.cat([output[name] for output in outputs])[wanted] for name in outputs[0]
        }
    rule = instance_model.crop_rule
    step = instance_model.step("confmaps") * (1 + (rule.gain if rule is not None else 0))
    return Observed(content, maps, {**steps, "confmaps": step}, crop_maps, complete, flooded)


def _labelled(batch: FrameBatch, truth: TrueCentroids) -> tuple[np.ndarray, np.ndarray]:
    """Return sample (n,) int32 and centroids (n, 2) float32, size-matched px, of the labelled instances of a batch."""
    rows = [truth.in_frame(where) for where in batch.where]
    sample = np.repeat(np.arange(len(rows), dtype=np.int32), [len(r) for r in rows])
    return sample, (truth.points[np.concatenate(rows)] * batch.eff[sample, None]).astype(np.float32)


def _read_crops(
    outputs: list[dict[str, Tensor]], model: Model, corners: np.ndarray, refinements: Refinements
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read what the passes answered.

    Returns:
        points (n, nodes, refinements, 2) float64, size-matched px; values (n, nodes) and probabilities (n, classes) float32.
    """
    nodes, classes = len(model.config.skeleton.nodes), len(model.config.classes)
    if not outputs:
        return (
            np.zeros((0, nodes, len(refinements), 2)),
            np.zeros((0, nodes), np.float32),
            np.zeros((0, classes), np.float32),
        )
    peaks = [highest(maps, refinements) for maps in outputs]
    found, values = (torch.cat(tensors) for tensors in zip(*peaks, strict=True))
    in_crop = model.to_image(found.double().cpu().numpy(), "confmaps")
    points = model.from_crops(in_crop.reshape(len(in_crop), -1, 2), corners).reshape(in_crop.shape)
    vectors = torch.cat([maps["class_vectors"] for maps in outputs]) if classes else values[:, :0]
    return points, values.cpu().numpy(), vectors.cpu().numpy()


def _spread(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Return an array of n rows that has some values in some rows, and nan in the others."""
    spread = np.full((n, *values.shape[1:]), np.nan, dtype=values.dtype)
    spread[rows] = values
    return spread


def decode_crops(
    seen: Cropped,
    skeleton: Skeleton,
    classes: tuple[str, ...],
    *,
    centroid_threshold: float,
    keypoint_threshold: float,
    refinement: int,
    max_instances: int | None,
) -> Poses:
    """Make an instance of every crop; its score is its centroid's, and with classes it also gets the track of its class.

    Instances without any node are dropped.

    Args:
        seen: What was observed; `covers` says whether that is enough.
        skeleton: Skeleton of the poses.
        classes: Names of the classes.
        centroid_threshold: Centroids are strictly above it.
        keypoint_threshold: Smallest confidence of a node.
        refinement: Which of the observed refinements to take.
        max_instances: Most instances per frame, those with the best centroids, best first.
    """
    rows = choose_centroids(
        seen.sample, seen.scores, peak_threshold=centroid_threshold, max_instances=max_instances
    )
    sample, values = seen.sample[rows], seen.values[rows]
    found = values >= keypoint_threshold
    tracks, track_scores = np.full(len(rows), -1), np.full(len(rows), np.nan)
    if classes:
        probabilities = seen.probabilities[rows].astype(np.float64)
        for b in np.unique(sample):
            here = np.flatnonzero(sample == b)
            tracks[here], track_scores[here] = assign_classes(probabilities[here])
    poses = make_poses(
        skeleton,
        np.where(found[..., None], seen.points[rows, :, refinement], np.nan),
        video=seen.where[sample, 0],
        frame=seen.where[sample, 1],
        point_scores=np.where(found, values, 0),
        instance_scores=seen.scores[rows],
        tracks=tracks,
        track_scores=track_scores,
        track_names=classes,
        frames=seen.where,
    )
    return poses[poses.visible.any(axis=1)]


def crops_of_instances(
    seen: Observed[Cropped],
    *,
    centroid_threshold: float,
    keypoint_threshold: float,
    refinement: int,
    max_instances: int | None,
) -> Crops:
    """Return the crops that the instances which `decode_crops` makes were found in."""
    content = seen.content
    rows = choose_centroids(
        content.sample,
        content.scores,
        peak_threshold=centroid_threshold,
        max_instances=max_instances,
    )
    found = (content.values[rows] >= keypoint_threshold) & ~np.isnan(
        content.points[rows, :, refinement]
    ).any(axis=-1)
    kept = np.flatnonzero(found.any(axis=1))
    maps = {
        name: values[torch.from_numpy(kept).to(values.device)]
        for name, values in seen.crop_maps.items()
    }
    rows = rows[kept]
    return Crops(
        content.centroids[rows], content.scores[rows].astype(np.float64), content.boxes[rows], maps
    )


def covers(seen: Cropped, *, centroid_threshold: float, max_instances: int | None) -> bool:
    """Say whether all crops that such settings need were looked at."""
    rows = choose_centroids(
        seen.sample, seen.scores, peak_threshold=centroid_threshold, max_instances=max_instances
    )
    return bool(seen.seen[rows].all())
