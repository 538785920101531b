"""One experiment: the chain of stages, and the run folder it leaves behind.

    source → predict → filter → track → evaluate → report → log

The run folder is the truth. It is complete before anything is logged to MLflow, and whatever happens
`run.json` says how the run ended.
"""

import logging
import shlex
import traceback
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import sleap_io as sio

from sleap_lab import terminal
from sleap_lab.errors import ConfigError, RunError, SleapLabError, listed, system_problem
from sleap_lab.evaluation import Evaluation, evaluate, write_metrics, write_switches
from sleap_lab.evaluation.truth import open_truth
from sleap_lab.evaluation.videos import compared, match_videos
from sleap_lab.inference.cached import RESUMED, detect_cached, index_cached, open_cache, track_cached
from sleap_lab.inference.detect import Inference, device_name, predicted_skeleton, refine
from sleap_lab.inference.interruption import interruptible
from sleap_lab.inference.labels import result_labels
from sleap_lab.inference.outputs import OUTPUTS_FILE, detect_to_file
from sleap_lab.inference.shards import check_devices, predictor
from sleap_lab.inference.stopwatch import Stopwatch, predicting_seconds
from sleap_lab.media.bad_frames import BAD_FRAMES_FILE, bad_ranges, losses, video_table, write_bad_frames
from sleap_lab.media.formats import Written, write_formats
from sleap_lab.media.labels import leave_out_empty_frames, save_labels, to_labels, with_suggestions
from sleap_lab.media.sources import Frame, Source, open_source
from sleap_lab.poses.record import Poses
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.folder import LOG_FILE, Invocation, new_folder
from sleap_lab.runs.log import logging_to
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.occupancy import occupied
from sleap_lab.runs.snapshot import flatten, write_snapshot
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.compose import as_typed, compose_config
from sleap_lab.settings.config import OUTPUTS, Config, defaults, wants_arrays
from sleap_lab.settings.credentials import conceal, redact

log = logging.getLogger("sleap_lab")

FIGURE_FILES = {"none": (), "svg": ("svg",), "png": ("png",), "both": ("svg", "png")}
VIDEO_COLUMNS = ("video", "asked", "read", "bad", "status")
OVERLAY = "overlay.mp4"
TERMINAL_METRICS = (
    "eval/n_matched",
    "eval/n_missed",
    "eval/n_frames",
    "coco/ap",
    "eval/oks_map",
    "eval/moks",
    "eval/dist_avg",
    "eval/dist_p50",
    "eval/dist_p90",
    "eval/pck",
    "eval/centroid_precision",
    "eval/centroid_recall",
    "identity/switches",
    "identity/idf1",
    "identity/mota",
    "identity/hota",
)
"""Metrics worth a line in the terminal; all of them are in `metrics.json`."""


@dataclass(frozen=True)
class Result:
    """What an experiment left.

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


def run_experiment(overrides: Sequence[str], *, folder: str | Path | None = None) -> Result:
    """Run one experiment from Python, as `sleap-lab` would with the same overrides.

    Args:
        overrides: `KEY=VALUE` strings.
        folder: Run folder; a new one under `outputs/` by default.

    Raises:
        ConfigError: The overrides are wrong, or the folder holds another run.
        RunError: The run failed; the run folder says how.
    """
    overrides = list(map(conceal, overrides))
    config, node = compose_config(overrides)
    holding = nullcontext() if folder is None else occupied(Path(folder))
    folder = new_folder(Path(OUTPUTS)) if folder is None else Path(folder)
    choices = {str(name): str(option) for name, option in node.hydra.runtime.choices.items() if "/" not in str(name)}
    command = ["sleap-lab", *overrides]
    with holding as mlflow:
        result = run(config, folder, Invocation(command, list(overrides), choices, mlflow=mlflow))
    if result.summary.exit_code == ConfigError.exit_code:
        raise ConfigError(result.summary.error)
    if result.summary.status in ("failed", "interrupted"):
        raise RunError(f"{result.summary.error} (see {folder / LOG_FILE})")
    return result


def run(config: Config, folder: Path, invocation: Invocation) -> Result:
    """Run an experiment in its folder; what goes wrong is recorded there and reported in one line, not raised.

    Args:
        config: The checked config.
        folder: The run folder.
        invocation: How it was asked for.

    Raises:
        KeyboardInterrupt: The user stopped it; the folder says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = RunSummary(
        overrides=list(invocation.overrides), choices=invocation.choices or {}, job=invocation.job, mlflow=invocation.mlflow
    )
    result = Result(folder, summary)
    interrupted = False
    with logging_to(folder / LOG_FILE, verbose=config.verbose):
        run_summary.write(folder, summary)
        try:
            with interruptible():
                result = _run_stages(config, folder, summary, invocation)
        except SleapLabError as error:
            _record_failure(summary, error, str(error), debug=config.debug)
        except KeyboardInterrupt:
            interrupted = True
            summary.status, summary.exit_code, summary.error = "interrupted", 130, "interrupted by the user"
            if config.cache == "rw" and invocation.job is None:
                terminal.warn(f"what was done so far is kept; go on with: {as_typed(invocation.command)}")
        except OSError as error:
            _record_failure(summary, error, system_problem(error), debug=config.debug)
        except Exception as error:
            _record_failure(summary, error, f"{type(error).__name__}: {' '.join(str(error).split())}", debug=config.debug)
        summary.ended = run_summary.now()
        run_summary.write(folder, summary)
        if config.logger.mlflow and invocation.job is None and summary.exit_code != ConfigError.exit_code:
            _log_to_mlflow(config, folder)
    if interrupted:
        raise KeyboardInterrupt
    return Result(folder, run_summary.read(folder), result.poses, result.evaluation)


def _record_failure(summary: RunSummary, error: Exception, message: str, *, debug: bool) -> None:
    summary.status, summary.error = "failed", message
    summary.exit_code = error.exit_code if isinstance(error, SleapLabError) else 1
    log.error("%s", message)
    log.debug("".join(traceback.format_exception(error)))
    if debug:
        traceback.print_exception(error)
    if summary.job is None:  # whoever runs a sweep says which job it was
        terminal.fail(message)


def _log_to_mlflow(config: Config, folder: Path) -> None:
    try:
        with Stopwatch({})("log"):  # told in the log file only: what is logged to MLflow is complete before
            log_run(folder, config.logger, outputs_root=Path(OUTPUTS).absolute())
    except Exception as error:  # the run itself is done and kept
        log.debug(redact("".join(traceback.format_exception(error))))
        terminal.warn(str(error))


def _run_stages(config: Config, folder: Path, summary: RunSummary, invocation: Invocation) -> Result:
    stage = Stopwatch(summary.stages, tell=partial(_tell, invocation=invocation))
    cache = open_cache(config, _warn)
    with stage("open"):
        source = open_source(config.data, predicting=config.model.kind != "none", index=index_cached(cache))
        truth = open_truth(config, source, predicted_skeleton(config, source)) if config.evaluator.evaluate else None
    with stage("load"):
        device = device_name(config)
        check_devices(device, config.runtime.devices)
    for note in (*source.notes, *(truth.notes if truth is not None else ())):
        _warn(note)
    with stage("snapshot"):
        _snapshot(config, source, folder, invocation, device)
    watch = partial(_watch, everything=len(source.frames), invocation=invocation)
    arrays = _arrays_file(config, folder)
    if arrays is not None:
        detected = detect_to_file(source, config, arrays, stage=stage, watch=watch)
    else:
        predict = predictor(config, device, cache, summary.cache)
        detected = detect_cached(source, config, device, cache, summary.cache, stage=stage, watch=watch, predict=predict)
    inference = refine(detected, source, config, stage=stage, track=track_cached(source, config, cache, summary.cache))
    if (seconds := predicting_seconds(summary.stages)) and summary.cache.get("predict") != RESUMED:
        summary.metrics["speed/frames_per_second"] = round(len(inference.poses.frames) / seconds, 3)
    notes = [*inference.notes, *losses(source, inference.bad_frames)]
    files: list[Path] = []
    failed: list[str] = []
    with stage("write"):
        predictions = result_labels(inference, source, config)
        summary.counts = _counts(inference, len(source.frames))
        summary.bad_frames = bad_ranges(source, inference.bad_frames)
        if inference.bad_frames:
            write_bad_frames(folder / BAD_FRAMES_FILE, source, inference.bad_frames)
        summary.videos = video_table(source, inference.bad_frames) if config.model.kind != "none" else []
        if config.output.make_labels and (config.model.kind != "none" or config.tracker.tracking):
            files, lost, failed = _write_predictions(predictions, source, config, folder)
            notes += [*lost, *failed]
    if arrays is not None:
        files.append(arrays)
    evaluation = None
    if truth is not None:
        with stage("evaluate"):
            videos = truth.videos or match_videos(truth.labels, predictions, config.evaluator.video_map)
            chosen = config.model.kind != "none" or config.data.frames is not None
            evaluation = evaluate(
                truth.poses,
                inference.poses,
                config.evaluator,
                videos=compared(videos),
                video_names=truth.names,
                video_matches=videos,
                requested=source.frames if chosen else None,
            )
            write_metrics(evaluation, folder / "metrics.npz", bad_frames=summary.bad_frames)
            if config.evaluator.save_metrics is not None:
                write_metrics(evaluation, config.evaluator.save_metrics, bad_frames=summary.bad_frames)
            if evaluation.identity is not None:
                _write_switches(evaluation, predictions, folder)
            summary.metrics |= evaluation.headline()
    incomplete = inference.bad_frames or source.unreadable or source.cut_short or failed
    summary.status, summary.exit_code = ("partial", 3) if incomplete else ("finished", 0)
    if config.report == "html":
        with stage("report"):
            from sleap_lab.report import write_report

            write_report(
                folder / "report.html",
                settings=flatten(asdict(config)),
                defaults=defaults(),
                summary=_headline(summary, config, inference, invocation),
                poses=inference.poses,
                truth=truth.poses if truth is not None else source.truth,
                evaluation=evaluation,
                read_image=source.read,
                notes=[*source.notes, *notes],
                videos=summary.videos,
                bad_frames=summary.bad_frames,
                figure_files=FIGURE_FILES[config.report_figures],
            )
    if config.output.overlay_video:
        with stage("overlay"):
            _write_overlay(source, config, folder, inference.poses, evaluation)
    result = Result(folder, summary, inference.poses, evaluation)
    _show(result, config, invocation, notes, files)
    return result


def _watch(frames: Iterable[Frame], left: int, everything: int, invocation: Invocation) -> Iterable[Frame]:
    """Show how many of all frames are done, those that an earlier run did included."""
    return terminal.progress(frames, everything, _of_job("predicting", invocation), before=everything - left, bar=invocation.job is None)


def _tell(what: str, invocation: Invocation) -> None:
    terminal.doing(_of_job(what, invocation))


def _of_job(what: str, invocation: Invocation) -> str:
    return what if invocation.job is None else f"job {invocation.job}: {what}"


def _snapshot(config: Config, source: Source, folder: Path, invocation: Invocation, device: str) -> None:
    inputs = {
        **_input_files(config, source),
        "evaluator.ground_truth_path": config.evaluator.ground_truth_path,
        "model.backbone_ckpt_path": config.model.backbone_ckpt_path,
        "model.head_ckpt_path": config.model.head_ckpt_path,
    }
    write_snapshot(
        folder,
        config=asdict(config),
        overrides=invocation.overrides,
        command=invocation.command,
        inputs={name: Path(path) for name, path in inputs.items() if path is not None},
        models=[Path(path) for path in config.model.paths],
        device=device,
        videos=source.reading(),
    )


def _input_files(config: Config, source: Source) -> dict[str, str]:
    """Return the files that frames and labels come from, by key; of images in a folder, the folder."""
    path = config.data.path
    if isinstance(path, str) and Path(path).is_dir() and len(source.videos) == 1:
        return {"data.path": path}
    named = {"data.path": path} if isinstance(path, str) and Path(path).is_file() else {}
    looks_at_images = config.model.kind != "none" or config.tracker.use_flow or config.tracker.features == "image"
    others = [str(file) for file in source.files if str(file) != path] if looks_at_images else []
    return named | {f"data.path[{i}]": file for i, file in enumerate(others)}


def _arrays_file(config: Config, folder: Path) -> Path | None:
    """Return the file for what the networks answer, if that is asked for."""
    if not wants_arrays(config.output):
        return None
    chosen = None if config.output.make_labels else config.output.path
    return Path(chosen) if chosen is not None else folder / OUTPUTS_FILE


def _write_predictions(predictions: sio.Labels, source: Source, config: Config, folder: Path) -> Written:
    path = Path(config.output.path) if config.output.path is not None else folder / "predictions.slp"
    if config.output.no_empty_frames:
        leave_out_empty_frames(predictions)
    return write_formats(predictions, path, config.output.formats, source.times)


def _write_switches(evaluation: Evaluation, predictions: sio.Labels, folder: Path) -> None:
    """Write the identity switches as a table and, where there are any, as labels that the SLEAP GUI steps through."""
    write_switches(evaluation, folder / "switches.csv")
    if evaluation.switches:
        frames = ((switch.pose_video, switch.frame) for switch in evaluation.switches)
        save_labels(with_suggestions(predictions, frames), folder / "switches.slp")


def _write_overlay(source: Source, config: Config, folder: Path, poses: Poses, evaluation: Evaluation | None) -> None:
    from sleap_lab.report.clip import with_pictures, worst_frames, write_clip, write_video

    path = folder / OVERLAY
    predictions = with_pictures(to_labels(poses, source.videos), source.read)  # what counts: no guess behind a correction
    if config.output.overlay_video == "full":
        write_video(predictions, path)
    elif moments := worst_frames(poses, evaluation):
        write_clip(predictions, path, moments)


def _counts(inference: Inference, requested: int) -> dict[str, int]:
    poses = inference.poses
    return {
        "requested_frames": requested,
        "frames": len(poses.frames),
        "frames_without_instances": sum(not len(rows) for *_, rows in poses.by_frame()),
        "instances": len(poses),
        "tracks": len(set(poses.tracks[poses.tracks >= 0].tolist())),
        "bad_frames": len(inference.bad_frames),
    }


def _headline(summary: RunSummary, config: Config, inference: Inference, invocation: Invocation) -> dict[str, object]:
    """Return what the report says about the run itself."""
    counts: dict[str, float] = dict(summary.counts)
    data: str | list[str] = config.data.path
    if "speed/frames_per_second" in summary.metrics:
        counts["frames_per_second"] = summary.metrics["speed/frames_per_second"]
    return {
        "title": listed([Path(path).name for path in ([data] if isinstance(data, str) else data)], 1),
        "status": summary.status,
        "command": shlex.join(invocation.command),
        "started": f"{summary.started[:19].replace('T', ' ')} UTC",
        "device": inference.device,
        "stages": summary.stages,
        "cache": summary.cache,
        "counts": counts,
        "models": list(config.model.paths),
        "data": data,
    }


def _warn(text: str) -> None:
    log.warning("%s", text)
    terminal.warn(text)


def _show(result: Result, config: Config, invocation: Invocation, notes: Sequence[str], files: Sequence[Path]) -> None:
    """Show how a run went in a few lines; whoever runs a sweep shows how its jobs went."""
    summary, evaluation = result.summary, result.evaluation
    summary.notes = [*notes, *(evaluation.notes if evaluation is not None else ())]
    for note in summary.notes:
        log.warning("%s", note)
    if invocation.job is not None:
        return
    for note in summary.notes:
        terminal.warn(note)
    metrics = {name: f"{value:.4f}".rstrip("0").rstrip(".") for name, value in summary.metrics.items() if name in TERMINAL_METRICS}
    counts = summary.counts if summary.counts["bad_frames"] else {**summary.counts, "requested_frames": 0}
    rows = [(name.replace("_", " "), str(value)) for name, value in counts.items() if value or name in ("frames", "instances")]
    if summary.cache:
        rows.append(("cache", ", ".join(f"{stage} {outcome}" for stage, outcome in summary.cache.items())))
    if "speed/frames_per_second" in summary.metrics:
        rows.append(("speed", f"{summary.metrics['speed/frames_per_second']:.1f} frames/s"))
    rows += list(metrics.items())
    if evaluation is not None:
        rows.append(("evaluated with", ", ".join(f"{name}={value}" for name, value in evaluation.settings.items())))
        rows.append(("metrics", terminal.shown(config.evaluator.save_metrics or result.folder / "metrics.json")))
    if files:
        rows.append(("predictions", listed([terminal.shown(file) for file in files], 3)))
    if config.report == "html":
        rows.append(("report", terminal.shown(result.folder / "report.html")))
    if (overlay := result.folder / OVERLAY).exists():
        rows.append(("overlay", terminal.shown(overlay)))
    rows.append(("run folder", terminal.shown(result.folder)))
    if len(summary.videos) > 1:
        terminal.grid(VIDEO_COLUMNS, [[terminal.shown(row["video"]), *(row[name] for name in VIDEO_COLUMNS[1:])] for row in summary.videos])
    terminal.table(rows)
