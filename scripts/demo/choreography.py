"""Where the animals of the demo clip walk.

Three animals run along three parallel lanes of one wavy loop, neighbours in opposite directions,
so that they pass each other many times. At some of these passes both freeze and then dart past
each other: the step of one frame is larger than the gap between the lanes. Each then lies nearer
to the last place of the other than to its own, so a tracker that only knows centroids swaps them.
Their noses point in opposite directions, which tells them apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from .scene import IDENTITIES, NODE_DISTANCE, SPINE_DISTANCE, Animal

CLIP_SHAPE = (320, 320)
CLIP_FRAMES = 380
SINGLE_SHAPE = (192, 192)
SINGLE_FRAMES = 60

LANE_GAP = 22.5
DIRECTIONS = (1, -1, 1)
"""Which way round each animal runs; animal i keeps to lane i, counted from the outermost."""
CRUISE = 4.5
"""Usual speed, px per frame."""
STRIDE = 36.0
"""Distance of one full swing of the legs, px."""

DARTS = ((70, (0, 1)), (140, (1, 2)), (222, (0, 1)), (310, (1, 2)))
"""Frames before which a pair freezes and after which it darts."""
DART_STEP = 26.6
DART_LEAD = 16.4
"""Distance from the start of the dart to the point of passing, px.

Gap, step and lead belong together with `NODE_DISTANCE`. The centroids of a pair come nearer to each
other's last places than a step. No node comes as near to the last place of the same node of the
other animal.
"""


@dataclass(frozen=True)
class Lane:
    """A closed walk as a dense polyline.

    Attributes:
        points: (k, 2) px, image space, first and last equal.
        length: (k,) px walked up to each point.
    """

    points: np.ndarray
    length: np.ndarray

    def at(self, walked: np.ndarray) -> np.ndarray:
        """Return points (..., 2) at these distances, wrapping round."""
        return np.stack(
            [
                np.interp(walked, self.length, self.points[:, axis], period=self.length[-1])
                for axis in (0, 1)
            ],
            axis=-1,
        )


def loop(center: float, radius: float, waves: Sequence[tuple[int, float, float]]) -> np.ndarray:
    """Return a closed curve (k, 2) px around (center, center).

    Args:
        center: x and y of the middle, px.
        radius: Mean radius, px.
        waves: Bulges as (number per round, px, phase).
    """
    angle = np.linspace(0, 2 * np.pi, 4001)
    distance = radius + sum(size * np.cos(number * angle + phase) for number, size, phase in waves)
    return center + np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=-1)


def lane(curve: np.ndarray, outward: float) -> Lane:
    """Return the walk at this distance outside a closed curve.

    Args:
        curve: (k, 2) px, image space.
        outward: Distance from the curve, px.

    Returns:
        The walk; its points at equal indices lie on one normal of the curve.
    """
    forward = np.roll(curve[:-1], -1, axis=0) - np.roll(curve[:-1], 1, axis=0)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    points = curve[:-1] + outward * np.stack([forward[:, 1], -forward[:, 0]], axis=-1)
    points = np.concatenate([points, points[:1]])
    return Lane(
        points, np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=-1))])
    )


def lanes() -> list[Lane]:
    """Return one lane per animal, parallel curves `LANE_GAP` px apart, the outermost first."""
    curve = loop(159.5, 104, [(4, -6, 0), (2, 5, 1), (3, 4, 2)])
    return [lane(curve, (1 - i) * LANE_GAP) for i in range(len(IDENTITIES))]


def along(track: Lane, direction: int, walk: np.ndarray, identity: str) -> list[Animal]:
    """Return an animal in every frame, its centroid this far (frames,) px along a lane."""
    spines = track.at(direction * (walk[:, None] + NODE_DISTANCE.mean() - SPINE_DISTANCE))
    return [
        Animal(spine, identity, 2 * np.pi * walked / STRIDE)
        for spine, walked in zip(spines, walk, strict=True)
    ]


def walks() -> np.ndarray:
    """Return the walked distance of each animal, in its own direction: (animals, frames) px.

    The animal in the middle takes part in every dart. The darts happen where it arrives at its
    usual speed. The others arrive there after as many whole rounds as keep them nearest to their
    usual speed.
    """
    tracks = lanes()
    result = []
    for animal, (track, direction) in enumerate(zip(tracks, DIRECTIONS, strict=True)):
        around = track.length[-1]
        keys: list[tuple[float, float]] = []
        for frame, pair in DARTS:
            if animal not in pair:
                continue
            place = np.searchsorted(
                tracks[1].length, (DIRECTIONS[1] * CRUISE * frame) % tracks[1].length[-1]
            )
            start = direction * track.length[place] - DART_LEAD
            if not keys:
                keys.append((-20, start - CRUISE * (frame + 20)))
            before, walked = keys[-1]
            start += around * round((walked + CRUISE * (frame - before) - start) / around)
            keys += [
                (frame - 6, start - 3),
                (frame, start),
                (frame + 1, start + DART_STEP),
                (frame + 4, start + DART_STEP + 16),
            ]
        before, walked = keys[-1]
        keys.append((CLIP_FRAMES, walked + CRUISE * (CLIP_FRAMES - before)))
        result.append(PchipInterpolator(*zip(*keys, strict=True))(np.arange(CLIP_FRAMES)))
    return np.array(result)


def clip() -> list[list[Animal]]:
    """Return the animals of every frame of the clip."""
    walkers = [
        along(*walker) for walker in zip(lanes(), DIRECTIONS, walks(), IDENTITIES, strict=True)
    ]
    return [list(animals) for animals in zip(*walkers, strict=True)]


def single() -> list[list[Animal]]:
    """Return the one animal of every frame of the short clip."""
    center = (SINGLE_SHAPE[0] - 1) / 2
    track = lane(loop(center, 62, [(2, 6, 0), (3, 5, 1)]), 0)
    return [
        [animal] for animal in along(track, 1, CRUISE * np.arange(SINGLE_FRAMES), IDENTITIES[1])
    ]
