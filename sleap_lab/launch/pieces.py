"""Predictions as jobs of their own: in pieces of long recordings, or apart from what needs no GPU.

    .pieces/<prediction>/<start>-<stop>/    a job that predicts a range of frames

The jobs of a sweep that have the same prediction share its pieces, which their jobs join. Pieces
are kept until these have a result.
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.errors import SleapLabError
from sleap_lab.inference.fingerprint import fingerprint
from sleap_lab.launch.facts import Sweep
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import Config
from sleap_lab.settings.frames import LARGEST_BATCH, Piece, cut_in_pieces
from sleap_lab.settings.overrides import quote
from sleap_lab.sweeps.best import Job
from sleap_lab.sweeps.ledger import PlannedJob, has_to_run
from sleap_lab.sweeps.results import read_job, read_run

PIECES = ".pieces"
DECIDES = ("data", "model", "preprocessing", "runtime")
"""Groups of the config that a prediction depends on."""


@dataclass(frozen=True)
class Prediction:
    """A prediction that jobs of its own make.

    Attributes:
        folder: Folder of its pieces.
        pieces: The job of each piece, and its range of frames.
        of: Numbers of the jobs that use it.
    """

    folder: Path
    pieces: Mapping[Job, Piece]
    of: tuple[int, ...]


def plan_predictions(
    folder: Path, pending: Sequence[Job], configs: Mapping[int, Config]
) -> list[Prediction]:
    """Return the predictions that jobs of a sweep leave to jobs of their own.

    Args:
        folder: The sweep folder.
        pending: The jobs of the sweep to run.
        configs: Config of each by its number.
    """
    ranges: dict[str, list[Piece]] = {}
    users: dict[str, list[Job]] = {}
    for job in pending:
        config = configs[job.number]
        if config.model.kind == "none":
            continue
        parts = {name: values for name, values in asdict(config).items() if name in DECIDES}
        key = fingerprint(parts)[:12]
        if key not in ranges:
            ranges[key] = _ranges(config)
        if ranges[key]:
            users.setdefault(key, []).append(job)
    return [_prediction(folder, key, ranges[key], jobs) for key, jobs in users.items()]


def _ranges(config: Config) -> list[Piece]:
    """Return the pieces of a prediction; none where its job predicts by itself."""
    apart = [Piece()] if config.sweep.cpu_launcher is not None else []
    if config.sweep.split_frames is None:
        return apart
    # Sweeps without pieces start faster without these.
    from sleap_lab.inference.cached_stages import open_cache
    from sleap_lab.inference.preparation import open_inputs

    try:
        cache = open_cache(config, terminal.warn)
        frames = len(open_inputs(config, cache)[0].frames)
    except (SleapLabError, OSError):  # its job says what is wrong
        return []
    chosen = config.runtime.batch_size
    found = cut_in_pieces(
        frames,
        config.sweep.split_frames,
        chosen if isinstance(chosen, int) else LARGEST_BATCH,  # whole batches of any size
    )
    return found if len(found) > 1 else apart


def _prediction(
    folder: Path, key: str, ranges: Sequence[Piece], users: Sequence[Job]
) -> Prediction:
    pieces = {}
    for piece in ranges:
        end = "end" if piece.stop is None else piece.stop
        planned = PlannedJob(
            users[0].number, f"{PIECES}/{key}/{piece.start}-{end}", list(users[0].overrides)
        )
        pieces[read_job(folder, planned, part=_part(piece))] = piece
    return Prediction(folder / PIECES / key, pieces, tuple(job.number for job in users))


def _part(piece: Piece) -> str:
    """Return what a piece is called on the terminal."""
    return "predictions" if piece.stop is None else f"frames {piece.start}-{piece.stop - 1}"


def on_launcher(overrides: Sequence[str], name: str | None) -> list[str]:
    """Return the overrides with another launcher; settings of the former are left out."""
    if name is None:
        return list(overrides)
    others = [
        word
        for word in overrides
        if not word.lstrip("+~").startswith(("hydra/launcher=", "hydra.launcher."))
    ]
    return [*others, f"hydra/launcher={quote(name)}"]


def joinable(pending: Sequence[Job], predictions: Iterable[Prediction]) -> list[Job]:
    """Return the jobs whose predictions are there; one whose prediction failed fails, too.

    A prediction that was interrupted, or whose process died, leaves its jobs as they are.
    """
    waiting: set[int] = set()
    for prediction in predictions:
        for piece in prediction.pieces:
            run = read_run(piece.folder)
            if run is not None and run.status == "finished":
                continue
            waiting |= {*prediction.of}
            if run is not None and not has_to_run(run, "none"):
                _fail([job for job in pending if job.number in prediction.of], piece, run)
                break
    return [job for job in pending if job.number not in waiting]


def of_pieces(sweep: Sweep, pieces: Mapping[Job, Piece]) -> Sweep:
    """Return what the jobs of pieces need to know of their sweep."""
    names = {job: job.name_in(sweep.folder) for job in pieces}
    return replace(
        sweep,
        jobs={names[job]: job.number for job in pieces},
        pieces={names[job]: piece for job, piece in pieces.items()},
    )


def joining(sweep: Sweep, predictions: Iterable[Prediction], jobs: Sequence[Job]) -> Sweep:
    """Return what jobs that join pieces need to know of their sweep."""
    return replace(
        sweep,
        predictions={
            job.name_in(sweep.folder): each.folder.absolute()
            for each in predictions
            for job in jobs
            if job.number in each.of
        },
    )


def _fail(jobs: Sequence[Job], piece: Job, run: RunSummary) -> None:
    """Record that jobs failed because a piece of their prediction did."""
    for job in jobs:
        summary.write(
            job.folder,
            RunSummary(
                status="failed",
                exit_code=run.exit_code,
                ended=summary.now(),
                error=f"{piece.part}: {run.error}",
                overrides=list(job.overrides),
                job=job.number,
            ),
        )


def remove_used(predictions: Iterable[Prediction], jobs: Sequence[Job]) -> None:
    """Remove the pieces whose jobs all have results."""
    done = {job.number for job in jobs if job.ended_well}
    for prediction in predictions:
        if done.issuperset(prediction.of):
            shutil.rmtree(prediction.folder, ignore_errors=True)
            with suppress(OSError):  # other pieces are there
                prediction.folder.parent.rmdir()
