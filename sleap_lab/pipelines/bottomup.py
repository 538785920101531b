"""Bottom-up: all peaks of a frame at once, grouped by part affinity fields or by class."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from torch import Tensor

from sleap_lab.checkpoints import TrainingConfig
from sleap_lab.decode.classes import group_by_class
from sleap_lab.decode.paf import (
    Candidates,
    GroupingOptions,
    Lines,
    count_lines,
    field_size,
    group,
    score_lines,
    trace_lines,
)
from sleap_lab.pipelines.accelerator import on_host, uploaded
from sleap_lab.pipelines.centroid import best_in_frame
from sleap_lab.pipelines.model import FrameBatch, Graph, Model
from sleap_lab.pipelines.observation import (
    FoundPeaks,
    Observed,
    Refinements,
    highest_per_node,
    observe_peaks,
)
from sleap_lab.poses.record import Poses, Skeleton, make_poses

MAX_LINES = 50_000
"""Lines between peaks, per frame. With more, only peaks above the threshold are observed."""

MAX_TRACED_LINES = 500_000
"""Lines between peaks above the threshold, per frame.

With more, only the highest peaks of each node are used.
"""

Edges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Peaks:
    """Peaks of all nodes.

    Attributes:
        where: (b, 2) int64 (video, frame).
        sample: (p,) int32, row of `where`, ascending.
        node: (p,) int32.
        points: (p, 2) float64 px, image space.
        values: (p,) float32, confidence.
    """

    where: np.ndarray
    sample: np.ndarray
    node: np.ndarray
    points: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class TracedPeaks(Peaks):
    """Peaks of all nodes and the lines between them.

    Attributes:
        edge: (m,) int32, edge of each line.
        source: (m,) int32, peak that the line comes from.
        destination: (m,) int32, peak that it leads to.
        along: (m,) float32, the field along it; nan where the peaks coincide.
        length: (m,) float32, network px.
        size: (1,) float64 size that lengths are compared with, network px.
    """

    edge: np.ndarray
    source: np.ndarray
    destination: np.ndarray
    along: np.ndarray
    length: np.ndarray
    size: np.ndarray


@dataclass(frozen=True)
class ClassifiedPeaks(Peaks):
    """Peaks of all nodes and the class probabilities at them.

    Attributes:
        probabilities: (p, classes) float32.
    """

    probabilities: np.ndarray


def edges_of(config: TrainingConfig) -> Edges:
    """Return the node pairs of the affinity fields, in the order of their channels."""
    names = [str(name) for name in config.heads["confmaps"]["part_names"]]
    return [(names.index(str(a)), names.index(str(b))) for a, b in config.heads["pafs"]["edges"]]


def observe_lines(
    batch: FrameBatch,
    model: Model,
    *,
    peak_threshold: float,
    refinements: Refinements,
    n_points: int,
) -> Observed[TracedPeaks]:
    """Find the peaks of a batch and follow the affinity fields between them.

    Args:
        batch: The frames.
        model: A bottom-up model.
        peak_threshold: The run's threshold.
        refinements: Exactly one refinement, because lines begin and end at refined points.
        n_points: Points sampled along each line.
    """
    maps = model(batch.images)
    edges, pafs, stride = edges_of(model.config), maps["pafs"], model.config.stride("pafs")
    n_samples, n_nodes = maps["confmaps"].shape[:2]
    found = observe_peaks(maps, peak_threshold, refinements)
    peaks, _ = _in_image(found, batch, model)
    if count_lines(peaks.sample, peaks.node, edges, n_samples, n_nodes) > MAX_LINES * n_samples:
        found = replace(found[found.values > peak_threshold], complete=False)
        peaks, _ = _in_image(found, batch, model)
        most = MAX_TRACED_LINES * n_samples
        if count_lines(peaks.sample, peaks.node, edges, n_samples, n_nodes) > most:
            kept = highest_per_node(found, math.isqrt(MAX_TRACED_LINES // len(edges)))
            found = replace(found[kept], truncated=True)
            peaks, _ = _in_image(found, batch, model)
    points = found.points[:, 0] * model.config.stride("confmaps")
    upload = partial(uploaded, accelerator=model.accelerator)
    lines = trace_lines(pafs, peaks.sample, peaks.node, points, edges, stride, n_points, upload)
    traced = TracedPeaks(
        **vars(peaks),
        edge=lines.edge.astype(np.int32),
        source=lines.source.astype(np.int32),
        destination=lines.destination.astype(np.int32),
        along=lines.along,
        length=lines.length,
        size=np.array([field_size(pafs, stride)], dtype=np.float64),
    )
    sizes = model.pixel_sizes(*maps)
    return Observed(traced, maps, sizes, complete=found.complete, truncated=found.truncated)


def _in_image(
    found: FoundPeaks, batch: FrameBatch, model: Model, *others: Tensor
) -> tuple[Peaks, list[Tensor]]:
    """Return the peaks of a batch, by their only refinement, in image space.

    Args:
        found: The peaks.
        batch: Their frames.
        model: The model that found them.
        *others: Tensors (p, …) that come along into the memory of the processor.
    """
    samples, nodes, points, values, *others_here = on_host(
        found.samples, found.nodes, found.points[:, 0], found.values, *others
    )
    sample = samples.numpy().astype(np.int32)
    peaks = Peaks(
        where=batch.where,
        sample=sample,
        node=nodes.numpy().astype(np.int32),
        points=model.to_image(points.double().numpy(), "confmaps") / batch.eff[sample, None],
        values=values.numpy(),
    )
    return peaks, others_here


def graphs(
    observed: TracedPeaks, *, peak_threshold: float, grouping: GroupingOptions
) -> list[Graph]:
    """Return the peaks above the threshold of each frame and the edges that can connect them."""
    above, candidates = _above(observed, peak_threshold, grouping)
    node, points, point_scores = (
        observed.node[above],
        observed.points[above],
        observed.values[above].astype(np.float64),
    )
    bounds = np.searchsorted(observed.sample[above], np.arange(len(observed.where) + 1))
    found = []
    for start, stop in itertools.pairwise(bounds):
        here = (candidates.source >= start) & (candidates.source < stop)
        own = Candidates(
            candidates.edge[here],
            candidates.source[here] - start,
            candidates.destination[here] - start,
            candidates.scores[here],
        )
        found.append(Graph(points[start:stop], point_scores[start:stop], node[start:stop], own))
    return found


def _above(
    observed: TracedPeaks, peak_threshold: float, grouping: GroupingOptions
) -> tuple[np.ndarray, Candidates]:
    """Return the rows (p,) of the peaks above the threshold, and the edges that can connect them.

    Peaks of the candidates are places among these rows.
    """
    above = observed.values > peak_threshold
    place = np.cumsum(above) - 1
    kept = above[observed.source] & above[observed.destination]
    lines = Lines(
        observed.edge[kept],
        place[observed.source[kept]],
        place[observed.destination[kept]],
        observed.along[kept],
        observed.length[kept],
    )
    return np.flatnonzero(above), score_lines(lines, float(observed.size[0]), grouping)


def decode_lines(
    observed: TracedPeaks,
    skeleton: Skeleton,
    edges: Edges,
    *,
    peak_threshold: float,
    grouping: GroupingOptions,
    max_instances: int | None,
) -> Poses:
    """Group peaks by part affinity fields; the score of an instance is the sum of its edge scores.

    With `max_instances` the instances with the highest scores are kept, best first; otherwise
    instances are in the order of grouping.
    """
    above, candidates = _above(observed, peak_threshold, grouping)
    samples, nodes = observed.sample[above], observed.node[above]
    peaks, scores = group(candidates, samples, nodes, edges, len(skeleton.nodes), grouping)
    sample = samples[peaks.max(axis=1)]
    if max_instances is not None:
        best = best_in_frame(sample, scores, max_instances)
        peaks, scores, sample = peaks[best], scores[best], sample[best]
    return make_poses(
        skeleton,
        _take(observed.points[above], peaks),
        video=observed.where[sample, 0],
        frame=observed.where[sample, 1],
        point_scores=_take(observed.values[above].astype(np.float64), peaks),
        instance_scores=scores,
        frames=observed.where,
    )


def _take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return values[rows], nan where a row is -1."""
    missing = np.full((1, *values.shape[1:]), np.nan)
    return np.concatenate([values, missing])[rows]


def observe_classes(
    batch: FrameBatch, model: Model, *, peak_threshold: float, refinements: Refinements
) -> Observed[ClassifiedPeaks]:
    """Find the peaks of a batch and the class probabilities at them.

    Args:
        batch: The frames.
        model: A multi-class bottom-up model.
        peak_threshold: The run's threshold.
        refinements: Exactly one refinement, because classes are read at refined points.
    """
    maps = model(batch.images)
    found = observe_peaks(maps, peak_threshold, refinements)
    class_maps = maps["class_maps"]
    h, w = class_maps.shape[-2:]
    scale = model.config.stride("confmaps") / model.config.stride("class_maps")
    pixels = (found.points[:, 0] * scale).round().long()
    x, y = pixels[:, 0].clamp(0, w - 1), pixels[:, 1].clamp(0, h - 1)
    peaks, (probabilities,) = _in_image(found, batch, model, class_maps[found.samples, :, y, x])
    classified = ClassifiedPeaks(**vars(peaks), probabilities=probabilities.numpy())
    sizes = model.pixel_sizes(*maps)
    return Observed(classified, maps, sizes, complete=found.complete, truncated=found.truncated)


def decode_classes(
    observed: ClassifiedPeaks,
    skeleton: Skeleton,
    classes: tuple[str, ...],
    *,
    peak_threshold: float,
    max_instances: int | None,
) -> Poses:
    """Group peaks by class; every instance is the animal its class names.

    The score of an instance is the mean of its point scores; its track score is the mean
    probability of its class.
    """
    point_scores, probabilities = (
        observed.values.astype(np.float64),
        observed.probabilities.astype(np.float64),
    )
    found = []
    for b in range(len(observed.where)):
        own = (observed.sample == b) & (observed.values > peak_threshold)
        found.append(
            group_by_class(
                observed.points[own],
                point_scores[own],
                observed.node[own],
                probabilities[own],
                len(skeleton.nodes),
            )
        )
    points, scores, class_scores = map(np.stack, zip(*found, strict=True))
    sample, label = np.nonzero(~np.isnan(scores).all(axis=2))
    means = np.nanmean(scores[sample, label], axis=1)
    if max_instances is not None:
        best = best_in_frame(sample, means, max_instances)
        sample, label, means = sample[best], label[best], means[best]
    return make_poses(
        skeleton,
        points[sample, label],
        video=observed.where[sample, 0],
        frame=observed.where[sample, 1],
        point_scores=scores[sample, label],
        instance_scores=means,
        tracks=label,
        track_scores=np.nanmean(class_scores[sample, label], axis=1),
        track_names=classes,
        frames=observed.where,
    )
