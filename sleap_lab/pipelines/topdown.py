"""Top-down: the nodes of each animal in a crop around its centroid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.classes import assign_classes
from sleap_lab.networks.preprocess import crop_corners, crop_places, cut_crops, gather_crops
from sleap_lab.pipelines.accelerator import on_host
from sleap_lab.pipelines.centroid import (
    Centroids,
    TrueCentroids,
    choose_centroids,
    observe_centroids,
)
from sleap_lab.pipelines.crop_passes import CROPS, SpareBudget, chosen_passes, fitting
from sleap_lab.pipelines.model import Crops, FrameBatch, Model
from sleap_lab.pipelines.observation import Observed, Refinements
from sleap_lab.pipelines.profile import PREPROCESS, doing
from sleap_lab.pipelines.single_instance import refined_global_peaks
from sleap_lab.poses.record import Poses, Skeleton, make_poses


@dataclass(frozen=True)
class CropPeaks:
    """Centroids and the observations in the crops around them, one row each.

    Attributes:
        where: (b, 2) int64 (video, frame).
        sample: (n,) int32, row of `where`, ascending.
        centroids: (n, 2) float64 px, image space, centroids that the crops are cut around.
        boxes: (n, 2, 2) float64 px, image space (x, y), positions of the first and the last pixel
            of each crop.
        scores: (n,) float32, confidence of the centroid; 1 for labelled ones.
        seen: (n,) bool, whether the crop is observed; crops that the run does not need may not be.
        points: (n, nodes, refinements, 2) float64 px, image space, by each of the requested
            refinements; nan where not observed.
        values: (n, nodes) float32, confidence; nan where not observed.
        probabilities: (n, classes) float32; nan where not observed.
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


def observe_crops(
    batch: FrameBatch,
    centroid_model: Model | None,
    instance_model: Model,
    truth: TrueCentroids | None,
    *,
    centroid_threshold: float,
    max_instances: int | None,
    min_distance: float = 0.0,
    refinements: Refinements,
    budget: SpareBudget,
    keep_maps: bool = False,
) -> Observed[CropPeaks]:
    """Find the centroids of a batch and observe the crops around the needed ones.

    Args:
        batch: The frames.
        centroid_model: Finds the centroids; None cuts crops around the labelled instances of
            `truth`, with a score of 1.
        instance_model: Model of the crops.
        truth: Labelled instances.
        centroid_threshold: The run's threshold for centroids.
        max_instances: The run's limit per frame.
        min_distance: The run's least distance between centroids, px of image space.
        refinements: Refinements of the nodes; just one with a centroid model, because crops are cut
            around refined centroids.
        budget: Decides whether crops that are not needed are observed, too.
        keep_maps: Return the maps of the needed crops, in the order of their instances.
    """
    if centroid_model is not None:
        found = observe_centroids(
            batch, centroid_model, peak_threshold=centroid_threshold, refinements=refinements
        )
    else:
        found = _labelled(batch, truth)
    sample, scores = found.content.sample, found.content.values
    choice: dict[str, Any] = {"max_instances": max_instances, "min_distance": min_distance}
    places = found.content.in_image(0)
    needed = choose_centroids(sample, scores, places, peak_threshold=centroid_threshold, **choice)
    passes = chosen_passes(sample, scores, needed, instance_model, budget, batch.room)
    assert instance_model.crop_size is not None, "checked when the pipeline is built"
    corners = crop_corners(found.content.points[:, 0], instance_model.crop_size)

    def see(rows: np.ndarray) -> tuple[dict[str, Tensor], tuple[np.ndarray, ...]]:
        crops = _cut(batch.images, sample[rows], corners[rows], instance_model)
        maps = instance_model(crops)
        return maps if keep_maps else {}, _find_nodes(maps, instance_model, refinements)

    seen = [one for rows in passes for one in fitting(rows, see, batch)]
    outputs, nodes = [maps for maps, _ in seen], [each for _, each in seen]
    observed = np.concatenate([np.zeros(0, dtype=np.intp), *passes])
    content = _read_crops(nodes, observed, found.content, corners, instance_model, refinements)
    crop_maps = _maps_of(needed, outputs, observed) if keep_maps and seen else {}
    rule = instance_model.crop_rule
    pixel_size = instance_model.pixel_size("confmaps") * (1 + (rule.gain if rule else 0))
    pixel_sizes = {**found.pixel_sizes, "confmaps": pixel_size}
    # With memory for larger passes the last bits would differ.
    complete = found.complete and batch.room.get(CROPS, len(sample)) >= len(sample)
    return Observed(content, found.maps, pixel_sizes, crop_maps, complete, found.truncated)


def _cut(images: Tensor, sample: np.ndarray, corners: np.ndarray, model: Model) -> Tensor:
    """Return the crops (n, c, size, size) that a model sees, where the images are."""
    size, accelerator = model.crop_size, model.accelerator
    assert size is not None, "checked when the pipeline is built"
    with doing(PREPROCESS):
        if accelerator is None:
            return cut_crops(images, sample, corners, size)
        height, width = images.shape[-2:]
        places = accelerator.upload(crop_places(sample, corners, size, (height, width)))[0]
        return gather_crops(images, places, size)


def _labelled(batch: FrameBatch, truth: TrueCentroids | None) -> Observed[Centroids]:
    """Return the centroids of the labelled instances of a batch, with a confidence of 1."""
    assert truth is not None, "crops need a centroid model or ground truth"
    rows = [truth.in_frame(where) for where in batch.where]
    sample = np.repeat(np.arange(len(rows), dtype=np.int32), [len(r) for r in rows])
    points = (truth.points[np.concatenate(rows)] * batch.eff[sample, None]).astype(np.float32)
    values = np.ones(len(sample), dtype=np.float32)
    return Observed(Centroids(batch.where, batch.eff, sample, points[:, None], values), {}, {})


def _read_crops(
    found: Sequence[tuple[np.ndarray, ...]],
    rows: np.ndarray,
    centroids: Centroids,
    corners: np.ndarray,
    model: Model,
    refinements: Refinements,
) -> CropPeaks:
    """Return what the network finds in the observed crops, beside the centroids of all crops.

    Args:
        found: Points, values and probabilities that `_find_nodes` finds in each pass.
        rows: Rows of the crops of all passes.
        centroids: Centroids that the crops are cut around.
        corners: (n, 2) top-left corners of the crops, size-matched px.
        model: The model of the crops.
        refinements: Refinements of the nodes.
    """
    n, n_nodes = len(corners), len(model.config.skeleton.nodes)
    nothing = (
        np.zeros((0, n_nodes, len(refinements), 2)),
        np.zeros((0, n_nodes), np.float32),
        np.zeros((0, len(model.config.classes)), np.float32),
    )
    in_crop, values, probabilities = map(np.concatenate, zip(nothing, *found, strict=True))
    flat = in_crop.reshape(len(rows), n_nodes * len(refinements), 2)
    points = model.from_crops(flat, corners[rows]).reshape(in_crop.shape)
    eff = centroids.eff[centroids.sample, None]
    seen = np.zeros(n, dtype=bool)
    seen[rows] = True
    return CropPeaks(
        where=centroids.where,
        sample=centroids.sample,
        centroids=centroids.in_image(0),
        boxes=model.crop_boxes(corners) / eff[..., None],
        scores=centroids.values,
        seen=seen,
        points=_spread(points / eff[rows, None, None], rows, n),
        values=_spread(values, rows, n),
        probabilities=_spread(probabilities, rows, n),
    )


def _find_nodes(
    maps: dict[str, Tensor], model: Model, refinements: Refinements
) -> tuple[np.ndarray, ...]:
    """Find the nodes and classes in the network outputs of a pass.

    Returns:
        points (n, nodes, refinements, 2) float64, px of the crops; values (n, nodes) and
        probabilities (n, classes) float32.
    """
    points, values = refined_global_peaks(maps, refinements)
    vectors = maps["class_vectors"] if model.config.classes else values[:, :0]
    points, values, vectors = on_host(points, values, vectors)
    return model.to_image(points.double().numpy(), "confmaps"), values.numpy(), vectors.numpy()


def _maps_of(
    needed: np.ndarray, outputs: list[dict[str, Tensor]], rows: np.ndarray
) -> dict[str, Tensor]:
    """Return the network outputs of the needed crops by name, in their order.

    Args:
        needed: (n,) rows of the needed crops.
        outputs: Network outputs of each pass.
        rows: Rows of the crops of all passes; the needed ones are among them.
    """
    place = np.zeros(rows.max() + 1, dtype=np.int64)
    place[rows] = np.arange(len(rows))
    maps = {name: torch.cat([output[name] for output in outputs]) for name in outputs[0]}
    chosen = torch.from_numpy(place[needed])
    return {name: values[chosen.to(values.device)] for name, values in maps.items()}


def _spread(values: np.ndarray, rows: np.ndarray, n: int) -> np.ndarray:
    """Return an array of n rows with `values` in `rows`, and nan in the others."""
    spread = np.full((n, *values.shape[1:]), np.nan, dtype=values.dtype)
    spread[rows] = values
    return spread


def _needed(
    observed: CropPeaks, centroid_threshold: float, max_instances: int | None, min_distance: float
) -> np.ndarray:
    """Return the rows of the crops that become instances, as `choose_centroids` does."""
    return choose_centroids(
        observed.sample,
        observed.scores,
        observed.centroids,
        peak_threshold=centroid_threshold,
        max_instances=max_instances,
        min_distance=min_distance,
    )


def decode_crops(
    observed: CropPeaks,
    skeleton: Skeleton,
    classes: tuple[str, ...],
    *,
    centroid_threshold: float,
    keypoint_threshold: float,
    refinement: int,
    max_instances: int | None,
    min_distance: float = 0.0,
) -> Poses:
    """Make an instance of every crop, with the score of its centroid.

    With classes, each instance also gets the track of its class. Instances without any node are
    dropped.

    Args:
        observed: Observed crops; `covers` returns whether they are enough.
        skeleton: Skeleton of the poses.
        classes: Names of the classes.
        centroid_threshold: Centroids are strictly above it.
        keypoint_threshold: Smallest confidence of a node.
        refinement: Which of the observed refinements to take.
        max_instances: Most instances per frame, those with the best centroids, best first.
        min_distance: Least distance between the centroids of a frame, px of image space.
    """
    rows = _needed(observed, centroid_threshold, max_instances, min_distance)
    sample, values = observed.sample[rows], observed.values[rows]
    found = values >= keypoint_threshold
    tracks, track_scores = np.full(len(rows), -1), np.full(len(rows), np.nan)
    if classes:
        probabilities = observed.probabilities[rows].astype(np.float64)
        for b in np.unique(sample):
            here = np.flatnonzero(sample == b)
            tracks[here], track_scores[here] = assign_classes(probabilities[here])
    poses = make_poses(
        skeleton,
        np.where(found[..., None], observed.points[rows, :, refinement], np.nan),
        video=observed.where[sample, 0],
        frame=observed.where[sample, 1],
        point_scores=np.where(found, values, 0),
        instance_scores=observed.scores[rows],
        tracks=tracks,
        track_scores=track_scores,
        track_names=classes,
        frames=observed.where,
    )
    return poses[poses.visible.any(axis=1)]


def crops_of_instances(
    observed: Observed[CropPeaks],
    *,
    centroid_threshold: float,
    keypoint_threshold: float,
    refinement: int,
    max_instances: int | None,
    min_distance: float = 0.0,
) -> Crops:
    """Return the crops of the instances that `decode_crops` makes."""
    content = observed.content
    rows = _needed(content, centroid_threshold, max_instances, min_distance)
    found = (content.values[rows] >= keypoint_threshold) & ~np.isnan(
        content.points[rows, :, refinement]
    ).any(axis=-1)
    kept = np.flatnonzero(found.any(axis=1))
    maps = {
        name: values[torch.from_numpy(kept).to(values.device)]
        for name, values in observed.crop_maps.items()
    }
    rows = rows[kept]
    return Crops(
        content.centroids[rows], content.scores[rows].astype(np.float64), content.boxes[rows], maps
    )


def covers(
    observed: CropPeaks,
    *,
    centroid_threshold: float,
    max_instances: int | None,
    min_distance: float = 0.0,
) -> bool:
    """Return whether all crops that these settings need were observed."""
    rows = _needed(observed, centroid_threshold, max_instances, min_distance)
    return bool(observed.seen[rows].all())
