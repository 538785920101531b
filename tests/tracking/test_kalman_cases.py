"""Tracks with Kalman filters equal sleap-nn's on scenes full of gaps (`make_kalman_cases.py`)."""

import gzip
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from sleap_lab.poses.record import Poses, Skeleton
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.tracker import track

spec = importlib.util.spec_from_file_location(
    "make_kalman_cases", Path(__file__).parent / "make_kalman_cases.py"
)
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)

ANSWERS = json.loads(gzip.decompress(cases.ANSWERS.read_bytes()))


def tracks_of(seed, settings):
    """Return the track of each pose of a scene, frame by frame, -1 for one that is left out."""
    animals, frames = cases.make_scene(seed)
    points = np.array([pose for poses in frames for pose in poses])
    n = len(points)
    poses = Poses(
        skeleton=Skeleton(tuple(f"node {i}" for i in range(points.shape[1]))),
        video=np.zeros(n, dtype=np.int32),
        frame=np.repeat(np.arange(len(frames)), [len(poses) for poses in frames]),
        points=points,
        point_scores=np.ones(points.shape[:2]),
        instance_scores=np.ones(n),
        tracks=np.full(n, -1, dtype=np.int32),
        track_scores=np.full(n, np.nan),
        user=np.zeros(n, dtype=bool),
        origin=np.arange(n),
        frames=np.stack([np.zeros(len(frames), dtype=np.int64), np.arange(len(frames))], axis=1),
    )
    config = TrackerConfig(
        use_kalman=True,
        tracking_target_instance_count=animals,
        missing_nodes="reference",
        undecided="reference",
        **settings,
    )
    tracked = track(poses, config)
    found = np.full(n, -1)
    found[tracked.origin] = tracked.tracks
    return found.tolist()


def assert_same_up_to_names(found, expected):
    """Compare tracks, each of which may have another number on the other side."""
    assert [track < 0 for track in found] == [track < 0 for track in expected]
    pairs = set(zip(found, expected, strict=True))
    assert len(pairs) == len(set(found)) == len(set(expected))


@pytest.mark.parametrize(
    ("variant", "seed"),
    [
        pytest.param(variant, seed, marks=() if seed % 5 == i % 5 else pytest.mark.slow)
        for i, variant in enumerate(cases.VARIANTS)
        for seed in range(cases.N_SCENES)
    ],
)
def test_tracks_equal_sleap_nn(variant, seed):
    expected = [track for frame in ANSWERS[variant][seed] for track in frame]
    assert_same_up_to_names(tracks_of(seed, cases.VARIANTS[variant]), expected)


def test_the_scenes_lose_and_find_animals():
    counts = [[len(poses) for poses in cases.make_scene(seed)[1]] for seed in range(cases.N_SCENES)]
    assert len(ANSWERS["short"]) == cases.N_SCENES
    assert sum(len(set(count)) >= 3 for count in counts) >= 15
    assert (
        min(len({track for frame in scene for track in frame}) for scene in ANSWERS["short"]) >= 2
    )
