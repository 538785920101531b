"""Frames per second of inference against sleap-nn's `track` and `predict`, and their agreement.

The cases have every kind of model.
"""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import sleap_io as sio
from scipy.optimize import linear_sum_assignment

from benchmarks.timing import (
    OURS,
    Row,
    Timing,
    peer_command,
    peer_version,
    publish,
    summary,
    timed,
)
from benchmarks.videos import play_again
from sleap_lab.media.labels import to_poses
from sleap_lab.poses.record import Poses

SIDES = ("ours", "track", "predict")
WAYS = {
    "": (),
    ", bf16": ("runtime.precision=bf16",),
    ", openvino": ("runtime.backend=openvino",),
    ", openvino, bf16": ("runtime.backend=openvino", "runtime.precision=bf16"),
}
"""How our side runs a case: what is added to its name -> what is added to the command."""

CLIP = 100


class Case(NamedTuple):
    """One kind of model on one video.

    Attributes:
        name: What the table calls it.
        video: File in the reference folder.
        models: Folders in the reference folder.
        frames: Frames of the long run.
        options: Flags for every side.
        ways: Keys of `WAYS`; all are compared with the same runs of sleap-nn.
    """

    name: str
    video: str
    models: tuple[str, ...]
    frames: int
    options: tuple[str, ...] = ()
    ways: tuple[str, ...] = ("",)


CASES = (
    Case("single instance", "small_robot.mp4", ("minimal_instance_single_instance",), 3000),
    Case(
        "top-down",
        "centered_pair_small.mp4",
        ("minimal_instance_centroid", "minimal_instance_centered_instance"),
        250,
    ),
    Case(
        "bottom-up",
        "centered_pair_small.mp4",
        ("minimal_instance_bottomup",),
        300,
        ways=tuple(WAYS),
    ),
    Case(
        "multi-class bottom-up",
        "centered_pair_small.mp4",
        ("minimal_instance_multiclass_bottomup",),
        1100,
    ),
    Case(
        "multi-class top-down",
        "centered_pair_small.mp4",
        ("minimal_instance_centroid", "minimal_instance_multiclass_centered_instance"),
        250,
        ("--peak_threshold", "0.03"),
    ),
    Case(
        "flies, top-down", "two_flies.mp4", ("flies13_centroid", "flies13_centered_instance"), 300
    ),
    Case("flies, bottom-up", "two_flies.mp4", ("flies13_bottomup",), 250),
)


def run(peer_python: Path, reference: Path, *, rounds: int, only: str) -> None:
    """Time everything in alternation, print medians and ratios, and publish a whole run.

    Start-up is excluded: each command runs on a clip and on many frames, and the difference counts.
    """
    rows: list[Row] = []
    agreements: list[str] = []
    cases = [case for case in CASES if only in case.name]
    if not cases:
        sys.exit(f"no case has {only!r} in its name")
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as scratch:  # nothing is in the cache
            for case in cases:
                rows += _rows(case, turn, peer_python, reference, Path(scratch))
                for way in case.ways if not turn else ():
                    agreements.append(f"- {case.name}{way}: {_agreement(Path(scratch), case, way)}")
                    print(agreements[-1], flush=True)
    print(
        shown := "\n".join(
            [
                summary(rows, SIDES),
                "\nThe answers, beside those of sleap-nn's `track`:\n",
                *agreements,
            ]
        )
    )
    if not only:
        publish("inference", shown, rows, peer_version(peer_python))


def _rows(case: Case, turn: int, peer_python: Path, reference: Path, folder: Path) -> list[Row]:
    """Time a case on a clip and on many frames.

    Returns:
        The rates without start-up, and the whole commands on the clip.
    """
    models = [word for name in case.models for word in ("-m", str(reference / "models" / name))]
    video = _long_enough(reference / "videos" / case.video, case.frames, folder)
    words = ["-i", str(video), *models, "-d", "cpu", *case.options]

    def rows(name: str, side: str, command: list[str], output: str) -> list[Row]:
        def run(frames: int, path: Path) -> Timing:
            return timed([*command, *words, "--frames", f"0-{frames - 1}", "-o", str(path)], folder)

        clip = run(CLIP, folder / output)
        long = run(case.frames, folder / f"long {output}")
        more, cpu_more = long.seconds - clip.seconds, long.cpu_seconds - clip.cpu_seconds
        return [
            Row(name, side, turn, case.frames - CLIP, more, cpu_more, long.megabytes),
            Row(f"{name}: command, {CLIP} frames", side, turn, CLIP, *clip),
        ]

    found = [
        row
        for way in case.ways
        for row in rows(
            case.name + way, "ours", [*OURS, "track", *WAYS[way]], f"{case.name}{way}.slp"
        )
    ]
    for side in SIDES[1:]:
        theirs = rows(case.name, side, [peer_command(peer_python), side], f"{case.name}.{side}.slp")
        found += [
            row._replace(case=row.case.replace(case.name, case.name + way, 1))
            for way in case.ways
            for row in theirs
        ]
    return found


def _long_enough(video: Path, frames: int, folder: Path) -> Path:
    """Return the video, or one that shows it over and over until it has enough frames."""
    if cv2.VideoCapture(str(video)).get(cv2.CAP_PROP_FRAME_COUNT) >= frames:
        return video
    path = folder / f"long {video.name}"
    return path if path.exists() else play_again(video, path, frames)


def _agreement(folder: Path, case: Case, way: str) -> str:
    """Say how far our points lie from those of sleap-nn's `track`."""
    ours, theirs = (
        to_poses(sio.load_slp(str(folder / f"{case.name}{side}.slp"), open_videos=False))
        for side in (way, ".track")
    )
    distances = _distances(ours, theirs)
    counts = f"{len(ours)} and {len(theirs)} instances"
    return (
        f"{counts}, points differ by {np.median(distances):.4f} px (median) "
        f"and {distances.max():.4f} px (largest)"
    )


def _distances(ours: Poses, theirs: Poses) -> np.ndarray:
    """Return (n,) px between the nodes that paired instances both have."""
    found = []
    for frame in np.unique(ours.frame):
        a, b = ours.points[ours.frame == frame], theirs.points[theirs.frame == frame]
        between = np.linalg.norm(a[:, None] - b[None], axis=-1)
        cost = np.nanmean(np.where(np.isnan(between), 1e6, between), axis=-1)
        found.append(between[linear_sum_assignment(cost)].ravel())
    distances = np.concatenate(found) if found else np.zeros(0)
    return distances[~np.isnan(distances)]
