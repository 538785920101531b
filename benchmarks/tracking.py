"""Tracker core and track-only command against sleap-nn.

The cases are recordings, optical flow, and synthetic crowds.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.timing import OURS, peer_command, peer_version, publish, table, timed

PAIR, FLIES = "labels/centered_pair_predictions.slp", "labels/two_flies.slp"
NODES = 13
WINDOWS = (5, 10, 20, 40)


class Core(NamedTuple):
    """One recording and tracker setting.

    `options` have the names of sleap-nn's flags; `frames` limits the recording.
    """

    name: str
    labels: str
    options: dict[str, object]
    frames: int | None = None


CORES = (
    Core("pair fixed_window", PAIR, {}),
    Core("pair local_queues", PAIR, {"candidates_method": "local_queues"}),
    Core("flies flow", FLIES, {"use_flow": True}),
    Core("crowd 10", "crowd_10.npz", {}, 100),
    Core("crowd 50", "crowd_50.npz", {}, 12),
    Core("crowd 100", "crowd_100.npz", {}, 8),
)
# only ours: how the cost grows
SCALING = (
    *(Core(f"crowd {n}, long", f"crowd_{n}.npz", {}) for n in (10, 50, 100)),
    *(
        Core(f"crowd 50, window {window}", "crowd_50.npz", {"tracking_window_size": window})
        for window in WINDOWS
    ),
)
EVERYTHING = (f"data.path={PAIR}", "model=none", "tracker=fixed_window")


class Row(NamedTuple):
    """One timing, as in the CSV file; `own_ms` is our CPU time per frame outside of OpenCV."""

    case: str
    side: str
    round: int
    frames: int
    seconds: float
    cpu_seconds: float
    own_ms: float | None = None


def run(peer_python: Path, reference: Path, *, rounds: int, only: str) -> None:
    """Time everything in alternation, print medians and ratios, and write a whole run as CSV."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("labels", "videos"):  # labels name their videos relative to the folder above
            (Path(folder) / name).symlink_to(reference / name)
        for animals in (10, 50, 100):
            _crowd(Path(folder) / f"crowd_{animals}.npz", animals, frames=100)
        for _, name, command in _commands(
            peer_python
        ):  # fills disk caches, and makes the MLflow store, which is done once
            if only in name:
                timed(command, Path(folder))
        for turn in range(rounds):
            for case in (*CORES, *SCALING):
                if only in case.name:
                    rows.append(_core(sys.executable, "ours", case, Path(folder), turn))
                    if case in CORES:
                        rows.append(_core(str(peer_python), "peer", case, Path(folder), turn))
            for side, name, command in _commands(peer_python):
                if only in name:
                    rows.append(Row(name, side, turn, 1100, *timed(command, Path(folder))[:2]))
    if not rows:
        sys.exit(f"no case has {only!r} in its name")
    print(shown := _summary(rows))
    if not only:
        publish("tracking", shown, rows, peer_version(peer_python))


def _crowd(path: Path, animals: int, frames: int) -> None:
    """Write a crowd that wanders over an arena that grows with the number of animals.

    The file has the points (n, nodes, 2) px, and the frame of each.
    """
    rng = np.random.default_rng(animals)
    side = 100 * np.sqrt(animals)
    body = rng.uniform(-20, 20, (animals, NODES, 2))
    steps = rng.normal(0, 2, (frames, animals, 2)).cumsum(axis=0)
    points = (
        rng.uniform(0, side, (animals, 2))[None, :, None]
        + steps[:, :, None]
        + body
        + rng.normal(0, 0.5, (frames, animals, NODES, 2))
    )
    points[rng.random(points.shape[:3]) < 0.05] = np.nan
    np.savez(path, points=points.reshape(-1, NODES, 2), frame=np.repeat(np.arange(frames), animals))


def _core(python: str, side: str, case: Core, folder: Path, turn: int) -> Row:
    job = json.dumps({"labels": case.labels, "options": case.options, "frames": case.frames})
    worker = Path(__file__).parent / f"{side}_tracking.py"
    # -P: modules beside the worker would hide Python's own of the same name.
    output = subprocess.run(
        [python, "-P", worker, job], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    timing = json.loads(output.splitlines()[-1])
    return Row(
        f"core: {case.name}",
        side,
        turn,
        timing["frames"],
        timing["seconds"],
        timing["cpu_seconds"],
        timing.get("own_ms"),
    )


def _commands(peer_python: Path) -> list[tuple[str, str, list[str]]]:
    peer = [peer_command(peer_python), "track", "-i", PAIR, "-t", "-o", "peer.slp"]
    return [
        ("ours", "command: track", [*OURS, "track", "-i", PAIR, "-t", "-o", "ours.slp"]),
        ("peer", "command: track", peer),
        ("ours", "command: everything", [*OURS, *EVERYTHING]),
        ("peer", "command: everything", peer),
    ]


def _summary(rows: list[Row]) -> str:
    lines = []
    for case in dict.fromkeys(row.case for row in rows):
        ours, peer = (
            [row for row in rows if (row.case, row.side) == (case, side)]
            for side in ("ours", "peer")
        )
        rates = [
            f"{statistics.median(row.frames / row.seconds for row in side):.1f}" if side else ""
            for side in (ours, peer)
        ]
        pairs = [b.seconds / a.seconds for a, b in zip(ours, peer, strict=False)]
        ratio = (
            f"{statistics.median(pairs):.1f} ({min(pairs):.1f}–{max(pairs):.1f})" if pairs else ""
        )
        own = [row.own_ms for row in ours if row.own_ms is not None]
        lines.append([case, *rates, ratio, f"{statistics.median(own):.3f}" if own else ""])
    return table(["", "ours, frames/s", "peer, frames/s", "ratio (range)", "own ms/frame"], lines)
