"""The part of each frame in each metric: how the metric moves as the frame counts for more.

A metric differs from its true value by about the sum of these parts (the influence function:
Hampel 1974, J. Am. Stat. Assoc. 69:383), so that one method gives the interval of a ratio, of a
percentile and of an average precision alike.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from sleap_lab.evaluation.ap import EPSILON
from sleap_lab.evaluation.coco import AVERAGED, Detections, average_precisions
from sleap_lab.evaluation.distances import PERCENTILES, summarize
from sleap_lab.evaluation.frames import COUNTS, RATIOS, FrameTable, on_frames, ratios
from sleap_lab.evaluation.spread import less, spread


class Parts(NamedTuple):
    """The metrics of some frames, and the part of each frame in them.

    Attributes:
        values: Metrics by name; nan where undefined.
        influence: (frames,) by name, in the unit of the metric, with a sum of 0; nan where it is
            unknown.
        video: (frames,) index of the video of each frame; frames are in the order of video and
            time.
    """

    values: dict[str, float]
    influence: dict[str, np.ndarray]
    video: np.ndarray


def parts(table: FrameTable) -> Parts:
    """Form every metric that a table of frames allows, and the part of each frame in it."""
    table = on_frames(table, np.lexsort((table.frame, table.video)))
    sums = {name: column.sum() for name, column in table.columns.items()}
    values = {name: float(value) for name, value in ratios(sums).items()}
    influence = {name: _of_ratio(table, name, values[name]) for name in values}
    for name, column in COUNTS.items():
        if column in table.columns:
            counted = table.columns[column]
            values[name] = float(counted.sum())
            influence[name] = less(counted, counted.mean())
    values |= {
        f"eval/dist_{name}": float(value) for name, value in summarize(table.distances).items()
    }
    influence |= _of_percentiles(table, values)
    if table.detections is not None:
        values |= coco_names(average_precisions(table.detections))
        values["eval/oks_map"] = average_precisions(table.pairs)["ap"]
        each = _of_average_precisions(table.detections)
        influence |= coco_names(
            {name: each[which].mean(axis=0) for name, which in AVERAGED.items()}
        )
        influence["eval/oks_map"] = _of_average_precisions(table.pairs).mean(axis=0)
    return Parts(values, influence, table.video)


def coco_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put the family's prefix before the names."""
    return {f"coco/{name}": value for name, value in values.items()}


def _of_ratio(table: FrameTable, name: str, value: float) -> np.ndarray:
    """Return (frames,) part of each frame in a ratio of sums."""
    above, below = (
        np.sum([table.columns[column] for column in part], axis=0, dtype=float)
        for part in RATIOS[name]
    )
    total = below.sum()
    return less(above, value * below) / total if total > 0 else np.full(len(below), np.nan)


def _of_percentiles(table: FrameTable, values: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Return the part of each frame in the percentiles of the distances.

    It is the part in the share of distances below the percentile, times how steeply distances rise
    with their share. That slope is taken over the interval of the share (Woodruff 1952, J. Am.
    Stat. Assoc. 47:635); there is none where the interval reaches beyond all distances, or holds
    a single one.
    """
    pair, node = np.nonzero(~np.isnan(table.distances))
    distances, frame = table.distances[pair, node], table.pairs.frame[pair]
    n_frames, total = len(table.frame), len(distances)
    names = [f"eval/dist_p{p}" for p in PERCENTILES]
    if not total:
        return {name: np.full(n_frames, np.nan) for name in names}
    shares = np.array(PERCENTILES) / 100
    number = np.bincount(frame, minlength=n_frames)
    below = np.stack(
        [np.bincount(frame[distances <= values[name]], minlength=n_frames) for name in names], 1
    )
    shift = less(number[:, None] * below.sum(axis=0) / total, below) / total
    reach = spread(shift, table.video).half_width(shares)
    known = (shares - reach > 0) & (shares + reach < 1)
    reach = np.where(known, reach, 0.0)
    low, high = (np.quantile(distances, shares + side * reach) for side in (-1, 1))
    slope = np.full(len(shares), np.nan)
    np.divide(high - low, 2 * reach, out=slope, where=high > low)
    return dict(zip(names, (shift * slope).T, strict=True))


def _of_average_precisions(ranked: Detections) -> np.ndarray:
    """Return (thresholds, frames) part of each frame in the average precision.

    Average precision is taken as the area below the curve, the mean over true instances of the
    precision where they are found; it differs from the mean over 101 recalls by less than one of
    these steps. A detection moves the precision at its own rank and at all later ones.
    """
    order = np.argsort(-ranked.scores, kind="stable")
    frame, n = ranked.frame[order], len(order)
    n_frames, n_truth = len(ranked.n_truth), float(ranked.n_truth.sum())
    if not n_truth:
        return np.full((len(ranked.hits), n_frames), np.nan)
    rank = np.arange(1, n + 1)
    found = np.zeros((len(ranked.hits), n_frames))
    for row, hit in enumerate(ranked.hits[:, order]):
        precision = np.cumsum(hit) / (rank + EPSILON)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.where(precision >= best, rank, n + 1)
        place = np.minimum.accumulate(place[::-1])[::-1][hit] - 1  # where the precision is reached
        gain, loss = (
            np.cumsum(np.bincount(place, weights, n)[::-1])[::-1] if n else np.zeros(0)
            for weights in (1 / (place + 1), best[hit] / (place + 1))
        )
        moved = np.bincount(frame, hit * (best + gain) - loss, n_frames)
        found[row] = less(moved, best[hit].sum() / n_truth * ranked.n_truth) / n_truth
    return found
