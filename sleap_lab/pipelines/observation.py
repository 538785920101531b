"""Observations: the content of network outputs, before the settings that can be changed later.

Every pipeline works in two steps. It *observes* a batch: the networks run, and all that can become
part of a pose is kept as plain arrays, including all peaks above a floor. Then it *decodes* the
observation into poses, with the thresholds, limits and grouping options of the run. Observations
can be stored and decoded again with other options. The poses are those of a new run of the
networks, because every run takes the same two steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.peaks import Refinement, local_peaks, refine

FLOOR = 0.1
"""Peaks above this value are observed even where the threshold is higher."""

MAX_PEAKS = 5_000
"""Peaks per frame. With more, only those above the threshold are observed.

A network that sees peaks everywhere can exceed this.
"""

MAX_PEAKS_PER_NODE = 10_000
"""Peaks above the threshold, per frame and node. Of more, only the highest are used.

So no network can fill the memory.
"""

TOO_MANY_PEAKS = (
    "In some frames there were more peaks above the threshold than can be used, and only the "
    "highest were: raise model.peak_threshold, and check that the models are trained and fit the "
    "video."
)

Refinements = Sequence[Refinement | None]

T = TypeVar("T")


@dataclass(frozen=True)
class Observed(Generic[T]):
    """What a pipeline observes in a batch.

    Attributes:
        content: Arrays, as a dataclass of the pipeline.
        maps: Network outputs of whole frames by name, for callers that need them.
        pixel_sizes: Size of a pixel of maps by name, size-matched px.
        crop_maps: Network outputs (n, …) by name, of the crops that the run needs.
        complete: Whether all candidates above the floor are there, so that the content can be
            decoded with any threshold above the floor.
        truncated: Whether there were more peaks above the threshold than can be used.
    """

    content: T
    maps: dict[str, Tensor]
    pixel_sizes: dict[str, float]
    crop_maps: dict[str, Tensor] = field(default_factory=dict)
    complete: bool = True
    truncated: bool = False


@dataclass(frozen=True)
class FoundPeaks:
    """Local maxima of the confidence maps of a batch, one row each.

    Attributes:
        samples: (p,) int64, row of the batch, ascending.
        nodes: (p,) int64.
        points: (p, refinements, 2) map space (x, y), by each of the requested refinements.
        values: (p,) confidence.
        complete: Whether these are all peaks above the floor.
        truncated: Whether peaks above the threshold are left out.
    """

    samples: Tensor
    nodes: Tensor
    points: Tensor
    values: Tensor
    complete: bool = True
    truncated: bool = False

    def __getitem__(self, rows: Tensor) -> "FoundPeaks":
        """Return some of the peaks."""
        return replace(
            self,
            samples=self.samples[rows],
            nodes=self.nodes[rows],
            points=self.points[rows],
            values=self.values[rows],
        )


def observe_peaks(
    maps: Mapping[str, Tensor],
    threshold: float,
    refinements: Refinements,
    max_per_node: int = MAX_PEAKS_PER_NODE,
) -> FoundPeaks:
    """Find the local maxima above the floor, or above the threshold where that is lower.

    Args:
        maps: Confidence maps and, where the network predicts them, offsets.
        threshold: The run's threshold.
        refinements: Refinements of the points; one where the network predicts offsets.
        max_per_node: Most peaks to use per frame and node.

    Returns:
        The peaks, in the order of `local_peaks`.
    """
    confmaps = maps["confmaps"]
    peaks = FoundPeaks(*local_peaks(confmaps, min(threshold, FLOOR)))
    if len(peaks.values) > MAX_PEAKS * len(confmaps):
        peaks = replace(peaks[peaks.values > threshold], complete=False)
    if len(peaks.values) > max_per_node:
        kept = highest_per_node(peaks, max_per_node)
        above = peaks.values > threshold
        peaks = replace(
            peaks[kept],
            complete=peaks.complete and len(kept) == len(peaks.values),
            truncated=bool(above.sum() > above[kept].sum()),
        )
    points = refined(maps, peaks.samples, peaks.nodes, peaks.points, refinements)
    return replace(peaks, points=points)


def highest_per_node(peaks: FoundPeaks, count: int) -> Tensor:
    """Return the rows, ascending, of the `count` highest peaks of every node of every frame."""
    order = torch.argsort(peaks.values, descending=True, stable=True)
    group = (peaks.samples * (peaks.nodes.max() + 1) + peaks.nodes)[order]
    by_group = torch.argsort(group, stable=True)
    counts = torch.unique_consecutive(group[by_group], return_counts=True)[1]
    rank = torch.arange(len(group), device=group.device) - torch.repeat_interleave(
        counts.cumsum(0) - counts, counts
    )
    return order[by_group[rank < count]].sort().values


def refined(
    maps: Mapping[str, Tensor],
    samples: Tensor,
    nodes: Tensor,
    points: Tensor,
    refinements: Refinements,
) -> Tensor:
    """Return peaks (p, 2) on the grid as points (p, refinements, 2), by each of the refinements."""
    return refine(
        maps["confmaps"],
        samples,
        nodes,
        points,
        [maps["offsets"]] if "offsets" in maps else refinements,
    )


def pack(parts: Sequence[Any]) -> dict[str, np.ndarray]:
    """Join contents of one kind into one array per field.

    `rows` (parts, fields) holds the length of each part's array.
    """
    names = [f.name for f in fields(parts[0])]
    rows = np.array([[len(getattr(part, name)) for name in names] for part in parts])
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names} | {
        "rows": rows
    }


def unpack(kind: type[T], arrays: Mapping[str, np.ndarray]) -> Iterator[T]:
    """Yield the contents that `pack` joined."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # always a dataclass
    stops = arrays["rows"].cumsum(axis=0)
    for start, stop in zip(stops - arrays["rows"], stops, strict=True):
        yield kind(
            **{name: arrays[name][a:b] for name, a, b in zip(names, start, stop, strict=True)}
        )
