"""Do intervals, marks and recommendations hold? Simulated, for docs/comparing.md and tuning.md.

Errors last for some frames and differ between videos; runs are equal or truly different. Beside
them stand real runs, on the demo and on the reference, whose frames are exchanged at random.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.errors import Design, runs
from benchmarks.pages import false_marks
from benchmarks.searches import GAINS, searches
from benchmarks.timing import REPOSITORY, publish, write_between
from benchmarks.timing import table as markdown
from sleap_lab.compare.marks import bars
from sleap_lab.compare.paired import Change, read_run
from sleap_lab.evaluation.frames import FrameTable, on_frames
from sleap_lab.evaluation.influence import parts
from sleap_lab.evaluation.intervals import Difference, differences, intervals

COMPARING, TUNING = (REPOSITORY / "docs" / f"{name}.md" for name in ("comparing", "tuning"))
METRICS = ("eval/dist_avg", "eval/dist_p90", "eval/oks_map", "eval/pck", "coco/recall_50")
BETTER = 0.3  # by how much a truly better run is, in standard deviations of hardness
DESIGNS = (
    *(Design(100, 1, time) for time in (0, 1, 2.5, 10)),
    *(Design(380, 1, time) for time in (0, 3, 9.5, 30)),
    *(Design(1000, 1, time) for time in (0, 10, 25, 100)),
    Design(3000, 1, 75),
    *(Design(100, videos, 2, 0.5) for videos in (2, 3, 4, 6, 10, 20)),
    *(Design(100, videos, 30, 0.5) for videos in (4, 20)),
    Design(1000, 4, 30, 0.5),
)
PAGES = (
    *((Design(100, 1, time), 2) for time in (0, 10)),
    *((Design(50, videos, 2, 0.5), 2) for videos in (2, 4, 10, 20)),
    (Design(50, 4, 2, 0.5), 4),
)
PAGE = 4  # a page takes as long as so many tables, and is repeated less often
SEARCHES = ((400, 0), (400, 3), (400, 10), (400, 30), (1200, 30), (3000, 100))
LABELLED, HELD, FALSE = "labelled frames", "coverage", "tables of equal runs with a mark"
STRETCH = 40  # frames of a real run that are exchanged together, on average


class Row(NamedTuple):
    """One number: which study, of which case, what, and how many repetitions are behind it."""

    study: str
    case: str
    quantity: str
    value: float
    repetitions: int


def run(reference: Path, *, repetitions: int, processes: int, only: str) -> None:
    """Run the studies and write their tables; with `only`, print those of a name and write none.

    Args:
        reference: Folder with labels, videos and models of the reference.
        repetitions: Of each case.
        processes: How many cases are simulated at a time.
        only: Part of the name of a study.
    """
    studies: dict[str, list[Callable[[int], list[Row]]]] = {
        "real": [partial(_exchanged, name, pair) for name, pair in _real(reference).items()],
        "coverage": [partial(_coverage, design) for design in DESIGNS],
        "pages": [partial(_pages, design, n) for design, n in PAGES],
        "tune": [partial(_searches, frames, time) for frames, time in SEARCHES],
    }
    cases = [case for name, of_study in studies.items() if only in name for case in of_study]
    rows: list[Row] = []
    with ProcessPoolExecutor(processes) as pool:
        for found in pool.map(_call, cases, [repetitions] * len(cases)):
            rows += found
            for row in found:
                print(*row, flush=True)
    if not only:
        write_between(COMPARING, "statistics", _coverage_table(rows))
        publish("statistics", _tune_table(rows), rows, page=TUNING)


def _call(case: Callable[[int], list[Row]], repetitions: int) -> list[Row]:
    return case(repetitions)


# --- intervals and marks ----------------------------------------------------------------


def _coverage(design: Design, repetitions: int) -> list[Row]:
    """Return how often intervals hold the truth, and how often a table has a mark."""
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
    shown = {f"shown {name}": len(cases) / repetitions for name, cases in held.items()}
    marks = {f"{kind} tables with a mark": _share(tables) for kind, tables in marked.items()}
    return [
        *(Row("coverage", case, name, _share(cases), len(cases)) for name, cases in held.items()),
        *(Row("coverage", case, name, v, repetitions) for name, v in (shown | marks).items()),
    ]


def _case(design: Design) -> str:
    return f"{design.videos} x {design.frames}, {design.time:g}"


@cache
def _true_values(differ: float) -> tuple[dict[str, float], dict[str, float]]:
    """Return the metrics of a run and of a better one, from very many videos of a frame each."""
    first, second = runs(np.random.default_rng(0), Design(1, 300_000, 0, differ), (0, BETTER))
    return parts(first).values, parts(second).values


def _has_mark(changes: dict[str, Difference]) -> bool:
    """Whether a comparison marks any of the differences."""
    every = [(name, Change(d.value, d.low, d.high, chance=d.chance)) for name, d in changes.items()]
    return bars([every]) >= [0]


def _share(cases: Sequence[bool]) -> float:
    return float(np.mean(cases)) if cases else float("nan")


def _pages(design: Design, n: int, repetitions: int) -> list[Row]:
    marked = false_marks(design, n, repetitions // PAGE)
    return [Row("pages", _case(design), f"{n} runs", marked, repetitions // PAGE)]


def _searches(frames: int, time: float, repetitions: int) -> list[Row]:
    return [
        Row("tune", f"{frames}, {time}", f"{quantity} at {gain} standard errors", v, repetitions)
        for gain, recommended, judged in searches(frames, time, repetitions)
        for quantity, v in (("recommended", recommended), ("with an interval", judged))
    ]


# --- real runs --------------------------------------------------------------------------


class Pair(NamedTuple):
    """Two runs on one recording: the words of both, and those that make the difference."""

    words: tuple[str, ...]
    variant: str


def two_flies(reference: Path) -> tuple[str, ...]:
    """Return the words of a run of a poor network on a recording with labels in every frame."""
    return (
        f"data.path={reference / 'videos' / 'two_flies.mp4'}",
        f"model.paths=[{reference / 'models' / 'flies13_bottomup'}]",
        "evaluator=oks",
        f"evaluator.ground_truth_path={reference / 'labels' / 'two_flies.slp'}",
        "evaluator.user_labels_only=false",
        "runtime.device=cpu",
    )


def _real(reference: Path) -> dict[str, Pair]:
    """Return the pairs of runs whose frames are exchanged, by name."""
    found = {"demo": Pair(("experiment=demo",), "model.peak_threshold=0.6")}
    if not (reference / "videos").is_dir():
        print(f"the reference pair is left out: there is no {reference} (SLEAP_LAB_REFERENCE)")
        return found
    return found | {"reference": Pair(two_flies(reference), "model.peak_threshold=0.3")}


def _exchanged(name: str, real: Pair, repetitions: int) -> list[Row]:
    """Return how often two mixtures of real runs get a mark that are equal but for chance."""
    with tempfile.TemporaryDirectory() as scratch:
        first, other = (
            _predicted(Path(scratch) / str(i), [*real.words, *more])
            for i, more in enumerate(([], [real.variant]))
        )
    random = np.random.default_rng(0)
    marked, held = [], []
    for _ in range(repetitions):
        ends = np.cumsum(random.geometric(1 / STRETCH, len(other.frame)))
        stretch = np.searchsorted(ends, np.arange(len(other.frame)), side="right")
        swapped = random.random(len(ends) + 1)[stretch] < 0.5
        pair = _mixed(first, other, swapped), _mixed(first, other, ~swapped)
        changes = differences(*map(parts, pair))
        marked.append(_has_mark(changes))
        held += [d.low <= 0 <= d.high for d in changes.values() if not np.isnan(d.low)]
    return [
        Row("real", name, LABELLED, len(first.frame), 1),
        Row("real", name, HELD, _share(held), len(held)),
        Row("real", name, FALSE, _share(marked), repetitions),
    ]


def _predicted(folder: Path, words: Sequence[str]) -> FrameTable:
    """Predict and score a recording, and return what each frame adds to the metrics."""
    quiet = ("logger=none", "report=none", "cache=off", f"hydra.run.dir={folder}")
    command = [sys.executable, "-m", "sleap_lab", *words, *quiet]
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
    pages = [
        (
            *(f"{design.videos}", f"{design.frames}", f"{design.time:g}", f"{n}"),
            _percent(value["pages", _case(design), f"{n} runs"]),
        )
        for design, n in PAGES
    ]
    names = dict.fromkeys(row.case for row in rows if row.study == "real")
    real = [
        (
            *(name, f"{value['real', name, LABELLED]:,.0f}"),
            *(_percent(value["real", name, quantity]) for quantity in (HELD, FALSE)),
        )
        for name in names
    ]
    tables = (
        (HEADS, lines),
        (("videos", "frames of each", "errors last", "runs", "pages with a mark"), pages),
        (("real runs", LABELLED, "differences covered", "tables with a mark"), real),
    )
    return "\n\n".join(markdown(*each) for each in tables)


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.1%}"


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
        with_interval = value["tune", case, "with an interval at 0 standard errors"]
        lines.append(
            (f"{frames:,}", f"{time}", f"{with_interval:.0%}", *(f"{share:.1%}" for share in found))
        )
    heads = ("labelled frames", "errors last", "with intervals", "all equal: recommended",
             "one better by 3 errors: found", "by 4: found")  # fmt: skip
    return markdown(heads, lines)
