"""Which frames to label next: those that would teach a model most, unlike one another."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.poses.centroids import instance_centroids
from sleap_lab.poses.record import Poses
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.suspects import REACH, Suspect

CANDIDATES = 20
"""Frames that are compared for each frame that is suggested, the most doubtful of each video."""
APART = 4
"""Frames near a chosen one wait, but no further than this part of the mean distance of all."""
AWAY = 2
"""One of so many suggested frames may be from where no animal is found for long: nobody knows
whether they are all missed or just away."""
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, without the whole part, are spread evenly, however many are taken."""
USUAL = 0.75
"""Quantile of the confidence of frames that counts as usual for a recording."""


class Suggestion(NamedTuple):
    """A frame to label.

    Attributes:
        video: Index of the video.
        frame: Frame index.
        value: How doubtful its poses are, 0 to 1.
        reason: What is doubtful, in words.
    """

    video: int
    frame: int
    value: float
    reason: str


def suggest(
    quality: Quality, moments: Sequence[Suspect], count: int, known: Collection[tuple[int, int]]
) -> list[Suggestion]:
    """Choose frames to label, the most valuable first.

    A frame is worth the more, the more doubtful it is and the less its least sure animal looks like
    those of frames that are already chosen. Frames near a chosen or a labelled one wait. Videos
    take turns. Among equals, the frame that lies farthest from these in its video is taken.

    Args:
        quality: The poses, and how many animals are expected.
        moments: Moments that look wrong.
        count: How many frames to choose; fewer where there are not so many.
        known: (video, frame) that a person has labelled; these are not chosen.
    """
    order = quality.order
    doubt, reasons = _doubts(quality, moments)
    free = np.array([tuple(place) not in known for place in order.places.tolist()], dtype=bool)
    near = _to_nearest(np.flatnonzero(~free), order.places[:, 0])
    wait = min(REACH, len(order.places) // (APART * (count + int((~free).sum()))))
    worth = np.where(near > wait, doubt, 0.0)
    pool = _candidates(order.places[:, 0], np.where(free, worth, -1.0), CANDIDATES * count)
    looks = _looks(quality, pool)
    scale = _typical_distance(looks)
    video = order.places[pool, 0]
    apart, unlike = near[pool], np.where(near[pool] > wait, 1.0, 0.0)
    turns = dict.fromkeys(video.tolist(), 0)
    chosen: list[Suggestion] = []
    left = np.ones(len(pool), dtype=bool)
    away, most_away = _without_animals_for_long(quality)[pool], max(1, count // AWAY)
    while left.any() and len(chosen) < count:
        fewest = min(turns[own] for own in video[left].tolist())
        turn = left & (np.array([turns[own] for own in video.tolist()]) == fewest)
        if (away & ~left).sum() >= most_away and (turn & ~away).any():
            turn &= ~away
        worth = np.where(turn, doubt[pool] * unlike, -1.0)
        best = int(np.lexsort((-pool, apart, unlike, worth))[-1])
        place = int(pool[best])
        own, frame = order.places[place].tolist()
        chosen.append(Suggestion(own, frame, float(doubt[place]), reasons[place]))
        left[best] = False
        turns[own] += 1
        distance = np.nan_to_num(np.linalg.norm(looks - looks[best], axis=1) / scale, nan=1.0)
        between = np.where(video == own, np.abs(pool - place), np.inf)
        apart = np.minimum(apart, between)
        unlike = np.minimum(unlike, np.where(between <= wait, 0.0, 1 - np.exp(-(distance**2) / 2)))
    return chosen


def _to_nearest(marked: np.ndarray, video: np.ndarray) -> np.ndarray:
    """Return (frames,) how many processed frames it is to the nearest marked one of the video.

    Args:
        marked: (marked,) positions, ascending.
        video: (frames,) video of every position.

    Returns:
        0 for the marked frames, inf in videos without one.
    """
    nearest = np.full(len(video), np.inf)
    for own in np.unique(video[marked]).tolist():
        rows = np.flatnonzero(video == own)
        ends = np.concatenate([[-np.inf], marked[video[marked] == own], [np.inf]])
        after = np.searchsorted(ends, rows)
        nearest[rows] = np.minimum(rows - ends[after - 1], ends[after] - rows)
    return nearest


def _doubts(quality: Quality, moments: Sequence[Suspect]) -> tuple[np.ndarray, list[str]]:
    """Return (frames,) how doubtful each frame is, and what is doubtful there.

    That nothing is wrong is taken as two independent things: that no moment there is an error, and
    that its confidence is as usual. Animals and nodes that are missing have no confidence; a frame
    without animals, where none is expected, is as usual.
    """
    order, poses = quality.order, quality.order.poses
    scores = _scores(poses)
    total = np.bincount(order.place, scores.sum(axis=1), len(order.places))
    counts = np.diff(order.start)
    wanted = np.array([quality.expected[video] for video in order.places[:, 0].tolist()], dtype=int)
    most = np.maximum(counts, wanted)
    some = most > 0
    sure = total / np.maximum(most, 1) / len(poses.skeleton.nodes)
    usual = float(np.quantile(sure[some], USUAL)) if some.any() else 0.0
    short = np.where(some, np.clip(1 - sure / usual, 0, 1) if usual > 0 else 1.0, 0.0)
    doubt = short.copy()
    measured = "mean confidence" if _has_confidence(poses) else "share of nodes found"
    reasons = [
        f"{own} of {want} animals"
        if own < want
        else "no animal, as in all frames"
        if own == 0
        else f"{measured} {value:.2f}, usual is {usual:.2f}"
        if value < usual
        else "nothing; it only looks unlike the others"
        for own, want, value in zip(counts.tolist(), wanted.tolist(), sure.tolist(), strict=True)
    ]
    place = {tuple(where): i for i, where in enumerate(order.places.tolist())}
    for moment in moments:
        i = place[moment.video, moment.frame]
        doubt[i] = 1 - (1 - short[i]) * (1 - moment.probability)
        reasons[i] = moment.reason
    return doubt, reasons


def _scores(poses: Poses) -> np.ndarray:
    """Return (n, nodes) confidences, 0 for nodes that are missing.

    Where a recording has none, every node that is found counts alike.
    """
    if not _has_confidence(poses):
        return poses.visible.astype(float)
    return np.where(poses.visible & np.isfinite(poses.point_scores), poses.point_scores, 0.0)


def _has_confidence(poses: Poses) -> bool:
    return bool((poses.point_scores[poses.visible] > 0).any())


def _candidates(video: np.ndarray, doubt: np.ndarray, most: int) -> np.ndarray:
    """Return the positions of the most doubtful frames of each video, ascending.

    Of equals that are too many, those are taken that lie all over the video.

    Args:
        video: (frames,) video of every position.
        doubt: (frames,) how doubtful; negative for frames that are not free.
        most: Largest number per video.
    """
    chosen = [np.zeros(0, dtype=np.intp)]
    for own in np.unique(video).tolist():
        rows = np.flatnonzero((video == own) & (doubt >= 0))
        scattered = np.arange(len(rows)) * GOLDEN % 1
        chosen.append(rows[np.lexsort((scattered, -doubt[rows]))[:most]])
    return np.sort(np.concatenate(chosen))


def _without_animals_for_long(quality: Quality) -> np.ndarray:
    """Return (frames,) whether no animal is found within reach of each frame."""
    found = np.concatenate([[0], np.cumsum(np.diff(quality.order.start) > 0)])
    here = np.arange(len(found) - 1)
    return found[(here + REACH + 1).clip(max=len(here))] == found[(here - REACH).clip(min=0)]


def _looks(quality: Quality, pool: np.ndarray) -> np.ndarray:
    """Return (candidates, 2 nodes) body lengths: the least sure animal, around its centroid.

    Nodes that were not found lie on the centroid. Where animals are missing, nobody knows how the
    least sure one looks: nan.
    """
    order, poses = quality.order, quality.order.poses
    sure = _scores(poses).sum(axis=1)
    centred = np.nan_to_num(poses.points - instance_centroids(poses.points)[:, None])
    shape = centred.reshape(len(poses), 2 * len(poses.skeleton.nodes)) / (
        quality.length if quality.length > 0 else 1.0
    )
    looks = np.full((len(pool), shape.shape[1]), np.nan)
    for row, place in enumerate(pool.tolist()):
        own = slice(int(order.start[place]), int(order.start[place + 1]))
        wanted = max(1, quality.expected[int(order.places[place, 0])])
        if own.stop - own.start >= wanted:
            looks[row] = shape[own.start + int(sure[own].argmin())]
    return looks


def _typical_distance(looks: np.ndarray) -> float:
    """Return the root mean square distance of two candidates; nan where all look the same."""
    known = looks[~np.isnan(looks).any(axis=1)]
    spread = float(np.sqrt(2 * known.var(axis=0).sum())) if len(known) else 0.0
    return spread if spread > 0 else np.nan
