"""Signs of errors without ground truth: planted faults, and switches on known scenes.

Writes the tables of docs/quality.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.identity import EVALUATION, TRACKERS, Tracker, settings_of
from benchmarks.scenes import Group, body_length, by_name, groups_of
from benchmarks.timing import REPOSITORY, publish, table
from sleap_lab.evaluation import evaluate
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.quality.assess import Quality, assess
from sleap_lab.quality.budget import most_switches_left, within_budget
from sleap_lab.quality.proxies import mirrored_nodes
from sleap_lab.quality.suspects import REACH, Suspect, suspects
from sleap_lab.tracking.offline import identify
from sleap_lab.tracking.tracker import track

PAGE = REPOSITORY / "docs" / "quality.md"
FIRST_SEED = 10  # the chances of the signs were chosen on smaller ones
BUDGETS = (0.003, 0.01, 0.03)
NAMES = ("fixed_window", "local_queues, N", "bytetrack, N", "ocsort, N", "global, N")


class Row(NamedTuple):
    """One tracked scene and one budget of moments that a person looks at."""

    group: str
    seed: int
    tracker: str
    budget: float
    frames: int
    switches: int
    seen: int
    most_left: int


def run(reference: Path, *, truths: Path | None, seeds: int) -> None:
    """Measure and write both tables.

    Args:
        reference: Folder with labels of the reference.
        truths: Folder with further labels that have true tracks.
        seeds: How many scenes of each group.
    """
    groups = [group for group in groups_of(reference, truths) if isinstance(group, Group)]
    recordings = {group.truth: group for group in groups if group.stride == 1}
    planted = _planted_table([group.scene(0, None).truth for group in recordings.values()])
    print(planted, flush=True)
    rows = [row for group in groups for row in _looked_at(group, seeds)]
    shown = f"{planted}\n\n{_switch_table(rows)}"
    print(shown)
    publish("quality", shown, rows, page=PAGE)


def _looked_at(group: Group, seeds: int) -> Iterator[Row]:
    chosen = [tracker for tracker in TRACKERS if tracker.name in NAMES]
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        scene = group.scene(seed, None)
        for tracker in chosen:
            yield from _of_tracker(scene.truth, scene.detections, group.name, seed, tracker)


def _of_tracker(
    truth: Poses, detections: Poses, group: str, seed: int, tracker: Tracker
) -> Iterator[Row]:
    animals = len(truth.track_names)
    poses = track(detections, settings_of(tracker, animals))
    evaluation = evaluate(truth, poses, EVALUATION, videos={0: 0}, details=False)
    switches = np.array([switch.frame for switch in evaluation.switches])
    quality = assess(poses, animals, identify)
    moments = suspects(quality)
    for budget in BUDGETS:
        looked = within_budget(moments, len(poses.frames), budget)
        seen = sum(_covered(frame, looked) for frame in switches)
        most = most_switches_left(quality, looked)
        frames = len(poses.frames)
        yield Row(group, seed, tracker.name, budget, frames, len(switches), seen, most)


def _covered(frame: int, moments: list[Suspect]) -> bool:
    return any(abs(frame - moment.frame) <= REACH for moment in moments)


def _switch_table(rows: list[Row]) -> str:
    header = ["tracker", "frames looked at", "switches", "near one of them", "promise kept"]
    lines = []
    for name in NAMES:
        for budget in BUDGETS:
            own = [row for row in rows if (row.tracker, row.budget) == (name, budget)]
            if not own:
                continue
            switches, seen = sum(row.switches for row in own), sum(row.seen for row in own)
            kept = sum(row.switches - row.seen <= row.most_left for row in own)
            share = f"{seen / switches:.0%}" if switches else "–"
            lines.append([name, f"{budget:.1%}", f"{switches}", share, f"{kept} of {len(own)}"])
    return table(header, lines)


# ---- planted faults

Fault = Callable[[Poses, np.ndarray, float, np.random.Generator], Poses]


def _jump(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    angle = rng.uniform(0, 2 * np.pi, len(rows))
    points = poses.points.copy()
    points[rows] += length * np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None]
    return replace(poses, points=points)


def _flip(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    points = poses.points.copy()
    for left, right in mirrored_nodes(poses.skeleton):
        points[np.ix_(rows, [left, right])] = points[np.ix_(rows, [right, left])]
    return replace(poses, points=points)


def _stretch(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    points = poses.points.copy()
    for row in rows:
        start, end = poses.skeleton.edges[rng.integers(len(poses.skeleton.edges))]
        points[row, end] += 3 * (points[row, end] - points[row, start])
    return replace(poses, points=points)


def _double(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    copies = replace(poses[rows], frames=poses.frames[:0])
    points = copies.points + rng.normal(0, 0.03 * length, copies.points.shape)
    untracked = np.full(len(rows), -1, np.int32)
    worse = np.zeros(len(rows))
    return concatenate(
        [poses, replace(copies, points=points, tracks=untracked, instance_scores=worse)]
    )


def _mix(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    points = poses.points.copy()
    half = len(poses.skeleton.nodes) // 2
    for row in rows:
        others = np.flatnonzero(
            (poses.frame == poses.frame[row]) & (poses.tracks != poses.tracks[row])
        )
        points[row, half:] = poses.points[rng.choice(others), half:]
    return replace(poses, points=points)


def _hide(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    hidden = np.zeros(len(poses), dtype=bool)
    for row in rows:
        away = poses.frame[row] - poses.frame
        hidden |= (poses.tracks == poses.tracks[row]) & (away > 0) & (away <= 3)
    return poses[~hidden]


def _drop(poses: Poses, rows: np.ndarray, length: float, rng: np.random.Generator) -> Poses:
    scores = np.where(poses.visible, 0.9, np.nan)
    scores[rows, rng.integers(scores.shape[1], size=len(rows))] = 0.1
    return replace(poses, point_scores=scores)


FAULTS: dict[str, tuple[str, Fault]] = {
    "jump": ("an animal one body length away", _jump),
    "flip": ("all left and right nodes exchanged", _flip),
    "stretched": ("a bone four times as long", _stretch),
    "double": ("a second pose on an animal, noise of 3 % of its length", _double),
    "mixed": ("half the nodes of another animal", _mix),
    "gap": ("three frames without the animal", _hide),
    "drop": ("the confidence of a node 0.1 instead of 0.9", _drop),
}


def _planted_table(recordings: list[Poses]) -> str:
    header = ["sign", "planted", "faults", "found", "of what is found more, at a fault"]
    lines = []
    for kind, (words, plant) in FAULTS.items():
        faults, found, more, right = 0, 0, 0, 0
        for number, poses in enumerate(recordings):
            rng = np.random.default_rng(number)
            length = body_length(by_name(poses))
            if kind == "flip" and not mirrored_nodes(poses.skeleton):
                continue
            rows = np.sort(rng.choice(len(poses), max(10, len(poses) // 30), replace=False))
            rows = rows[poses.frame[rows] > 5]
            rows = rows[poses.visible[rows].all(axis=1)]
            before = _places(assess(poses), kind)
            after = _places(assess(plant(poses, rows, length, rng)), kind)
            wrong = set(poses.frame[rows].tolist())
            near = wrong | {frame + 1 for frame in wrong}  # and where it ends
            faults, found = faults + len(wrong), found + len(wrong & after)
            more, right = more + len(after - before), right + len((after - before) & near)
        lines.append(
            [kind, words, f"{faults}", f"{found / faults:.0%}", f"{right / max(more, 1):.0%}"]
        )
    return table(header, lines)


def _places(quality: Quality, kind: str) -> set[int]:
    return set(quality.order.poses.frame[quality.found[kind].rows].tolist())
