"""The committed demo: small, complete, and hard in the way it is meant to be."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from scipy.optimize import linear_sum_assignment

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.media.labels import read_labels
from sleap_lab.poses.record import Poses

KINDS = (
    "single_instance",
    "centroid",
    "centered_instance",
    "bottomup",
    "multi_class_bottomup",
    "multi_class_topdown",
)


@pytest.fixture(scope="module")
def walks(truth: Poses) -> np.ndarray:
    """(frames, animals, nodes, 2) px, animals by track."""
    order = np.lexsort((truth.tracks, truth.frame))
    return truth.points[order].reshape(len(truth.frames), len(truth.track_names), -1, 2)


def test_the_demo_is_small(folder: Path) -> None:
    sizes = [
        file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and file.suffix in (".mp4", ".slp", ".ckpt", ".yaml")
    ]
    assert max(sizes) < 1.4e6
    assert sum(sizes) < 5e6


@pytest.mark.parametrize("kind", KINDS)
def test_every_model_loads(folder: Path, kind: str, truth: Poses) -> None:
    config = read_training_config(folder / "models" / kind)
    assert config.kind == kind
    assert config.skeleton.nodes == truth.skeleton.nodes
    assert config.classes == (truth.track_names if kind.startswith("multi_class") else ())
    assert not load_network(config).training


@pytest.mark.parametrize(
    ("labels", "video"), [("truth.slp", "clip.mp4"), ("single_truth.slp", "single.mp4")]
)
def test_labels_find_their_video_beside_them(folder: Path, labels: str, video: str) -> None:
    found = read_labels(folder / labels)
    assert Path(found.videos[0].filename) == folder / video
    assert found.videos[0].shape == (len(found.labeled_frames), *found.videos[0][0].shape)
    assert str(folder).encode() not in (folder / labels).read_bytes()


def test_the_truth_is_labelled_by_hand_in_every_frame(truth: Poses, clip: sio.Video) -> None:
    assert truth.user.all()
    assert truth.visible.all()
    assert len(truth.skeleton.nodes) >= 5
    assert len(truth.track_names) >= 3
    assert truth.frames[:, 1].tolist() == list(range(len(clip)))
    assert len(clip) >= 300
    assert np.bincount(truth.frame).tolist() == [len(truth.track_names)] * len(clip)


def test_animals_stay_in_the_picture(truth: Poses, clip: sio.Video) -> None:
    height, width = clip.shape[1:3]
    assert truth.points.min() >= 0
    assert (truth.points <= [width - 1, height - 1]).all()


def crossings(a: np.ndarray, b: np.ndarray) -> int:
    """Count how often two animals (frames, nodes, 2), closer than a body length, pass each other.

    They pass where the vector between their centroids reverses along the line of their approach.
    """
    length = np.linalg.norm(a[:, 0] - a[:, -1], axis=-1).mean()
    between = b.mean(axis=1) - a.mean(axis=1)
    near = np.linalg.norm(between, axis=-1) < length
    edges = np.flatnonzero(np.diff(near.astype(int), prepend=0, append=0)).reshape(-1, 2)
    return sum(bool(between[start] @ between[stop - 1] < 0) for start, stop in edges)


def test_crossings_counts_passes_only() -> None:
    body = np.array([[5.0, 0.0], [-5.0, 0.0]])
    still = np.repeat(body[None], 5, axis=0)
    shift = np.stack([np.array([-20.0, -8.0, 0.0, 8.0, 20.0]), np.full(5, 2.0)], axis=-1)[:, None]
    assert crossings(still, body + shift) == 1
    assert crossings(still, body + np.abs(shift)) == 0


def test_animals_cross(walks: np.ndarray) -> None:
    pairs = itertools.combinations(range(walks.shape[1]), 2)
    assert sum(crossings(walks[:, a], walks[:, b]) for a, b in pairs) >= 4


@pytest.mark.parametrize("centre", [np.mean, np.median])
def test_nearest_centroids_swap_animals(walks: np.ndarray, centre: np.ufunc) -> None:
    centroids = centre(walks, axis=2)
    swaps = 0
    for before, now in itertools.pairwise(centroids):
        _, column = linear_sum_assignment(np.linalg.norm(before[:, None] - now[None], axis=-1))
        swaps += column.tolist() != list(range(len(now)))
    assert swaps >= 1
