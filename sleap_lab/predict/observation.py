"""What networks say about frames, before the settings that can still be chosen later.

Every pipeline works in two steps. It *observes* a batch: the networks run, and whatever could become part of a pose is kept as
plain arrays, all peaks above a floor among them. Then it *decodes* what was observed into poses, with the thresholds, limits
and grouping options of the run. Observations can be stored and decoded again with other options; the poses are those that the
networks would give, because a run that is not stored takes the same two steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from sleap_lab.decode.peaks import Refinement, local_peaks, refine

FLOOR = 0.1
"""Peaks above it are observed even where the threshold is higher."""

MOST_PEAKS = 5_000
"""Peaks per frame. With more, as of a network that sees peaks everywhere, only those above the threshold are observed."""

Refinements = Sequence[Refinement | None]

T = TypeVar("T")


@dataclass(frozen=True)
class Observed(Generic[T]):
    """What a pipeline observes in a batch.

    Attributes:
        content: Arrays, as a dataclass of the pipeline's.
        maps: Network outputs of whole frames by name, for those who ask for them.
        steps: Size of a pixel of maps by name, size-matched px.
        crop_maps: Network outputs (n, …) by name, of the crops that the run needs.
        complete: Whether all candidates above the floor are there, so that it can be decoded with any threshold above.
    """

    content: T
    maps: dict[str, Tensor]
    steps: dict[str, float]
    crop_maps: dict[str, Tensor] = field(default_factory=dict)
    complete: bool = True


def observe_peaks(maps: Mapping[str, Tensor], threshold: float, refinements: Refinements) -> tuple[Tensor, Tensor, Tensor, Tensor, bool]:
    """Find the local maxima above the floor, or above the threshold where that is lower.

    Args:
        maps: Confidence maps and, where the network predicts them, offsets.
        threshold: The run's threshold.
        refinements: Ways in which points leave the grid; one where the network predicts offsets.

    Returns:
        samples (p,), nodes (p,), points (p, refinements, 2) in map space, values (p,), as `local_peaks` orders them, and
        whether these are all of them.
    """
    confmaps = maps["confmaps"]
    samples, nodes, points, values = local_peaks(confmaps, min(threshold, FLOOR))
    complete = len(values) <= MOST_PEAKS * len(confmaps)
    if not complete:
        samples, nodes, points, values = (column[values > threshold] for column in (samples, nodes, points, values))
    return samples, nodes, refined(maps, samples, nodes, points, refinements), values, complete


def refined(maps: Mapping[str, Tensor], samples: Tensor, nodes: Tensor, points: Tensor, refinements: Refinements) -> Tensor:
    """Return peaks (p, 2) on the grid as points (p, refinements, 2), each refined in all the given ways."""
    ways = [maps["offsets"]] if "offsets" in maps else refinements
    return torch.stack([refine(maps["confmaps"], samples, nodes, points, way) for way in ways], dim=1)


def pack(parts: Sequence[Any]) -> dict[str, np.ndarray]:
    """Join contents of one kind into one array per field, and `rows` (parts, fields) that tells them apart."""
    names = [f.name for f in fields(parts[0])]
    rows = np.array([[len(getattr(part, name)) for name in names] for part in parts])
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names} | {"rows": rows}


def unpack(kind: type[T], arrays: Mapping[str, np.ndarray]) -> Iterator[T]:
    """Yield the contents that `pack` joined."""
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # always a dataclass
    stops = arrays["rows"].cumsum(axis=0)
    for start, stop in zip(stops - arrays["rows"], stops, strict=True):
        yield kind(**{name: arrays[name][a:b] for name, a, b in zip(names, start, stop, strict=True)})
