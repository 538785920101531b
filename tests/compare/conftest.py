"""Run folders to compare: a square on each frame of some videos, predicted some px off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from sleap_lab.evaluation import Evaluation, evaluate, write_metrics
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import EvaluatorConfig

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)


@lru_cache
def evaluated(
    offs: tuple[float, ...], frames: int, videos: tuple[str, ...], noise: float
) -> Evaluation:
    """Score predictions of a square; arguments as for `write_run`."""
    places = [(video, frame) for video in range(len(videos)) for frame in range(100)]
    columns = {"video": [video for video, _ in places], "frame": [frame for _, frame in places]}
    truth = make_poses(Skeleton(tuple("abcd")), [SQUARE] * len(places), **columns, user=True)
    points = truth.points + np.random.default_rng(0).normal(0, noise, truth.points.shape)
    points[:, :, 0] += offs
    poses = make_poses(truth.skeleton, points, **columns)[truth.frame < frames]
    predicted = truth.frames[truth.frames[:, 1] < frames]
    return evaluate(
        truth, replace(poses, frames=predicted), EvaluatorConfig(),
        videos={i: i for i in range(len(videos))}, video_names=videos,
        video_matches=[
            VideoMatch(i, video, i, video, "same file") for i, video in enumerate(videos)
        ],
        requested=predicted,
    )  # fmt: skip


@pytest.fixture(scope="session")
def write_run() -> Callable[..., Path]:
    """Return a function that writes a run folder.

    The run has a square on each frame of some videos, predicted some px off.
    """

    def write(
        folder: Path,
        off: float | Sequence[float] | None = None,
        *,
        frames: int = 100,
        videos: Sequence[str] = ("clip.mp4",),
        noise: float = 0.2,
        settings: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        **summarized: object,
    ) -> Path:
        """Write a run folder.

        Args:
            folder: The folder.
            off: How far to the right each pose, or each of its four nodes, is predicted; None for a
                run without evaluation.
            frames: Predicted frames of each video, of 100.
            videos: Files that the poses are from.
            noise: Spread of further errors in px, the same in every run.
            settings: The settings, dotted key to value.
            metrics: Further metrics.
            **summarized: What the summary of the run says.
        """
        (folder / "snapshot").mkdir(parents=True)
        config: dict[str, dict[str, object]] = {}
        for key, value in (settings or {}).items():
            config.setdefault(key.partition(".")[0], {})[key.partition(".")[2]] = value
        (folder / "snapshot" / "config.yaml").write_text(yaml.safe_dump(config))
        found = {"speed/frames_per_second": 10.0}
        if off is not None:
            offs = tuple(np.broadcast_to(np.asarray(off, dtype=float), 4).tolist())
            result = evaluated(offs, frames, tuple(videos), noise)
            write_metrics(result, folder / "metrics.npz")
            found |= result.headline()
        summary.write(
            folder,
            RunSummary(
                **{"status": "finished", "metrics": found | dict(metrics or {})} | summarized
            ),
        )
        return folder

    return write


@pytest.fixture
def make_run(tmp_path, write_run) -> Callable[..., Path]:
    """Return a function that writes a run folder of a name into the folder of the test."""
    return lambda name, *values, **options: write_run(tmp_path / name, *values, **options)
