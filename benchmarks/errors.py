"""Simulated results of runs: errors of a few animals that last for some frames, in some videos."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from sleap_lab.evaluation.ap import MATCH_SCORE_THRESHOLDS
from sleap_lab.evaluation.coco import SINGLED_OUT, Detections
from sleap_lab.evaluation.frames import FrameTable, distance_sums, hit_sums

ANIMALS, NODES = 2, 5
TYPICAL = 2.0  # px, of a node
TOLERANCE = 6.0  # px, the spread of OKS
UNSEEN = 1.7  # animals that are harder than this are missed


class Design(NamedTuple):
    """How many frames are labelled, and how errors behave.

    Attributes:
        frames: Labelled frames of each video.
        videos: Videos.
        time: Correlation time of errors in frames.
        differ: Spread of the means of videos, in that of frames.
    """

    frames: int
    videos: int = 1
    time: float = 0.0
    differ: float = 0.0


def alike(random: np.random.Generator, n: int, m: int, time: float) -> np.ndarray:
    """Return (n, m) independent series of n standard normal numbers that forget exponentially."""
    keep = np.exp(-1 / time) if time > 0 else 0.0
    start = keep * random.standard_normal((1, m))
    noise = np.sqrt(1 - keep**2) * random.standard_normal((n, m))
    return lfilter([1], [1, -keep], noise, axis=0, zi=start)[0]


def hardness(random: np.random.Generator, design: Design) -> np.ndarray:
    """Return (frames of all videos, animals) how hard animals are, about 0."""
    return np.concatenate(
        [
            alike(random, design.frames, ANIMALS, design.time)
            + design.differ * random.standard_normal()
            for _ in range(design.videos)
        ]
    )


def table(
    random: np.random.Generator, design: Design, hard: np.ndarray, better: float = 0.0
) -> FrameTable:
    """Return what a run that misjudges hard animals adds to the metrics in each frame.

    Args:
        random: Draws what is different in every frame and node.
        design: Frames and videos.
        hard: (frames, animals) how hard each animal is for this run.
        better: By how much all animals are easier for it.
    """
    hard = hard - better
    n = len(hard)
    noise = random.standard_normal((*hard.shape, NODES))
    distances = TYPICAL * np.exp(0.5 * hard[..., None] + 0.4 * noise)
    scores = 0.9 - 0.05 * hard + 0.05 * random.standard_normal(hard.shape)
    seen = hard < UNSEEN
    of = np.nonzero(seen)[0]
    similar = np.exp(-(distances**2) / (2 * TOLERANCE**2)).mean(axis=2)[seen]
    hits = similar >= MATCH_SCORE_THRESHOLDS[:, None]
    truths = np.full(n, ANIMALS)
    found = Detections(of, scores[seen], hits, truths)
    matched = np.bincount(of, minlength=n)
    columns = {
        "n_matched": matched,
        "n_missed": truths - matched,
        "n_true": truths,
        "n_predicted": matched,
        "score_sum": np.bincount(of, similar, n),
        "reached_sum": np.bincount(of, hits.mean(axis=0), n),
        "found_mean": np.bincount(of, hits.mean(axis=0), n),
        **distance_sums(of, distances[seen], n),
        **hit_sums(of, distances[seen], n),
        **{f"found_{t}": np.bincount(of, hits[row], n) for t, row in SINGLED_OUT.items()},
    }
    video = np.repeat(np.arange(design.videos), design.frames)
    frame = np.tile(np.arange(design.frames), design.videos)
    return FrameTable(video, frame, columns, distances[seen], found, found)


def runs(random: np.random.Generator, design: Design, gains: Sequence[float]) -> list[FrameTable]:
    """Return runs on the same frames: half of what is hard for one is hard for all.

    Args:
        random: Draws the errors.
        design: Frames and videos.
        gains: By how much each run is better.
    """
    shared = hardness(random, design)
    return [
        table(random, design, (shared + hardness(random, design)) / np.sqrt(2), gain)
        for gain in gains
    ]
