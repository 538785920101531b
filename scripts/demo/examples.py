"""Random training scenes: images of animals that are not in the demo clips, with their nodes."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from .scene import (
    IDENTITIES,
    NODE_DISTANCE,
    SKELETON,
    SPINE_DISTANCE,
    Animal,
    bent_spine,
    expose,
    floor,
    nodes_of,
    render,
)

ANCHOR_PART = "thorax"
"""The node at the centre of crops."""
ANCHOR = SKELETON.nodes.index(ANCHOR_PART)
BODY = slice(np.searchsorted(SPINE_DISTANCE, NODE_DISTANCE[-1]) + 1)
"""The part of a spine that is not tail."""

MAX_ANIMALS = 4
SHOULDER_GAP = 17.0
"""Smallest distance between the spines of two animals, px.

Bodies may touch but do not cover each other.
"""
CENTROID_ERROR = 3.0
"""Largest error of the centroid that crops are cut around in training, px per axis."""


@dataclass(frozen=True)
class Examples:
    """Images and what is in them.

    Attributes:
        images: (k, h, w) uint8.
        points: (k, n, nodes, 2) float32 px, where the networks should see the nodes; rows of nan
            for animals that are not there.
        identities: (k, n) int64, index into `IDENTITIES`; 0 for animals that are not there.
    """

    images: np.ndarray
    points: np.ndarray
    identities: np.ndarray


def random_animal(rng: np.random.Generator, anchor: np.ndarray, heading: float) -> Animal:
    """Return an animal of random bend, gait and look whose thorax is at `anchor` (2,) px."""
    spine = bent_spine(
        np.zeros(2), heading, rng.normal(0, 0.009, size=3).clip(-0.022, 0.022).tolist()
    )
    return Animal(
        spine + anchor - nodes_of(spine)[ANCHOR],
        str(rng.choice(IDENTITIES)),
        rng.uniform(0, 2 * np.pi),
    )


def companions(
    rng: np.random.Generator, animals: list[Animal], shape: tuple[int, int], count: int
) -> list[Animal]:
    """Return the animals and up to `count` more, without overlap.

    Many of the added animals lie side by side with one of the others.
    """
    animals = list(animals)
    for _ in range(count):
        heading = rng.uniform(0, 2 * np.pi)
        anchor = rng.uniform(-10, np.array(shape[::-1]) + 10)
        if animals and rng.random() < 0.75:
            nose, *_, tail = nodes_of(animals[rng.integers(len(animals))].spine)
            along = (nose - tail) / np.linalg.norm(nose - tail)
            beside = np.array([along[1], -along[0]]) * rng.choice([-1, 1])
            anchor = (nose + tail) / 2 + rng.uniform(20, 40) * beside + rng.uniform(-60, 60) * along
            heading = np.arctan2(along[1], along[0]) + rng.choice([0, np.pi]) + rng.normal(0, 0.25)
        animal = random_animal(rng, anchor, heading)
        gaps = [
            np.linalg.norm(animal.spine[BODY][:, None] - other.spine[BODY], axis=-1).min()
            for other in animals
        ]
        if all(gap > SHOULDER_GAP for gap in gaps):
            animals.append(animal)
    return animals


def photograph(
    rng: np.random.Generator, animals: list[Animal], shape: tuple[int, int]
) -> np.ndarray:
    """Return an image (h, w) uint8 of the animals under random light, focus and noise."""
    order = rng.permutation(len(animals))
    image = render(floor(rng, shape), [animals[i] for i in order])
    image = gaussian_filter(image, rng.uniform(0, 0.8)) * rng.uniform(0.92, 1.08) + rng.uniform(
        -0.04, 0.04
    )
    return expose(image, rng, noise=rng.uniform(0.0, 0.03))


@cache
def arenas(size: int, count: int, seed: int, animals: int = MAX_ANIMALS) -> Examples:
    """Return square images of this size with up to `animals` animals each, all of them labelled."""
    rng = np.random.default_rng(seed)
    images = np.empty((count, size, size), np.uint8)
    points = np.full((count, animals, len(SKELETON.nodes), 2), np.nan, np.float32)
    identities = np.zeros((count, animals), np.int64)
    for k in range(count):
        scene = companions(rng, [], (size, size), animals)
        images[k] = photograph(rng, scene, (size, size))
        for i, animal in enumerate(scene):
            points[k, i] = nodes_of(animal.spine)
            identities[k, i] = IDENTITIES.index(animal.identity)
    return Examples(images, points, identities)


@cache
def crops(size: int, count: int, seed: int) -> Examples:
    """Return crops of this size around the thorax of one animal each, the only labelled one.

    They are cut as in inference: around a centroid c the corner is c - size / 2 + 0.5, pixels begin
    at its integer part, and node coordinates start at the corner itself. So the network learns
    coordinates that are half a pixel short on average, which adding the corner back corrects.
    """
    rng = np.random.default_rng(seed)
    images = np.empty((count, size, size), np.uint8)
    points = np.empty((count, 1, len(SKELETON.nodes), 2), np.float32)
    identities = np.empty((count, 1), np.int64)
    for k in range(count):
        corner = rng.uniform(0, 1, size=2)
        centroid = corner + size / 2 - 0.5
        subject = random_animal(
            rng,
            centroid + rng.uniform(-CENTROID_ERROR, CENTROID_ERROR, size=2),
            rng.uniform(0, 2 * np.pi),
        )
        images[k] = photograph(rng, companions(rng, [subject], (size, size), 2), (size, size))
        points[k, 0] = nodes_of(subject.spine) - corner
        identities[k, 0] = IDENTITIES.index(subject.identity)
    return Examples(images, points, identities)
