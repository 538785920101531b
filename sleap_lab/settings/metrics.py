"""Every headline metric: its name, its meaning, and the direction in which it is better.

Long because it is one table, which people read from top to bottom.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """One headline number.

    Attributes:
        name: Legal in every tool: letters, digits, `_` and `/`.
        group: Group of the nested dictionary of metrics that holds it; `counts`, `coco` and
            `identity` are separate dictionaries.
        key: Key within the group.
        better: `higher` or `lower`; empty where neither is.
        help: Its meaning.
        unit: `share` (0 to 1; MOTA can be negative), `px` or `count`.
    """

    name: str
    group: str
    key: str
    better: str
    help: str
    unit: str = "share"

    @property
    def meaning(self) -> str:
        """What it is, and that lower is better where it is."""
        return f"{self.help} Lower is better." if self.better == "lower" else self.help


METRICS = (
    Metric(
        "eval/n_frame_pairs",
        "counts",
        "n_frame_pairs",
        "",
        "Frames compared: in the predictions, with ground truth.",
        "count",
    ),
    Metric(
        "eval/n_matched",
        "counts",
        "n_matched",
        "higher",
        "True instances that a prediction was matched with.",
        "count",
    ),
    Metric(
        "eval/n_missed",
        "counts",
        "n_missed",
        "lower",
        "True instances that no prediction was matched with.",
        "count",
    ),
    Metric(
        "eval/n_frames",
        "counts",
        "n_frames",
        "",
        "Frames evaluated: all with ground truth, also those without an animal.",
        "count",
    ),
    Metric(
        "eval/oks_map",
        "voc_metrics",
        "oks_voc.mAP",
        "higher",
        "Mean average precision over OKS 0.50 to 0.95; unmatched predictions do not count.",
    ),
    Metric(
        "eval/oks_mar", "voc_metrics", "oks_voc.mAR", "higher", "Mean recall over OKS 0.50 to 0.95."
    ),
    Metric(
        "eval/moks", "mOKS", "mOKS", "higher", "Mean OKS of matched instances; misses do not count."
    ),
    Metric(
        "eval/centroid_precision",
        "detection_metrics",
        "precision",
        "higher",
        "Share of predicted centroids that were matched.",
    ),
    Metric(
        "eval/centroid_recall",
        "detection_metrics",
        "recall",
        "higher",
        "Share of true centroids that were matched.",
    ),
    Metric(
        "eval/centroid_f1",
        "detection_metrics",
        "f1",
        "higher",
        "Harmonic mean of centroid precision and recall.",
    ),
    Metric(
        "eval/centroid_n_fp",
        "detection_metrics",
        "n_fp",
        "lower",
        "Predicted centroids that were matched with nothing.",
        "count",
    ),
    Metric(
        "eval/dist_avg",
        "distance_metrics",
        "avg",
        "lower",
        "Mean distance of predicted from true points.",
        "px",
    ),
    Metric("eval/dist_p50", "distance_metrics", "p50", "lower", "Median of these distances.", "px"),
    Metric(
        "eval/dist_p75",
        "distance_metrics",
        "p75",
        "lower",
        "75th percentile of these distances.",
        "px",
    ),
    Metric(
        "eval/dist_p90",
        "distance_metrics",
        "p90",
        "lower",
        "90th percentile of these distances.",
        "px",
    ),
    Metric(
        "eval/dist_p95",
        "distance_metrics",
        "p95",
        "lower",
        "95th percentile of these distances.",
        "px",
    ),
    Metric(
        "eval/dist_p99",
        "distance_metrics",
        "p99",
        "lower",
        "99th percentile of these distances.",
        "px",
    ),
    Metric(
        "eval/pck",
        "pck_metrics",
        "mPCK",
        "higher",
        "Share of nodes of matched instances within 1, 2, … 10 px, averaged over the ten; "
        "a node that is not labelled or not predicted counts as beyond.",
    ),
    Metric(
        "eval/pck_5",
        "pck_metrics",
        "PCK@5",
        "higher",
        "Share of nodes of matched instances within 5 px, counted as in `eval/pck`.",
    ),
    Metric(
        "eval/pck_10",
        "pck_metrics",
        "PCK@10",
        "higher",
        "Share of nodes of matched instances within 10 px, counted as in `eval/pck`.",
    ),
    Metric(
        "eval/visibility_precision",
        "visibility_metrics",
        "precision",
        "higher",
        "Share of predicted nodes that are labelled.",
    ),
    Metric(
        "eval/visibility_recall",
        "visibility_metrics",
        "recall",
        "higher",
        "Share of labelled nodes that were predicted.",
    ),
    Metric(
        "coco/ap",
        "coco",
        "ap",
        "higher",
        "Mean average precision over OKS 0.50 to 0.95; "
        "extra predictions and labelled frames without predictions count against it.",
    ),
    Metric("coco/ap_50", "coco", "ap_50", "higher", "The same at OKS 0.50."),
    Metric("coco/ap_75", "coco", "ap_75", "higher", "The same at OKS 0.75."),
    Metric(
        "coco/ar",
        "coco",
        "ar",
        "higher",
        "Mean recall over OKS 0.50 to 0.95, of all labelled instances.",
    ),
    Metric(
        "coco/precision_50",
        "coco",
        "precision_50",
        "higher",
        "Share of predicted instances that match a true one, at OKS 0.50.",
    ),
    Metric(
        "coco/recall_50",
        "coco",
        "recall_50",
        "higher",
        "Share of labelled instances that are found, at OKS 0.50.",
    ),
    Metric("coco/f1_50", "coco", "f1_50", "higher", "Harmonic mean of these two."),
    Metric(
        "coco/precision_75",
        "coco",
        "precision_75",
        "higher",
        "Share of predicted instances that match a true one, at OKS 0.75.",
    ),
    Metric(
        "coco/recall_75",
        "coco",
        "recall_75",
        "higher",
        "Share of labelled instances that are found, at OKS 0.75.",
    ),
    Metric("coco/f1_75", "coco", "f1_75", "higher", "Harmonic mean of these two."),
    Metric(
        "coco/pck_size_05",
        "coco",
        "pck_size_05",
        "higher",
        "Share of all labelled nodes predicted within 5% of the body size.",
    ),
    Metric(
        "coco/pck_size_10",
        "coco",
        "pck_size_10",
        "higher",
        "Share of all labelled nodes predicted within 10% of the body size.",
    ),
    Metric(
        "identity/hota",
        "identity",
        "hota",
        "higher",
        "Higher order tracking accuracy: detection and association combined.",
    ),
    Metric(
        "identity/deta",
        "identity",
        "deta",
        "higher",
        "Detection accuracy, the detection half of HOTA.",
    ),
    Metric(
        "identity/assa",
        "identity",
        "assa",
        "higher",
        "Association accuracy, the identity half of HOTA.",
    ),
    Metric(
        "identity/idf1",
        "identity",
        "idf1",
        "higher",
        "F1 of detections with the right identity over the whole video.",
    ),
    Metric(
        "identity/idp",
        "identity",
        "idp",
        "higher",
        "Share of predicted detections with the right identity.",
    ),
    Metric(
        "identity/idr",
        "identity",
        "idr",
        "higher",
        "Share of true detections found with the right identity.",
    ),
    Metric(
        "identity/mota",
        "identity",
        "mota",
        "higher",
        "1 - (misses + false positives + switches) / true detections.",
    ),
    Metric("identity/motp", "identity", "motp", "higher", "Mean similarity of matched detections."),
    Metric(
        "identity/switches",
        "identity",
        "switches",
        "lower",
        "Times a true track is matched with another predicted track than before.",
        "count",
    ),
    Metric(
        "identity/fragmentations",
        "identity",
        "fragmentations",
        "lower",
        "Times a lost true track is found again.",
        "count",
    ),
    Metric(
        "identity/misses",
        "identity",
        "misses",
        "lower",
        "True detections that were not found.",
        "count",
    ),
    Metric(
        "identity/false_positives",
        "identity",
        "false_positives",
        "lower",
        "Predicted detections where there is no true one.",
        "count",
    ),
    Metric(
        "quality/expected_animals",
        "quality",
        "expected_animals",
        "",
        "Animals that most frames of a video hold, or as many as the tracker was told.",
        "count",
    ),
    Metric(
        "quality/frames_with_fewer",
        "quality",
        "frames_with_fewer",
        "lower",
        "Proxy: share of frames with fewer animals than expected.",
        "share",
    ),
    Metric(
        "quality/frames_with_more",
        "quality",
        "frames_with_more",
        "lower",
        "Proxy: share of frames with more animals than expected.",
        "share",
    ),
    Metric(
        "quality/extra_tracks",
        "quality",
        "extra_tracks",
        "lower",
        "Proxy: tracks beyond the expected animals, over all videos.",
        "count",
    ),
    Metric(
        "quality/gaps",
        "quality",
        "gaps",
        "lower",
        "Proxy: times a track comes back after frames without it.",
        "count",
    ),
    Metric(
        "quality/jumps_per_1000",
        "quality",
        "jumps_per_1000",
        "lower",
        "Proxy: poses in 1,000 that move, or have a node that moves, much farther than usual.",
        "count",
    ),
    Metric(
        "quality/flips_per_1000",
        "quality",
        "flips_per_1000",
        "lower",
        "Proxy: poses in 1,000 whose left and right nodes change places.",
        "count",
    ),
    Metric(
        "quality/bone_spread",
        "quality",
        "bone_spread",
        "lower",
        "Proxy: robust spread of bone lengths, relative to their medians.",
        "share",
    ),
    Metric(
        "quality/stretched_per_1000",
        "quality",
        "stretched_per_1000",
        "lower",
        "Proxy: poses in 1,000 with a bone that is much longer than usual.",
        "count",
    ),
    Metric(
        "quality/doubles_per_1000",
        "quality",
        "doubles_per_1000",
        "lower",
        "Proxy: poses in 1,000 that lie on another pose of the frame.",
        "count",
    ),
    Metric(
        "quality/mixed_per_1000",
        "quality",
        "mixed_per_1000",
        "lower",
        "Proxy: poses in 1,000 with the nodes of two animals.",
        "count",
    ),
    Metric(
        "quality/drops_per_1000",
        "quality",
        "drops_per_1000",
        "lower",
        "Proxy: poses in 1,000 with a node that is much less confident than usual.",
        "count",
    ),
    Metric(
        "quality/bad_frames",
        "quality",
        "bad_frames",
        "lower",
        "Share of all frames with a missed animal or a ghost, estimated from the labelled frames "
        "and the signs of errors in all frames.",
        "share",
    ),
    Metric(
        "quality/bad_frames_low",
        "quality",
        "bad_frames_low",
        "",
        "Lower limit of its 95% interval.",
        "share",
    ),
    Metric(
        "quality/bad_frames_high",
        "quality",
        "bad_frames_high",
        "",
        "Upper limit of its 95% interval.",
        "share",
    ),
    Metric(
        "quality/error",
        "quality",
        "error",
        "lower",
        "Mean error of the nodes of found animals over all frames, estimated in the same way.",
        "px",
    ),
    Metric(
        "quality/error_low",
        "quality",
        "error_low",
        "",
        "Lower limit of its 95% interval.",
        "px",
    ),
    Metric(
        "quality/error_high",
        "quality",
        "error_high",
        "",
        "Upper limit of its 95% interval.",
        "px",
    ),
)

NOT_LOGGED = frozenset(
    {
        *(
            "eval/n_frame_pairs",
            "eval/n_frames",
            "eval/oks_mar",
            "eval/visibility_precision",
            "eval/visibility_recall",
        ),
        *("eval/dist_p75", "eval/dist_p95", "eval/dist_p99"),
        *("coco/precision_75", "coco/recall_75", "coco/f1_75", "coco/pck_size_05"),
        *(
            "identity/deta",
            "identity/assa",
            "identity/idp",
            "identity/idr",
            "identity/motp",
            "identity/fragmentations",
        ),
    }
)
"""Metrics that are in `metrics.json` but not logged to MLflow, to keep its table of runs narrow."""
