"""What confidences tell of errors: do radii hold, and are frames to label the bad ones?

Writes the tables of docs/radii.md and of docs/review.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from benchmarks.identity import TRACKERS, settings_of
from benchmarks.scenes import detections
from benchmarks.timing import REPOSITORY, publish, table, write_between
from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.radii import Calibration, compared_points, held, learn, radii_of
from sleap_lab.evaluation.records import on_compared_nodes
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.predict import run_inference
from sleap_lab.quality.assess import assess
from sleap_lab.quality.suggestions import suggest
from sleap_lab.quality.suspects import suspects
from sleap_lab.settings.config import EvaluatorConfig
from sleap_lab.tracking.offline import identify
from sleap_lab.tracking.tracker import track

DEMO = REPOSITORY / "sleap_lab" / "demo"
BLOCKS = 10  # of each recording, held out one after the other
REPETITIONS = 200
DRAWS = 1000  # of frames at random, which suggested ones are compared with
SIMULATED = (  # frames, correlation time in frames, videos
    (100, 0, 1),
    (400, 10, 1),
    (1000, 10, 1),
    (3000, 30, 1),
    (200, 3, 6),
    (200, 3, 20),
)


class Recording(NamedTuple):
    """A labelled recording and its predictions: by frame, with (n, nodes) px of error."""

    name: str
    poses: Poses
    matched: Poses
    errors: np.ndarray
    missed: np.ndarray


class Row(NamedTuple):
    """How often true points lay within radii that were learned elsewhere."""

    case: str
    inside: float
    error: float
    median_radius: float
    without: float


def run(reference: Path, *, repetitions: int = REPETITIONS) -> None:
    """Measure and write both tables.

    Args:
        reference: Folder with labels, videos and models.
        repetitions: Of each simulated case.
    """
    recordings = list(_recordings(reference))
    rows = [_held_out(recording) for recording in recordings]
    rows += [_simulated(*case, repetitions) for case in SIMULATED]
    shown = table(
        ["case", "true points inside", "median radius", "points without a radius"],
        [
            [
                row.case,
                f"{row.inside:.1%} ± {row.error:.1%}",
                f"{row.median_radius:.2f} px",
                f"{row.without:.1%}",
            ]
            for row in rows
        ],
    )
    suggested = table(
        [
            *("recording", "frames", "error of as many at random", "of suggested"),
            *("missed of all, per frame", "of suggested"),
        ],
        [_suggested(recording) for recording in recordings],
    )
    print(shown, suggested, sep="\n\n")
    publish("confidence", shown, rows, page=REPOSITORY / "docs" / "radii.md")
    write_between(REPOSITORY / "docs" / "review.md", "confidence", suggested)


def _recordings(reference: Path) -> Iterator[Recording]:
    models = DEMO / "models"
    flies = reference / "models"
    two = reference / "videos" / "two_flies.mp4", reference / "labels" / "two_flies.slp"
    cases = (
        ("demo, bottom-up", DEMO / "clip.mp4", DEMO / "truth.slp", [models / "bottomup"]),
        (
            "demo, top-down",
            DEMO / "clip.mp4",
            DEMO / "truth.slp",
            [models / "centroid", models / "centered_instance"],
        ),
        (
            "demo, one animal",
            DEMO / "single.mp4",
            DEMO / "single_truth.slp",
            [models / "single_instance"],
        ),
        (
            "flies, top-down",
            *two,
            [flies / "flies13_centroid", flies / "flies13_centered_instance"],
        ),
        ("flies, bottom-up", *two, [flies / "flies13_bottomup"]),
    )
    for name, video, labels, paths in cases:
        found = run_inference(data_path=str(video), model_paths=list(map(str, paths)))
        yield _compared(name, to_poses(read_labels(labels)), to_poses(found))


def _compared(name: str, truth: Poses, poses: Poses) -> Recording:
    """Compare predictions with the labels of their video, on the labelled frames."""
    poses = poses[np.isin(poses.frame, truth.frame)]
    poses = detections(poses, np.unique(truth.frames, axis=0))
    config = EvaluatorConfig(user_labels_only=False)
    evaluation = evaluate(truth, poses, config, videos={0: 0}, details=False)
    aligned = on_compared_nodes(truth, poses, "all")[1]
    matched, errors = compared_points(aligned, evaluation)
    missed = truth.frame[evaluation.matches.false_negatives]
    return Recording(name, poses, matched, errors, missed)


def _held_out(recording: Recording) -> Row:
    """Learn radii without a block of time, and count the true points of the block inside them."""
    matched, errors = recording.matched, recording.errors
    edges = np.quantile(matched.frame, np.arange(1, BLOCKS) / BLOCKS)
    block = np.searchsorted(edges, matched.frame, side="right")
    radii = np.full(errors.shape, np.nan)
    for number in range(BLOCKS):
        own = block == number
        radii[own] = radii_of(Calibration(learn(matched[~own], errors[~own])), matched[own])
    inside = held(radii, errors)
    shares = [np.nanmean(inside[block == number]) for number in range(BLOCKS)]
    compared = np.isfinite(errors)
    return Row(
        recording.name,
        float(np.nanmean(inside)),
        float(np.std(shares, ddof=1) / np.sqrt(BLOCKS)),
        float(np.nanmedian(radii)),
        float(np.isnan(radii[compared]).mean()),
    )


def _simulated(frames: int, time: int, videos: int, repetitions: int) -> Row:
    """Learn radii from videos, or two thirds of one, and count in another or in the last third."""
    rng = np.random.default_rng(frames + time + videos)
    shares, radii, without = [], [], 0
    for _ in range(repetitions):
        parts = [_video(rng, frames, time, videos > 1) for _ in range(videos + (videos > 1))]
        scores, errors = (np.concatenate(column) for column in zip(*parts, strict=True))
        video = np.repeat(np.arange(len(parts)), frames)
        frame = np.tile(np.arange(frames), len(parts))
        known = video < videos if videos > 1 else frame < 2 * frames // 3
        poses = make_poses(
            Skeleton(("node",)),
            np.zeros((len(scores), 1, 2)),
            video=video,
            frame=frame,
            point_scores=scores[:, None],
        )
        nodes = learn(poses[known], errors[known, None])
        without += not nodes
        if nodes:
            own = radii_of(Calibration(nodes), poses[~known])
            shares.append(np.nanmean(held(own, errors[~known, None])))
            radii.append(np.median(own))
    case = f"{videos} videos of" if videos > 1 else "simulated:"
    return Row(
        f"{case} {frames} frames, alike for {time}",
        float(np.mean(shares)),
        float(np.std(shares) / np.sqrt(len(shares))),
        float(np.median(radii)),
        without / repetitions,
    )


def _video(
    rng: np.random.Generator, frames: int, time: int, differs: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return confidences and errors of a node: both follow a hardness that lasts some frames."""
    kept = np.exp(-1 / time) if time else 0.0
    noise = rng.normal(size=frames) * np.sqrt(1 - kept**2)
    hardness = lfilter([1], [1, -kept], noise, zi=[kept * rng.normal()])[0]
    hardness = hardness + (0.5 * rng.normal() if differs else 0)
    scores = 1 / (1 + np.exp(hardness + 0.5 * rng.normal(size=frames) - 1.5))
    return scores, np.exp(0.7 * hardness + 0.4 * rng.normal(size=frames))


def _suggested(recording: Recording) -> list[str]:
    """Compare the frames that are suggested, a tenth of all, with all frames."""
    poses, matched = recording.poses, recording.matched
    tracked = track(poses, settings_of(TRACKERS[0], 0))
    quality = assess(tracked, identify=identify)
    frames = np.unique(poses.frames[:, 1])
    count = max(1, len(frames) // 10)
    chosen = [one.frame for one in suggest(quality, suspects(quality), count, ())]
    error = np.nanmean(recording.errors, axis=1)
    rng = np.random.default_rng(0)

    def error_of(some: np.ndarray) -> float:
        return float(np.nanmean(error[np.isin(matched.frame, some)]))

    drawn = [error_of(rng.choice(frames, count, replace=False)) for _ in range(DRAWS)]
    return [
        recording.name,
        f"{count} of {len(frames)}",
        f"{np.mean(drawn):.2f} ± {np.std(drawn):.2f} px",
        f"{error_of(np.array(chosen)):.2f} px",
        f"{len(recording.missed) / len(frames):.2f}",
        f"{np.isin(recording.missed, chosen).sum() / count:.2f}",
    ]
