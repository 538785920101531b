"""How many pages of `compare` have a mark where runs are equal, written and read as commands do."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.errors import ANIMALS, NODES, Design, Errors, errors
from sleap_lab.compare.runs import Comparison, compare
from sleap_lab.evaluation import evaluate, write_metrics
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import EvaluatorConfig

SIZE = 200.0  # px, of an animal
SKELETON = Skeleton(tuple("abcdefgh"[:NODES]))


def false_marks(design: Design, runs: int, repetitions: int) -> float:
    """Return the share of pages on equal runs that mark anything.

    Args:
        design: Frames and videos.
        runs: Runs on a page.
        repetitions: Pages.
    """
    random = np.random.default_rng([design.frames, design.videos, runs])
    with tempfile.TemporaryDirectory() as scratch:
        pages = [_page(random, design, runs, Path(scratch) / str(i)) for i in range(repetitions)]
    return float(np.mean([_has_mark(page) for page in pages]))


def _page(random: np.random.Generator, design: Design, runs: int, folder: Path) -> Comparison:
    """Write equal runs into a folder, and compare them."""
    found = errors(random, design, [0.0] * runs)
    columns: dict[str, Any] = {
        "video": np.repeat(np.arange(design.videos), design.frames * ANIMALS),
        "frame": np.tile(np.repeat(np.arange(design.frames), ANIMALS), design.videos),
        "tracks": np.tile(np.arange(ANIMALS), design.videos * design.frames),
        "track_names": [f"animal {i}" for i in range(ANIMALS)],
    }
    corners = random.uniform(0, SIZE, (1, NODES, 2)) + 10 * SIZE * np.arange(ANIMALS)[:, None, None]
    places = np.tile(corners, (design.videos * design.frames, 1, 1))
    truth = make_poses(SKELETON, places, **columns, user=True, instance_scores=np.nan)
    for run in range(runs):
        _write(folder / str(run), truth, _predicted(random, truth, found, run), design, run)
    return compare([folder / str(run) for run in range(runs)])


def _predicted(random: np.random.Generator, truth: Poses, found: Errors, run: int) -> Poses:
    """Return what a run predicts."""
    distances = found.distances[run].reshape(len(truth), NODES)
    angle = random.uniform(0, 2 * np.pi, distances.shape)
    off = distances[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    poses = make_poses(
        truth.skeleton,
        truth.points + off,
        video=truth.video,
        frame=truth.frame,
        tracks=truth.tracks,
        track_names=truth.track_names,
        instance_scores=found.scores[run].ravel(),
        frames=truth.frames,
    )
    return poses[found.seen[run].ravel()]


def _write(folder: Path, truth: Poses, poses: Poses, design: Design, run: int) -> None:
    """Score poses, and write what `compare` reads of a run."""
    videos = range(design.videos)
    names = [f"{video}.mp4" for video in videos]
    result = evaluate(
        truth,
        poses,
        EvaluatorConfig(identity=True),
        videos={i: i for i in videos},
        video_names=names,
        video_matches=[VideoMatch(i, name, i, name, "same file") for i, name in enumerate(names)],
    )
    (folder / "snapshot").mkdir(parents=True)
    config = {"tracker": {"tracking_window_size": run}}
    (folder / "snapshot" / "config.yaml").write_text(yaml.safe_dump(config))
    write_metrics(result, folder / "metrics.npz")
    summary.write(folder, RunSummary(status="finished", metrics=result.headline()))


def _has_mark(page: Comparison) -> bool:
    """Whether a comparison marks any difference."""
    parts = [line for kind in page.parts.values() for part in kind.values() for line in part]
    changes = [change for line in [*page.metrics, *parts] for change in line.changes]
    changes += [change for effect in page.effects for change in effect.changes.values()]
    return any(change.verdict for change in changes)
