"""Tracking: give the detections of each animal one identity over time."""

from sleap_lab.tracking.tracker import named_apart, track

__all__ = ["named_apart", "track"]
