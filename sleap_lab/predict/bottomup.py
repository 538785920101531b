"""Bottom-up: all peaks of a frame at once, grouped into instances by part affinity fields or by class."""

import itertools

import numpy as np

from sleap_lab.decode.classes import group_by_class
from sleap_lab.decode.paf import Candidates, GroupingOptions, group, score_candidates
from sleap_lab.decode.peaks import Refinement, local_peaks
from sleap_lab.poses import Poses, concatenate, make_poses
from sleap_lab.predict.model import FrameBatch, Graph, Model, Prediction


def bottomup(
    batch: FrameBatch,
    model: Model,
    *,
    peak_threshold: float,
    refinement: Refinement | None,
    grouping: GroupingOptions,
    max_instances: int | None,
) -> Prediction:
    """Group peaks by part affinity fields; the score of an instance is the sum of its edge scores.

    With `max_instances` the best scored are kept, best first; otherwise instances come in the order of grouping.
    """
    maps = model(batch.images)
    skeleton = model.config.skeleton
    edges = _edges(model)
    samples, nodes, found, values = local_peaks(maps["confmaps"], peak_threshold, maps.get("offsets", refinement))
    in_network = found * model.config.stride("confmaps")
    candidates = score_candidates(maps["pafs"], samples, nodes, in_network, edges, model.config.stride("pafs"), grouping)
    sample, node = samples.cpu().numpy(), nodes.cpu().numpy()
    points = model.to_image(found.double().cpu().numpy(), "confmaps") / batch.eff[sample, None]
    point_scores = values.double().cpu().numpy()
    bounds = np.searchsorted(sample, np.arange(len(batch.where) + 1))
    frames, graphs = [], []
    for b, (start, stop) in enumerate(itertools.pairwise(bounds)):
        here = (candidates.source >= start) & (candidates.source < stop)
        own = Candidates(
            candidates.edge[here], candidates.source[here] - start, candidates.destination[here] - start, candidates.scores[here]
        )
        graphs.append(Graph(points[start:stop], point_scores[start:stop], node[start:stop], own))
        peaks, scores = group(own, node[start:stop], edges, len(skeleton.nodes), grouping)
        if max_instances is not None:
            best = np.argsort(-scores, kind="stable")[:max_instances]
            peaks, scores = peaks[best], scores[best]
        frames.append(
            make_poses(
                skeleton,
                _take(points[start:stop], peaks),
                video=batch.where[b, 0],
                frame=batch.where[b, 1],
                point_scores=_take(point_scores[start:stop], peaks),
                instance_scores=scores,
                frames=batch.where[b],
            )
        )
    return Prediction(concatenate(frames), maps, model.steps(*maps), graphs=tuple(graphs))


def _edges(model: Model) -> list[tuple[int, int]]:
    """Return the node pairs of the affinity fields, in the order of their channels."""
    names = [str(name) for name in model.config.heads["confmaps"]["part_names"]]
    return [(names.index(str(a)), names.index(str(b))) for a, b in model.config.heads["pafs"]["edges"]]


def _take(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return values[rows], nan where a row is -1."""
    missing = np.full((1, *values.shape[1:]), np.nan)
    return np.concatenate([values, missing])[rows]


def multi_class_bottomup(
    batch: FrameBatch, model: Model, *, peak_threshold: float, refinement: Refinement | None, max_instances: int | None
) -> Prediction:
    """Group peaks by class; every instance is the animal its class names.

    The score of an instance is the mean of its point scores, its track score the mean probability of its class.
    """
    maps = model(batch.images)
    skeleton, classes = model.config.skeleton, model.config.classes
    samples, nodes, found, values = local_peaks(maps["confmaps"], peak_threshold, maps.get("offsets", refinement))
    ratio = model.config.stride("confmaps") / model.config.stride("class_maps")
    class_maps = maps["class_maps"]
    h, w = class_maps.shape[-2:]
    pixels = (found * ratio).round().long()
    x, y = pixels[:, 0].clamp(0, w - 1), pixels[:, 1].clamp(0, h - 1)
    probabilities = class_maps[samples, :, y, x].double().cpu().numpy()
    sample, node = samples.cpu().numpy(), nodes.cpu().numpy()
    points = model.to_image(found.double().cpu().numpy(), "confmaps") / batch.eff[sample, None]
    point_scores = values.double().cpu().numpy()
    frames: list[Poses] = []
    for b, where in enumerate(batch.where):
        own = sample == b
        grouped, scores, chances = group_by_class(points[own], point_scores[own], node[own], probabilities[own], len(skeleton.nodes))
        rows = np.flatnonzero(~np.isnan(scores).all(axis=1))
        instance_scores = np.array([np.nanmean(scores[row]) for row in rows])
        if max_instances is not None:
            rows = rows[np.argsort(-instance_scores, kind="stable")[:max_instances]]
        frames.append(
            make_poses(
                skeleton,
                grouped[rows],
                video=where[0],
                frame=where[1],
                point_scores=scores[rows],
                instance_scores=[np.nanmean(scores[row]) for row in rows],
                tracks=rows,
                track_scores=[np.nanmean(chances[row]) for row in rows],
                track_names=classes,
                frames=where,
            )
        )
    return Prediction(concatenate(frames), maps, model.steps(*maps))
