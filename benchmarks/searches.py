"""Do recommendations of `tune` hold? Simulated searches, for docs/tuning.md."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.errors import Design, Errors, errors, table
from sleap_lab.evaluation.frames import FrameTable, on_frames
from sleap_lab.evaluation.influence import parts
from sleap_lab.evaluation.intervals import time_of_errors
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.evidence import Setting
from sleap_lab.tune.outcome import conclude
from sleap_lab.tune.settings import find_metric
from sleap_lab.tune.split import (
    Block,
    block_length,
    hold_out,
    inside,
    keep_apart,
    likeness,
    time_blocks,
)

SETTINGS = 40
GAINS = (0, 3, 4)  # of the one better setting, in standard errors of the held-out part
HELD_OUT = 0.3
DISTANCE = find_metric("eval/dist_avg")


class Found(NamedTuple):
    """The outcome of one search.

    Attributes:
        recommended: Whether the better setting is recommended; any, where none is better.
        judged: Whether there is an interval.
        changes: (settings,) change of every setting on the held-out blocks, px.
    """

    recommended: bool
    judged: bool
    changes: np.ndarray


def searches(frames: int, time: float, repetitions: int) -> Iterator[tuple[int, float, float]]:
    """Yield each of `GAINS`, the share of searches that recommend, and that have an interval.

    Args:
        frames: Labelled frames.
        time: Correlation time of their errors.
        repetitions: Searches for each gain.
    """
    error = 0.0
    for gain in GAINS:
        random = np.random.default_rng([frames, round(10 * time), gain])
        found = [search(random, Design(frames, 1, time), gain * error) for _ in range(repetitions)]
        error = error or float(np.sqrt(np.mean([each.changes**2 for each in found])))
        recommended, judged = np.mean([each[:2] for each in found], axis=0).tolist()
        yield gain, recommended, judged


def search(random: np.random.Generator, design: Design, gain: float) -> Found:
    """Search among settings of which one may be better.

    Args:
        random: Draws the errors.
        design: A single video.
        gain: By how much the mean distance of the one setting is smaller, px.
    """
    drawn = errors(random, design, [0] * (SETTINGS + 1))
    drawn.distances[1] -= gain
    first = table(design, drawn, 0)
    labelled = np.stack([first.video, first.frame], axis=1)
    time = time_of_errors(first)
    length = block_length(design.frames, time)
    seed = int(random.integers(1_000_000))
    searched, kept = hold_out(time_blocks(labelled, length), labelled, HELD_OUT, seed)
    searched, _ = keep_apart(searched, kept, labelled, time)
    best = int(_mean_distance(drawn, labelled, searched)[1:].argmin()) + 1
    default, candidate = (
        Setting(
            TrackerConfig(),
            FiltersConfig(),
            _score(each, labelled, searched),
            _score(each, labelled, kept, len(searched)),
        )
        for each in (first, table(design, drawn, best))
    )
    alike = likeness([*searched, *kept], labelled, time)
    outcome = conclude(DISTANCE, default, candidate, length, time, alike)
    held_out = _mean_distance(drawn, labelled, kept)
    return Found(
        outcome.recommended is candidate and (best == 1 or not gain),
        not np.isnan(outcome.difference.low),
        held_out[2:] - held_out[0],
    )


def _score(found: FrameTable, labelled: np.ndarray, blocks: Sequence[Block], first: int = 0) -> Any:
    """Return the score of a setting on some blocks, numbered from `first`."""
    rows = [np.flatnonzero(inside(labelled, block)) for block in blocks]
    number = first + np.repeat(np.arange(len(blocks)), [len(own) for own in rows])
    part = on_frames(found, np.concatenate(rows))._replace(video=number)
    values = parts(part).values
    evaluation = SimpleNamespace(
        table=part, headline=lambda: values, identity_by_video=(), identity_counts=()
    )
    return SimpleNamespace(value=values[DISTANCE.name], evaluation=evaluation)


def _mean_distance(drawn: Errors, labelled: np.ndarray, blocks: Sequence[Block]) -> np.ndarray:
    """Return (runs,) the mean distance in some blocks, px."""
    rows = np.any([inside(labelled, block) for block in blocks], axis=0)
    seen = drawn.seen[:, rows]
    sums = (drawn.distances[:, rows].mean(axis=3) * seen).sum(axis=(1, 2))
    return sums / seen.sum(axis=(1, 2))
