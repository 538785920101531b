"""The lines that the terminal shows at the end of a run."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sleap_lab import terminal
from sleap_lab.errors import listed
from sleap_lab.runs.context import RunContext
from sleap_lab.runs.folder import OVERLAYS, REPORT
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.objective import SPEED

if TYPE_CHECKING:
    from sleap_lab.evaluation import Evaluation

log = logging.getLogger("sleap_lab")

VIDEO_COLUMNS = ("video", "asked", "read", "bad", "status")
TERMINAL_METRICS = (
    "eval/n_matched",
    "eval/n_missed",
    "eval/n_frames",
    "coco/ap",
    "eval/oks_map",
    "eval/moks",
    "eval/dist_avg",
    "eval/dist_p50",
    "eval/dist_p90",
    "eval/pck",
    "eval/centroid_precision",
    "eval/centroid_recall",
    "identity/switches",
    "identity/idf1",
    "identity/mota",
    "identity/hota",
)
"""Metrics worth a line in the terminal; all of them are in `metrics.json`."""


def show_outcome(run: RunContext, evaluation: "Evaluation | None", files: Sequence[Path]) -> None:
    """Log the notes of a run and show its outcome; the outcomes of jobs are shown by the sweep.

    Args:
        run: The run; its summary gets the notes of the evaluation.
        evaluation: The metrics, where it was evaluated.
        files: The predictions that were written.
    """
    summary = run.summary
    summary.notes += evaluation.notes if evaluation is not None else ()
    for note in summary.notes:
        log.warning("%s", note)
    if summary.job is None:
        _show(run, evaluation, files)


def _show(run: RunContext, evaluation: "Evaluation | None", files: Sequence[Path]) -> None:
    summary = run.summary
    _tell(summary)
    metrics = {
        name: f"{value:.4f}".rstrip("0").rstrip(".")
        for name, value in summary.metrics.items()
        if name in TERMINAL_METRICS
    }
    counts = (
        summary.counts
        if summary.counts["bad_frames"]
        else {**summary.counts, "requested_frames": 0}
    )
    rows = [
        (name.replace("_", " "), str(value))
        for name, value in counts.items()
        if value or name in ("frames", "instances")
    ]
    if summary.cache:
        rows.append(
            ("cache", ", ".join(f"{stage} {outcome}" for stage, outcome in summary.cache.items()))
        )
    if SPEED in summary.metrics:
        rows.append(("speed", f"{summary.metrics[SPEED]:.1f} frames/s"))
    rows += list(metrics.items())
    if evaluation is not None:
        rows.append(
            (
                "evaluated with",
                ", ".join(f"{name}={value}" for name, value in evaluation.settings.items()),
            )
        )
    if len(summary.videos) > 1:
        terminal.grid(
            VIDEO_COLUMNS,
            [
                [terminal.shown(row["video"]), *(row[name] for name in VIDEO_COLUMNS[1:])]
                for row in summary.videos
            ],
        )
    terminal.table([*rows, *_places(run, evaluation, files)])


def _places(
    run: RunContext, evaluation: "Evaluation | None", files: Sequence[Path]
) -> Iterator[tuple[str, str]]:
    """Yield what a run has written, and where it is."""
    config, folder = run.config, run.folder
    if evaluation is not None:
        yield (
            "metrics",
            terminal.shown(config.evaluator.save_metrics or folder / "metrics.json"),
        )
    if config.evaluator.quality:
        from sleap_lab.quality.breakdown import QUALITY_FILE
        from sleap_lab.quality.suspects import SUSPECTS_FILE

        yield "quality", terminal.shown(folder / QUALITY_FILE)
        yield "moments", terminal.shown(folder / SUSPECTS_FILE)
    if files:
        yield "predictions", listed([terminal.shown(file) for file in files], 3)
    if config.report == "html":
        yield "report", terminal.shown(folder / REPORT)
    if overlays := [path for pattern in OVERLAYS for path in sorted(folder.glob(pattern))]:
        yield "overlay", listed([terminal.shown(path) for path in overlays], 3)
    yield "run folder", terminal.shown(folder)


def _tell(summary: RunSummary) -> None:
    """Show what one must know to read the result, and what the tracker did."""
    for note in summary.notes:
        terminal.warn(note)
    for remark in summary.remarks:
        terminal.note(remark)
