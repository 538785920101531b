"""Quality of poses and tracks without ground truth."""
