"""What an evaluation found, and what its headline numbers mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sleap_lab.evaluation.breakdown import Row
from sleap_lab.evaluation.frames import FrameTable
from sleap_lab.evaluation.identity_counts import Counts
from sleap_lab.evaluation.intervals import Intervals
from sleap_lab.evaluation.match import FramePair, Matches
from sleap_lab.evaluation.switches import Switch
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.settings.metrics import METRICS


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How predictions compare with ground truth.

    Attributes:
        metrics: Nested dictionary in the layout of sleap-nn's `evaluate()`.
        settings: The values that were used, by the names of the config keys.
        matches: Which prediction belongs to which true instance.
        frame_pairs: The frames compared.
        coco: Detection metrics over every labelled frame, by name; empty where centroids are
            matched.
        table: What each labelled frame adds to the metrics.
        intervals: Intervals of the headline numbers; None where they were not asked for.
        breakdown: Accuracy by video, animal and node, and of animals in a crowd and alone.
        identity: Identity metrics by name, of all videos together; None where they are disabled or
            meaningless.
        identity_by_video: The same of each video that took part, by its index in the ground truth.
        identity_counts: The counts from which those of each of these videos are formed, in the
            same order; they can be combined anew.
        video_names: Names of the videos of the ground truth; may be fewer than there are.
        switches: Every identity switch.
        videos: Which videos were compared, and the reason.
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
        """Return the metrics worth comparing, by the names in `METRICS`; nan where undefined."""
        counts = {
            "n_frame_pairs": len(self.frame_pairs),
            "n_matched": len(self.matches.truth_rows),
            "n_missed": len(self.matches.false_negatives),
        }
        if self.table is not None:
            counts["n_frames"] = len(self.table.frame)
        groups = {
            **self.metrics,
            "counts": counts,
            "coco": self.coco,
            "identity": self.identity or {},
        }
        return {
            m.name: float(groups[m.group][m.key])
            for m in METRICS
            if m.key in groups.get(m.group, {})
        }

    def video_name(self, video: int) -> str:
        """Return the name of a video of the ground truth, or its index."""
        return self.video_names[video] if video < len(self.video_names) else str(video)

    def __str__(self) -> str:
        lines = [f"{name:<30}{value:>14.6g}" for name, value in self.headline().items()]
        lines.append(
            "with " + ", ".join(f"{name}={value}" for name, value in self.settings.items())
        )
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])
