"""How many animals a video shows, and which detections are second ones of an animal."""

from typing import NamedTuple

import numpy as np

from sleap_lab.tracking.bodies import Bodies
from sleap_lab.tracking.stretches import Stretches, slots

OFTEN = 0.03  # share of the frames in which as many animals must be seen at once
SETTLED = 1 / 3  # share of the moments at which all are there, from which they surely stay
SETTLED_INSIDE = 1 / 4  # likewise, where they come and go elsewhere than at the border
NEAREST = 0.25  # two bodies nearer than this, in body lengths, may be one
SPREAD = 4.0  # duplicates lie within so many times the distance of the nearest quarter
CLEAR = 0.5  # what a threshold must tell apart to be used
RARE = 0.25  # share of the frames that hold more detections than animals, at most
OFTEN_TWICE = 0.5  # likewise, where those of a frame nearly always lie on each other
FORGOTTEN = 0.5  # share of the way between two places that is another one in the next frame
FEWEST = 3  # pairs of successive frames that tell how much of it is
SPARSE = 0.5  # of how often animals are seen on their paths; what is seen less is no animal
INSIDE = 0.2  # share of the places nearer to the border than where most paths begin or end
ANYWHERE = 0.1  # share of passers-by who begin and end inside nevertheless


class Population(NamedTuple):
    """The animals of a video.

    Attributes:
        animals: How many there are, or, where they come and go, at once at most.
        settled: They are there all the time, so who is missing comes back.
        known: Somebody said how many there are, those who are gone included.
        rarely: So many are rarely seen at once, so that their paths were asked.
    """

    animals: int
    settled: bool
    known: bool = False
    rarely: bool = False


def count_animals(time: np.ndarray, stretches: Stretches) -> tuple[int, float]:
    """Estimate how many animals are there at once at most, and how often all of them are seen.

    Args:
        time: (n,) time of each detection.
        stretches: Detections joined to tracklets; ghosts are hardly ever part of one.

    Returns:
        The number, and the share of the moments at which so many are seen.
    """
    joined = (stretches.before >= 0) | (stretches.after >= 0)
    real = joined if joined.sum() * 2 > len(time) else np.ones(len(time), dtype=bool)
    _, counts = np.unique(time[real], return_counts=True)
    often = max(OFTEN * len(counts), min(2, len(counts)))
    animals = int(np.sort(counts)[::-1][int(np.ceil(often)) - 1])
    return animals, float((counts >= animals).mean())


def count_paths(time: np.ndarray, paths: Stretches, share: float = 0.5) -> int:
    """Estimate how many animals are there in a share of the moments, seen or not.

    Where many detections are missing, all animals are hardly ever seen at once; their paths go on.
    Paths of false detections are seen much less often than those of animals.

    Args:
        time: (n,) time of each detection.
        paths: Detections joined across short gaps.
        share: Share of the moments.
    """
    first, of, seen = np.unique(paths.first(), return_inverse=True, return_counts=True)
    span = time[paths.last()[first]] - time[first] + 1
    often = seen / span
    real = (seen > 1) & (often >= SPARSE * np.median(often[of]))
    there = _there(time, paths, first[real])
    return int(np.quantile(there, 1 - share, method="inverted_cdf"))


def _there(time: np.ndarray, paths: Stretches, first: np.ndarray) -> np.ndarray:
    """Return (frames,) how many paths are there at each moment, given their first rows."""
    at = np.unique(time)
    came, went = np.sort(time[first]), np.sort(time[paths.last()[first]])
    return np.searchsorted(came, at, side="right") - np.searchsorted(went, at)


def animals_stay(time: np.ndarray, paths: Stretches, animals: int, places: np.ndarray) -> bool:
    """Return whether the same animals are there all the time, seen or not.

    They are where all of them, and nobody else, are there often: how many passers-by are there
    varies. Else the moments at which animals come decide: of a group, the more are hidden the more
    come back, and nobody where all are there; passers-by come however many are there. Both are
    rates, fitted to the paths, and the likelier one is taken. That of a group has the size of the
    group to choose, too, which costs as in the criterion of Schwarz (Annals of Statistics 6:461,
    1978); beforehand, twice the size of a pair is half as likely. A group hides anywhere,
    passers-by mostly come and go across the border of what is seen.

    Args:
        time: (n,) time of each detection.
        paths: Detections joined across short gaps; what is joined with nothing is no animal.
        animals: Most that are often seen at once.
        places: (n,) complex, place of each detection.
    """
    first = ((paths.before < 0) & (paths.after >= 0)).nonzero()[0]
    last = paths.last()[first]
    came, went = np.sort(time[first]), np.sort(time[last])
    start, end = time.min(), time.max()
    later = came > start
    if not later.any():
        return True
    depth = _depth(places, (paths.before >= 0) | (paths.after >= 0))
    ends = np.concatenate([first[time[first] > start], last[time[last] < end]])
    inside = np.median(depth[ends]) > INSIDE
    exactly = (_there(time, paths, first) == animals).mean()
    if exactly >= (SETTLED_INSIDE if inside else SETTLED):
        return True
    others = np.arange(len(came)) - np.searchsorted(went, came)  # who is there when each comes
    group = others.max() + 1
    hidden = group - (went - came + 1).sum() / (end - start + 1)  # in the mean
    odds = np.log((group - others[later]) / hidden).sum()
    odds -= inside * np.log(ANYWHERE)
    return bool(odds > np.log(later.sum()) / 2 + np.log(group / 2))


def _depth(places: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Return (n,) the share of the real detections that lie nearer to the border than each.

    The border is where places end along either axis of the image.

    Args:
        places: (n,) complex.
        real: (n,) bool; others have a depth of 0.
    """
    share = np.zeros((2, len(places)))
    for own, along in zip(share, (places.real, places.imag), strict=True):
        order = np.sort(along[real])
        below, above = (np.searchsorted(order, along[real], side=s) for s in ("left", "right"))
        own[real] = np.minimum(below, len(order) - above)
    least = share.min(axis=0)
    depth = np.zeros(len(places))
    depth[real] = np.searchsorted(np.sort(least[real]), least[real]) / max(int(real.sum()), 1)
    return depth


def second_detections(
    bodies: Bodies, time: np.ndarray, worth: np.ndarray, animals: int | None
) -> np.ndarray:
    """Return (n,) true for detections that lie on a better one of the same frame.

    How near two detections of one animal are is learned: frames with more detections than animals
    mostly hold such a pair, others hardly ever do. Where the number of animals is unknown, the one
    is taken by which they differ most. Where animals may come and go, the frames before and after
    are asked, too, see `_passing`; what tells more is taken. Where nearest pairs do not differ,
    nothing is left out.

    Args:
        bodies: Detections of one video.
        time: (n,) time of each.
        worth: (n,) score of each; of two on one animal, the better one stays.
        animals: Number of animals; None where it is unknown.
    """
    second = np.zeros(len(time), dtype=bool)
    at, table = slots(time)
    counts = (table >= 0).sum(axis=1)
    if not len(at) or table.shape[1] < 2:
        return second
    a, b = np.triu_indices(table.shape[1], 1)
    frame, pair = ((table[:, a] >= 0) & (table[:, b] >= 0)).nonzero()
    rows, others = table[frame, a[pair]], table[frame, b[pair]]
    apart = np.nan_to_num(bodies.apart(rows, others), nan=np.inf)
    nearest = np.full(len(at), np.inf)
    np.minimum.at(nearest, frame, apart)
    told = -np.inf
    if animals:
        full = counts > animals
        _, limit = _told(nearest, full, counts > 1)
    else:
        if bodies.radius:
            twice = OFTEN_TWICE if _one(nearest[counts > 1]) else RARE
        else:
            twice = OFTEN_TWICE if _one_place(bodies, rows, others, frame, apart) else 0.0
        told, animals, limit = _likeliest(nearest, counts, twice)
        full = counts > animals
    most = np.sort(counts)[::-1][int(OFTEN * len(counts))]
    if (counts >= most).mean() < SETTLED:  # animals may come and go, and counts tell little then
        passing = _passing(bodies, table, rows, others, frame, apart)
        alone, below = _told(nearest, passing, counts > 1)
        if not limit or -np.inf < told < alone:
            full, limit = passing, below
    # Places without extent may be those of two animals, unless there are too many.
    close = apart < min(limit, NEAREST) if bodies.radius else (apart < limit) & full[frame]
    rows, others, frame = rows[close], others[close], frame[close]
    better = np.where(worth[rows] >= worth[others], others, rows)  # the worse one of each pair
    second[better] = True
    return second


def _nearest_pairs(frame: np.ndarray, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames (m,) that hold pairs, ascending, and the nearest pair of each, (m,).

    Args:
        frame: (k,) frame of each pair.
        apart: (k,) distance of the two.
    """
    order = np.lexsort((apart, frame))
    at, first = np.unique(frame[order], return_index=True)
    return at, order[first]


def _passing(
    bodies: Bodies,
    table: np.ndarray,
    rows: np.ndarray,
    others: np.ndarray,
    frame: np.ndarray,
    apart: np.ndarray,
) -> np.ndarray:
    """Tell in which frames the nearest two are one both in the frame before and in the one after.

    What is nearest to both there is the same detection. Of two animals that touch, both are mostly
    seen in three frames in succession; an animal is rarely found twice in two.

    Args:
        bodies: The detections.
        table: (frames, most) rows of each frame, -1 where none is.
        rows: (k,) first row of each pair of detections of a frame.
        others: (k,) second row of each.
        frame: (k,) frame of each.
        apart: (k,) distance of the two.
    """
    at, nearest = _nearest_pairs(frame, apart)
    inside = (at > 0) & (at < len(table) - 1)
    at, nearest = at[inside], nearest[inside]
    passing = np.zeros(len(table), dtype=bool)
    passing[at] = True
    for side in (-1, 1):
        beside = table[at + side]
        one, two = (
            np.where(beside >= 0, bodies.apart(own[nearest, None], beside), np.inf)
            for own in (rows, others)
        )
        passing[at] &= one.argmin(axis=1) == two.argmin(axis=1)
    return passing


def _one_place(
    bodies: Bodies, rows: np.ndarray, others: np.ndarray, frame: np.ndarray, apart: np.ndarray
) -> bool:
    """Return whether places of the same frames are one animal without extent that is found twice.

    They nearly always lie near each other then, compared with places of other frames, and what is
    between them is error, which the next frame knows nothing of. Two animals go on as they are.

    Args:
        bodies: The detections.
        rows: (k,) first row of each pair of detections of a frame.
        others: (k,) second row of each.
        frame: (k,) frame of each.
        apart: (k,) distance of the two.
    """
    at, nearest = _nearest_pairs(frame, apart)
    here, there = (bodies.center[side[nearest]] for side in (rows, others))
    way, place = there - here, (here + there) / 2
    elsewhere = np.median(np.abs(np.roll(place, len(place) // 2) - place))
    if np.quantile(np.abs(way), 1 - RARE) >= NEAREST * elsewhere:
        return False
    now = np.flatnonzero(np.diff(at) == 1)
    if len(now) < FEWEST:
        return False
    # Nobody knows which of two is which.
    changed = np.minimum(np.abs(way[now + 1] - way[now]), np.abs(way[now + 1] + way[now]))
    return bool(np.median(changed) > FORGOTTEN * np.median(np.abs(way)))


def _likeliest(nearest: np.ndarray, counts: np.ndarray, twice: float) -> tuple[float, int, float]:
    """Return how well duplicates are told, by which number of animals, and below which distance.

    Args:
        nearest: (frames,) distance of the nearest pair of each frame; inf where there is none.
        counts: (frames,) detections of each.
        twice: Share of the frames that may show a single animal twice, at most.
    """
    best = -np.inf, 0, 0.0
    for number in range(1, int(counts.max())):
        full = counts > number
        if full.mean() > (twice if number == 1 else RARE):
            continue
        if number > 1 and not (~full & (counts > 1)).any():
            continue
        told, limit = _told(nearest, full, counts > 1)
        best = max(best, (told, number, limit))
    return best


def _one(nearest: np.ndarray) -> bool:
    """Return whether detections of the same frames nearly always lie on each other.

    Two animals do not: what is there twice in up to half of the frames is one animal found twice.
    """
    return bool((nearest < NEAREST).mean() > 1 - RARE)


def _told(nearest: np.ndarray, full: np.ndarray, several: np.ndarray) -> tuple[float, float]:
    """Return how well frames with a detection too many are told from others, and the distance.

    What few frames tell may be chance, so that their number counts, too.
    """
    told, limit = _between(nearest[full], nearest[several & ~full])
    return (told - 1 / np.sqrt(full.sum()), limit) if told else (-np.inf, 0.0)


def _between(excess: np.ndarray, usual: np.ndarray) -> tuple[float, float]:
    """Return how well nearest pairs of two kinds of frames are told apart, and at which distance.

    Args:
        excess: (k,) distances in frames with a detection too many.
        usual: (m,) distances in others.
    """
    excess = np.sort(excess[np.isfinite(excess)])
    if not len(excess):
        return 0.0, 0.0
    usual = np.sort(usual)
    below = np.arange(1, len(excess) + 1) / len(excess)
    passed = np.searchsorted(usual, excess, side="right") / max(len(usual), 1)
    # A duplicate beside a missing animal makes no frame too full, so a few are expected there, too.
    best = int(np.argmax(below - passed))
    told = float(below[best] - passed[best])
    if told < CLEAR:
        return 0.0, 0.0
    # Ghosts, which lie anywhere, make frames too full as well.
    return told, float(min(1.5 * excess[best], SPREAD * np.quantile(excess, 0.25)))
