"""Scenes with pictures: animals of the demo that walk over each other and hide one another.

Pairs meet again and again: one stops, the other walks over it, from behind or from the front, stays
for a while and both leave in directions of their own. Hidden nodes are not found, and an animal
under another is not found at all, for 2 s at most. There are three animals, which look alike or
different.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from benchmarks.scenes import Frame, Scene, as_detections, body_length, degrade
from scripts.demo.scene import (
    IDENTITIES,
    RADIUS,
    SKELETON,
    SPINE_DISTANCE,
    SPINE_STEP,
    Animal,
    expose,
    floor,
    nodes_of,
    render,
)
from sleap_lab.poses.record import Poses, make_poses

SIDE = 320  # px, of the square arena
MARGIN = 50.0  # px that paths keep from its border
FRAMES = 600  # 40 s at 15 frames per second
LONGEST_STAY = 22  # frames that the upper animal rests; with walking on and off below 30, 2 s
SPEED, STRIDE = 5.0, 36.0  # px per frame, px per swing of the legs
TURN = 0.12  # radians per px, sharpest turn
FEWEST_NODES = 2  # of an animal in sight
NEAR = 8.0  # px from a place at which it is reached
NAMES = ("a", "b", "c")
NOSE, THORAX, TAIL_BASE = (SKELETON.nodes.index(name) for name in ("nose", "thorax", "tail_base"))
LOOKS = {"look-alikes": (IDENTITIES[0],) * 3, "distinct": IDENTITIES}


@dataclass
class Walker:
    """An animal that walks from place to place along its own trail.

    Attributes:
        trail: (k, 2) px, where the nose was, every `SPINE_STEP` px, newest last.
        heading: Direction of the nose, radians.
        places: (2,) px each, where it goes next; it stays where it is when none is left.
    """

    trail: np.ndarray
    heading: float
    places: list[np.ndarray] = field(default_factory=list)
    walked: float = 0.0

    @property
    def spine(self) -> np.ndarray:
        """(s, 2) px, from the nose to the tip of the tail."""
        return self.trail[: -len(SPINE_DISTANCE) - 1 : -1]

    def walk(self, way: float) -> None:
        """Walk this far, px, at the sharpest turn towards the next place."""
        for _ in range(round(max(way, 0.0) / SPINE_STEP)):
            while self.places and np.linalg.norm(self.places[0] - self.trail[-1]) < NEAR:
                self.places.pop(0)
            if not self.places:
                return
            x, y = self.places[0] - self.trail[-1]
            turn = (np.arctan2(y, x) - self.heading + np.pi) % (2 * np.pi) - np.pi
            self.heading += float(np.clip(turn, -TURN * SPINE_STEP, TURN * SPINE_STEP))
            step = SPINE_STEP * np.array([np.cos(self.heading), np.sin(self.heading)])
            self.trail = np.concatenate([self.trail, [self.trail[-1] + step]])
            self.walked += SPINE_STEP


class ContactGroup(NamedTuple):
    """Contact scenes that differ in their seed only."""

    name: str
    looks: tuple[str, ...]

    def scene(self, seed: int, limit: int | None) -> Scene:
        """Return the scene of this seed, of at most `limit` frames."""
        rng = np.random.default_rng(seed)
        animals, orders = walk(rng, self.looks, min(limit or FRAMES, FRAMES))
        frames: list[Frame] = [
            {name: nodes_of(each.spine) for name, each in zip(NAMES, moment, strict=True)}
            for moment in animals
        ]
        hidden = [covered(*moment) for moment in zip(animals, orders, strict=True)]
        truth = _truth(frames, hidden)
        found = degrade(frames, body_length(frames), seed, hidden, FEWEST_NODES)
        images = pictures(animals, orders, seed)
        return Scene(self.name, seed, truth, as_detections(found, truth), images)


def groups_of_contact() -> list[ContactGroup]:
    """Return the groups of animals that look alike and of those that do not."""
    return [ContactGroup(f"contact, {name}", looks) for name, looks in LOOKS.items()]


def walk(
    rng: np.random.Generator, looks: Sequence[str], frames: int
) -> tuple[list[list[Animal]], list[list[int]]]:
    """Return the animals of every frame, and their numbers from the lowest to the one on top."""
    walkers = [_walker(rng) for _ in looks]
    lower, upper, stay = 0, 1, _stay(rng)
    _meet(rng, walkers[lower], walkers[upper])
    moments, orders = [], []
    for _ in range(frames):
        others = [number for number in range(len(looks)) if number not in (lower, upper)]
        for number in others:
            walkers[number].places = walkers[number].places or [_place(rng)]
        stay -= not walkers[upper].places
        if stay == 0:
            walkers[lower].places, walkers[upper].places = [_place(rng)], [_place(rng)]
            lower, upper = rng.choice(len(looks), 2, replace=False).tolist()
            stay = _stay(rng)
            _meet(rng, walkers[lower], walkers[upper])
            others = [number for number in range(len(looks)) if number not in (lower, upper)]
        for walker in walkers:
            walker.walk(SPEED + rng.normal(0, 1))
        orders.append([*others, lower, upper])
        moments.append(
            [
                Animal(walker.spine, look, 2 * np.pi * walker.walked / STRIDE)
                for walker, look in zip(walkers, looks, strict=True)
            ]
        )
    return moments, orders


def _stay(rng: np.random.Generator) -> int:
    """Return for how many frames the upper animal rests."""
    return int(rng.integers(1, LONGEST_STAY + 1))


def _walker(rng: np.random.Generator) -> Walker:
    heading = rng.uniform(-np.pi, np.pi)
    behind = np.arange(-len(SPINE_DISTANCE), 1)[:, None] * SPINE_STEP
    trail = _place(rng) + behind * np.array([np.cos(heading), np.sin(heading)])
    return Walker(trail, heading)


def _place(rng: np.random.Generator) -> np.ndarray:
    """Return a place in the arena, (2,) px."""
    return rng.uniform(MARGIN, SIDE - MARGIN, 2)


def _meet(rng: np.random.Generator, lower: Walker, upper: Walker) -> None:
    """Stop one animal, and send another over it, from behind or from the front."""
    nose, thorax, tail = nodes_of(lower.spine)[[NOSE, THORAX, TAIL_BASE]]
    before = nose + nose - thorax
    lower.places = []
    upper.places = (
        [lower.spine[-1], tail, thorax, nose]
        if rng.random() < 0.5
        else [before, nose, thorax, tail]
    )


def covered(animals: Sequence[Animal], order: Sequence[int]) -> dict[str, np.ndarray]:
    """Return for each animal by name which of its nodes, (nodes,), lie under another one's body.

    Args:
        animals: The animals of a frame.
        order: Their numbers from the lowest to the one on top.
    """
    result = {name: np.zeros(len(SKELETON.nodes), dtype=bool) for name in NAMES}
    for place, number in enumerate(order):
        nodes = nodes_of(animals[number].spine)
        for above in order[place + 1 :]:
            distances = np.linalg.norm(nodes[:, None] - animals[above].spine, axis=-1)
            result[NAMES[number]] |= (distances < RADIUS).any(axis=1)
    return result


def pictures(
    animals: Sequence[Sequence[Animal]], orders: Sequence[Sequence[int]], seed: int
) -> np.ndarray:
    """Return what a camera records of every frame, (frames, h, w, 1) uint8."""
    rng = np.random.default_rng(seed)
    background = floor(rng, (SIDE, SIDE))
    images = [
        expose(render(background, [moment[number] for number in order]), rng)
        for moment, order in zip(animals, orders, strict=True)
    ]
    return np.stack(images)[..., None]


def _truth(frames: Sequence[Frame], hidden: Sequence[Frame]) -> Poses:
    """Return what a person would label: the nodes in sight of animals with two of them."""
    rows = [(number, name) for number, frame in enumerate(frames) for name in NAMES]
    points = np.array([frames[number][name] for number, name in rows])
    points[np.array([hidden[number][name] for number, name in rows])] = np.nan
    poses = make_poses(
        SKELETON,
        points,
        frame=[number for number, _ in rows],
        tracks=[NAMES.index(name) for _, name in rows],
        user=True,
        track_names=NAMES,
    )
    return poses[poses.visible.sum(axis=1) >= FEWEST_NODES]
