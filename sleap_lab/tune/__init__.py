"""Searching tracker and filter settings on detections that were made once, scored against ground truth."""
