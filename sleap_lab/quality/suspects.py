"""Moments where a pose or an identity is probably wrong, the most doubtful first."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.files.table import write_table
from sleap_lab.quality.assess import KINDS, Quality
from sleap_lab.quality.opinion import MAX_SURE

SUSPECTS_FILE, SUSPECTS_LABELS = "suspects.csv", "suspects.slp"
REACH = 10
"""Processed frames before and after the frame of a moment that one look covers."""
NEARLY = 0.95
"""Share of the evidence that a look could cover at best, for which it goes where more is seen."""
MOST_REASONS = 3

CHANCE: Mapping[str, float | None] = {
    "jump": 0.1,
    "flip": 0.2,
    "stretched": 0.05,
    "double": 0.1,
    "mixed": 0.2,
    "drop": 0.01,
    "gap": 0.05,
    "swap": None,
    "doubt": None,
}
"""Chance that a finding of each kind is an error; None where it is the value of the finding."""

OPINIONS = ("swap", "doubt")
"""Kinds that concern several animals of a moment at once; the strongest of them counts."""

IN_WORDS = {
    "jump": "moves {value:.1f} body lengths in one frame",
    "flip": "changes places with its mirror image",
    "stretched": "is at the end of a bone of {value:.1f} times the usual length",
    "double": "lies on another pose",
    "mixed": "has nodes of two animals",
    "drop": "has {value:.0%} less confidence than usual",
    "gap": "comes back after {value:.0f} frames",
    "swap": "is in another track than before, if tracked again ({value:.0%})",
    "doubt": "could be another animal ({value:.0%})",
}
"""What a finding says about an animal, or about the node that is named before."""


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
    """

    video: int
    frame: int
    first: int
    last: int
    animals: tuple[str, ...]
    probability: float
    reason: str
    nodes: tuple[tuple[str, str], ...] = ()


class Evidence(NamedTuple):
    """Findings of all kinds, by position.

    Attributes:
        place: (e,) position of the frame, ascending.
        weight: (e,) -log(1 - chance) of each.
        about: Track (-1 for none) of each.
        same: What is the same for findings of which only one counts in a moment.
        text: What each says, in words.
    """

    place: np.ndarray
    weight: np.ndarray
    about: Sequence[int]
    same: Sequence[tuple[int, int, str]]
    text: Sequence[str]


def suspects(quality: Quality) -> list[Suspect]:
    """Gather findings into moments, and order these by the probability that something is wrong.

    Findings count as independent: the probability of a moment is 1 - the product of (1 - chance).
    A sign that repeats about one node counts once in it, and so does a second opinion.
    Again and again, the frame with evidence within whose reach most of it lies becomes a moment.
    Kinds of findings that are not in `CHANCE` are left out.
    """
    order = quality.order
    evidence = _evidence(quality)
    moments = [
        _suspect(quality, evidence, centre, rows)
        for centre, rows in _moments(evidence, order.places[:, 0])
    ]
    # Among equals, and where something is wrong in any case, the order of evidence stays.
    return sorted(moments, key=lambda moment: -round(min(moment.probability, MAX_SURE), 2))


def _suspect(quality: Quality, evidence: Evidence, centre: int, rows: np.ndarray) -> Suspect:
    """Say what a moment is about; a sign that repeats about one node counts once."""
    places, names = quality.order.places, quality.order.poses.track_names
    parts = quality.order.poses.skeleton.nodes
    strongest = rows[np.argsort(-evidence.weight[rows], kind="stable")].tolist()
    once = list({evidence.same[row]: row for row in reversed(strongest)}.values())[::-1]
    tracks = dict.fromkeys(evidence.about[row] for row in strongest)
    texts = [evidence.text[row] for row in once]
    more = len(texts) - MOST_REASONS
    told = [evidence.same[row] for row in once[:MOST_REASONS]]
    video, frame = places[centre].tolist()
    return Suspect(
        video,
        frame,
        int(places[evidence.place[rows[0]], 1]),
        int(places[evidence.place[rows[-1]], 1]),
        tuple(names[track] for track in tracks if track >= 0),
        float(-np.expm1(-evidence.weight[once].sum())),
        "; ".join(texts[:MOST_REASONS]) + (f"; and {more} more" if more > 0 else ""),
        tuple((names[track], parts[node]) for track, node, _ in told if min(track, node) >= 0),
    )


def _evidence(quality: Quality) -> Evidence:
    poses = quality.order.poses
    kinds = [kind for kind in KINDS if kind in CHANCE]
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
        words = [
            f"{poses.track_names[track]}:" if track >= 0 else "",
            poses.skeleton.nodes[node] if node >= 0 else "",
            IN_WORDS[name].format(value=values[i]),
        ]
        texts.append(" ".join(filter(None, words)))
    by_kind = np.array([np.nan if (c := CHANCE[name]) is None else c for name in kinds])
    chance = np.where(np.isnan(by_kind[kind]), values, by_kind[kind])[by_place]
    return Evidence(quality.order.place[rows[by_place]], -np.log1p(-chance), about, same, texts)


def _moments(evidence: Evidence, video: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the position to look at, and the findings, of each moment.

    The position has evidence itself, and of those that cover nearly the most, it has the most.

    Args:
        evidence: The findings.
        video: (frames,) video of every position.
    """
    n = len(video)
    weights = np.bincount(evidence.place, evidence.weight, n)
    begin = np.searchsorted(video, video)
    end = np.searchsorted(video, video, side="right")
    left = np.maximum(np.arange(n) - REACH, begin)
    right = np.minimum(np.arange(n) + REACH + 1, end)

    def sums(first: int, stop: int) -> np.ndarray:
        """Return the evidence that a look at each of these positions covers."""
        low = int(left[first])
        total = np.concatenate([[0.0], np.cumsum(weights[low : right[stop - 1]])])
        return total[right[first:stop] - low] - total[left[first:stop] - low]

    everything = sums(0, n) if n else np.zeros(0)
    queue = [(-everything[i], i) for i in np.flatnonzero(weights > 0).tolist()]
    heapq.heapify(queue)
    while queue:
        total, centre = heapq.heappop(queue)
        if weights[centre] == 0:
            continue
        current = float(sums(centre, centre + 1)[0])
        if current < -total * (1 - 1e-9):  # some of it was covered meanwhile
            heapq.heappush(queue, (-current, centre))
            continue
        window = slice(int(left[centre]), int(right[centre]))
        covers = sums(window.start, window.stop) >= NEARLY * current
        centre = window.start + int(np.where(covers, weights[window], 0).argmax())
        window = slice(int(left[centre]), int(right[centre]))
        rows = np.arange(*np.searchsorted(evidence.place, [window.start, window.stop]))
        rows = rows[weights[evidence.place[rows]] > 0]
        yield centre, rows
        weights[window] = 0


def write_suspects(path: Path, found: Sequence[Suspect], video_names: Sequence[str]) -> None:
    """Write the moments as a CSV file, the most doubtful first.

    Raises:
        RunError: The file cannot be written.
    """
    header = ["rank", "video", "frame", "first", "last", "animals", "probability", "reason"]
    write_table(
        path,
        header,
        (
            [
                rank,
                video_names[s.video],
                s.frame,
                s.first,
                s.last,
                " ".join(s.animals),
                round(s.probability, 4),
                s.reason,
            ]
            for rank, s in enumerate(found, start=1)
        ),
    )
