"""Who is who: trackers on hard scenes, ours and sleap-nn's. Writes the tables of docs/identity.md.

Seconds of ours are those of the tracker on poses in memory; those of sleap-nn are of a whole
command from file to file, without start-up.
"""

import csv
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sleap_io as sio
from scipy.optimize import linear_sum_assignment

from benchmarks.contact_scenes import groups_of_contact
from benchmarks.scenes import Scene, body_length, by_name, groups_of
from benchmarks.timing import REPOSITORY, peer_version, publish, table
from sleap_lab.evaluation import evaluate
from sleap_lab.media.labels import read_labels, save_labels, to_labels, to_poses
from sleap_lab.poses.record import Poses
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import EvaluatorConfig, TrackerConfig
from sleap_lab.tracking import track

PAGE = REPOSITORY / "docs" / "identity.md"
# Noise of 2% of the body moves poses along an axis below an OKS of 0.5 at the default of 0.025;
# where animals are placed is not what is asked here.
EVALUATION = EvaluatorConfig(
    evaluate=True, identity=True, oks_stddev=0.1, user_labels_only=False, match_method="oks"
)
ALLOWED = "what the detections allow"
IDENTITY = ("switches", "fragmentations", "idf1", "hota", "assa")
REACH = 0.5  # body lengths within which a detection may be of an animal


class Tracker(NamedTuple):
    """A tracker by its settings, in which `{n}` stands for the number of animals."""

    name: str
    settings: tuple[str, ...]
    side: str = "ours"
    pictures: bool = False


N = "tracker.max_tracks={n}"
KNOWN = "tracker.tracking_target_instance_count={n}"
TRACKERS = (
    Tracker("fixed_window", ("tracker=fixed_window",)),
    Tracker("local_queues, N", ("tracker=local_queues", N)),
    Tracker("local_queues, N, oks 0.1", ("tracker=local_queues", N, "tracker.oks_stddev=0.1")),
    Tracker("kalman, N", ("tracker=kalman", N, KNOWN)),
    Tracker(
        "centroids, N",
        (
            "tracker=local_queues",
            N,
            "tracker.features=centroids",
            "tracker.scoring_method=euclidean_dist",
        ),
    ),
    Tracker("appearance, N", ("tracker=local_queues", N, "tracker.features=image"), pictures=True),
    Tracker("flow, N", ("tracker=flow", N), pictures=True),
    Tracker("bytetrack", ("tracker=bytetrack",)),
    Tracker("bytetrack, N", ("tracker=bytetrack", N)),
    Tracker("ocsort", ("tracker=ocsort",)),
    Tracker("ocsort, N", ("tracker=ocsort", N)),
    Tracker("bytetrack, linked", ("tracker=bytetrack", "tracker.link_tracklets=true")),
    Tracker("ocsort, linked", ("tracker=ocsort", "tracker.link_tracklets=true")),
    Tracker("global", ("tracker=global",)),
    Tracker("global, N", ("tracker=global", N)),
    Tracker("auto", ("tracker=auto",)),
    Tracker("auto, N", ("tracker=auto", N)),
    *(
        Tracker(f"sleap-nn {name}", tuple(settings.split()), "sleap-nn")
        for name, settings in {
            "classic": "",
            "classic, N": "--candidates_method local_queues --max_tracks {n}",
            "bytetrack": "--tracker bytetrack",
            "bytetrack, linked": "--tracker bytetrack --link_tracklets",
            "bytetrack, N, linked": "--tracker bytetrack --max_tracks {n}",
            "ocsort, N, linked": "--tracker ocsort --max_tracks {n}",
        }.items()
    ),
)


class Row(NamedTuple):
    """One tracker on one scene, as in the CSV file.

    `extra_tracks` are those beyond the number of animals; `fragments` are CLEAR's fragmentations.
    """

    group: str
    tracker: str
    seed: int
    frames: int
    animals: int
    switches: int
    fragments: int
    idf1: float
    hota: float
    assa: float
    extra_tracks: int
    seconds: float


def run(
    reference: Path,
    *,
    truths: Path | None,
    peer_python: Path | None,
    seeds: int,
    frames: int,
    scenes: str,
    trackers: str,
    out: Path | None,
) -> None:
    """Run trackers on scenes, print the tables and write them.

    Args:
        reference: Folder with labels of the reference.
        truths: Folder with further labels that have true tracks.
        peer_python: Python of an environment with sleap-nn; without it only ours are run.
        seeds: How many scenes of each group.
        frames: Largest number of frames of a scene.
        scenes: Part of the names of the groups, or several with `|` between them.
        trackers: Likewise of the trackers.
        out: Folder for the results of a run of some cases; a run of all goes to the page.
    """
    rows: list[Row] = []
    chosen = [
        tracker
        for tracker in TRACKERS
        if _named(tracker.name, trackers) and (tracker.side == "ours" or peer_python)
    ]
    for group in [*groups_of(reference, truths), *groups_of_contact()]:
        if not _named(group.name, scenes):
            continue
        made = [scene for seed in range(seeds) if (scene := group.scene(seed, frames))]
        for scene in made:
            rows.append(_score(scene, ALLOWED, allowed(scene), np.nan))
            for tracker in chosen:
                if tracker.side == "ours" and (scene.images is not None or not tracker.pictures):
                    rows.append(_ours(scene, tracker))
        theirs = [tracker for tracker in chosen if tracker.side != "ours"]
        if theirs and peer_python:
            rows += _theirs(made, theirs, peer_python)
        print(_by_group([row for row in rows if row.group == group.name]), flush=True)
    shown = f"{_by_group(rows)}\n\n{_over_groups(rows)}"
    print(f"\n{shown}")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "identity.md").write_text(f"{shown}\n", encoding="utf-8")
        with (out / "identity.csv").open("w", newline="") as file:
            csv.writer(file).writerows([Row._fields, *rows])
    elif truths and peer_python and not (scenes or trackers):
        publish("identity", shown, rows, peer_version(peer_python), page=PAGE)


def _named(name: str, parts: str) -> bool:
    return any(part in name for part in parts.split("|"))


@cache
def settings_of(tracker: Tracker, animals: int) -> TrackerConfig:
    """Return the settings of one of our trackers, as the command line would have them."""
    words = [word.format(n=animals) for word in tracker.settings]
    clip = REPOSITORY / "sleap_lab" / "demo" / "truth.slp"
    return compose_config([f"data.path={clip}", "model=none", *words])[0].tracker


def _ours(scene: Scene, tracker: Tracker) -> Row:
    config = settings_of(tracker, len(scene.truth.track_names))

    start = time.perf_counter()
    tracks = track(scene.detections, config, scene.read_image if scene.images is not None else None)
    return _score(scene, tracker.name, tracks, time.perf_counter() - start)


def _theirs(scenes: Sequence[Scene], trackers: Sequence[Tracker], peer_python: Path) -> list[Row]:
    """Run sleap-nn's trackers on scenes, in one process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = []
        for scene in scenes:
            source = folder / f"{scene.seed}.slp"
            video = sio.Video(filename="scene.mp4", open_backend=False)
            save_labels(to_labels(scene.detections, [video]), source)
            for number, tracker in enumerate(trackers):
                target = folder / f"{scene.seed}.{number}.slp"
                words = " ".join(tracker.settings).format(n=len(scene.truth.track_names)).split()
                command = ["predict", "-i", str(source), "-t", "-o", str(target), *words]
                jobs.append((scene, tracker, target, command))
        worker = Path(__file__).parent / "peer_identity.py"
        commands = json.dumps([command for *_, command in jobs])
        # -P: modules beside the worker would hide Python's own of the same name.
        output = subprocess.run(
            [peer_python, "-P", worker, commands],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        seconds = json.loads(output.splitlines()[-1])
        return [
            _score(scene, tracker.name, to_poses(read_labels(target)), spent)
            for (scene, tracker, target, _), spent in zip(jobs, seconds, strict=True)
        ]


def allowed(scene: Scene) -> Poses:
    """Return the detections with the tracks that the truth gives them, without those of nobody.

    In every frame the mean distances of shared nodes decide, within half a body length.
    """
    truth, found = scene.truth, scene.detections
    reach = REACH * body_length(by_name(truth))
    tracks = np.full(len(found), -1)
    for (_, _, rows), (_, _, columns) in zip(truth.by_frame(), found.by_frame(), strict=True):
        if not (len(rows) and len(columns)):
            continue
        distances = np.linalg.norm(truth.points[rows][:, None] - found.points[columns], axis=-1)
        shared = (~np.isnan(distances)).sum(axis=-1)
        near = np.where(shared, np.nansum(distances, axis=-1) / np.maximum(shared, 1), np.inf)
        cost = np.where(near < reach, near, 1e6) - found.instance_scores[columns] * 1e-3
        g, p = linear_sum_assignment(cost)
        good = near[g, p] < reach
        tracks[columns[p[good]]] = truth.tracks[rows[g[good]]]
    return replace(found, tracks=tracks.astype(np.int32), track_names=truth.track_names)[
        tracks >= 0
    ]


def _score(scene: Scene, tracker: str, poses: Poses, seconds: float) -> Row:
    truth = scene.truth
    evaluation = evaluate(truth, poses, EVALUATION, videos={0: 0}, details=False)
    found = evaluation.identity or dict.fromkeys(IDENTITY, 0.0)
    animals = len(np.unique(truth.tracks))
    return Row(
        scene.group,
        tracker,
        scene.seed,
        len(truth.frames),
        animals,
        int(found["switches"]),
        int(found["fragmentations"]),
        round(found["idf1"], 4),
        round(found["hota"], 4),
        round(found["assa"], 4),
        max(len(np.unique(poses.tracks[poses.tracks >= 0])) - animals, 0),
        round(seconds, 4),
    )


def _by_group(rows: Sequence[Row]) -> str:
    """Return switches per 1,000 frames and IDF1 of every tracker and group, medians over seeds."""
    groups = list(dict.fromkeys(row.group for row in rows))
    lines = []
    for tracker, own in _per_tracker(rows):
        cells = {
            group: f"{_median(each, _switches):.0f} · {_median(each, lambda row: row.idf1):.3f}"
            for group, each in own.items()
        }
        lines.append([tracker, *(cells.get(group, "") for group in groups)])
    return table(["switches per 1,000 frames · IDF1", *groups], lines)


def _over_groups(rows: Sequence[Row]) -> str:
    """Return the means over the groups of the medians over seeds of every tracker."""
    columns: dict[str, tuple[Callable[[Row], float], str]] = {
        "switches per 1,000 frames": (_switches, ".1f"),
        "fragments per 1,000 frames": (lambda row: 1000 * row.fragments / row.frames, ".0f"),
        "IDF1": (lambda row: row.idf1, ".3f"),
        "HOTA": (lambda row: row.hota, ".3f"),
        "AssA": (lambda row: row.assa, ".3f"),
        "tracks beyond the animals": (lambda row: row.extra_tracks, ".1f"),
        "frames/s": (lambda row: row.frames / row.seconds, ".0f"),
    }
    lines = []
    for tracker, own in _per_tracker(rows):
        means = {
            name: statistics.fmean(_median(each, value) for each in own.values())
            for name, (value, _) in columns.items()
        }
        lines.append(
            [
                tracker,
                str(len(own)),
                *(
                    "" if np.isnan(means[name]) else f"{means[name]:{form}}"
                    for name, (_, form) in columns.items()
                ),
            ]
        )
    return table(["mean over groups", "groups", *columns], lines)


def _per_tracker(rows: Sequence[Row]) -> Iterable[tuple[str, dict[str, list[Row]]]]:
    """Yield the rows of each tracker by group."""
    for tracker in dict.fromkeys(row.tracker for row in rows):
        own: dict[str, list[Row]] = {}
        for row in rows:
            if row.tracker == tracker:
                own.setdefault(row.group, []).append(row)
        yield tracker, own


def _switches(row: Row) -> float:
    return 1000 * row.switches / row.frames


def _median(rows: Iterable[Row], value: Callable[[Row], float]) -> float:
    return statistics.median(map(value, rows))
