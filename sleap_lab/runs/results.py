"""The files that a run writes to its folder: predictions, scores, report and overlay video."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import sleap_io as sio

from sleap_lab.errors import listed
from sleap_lab.evaluation import Evaluation, write_metrics, write_switches
from sleap_lab.evaluation.truth import Truth
from sleap_lab.media.bad_frames import BAD_FRAMES_FILE, bad_ranges, video_table, write_bad_frames
from sleap_lab.media.formats import Written, write_formats
from sleap_lab.media.labels import leave_out_empty_frames, save_labels, to_labels, with_suggestions
from sleap_lab.media.sources import Frame, Source
from sleap_lab.poses.record import Poses
from sleap_lab.runs.folder import Invocation
from sleap_lab.runs.snapshot import flatten
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import Config, defaults

REPORT, OVERLAY = "report.html", "overlay.mp4"
FIGURE_FILES = {"none": (), "svg": ("svg",), "png": ("png",), "both": ("svg", "png")}


def record_frames(
    summary: RunSummary,
    poses: Poses,
    bad_frames: Sequence[Frame],
    source: Source,
    folder: Path,
    *,
    predicted: bool,
) -> None:
    """Record the outcome of the requested frames, and write the bad frames as a table.

    Args:
        summary: Gets counts, bad frames and videos.
        poses: The result.
        bad_frames: Unreadable frames.
        source: Opened videos and selected frames.
        folder: The run folder.
        predicted: Whether poses were predicted, and not only read.
    """
    summary.counts = {
        "requested_frames": len(source.frames),
        "frames": len(poses.frames),
        "frames_without_instances": sum(not len(rows) for *_, rows in poses.by_frame()),
        "instances": len(poses),
        "tracks": len(set(poses.tracks[poses.tracks >= 0].tolist())),
        "bad_frames": len(bad_frames),
    }
    summary.bad_frames = bad_ranges(source, bad_frames)
    summary.videos = video_table(source, bad_frames) if predicted else []
    if bad_frames:
        write_bad_frames(folder / BAD_FRAMES_FILE, source, bad_frames)


def write_predictions(
    predictions: sio.Labels, source: Source, config: Config, folder: Path
) -> Written:
    """Write the predictions in every requested format; nothing if nothing was predicted or tracked.

    Args:
        predictions: The labels; empty frames are removed if `output.no_empty_frames` is set.
        source: Opened videos and selected frames.
        config: The experiment.
        folder: The run folder.
    """
    if not config.output.make_labels or (
        config.model.kind == "none" and not config.tracker.tracking
    ):
        return Written([], [], [])
    path = (
        Path(config.output.path) if config.output.path is not None else folder / "predictions.slp"
    )
    if config.output.no_empty_frames:
        leave_out_empty_frames(predictions)
    return write_formats(predictions, path, config.output.formats, source.times)


def write_scores(
    evaluation: Evaluation,
    predictions: sio.Labels,
    summary: RunSummary,
    config: Config,
    folder: Path,
) -> None:
    """Write the metrics and the identity switches.

    The switches are written as a table, and as labels with suggestions that the SLEAP GUI steps
    through.
    """
    write_metrics(evaluation, folder / "metrics.npz", bad_frames=summary.bad_frames)
    if config.evaluator.save_metrics is not None:
        write_metrics(evaluation, config.evaluator.save_metrics, bad_frames=summary.bad_frames)
    if evaluation.identity is None:
        return
    write_switches(evaluation, folder / "switches.csv")
    if evaluation.switches:
        frames = ((switch.pose_video, switch.frame) for switch in evaluation.switches)
        save_labels(with_suggestions(predictions, frames), folder / "switches.slp")


def write_page(
    folder: Path,
    summary: RunSummary,
    config: Config,
    invocation: Invocation,
    device: str,
    source: Source,
    poses: Poses,
    truth: Truth | None,
    evaluation: Evaluation | None,
) -> None:
    """Write the report of a run.

    Args:
        folder: The run folder.
        summary: How the run went.
        config: The experiment.
        invocation: Command line and overrides of the run.
        device: Where the networks ran.
        source: Opened videos and selected frames.
        poses: The result.
        truth: Ground truth, where it was evaluated.
        evaluation: The metrics, where it was evaluated.
    """
    from sleap_lab.report import write_report

    write_report(
        folder / REPORT,
        settings=flatten(asdict(config)),
        defaults=defaults(),
        summary=_headline(summary, config, invocation, device),
        poses=poses,
        truth=truth.poses if truth is not None else source.truth,
        evaluation=evaluation,
        read_image=source.read,
        notes=[*source.notes, *summary.notes],
        videos=summary.videos,
        bad_frames=summary.bad_frames,
        figure_files=FIGURE_FILES[config.report_figures],
    )


def _headline(
    summary: RunSummary, config: Config, invocation: Invocation, device: str
) -> dict[str, object]:
    """Return what the report says about the run itself."""
    counts: dict[str, float] = dict(summary.counts)
    data: str | list[str] = config.data.path
    if "speed/frames_per_second" in summary.metrics:
        counts["frames_per_second"] = summary.metrics["speed/frames_per_second"]
    return {
        "title": listed(
            [Path(path).name for path in ([data] if isinstance(data, str) else data)], 1
        ),
        "status": summary.status,
        "command": shlex.join(invocation.command),
        "started": f"{summary.started[:19].replace('T', ' ')} UTC",
        "device": device,
        "stages": summary.stages,
        "cache": summary.cache,
        "counts": counts,
        "models": list(config.model.paths),
        "data": data,
    }


def write_overlay(
    source: Source, config: Config, folder: Path, poses: Poses, evaluation: Evaluation | None
) -> None:
    """Write the video with the poses drawn in: all of it, or its worst moments."""
    from sleap_lab.report.clip import with_pictures, worst_frames, write_clip, write_video

    path = folder / OVERLAY
    # These labels leave out predictions that a user instance corrects.
    predictions = with_pictures(to_labels(poses, source.videos), source.read)
    if config.output.overlay_video == "full":
        write_video(predictions, path)
    elif moments := worst_frames(poses, evaluation):
        write_clip(predictions, path, moments)
