"""What an experiment returns to Python."""

import html
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import sleap_io as sio

from sleap_lab import terminal
from sleap_lab.errors import RunError, did_you_mean
from sleap_lab.evaluation import Evaluation
from sleap_lab.media.labels import read_labels
from sleap_lab.poses.record import Poses
from sleap_lab.runs.results import REPORT
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.summary import RunSummary


@dataclass(frozen=True, repr=False)
class Result:
    """The result of an experiment.

    Attributes:
        folder: The run folder.
        summary: How it went: status, exit code, counts, metrics, stage times.
        poses: The poses, unless it failed before there were any.
        evaluation: The metrics, where it was evaluated.
    """

    folder: Path
    summary: RunSummary
    poses: Poses | None = None
    evaluation: Evaluation | None = None

    def __repr__(self) -> str:
        """Return status, counts and folder in a line."""
        counts = self.summary.counts
        told = [
            f"{counts[name]} {name}" for name in ("frames", "instances", "tracks") if name in counts
        ]
        return f"Result({', '.join([self.summary.status, *told])}, {terminal.shown(self.folder)})"

    def _repr_html_(self) -> str:
        """Return a table of counts and metrics, for notebooks."""
        rows = {**self.summary.counts, **{name: f"{v:.4g}" for name, v in self.metrics.items()}}
        cells = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows.items())
        return f"<p>{html.escape(repr(self))}</p><table>{cells}</table>"

    def __getattr__(self, name: str) -> NoReturn:
        """Refuse an attribute that does not exist, with the nearest spelling."""
        known = [known for known in dir(type(self)) if not known.startswith("_")]
        known += [field.name for field in fields(self)]
        raise AttributeError(f"Result has no attribute {name!r}.{did_you_mean(name, known)}")

    @property
    def metrics(self) -> dict[str, float]:
        """Headline metrics by name, as `eval/oks_map`."""
        return self.summary.metrics

    @property
    def report(self) -> Path | None:
        """The report, if one was written."""
        page = self.folder / REPORT
        return page if page.is_file() else None

    @property
    def labels(self) -> sio.Labels:
        """The predictions that were written, as sleap-io opens them.

        Raises:
            RunError: No `.slp` file was written, or it is not there any more.
        """
        chosen = read_document(self.folder, "config.yaml")["output"]["path"]
        return read_labels(Path(chosen or self.folder / "predictions.slp"))

    def to_dataframe(self) -> Any:
        """Return a pandas table: a row per instance, with x, y and score of each node.

        Coordinates are px of image space; nan where a node was not found.

        Raises:
            RunError: There are no poses, or pandas is not installed.
        """
        if self.poses is None:
            raise RunError("there are no poses to put into a table")
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise RunError("a table needs pandas: pip install pandas") from error
        poses = self.poses
        columns: dict[str, Any] = {"video": poses.video, "frame": poses.frame}
        columns["track"] = [poses.track_names[i] if i >= 0 else None for i in poses.tracks.tolist()]
        columns["score"] = poses.instance_scores
        for i, node in enumerate(poses.skeleton.nodes):
            columns[f"{node}.x"], columns[f"{node}.y"] = poses.points[:, i].T
            columns[f"{node}.score"] = poses.point_scores[:, i]
        return pandas.DataFrame(columns)
