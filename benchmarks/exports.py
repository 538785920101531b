"""Duration of exports and identity metrics, on synthetic poses.

The poses have many videos, few frames of a long video, or many tracks.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sleap_io as sio

from benchmarks.timing import publish, table
from sleap_lab.evaluation import evaluate
from sleap_lab.media.formats.write import write_formats
from sleap_lab.media.labels import to_labels
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig

NODES = 13
SKELETON = Skeleton(
    tuple(f"node{i}" for i in range(NODES)), tuple((i, i + 1) for i in range(NODES - 1))
)
FORMATS = ("csv", "analysis_h5", "nwb")


class Row(NamedTuple):
    """One measurement: elapsed seconds, processor seconds, and megabytes of the written files."""

    case: str
    round: int
    seconds: float
    cpu_seconds: float
    megabytes: float


def run(*, rounds: int, only: str) -> None:
    """Time every case, print the fastest of its rounds, and publish a whole run."""
    rows = [row for turn in range(rounds) for row in _round(turn, only)]
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        best = min((row for row in rows if row.case == case), key=lambda row: row.seconds)
        lines.append(
            [
                case,
                f"{best.seconds:.1f}",
                f"{best.cpu_seconds:.1f}",
                f"{best.megabytes:.1f}" if best.megabytes else "",
            ]
        )
    print(shown := table(["", "s", "s of the processor", "MB"], lines))
    if not only:
        publish("exports", shown, rows)


def _round(turn: int, only: str) -> Iterator[Row]:
    for case, work in _cases():
        if only in case:
            with tempfile.TemporaryDirectory() as scratch:
                start, spent = time.perf_counter(), time.process_time()
                work(Path(scratch))
                took = time.perf_counter() - start, time.process_time() - spent
                yield Row(
                    case,
                    turn,
                    *took,
                    sum(file.stat().st_size for file in Path(scratch).iterdir()) / 1e6,
                )


def _cases() -> Iterator[tuple[str, Callable[[Path], object]]]:
    recordings = {
        "26 videos of 1,000 frames, 2 animals": (26, np.arange(1000), 1000),
        "26 videos of 54,000 frames, 10 labelled": (26, np.arange(10) * 5000, 54_000),
        "12 frames of 11,000,000": (1, np.linspace(0, 10_999_999, 12).astype(int), 11_000_000),
    }
    for name, (videos, frames, length) in recordings.items():
        yield from (
            (
                f"{name}: {kind}",
                lambda folder, own=(kind, videos, frames, length): _export(folder, *own),
            )
            for kind in FORMATS
        )
    yield "identity, 15,001 frames, 5 animals", lambda _: _identify(5, pieces=1)
    yield "identity, 15,001 frames, 2 animals in 10,002 tracks", lambda _: _identify(2, pieces=5001)


def _export(folder: Path, kind: str, n_videos: int, frames: np.ndarray, length: int) -> None:
    shape = {"shape": (length, 480, 640, 1), "fps": 30.0}
    videos = [
        sio.Video(f"/recordings/{i}.mp4", backend_metadata=dict(shape), open_backend=False)
        for i in range(n_videos)
    ]
    write_formats(to_labels(_walk(n_videos, frames, 2), videos), folder / "poses.slp", [kind])


def _identify(animals: int, *, pieces: int) -> None:
    frames = np.arange(15_001)
    truth, found = (
        _walk(1, frames, animals, user=True),
        _walk(1, frames, animals, noise=1.5, pieces=pieces),
    )
    evaluate(truth, found, EvaluatorConfig(identity=True), videos={0: 0})


def _walk(
    videos: int,
    frames: np.ndarray,
    animals: int,
    *,
    noise: float = 0,
    pieces: int = 1,
    user: bool = False,
) -> Poses:
    """Return poses of animals that wander about, the same in every video.

    Their tracks are broken into pieces of equal length.
    """
    random = np.random.default_rng(0)
    form = random.normal(0, 20, (NODES, 2))
    places = (
        np.cumsum(random.normal(0, 3, (len(frames), animals, 2)), axis=0)
        + 100 * np.arange(animals)[:, None]
    )
    points = np.broadcast_to(
        places[:, :, None] + form, (videos, len(frames), animals, NODES, 2)
    ).reshape(-1, NODES, 2)
    video, row, animal = (index.ravel() for index in np.indices((videos, len(frames), animals)))
    tracks = row * pieces // len(frames) * animals + animal
    return make_poses(
        SKELETON,
        points + noise * random.normal(0, 1, points.shape),
        video=video,
        frame=frames[row],
        tracks=tracks,
        point_scores=np.nan if user else 0.9,
        instance_scores=np.nan if user else 0.8,
        user=user,
        track_names=[f"track {i}" for i in range(pieces * animals)],
    )
