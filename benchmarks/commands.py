"""Whole commands against sleap-nn's, start-up and all: evaluation, start-up itself, and a sweep."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import sleap_io as sio

from benchmarks.timing import OURS, Row, peer_command, peer_version, publish, summary, timed

SIDES = ("ours", "peer")
CLIP = 100
TRACKERS = (
    *(
        f"tracker.{name}"
        for name in (
            "candidates_method=fixed_window,local_queues",
            "scoring_method=euclidean_dist,cosine_sim",
        )
    ),
    *("tracker.features=keypoints,centroids", "tracker.tracking_window_size=3,5,10"),
)
SWEPT = 24


class Case(NamedTuple):
    """A command; the seconds of one run count `times` times."""

    name: str
    side: str
    command: Sequence[str | Path]
    frames: int
    times: int = 1


def run(
    cases: Callable[[str, Path], list[Case]],
    peer_python: Path,
    reference: Path,
    *,
    rounds: int,
    only: str,
    name: str,
) -> None:
    """Time commands in alternation, print medians and ratios, and write all timings to a CSV file.

    Each command has a folder of its own.
    """
    rows: list[Row] = []
    for turn in range(rounds):
        for case in cases(peer_command(peer_python), reference):
            if only not in case.name:
                continue
            with (
                tempfile.TemporaryDirectory() as folder
            ):  # nothing is in the cache, and the MLflow store is made anew
                for shared in (
                    "labels",
                    "videos",
                    "models",
                ):  # labels name their videos relative to the folder above
                    (Path(folder) / shared).symlink_to(reference / shared)
                if "truth.slp" in case.command:
                    _write_truth(
                        reference / "labels" / "centered_pair_proofread.slp",
                        Path(folder) / "truth.slp",
                    )
                seconds, cpu_seconds, megabytes = timed(case.command, Path(folder))
            rows.append(
                Row(
                    case.name,
                    case.side,
                    turn,
                    case.frames,
                    seconds * case.times,
                    cpu_seconds * case.times,
                    megabytes,
                )
            )
    print(shown := summary(rows, SIDES))
    if not only:
        publish(name, shown, rows, peer_version(peer_python))


def _write_truth(proofread: Path, path: Path) -> None:
    """Write proofread predictions as user labels; sleap-nn compares with nothing else."""
    labels = sio.load_slp(str(proofread), open_videos=False)
    for frame in labels:
        frame.instances = [
            sio.Instance.from_numpy(each.numpy(), skeleton=labels.skeleton, track=each.track)
            for each in frame
        ]
    labels.save(str(path), embed=False)


def evaluation(peer: str, reference: Path) -> list[Case]:
    """Evaluate 1,100 frames of two animals with 24 nodes."""
    files = ("-g", "truth.slp", "-p", "labels/centered_pair_predictions.slp")
    return [
        Case("eval, 1,100 frames", "ours", [*OURS, "eval", *files], 1100),
        Case("eval, 1,100 frames", "peer", [peer, "eval", *files], 1100),
    ]


def startup(peer: str, reference: Path) -> list[Case]:
    """Ask for help, and predict a single frame."""
    frame = (
        "-i",
        "videos/centered_pair_small.mp4",
        "-m",
        "models/minimal_instance_bottomup",
        "--frames",
        "0",
        "-o",
        "frame.slp",
    )
    return [
        Case("help", "ours", [*OURS, "--help"], 1),
        Case("help", "peer", [peer, "--help"], 1),
        Case("track, one frame", "ours", [*OURS, "track", *frame, "-d", "cpu"], 1),
        Case("track, one frame", "peer", [peer, "track", *frame, "-d", "cpu"], 1),
    ]


def sweep(peer: str, reference: Path) -> list[Case]:
    """Return 24 trackers on one video with one model.

    Commands that run one tracker are timed once and counted 24 times.
    """
    video, model = "videos/centered_pair_small.mp4", "models/minimal_instance_bottomup"
    shared = (
        f"data.path={video}",
        f"model.paths=[{model}]",
        f"data.frames=0-{CLIP - 1}",
        "runtime.device=cpu",
        "logger=none",
        "report=none",
    )
    once = (
        "track",
        "-i",
        video,
        "-m",
        model,
        "--frames",
        f"0-{CLIP - 1}",
        "-o",
        "once.slp",
        "-d",
        "cpu",
    )
    tracking = (
        "track",
        "-i",
        "labels/centered_pair_predictions.slp",
        "--frames",
        f"0-{CLIP - 1}",
        "-o",
        "tracked.slp",
        "-t",
    )
    name = f"{SWEPT} trackers, {CLIP} frames"
    return [
        Case(name, "ours", [*OURS, "-m", "tracker=fixed_window", *TRACKERS, *shared], SWEPT * CLIP),
        Case(name, "peer", [peer, *once, "-t"], SWEPT * CLIP, SWEPT),
        Case("inference alone, once", "ours", [*OURS, *once], CLIP),
        Case(f"tracking alone, {SWEPT} times", "ours", [*OURS, *tracking], SWEPT * CLIP, SWEPT),
    ]


COMMANDS = {
    each.__name__: partial(run, each, name=each.__name__) for each in (evaluation, startup, sweep)
}
"""Benchmarks by name."""
