"""Grouping of peaks into instances by part affinity fields.

The method is that of Cao et al. 2017, decoded as sleap-nn decodes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

INFEASIBLE = 1e6
"""Cost of a line between peaks that coincide, which has no score."""


@dataclass(frozen=True)
class GroupingOptions:
    """How edges are scored and instances assembled; the config group `model` holds the defaults.

    Attributes:
        max_edge_length_ratio: Length of an edge from which on it gets a penalty, as a share of the
            field's size.
        dist_penalty_weight: Weight of the penalty.
        min_instance_peaks: Fewest nodes of an instance; below 1 a share of all nodes.
        min_line_scores: Lowest score of an edge.
    """

    max_edge_length_ratio: float
    dist_penalty_weight: float
    min_instance_peaks: float
    min_line_scores: float


@dataclass(frozen=True)
class PeakPairs:
    """All pairs of peaks that an edge can connect, ordered by edge, source and destination.

    Attributes:
        edge: (m,) index of the skeleton edge.
        source: (m,) index of the peak at its source node.
        destination: (m,) index of the peak at its destination node.
    """

    edge: np.ndarray
    source: np.ndarray
    destination: np.ndarray


@dataclass(frozen=True)
class Lines(PeakPairs):
    """The lines between pairs of peaks.

    Attributes:
        along: (m,) mean component of the field along the line; nan where source and destination
            coincide.
        length: (m,) network px.
    """

    along: np.ndarray
    length: np.ndarray


@dataclass(frozen=True)
class Candidates(PeakPairs):
    """Candidate edges.

    Attributes:
        scores: (m,) line scores; nan where source and destination coincide.
    """

    scores: np.ndarray


def edge_order(edges: Sequence[tuple[int, int]], n_nodes: int) -> tuple[int, ...]:
    """Return the edges that grouping uses, breadth-first from the roots, each node reached once.

    For a tree these are all edges. Forests are walked tree by tree, cycles from their lowest node.
    An edge to a node that is already reached is left out.
    """
    return _edge_order(tuple((a, b) for a, b in edges), n_nodes)


@lru_cache
def _edge_order(edges: tuple[tuple[int, int], ...], n_nodes: int) -> tuple[int, ...]:
    """Return `edge_order`, which is the same for every frame."""
    reached: set[int] = set()
    order: list[int] = []
    targets = {b for _, b in edges}
    roots = [n for n in range(n_nodes) if n not in targets] + list(range(n_nodes))
    for root in roots:
        if root in reached or not any(a == root for a, _ in edges):
            continue
        reached.add(root)
        queue = [root]
        while queue:
            node = queue.pop(0)
            for i, (a, b) in enumerate(edges):
                if a == node and b not in reached:
                    reached.add(b)
                    order.append(i)
                    queue.append(b)
    return tuple(order)


def count_lines(
    samples: np.ndarray,
    nodes: np.ndarray,
    edges: Sequence[tuple[int, int]],
    n_samples: int,
    n_nodes: int,
) -> int:
    """Return the number of lines that `trace_lines` traces."""
    peaks = np.bincount(samples * n_nodes + nodes, minlength=n_samples * n_nodes)
    by_node = peaks.reshape(n_samples, n_nodes).T
    sources, destinations = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    return int((by_node[sources] * by_node[destinations]).sum())


SAMPLING_DIVISOR = 1 + 2**-23
"""Divisor that the reference applies to the vector from source to destination before sampling.

See the spec, grouping, step 4. It decides which pixel is sampled where a point lies exactly on half
a pixel of the field, as between peaks without refinement.
"""


def trace_lines(
    pafs: Tensor,
    samples: np.ndarray,
    nodes: np.ndarray,
    points: Tensor,
    edges: Sequence[tuple[int, int]],
    stride: int,
    n_points: int,
    upload: Callable[..., Tensor] = lambda *arrays: torch.from_numpy(np.stack(arrays)),
) -> Lines:
    """Follow the field between every pair of peaks of one sample that an edge can connect.

    A whole batch is traced at once. The field's component along each line is sampled at the pixels
    nearest to `n_points` points from source to destination.

    Args:
        pafs: (b, 2 * edges, h, w); channels 2e and 2e + 1 are the x and y components of edge e.
        samples: (p,) sample of each peak, ascending.
        nodes: (p,) node of each peak.
        points: (p, 2) peaks, network space (x, y).
        edges: Node pairs in the order of the channels.
        stride: Stride of the fields.
        n_points: Number of sampled points per line.
        upload: Returns arrays of one shape as one tensor where the fields and the points are.

    Returns:
        Lines whose peaks are rows of `points`.
    """
    _, _, h, w = pafs.shape
    pairs = _pairs(samples, nodes, edges)
    edge, source, destination, sample = upload(*pairs, samples[pairs[1]].astype(np.int64))
    start, vector = points[source], points[destination] - points[source]
    t = torch.linspace(0, 1, n_points, dtype=points.dtype, device=points.device)
    line = start[:, None] + (vector / SAMPLING_DIVISOR)[:, None] * t[None, :, None]
    pixels = (line / stride).round().long()
    x, y = pixels[..., 0].clamp(0, w - 1), pixels[..., 1].clamp(0, h - 1)
    sample, edge = sample[:, None], edge[:, None]
    field = torch.stack((pafs[sample, 2 * edge, y, x], pafs[sample, 2 * edge + 1, y, x]), dim=-1)
    length = vector.norm(dim=-1)
    along = (field * (vector / length[:, None])[:, None]).sum(dim=-1).mean(dim=-1)
    return Lines(*pairs, *torch.stack((along, length)).cpu().numpy())


def _pairs(samples: np.ndarray, nodes: np.ndarray, edges: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return edge, source and destination (3, m) of all pairs of peaks that edges can connect.

    They are ordered by edge, then source, then destination.

    Args:
        samples: (p,) sample of each peak, ascending.
        nodes: (p,) node of each peak.
        edges: Node pairs.
    """
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    group = samples * (max(nodes.max(initial=0), ends.max(initial=0)) + 1)
    order = np.argsort(group + nodes, kind="stable")
    grouped = (group + nodes)[order]
    edge, source = np.nonzero(nodes == ends[:, :1])
    wanted = group[source] + ends[edge, 1]
    first = np.searchsorted(grouped, wanted)
    count = np.searchsorted(grouped, wanted, side="right") - first
    begin = np.cumsum(count) - count
    place = np.arange(count.sum()) - np.repeat(begin - first, count)
    return np.stack((np.repeat(edge, count), np.repeat(source, count), order[place]))


def field_size(pafs: Tensor, stride: int) -> int:
    """Return the size that lengths of edges are compared with, network px.

    It is the largest dimension of the fields, the channels included, times the stride.
    """
    _, channels, h, w = pafs.shape
    return max(h, w, channels) * stride


def score_lines(lines: Lines, size: float, options: GroupingOptions) -> Candidates:
    """Score candidate edges by the field along them.

    Edges longer than a share of the map get a penalty.

    Args:
        lines: Lines between peaks.
        size: Result of `field_size`, network px.
        options: Length penalty.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # peaks that coincide
        excess = np.minimum(options.max_edge_length_ratio * size / lines.length - 1, 0)
        scores = lines.along + options.dist_penalty_weight * excess
    return Candidates(lines.edge, lines.source, lines.destination, scores)


def group(
    candidates: Candidates,
    samples: np.ndarray,
    nodes: np.ndarray,
    edges: Sequence[tuple[int, int]],
    n_nodes: int,
    options: GroupingOptions,
) -> tuple[np.ndarray, np.ndarray]:
    """Assemble the peaks of a batch into instances.

    Args:
        candidates: Candidate edges, in the order of `trace_lines`; peaks are rows of `nodes`.
        samples: (p,) sample of each peak, ascending.
        nodes: (p,) node of each peak.
        edges: Node pairs.
        n_nodes: Number of nodes.
        options: Thresholds.

    Returns:
        peaks (n, nodes) int, row of the peak at each node or -1; scores (n,), sum of the edge
        scores of each instance. Instances are ordered by sample, then as they are begun.
    """
    rows, scores = _connections(candidates, samples, options.min_line_scores)
    source, destination = candidates.source[rows], candidates.destination[rows]
    bounds = np.searchsorted(candidates.edge[rows], np.arange(len(edges) + 1)).tolist()
    walk = [slice(bounds[e], bounds[e + 1]) for e in edge_order(edges, n_nodes)]
    instance_of, begun = np.full(len(nodes), -1), 0
    for here in walk:  # an edge at a time, in all samples; each of its peaks has one connection
        new = source[here][instance_of[source[here]] < 0]
        instance_of[new] = np.arange(begun, begun + len(new))
        begun += len(new)
        instance_of[destination[here]] = instance_of[source[here]]
    walked = np.concatenate([np.zeros(0, dtype=np.intp), *(np.r_[here] for here in walk)])
    totals = np.bincount(instance_of[source[walked]], scores[walked], minlength=begun)
    peaks = np.full((begun, n_nodes), -1)
    grouped = np.flatnonzero(instance_of >= 0)
    peaks[instance_of[grouped], nodes[grouped]] = grouped
    threshold = options.min_instance_peaks
    min_peaks = int(threshold * n_nodes) if threshold < 1 else int(threshold)
    kept = np.flatnonzero((peaks >= 0).sum(axis=1) >= min_peaks)
    kept = kept[np.argsort(samples[peaks[kept].max(axis=1)], kind="stable")]
    return peaks[kept], totals[kept]


def _connections(
    candidates: Candidates, samples: np.ndarray, min_score: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best one-to-one connections of every edge in every sample.

    Returns:
        rows (m,) of the candidates, ascending, and their scores (m,) float64.
    """
    costs = np.nan_to_num(-candidates.scores.astype(np.float64), nan=INFEASIBLE)
    edge, source = candidates.edge, candidates.source
    next_source = np.diff(source, prepend=-1) != 0
    first = (np.diff(edge, prepend=-1) != 0) | (np.diff(samples[source], prepend=-1) != 0)
    begins = np.flatnonzero(first)
    # All pairs of the peaks at both ends of an edge make up a block, a row for each source.
    heights = np.add.reduceat(next_source | first, begins, dtype=np.intp) if len(begins) else begins
    widths = np.diff(begins, append=len(costs)) // heights
    blocks = zip(begins.tolist(), heights.tolist(), widths.tolist(), strict=True)
    found = [
        linear_sum_assignment(costs[begin : begin + height * width].reshape(height, width))
        for begin, height, width in blocks
    ]
    i, j = (np.concatenate([begins[:0], *(pair[k] for pair in found)]) for k in range(2))
    counts = np.minimum(heights, widths)
    every = np.repeat(begins, counts) + i * np.repeat(widths, counts) + j
    chosen = every[-costs[every] >= min_score]
    return chosen, -costs[chosen]
