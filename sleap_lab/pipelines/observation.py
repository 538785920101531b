"""Observations: the content of network outputs, before the settings that can be changed later.

Every pipeline works in two steps. It *observes* a batch: the networks run, and all that can become
part of a pose is kept as plain arrays, including all peaks above a floor. Then it *decodes* the
observation into poses, with the thresholds, limits and grouping options of the run. Observations
can be stored and decoded again with other options. The poses are those of a new run of the
networks, because every run takes the same two steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.peaks import Refinement, local_peaks, refine

FLOOR = 0.1
"""Peaks above this value are observed even where the threshold is higher."""

MOST_PEAKS = 5_000
"""Peaks per frame. With more, only those above the threshold are observed.

A network that sees peaks everywhere can exceed this.
"""

MOST_OF_A_NODE = 10_000
"""Peaks above the threshold, per frame and node. Of more, only the highest are used.

So no network can fill the memory.
"""

FLOOD = (
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
        steps: Size of a pixel of maps by name, size-matched px.
        crop_maps: Network outputs (n, …) by name, of the crops that the run needs.
        complete: Whether all candidates above the floor are there, so that the content can be
            decoded with any threshold above the floor.
        flooded: Whether there were more peaks above the threshold than can be used.
    """

    content: T
    maps: dict[str, Tensor]
    steps: dict[str, float]
    crop_maps: dict[str, Tensor] = field(default_factory=dict)
    complete: bool = True
    flooded: bool = False


def observe_peaks(
    maps: Mapping[str, Tensor],
    threshold: float,
    refinements: Refinements,
    most: int = MOST_OF_A_NODE,
) -> tuple[Tensor, Tensor, Tensor, Tensor, bool, bool]:
    """Find the local maxima above the floor, or above the threshold where that is lower.

    Args:
        maps: Confidence maps and, where the network predicts them, offsets.
        threshold: The run's threshold.
        refinements: Refinements of the points; one where the network predicts offsets.
        most: Most peaks to use per frame and node.

    Returns:
        samples (p,), nodes (p,), points (p, refinements, 2) in map space, values (p,), in the order
        of `local_peaks`; whether these are all peaks; and whether peaks above the threshold are
        left out.
    """
    confmaps = maps["confmaps"]
    samples, nodes, points, values = local_peaks(confmaps, min(threshold, FLOOR))
    complete = len(values) <= MOST_PEAKS * len(confmaps)
    if not complete:
        samples, nodes, points, values = (
            column[values > threshold] for column in (samples, nodes, points, values)
        )
    flooded = False
    if len(values) > most:
        kept = highest_of_each(samples, nodes, values, most)
        complete = complete and len(kept) == len(values)
        flooded = bool((values > threshold).sum() > (values[kept] > threshold).sum())
        samples, nodes, points, values = (
            column[kept] for column in (samples, nodes, points, values)
        )
    return (
        samples,
        nodes,
        refined(maps, samples, nodes, points, refinements),
        values,
        complete,
        flooded,
    )


def highest_of_each(samples: Tensor, nodes: Tensor, values: Tensor, most: int) -> Tensor:
    """Return the rows, ascending, of the `most` highest peaks of every node of every frame."""
    order = torch.argsort(values, descending=True, stable=True)
    group = (samples * (nodes.max() + 1) + nodes)[order]
    by_group = torch.argsort(group, stable=True)
    counts = torch.unique_consecutive(group[by_group], return_counts=True)[1]
    rank = torch.arange(len(group), device=group.device) - torch.repeat_interleave(
        counts.cumsum(0) - counts, counts
    )
    return order[by_group[rank < most]].sort().values


def refined(
    maps: Mapping[str, Tensor],
    samples: Tensor,
    nodes: Tensor,
    points: Tensor,
    refinements: Refinements,
) -> Tensor:
    """Return peaks (p, 2) on the grid as points (p, refinements, 2), by each of the refinements."""
    ways = [maps["offsets"]] if "offsets" in maps else refinements
    return torch.stack(
        [refine(maps["confmaps"], samples, nodes, points, way) for way in ways], dim=1
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
