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


def hardness(random: np.random.Generator, design: Design, n: int) -> np.ndarray:
    """Return (n, frames of all videos, animals) how hard animals are, about 0, in n ways."""
    shape = design.frames, design.videos, n, ANIMALS
    hard = alike(random, design.frames, design.videos * n * ANIMALS, design.time).reshape(shape)
    hard += design.differ * random.standard_normal(shape[1:3])[..., None]
    return hard.transpose(2, 1, 0, 3).reshape(n, -1, ANIMALS)


class Errors(NamedTuple):
    """What several runs make of the same animals.

    Attributes:
        distances: (runs, frames, animals, nodes) px.
        scores: (runs, frames, animals) instance scores.
        seen: (runs, frames, animals) whether the animal is found.
    """

    distances: np.ndarray
    scores: np.ndarray
    seen: np.ndarray


def errors(random: np.random.Generator, design: Design, gains: Sequence[float]) -> Errors:
    """Return the errors of runs on the same frames: half of what is hard for one is so for all.

    Args:
        random: Draws the errors.
        design: Frames and videos.
        gains: By how much all animals are easier for each run.
    """
    shared, own = hardness(random, design, 1), hardness(random, design, len(gains))
    hard = (shared + own) / np.sqrt(2) - np.array(gains)[:, None, None]
    noise = random.standard_normal((*hard.shape, NODES))
    distances = TYPICAL * np.exp(0.5 * hard[..., None] + 0.4 * noise)
    scores = 0.9 - 0.05 * hard + 0.05 * random.standard_normal(hard.shape)
    return Errors(distances, scores, hard < UNSEEN)


def table(design: Design, found: Errors, run: int) -> FrameTable:
    """Return what a run adds to the metrics in each frame."""
    distances, scores, seen = (column[run] for column in found)
    n = len(seen)
    of = np.nonzero(seen)[0]
    similar = np.exp(-(distances[seen] ** 2) / (2 * TOLERANCE**2)).mean(axis=1)
    hits = similar >= MATCH_SCORE_THRESHOLDS[:, None]
    truths = np.full(n, ANIMALS)
    detections = Detections(of, scores[seen], hits, truths)
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
    return FrameTable(video, frame, columns, distances[seen], detections, detections)


def runs(random: np.random.Generator, design: Design, gains: Sequence[float]) -> list[FrameTable]:
    """Return runs on the same frames; arguments as for `errors`."""
    found = errors(random, design, gains)
    return [table(design, found, run) for run in range(len(gains))]
