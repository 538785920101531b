"""Do intervals, marks and recommendations hold? Simulated, for docs/comparing.md and tuning.md.

Errors last for some frames and differ between videos; runs are equal or truly different. Beside
them stand real runs on the demo, whose frames are exchanged between the two at random.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.errors import Design, runs
from benchmarks.timing import REPOSITORY, publish, write_between
from benchmarks.timing import table as markdown
from sleap_lab.compare.marks import bars
from sleap_lab.compare.paired import Change, read_run
from sleap_lab.evaluation.frames import FrameTable, on_frames
from sleap_lab.evaluation.influence import parts
from sleap_lab.evaluation.intervals import Difference, differences, intervals, time_of_errors
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.evidence import Setting
from sleap_lab.tune.outcome import conclude
from sleap_lab.tune.settings import find_metric
from sleap_lab.tune.split import block_length, hold_out, inside, keep_apart, time_blocks

COMPARING, TUNING = (REPOSITORY / "docs" / f"{name}.md" for name in ("comparing", "tuning"))
METRICS = ("eval/dist_avg", "eval/dist_p90", "eval/oks_map", "eval/pck", "coco/recall_50")
QUICK, FEWEST = 1000, 50  # designs of more frames are repeated less often, and how often at least
BETTER = 0.3  # by how much a truly better run is, in standard deviations of hardness
DESIGNS = (
    *(Design(100, 1, time) for time in (0, 1, 2.5, 10)),
    *(Design(380, 1, time) for time in (0, 3, 9.5, 30)),
    *(Design(1000, 1, time) for time in (0, 10, 25, 100)),
    *(Design(3000, 1, time) for time in (0, 30, 75, 100)),
    *(Design(10000, 1, time) for time in (0, 100)),
    *(Design(100, videos, 2, 0.5) for videos in (2, 3, 4, 6, 10, 20)),
    *(Design(100, videos, 30, 0.5) for videos in (4, 20)),
    Design(1000, 4, 30, 0.5),
)
SEARCHES = tuple((400, time) for time in (0, 3, 10))
SETTINGS = 40
GAINS = (0, 3, 4)  # of the one better setting, in standard errors of the held-out part
DISTANCE = find_metric("eval/dist_avg")
STRETCH = 40  # frames of a run on the demo that are exchanged together, on average
VARIANTS = ("model.peak_threshold=0.6",)


class Row(NamedTuple):
    """One number: which study, of which case, what, and how many repetitions are behind it."""

    study: str
    case: str
    quantity: str
    value: float
    repetitions: int


def run(*, repetitions: int, only: str = "") -> None:
    """Run the studies and write their tables; with `only`, print those of a name and write none."""
    studies = {"coverage": _coverage, "demo": _demo, "tune": _searches}
    rows: list[Row] = []
    for name, study in studies.items():
        if only in name:
            for row in study(repetitions):
                rows.append(row)
                print(*row, flush=True)
    if only:
        return
    write_between(COMPARING, "statistics", _coverage_table(rows))
    publish("statistics", _tune_table(rows), rows, page=TUNING)


# --- intervals and marks ----------------------------------------------------------------


def _coverage(repetitions: int) -> Iterator[Row]:
    for design in DESIGNS:
        part = QUICK / max(QUICK, design.frames * design.videos)
        yield from _of_design(design, max(FEWEST, int(part * repetitions)))


def _of_design(design: Design, repetitions: int) -> Iterator[Row]:
    """Yield how often intervals hold the truth, and how often a table has a mark."""
    random = np.random.default_rng([design.frames, design.videos, int(10 * design.time)])
    worse, better = _true_values(design.differ)
    truths = {
        "value": worse,
        "equal": dict.fromkeys(METRICS, 0.0),
        "other": {name: better[name] - worse[name] for name in METRICS},
    }
    held: dict[str, list[bool]] = {f"{kind} {name}": [] for kind in truths for name in METRICS}
    marked: dict[str, list[bool]] = {"equal": [], "other": []}
    for _ in range(repetitions):
        first, *rest = runs(random, design, (0, 0, BETTER))
        base, *others = map(parts, (first, *rest))
        found: dict[str, dict[str, tuple[float, float]]] = {"value": intervals(first).values}
        for kind, other in zip(marked, others, strict=True):
            changes = differences(base, other)
            marked[kind].append(_has_mark(changes))
            found[kind] = {n: (d.low, d.high) for n, d in changes.items() if not np.isnan(d.low)}
        for kind, limits in found.items():
            for name in METRICS:
                if name in limits:
                    low, high = limits[name]
                    held[f"{kind} {name}"].append(low <= truths[kind][name] <= high)
    case = _case(design)
    for quantity, cases in held.items():
        yield Row("coverage", case, f"shown {quantity}", len(cases) / repetitions, repetitions)
        yield Row("coverage", case, quantity, _share(cases), len(cases))
    for kind, tables in marked.items():
        yield Row("coverage", case, f"{kind} tables with a mark", _share(tables), repetitions)


def _case(design: Design) -> str:
    return f"{design.videos} x {design.frames}, {design.time:g}"


@cache
def _true_values(differ: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics of a run and of a better one, from very many videos of a frame each."""
    random = np.random.default_rng(0)
    first, second = runs(random, Design(1, 150_000, 0, differ), (0, BETTER))
    return parts(first).values, parts(second).values


def _has_mark(changes: dict[str, Difference]) -> bool:
    """Whether a comparison marks any of the differences."""
    every = [(name, Change(d.value, d.low, d.high, chance=d.chance)) for name, d in changes.items()]
    return bars([every]) >= [0]


def _share(cases: Sequence[bool]) -> float:
    return float(np.mean(cases)) if cases else float("nan")


# --- real runs --------------------------------------------------------------------------


def _demo(repetitions: int) -> Iterator[Row]:
    """Yield how often two mixtures of real runs get a mark that are equal but for chance."""
    with tempfile.TemporaryDirectory() as scratch:
        tables = [_predicted(Path(scratch) / str(i), v) for i, v in enumerate(("", *VARIANTS))]
    random = np.random.default_rng(0)
    for variant, other in zip(VARIANTS, tables[1:], strict=True):
        marked, held = [], []
        for _ in range(repetitions):
            ends = np.cumsum(random.geometric(1 / STRETCH, len(other.frame)))
            stretch = np.searchsorted(ends, np.arange(len(other.frame)), side="right")
            swapped = random.random(len(ends) + 1)[stretch] < 0.5
            pair = _mixed(tables[0], other, swapped), _mixed(tables[0], other, ~swapped)
            changes = differences(*map(parts, pair))
            marked.append(_has_mark(changes))
            held += [d.low <= 0 <= d.high for d in changes.values() if not np.isnan(d.low)]
        yield Row("demo", variant, "coverage", _share(held), len(held))
        yield Row("demo", variant, "tables of equal runs with a mark", _share(marked), repetitions)


def _predicted(folder: Path, variant: str) -> FrameTable:
    """Predict and score the demo, and return what each frame adds to the metrics."""
    words = [
        "experiment=demo",
        "logger=none",
        "report=none",
        "cache=off",
        f"hydra.run.dir={folder}",
    ]
    command = [sys.executable, "-m", "sleap_lab", *words, *([variant] if variant else [])]
    subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY)
    found = read_run(folder, "").table
    assert found is not None
    return found


def _mixed(first: FrameTable, second: FrameTable, from_second: np.ndarray) -> FrameTable:
    """Return the frames of one run, some of them exchanged for those of another."""
    chosen = [
        on_frames(found, np.flatnonzero(rows))
        for found, rows in ((first, ~from_second), (second, from_second))
    ]
    n = len(chosen[0].frame)
    assert first.detections is not None

    def joined(name: str) -> Any:
        items = [getattr(found, name) for found in chosen]
        return type(items[0])(
            np.concatenate([items[0].frame, items[1].frame + n]),
            np.concatenate([item.scores for item in items]),
            np.concatenate([item.hits for item in items], axis=1),
            np.concatenate([item.n_truth for item in items]),
        )

    return FrameTable(
        np.concatenate([found.video for found in chosen]),
        np.concatenate([found.frame for found in chosen]),
        {k: np.concatenate([found.columns[k] for found in chosen]) for k in first.columns},
        np.concatenate([found.distances for found in chosen]),
        joined("pairs"),
        joined("detections"),
    )


# --- searches ---------------------------------------------------------------------------


def _searches(repetitions: int) -> Iterator[Row]:
    for frames, time in SEARCHES:
        case, error = f"{frames}, {time}", 0.0
        for gain in GAINS:
            random = np.random.default_rng([frames, time, gain])
            found = [_search(random, frames, time, gain * error) for _ in range(repetitions)]
            # Half of what each of the two errors scatters is what one is better by.
            error = error or float(np.std([change for _, _, _, change in found]))
            quantity = f"recommended at {gain} standard errors"
            yield Row("tune", case, quantity, _share([best for best, *_ in found]), repetitions)
            if not gain:
                judged = _share([interval for _, interval, _, _ in found])
                yield Row("tune", case, "with an interval", judged, repetitions)


def _search(
    random: np.random.Generator, frames: int, time: float, gain: float
) -> tuple[bool, bool, bool, float]:
    """Search among settings of which one may be better.

    Args:
        random: Draws the errors.
        frames: Labelled frames.
        time: Their correlation time.
        gain: By how much the mean distance of the one setting is smaller, px.

    Returns:
        Whether the better setting is recommended (any, where none is), whether there is an
        interval, whether the better one is the best of the search, and the change of the last
        setting on the held-out blocks, px.
    """
    design = Design(frames, 1, time)
    tables = runs(random, design, [0] * (SETTINGS + 1))
    tables[1] = _nearer(tables[1], gain)
    labelled = np.stack([tables[0].video, tables[0].frame], axis=1)
    estimated = time_of_errors(tables[0])
    length = block_length(frames, estimated)
    seed = int(random.integers(1_000_000))
    searched, kept = hold_out(time_blocks(labelled, length), labelled, 0.3, seed)
    searched, _ = keep_apart(searched, kept, labelled, estimated)

    def side(found: FrameTable, blocks: Sequence[Any]) -> Any:
        rows = [np.flatnonzero(inside(labelled, block)) for block in blocks]
        number = np.repeat(np.arange(len(blocks)), [len(own) for own in rows])
        part = on_frames(found, np.concatenate(rows))._replace(video=number)
        values = parts(part).values
        evaluation = SimpleNamespace(
            table=part, headline=lambda: values, identity_by_video=(), identity_counts=()
        )
        return SimpleNamespace(value=values[DISTANCE.name], evaluation=evaluation)

    means = [_mean_distance(found, labelled, searched) for found in tables]
    best = int(np.argmin(means[1:])) + 1
    default, candidate = (
        Setting(TrackerConfig(), FiltersConfig(), side(t, searched), side(t, kept))
        for t in (tables[0], tables[best])
    )
    outcome = conclude(DISTANCE, default, candidate, length, estimated)
    chosen = outcome.recommended is candidate and outcome.best is not None
    last, first = (_mean_distance(found, labelled, kept) for found in (tables[-1], tables[0]))
    interval = not np.isnan(outcome.difference.low)
    return chosen and (best == 1 or not gain), interval, best == 1, last - first


def _mean_distance(found: FrameTable, labelled: np.ndarray, blocks: Sequence[Any]) -> float:
    rows = np.any([inside(labelled, block) for block in blocks], axis=0)
    return float(found.columns["dist_sum"][rows].sum() / found.columns["n_distances"][rows].sum())


def _nearer(found: FrameTable, gain: float) -> FrameTable:
    """Return a table in which all distances are smaller by some px."""
    sums = found.columns["dist_sum"] - gain * found.columns["n_distances"]
    return found._replace(
        columns=found.columns | {"dist_sum": sums}, distances=found.distances - gain
    )


# --- tables -----------------------------------------------------------------------------


def _coverage_table(rows: Sequence[Row]) -> str:
    """Return the tables of intervals and marks."""
    value = {row[:3]: row.value for row in rows}
    lines = []
    for design in DESIGNS:
        case = _case(design)
        shown = [value["coverage", case, f"shown equal {name}"] for name in METRICS]
        cells = [_mean_coverage(value, case, kind) for kind in ("value", "equal", "other")]
        marks = (f"{value['coverage', case, f'{k} tables with a mark']:.1%}" for k in MARKED)
        place = f"{design.videos}", f"{design.frames:,}", f"{design.time:g}"
        lines.append((*place, f"{np.mean(shown):.0%}", *cells, *marks))
    demo = [
        f"{row.value:.1%} ({row.quantity}, `{row.case}`)" for row in rows if row.study == "demo"
    ]
    return (
        f"{markdown(HEADS, lines)}\n\nTwo runs on the demo, stretches of frames exchanged at "
        f"random:\n{'; '.join(demo)}."
    )


MARKED = ("equal", "other")
HEADS = (
    "videos",
    "frames of each",
    "errors last",
    "has intervals",
    "values covered",
    "differences covered, equal runs",
    "other runs",
    "tables with a mark, equal runs",
    "other runs",
)
SHOWN = 0.3  # where fewer repetitions have intervals, their coverage is not told


def _mean_coverage(value: dict[Any, float], case: str, kind: str) -> str:
    """Return the coverage, the mean over metrics and their repetitions with an interval."""
    shown = [value["coverage", case, f"shown {kind} {name}"] for name in METRICS]
    held = [value["coverage", case, f"{kind} {name}"] for name in METRICS]
    if np.mean(shown) < SHOWN:
        return "–"
    return f"{np.average(np.nan_to_num(held), weights=shown):.1%}"


def _tune_table(rows: Sequence[Row]) -> str:
    """Return the table of searches."""
    value = {row[:3]: row.value for row in rows}
    lines = []
    for frames, time in SEARCHES:
        case = f"{frames}, {time}"
        found = (value["tune", case, f"recommended at {gain} standard errors"] for gain in GAINS)
        with_interval = value["tune", case, "with an interval"]
        lines.append(
            (f"{frames:,}", f"{time}", f"{with_interval:.0%}", *(f"{share:.1%}" for share in found))
        )
    heads = ("labelled frames", "errors last", "with intervals", "all equal: recommended",
             "one better by 3 errors: found", "by 4: found")  # fmt: skip
    return markdown(heads, lines)
