"""Draw mouse-like animals from above, with the nodes that a person would label.

An animal is its spine: points every `SPINE_STEP` px from the nose to the tip of the tail. The nodes
lie at fixed distances along the spine; the body is the union of discs along it, each with a radius
and a tone. Animals differ only in their tones, so that models can learn identities.

Coordinates are (x, y) in px with integer values at pixel centres. Images are float in [0, 1] until
`expose` converts them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from sleap_lab.poses.record import Skeleton

SKELETON = Skeleton(
    nodes=("nose", "left_ear", "right_ear", "thorax", "abdomen", "tail_base"),
    edges=((3, 0), (3, 1), (3, 2), (3, 4), (4, 5)),
    symmetries=((1, 2),),
    name="mouse",
)
NODE_DISTANCE = np.array([0.0, 13.0, 13.0, 38.0, 55.0, 72.0])
"""Distance of each node from the nose along the spine, px."""
NODE_LATERAL = np.array([0.0, 8.0, -8.0, 0.0, 0.0, 0.0])
"""Distance of each node from the spine, px, positive to the animal's left."""

SPINE_STEP = 2.0
SPINE_DISTANCE = np.arange(0.0, 114.0, SPINE_STEP)
"""Distance of each spine point from the nose, px."""

RADIUS = np.interp(
    SPINE_DISTANCE, [0, 12, 24, 38, 55, 67, 72, 75, 112], [2.5, 8, 8, 9.5, 11, 7.5, 4, 1.8, 1]
)
EAR_RADIUS, LEG_RADIUS = 4.8, 2.6
LEGS = ((27.0, 12.0), (27.0, -12.0), (58.0, 14.0), (58.0, -14.0))
"""Each leg's distance from the nose and reach to the left, px."""
LEG_SWING = 5.0

IDENTITIES = ("plain", "belted", "capped")
"""Names of the three looks."""
TONES = {
    "plain": np.full_like(SPINE_DISTANCE, 0.16),
    "belted": np.interp(SPINE_DISTANCE, [40, 42, 51, 53], [0.3, 0.62, 0.62, 0.3]),
    "capped": np.interp(SPINE_DISTANCE, [22, 25], [0.48, 0.2]),
}
"""Tone of each spine disc, 0 black to 1 white."""


@dataclass(frozen=True)
class Animal:
    """One animal in one frame.

    Attributes:
        spine: (s, 2) px, image space, from the nose backwards, at `SPINE_DISTANCE`.
        identity: One of `IDENTITIES`.
        gait: Phase of the legs, radians.
    """

    spine: np.ndarray
    identity: str
    gait: float = 0.0


def beside_spine(spine: np.ndarray, distance: np.ndarray, lateral: np.ndarray) -> np.ndarray:
    """Return points (k, 2) px beside a spine (s, 2) px.

    Args:
        spine: (s, 2) px, from the nose to the tip of the tail.
        distance: (k,) px along the spine, from the nose.
        lateral: (k,) px to the left of the spine.
    """
    x, y = (np.interp(distance, SPINE_DISTANCE, spine[:, axis]) for axis in (0, 1))
    back = np.gradient(spine, SPINE_STEP, axis=0)
    back_x, back_y = (np.interp(distance, SPINE_DISTANCE, back[:, axis]) for axis in (0, 1))
    length = np.hypot(back_x, back_y)
    # With y pointing down, the left of somebody who walks along -back is (-back_y, back_x).
    return np.stack([x - lateral * back_y / length, y + lateral * back_x / length], axis=-1)


def nodes_of(spine: np.ndarray) -> np.ndarray:
    """Return the nodes (nodes, 2) of an animal with this spine (s, 2), px, image space."""
    return beside_spine(spine, NODE_DISTANCE, NODE_LATERAL)


def bent_spine(nose: np.ndarray, heading: float, bend: Sequence[float]) -> np.ndarray:
    """Return a spine (s, 2) whose curvature changes along the body.

    Args:
        nose: (2,) px.
        heading: Direction of the nose, radians.
        bend: Curvature at the nose, in the middle and at the tip of the tail, radians per px.
    """
    curvature = np.interp(SPINE_DISTANCE, np.linspace(0, SPINE_DISTANCE[-1], len(bend)), bend)
    direction = heading + np.pi + np.cumsum(curvature) * SPINE_STEP
    steps = SPINE_STEP * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    return np.asarray(nose) + np.concatenate([np.zeros((1, 2)), np.cumsum(steps[:-1], axis=0)])


def floor(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return an empty arena (h, w): bright bedding with blotches, grain and uneven light."""
    image = np.full(shape, 0.74)
    for blur, contrast in ((24.0, 0.05), (4.0, 0.03), (1.0, 0.03)):
        texture = gaussian_filter(rng.standard_normal(shape), blur, mode="wrap")
        image += contrast * (texture - texture.mean()) / texture.std()
    return image


def draw(image: np.ndarray, animal: Animal) -> None:
    """Draw an animal into an image (h, w), in place: legs, body and tail, ears, nose."""
    tones = TONES[animal.identity]
    swing = LEG_SWING * np.sin(animal.gait + np.pi * np.array([0, 1, 1, 0]))
    distance, reach = np.array(LEGS).T
    hips = beside_spine(animal.spine, distance, 0 * reach)
    feet = beside_spine(animal.spine, distance - swing, reach)
    for hip, foot in zip(hips, feet, strict=True):
        along = np.linspace(0, 1, 8)[:, None]
        stamp(
            image, hip + along * (foot - hip), np.full(8, LEG_RADIUS), np.full(8, tones[-1] + 0.08)
        )
    stamp(image, animal.spine, RADIUS, tones)
    nose, *ears = nodes_of(animal.spine)[:3]
    for ear in ears:
        stamp(image, ear[None], np.array([EAR_RADIUS]), tones[:1] + 0.12)
    stamp(image, nose[None], np.array([2.0]), tones[:1] + 0.3)


def stamp(image: np.ndarray, centers: np.ndarray, radii: np.ndarray, tones: np.ndarray) -> None:
    """Draw the anti-aliased union of discs into an image (h, w), in place.

    A pixel takes the tone of the disc it is deepest in. The tone gets darker towards the rim, which
    makes bodies look round.

    Args:
        image: (h, w), changed.
        centers: (k, 2) px.
        radii: (k,) px.
        tones: (k,) in [0, 1].
    """
    low = np.floor((centers - radii[:, None]).min(axis=0) - 1).astype(int).clip(0)
    high = np.ceil((centers + radii[:, None]).max(axis=0) + 2).astype(int).clip(0)
    window = image[low[1] : high[1], low[0] : high[0]]
    if not window.size:
        return
    x = np.arange(low[0], low[0] + window.shape[1], dtype=np.float32) - centers[:, :1].astype(
        np.float32
    )
    y = np.arange(low[1], low[1] + window.shape[0], dtype=np.float32) - centers[:, 1:].astype(
        np.float32
    )
    outside = np.sqrt(x[:, None, :] ** 2 + y[:, :, None] ** 2) - radii[:, None, None].astype(
        np.float32
    )
    deepest = outside.argmin(axis=0)
    outside = np.take_along_axis(outside, deepest[None], axis=0)[0]
    cover = np.clip(0.5 - outside, 0, 1)
    rim = 0.08 * np.clip(1 + outside / 6, 0, 1)
    window += cover * (tones[deepest] - rim - window)


def render(background: np.ndarray, animals: Sequence[Animal]) -> np.ndarray:
    """Return a copy of the background (h, w) with the animals drawn, later ones on top."""
    image = background.copy()
    for animal in animals:
        draw(image, animal)
    return image


def expose(image: np.ndarray, rng: np.random.Generator, *, noise: float = 0.02) -> np.ndarray:
    """Return what a camera records: uint8 (h, w) with sensor noise of this standard deviation."""
    noisy = image + noise * rng.standard_normal(image.shape)
    return np.round(255 * noisy.clip(0, 1)).astype(np.uint8)
