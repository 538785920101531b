"""`tracker=auto`: which tracker a video is tracked with, found without ground truth."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from sleap_lab.poses.record import Poses

log = logging.getLogger(__name__)

ALIKE = 0.01  # trackers whose answers are as sound up to this are equals, and the first is taken

TrackVideo = Callable[[Poses, bool], Poses]
"""Tracks one video; the second argument tells that its frames are in reverse."""


class Trial(NamedTuple):
    """What a tracker makes of a video.

    Attributes:
        poses: The result.
        agreement: How far it agrees with what the tracker makes of the video played in reverse, as
            IDF1 measures it, in [0, 1].
        whole: Share of the tracked instances that are on as many tracks as there are animals.
    """

    poses: Poses
    agreement: float
    whole: float

    @property
    def sound(self) -> float:
        """How much speaks for the result, in [0, 1]."""
        return self.agreement * self.whole


def choose(
    poses: Poses, trackers: Mapping[str, TrackVideo], animals: int | None, notes: list[str] | None
) -> Poses:
    """Track a video with each tracker, forward and in reverse, and return the soundest result.

    A tracker that is sure of what it does gives the same answer in both directions of time, on as
    many tracks as there are animals. Where one is so sound that none can be sounder, those after it
    are not tried.

    Args:
        poses: Instances of one video.
        trackers: By name; among equals the first is taken.
        animals: Number of animals; None takes the number of tracks of the first tracker.
        notes: Gets the choice and the reasons.
    """
    trials: dict[str, Trial] = {}
    for name, track in trackers.items():
        forward, backward = (
            track(_numbered(poses), False),
            _reversed(track(_reversed(_numbered(poses)), True)),
        )
        animals = animals or len(set(forward.tracks[forward.tracks >= 0].tolist()))
        trials[name] = Trial(
            replace(forward, origin=poses.origin[forward.origin]),
            _agreement(forward, backward, len(poses)),
            _whole(forward, animals),
        )
        if trials[name].sound >= 1 - ALIKE:
            break
    best = max(trial.sound for trial in trials.values())
    chosen = next(name for name, trial in trials.items() if trial.sound >= best - ALIKE)
    said = "; ".join(
        f"{name}: forward and backward agree on {trial.agreement:.1%}, "
        f"{trial.whole:.1%} of the instances on {animals} tracks"
        for name, trial in trials.items()
    )
    untried = ", ".join(list(trackers)[len(trials) :])
    ending = f"; not tried, since none can be sounder: {untried}" if untried else ""
    note = f"Tracking: tracker.method=auto takes {chosen} ({said}{ending})."
    log.info(note)
    if notes is not None:
        notes.append(note)
    return trials[chosen].poses


def _numbered(poses: Poses) -> Poses:
    """Give every instance its row as a number to know it by."""
    return replace(poses, origin=np.arange(len(poses)))


def _reversed(poses: Poses) -> Poses:
    """Play a video in reverse; its frames keep their numbers as a set."""
    ends = poses.frames[:, 1].min(initial=0) + poses.frames[:, 1].max(initial=0)
    frames = poses.frames.copy()
    frames[:, 1] = ends - frames[:, 1]
    return replace(poses, frame=ends - poses.frame, frames=frames[np.argsort(frames[:, 1])])


def _agreement(forward: Poses, backward: Poses, n: int) -> float:
    """Return how far two results agree, as IDF1 measures it: 1 where all tracks are the same.

    Args:
        forward: One result; `origin` numbers the instances.
        backward: The other.
        n: Number of instances that were tracked.
    """
    both = np.full((2, n), -1)
    for side, poses in zip(both, (forward, backward), strict=True):
        side[poses.origin] = poses.tracks
    shared = (both >= 0).all(axis=0)
    total = (both >= 0).sum()
    if not shared.any():
        return float(total == 0)
    (one, two) = (np.unique(side[shared], return_inverse=True)[1] for side in both)
    table = np.zeros((one.max() + 1, two.max() + 1))
    np.add.at(table, (one, two), 1)
    return float(2 * table[linear_sum_assignment(table, maximize=True)].sum() / total)


def _whole(poses: Poses, animals: int) -> float:
    """Return the share of the tracked instances that are on the largest tracks, one per animal."""
    counts = np.sort(np.bincount(poses.tracks[poses.tracks >= 0]))[::-1]
    return float(counts[:animals].sum() / max(counts.sum(), 1))
