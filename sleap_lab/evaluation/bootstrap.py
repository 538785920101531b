"""Bootstrap intervals of metrics over blocks of consecutive frames and over videos.

Videos are drawn where there are several. Neighbouring frames show nearly the same poses, so single
frames are never drawn: the intervals would be far too narrow. A block is as many frames long as
there are blocks in the longest video (the square root of its length).
"""

from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from sleap_lab.evaluation.ap import EPSILON, RECALL_THRESHOLDS
from sleap_lab.evaluation.coco import AVERAGED, Detections, average_precisions
from sleap_lab.evaluation.distances import PERCENTILES, summarize
from sleap_lab.evaluation.frames import COUNTS, FrameTable, ratios

RESAMPLES = 400
SEED = 0
LEVEL = 0.95
FEWEST_BLOCKS = 5
# Ranks and distances are pooled into at most this many bins, so that time does not grow with
# the length of a video.
MAX_BINS = 512


class Blocks(NamedTuple):
    """Frames put into blocks.

    Attributes:
        of_frame: (frames,) index of the block of each frame.
        video: (blocks,) number of the video of each block, counted from 0.
        length: Consecutive frames that a block covers, labelled or not.
    """

    of_frame: np.ndarray
    video: np.ndarray
    length: int


class Intervals(NamedTuple):
    """Intervals of the headline metrics.

    Attributes:
        values: Lower and upper limit by the name of the metric.
        level: Share of resamples inside.
        block_frames: Consecutive frames of a block.
        n_blocks: Blocks that were drawn from.
        n_videos: Videos that were drawn from.
        resamples: Number of resamples.
        seed: Seed of the draws.
    """

    values: dict[str, tuple[float, float]]
    level: float
    block_frames: int
    n_blocks: int
    n_videos: int
    resamples: int
    seed: int


class Sample(NamedTuple):
    """The metrics of some frames, and of resamples of these frames.

    Samples of the same frames with the same seed share their draws, so differences are paired.

    Attributes:
        values: Metrics by name; nan where undefined.
        drawn: (resamples,) of each metric by name; empty where there are too few blocks.
        blocks: The blocks that are drawn.
    """

    values: dict[str, float]
    drawn: dict[str, np.ndarray]
    blocks: Blocks


def make_blocks(video: np.ndarray, frame: np.ndarray) -> Blocks:
    """Cut videos into blocks.

    Args:
        video: (frames,) video of each labelled frame.
        frame: (frames,) its index in the video.
    """
    longest = max(int(np.ptp(frame[video == v])) + 1 for v in np.unique(video))
    length = ceil(sqrt(longest))
    _, number = np.unique(video, return_inverse=True)
    keys, of_frame = np.unique(
        np.stack([number, frame // length], axis=1), axis=0, return_inverse=True
    )
    return Blocks(of_frame.reshape(-1), keys[:, 0], length)


def draw(blocks: Blocks, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Draw videos with replacement, and for each as many of its blocks as it has.

    Returns:
        (resamples, blocks) how often each block was drawn.
    """
    random = np.random.default_rng(seed)
    n_videos = int(blocks.video.max()) + 1
    videos = random.multinomial(n_videos, np.full(n_videos, 1 / n_videos), size=resamples)
    counts = np.zeros((resamples, len(blocks.video)), dtype=np.int64)
    for video in range(n_videos):
        own = np.flatnonzero(blocks.video == video)
        counts[:, own] = random.multinomial(
            videos[:, video] * len(own), np.full(len(own), 1 / len(own))
        )
    return counts


def intervals(table: FrameTable) -> Intervals | None:
    """Return 95 % intervals of all metrics of a table of frames; None with too few blocks."""
    found = sample(table)
    if not found.drawn:
        return None
    return Intervals(
        values=limits(found.drawn),
        level=LEVEL,
        block_frames=found.blocks.length,
        n_blocks=len(found.blocks.video),
        n_videos=int(found.blocks.video.max()) + 1,
        resamples=RESAMPLES,
        seed=SEED,
    )


def sample(table: FrameTable, seed: int = SEED) -> Sample:
    """Form every metric that a table of frames allows, and resample its frames for the spread."""
    blocks = make_blocks(table.video, table.frame)
    values = {
        name: float(value)
        for name, value in ratios(
            {name: column.sum() for name, column in table.columns.items()}
        ).items()
    }
    values |= {
        name: float(table.columns[column].sum())
        for name, column in COUNTS.items()
        if column in table.columns
    }
    values |= {f"eval/dist_{name}": value for name, value in summarize(table.distances).items()}
    if table.detections is not None:
        values |= coco_names(average_precisions(table.detections)) | {
            "eval/oks_map": average_precisions(table.pairs)["ap"]
        }
    if len(blocks.video) < FEWEST_BLOCKS:
        return Sample(values, {}, blocks)
    counts, rows = draw(blocks, seed=seed), np.arange(len(table.frame))
    summed = {
        name: counts @ _per_block(blocks, rows, column) for name, column in table.columns.items()
    }
    drawn = ratios(summed) | {
        name: summed[column].astype(float) for name, column in COUNTS.items() if column in summed
    }
    pair, node = np.nonzero(~np.isnan(table.distances))
    frame, distances = table.pairs.frame[pair], table.distances[pair, node]
    quantiles = _quantiles(counts, blocks, frame, distances, [p / 100 for p in PERCENTILES])
    drawn |= {f"eval/dist_p{p}": values for p, values in zip(PERCENTILES, quantiles, strict=True)}
    if table.detections is not None:
        parts = {
            name: table.detections._replace(hits=table.detections.hits[which])
            for name, which in AVERAGED.items()
        }
        drawn |= coco_names(
            {name: _average_precision(counts, blocks, part) for name, part in parts.items()}
        )
        drawn["eval/oks_map"] = _average_precision(counts, blocks, table.pairs)
    return Sample(values, drawn, blocks)


def paired_differences(first: Sample, second: Sample) -> dict[str, tuple[float, float, float]]:
    """Return the change of each metric between two results on the same frames, with interval.

    Both are drawn together, so what makes a frame easy or hard for both cancels out.

    Args:
        first: Metrics of some frames.
        second: Metrics of the same frames, drawn with the same seed.

    Returns:
        Difference, lower and upper limit by name of the metric; the limits are nan with too few
        blocks.
    """
    found = limits(
        {
            name: second.drawn[name] - first.drawn[name]
            for name in first.drawn.keys() & second.drawn.keys()
        }
    )
    unknown = (float("nan"), float("nan"))
    return {
        name: (second.values[name] - first.values[name], *found.get(name, unknown))
        for name in first.values
        if name in second.values
    }


def coco_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put the family's prefix before the names."""
    return {f"coco/{name}": value for name, value in values.items()}


def limits(samples: Mapping[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """Return the limits between which the middle share of the samples lies, where there are any."""
    tail = 100 * (1 - LEVEL) / 2
    limits = {
        name: np.nanpercentile(sample, [tail, 100 - tail])
        for name, sample in samples.items()
        if np.isfinite(sample).any()
    }
    return {name: (float(low), float(high)) for name, (low, high) in limits.items()}


def _per_block(blocks: Blocks, frame: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.bincount(blocks.of_frame[frame], values, minlength=len(blocks.video))


def _binned(blocks: Blocks, frame: np.ndarray, weights: np.ndarray, n_bins: int) -> csr_array:
    """Add up, per block, weights of items that come in ranked order: (blocks, bins)."""
    bins = _bins(len(frame), n_bins)
    kept = np.flatnonzero(weights)
    return csr_array(
        (weights[kept].astype(float), (blocks.of_frame[frame[kept]], bins[kept])),
        shape=(len(blocks.video), n_bins),
    )


def _bins(n: int, n_bins: int) -> np.ndarray:
    """Return (n,) the bin of each of n items in ranked order; no bin is empty."""
    return np.arange(n) * n_bins // max(1, n)


def _average_precision(counts: np.ndarray, blocks: Blocks, ranked: Detections) -> np.ndarray:
    """Return (resamples,) mean average precision.

    It equals that of `precision_recall` for every draw, except for the binning.
    """
    order = np.argsort(-ranked.scores, kind="stable")
    frame, n_bins = ranked.frame[order], min(MAX_BINS, max(1, len(order)))
    n_truth = counts @ _per_block(blocks, np.arange(len(ranked.n_truth)), ranked.n_truth)
    n_ranked = np.cumsum(counts @ _binned(blocks, frame, np.ones(len(order)), n_bins), axis=1)
    total = np.zeros(len(counts))
    for hits in ranked.hits[:, order]:
        found = np.cumsum(counts @ _binned(blocks, frame, hits, n_bins), axis=1)
        precision = np.maximum.accumulate((found / (n_ranked + EPSILON))[:, ::-1], axis=1)[:, ::-1]
        precision = np.pad(precision, ((0, 0), (0, 1)))
        recall = np.divide(
            found, n_truth[:, None], out=np.full(found.shape, np.nan), where=n_truth[:, None] > 0
        )
        total += [
            row[np.searchsorted(r, RECALL_THRESHOLDS)].mean()
            for row, r in zip(precision, recall, strict=True)
        ]
    return np.where(n_truth > 0, total / len(ranked.hits), np.nan)


def _quantiles(
    counts: np.ndarray,
    blocks: Blocks,
    frame: np.ndarray,
    values: np.ndarray,
    shares: Sequence[float],
) -> list[np.ndarray]:
    """Return (resamples,) quantile of the values for each share; nan where none was drawn."""
    if not len(values):
        return [np.full(len(counts), np.nan) for _ in shares]
    order = np.argsort(values)
    n_bins = min(MAX_BINS, len(order))
    drawn = np.cumsum(counts @ _binned(blocks, frame[order], np.ones(len(order)), n_bins), axis=1)
    edges = np.searchsorted(_bins(len(order), n_bins), np.arange(n_bins + 1))
    middle = values[order][(edges[:-1] + edges[1:] - 1) // 2]
    places = [(drawn < share * drawn[:, -1:]).sum(axis=1) for share in shares]
    return [np.where(drawn[:, -1] > 0, middle[place], np.nan) for place in places]
