from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.poses.record import Poses, Skeleton, make_poses

WORM = Skeleton(
    ("head", "neck", "left", "right", "hip", "tail"),
    edges=((0, 1), (1, 2), (1, 3), (1, 4), (4, 5)),
    symmetries=((2, 3),),
)
BODY = np.array([[50, 0], [30, 0], [20, 12], [20, -12], [-20, 0], [-50, 0]], dtype=float)
"""Nodes of a worm that looks to the right, px; it is 100 px long."""


@pytest.fixture
def scene():
    """Return a function that makes tracked worms which crawl with small noise."""

    def make(n_frames=300, n_animals=3, seed=0, noise=1.0) -> Poses:
        rng = np.random.default_rng(seed)
        turn = rng.normal(0, 0.03, (n_frames, n_animals)).cumsum(axis=0)
        centre = 150 * np.arange(n_animals)[:, None] * [1, 1] + np.stack(
            [np.cos(turn), np.sin(turn)], axis=-1
        ).cumsum(axis=0)
        across = np.stack([-np.sin(turn), np.cos(turn)], axis=-1)
        along = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        points = (
            centre[..., None, :]
            + BODY[:, :1] * along[..., None, :]
            + BODY[:, 1:] * across[..., None, :]
        )
        points += rng.normal(0, noise, points.shape)
        return make_poses(
            WORM,
            points.reshape(-1, len(BODY), 2),
            frame=np.repeat(np.arange(n_frames), n_animals),
            tracks=np.tile(np.arange(n_animals), n_frames),
            point_scores=rng.uniform(0.8, 1.0, (n_frames * n_animals, len(BODY))),
            track_names=[f"worm {i}" for i in range(n_animals)],
        )

    return make


@pytest.fixture
def changed():
    """Return a function that puts other points into some rows."""

    def change(poses, rows, points):
        everything = poses.points.copy()
        everything[rows] = points
        return replace(poses, points=everything)

    return change
