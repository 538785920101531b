"""What few labels tell of a whole recording, and how well each sign ranks frames by their error.

Clips of which every frame is labelled stand for recordings of which few are. Writes the tables of
docs/quality.md.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata, spearmanr

from benchmarks.identity import EVALUATION, TRACKERS, settings_of
from benchmarks.intervals import two_flies
from benchmarks.quality import PAGE
from benchmarks.scenes import Group, groups_of
from benchmarks.timing import REPOSITORY, publish, table
from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.whole_recording import errors_of_frames, estimate
from sleap_lab.poses.record import Poses
from sleap_lab.quality.assess import assess
from sleap_lab.quality.frames import frame_signs
from sleap_lab.runs.subject import of_run
from sleap_lab.tracking.tracker import track

SEED, LABELS, RUN = 10, 50, 5
TRACKER = "local_queues, N"
MEANS = {"bad": "bad frames", "error": "error, px"}


class Clip(NamedTuple):
    """A recording of which every frame is labelled.

    Attributes:
        signs: (frames,) by name.
        bad: (frames,) 1 where an animal is not found, or something that is none is.
        error: (frames,) mean distance of the animals that are found, px; nan for none.
        distance: (frames,) the same of all animals that are matched, however far.
    """

    signs: dict[str, np.ndarray]
    bad: np.ndarray
    error: np.ndarray
    distance: np.ndarray


class Row(NamedTuple):
    """One number: of which clip, which labels, what, and how many repetitions are behind it."""

    clip: str
    labels: str
    quantity: str
    value: float
    repetitions: int


def run(reference: Path, *, repetitions: int) -> None:
    """Measure and write both tables.

    Args:
        reference: Folder with labels, videos and models of the reference.
        repetitions: How often labelled frames are drawn.
    """
    clips = dict(_clips(reference))
    rows = [row for name, clip in clips.items() for row in _drawn(name, clip, repetitions)]
    shown = f"{_drawn_table(rows)}\n\n{_rank_table(clips)}"
    print(shown)
    publish("labels", shown, rows, page=PAGE)


def _clips(reference: Path) -> Iterator[tuple[str, Clip]]:
    """Yield networks' results on the demo and the reference, and simulated detections."""
    runs = {"demo": ("experiment=demo",), "two flies, a poor network": two_flies(reference)}
    for name, words in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            quiet = ("logger=none", "report=none", "cache=off", f"hydra.run.dir={folder}/run")
            command = [sys.executable, "-m", "sleap_lab", *words, *quiet]
            subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)
            subject = of_run(Path(folder) / "run")
            assert subject.truth is not None
            yield name, _clip(subject.truth, subject.poses)
    tracker = next(tracker for tracker in TRACKERS if tracker.name == TRACKER)
    for group in groups_of(reference, None):
        if isinstance(group, Group) and group.stride == 1:
            scene = group.scene(SEED, None)
            settings = settings_of(tracker, len(scene.truth.track_names))
            name = f"{group.truth.stem.partition('_proofread')[0]}, simulated"
            yield name, _clip(scene.truth, track(scene.detections, settings))


def _clip(truth: Poses, poses: Poses) -> Clip:
    """Return the signs and the errors of all frames."""
    config = replace(EVALUATION, identity=False)
    found = evaluate(truth, poses, config, videos={0: 0}, details=False).table
    assert found is not None
    quality = assess(poses)
    places = {place: i for i, place in enumerate(quality.order.places[:, 1].tolist())}
    rows = [places[frame] for frame in found.frame.tolist()]
    signs = {name: column[rows] for name, column in frame_signs(quality).items()}
    total, number = found.columns["dist_sum"], found.columns["n_distances"]
    distance = np.divide(total, number, out=np.full(len(total), np.nan), where=number > 0)
    return Clip(signs, *errors_of_frames(found), distance)


# --- few labels -------------------------------------------------------------------------


def _drawn(name: str, clip: Clip, repetitions: int) -> Iterator[Row]:
    """Yield how often intervals hold the mean of the clip, and how wide they are."""
    n = len(clip.bad)
    signs, video = np.stack(list(clip.signs.values()), axis=1), np.zeros(n, dtype=int)
    for kind in MEANS:
        error = getattr(clip, kind)
        known = ~np.isnan(error)
        if known.sum() < n / 2:
            continue
        for how in ("at random", f"{RUN} in a row"):
            random = np.random.default_rng(0)
            held, widths, alone = [], [], []
            for _ in range(repetitions):
                chosen = _chosen(random, n, how)
                chosen = chosen[known[chosen]]
                found = estimate(chosen, error[chosen], signs, video, share=kind == "bad")
                if not np.isnan(found.low):
                    truth = error[known].mean()
                    held.append(found.low <= truth <= found.high)
                    alone.append(found.alone[0] <= truth <= found.alone[1])
                    widths.append((found.high - found.low) / max(np.ptp(found.alone), 1e-12))
            yield Row(name, how, f"{kind} truth", float(error[known].mean()), 1)
            for quantity, values in (("covered", held), ("alone", alone), ("width", widths)):
                value = float(np.mean(values)) if values else float("nan")
                yield Row(name, how, f"{kind} {quantity}", value, len(values))
            yield Row(name, how, f"{kind} widest", float(np.max(widths, initial=0)), len(widths))


def _chosen(random: np.random.Generator, n: int, how: str) -> np.ndarray:
    """Return which of n frames are labelled, ascending."""
    if how == "at random":
        return np.sort(random.choice(n, LABELS, replace=False))
    starts = np.sort(random.choice(n // RUN, LABELS // RUN, replace=False)) * RUN
    return (starts[:, None] + np.arange(RUN)).ravel()


def _drawn_table(rows: Sequence[Row]) -> str:
    heads = ("clip", f"{LABELS} labels", "mean", "truth", "covered", "labels alone cover",
             "width", "widest")  # fmt: skip
    value = {row[:3]: row.value for row in rows}
    lines = []
    for clip, how, quantity in value:
        kind, _, what = quantity.partition(" ")
        if what != "truth":
            continue
        of = {w: value[clip, how, f"{kind} {w}"] for w in ("covered", "alone", "width", "widest")}
        truth = f"{value[clip, how, quantity]:{'.1%' if kind == 'bad' else '.2f'}}"
        lines.append((clip, how, MEANS[kind], truth, f"{of['covered']:.1%}", f"{of['alone']:.1%}",
                      f"{of['width']:.2f}", f"{of['widest']:.2f}"))  # fmt: skip
    return table(heads, lines)


# --- signs ------------------------------------------------------------------------------


def _rank_table(clips: dict[str, Clip]) -> str:
    """Return how well each sign tells bad frames from others, and how it goes with the error."""
    heads = ["sign", *(f"{name}: {what}" for name, clip in clips.items() for what in _tells(clip))]
    names = next(iter(clips.values())).signs
    lines = [
        [name, *(f(clip, name) for clip in clips.values() for f in _tells(clip).values())]
        for name in names
    ]
    return table(heads, lines)


def _tells(clip: Clip) -> dict[str, Callable[[Clip, str], str]]:
    """Return what can be told of a clip, by its name."""
    bad = {"bad": _area} if 0 < clip.bad.mean() < 1 else {}
    return bad | {"error": _correlation}


def _area(clip: Clip, name: str) -> str:
    """Return how often a bad frame has a larger sign than another frame; ties count half."""
    sign, bad = clip.signs[name], clip.bad > 0
    if np.ptp(sign) == 0:
        return "–"
    above = rankdata(sign)[bad].sum() - bad.sum() * (bad.sum() + 1) / 2
    return f"{above / (bad.sum() * (~bad).sum()):.2f}"


def _correlation(clip: Clip, name: str) -> str:
    """Return Spearman's correlation of a sign with the error."""
    known = ~np.isnan(clip.distance)
    sign = clip.signs[name][known]
    return "–" if np.ptp(sign) == 0 else f"{spearmanr(sign, clip.distance[known])[0]:.2f}"
