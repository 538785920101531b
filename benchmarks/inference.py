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
WAYS = {"": (), ", bf16": ("runtime.precision=bf16",), ", openvino": ("runtime.backend=openvino",)}
"""How our side runs a case: what is added to its name -> what is added to the command."""

SHORT = 8
CLIP = 100


class Case(NamedTuple):
    """One kind of model on one video.

    Attributes:
        name: What the table calls it.
        video: File in the reference folder.
        models: Folders in the reference folder.
        frames: Frames of our long run; sleap-nn's is the clip.
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
    Case("single instance", "small_robot.mp4", ("minimal_instance_single_instance",), 166),
    Case("top-down", "centered_pair_small.mp4", ("minimal_instance_centroid", "minimal_instance_centered_instance"), 300),
    Case("bottom-up", "centered_pair_small.mp4", ("minimal_instance_bottomup",), 400, ways=tuple(WAYS)),
    Case("multi-class bottom-up", "centered_pair_small.mp4", ("minimal_instance_multiclass_bottomup",), 400),
    Case(
        "multi-class top-down",
        "centered_pair_small.mp4",
        ("minimal_instance_centroid", "minimal_instance_multiclass_centered_instance"),
        300,
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
                rows += _rows(case, turn, peer_python, reference, Path(scratch))
                for way in case.ways if not turn else ():
                    agreements.append(f"- {case.name}{way}: {_agreement(Path(scratch), case, way)}")
                    print(agreements[-1], flush=True)
    print(shown := "\n".join([summary(rows, SIDES), "\nThe answers, beside those of sleap-nn's `track`:\n", *agreements]))
    if not only:
        publish("inference", shown, rows, peer_version(peer_python))


def _rows(case: Case, turn: int, peer_python: Path, reference: Path, folder: Path) -> list[Row]:
    """Time a case on a few frames and on many; returns the rates without start-up, and the whole commands on the clip."""
    models = [word for name in case.models for word in ("-m", str(reference / "models" / name))]
    words = ["-i", str(reference / "videos" / case.video), *models, "-d", "cpu", *case.options]

    def seconds(command: list[str], frames: int, output: str) -> Timing:
        return timed([*command, "--frames", f"0-{frames - 1}", "-o", str(folder / output)], folder)

    rows = []
    for way in case.ways:
        command = [*OURS, "track", *words, *WAYS[way]]
        short, clip = seconds(command, SHORT, "short.slp"), seconds(command, CLIP, f"{case.name}{way}.slp")
        long = seconds(command, case.frames, "long.slp")  # the clip alone would say more about start-up
        rows += _pair(case.name + way, "ours", turn, short, clip, long, case.frames)
    for side in SIDES[1:]:
        command = [peer_command(peer_python), side, *words]
        short, clip = seconds(command, SHORT, "short.slp"), seconds(command, CLIP, f"{case.name}.{side}.slp")
        for way in case.ways:
            rows += _pair(case.name + way, side, turn, short, clip, clip, CLIP)
    return rows


def _pair(name: str, side: str, turn: int, short: Timing, clip: Timing, long: Timing, frames: int) -> list[Row]:
    """Return the rate without start-up, and the command on the clip."""
    steady = Row(name, side, turn, frames - SHORT, long.seconds - short.seconds, long.cpu_seconds - short.cpu_seconds, long.megabytes)
    return [steady, Row(f"{name}: command, {CLIP} frames", side, turn, CLIP, *clip)]


def _agreement(folder: Path, case: Case, way: str) -> str:
    """Say how far our points lie from those of sleap-nn's `track`."""
    ours, theirs = (to_poses(sio.load_slp(str(folder / f"{case.name}{side}.slp"), open_videos=False)) for side in (way, ".track"))
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
