"""The range of frames that one of several processes predicts, and the files that it leaves.

0.npz, 0.json     poses and facts of the range 0
0.log             messages
0.error.json      the error that ended it
"""

import gc
import json
import logging
import signal
import traceback
from collections.abc import Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.errors.interruption import EXIT_CODE
from sleap_lab.files.log import logging_to
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached_stages import MISS, Outcomes, detect_cached, index_cached
from sleap_lab.inference.detect import Inference
from sleap_lab.inference.stopwatch import Stopwatch
from sleap_lab.media.bad_frames import bad_frame_facts, bad_frames_of
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)

ERRORS = {error.__name__: error for error in (ConfigError, RunError)}


@dataclass(frozen=True)
class Task:
    """Input of the processes, the same for each.

    Attributes:
        config: The experiment.
        frames: (frames, 2) int64 (video, frame) of all ranges.
        ranges: Range of each process.
        requested: Number of requested frames.
        cache: The stage cache, without `warn`: folder, mode, limit and seeds.
        folder: Where each process writes its files.
    """

    config: Config
    frames: np.ndarray
    ranges: list[range]
    requested: int
    cache: tuple[Path, str, float, tuple[Path, ...]]
    folder: Path


def predict_range(fabric: "Fabric", task: Task, done: MutableSequence[int]) -> None:
    """Predict one range; each process calls this."""
    _interrupt_on_signal()
    rank = fabric.local_rank
    try:
        with logging_to(task.folder / f"{rank}.log", verbose=False):
            _predict(rank, str(fabric.device), task, done)
    except KeyboardInterrupt:
        raise SystemExit(EXIT_CODE) from None
    except Exception as error:
        facts = {
            "kind": type(error).__name__,
            "message": str(error),
            "traceback": traceback.format_exc(),
        }
        (task.folder / f"{rank}.error.json").write_text(json.dumps(facts), encoding="utf-8")
        raise


def _interrupt_on_signal() -> None:
    """Let the first signal interrupt the work, which then has time to store what it has done."""

    def stop(*_: Any) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _predict(rank: int, device: str, task: Task, done: MutableSequence[int]) -> None:
    """Predict the range of a process, and write poses and facts."""
    seconds: dict[str, float] = {}
    stage = Stopwatch(seconds)
    own = task.ranges[rank]
    config = replace(task.config, runtime=replace(task.config.runtime, device=device))
    cache = Cache(*task.cache, warn=log.warning)
    with stage("open"):
        source = replace(
            open_source(config.data, index=index_cached(cache)),
            frames=task.frames[own.start : own.stop],
        )

    def watch(frames: Iterable[Frame], total: int) -> Iterator[Frame]:
        done[rank] = len(own) - total  # frames of an earlier run
        for frame in frames:
            done[rank] += 1
            yield frame

    outcomes: Outcomes = {}
    inference = detect_cached(
        source, config, device, cache, outcomes, stage=stage, watch=watch, requested=task.requested
    )
    done[rank] = len(own)
    inference.poses.save(task.folder / f"{rank}.npz")
    facts = {
        "kind": inference.kind,
        "notes": inference.notes,
        "bad_frames": bad_frame_facts(inference.bad_frames),
        "outcome": outcomes.get("predict", MISS),
        "seconds": seconds,
    }
    (task.folder / f"{rank}.json").write_text(json.dumps(facts), encoding="utf-8")
    gc.freeze()  # as in the command; otherwise the end of the process takes seconds


def read_result(folder: Path, rank: int, device: str) -> tuple[Inference, str]:
    """Return what a process has predicted, and whether its cache held any of it."""
    facts = _read_facts(folder / f"{rank}.json")
    bad_frames = tuple(bad_frames_of(facts["bad_frames"]))
    poses = Poses.load(folder / f"{rank}.npz")
    inference = Inference(poses, facts["kind"], device, bad_frames, tuple(facts["notes"]))
    return inference, facts["outcome"]


def explained(error: Exception, folder: Path) -> Exception:
    """Return the error of a process, with the message that it wrote."""
    for path in sorted(folder.glob("*.error.json")):
        facts = _read_facts(path)
        log.debug("%s", facts["traceback"])
        kind = ERRORS.get(facts["kind"])
        return (
            kind(facts["message"])
            if kind is not None
            else RuntimeError(f"{facts['kind']}: {facts['message']}")
        )
    rank, code = getattr(error, "error_index", 0), getattr(error, "exit_code", None)
    if code is None:
        log.debug("%s", error)
        return RuntimeError(f"the process of device {rank}: {str(error).strip().splitlines()[-1]}")
    return RunError(
        f"runtime.devices: the process of device {rank} ended without an error message "
        f"(exit code {code}: killed, or out of memory)"
    )


def mean_seconds(seconds: float, folder: Path) -> Mapping[str, float]:
    """Return the mean seconds per stage over the processes; `load` gets the time of their start.

    Args:
        seconds: How long all of it took.
        folder: Where each process wrote its files.
    """
    facts = map(_read_facts, sorted(folder.glob("*.json")))
    each = [own for found in facts if (own := found.get("seconds"))]
    spent = {
        name: sum(own.get(name, 0.0) for own in each) / len(each) for own in each for name in own
    }
    return spent | {"load": spent.get("load", 0.0) + seconds - sum(spent.values())}


def _read_facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts
