"""Search tracker and filter settings on detections made once, scored against ground truth."""
