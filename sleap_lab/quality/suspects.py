"""Moments where a pose or an identity is probably wrong, the most doubtful first."""

import heapq
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.files.table import write_table
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.kinds import KINDS, OPINIONS

SUSPECTS_FILE, SUSPECTS_LABELS = "suspects.csv", "suspects.slp"
REACH = 10
"""Processed frames before and after the frame of a moment that one look covers."""
NEARLY = 0.99
"""Share of the evidence that a look could cover at best, for which it goes where more is seen."""
MOST_REASONS = 3

POSE_IN_SWITCHES = 0.03
"""Switches that a wrong pose counts as: it is wrong in one frame, a track in all that follow."""


class Suspect(NamedTuple):
    """A moment to look at.

    Attributes:
        video: Index of the video.
        frame: Frame to look at: one with evidence, from which the rest of it is within reach.
        first: First frame with evidence.
        last: Last frame with evidence.
        animals: Names of the tracks that the evidence is about.
        probability: That something is wrong here, from 0 to 1.
        reason: What looks wrong, in words.
        nodes: Names of track and node of the nodes that the reason is about.
        switches: Number of identity switches that are expected here.
    """

    video: int
    frame: int
    first: int
    last: int
    animals: tuple[str, ...]
    probability: float
    reason: str
    nodes: tuple[tuple[str, str], ...] = ()
    switches: float = 0.0


class Evidence(NamedTuple):
    """Findings of all kinds, by position.

    Attributes:
        place: (e,) position of the frame, ascending.
        chance: (e,) chance that each is an error.
        worth: (e,) what finding that error is worth, in identity switches.
        about: Track (-1 for none) of each.
        same: What is the same for findings of which only one counts in a moment.
        text: What each says about its animal, in words.
    """

    place: np.ndarray
    chance: np.ndarray
    worth: np.ndarray
    about: Sequence[int]
    same: Sequence[tuple[int, int, str]]
    text: Sequence[str]


def suspects(quality: Quality) -> list[Suspect]:
    """Gather findings into moments, and order these by the number of switches to be found there.

    Findings count as independent: the probability of a moment is 1 - the product of (1 - chance).
    A sign that repeats about one node counts once in it, and so does a second opinion.
    Again and again, the frame within whose reach most is to be found becomes a moment, which
    maximises what few looks find up to a factor of 1 - 1/e at worst (Nemhauser, Wolsey & Fisher
    1978, Math. Program. 14:265).
    """
    order = quality.order
    evidence = _evidence(quality)
    moments = [
        _suspect(quality, evidence, centre, rows)
        for centre, rows in _moments(evidence, order.places[:, 0])
    ]
    # Among equals the order of evidence stays.
    return sorted(moments, key=lambda m: -round(m.switches + POSE_IN_SWITCHES * m.probability, 3))


def _suspect(quality: Quality, evidence: Evidence, centre: int, rows: np.ndarray) -> Suspect:
    """Say what a moment is about; a sign that repeats about one node counts once."""
    places, names = quality.order.places, quality.order.poses.track_names
    parts = quality.order.poses.skeleton.nodes
    away = evidence.place[rows] != centre
    strongest = rows[np.lexsort((away, -evidence.worth[rows]))].tolist()
    once = _first_of_each(strongest, [evidence.same[row] for row in strongest])
    tracks = dict.fromkeys(evidence.about[row] for row in strongest)
    told = _told(evidence, once)
    more = len(once) - len(told)
    video, frame = places[centre].tolist()
    opinions = [row for row in strongest if evidence.same[row][2] in OPINIONS]
    return Suspect(
        video,
        frame,
        int(places[evidence.place[rows[0]], 1]),
        int(places[evidence.place[rows[-1]], 1]),
        tuple(names[track] for track in tracks if track >= 0),
        float(1 - np.prod(1 - evidence.chance[once])),
        _in_words(quality, evidence, centre, told) + (f"; and {more} more" if more > 0 else ""),
        tuple(
            (names[track], parts[node])
            for track, node, _ in (evidence.same[row] for row in told)
            if min(track, node) >= 0
        ),
        float(evidence.chance[opinions].sum()),
    )


def _told(evidence: Evidence, once: Sequence[int]) -> list[int]:
    """Return the findings that are told: the strongest, and of each animal one of a kind first."""
    lead = _first_of_each(once, [(evidence.about[row], evidence.same[row][2]) for row in once])
    return sorted(once, key=lambda row: row not in lead)[:MOST_REASONS]


def _first_of_each(rows: Sequence[int], keys: Sequence[Hashable]) -> list[int]:
    """Return the first row of each key, in the order of the rows."""
    first: dict[Hashable, int] = {}
    for row, key in zip(rows, keys, strict=True):
        first.setdefault(key, row)
    return list(first.values())


def _in_words(quality: Quality, evidence: Evidence, centre: int, told: Sequence[int]) -> str:
    """Say what was found, by animal, and in which frame where that is not the one to look at."""
    by_animal: dict[int, list[str]] = {}
    for row in told:
        place = int(evidence.place[row])
        where = "" if place == centre else f" (frame {quality.order.places[place, 1]})"
        by_animal.setdefault(evidence.about[row], []).append(evidence.text[row] + where)
    names = quality.order.poses.track_names
    return "; ".join(
        (f"{names[track]}: " if track >= 0 else "") + ", ".join(texts)
        for track, texts in by_animal.items()
    )


def _evidence(quality: Quality) -> Evidence:
    poses = quality.order.poses
    kinds = list(KINDS)
    rows, nodes, values = (
        np.concatenate(column)
        for column in zip(*(quality.found[kind] for kind in kinds), strict=True)
    )
    kind = np.repeat(np.arange(len(kinds)), [len(quality.found[kind].rows) for kind in kinds])
    by_place = np.lexsort((nodes, kind, rows))
    about, same, texts = [], [], []
    for i in by_place.tolist():
        track, node, name = int(poses.tracks[rows[i]]), int(nodes[i]), kinds[kind[i]]
        about.append(track)
        same.append((-1, -1, name) if name in OPINIONS else (track, node, name))
        words = KINDS[name].words.format(value=values[i])
        texts.append(f"{poses.skeleton.nodes[node]} {words}" if node >= 0 else words)
    by_kind = np.array([np.nan if each.chance is None else each.chance for each in KINDS.values()])
    chance = np.where(np.isnan(by_kind[kind]), values, by_kind[kind])[by_place]
    about_identity = np.isin(np.array(kinds)[kind[by_place]], OPINIONS)
    worth = np.where(about_identity, chance, POSE_IN_SWITCHES * chance)
    return Evidence(quality.order.place[rows[by_place]], chance, worth, about, same, texts)


def _moments(evidence: Evidence, video: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the position to look at, and the findings, of each moment.

    Of those that cover nearly the most it is one with evidence itself, if there is such, and the
    one nearest to the middle of what it covers, since an error may lie beside its sign.

    Args:
        evidence: The findings.
        video: (frames,) video of every position.
    """
    n = len(video)
    weights = np.bincount(evidence.place, evidence.worth, n)
    begin = np.searchsorted(video, video)
    end = np.searchsorted(video, video, side="right")
    left = np.maximum(np.arange(n) - REACH, begin)
    right = np.minimum(np.arange(n) + REACH + 1, end)

    def sums(first: int, stop: int) -> np.ndarray:
        """Return the evidence that a look at each of these positions covers."""
        low = int(left[first])
        total = np.concatenate([[0.0], np.cumsum(weights[low : right[stop - 1]])])
        return total[right[first:stop] - low] - total[left[first:stop] - low]

    def queued(position: int) -> tuple[float, int]:
        return -float(sums(position, position + 1)[0]), position

    # What any look covers, one does that begins at evidence.
    seen = np.flatnonzero(weights > 0)
    queue = [queued(at) for at in np.unique(np.minimum(seen + REACH, end[seen] - 1)).tolist()]
    heapq.heapify(queue)
    while queue:
        before, at = heapq.heappop(queue)
        now, _ = queued(at)
        if now == 0:
            continue
        if now > before * (1 - 1e-9):  # some of it was covered meanwhile
            heapq.heappush(queue, (now, at))
            continue
        reach = np.arange(left[at], right[at])
        covers = reach[sums(reach[0], reach[-1] + 1) >= NEARLY * -now]
        itself = covers[weights[covers] > 0]
        middle = np.average(reach, weights=weights[reach])
        covers = itself if len(itself) else covers
        centre = int(covers[np.abs(covers - middle).argmin()])
        window = slice(int(left[centre]), int(right[centre]))
        rows = np.arange(*np.searchsorted(evidence.place, [window.start, window.stop]))
        rows = rows[weights[evidence.place[rows]] > 0]
        yield centre, rows
        weights[window] = 0
        heapq.heappush(queue, queued(at))


def write_suspects(path: Path, found: Sequence[Suspect], video_names: Sequence[str]) -> None:
    """Write the moments as a CSV file, the most doubtful first.

    Raises:
        RunError: The file cannot be written.
    """
    write_table(
        path,
        ["rank", "video", "frame", "first", "last", "animals", "probability", "switches", "reason"],
        (
            [
                rank,
                video_names[s.video],
                s.frame,
                s.first,
                s.last,
                " ".join(s.animals),
                round(s.probability, 4),
                round(s.switches, 4),
                s.reason,
            ]
            for rank, s in enumerate(found, start=1)
        ),
    )
