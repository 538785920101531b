"""The files that a run writes to its folder: predictions, scores, report and overlay video."""

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sleap_io as sio

from sleap_lab.errors import listed
from sleap_lab.files.earlier import replacing_earlier
from sleap_lab.media.bad_frames import BAD_FRAMES_FILE, bad_ranges, video_table, write_bad_frames
from sleap_lab.media.formats.slp import write_slp
from sleap_lab.media.formats.write import Written, write_formats
from sleap_lab.media.labels import save_labels, to_labels, video_name, with_suggestions
from sleap_lab.media.revising import leave_out_empty_frames
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.emptiness import Emptiness
from sleap_lab.poses.record import Poses
from sleap_lab.runs.context import RunContext
from sleap_lab.runs.folder import OVERLAY, REPORT
from sleap_lab.runs.fragments import count_fragments
from sleap_lab.runs.snapshot import flatten
from sleap_lab.runs.titles import apart
from sleap_lab.settings.check_outputs import METRICS_SUFFIXES, metrics_files, writes_predictions
from sleap_lab.settings.config import Config, EvaluatorConfig, defaults
from sleap_lab.settings.inputs import is_glob
from sleap_lab.settings.objective import SPEED

if TYPE_CHECKING:
    from sleap_lab.evaluation import Evaluation
    from sleap_lab.evaluation.radii import Calibration
    from sleap_lab.evaluation.truth import Truth
    from sleap_lab.quality.assess import Quality

MOST_NAMED = 2  # recordings, in the title of a report
FIGURE_FILES = {"none": (), "svg": ("svg",), "png": ("png",), "both": ("svg", "png")}


def record_frames(
    run: RunContext, source: Source, poses: Poses, bad_frames: Sequence[Frame]
) -> None:
    """Record the outcome of the requested frames, and write the bad frames as a table.

    Args:
        run: The run; its summary gets counts, bad frames and videos.
        source: Opened videos and selected frames.
        poses: The result.
        bad_frames: Unreadable frames.
    """
    summary, predicted = run.summary, run.config.model.kind != "none"
    summary.counts |= {
        "requested_frames": len(source.frames),
        "frames": len(poses.frames),
        "frames_without_instances": sum(not len(rows) for *_, rows in poses.by_frame()),
        "instances": len(poses),
        "tracks": len(set(poses.tracks[poses.tracks >= 0].tolist())),
        "fragments": count_fragments(poses),
        "bad_frames": len(bad_frames),
    }
    summary.bad_frames = bad_ranges(source, bad_frames)
    summary.videos = video_table(source, bad_frames) if predicted else []
    if bad_frames:
        write_bad_frames(run.folder / BAD_FRAMES_FILE, source, bad_frames)


def write_predictions(run: RunContext, source: Source, predictions: sio.Labels) -> Written:
    """Write the predictions in every requested format; nothing if nothing was predicted or tracked.

    Args:
        run: The run.
        source: Opened videos and selected frames.
        predictions: The labels; empty frames are removed if `output.no_empty_frames` is set.
    """
    config, output = run.config, run.config.output
    calibration, notes, radii = _calibration(config.evaluator), [], None
    if calibration is not None:
        from sleap_lab.evaluation.radii import radii_of
        from sleap_lab.runs.calibration import calibration_notes

        radii = partial(radii_of, calibration)
        nodes = tuple(node.name for skeleton in predictions.skeletons for node in skeleton.nodes)
        notes = calibration_notes(run, calibration, nodes)
    if not writes_predictions(config):
        return Written([], notes, [])
    path = Path(output.path) if output.path is not None else run.folder / "predictions.slp"
    if output.no_empty_frames:
        leave_out_empty_frames(predictions)
    written = write_formats(
        predictions,
        path,
        output.formats,
        source.times,
        source.digest,
        radii=radii,
        save=partial(
            write_slp, source=source, output=output, centroids=partial(_centroid_name, config)
        ),
    )
    return written._replace(notes=[*written.notes, *notes])


def _calibration(config: EvaluatorConfig) -> "Calibration | None":
    """Return the calibration that a run is given, if any.

    Raises:
        ConfigError: The file is not there, or is no calibration.
    """
    if config.calibration is None:
        return None
    from sleap_lab.evaluation.radii import read_calibration

    return read_calibration(Path(config.calibration))


def _centroid_name(config: Config) -> str:
    """Return how the centroid model of a run defines a centroid, as sleap-nn writes it."""
    if not config.model.paths:
        return ""
    from sleap_lab.pipelines.centroid import centroid_rule
    from sleap_lab.pipelines.pipeline import used_configs

    part, method = centroid_rule(used_configs(config.model)[0], config.preprocessing.anchor_part)
    return f"{method}:{part}" if part else method


def write_scores(
    run: RunContext, source: Source, evaluation: "Evaluation", predictions: sio.Labels
) -> list[str]:
    """Write the metrics and the identity switches.

    The switches are written as a table, and as labels with suggestions that the SLEAP GUI steps
    through.

    Returns:
        A sentence for each earlier file of another place that was kept.
    """
    from sleap_lab.evaluation import write_metrics, write_switches

    folder, bad_frames = run.folder, run.summary.bad_frames
    notes: list[str] = []
    run.summary.metrics |= evaluation.headline()
    write_metrics(evaluation, folder / "metrics.npz", bad_frames=bad_frames)
    elsewhere = run.config.evaluator.save_metrics
    places = metrics_files(elsewhere) if elsewhere is not None else []
    for suffix, place in zip(METRICS_SUFFIXES, places, strict=False):
        if (own := folder / f"metrics{suffix}").is_file():
            with replacing_earlier(place, source.digest, notes) as temporary:
                shutil.copyfile(own, temporary)
    if evaluation.identity is None:
        return notes
    write_switches(evaluation, folder / "switches.csv")
    if evaluation.switches:
        frames = ((switch.pose_video, switch.frame) for switch in evaluation.switches)
        save_labels(with_suggestions(predictions, frames), folder / "switches.slp")
    return notes


def write_quality(
    run: RunContext, source: Source, quality: "Quality", predictions: sio.Labels
) -> None:
    """Write what was found without ground truth, by video, animal and node.

    With `evaluator=quality` the moments to look at are written, too: as a table, and as labels with
    suggestions that the SLEAP GUI steps through.
    """
    from sleap_lab.quality.breakdown import QUALITY_FILE, write_breakdown
    from sleap_lab.quality.suspects import (
        SUSPECTS_FILE,
        SUSPECTS_LABELS,
        suspects,
        write_suspects,
    )

    run.summary.metrics |= quality.metrics
    names = [video_name(video) for video in source.videos]
    write_breakdown(run.folder / QUALITY_FILE, quality, names)
    if not run.config.evaluator.quality:
        return
    run.summary.notes += quality.notes
    moments = suspects(quality)
    write_suspects(run.folder / SUSPECTS_FILE, moments, names)
    if moments:
        frames = ((moment.video, moment.frame) for moment in moments)
        save_labels(with_suggestions(predictions, frames), run.folder / SUSPECTS_LABELS)


def write_page(
    run: RunContext,
    source: Source,
    device: str,
    poses: Poses,
    truth: "Truth | None",
    evaluation: "Evaluation | None",
    quality: "Quality | None",
    empty: Emptiness,
) -> None:
    """Write the report of a run.

    Args:
        run: The run.
        source: Opened videos and selected frames.
        device: Where the networks ran.
        poses: The result.
        truth: Ground truth, where it was evaluated.
        evaluation: The metrics, where it was evaluated.
        quality: Signs of errors, where they were looked for.
        empty: What the networks see where nothing was found.
    """
    from sleap_lab.report.emptiness import empty_pictures
    from sleap_lab.report.numbers import most_per_frame
    from sleap_lab.report.page import write_report
    from sleap_lab.runs.next_steps import next_steps

    summary, names = run.summary, _video_names(source)
    write_report(
        run.folder / REPORT,
        settings=flatten(asdict(run.config)),
        defaults=defaults(),
        summary=_headline(run, source, device),
        poses=poses,
        truth=truth.poses if truth is not None else source.truth,
        evaluation=evaluation,
        quality=quality,
        read_image=source.read,
        notes=[*source.notes, *summary.notes],
        remarks=summary.remarks,
        videos=summary.videos,
        bad_frames=summary.bad_frames,
        calibration=_calibration(run.config.evaluator),
        empty=empty_pictures(empty, poses, source.read, names),
        names=names,
        figure_files=FIGURE_FILES[run.config.report_figures],
        next_steps=list(
            next_steps(
                run,
                evaluated=evaluation is not None,
                tracked=bool((poses.tracks >= 0).any()),
                animals=most_per_frame(poses),
                overlays=_overlays(run, poses, evaluation),
            )
        ),
    )


def _video_names(source: Source) -> list[str]:
    return [str(name) for name in apart([video_name(video) for video in source.videos])]


def _headline(run: RunContext, source: Source, device: str) -> dict[str, object]:
    """Return what the report says about the run itself."""
    summary, config = run.summary, run.config
    counts: dict[str, float] = dict(summary.counts)
    data: str | list[str] = config.data.path
    if SPEED in summary.metrics:
        counts["frames_per_second"] = summary.metrics[SPEED]
    paths = [data] if isinstance(data, str) else data
    if any(is_glob(path) and not path.exists() for path in map(Path, paths)):
        paths = [video_name(source.videos[i]) for i in np.unique(source.frames[:, 0]).tolist()]
    return {
        "title": listed([Path(path).name for path in paths], MOST_NAMED),
        "status": summary.status,
        "command": shlex.join(run.invocation.command),
        "started": f"{summary.started[:19].replace('T', ' ')} UTC",
        "device": device,
        "stages": {name: took for name, took in summary.stages.items() if name != "report"},
        "cache": summary.cache,
        "counts": counts,
        "models": list(config.model.paths),
        "data": data,
    }


def _overlays(run: RunContext, poses: Poses, evaluation: "Evaluation | None") -> list[Path]:
    """Return the files that `write_overlay` makes."""
    from sleap_lab.report.overlay_video import files_of, worst_frames

    path = run.folder / OVERLAY
    if run.config.output.overlay_video == "full":
        return list(files_of(path, np.unique(poses.frames[:, 0]).tolist()).values())
    if run.config.output.overlay_video and worst_frames(poses, evaluation):
        return [path]
    return []


def write_overlay(
    run: RunContext, source: Source, poses: Poses, evaluation: "Evaluation | None"
) -> None:
    """Write the video with the poses drawn in: all of it, or its worst moments."""
    from sleap_lab.report.overlay_video import with_pictures, worst_frames, write_clip, write_video

    path = run.folder / OVERLAY
    # These labels leave out predictions that a user instance corrects.
    predictions = with_pictures(to_labels(poses, source.videos), source.read)
    calibration, radii = _calibration(run.config.evaluator), None
    if calibration is not None:
        from sleap_lab.evaluation.radii import radii_by_score

        radii = partial(radii_by_score, calibration, poses.skeleton.nodes)
    if run.config.output.overlay_video == "full":
        write_video(predictions, path, radii)
    elif moments := worst_frames(poses, evaluation):
        write_clip(predictions, path, moments, radii=radii)
