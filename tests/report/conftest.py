"""A small run of two flies on five frames, with ground truth, and run folders to compare, that the tests of the report share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from sleap_lab.config import EvaluatorConfig
from sleap_lab.evaluation import Evaluation, evaluate, write_metrics
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses import Poses, Skeleton, concatenate, make_poses
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary

SKELETON = Skeleton(nodes=("head", "thorax", "tail"), edges=((0, 1), (1, 2)))
FLY = np.array([[10.0, 20.0], [20.0, 30.0], [30.0, 20.0]])
FRAMES = [(0, frame) for frame in range(5)]


@pytest.fixture(scope="session")
def truth() -> Poses:
    """One fly at x=0 and one at x=40 in frames 0 to 3; frame 4 is labelled as empty."""
    points = [FLY + np.array([40, 0]) * fly for frame in range(4) for fly in range(2)]
    return make_poses(
        SKELETON,
        points,
        frame=np.repeat(range(4), 2),
        instance_scores=np.nan,
        tracks=[0, 1] * 4,
        user=True,
        track_names=["a", "b"],
        frames=FRAMES,
    )


@pytest.fixture(scope="session")
def poses(truth: Poses) -> Poses:
    """The truth, off by (0, frame) px, with a tail lost, without the second fly of frame 3, and with an extra fly in frame 2."""
    points = truth.points + np.stack([np.zeros(8), truth.frame], axis=1)[:, None]
    points[0, 2] = np.nan
    found = replace(truth, points=points, instance_scores=np.linspace(0.9, 0.2, 8), user=np.zeros(8, bool))[:7]
    extra = make_poses(SKELETON, [FLY + np.array([0, 60])], frame=2, instance_scores=0.1, tracks=-1, track_names=["a", "b"], frames=[])
    return concatenate([found, extra])


@pytest.fixture(scope="session")
def score() -> Callable[..., Evaluation]:
    """Evaluate with the given settings; every video is compared with the one of the same index unless told otherwise."""

    def run(truth: Poses, poses: Poses, videos: dict[int, int] | None = None, **settings: object) -> Evaluation:
        return evaluate(truth, poses, EvaluatorConfig(**settings), videos=videos or {0: 0})

    return run


@pytest.fixture(scope="session")
def evaluation(score: Callable[..., Evaluation], truth: Poses, poses: Poses) -> Evaluation:
    return score(truth, poses, oks_stddev=0.05)


@pytest.fixture(scope="session")
def read_image() -> Callable[[int, int], np.ndarray]:
    def read(video: int, frame: int) -> np.ndarray:
        return np.full((80, 100, 1), 40 + 10 * frame, dtype=np.uint8)

    return read


SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)


@lru_cache
def evaluated(offs: tuple[float, ...], frames: int, videos: tuple[str, ...], noise: float) -> Evaluation:
    """Score predictions of a square; arguments as for `make_run`."""
    places = [(video, frame) for video in range(len(videos)) for frame in range(100)]
    columns = {"video": [video for video, _ in places], "frame": [frame for _, frame in places]}
    truth = make_poses(Skeleton(tuple("abcd")), [SQUARE] * len(places), **columns, user=True)
    points = truth.points + np.random.default_rng(0).normal(0, noise, truth.points.shape)
    points[:, :, 0] += offs
    poses = make_poses(truth.skeleton, points, **columns)[truth.frame < frames]
    predicted = truth.frames[truth.frames[:, 1] < frames]
    return evaluate(
        truth, replace(poses, frames=predicted), EvaluatorConfig(), videos={i: i for i in range(len(videos))}, video_names=videos,
        video_matches=[VideoMatch(i, video, i, video, "same file") for i, video in enumerate(videos)], requested=predicted,
    )  # fmt: skip


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Path]:
    """Return a function that writes a run folder: a square on each frame of some videos, predicted some px off."""

    def make(
        name: str,
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
            name: The folder.
            off: How far to the right each pose, or each of its four nodes, is predicted; None for a run without evaluation.
            frames: Predicted frames of each video, of 100.
            videos: Files that the poses are from.
            noise: Spread of further errors in px, the same in every run.
            settings: The settings, dotted key to value.
            metrics: Further metrics.
            **summarized: What the summary of the run says.
        """
        folder = tmp_path / name
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
        summary.write(folder, RunSummary(**{"status": "finished", "metrics": found | dict(metrics or {})} | summarized))
        return folder

    return make
