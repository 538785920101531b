"""Frames per second of inference against sleap-nn's `track` and `predict`, for every kind of model, and whether the answers agree."""

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sleap_io as sio
from scipy.optimize import linear_sum_assignment

from benchmarks.timing import OURS, Row, Timing, peer_command, peer_version, publish, summary, timed
from sleap_lab.labels import to_poses
from sleap_lab.poses import Poses

SIDES = ("ours", "track", "predict")
SHORT = 8
CLIP = 100


class Case(NamedTuple):
    """One kind of model on one video.

    Attributes:
        name: What the table calls it.
        video: File in the reference folder.
        models: Folders in the reference folder.
        frames: How many the video has; our long run takes them all, sleap-nn's the clip.
        options: Flags for every side.
        ours: Words for our side only.
        clip: Frames of the clip.
    """

    name: str
    video: str
    models: tuple[str, ...]
    frames: int
    options: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    clip: int = CLIP


CASES = (
    Case("single instance", "small_robot.mp4", ("minimal_instance_single_instance",), 166),
    Case("top-down", "centered_pair_small.mp4", ("minimal_instance_centroid", "minimal_instance_centered_instance"), 200),
    Case("top-down, flies", "two_flies.mp4", ("flies13_centroid", "flies13_centered_instance"), 128, clip=40),
    Case("bottom-up", "centered_pair_small.mp4", ("minimal_instance_bottomup",), 200),
    Case("bottom-up, bf16", "centered_pair_small.mp4", ("minimal_instance_bottomup",), 200, ours=("runtime.precision=bf16",)),
    Case("bottom-up, flies", "two_flies.mp4", ("flies13_bottomup",), 128, clip=40),
    Case("multi-class bottom-up", "centered_pair_small.mp4", ("minimal_instance_multiclass_bottomup",), 200),
    Case(
        "multi-class top-down",
        "centered_pair_small.mp4",
        ("minimal_instance_centroid", "minimal_instance_multiclass_centered_instance"),
        200,
        ("--peak_threshold", "0.03"),
    ),
)


def run(peer_python: Path, reference: Path, *, rounds: int, only: str) -> None:
    """Time everything by turns, print medians and ratios, and write all timings of a whole run to a CSV file.

    Start-up is excluded by timing each command on a few frames and on many, and dividing the difference.
    """
    rows: list[Row] = []
    agreements: list[str] = []
    cases = [case for case in CASES if only in case.name]
    if not cases:
        sys.exit(f"no case has {only!r} in its name")
    for turn in range(rounds):
        with tempfile.TemporaryDirectory() as scratch:  # nothing is in the cache
            for case in cases:
                for side in SIDES:
                    rows += _rows(case, side, turn, peer_python, reference, Path(scratch))
                if not turn:
                    agreements.append(f"- {case.name}: {_agreement(Path(scratch), case)}")
                    print(agreements[-1], flush=True)
    print(shown := "\n".join([summary(rows, SIDES), "\nThe answers, beside those of sleap-nn's `track`:\n", *agreements]))
    if not only:
        publish("inference", shown, rows, peer_version(peer_python))


def _rows(case: Case, side: str, turn: int, peer_python: Path, reference: Path, folder: Path) -> list[Row]:
    """Time a case on a few frames, on a clip and, for ours, on all; returns the rate without start-up, and the command on the clip."""
    short, clip = (_timed(case, side, count, peer_python, reference, folder) for count in (SHORT, case.clip))
    most, long = case.clip, clip
    if side == "ours":  # so fast that the clip alone would say more about start-up
        most, long = case.frames, _timed(case, side, case.frames, peer_python, reference, folder, keep=False)
    steady = Row(case.name, side, turn, most - SHORT, long.seconds - short.seconds, long.cpu_seconds - short.cpu_seconds, long.megabytes)
    return [steady, Row(f"{case.name}: command, {case.clip} frames", side, turn, case.clip, *clip)]


def _timed(case: Case, side: str, frames: int, peer_python: Path, reference: Path, folder: Path, *, keep: bool = True) -> Timing:
    output = folder / f"{case.name}.{side if keep else 'long'}.slp"
    program = [*OURS, "track"] if side == "ours" else [peer_command(peer_python), side]
    models = [word for name in case.models for word in ("-m", str(reference / "models" / name))]
    video = str(reference / "videos" / case.video)
    command = [*program, "-i", video, *models, "--frames", f"0-{frames - 1}", "-o", str(output), "-d", "cpu", *case.options]
    return timed([*command, *(case.ours if side == "ours" else ())], folder)


def _agreement(folder: Path, case: Case) -> str:
    """Say how far our points lie from those of sleap-nn's `track`."""
    ours, theirs = (to_poses(sio.load_slp(str(folder / f"{case.name}.{side}.slp"), open_videos=False)) for side in ("ours", "track"))
    distances = _distances(ours, theirs)
    counts = f"{len(ours)} and {len(theirs)} instances"
    return f"{counts}, points differ by {np.median(distances):.4f} px (median) and {distances.max():.4f} px (largest)"


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
