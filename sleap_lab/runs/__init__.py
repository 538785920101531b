"""What is kept of a run: its summary, its snapshot, and their mirror in MLflow."""
