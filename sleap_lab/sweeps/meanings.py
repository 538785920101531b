"""What the columns of the result table of a sweep mean."""

from collections.abc import Sequence

from sleap_lab.runs.titles import short_name
from sleap_lab.settings.metrics import METRICS

COUNTS = {
    "counts/instances": "Poses found.",
    "counts/frames_without_instances": "Frames in which nothing was found.",
    "counts/tracks": "Tracks.",
    "counts/fragments": "Unbroken stretches of tracks; more than tracks where some were lost.",
    "seconds": "Time of the job; short where another job had done a part of its work.",
}
"""What the columns are that are no metrics."""


def meanings(names: Sequence[str]) -> dict[str, str]:
    """Return what the metrics among the columns are, by short name."""
    helps = {metric.name: metric.meaning for metric in METRICS} | COUNTS
    return {short_name(name, names): helps[name] for name in names if name in helps}
