"""What an experiment returns to Python."""

from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import sleap_io as sio

from sleap_lab import terminal
from sleap_lab.errors import RunError, SleapLabError, counted, did_you_mean
from sleap_lab.media.labels import read_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.poses.record import Poses
from sleap_lab.runs.folder import REPORT
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import DataConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sleap_lab.evaluation import Evaluation


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
    evaluation: "Evaluation | None" = None

    def __repr__(self) -> str:
        """Return status, counts and folder in a line."""
        counts = self.summary.counts
        told = [
            counted(counts[name], name.removesuffix("s"))
            for name in ("frames", "instances", "tracks")
            if name in counts
        ]
        return f"Result({', '.join([self.summary.status, *told])}, {terminal.shown(self.folder)})"

    def _repr_html_(self) -> str:
        """Return a table of counts and metrics, for notebooks."""
        import html

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

    def plot(self, frame: int | None = None, video: int = 0, axes: "Axes | None" = None) -> "Axes":
        """Draw the poses of a frame on its image, or alone where the image cannot be read.

        Args:
            frame: The frame; the first one with a pose by default.
            video: Its video, where there are several.
            axes: Where to draw; new axes by default.

        Returns:
            The axes.

        Raises:
            RunError: There are no poses, or the frame was not processed.
        """
        from sleap_lab.poses.plot import draw_frame

        poses = self._poses()
        processed = poses.frames[poses.frames[:, 0] == video, 1].tolist()
        if frame is None:
            frame = min(poses.frame[poses.video == video].tolist() or processed, default=-1)
        if frame not in processed:
            some = f"{min(processed)} to {max(processed)}" if processed else "none"
            raise RunError(f"frame {frame} of video {video} was not processed; frames: {some}")
        try:
            settings = read_document(self.folder, "config.yaml")
            predicted = settings["model"]["kind"] != "none"
            source = open_source(DataConfig(**settings["data"]), predicting=predicted)
            image = source.read(video, frame)
        except SleapLabError as error:
            terminal.note(f"the poses are drawn without their image: {error}")
            return draw_frame(poses, video, frame, None, axes)
        return draw_frame(poses, video, frame, image, axes)

    def _poses(self) -> Poses:
        if self.poses is None:
            raise RunError("there are no poses: the run failed before there were any")
        return self.poses

    def to_dataframe(self) -> Any:
        """Return a pandas table: a row per instance, with x, y and score of each node.

        Coordinates are px of image space; nan where a node was not found.

        Raises:
            RunError: There are no poses, or pandas is not installed.
        """
        poses = self._poses()
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise RunError("a table needs pandas: pip install pandas") from error
        columns: dict[str, Any] = {"video": poses.video, "frame": poses.frame}
        columns["track"] = [poses.track_names[i] if i >= 0 else None for i in poses.tracks.tolist()]
        columns["score"] = poses.instance_scores
        for i, node in enumerate(poses.skeleton.nodes):
            columns[f"{node}.x"], columns[f"{node}.y"] = poses.points[:, i].T
            columns[f"{node}.score"] = poses.point_scores[:, i]
        return pandas.DataFrame(columns)
