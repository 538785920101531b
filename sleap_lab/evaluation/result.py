"""What an evaluation found, and what its headline numbers mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sleap_lab.evaluation.bootstrap import Intervals
from sleap_lab.evaluation.breakdown import Row
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.evaluation.identity import Counts, Switch
from sleap_lab.evaluation.match import FramePair, Matches
from sleap_lab.evaluation.videos import VideoMatch


class Metric(NamedTuple):
    """One headline number.

    Attributes:
        name: Legal in every tool: letters, digits, `_` and `/`.
        group: Group of the nested dictionary it is taken from; `counts`, `coco` and `identity` stand beside that dictionary.
        key: Key within the group.
        better: `higher` or `lower`; empty where neither is.
        help: What it is.
        unit: `share` (0 to 1; MOTA can be negative), `px` or `count`.
    """

    name: str
    group: str
    key: str
    better: str
    help: str
    unit: str = "share"


METRICS = (
    Metric("eval/n_frame_pairs", "counts", "n_frame_pairs", "", "Frames compared: in the predictions, with ground truth.", "count"),
    Metric("eval/n_matched", "counts", "n_matched", "higher", "True instances that a prediction was matched with.", "count"),
    Metric("eval/n_missed", "counts", "n_missed", "lower", "True instances that no prediction was matched with.", "count"),
    Metric("eval/n_frames", "counts", "n_frames", "", "Frames judged: all with ground truth, those without an animal included.", "count"),
    Metric(
        "eval/oks_map",
        "voc_metrics",
        "oks_voc.mAP",
        "higher",
        "Mean average precision over OKS 0.50 to 0.95; unmatched predictions do not count.",
    ),
    Metric("eval/oks_mar", "voc_metrics", "oks_voc.mAR", "higher", "Mean recall over OKS 0.50 to 0.95."),
    Metric("eval/moks", "mOKS", "mOKS", "higher", "Mean OKS of matched instances; misses do not count."),
    Metric("eval/centroid_precision", "detection_metrics", "precision", "higher", "Share of predicted centroids that were matched."),
    Metric("eval/centroid_recall", "detection_metrics", "recall", "higher", "Share of true centroids that were matched."),
    Metric("eval/centroid_f1", "detection_metrics", "f1", "higher", "Harmonic mean of centroid precision and recall."),
    Metric("eval/centroid_n_fp", "detection_metrics", "n_fp", "lower", "Predicted centroids that were matched with nothing.", "count"),
    Metric("eval/dist_avg", "distance_metrics", "avg", "lower", "Mean distance of predicted from true points.", "px"),
    Metric("eval/dist_p50", "distance_metrics", "p50", "lower", "Median of these distances.", "px"),
    Metric("eval/dist_p75", "distance_metrics", "p75", "lower", "75th percentile of these distances.", "px"),
    Metric("eval/dist_p90", "distance_metrics", "p90", "lower", "90th percentile of these distances.", "px"),
    Metric("eval/dist_p95", "distance_metrics", "p95", "lower", "95th percentile of these distances.", "px"),
    Metric("eval/dist_p99", "distance_metrics", "p99", "lower", "99th percentile of these distances.", "px"),
    Metric("eval/pck", "pck_metrics", "mPCK", "higher", "Share of nodes of matched instances within 1, 2, … 10 px, averaged over the ten."),
    Metric("eval/pck_5", "pck_metrics", "PCK@5", "higher", "Share of nodes of matched instances within 5 px."),
    Metric("eval/pck_10", "pck_metrics", "PCK@10", "higher", "Share of nodes of matched instances within 10 px."),
    Metric("eval/visibility_precision", "visibility_metrics", "precision", "higher", "Share of predicted nodes that are labelled."),
    Metric("eval/visibility_recall", "visibility_metrics", "recall", "higher", "Share of labelled nodes that were predicted."),
    Metric(
        "coco/ap",
        "coco",
        "ap",
        "higher",
        "Mean average precision over OKS 0.50 to 0.95; extra predictions and labelled frames without predictions count against it.",
    ),
    Metric("coco/ap_50", "coco", "ap_50", "higher", "The same at OKS 0.50."),
    Metric("coco/ap_75", "coco", "ap_75", "higher", "The same at OKS 0.75."),
    Metric("coco/ar", "coco", "ar", "higher", "Mean recall over OKS 0.50 to 0.95, of all labelled instances."),
    Metric("coco/precision_50", "coco", "precision_50", "higher", "Share of predicted instances that find a true one, at OKS 0.50."),
    Metric("coco/recall_50", "coco", "recall_50", "higher", "Share of labelled instances that are found, at OKS 0.50."),
    Metric("coco/f1_50", "coco", "f1_50", "higher", "Harmonic mean of these two."),
    Metric("coco/precision_75", "coco", "precision_75", "higher", "Share of predicted instances that find a true one, at OKS 0.75."),
    Metric("coco/recall_75", "coco", "recall_75", "higher", "Share of labelled instances that are found, at OKS 0.75."),
    Metric("coco/f1_75", "coco", "f1_75", "higher", "Harmonic mean of these two."),
    Metric("coco/pck_size_05", "coco", "pck_size_05", "higher", "Share of all labelled nodes predicted within 5 % of the body size."),
    Metric("coco/pck_size_10", "coco", "pck_size_10", "higher", "Share of all labelled nodes predicted within 10 % of the body size."),
    Metric("identity/hota", "identity", "hota", "higher", "Higher order tracking accuracy: balance of detection and association."),
    Metric("identity/deta", "identity", "deta", "higher", "Detection accuracy, the detection half of HOTA."),
    Metric("identity/assa", "identity", "assa", "higher", "Association accuracy, the identity half of HOTA."),
    Metric("identity/idf1", "identity", "idf1", "higher", "F1 of detections with the right identity over the whole video."),
    Metric("identity/idp", "identity", "idp", "higher", "Share of predicted detections with the right identity."),
    Metric("identity/idr", "identity", "idr", "higher", "Share of true detections found with the right identity."),
    Metric("identity/mota", "identity", "mota", "higher", "1 - (misses + false positives + switches) / true detections."),
    Metric("identity/motp", "identity", "motp", "higher", "Mean similarity of matched detections."),
    Metric(
        "identity/switches",
        "identity",
        "switches",
        "lower",
        "Times another predicted track follows a true track than before.",
        "count",
    ),
    Metric("identity/fragmentations", "identity", "fragmentations", "lower", "Times a lost true track is found again.", "count"),
    Metric("identity/misses", "identity", "misses", "lower", "True detections that were not found.", "count"),
    Metric("identity/false_positives", "identity", "false_positives", "lower", "Predicted detections where there is no true one.", "count"),
)

NOT_LOGGED = frozenset(
    {
        *("eval/n_frame_pairs", "eval/n_frames", "eval/oks_mar", "eval/visibility_precision", "eval/visibility_recall"),
        *("eval/dist_p75", "eval/dist_p95", "eval/dist_p99"),
        *("coco/precision_75", "coco/recall_75", "coco/f1_75", "coco/pck_size_05"),
        *("identity/deta", "identity/assa", "identity/idp", "identity/idr", "identity/motp", "identity/fragmentations"),
    }
)
"""Metrics that would only make a table of runs wider; they are in `metrics.json`, and not logged to MLflow."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How predictions compare with ground truth.

    Attributes:
        metrics: Nested dictionary in the layout of sleap-nn's `evaluate()`.
        settings: The values that were used, by the names of the config keys.
        matches: Which prediction belongs to which true instance.
        frame_pairs: The frames compared.
        coco: Detection metrics over every labelled frame, by name; none where centroids are matched.
        table: What each labelled frame adds to the metrics.
        intervals: How far the headline numbers may move by chance; None where there are too few frames to say.
        breakdown: Accuracy by video, animal and node, and of animals in a crowd and alone.
        identity: Identity metrics by name, of all videos together; none where they were not asked for or would mean nothing.
        identity_by_video: The same of each video that took part, by its index in the ground truth.
        identity_counts: What those of each of these videos are formed from, in the same order; they can be combined anew.
        video_names: Names of the videos of the ground truth; may be fewer than there are.
        switches: Every identity switch.
        videos: Which videos were compared, and why these.
        notes: What a reader must know to understand the numbers, one sentence each.
    """

    metrics: dict[str, dict[str, Any]]
    settings: dict[str, Any]
    matches: Matches
    frame_pairs: tuple[FramePair, ...]
    coco: Mapping[str, float] = field(default_factory=dict)
    table: FrameTable | None = None
    intervals: Intervals | None = None
    breakdown: tuple[Row, ...] = ()
    identity: dict[str, float] | None = None
    identity_by_video: tuple[tuple[int, dict[str, float]], ...] = ()
    identity_counts: tuple[Counts, ...] = ()
    video_names: tuple[str, ...] = ()
    switches: tuple[Switch, ...] = ()
    videos: tuple[VideoMatch, ...] = ()
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, float]:
        """Return the numbers worth comparing, by the names in `METRICS`; nan where a metric is undefined."""
        counts = {
            "n_frame_pairs": len(self.frame_pairs),
            "n_matched": len(self.matches.truth_rows),
            "n_missed": len(self.matches.false_negatives),
        }
        if self.table is not None:
            counts["n_frames"] = len(self.table.frame)
        groups = {**self.metrics, "counts": counts, "coco": self.coco, "identity": self.identity or {}}
        return {m.name: float(groups[m.group][m.key]) for m in METRICS if m.key in groups.get(m.group, {})}

    def video_name(self, video: int) -> str:
        """Return the name of a video of the ground truth, or its index."""
        return self.video_names[video] if video < len(self.video_names) else str(video)

    def __str__(self) -> str:
        lines = [f"{name:<30}{value:>14.6g}" for name, value in self.headline().items()]
        lines.append("with " + ", ".join(f"{name}={value}" for name, value in self.settings.items()))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])
