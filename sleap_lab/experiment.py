"""One experiment: the chain of stages, and the run folder it leaves behind.

    source → predict → filter → track → evaluate → report → log

The run folder is the authoritative record. It is complete before anything is logged to MLflow, and
`run.json` always says how the run ended.
"""

import logging
import traceback
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import sleap_io as sio

from sleap_lab import terminal
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.errors.interruption import EXIT_CODE, interruptible
from sleap_lab.files.log import logging_to
from sleap_lab.inference.automatic import settled
from sleap_lab.inference.cache import Cache, stored_among
from sleap_lab.inference.cached_stages import (
    MISS,
    RESUMED,
    detect_cached,
    index_cached,
    open_cache,
    track_cached,
)
from sleap_lab.inference.detect import Inference, filter_and_track
from sleap_lab.inference.emptiness import look_at_empty
from sleap_lab.inference.labels import result_labels
from sleap_lab.inference.models import device_name
from sleap_lab.inference.outputs import arrays_file, detect_to_file
from sleap_lab.inference.pieces import join_pieces, write_piece
from sleap_lab.inference.preparation import check_stages, open_inputs
from sleap_lab.inference.shards import check_devices, predictor
from sleap_lab.inference.stopwatch import Stage, Stopwatch, paced, predicting_seconds
from sleap_lab.media.bad_frames import bad_frame_notes
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.context import RunContext
from sleap_lab.runs.folder import LOG_FILE, Invocation, new_folder
from sleap_lab.runs.occupancy import occupied
from sleap_lab.runs.results import (
    record_frames,
    write_overlay,
    write_page,
    write_predictions,
    write_quality,
    write_scores,
)
from sleap_lab.runs.returned import Result
from sleap_lab.runs.shown import show_outcome
from sleap_lab.runs.snapshot import snapshot_experiment
from sleap_lab.runs.summary import RunSummary, record_failure
from sleap_lab.runs.system import system_recorded
from sleap_lab.settings.check_tracker import known_animals
from sleap_lab.settings.compose import chosen_options, compose_config
from sleap_lab.settings.config import OUTPUTS, Config
from sleap_lab.settings.credentials import conceal_all, redact
from sleap_lab.settings.objective import SPEED
from sleap_lab.settings.overrides import as_typed, refuse_launcher

if TYPE_CHECKING:
    from sleap_lab.evaluation import Evaluation
    from sleap_lab.evaluation.truth import Truth
    from sleap_lab.quality.assess import Quality

log = logging.getLogger("sleap_lab")


def run_experiment(overrides: Sequence[str], *, folder: str | Path | None = None) -> Result:
    """Run one experiment from Python, as `sleap-lab` would with the same overrides.

    Args:
        overrides: `KEY=VALUE` strings.
        folder: Run folder; a new one under `outputs/` by default.

    Raises:
        ConfigError: The overrides are wrong, or the folder holds another run.
        RunError: The run failed; the run folder says how.
    """
    if isinstance(overrides, str):
        raise ConfigError(
            f"run_experiment: got the text {overrides!r}; accepted: a list of KEY=VALUE texts"
        )
    overrides = conceal_all(overrides)
    config, node = compose_config(overrides)
    refuse_launcher(overrides, node, "run_experiment runs here; leave it out")
    holding = nullcontext() if folder is None else occupied(Path(folder))
    folder = new_folder(Path(OUTPUTS)) if folder is None else Path(folder)
    command, choices = ["sleap-lab", *overrides], chosen_options(node.hydra)
    with holding as mlflow:
        result = run(config, folder, Invocation(command, list(overrides), choices, mlflow=mlflow))
    if result.summary.exit_code == ConfigError.exit_code:
        raise ConfigError(result.summary.error)
    if result.summary.status in ("failed", "interrupted"):
        raise RunError(f"{result.summary.error} (see {folder / LOG_FILE})")
    return result


def run(config: Config, folder: Path, invocation: Invocation) -> Result:
    """Run an experiment in its folder.

    Errors are recorded in the folder and reported in one line, not raised.

    Args:
        config: The checked config.
        folder: The run folder.
        invocation: How the experiment was started.

    Raises:
        KeyboardInterrupt: The user stopped it; the folder says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    summary = RunSummary(
        overrides=list(invocation.overrides),
        choices=invocation.choices or {},
        job=invocation.job,
        mlflow=invocation.mlflow,
    )
    result = Result(folder, summary)
    interrupted = False
    with logging_to(folder / LOG_FILE, verbose=config.verbose):
        run_summary.write(folder, summary)
        try:
            with interruptible():
                result = _work(RunContext(config, folder, invocation, summary))
        except Exception as error:
            record_failure(summary, error, debug=config.debug)
        except KeyboardInterrupt:
            interrupted = True
            summary.status, summary.exit_code, summary.error = (
                "interrupted",
                EXIT_CODE,
                run_summary.announced_stop(folder) or run_summary.BY_USER,
            )
            if config.cache == "rw" and invocation.job is None:
                terminal.warn(
                    f"what was done so far is kept; go on with: {as_typed(invocation.command)}"
                )
        summary.ended = run_summary.now()
        run_summary.write(folder, summary)
        if (
            config.logger.mlflow
            and invocation.job is None
            and summary.exit_code != ConfigError.exit_code
        ):
            _log_to_mlflow(config, folder)
    if interrupted:
        raise KeyboardInterrupt
    return Result(folder, run_summary.read(folder), result.poses, result.evaluation)


def _log_to_mlflow(config: Config, folder: Path) -> None:
    from sleap_lab.runs.links import where_to_look
    from sleap_lab.runs.mlflow_log import log_run

    try:
        # The duration goes to the log file only: the data for MLflow are complete before.
        with Stopwatch({}, terminal.doing)("log"):
            log_run(folder, config.logger, outputs_root=Path(OUTPUTS).absolute())
    except Exception as error:  # the run itself is done and kept
        log.debug(redact("".join(traceback.format_exception(error))))
        terminal.warn(str(error))
    else:
        terminal.table(where_to_look(run_summary.read(folder).mlflow))


def _work(run: RunContext) -> Result:
    """Run the stages, or predict a piece, and record the load of the machine where it is wanted."""
    stages = _run_stages if run.invocation.piece is None else _run_piece
    with system_recorded(run.folder, wanted=run.config.logger.system_metrics):
        return stages(run)


def _run_stages(run: RunContext) -> Result:
    """Run the chain from source to report; the files are left in the folder.

    source → predict → filter → track → evaluate → report
    """
    config, summary = run.config, run.summary
    stage = Stopwatch(summary.stages, announce=partial(_show_stage, invocation=run.invocation))
    cache = open_cache(config, _warn)
    with stage("open"):
        source, truth = open_inputs(config, cache)
        _say(run, [*source.notes, *(truth.notes if truth is not None else ())])
    detected, arrays = _detect(run, source, cache, stage)
    label, bar = _of_job("tracking", run.invocation), run.invocation.job is None
    watching = partial(terminal.watching, label, bar=bar)
    track = track_cached(source, config, cache, summary.cache, watching)
    inference = filter_and_track(detected, source, config, stage=stage, track=track)
    summary.notes = [*inference.notes, *bad_frame_notes(source, inference.bad_frames)]
    found = truth.remarks if truth is not None else ()
    summary.remarks = [*source.remarks, *found, *inference.remarks]
    with stage("write"):
        predictions = result_labels(inference, source, config)
        record_frames(run, source, inference.poses, inference.bad_frames)
        written = write_predictions(run, source, predictions)
        empty = look_at_empty(detected, inference, source, config, cache)
        summary.notes += [*filter(None, [empty.note]), *written.notes, *written.failed]
    quality, evaluation = _evaluate(run, source, inference.poses, predictions, truth, stage)
    summary.cache_entries = stored_among(cache)
    incomplete = inference.bad_frames or source.unreadable or source.cut_short or written.failed
    summary.status, summary.exit_code = ("partial", 3) if incomplete else ("finished", 0)
    if config.report == "html":
        with stage("report"):
            write_page(
                run, source, detected.device, inference.poses, truth, evaluation, quality, empty
            )
    if config.output.overlay_video:
        with stage("overlay"):
            write_overlay(run, source, inference.poses, evaluation)
    show_outcome(run, evaluation, [*written.files, *arrays])
    return Result(run.folder, summary, inference.poses, evaluation)


def _detect(
    run: RunContext, source: Source, cache: Cache, stage: Stopwatch
) -> tuple[Inference, list[Path]]:
    """Predict, or join what other jobs have predicted; a snapshot is taken before the networks run.

    Returns:
        The result, and the files with the network outputs where these are requested.
    """
    if run.invocation.pieces is None:
        device = _checked_device(run.config, source, stage)
        with stage("snapshot"):
            snapshot_experiment(run, source, device)
        return _predict(run, source, device, cache, stage)
    with stage("load"):
        joined = _join(run, source, cache)
    with stage("snapshot"):
        snapshot_experiment(run, source, joined.device)
    return joined, []


def _say(run: RunContext, notes: Iterable[str]) -> None:
    """Show notes on the inputs; those of jobs are shown by the sweep, before the first of them."""
    for note in notes:
        log.warning("%s", note)
        if run.summary.job is None:
            terminal.warn(note)


def _run_piece(run: RunContext) -> Result:
    """Predict a range of the frames, for another job that joins it with the others."""
    config, summary, piece = run.config, run.summary, run.invocation.piece
    assert piece is not None, "only jobs of pieces are run by this"
    stage = Stopwatch(summary.stages, announce=partial(_show_stage, invocation=run.invocation))
    cache = open_cache(config, _warn)
    with stage("open"):
        source = open_source(config.data, index=index_cached(cache))
    device = _checked_device(config, source, stage)
    config, remarks = settled(config, source)  # all pieces choose alike
    run = replace(run, config=config)
    part = replace(source, frames=source.frames[piece.start : piece.stop])
    detected, _ = _predict(run, part, device, cache, stage, requested=len(source.frames))
    detected = replace(detected, remarks=(*remarks, *detected.remarks))
    with stage("write"):
        outcome, seconds = summary.cache.get("predict", MISS), predicting_seconds(summary.stages)
        write_piece(run.folder, piece, detected, config, outcome, seconds)
    summary.cache_entries = stored_among(cache)
    summary.counts = {
        "requested_frames": len(part.frames),
        "frames": len(detected.poses.frames),
        "bad_frames": len(detected.bad_frames),
    }
    summary.status, summary.exit_code = "finished", 0
    return Result(run.folder, summary, detected.poses)


def _join(run: RunContext, source: Source, cache: Cache) -> Inference:
    """Join the pieces that other jobs have predicted."""
    config, summary, folder = run.config, run.summary, run.invocation.pieces
    assert folder is not None, "only jobs with pieces are run by this"
    joined = join_pieces(folder, source, config, cache, summary.cache)
    for path in folder.glob(f"*/{run_summary.RUN_FILE}"):  # the folder goes once all is joined
        cache.used.update(run_summary.read(path.parent).cache_entries or ())
    summary.counts["pieces"], summary.stages["pieces"] = joined.pieces, joined.seconds
    if joined.seconds and joined.outcome == MISS:
        frames = len(joined.inference.poses.frames)
        summary.metrics[SPEED] = round(frames / joined.seconds, 3)
    return joined.inference


def _checked_device(config: Config, source: Source, stage: Stopwatch) -> str:
    """Return the device that the networks will run on; what the stages need is checked first.

    Raises:
        ConfigError: There is no such device, or models, tracker and data do not fit together.
        RunError: A training config, or an image that is needed, cannot be read.
    """
    with stage("load"):
        check_stages(config, source)
        device = device_name(config)
        check_devices(device, config.runtime.devices)
    return device


def _predict(
    run: RunContext,
    source: Source,
    device: str,
    cache: Cache,
    stage: Stage,
    requested: int | None = None,
) -> tuple[Inference, list[Path]]:
    """Predict, or recall earlier predictions from the cache.

    `requested` is the number of requested frames, where those of `source` are only a part of them.

    Returns:
        The result, and the files with the network outputs where these are requested.
    """
    config, summary = run.config, run.summary
    watch = partial(_show_progress, run=run, requested=len(source.frames))
    arrays = arrays_file(config, run.folder)
    if arrays is not None:
        detected = detect_to_file(source, config, arrays, stage=stage, watch=watch)
    else:
        predict = predictor(config, device, cache, summary.cache)
        detected = detect_cached(
            source,
            config,
            device,
            cache,
            summary.cache,
            stage=stage,
            watch=watch,
            requested=requested,
            predict=predict,
        )
    if (seconds := predicting_seconds(summary.stages)) and summary.cache.get("predict") != RESUMED:
        summary.metrics[SPEED] = round(len(detected.poses.frames) / seconds, 3)
    return detected, [] if arrays is None else [arrays]


def _evaluate(
    run: RunContext,
    source: Source,
    poses: Poses,
    predictions: sio.Labels,
    truth: "Truth | None",
    stage: Stage,
) -> "tuple[Quality | None, Evaluation | None]":
    """Look for signs of errors, and compare with ground truth; each where it is requested."""
    config, quality, evaluation = run.config, None, None
    if config.evaluator.quality or config.report == "html":
        from sleap_lab.quality.assess import assess

        with stage("quality"):
            animals = known_animals(config.tracker)
            if config.evaluator.quality:
                from sleap_lab.tracking.offline import identify

                quality = assess(poses, animals, identify)
            else:
                quality = assess(poses, animals)
            write_quality(run, source, quality, predictions)
    if truth is not None:
        from sleap_lab.evaluation.truth import evaluate_predictions
        from sleap_lab.runs.whole_recording import with_labels

        with stage("evaluate"):
            evaluation = evaluate_predictions(truth, poses, predictions, source, config)
            run.summary.notes += write_scores(run, source, evaluation, predictions)
            if quality is not None:
                quality = with_labels(quality, evaluation)
                run.summary.metrics |= quality.metrics
    return quality, evaluation


def _show_progress(
    frames: Iterable[Frame], remaining: int, *, run: RunContext, requested: int
) -> Iterable[Frame]:
    """Show how many of the requested frames are done, including those of an earlier run."""
    noted = paced(frames, remaining, run.summary.rates)
    label, bar = _of_job("predicting", run.invocation), run.invocation.job is None
    return terminal.progress(noted, requested, label, before=requested - remaining, bar=bar)


def _show_stage(what: str, invocation: Invocation) -> None:
    terminal.doing(_of_job(what, invocation))


def _of_job(what: str, invocation: Invocation) -> str:
    return what if invocation.job is None else f"job {invocation.job}: {what}"


def _warn(text: str) -> None:
    log.warning("%s", text)
    terminal.warn(text)
