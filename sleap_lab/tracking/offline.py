"""Tracking with the whole video at hand: `tracker=global`."""

import logging
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import counted
from sleap_lab.poses.record import Poses
from sleap_lab.settings.check_tracker import known_animals
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.terminal import Watch
from sleap_lab.tracking.bodies import Bodies, describe_bodies
from sleap_lab.tracking.evidence import Evidence, learn
from sleap_lab.tracking.halves import join_halves
from sleap_lab.tracking.likeness import look_again
from sleap_lab.tracking.mixed import part_mixed
from sleap_lab.tracking.network import LARGEST, Cost, Solution, join_near, link_cost, solve, windows
from sleap_lab.tracking.passage import UNKNOWN, Passage, learn_passage
from sleap_lab.tracking.population import (
    OFTEN,
    SETTLED,
    Population,
    animals_stay,
    count_animals,
    count_paths,
    second_detections,
)
from sleap_lab.tracking.stretches import Stretches, joined
from sleap_lab.tracking.tracklets import MARGIN, find_tracklets
from sleap_lab.tracking.watch import unwatched, within

log = logging.getLogger(__name__)

PASSES = 4  # the paths settle within three
CERTAIN, SLOPE = -0.20, 0.60  # log odds at no margin, and their growth; see `probability`
WITHOUT_DOUBT = 0.9997  # how often links of tracklets are right; counted likewise
PARTED = 0.92  # how often those of poses are right that were mixed; counted on 24 further scenes
SURE_LINKS = "step 1 of 3 (sure links)"
ALL_LINKS = "step 2 of 3 (all links)"
SHAPES = "step 3 of 3 (shapes)"


def track_globally(
    poses: Poses,
    config: TrackerConfig,
    first: int,
    notes: list[str] | None = None,
    watch: Watch = unwatched,
) -> Poses:
    """Track the instances of one video, each decision in the light of the whole video.

    Args:
        poses: Instances of one video.
        config: Tracker settings; only the number of animals is used.
        first: Number of the first track.
        notes: Gets sentences that a reader of the result must know.
        watch: Is told how far this is.

    Returns:
        Instances by frame; predicted ones that belong to no animal are left out, user-labelled ones
        stay without a track. `track_scores` is the probability that the link to the instance before
        is right, see `probability`.
    """
    if (np.diff(poses.frame) < 0).any():
        poses = poses[np.argsort(poses.frame, kind="stable")]
    seen = np.any(poses.visible, axis=1)
    return _identified(poses, seen, None, known_animals(config), first, notes, watch)


def link_tracklets(
    poses: Poses,
    config: TrackerConfig,
    first: int,
    notes: list[str] | None = None,
    watch: Watch = unwatched,
) -> Poses:
    """Take the tracks of an online tracker as tracklets, and join them as `track_globally` does.

    A track is cut wherever the tracker was in doubt, or should have been.

    Args:
        poses: Instances of one video by frame; those without a track stay as they are.
        config: Tracker settings; only the number of animals is used.
        first: Number of the first track.
        notes: Gets sentences that a reader of the result must know.
        watch: Is told how far this is.

    Returns:
        Likewise.
    """
    tracked = (poses.tracks >= 0) & np.any(poses.visible, axis=1)
    return _identified(poses, tracked, poses.tracks, known_animals(config), first, notes, watch)


def _identified(
    poses: Poses,
    chosen: np.ndarray,
    tracklets: np.ndarray | None,
    animals: int | None,
    first: int,
    notes: list[str] | None,
    watch: Watch,
) -> Poses:
    """Identify the chosen instances, and leave out those of them that belong to no animal."""
    rows = np.flatnonzero(chosen)
    tracks, scores = np.full(len(poses), -1), poses.track_scores.copy()
    said: list[str] = []
    if len(rows):
        own = None if tracklets is None else tracklets[rows]
        tracks[rows], scores[rows] = identify(
            poses if chosen.all() else poses[rows], animals, own, said, watch
        )
    stay = (tracks >= 0) | poses.user | ~(chosen | (tracklets is None))
    scores[(tracks < 0) & chosen] = np.nan
    if left_out := len(poses) - int(stay.sum()):
        said.append(
            f"Tracking: {left_out} of {len(poses)} instances were left out, because they belong "
            "to no animal: second detections or other halves of an animal, or false ones."
        )
    for note in said:
        log.info(note)
    if notes is not None:
        notes += said
    tracks = np.where(tracks >= 0, first + tracks, -1).astype(np.int32)
    return replace(poses, tracks=tracks, track_scores=scores)[stay]


def identify(
    poses: Poses,
    animals: int | None,
    tracklets: np.ndarray | None = None,
    notes: list[str] | None = None,
    watch: Watch = unwatched,
) -> tuple[np.ndarray, np.ndarray]:
    """Say which animal each detection of a video is.

    Args:
        poses: Detections of one video by frame, each with a visible node.
        animals: Number of animals; None to estimate it.
        tracklets: (n,) track of each by another tracker, whose links are all that is sure; None to
            find what is sure.
        notes: Gets what a reader must know.
        watch: Is told how far this is, step by step.

    Returns:
        (n,) number of the animal, -1 for none, and (n,) probability of its link.
    """
    time = moments(poses)
    bodies = describe_bodies(poses)
    worth = np.where(poses.user, np.inf, np.nan_to_num(poses.instance_scores))
    bodies, mended = part_mixed(bodies, time, poses.user)
    bodies, half = join_halves(bodies, time, worth, poses.user)
    rows = np.flatnonzero(~half)
    second = second_detections(bodies.of(rows), time[rows], worth[rows], animals)
    rows = rows[~second | poses.user[rows]]
    bodies, when = bodies.of(rows), time[rows]
    stretches = find_tracklets(bodies, when, within(watch, SURE_LINKS))
    if tracklets is not None:
        stretches = _within(stretches, tracklets[rows])
    population = _population(bodies, when, stretches, animals)
    if animals is None and notes is not None:
        notes.append(_estimated(population))
    paths = _paths(bodies, when, stretches, population, watch)
    first = paths.stretches.first()
    real = ~np.isin(first, paths.left_out)
    # Animals are numbered in order of time; who is first among equals does not matter.
    _, number = np.unique(first[real], return_inverse=True)
    tracks, scores = np.full(len(poses), -1), np.full(len(poses), np.nan)
    sure = _link_scores(paths, stretches, mended[rows])
    tracks[rows[real]], scores[rows[real]] = number, sure[real]
    return tracks, scores


def _population(
    bodies: Bodies, time: np.ndarray, stretches: Stretches, known: int | None
) -> Population:
    """Say how many animals there are, and whether they stay.

    Args:
        bodies: Detections without second ones.
        time: (n,) time of each.
        stretches: Detections joined to tracklets.
        known: Number of animals; None to estimate it.
    """
    at_once, seen = count_animals(time, stretches)
    if seen >= SETTLED or (known and known <= at_once):
        return Population(known or at_once, True, bool(known))
    ends = ((stretches.before < 0) | (stretches.after < 0)).nonzero()[0]
    paths, passage = Paths(stretches, np.zeros(0), np.zeros(0, dtype=np.intp)), UNKNOWN
    for _ in range(2):  # tracklets alone show little of gaps, and too many paths are left
        evidence = learn(bodies, time, paths.stretches, ends)
        passing = Population(at_once, False)
        paths = _solved(time, stretches, link_cost(evidence), evidence.anywhere, passing, passage)
        passage = learn_passage(paths.stretches, time)
    if known and known <= count_paths(time, paths.stretches, OFTEN):
        return Population(known, True, True)  # nobody else can come
    at_once = max(at_once, count_paths(time, paths.stretches))
    settled = animals_stay(time, paths.stretches, at_once, bodies.center)
    return Population(known or at_once, settled, bool(known), rarely=True)


def _estimated(population: Population) -> str:
    """Return what a reader must know of an estimated number of animals."""
    number = (
        counted(population.animals, "animal")
        if population.settled
        else f"animals that come and go, {population.animals} at once at most"
    )
    doubt = "all are rarely seen at once, so this may be wrong; " if population.rarely else ""
    return (
        f"Tracking: {number}, estimated from the counts of the frames; "
        f"{doubt}if you know the number, give tracker.tracking_target_instance_count."
    )


def _within(stretches: Stretches, tracklets: np.ndarray) -> Stretches:
    """Cut stretches where they leave a tracklet."""
    to = np.flatnonzero(stretches.before >= 0)
    to = to[tracklets[to] == tracklets[stretches.before[to]]]
    return joined(len(tracklets), stretches.before[to], to)


class Paths(NamedTuple):
    """Animals as stretches of detections.

    Attributes:
        stretches: Detections joined to animals.
        margin: (n,) how much worse the best solution without the link to each detection is; inf
            where there is none.
        left_out: First rows of the stretches that are no animal.
    """

    stretches: Stretches
    margin: np.ndarray
    left_out: np.ndarray


def _paths(
    bodies: Bodies, time: np.ndarray, stretches: Stretches, population: Population, watch: Watch
) -> Paths:
    """Join tracklets to animals; each pass knows the paths and the motion of the one before."""
    paths = Paths(stretches, np.full(len(time), np.inf), np.zeros(0, dtype=np.intp))
    ends = ((stretches.before < 0) | (stretches.after < 0)).nonzero()[0]
    evidence: Evidence | None = None
    for number in range(PASSES):
        watch(number, PASSES, ALL_LINKS)
        known, evidence = paths.stretches, None  # what the pass before learned is large
        evidence = learn(bodies, time, known, ends)
        passage = learn_passage(known, time) if number else UNKNOWN
        cost = link_cost(evidence)
        paths = _solved(time, stretches, cost, evidence.anywhere, population, passage)
        if np.array_equal(paths.stretches.after, known.after):
            break  # the next pass would learn the same
    assert evidence is not None, "there is a first pass"
    doubtful = (paths.stretches.before >= 0) & (stretches.before < 0)
    real = ~np.isin(paths.stretches.first(), paths.left_out)
    told = within(watch, SHAPES)
    told(0, 1)
    whole, odds = look_again(bodies, paths.stretches, doubtful, link_cost(evidence), real, told)
    return paths._replace(stretches=whole, margin=np.where(np.isnan(odds), paths.margin, odds))


def _solved(
    time: np.ndarray,
    stretches: Stretches,
    cost: Cost,
    anywhere: float,
    population: Population,
    passage: Passage,
) -> Paths:
    margin = np.where(stretches.before >= 0, MARGIN, np.inf)
    paths = Paths(stretches, margin, np.zeros(0, dtype=np.intp))
    if population.settled:
        for least in (MARGIN, 0.0):
            sizes = [len(part.ends) for part in windows(paths.stretches, time, population.animals)]
            if max(sizes, default=0) <= LARGEST:
                break
            near = join_near(paths.stretches, time, cost, anywhere)
            paths = _with(paths, near, near.margin >= least)
        found = solve(paths.stretches, time, cost, population.animals, anywhere)
        return _with(paths, found, found.margin >= 0)
    near = join_near(stretches, time, cost, anywhere, passage)
    paths = _with(paths, near, near.margin >= 0)
    whole = (paths.stretches.before < 0) & (paths.stretches.after >= 0)
    if population.known and whole.sum() > population.animals:
        found = solve(paths.stretches, time, cost, population.animals, anywhere)
        return _with(paths, found, found.margin >= 0)
    alone = (paths.stretches.before < 0) & (paths.stretches.after < 0)
    return paths._replace(left_out=alone.nonzero()[0])


def _with(paths: Paths, found: Solution, chosen: np.ndarray) -> Paths:
    """Add the chosen links of a solution."""
    before, after = paths.stretches.before.copy(), paths.stretches.after.copy()
    margin = paths.margin.copy()
    rows, others = found.rows[chosen], found.others[chosen]
    before[others], after[rows], margin[others] = rows, others, found.margin[chosen]
    return Paths(Stretches(before, after), margin, found.left_out)


def _link_scores(paths: Paths, tracklets: Stretches, parted: np.ndarray) -> np.ndarray:
    """Return (n,) the probability of each link; `parted` are poses that were mixed, (n,)."""
    scores = np.where(tracklets.before >= 0, WITHOUT_DOUBT, probability(paths.margin))
    before = paths.stretches.before
    linked = before >= 0
    return np.where(linked & (parted | parted[before]), np.minimum(scores, PARTED), scores)


def probability(margin: np.ndarray) -> np.ndarray:
    """Return the probability that links are right.

    The margin is how much worse the best answer without the link is, or, where shape was looked at,
    the logarithm of the odds that both together give. How often links of some margin are right was
    counted on simulated animals that nothing but motion tells apart (`scripts/calibrate_links.py`),
    and a logistic curve was fitted.

    Args:
        margin: (n,) margins; inf for the first of a track.
    """
    return 1 / (1 + np.exp(-(CERTAIN + SLOPE * margin)))


def moments(poses: Poses) -> np.ndarray:
    """Return (n,) the time of each detection, in usual steps between processed frames."""
    frames = np.unique(poses.frames[:, 1])
    steps = np.diff(frames)
    if not len(steps):
        return np.zeros(len(poses), dtype=np.int64)
    sizes, counts = np.unique(steps, return_counts=True)
    usual = sizes[np.argmax(counts)]
    at = np.concatenate([[0], np.cumsum(np.maximum(np.rint(steps / usual), 1))]).astype(np.int64)
    return at[np.searchsorted(frames, poses.frame)]
