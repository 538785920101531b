"""Signs of errors without ground truth: planted faults, and switches on known scenes.

Writes the tables of docs/quality.md.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.contact_scenes import ContactGroup, groups_of_contact
from benchmarks.identity import EVALUATION, TRACKERS, Tracker, settings_of
from benchmarks.scenes import Group, Scene, body_length, by_name, groups_of
from benchmarks.timing import REPOSITORY, publish, table
from sleap_lab.evaluation import evaluate
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.quality.assess import Quality, assess
from sleap_lab.quality.budget import Proofread, promise
from sleap_lab.quality.signs import mirrored_nodes
from sleap_lab.quality.suspects import REACH, Suspect, suspects
from sleap_lab.tracking.offline import identify
from sleap_lab.tracking.tracker import track

PAGE = REPOSITORY / "docs" / "quality.md"
FIRST_SEED = 10  # the chances of the signs were chosen on smaller ones
BUDGETS = (0.003, 0.01, 0.03)
PROOFREAD = 0.2  # share of the frames, in a row
NAMES = ("fixed_window", "local_queues, N", "bytetrack, N", "ocsort, N", "global, N")
WITH_PICTURES = ("fixed_window", "local_queues, N", "flow, N", "global, N")


class Row(NamedTuple):
    """One tracked scene and one budget of moments that a person looks at.

    `seen` switches are near such a moment, `best` would be at best. Of the others there are at most
    `most_left`, as promised. Where some frames were proofread, `own_left` others are elsewhere, of
    `own_most` promised.
    """

    group: str
    seed: int
    tracker: str
    budget: float
    frames: int
    switches: int
    seen: int
    best: int
    most_left: int
    own_left: int
    own_most: int


def run(reference: Path, *, truths: Path | None, seeds: int) -> None:
    """Measure and write the tables.

    Args:
        reference: Folder with labels of the reference.
        truths: Folder with further labels that have true tracks.
        seeds: How many scenes of each group.
    """
    groups = [group for group in groups_of(reference, truths) if isinstance(group, Group)]
    recordings = {group.truth: group for group in groups if group.stride == 1}
    planted = _planted_table([group.scene(0, None).truth for group in recordings.values()])
    print(planted, flush=True)
    rows = [row for group in groups for row in _looked_at(group, seeds, NAMES)]
    contact = [
        row for group in groups_of_contact() for row in _looked_at(group, seeds, WITH_PICTURES)
    ]
    tables = planted, _switch_table(rows, NAMES), _switch_table(contact, WITH_PICTURES)
    shown = "\n\n".join(tables)
    print(shown)
    publish("quality", shown, rows + contact, page=PAGE)


def _looked_at(group: Group | ContactGroup, seeds: int, names: tuple[str, ...]) -> Iterator[Row]:
    chosen = [tracker for tracker in TRACKERS if tracker.name in names]
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        scene = group.scene(seed, None)
        for tracker in chosen:
            yield from _of_tracker(scene, tracker)


def _of_tracker(scene: Scene, tracker: Tracker) -> Iterator[Row]:
    truth, group, seed, animals = scene.truth, scene.group, scene.seed, len(scene.truth.track_names)

    config = settings_of(tracker, animals)
    poses = track(scene.detections, config, scene.read_image if tracker.pictures else None)
    evaluation = evaluate(truth, poses, EVALUATION, videos={0: 0}, details=False)
    switches = np.array([switch.frame for switch in evaluation.switches], dtype=int)
    quality = assess(poses, animals, identify)
    moments = suspects(quality)
    last = int(len(poses.frames) * (1 - PROOFREAD))
    first = np.random.default_rng([seed, animals]).integers(last)
    checked = np.zeros(len(poses.frames), dtype=bool)
    checked[first : first + int(PROOFREAD * len(poses.frames))] = True
    own = Proofread(checked, switches[checked[switches]])
    for budget in BUDGETS:
        looked, most, _ = promise(quality, moments, budget)
        unknown, own_most, _ = promise(quality, moments, budget, own)
        assert most is not None
        assert own_most is not None
        elsewhere = switches[~checked[switches]]
        yield Row(
            group,
            seed,
            tracker.name,
            budget,
            len(poses.frames),
            len(switches),
            seen=sum(_covered(frame, looked) for frame in switches),
            best=_at_best(switches, _looks(budget, poses)),
            most_left=most,
            own_left=sum(not _covered(frame, unknown) for frame in elsewhere),
            own_most=own_most,
        )


def _looks(budget: float, poses: Poses) -> int:
    return max(1, int(np.ceil(budget * len(poses.frames))))


def _at_best(switches: np.ndarray, looks: int) -> int:
    """Count the switches near so many moments that somebody chose who knows all switches."""
    left = switches
    for _ in range(looks):
        if len(left):
            near = np.abs(left[:, None] - np.arange(left.max() + 1)) <= REACH
            left = left[~near[:, near.sum(axis=0).argmax()]]
    return len(switches) - len(left)


def _covered(frame: int, moments: list[Suspect]) -> bool:
    return any(abs(frame - moment.frame) <= REACH for moment in moments)


def _switch_table(rows: list[Row], names: tuple[str, ...]) -> str:
    header = [
        *("tracker", "frames looked at", "switches", "near one of them", "at best"),
        *("remain at most, of", "kept", "a fifth proofread: at most, of", "kept"),
    ]
    lines = []
    for name in names:
        for budget in BUDGETS:
            own = [row for row in rows if (row.tracker, row.budget) == (name, budget)]
            switches, seen = sum(row.switches for row in own), sum(row.seen for row in own)
            best, most = sum(row.best for row in own), sum(row.most_left for row in own)
            own_left, own_most = sum(row.own_left for row in own), sum(row.own_most for row in own)
            kept = sum(row.switches - row.seen <= row.most_left for row in own)
            own_kept = sum(row.own_left <= row.own_most for row in own)
            shares = [f"{n / switches:.0%}" if switches else "–" for n in (seen, best)]
            lines.append(
                [
                    *(name, f"{budget:.1%}", f"{switches}", *shares),
                    *(f"{most}, {switches - seen}", f"{kept} of {len(own)}"),
                    *(f"{own_most}, {own_left}", f"{own_kept} of {len(own)}"),
                ]
            )
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
    for pair in mirrored_nodes(poses.skeleton):
        nodes = np.array(pair)
        points[np.ix_(rows, nodes)] = points[np.ix_(rows, nodes[::-1])]
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
    "double": ("a second pose on an animal, noise of 3% of its length", _double),
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
