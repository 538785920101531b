"""The records of a run: its summary, its snapshot, and their mirror in MLflow."""
