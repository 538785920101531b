"""The numbers of the report as text: headline cards and tables."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sleap_lab.errors import counted
from sleap_lab.evaluation import Evaluation
from sleap_lab.evaluation.breakdown import Row
from sleap_lab.poses.record import Poses
from sleap_lab.report.written import LONG, kinds, number, px, share, text
from sleap_lab.settings.metrics import METRICS

VISIBILITY = {
    "tp": "in both",
    "fp": "only in the prediction",
    "tn": "in neither",
    "fn": "only in the ground truth",
}
"""Names of sleap-nn's counts of nodes, in words."""

IDENTITY = {
    "idf1": "share of detections under the right identity; no interval",
    "hota": "detection and identity in one number; no interval",
    "mota": "1 minus misses, extras and switches per true instance; no interval",
}
"""What the headline numbers about identity are."""

STRATA = {
    "crowded": "crowded: another animal within a body length",
    "alone": "alone: none so near",
}


@dataclass(frozen=True)
class Card:
    """One headline number: what it is, its value, its unit, and what one must know to read it."""

    label: str
    value: str
    unit: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page; the first column names the row.

    Attributes:
        title: What it is about.
        header: Names of the columns.
        rows: Cells.
        links: Where the first cell of each row leads; empty where none leads anywhere.
        note: What a reader must know, above the rows.
    """

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    links: tuple[str, ...] = ()
    note: str = ""

    @property
    def folded(self) -> bool:
        """Whether the table is so long that the page hides it at first."""
        return len(self.rows) > 12

    @property
    def large(self) -> bool:
        """Whether the table needs the whole width of the page."""
        return len(self.header) > 3 or any(sum(map(len, row)) > LONG for row in self.rows)

    @property
    def kinds(self) -> list[str]:
        """The kind of each column; see `kinds`."""
        return kinds(self.rows)


def cards(
    summary: Mapping[str, Any], poses: Poses, evaluation: Evaluation | None
) -> Iterator[Card]:
    """Yield the numbers a reader looks for first, as far as they are there.

    Where there are several animals, these are the ones about identity and tracks.
    """
    counts = summary.get("counts") or {}
    several = list(_identity_cards(evaluation)) + list(_track_card(poses, counts))
    if most_per_frame(poses) > 1:
        yield from several
        several = []
    if evaluation is not None:
        yield from _accuracy_cards(evaluation)
    yield from several
    frames = len(poses.frames)
    yield Card(
        "Instances",
        f"{len(poses):,}",
        hint=f"{len(poses) / frames:.2f} per frame, {counted(frames, 'frame')}"
        if frames
        else "no frame processed",
    )
    if (speed := counts.get("frames_per_second")) is not None:
        yield Card("Speed", f"{speed:.1f}", "frames/s")


def most_per_frame(poses: Poses) -> int:
    """Return the largest number of instances of a frame."""
    if not len(poses):
        return 0
    places = np.stack([poses.video, poses.frame], axis=1)
    return int(np.unique(places, axis=0, return_counts=True)[1].max())


def _identity_cards(evaluation: Evaluation | None) -> Iterator[Card]:
    identity = (evaluation.identity if evaluation is not None else None) or {}
    if "switches" in identity:
        yield Card(
            "Identity switches",
            number(identity["switches"]),
            hint="times a true animal is followed by another track; no interval",
        )
    for name, meaning in IDENTITY.items():
        if name in identity:
            yield Card(name.upper(), share(identity[name]), hint=meaning)


def _track_card(poses: Poses, counts: Mapping[str, Any]) -> Iterator[Card]:
    if tracks := len(np.unique(poses.tracks[poses.tracks >= 0])):
        pieces = counts.get("fragments")
        hint = f"in {pieces:,} unbroken stretches" if pieces is not None else ""
        yield Card("Tracks", f"{tracks:,}", hint=hint)


Hint = Callable[..., str]

_METRIC = {metric.name: metric for metric in METRICS}


def _accuracy_cards(evaluation: Evaluation) -> Iterator[Card]:
    metrics, matches = evaluation.metrics, evaluation.matches
    limits = evaluation.intervals.values if evaluation.intervals is not None else {}

    def hint(metric: str, *others: str, unit: str = "") -> str:
        low, high = limits.get(metric, (None, None))
        digits = 2 if unit else 3
        interval = [] if low is None else [f"95%: {low:.{digits}f} to {high:.{digits}f}{unit}"]
        return "; ".join([*interval, *others])

    yield from _similarity_cards(evaluation, hint)
    if "detection_metrics" in metrics:
        found = metrics["detection_metrics"]
        others = f"precision {share(found['precision'])}, recall {share(found['recall'])}"
        yield Card("Detection F1", share(found["f1"]), hint=hint("eval/centroid_f1", others))
    n_matched, n_missed = len(matches.truth_rows), len(matches.false_negatives)
    total = f"of {n_matched + n_missed:,} true instances"
    yield Card(
        "Found",
        f"{n_matched:,}",
        hint=f"{total}; extra predictions: {len(matches.false_positives):,}",
    )
    distances = metrics["distance_metrics"]
    yield _distance_card("Mean error", distances["avg"], hint("eval/dist_avg", unit=" px"))
    yield _distance_card("Median error", distances["p50"], f"90% below {px(distances['p90'])}")
    yield from _node_cards(evaluation, hint)


def _similarity_cards(evaluation: Evaluation, hint: Hint) -> Iterator[Card]:
    """Yield the cards about OKS."""
    metrics = evaluation.metrics
    if evaluation.coco:
        spread = f"oks_stddev {text(evaluation.settings['oks_stddev'])}"
        yield Card(
            "AP",
            share(evaluation.coco["ap"]),
            hint=hint(
                "coco/ap", f"average precision, OKS 0.50 to 0.95; extra and missing count; {spread}"
            ),
        )
        precision, recall = (
            share(evaluation.coco[f"{name}_50"]) for name in ("precision", "recall")
        )
        yield Card(
            "F1 at OKS 0.50",
            share(evaluation.coco["f1_50"]),
            hint=hint("coco/f1_50", f"precision {precision}, recall {recall}"),
        )
    if "voc_metrics" in metrics:
        yield Card(
            "OKS mAP",
            share(metrics["voc_metrics"]["oks_voc.mAP"]),
            hint=hint("eval/oks_map", "as sleap-nn: extra do not count"),
        )
        yield Card(
            "mOKS",
            share(metrics["mOKS"]["mOKS"]),
            hint=hint("eval/moks", "mean similarity of matched pairs"),
        )


def _node_cards(evaluation: Evaluation, hint: Hint) -> Iterator[Card]:
    """Yield the cards about the share of nodes found."""
    metrics = evaluation.metrics
    if "pck_metrics" in metrics:
        pck = metrics["pck_metrics"]
        yield Card(
            "mPCK",
            share(pck["mPCK"]),
            hint=hint(
                "eval/pck",
                f"nodes within 1 to 10 px, on average; 5 px: {share(pck['PCK@5'])}, "
                f"10 px: {share(pck['PCK@10'])}",
            ),
        )
        sized = evaluation.coco["pck_size_10"]
        yield Card(
            "PCK by size",
            share(sized),
            hint=hint("coco/pck_size_10", "of all labelled nodes, within 10% of the body size"),
        )


def interval_note(evaluation: Evaluation | None) -> str:
    """State what the intervals are based on, or why there are none."""
    if evaluation is None or evaluation.intervals is None:
        return ""
    note = evaluation.intervals.note
    return f"{note[0].upper()}{note[1:]}."


def _distance_card(label: str, value: float, hint: str = "") -> Card:
    return (
        Card(label, "n/a", hint=hint)
        if np.isnan(value)
        else Card(label, f"{value:.2f}", "px", hint)
    )


def tables(evaluation: Evaluation) -> Iterator[Table]:
    """Yield the numbers behind the figures, the most read ones first.

    Requires at least one matched pair.
    """
    metrics = evaluation.metrics
    if evaluation.identity:
        yield Table(
            "Identity",
            ("Metric", "Value", "Meaning"),
            [
                (name, *_described(f"identity/{name}", value))
                for name, value in evaluation.identity.items()
            ],
        )
    if "voc_metrics" in metrics:
        voc = metrics["voc_metrics"]
        columns = (voc["oks_voc.match_score_thresholds"], voc["oks_voc.AP"], voc["oks_voc.AR"])
        rows = [
            (f"{threshold:.2f}", *map(share, values))
            for threshold, *values in zip(*columns, strict=True)
        ]
        rows.append(("mean", share(voc["oks_voc.mAP"]), share(voc["oks_voc.mAR"])))
        yield Table("Precision and recall", ("OKS at least", "AP", "AR"), rows)
    for group, title, names in (
        ("visibility_metrics", "Visibility of nodes in matched pairs", VISIBILITY),
        ("detection_metrics", "Detection", {}),
    ):
        if group in metrics:
            yield Table(
                title,
                ("Metric", "Value"),
                [(names.get(name, name), number(value)) for name, value in metrics[group].items()],
            )
    yield from _breakdown_tables(evaluation)
    if evaluation.switches:
        yield _switch_table(evaluation)
    yield _all_metrics(evaluation)


def _breakdown_tables(evaluation: Evaluation) -> Iterator[Table]:
    """Yield the errors by node, video, and crowd, where there are several."""
    whole = [row for row in evaluation.breakdown if row.animal is None and row.stratum is None]
    nodes = [row for row in whole if row.video is None and row.node is not None]
    if len(nodes) > 1:
        yield _breakdown_table("Error of each node", "Node", [(row.node, row) for row in nodes])
    videos = [row for row in whole if row.video is not None and row.node is None]
    if len(videos) > 1:
        yield _breakdown_table("Error in each video", "Video", [(row.video, row) for row in videos])
    strata = [row for row in evaluation.breakdown if row.stratum is not None]
    if all(row.n_matched for row in strata) and strata:
        yield _breakdown_table(
            "Error in a crowd and alone",
            "Animals",
            [(STRATA[str(row.stratum)], row) for row in strata],
        )


def _switch_table(evaluation: Evaluation) -> Table:
    header = (
        *("True track", "Video", "Frame", "Followed before", "Followed from here"),
        *("Nearest animal", "Its distance"),
    )
    rows: list[tuple[str, ...]] = [
        (
            *(s.truth_track, str(s.video), str(s.frame), s.from_track, s.to_track),
            *(s.nearest_track or "–", px(s.nearest_distance)),
        )
        for s in evaluation.switches
    ]
    links = tuple(f"review.html#video={s.pose_video}&frame={s.frame}" for s in evaluation.switches)
    note = "A row leads to its moment in review.html, once sleap-lab review has made that page."
    return Table("Identity switches", header, rows, links, note)


def _all_metrics(evaluation: Evaluation) -> Table:
    values, limits = (
        evaluation.headline(),
        evaluation.intervals.values if evaluation.intervals is not None else {},
    )
    rows: list[tuple[str, ...]] = []
    for name, value in values.items():
        shown, meaning = _described(name, value)
        interval, metric = _interval(limits.get(name)), _METRIC[name]
        rows.append((name, shown, interval, metric.unit, metric.better, meaning))
    header = ("Metric", "Value", "95% interval", "Unit", "Better", "Meaning")
    return Table("All metrics", header, rows)


def _described(name: str, value: float) -> tuple[str, str]:
    """Return the value of a metric, a share with all its decimals, and its meaning."""
    metric = _METRIC[name]
    whole = metric.unit != "share" or np.isnan(value)
    return number(value) if whole else f"{value:.4f}", metric.help


def video_table(evaluation: Evaluation) -> Iterator[Table]:
    """Yield the videos that were compared, and the reason."""
    if evaluation.videos:
        rows: list[tuple[str, ...]] = [
            (match.predicted_name or "–", match.truth_name or "–", match.reason)
            for match in evaluation.videos
        ]
        yield Table("Videos compared", ("Predictions", "Ground truth", "Why"), rows)


def _interval(limits: tuple[float, float] | None) -> str:
    return "" if limits is None else f"{number(limits[0])} to {number(limits[1])}"


def _breakdown_table(title: str, first: str, rows: list[tuple[str | None, Row]]) -> Table:
    header = (first, "Matched", "Missed", "Compared", "Mean", "Median", "90% below", "mPCK")
    return Table(
        title,
        header,
        [
            (
                str(name),
                *map(number, (row.n_matched, row.n_missed, row.n_distances)),
                *map(px, (row.dist_avg, row.dist_p50, row.dist_p90)),
                share(row.pck),
            )
            for name, row in rows
        ],
    )


def stage_times(stages: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """Return (name, time, per cent of the longest stage) of each stage."""
    longest = max(stages.values(), default=0) or 1
    return [(name, _seconds(seconds), 100 * seconds / longest) for name, seconds in stages.items()]


def _seconds(value: float) -> str:
    minutes, seconds = divmod(round(value), 60)
    if minutes == 0:
        return f"{value:.2f} s"
    return (
        f"{minutes} min {seconds:02} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02} min"
    )
