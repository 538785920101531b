"""Top-down: find animals by their centroids, then the nodes of each in a crop around it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from sleap_lab.centroids import METHODS, instance_centroids
from sleap_lab.decode.classes import assign_classes
from sleap_lab.decode.peaks import Refinement, global_peaks, local_peaks
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.poses import Poses, Skeleton, make_poses
from sleap_lab.predict.model import Crops, FrameBatch, Model, Prediction
from sleap_lab.preprocess import crop_corners, cut_crops

CROPS_PER_PASS = 16
CENTROID_SKELETON = Skeleton(nodes=("centroid",), name="centroid")


@dataclass(frozen=True)
class Centroids:
    """Centroids of a batch, one row each.

    Attributes:
        samples: (n,) index of the frame in the batch.
        points: (n, 2) float32, size-matched px.
        scores: (n,) confidence.
    """

    samples: np.ndarray
    points: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class TrueCentroids:
    """Labelled instances that stand in for, or are found by, predicted centroids.

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


def true_centroids(truth: Poses, model: Model, *, anchor_part: str | None) -> TrueCentroids:
    """Compute the centroids of labelled instances the way a model's training did.

    Args:
        truth: Labelled instances.
        model: Its confidence map head says what a centroid is.
        anchor_part: Node that overrides the head's anchor.

    Raises:
        ConfigError: The labels have no such node.
        RunError: The training config names a centroid that is not known.
    """
    head = model.config.heads["confmaps"]
    part = anchor_part or head.get("anchor_part")
    if part and part not in truth.skeleton.nodes:
        nodes = ", ".join(truth.skeleton.nodes)
        raise ConfigError(f"preprocessing.anchor_part: {part!r}, as in {model.config.folder}, is no node of the labels; accepted: {nodes}")
    method = "anchor" if part else head.get("centroid_method") or "center_of_mass"
    if method not in METHODS:
        raise RunError(f"{model.config.folder}: centroid_method {method!r} is not known; accepted: {', '.join(METHODS)}")
    anchor = truth.skeleton.nodes.index(part) if part else None
    fallback = head.get("centroid_fallback") or "center_of_mass"
    return TrueCentroids(truth, instance_centroids(truth.points, method=method, anchor=anchor, fallback=fallback))


def find_centroids(
    batch: FrameBatch, model: Model, *, peak_threshold: float, refinement: Refinement | None, max_instances: int | None
) -> tuple[Centroids, Prediction]:
    """Find the centroids of a batch, in reading order, or with `max_instances` the best of each frame, best first."""
    maps = model(batch.images)
    samples, _, found, values = local_peaks(maps["confmaps"], peak_threshold, maps.get("offsets", refinement))
    step = model.step("confmaps")
    centroids = Centroids(samples.cpu().numpy(), (found * step).cpu().numpy(), values.double().cpu().numpy())
    if max_instances is not None:
        order = np.lexsort((-centroids.scores, centroids.samples))
        rank = np.arange(len(order)) - np.searchsorted(centroids.samples[order], centroids.samples[order])
        centroids = _select(centroids, order[rank < max_instances])
    poses = make_poses(
        CENTROID_SKELETON,
        centroids.points[:, None] / batch.eff[centroids.samples, None, None],
        video=batch.where[centroids.samples, 0],
        frame=batch.where[centroids.samples, 1],
        point_scores=centroids.scores[:, None],
        instance_scores=centroids.scores,
        frames=batch.where,
    )
    return centroids, Prediction(poses, {"centroid_confmaps": maps["confmaps"]}, {"centroid_confmaps": step})


def _select(centroids: Centroids, rows: np.ndarray) -> Centroids:
    return Centroids(centroids.samples[rows], centroids.points[rows], centroids.scores[rows])


def centroid_only(
    batch: FrameBatch,
    model: Model,
    truth: TrueCentroids | None,
    *,
    peak_threshold: float,
    refinement: Refinement | None,
    max_instances: int | None,
) -> Prediction:
    """Predict centroids alone.

    With ground truth each centroid takes the keypoints of the labelled instance whose own centroid is
    nearest, one to one, so that evaluation measures detection; centroids beyond the number of labelled
    instances are left out. Without ground truth the centroids themselves are the result.
    """
    _, prediction = find_centroids(batch, model, peak_threshold=peak_threshold, refinement=refinement, max_instances=max_instances)
    if truth is None:
        return prediction
    found = prediction.poses
    pairs = []
    for where, (_, _, rows) in zip(batch.where, found.by_frame(), strict=True):
        labelled = truth.in_frame(where)
        distance = np.linalg.norm(found.points[rows, None, 0] - truth.points[None, labelled], axis=-1)
        pairs += [(rows[i], labelled[j]) for i, j in zip(*linear_sum_assignment(distance), strict=True)]
    rows, labelled = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
    copied = make_poses(
        truth.poses.skeleton,
        truth.poses.points[labelled],
        video=found.video[rows],
        frame=found.frame[rows],
        instance_scores=found.instance_scores[rows],
        frames=batch.where,
    )
    return replace(prediction, poses=copied)


def topdown(
    batch: FrameBatch,
    centroid_model: Model | None,
    instance_model: Model,
    truth: TrueCentroids | None,
    *,
    centroid_threshold: float,
    keypoint_threshold: float,
    refinement: Refinement | None,
    max_instances: int | None,
) -> Prediction:
    """Predict the nodes of every animal in a crop around its centroid.

    Without a centroid model, crops are cut around the labelled instances of `truth`, with a score of 1.
    The score of an instance is its centroid's; with class vectors it also gets the track of its class.
    Instances without any node are dropped.
    """
    stage = None
    if centroid_model is not None:
        centroids, stage = find_centroids(
            batch, centroid_model, peak_threshold=centroid_threshold, refinement=refinement, max_instances=max_instances
        )
    else:
        assert truth is not None, "crops need a centroid model or ground truth"
        rows = [truth.in_frame(where) for where in batch.where]
        samples = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        points = (truth.points[np.concatenate(rows)] * batch.eff[samples, None]).astype(np.float32)
        centroids = Centroids(samples, points, np.ones(len(samples)))
    crop_size = instance_model.crop_size
    assert crop_size is not None, "checked when the pipeline is built"
    corners = crop_corners(centroids.points, crop_size)
    outputs: list[dict[str, torch.Tensor]] = []
    for start in range(0, len(corners), CROPS_PER_PASS):
        stop = start + CROPS_PER_PASS
        outputs.append(instance_model(cut_crops(batch.images, centroids.samples[start:stop], corners[start:stop], crop_size)))
    maps = {name: torch.cat([output[name] for output in outputs]) for name in outputs[0]} if outputs else {}
    poses = _read_crops(batch, instance_model, centroids, corners, maps, keypoint_threshold, refinement)
    kept = np.flatnonzero(poses.visible.any(axis=1))
    eff = batch.eff[centroids.samples, None]
    ends = np.broadcast_to([[0.0, 0.0], [crop_size - 1.0, crop_size - 1.0]], (len(corners), 2, 2))
    crops = Crops(
        centroids=(centroids.points / eff)[kept],
        scores=centroids.scores[kept],
        boxes=(instance_model.from_crops(ends, corners) / eff[..., None])[kept],
        maps=maps if len(kept) == len(poses) else {name: values[torch.from_numpy(kept).to(values.device)] for name, values in maps.items()},
    )
    rule = instance_model.crop_rule
    steps = {"confmaps": instance_model.step("confmaps") * (1 + (rule.gain if rule is not None else 0))}
    return Prediction(poses[kept], stage.maps if stage else {}, {**stage.steps, **steps} if stage else steps, crops)


def _read_crops(
    batch: FrameBatch,
    model: Model,
    centroids: Centroids,
    corners: np.ndarray,
    maps: dict[str, torch.Tensor],
    threshold: float,
    refinement: Refinement | None,
) -> Poses:
    """Return one instance per crop, without any node where none was found."""
    skeleton, classes = model.config.skeleton, model.config.classes
    if not maps:
        return make_poses(skeleton, [], track_names=classes, frames=batch.where)
    found, values = global_peaks(maps["confmaps"], threshold, maps.get("offsets", refinement))
    in_crop = model.to_image(found.double().cpu().numpy(), "confmaps")
    points = model.from_crops(in_crop, corners) / batch.eff[centroids.samples, None, None]
    tracks, track_scores = np.full(len(points), -1), np.full(len(points), np.nan)
    if classes:
        probabilities = maps["class_vectors"].double().cpu().numpy()
        for sample in np.unique(centroids.samples):
            rows = np.flatnonzero(centroids.samples == sample)
            tracks[rows], track_scores[rows] = assign_classes(probabilities[rows])
    return make_poses(
        skeleton,
        points,
        video=batch.where[centroids.samples, 0],
        frame=batch.where[centroids.samples, 1],
        point_scores=values.double().cpu().numpy(),
        instance_scores=centroids.scores,
        tracks=tracks,
        track_scores=track_scores,
        track_names=classes,
        frames=batch.where,
    )
