"""One prediction on several devices: each predicts a range of the frames, in a process of its own.

Each process opens the source itself and does what a run on one device does. It has its own entries
in the stage cache, so that a stopped run continues range by range. It writes poses and facts to
files, which are joined at the end.
"""

import gc
import json
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.errors.interruption import EXIT_CODE
from sleap_lab.files.log import logging_to
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached import MISS, RESUMED, Outcomes, Predict, detect_cached, index_cached
from sleap_lab.inference.detect import Inference, detect
from sleap_lab.inference.stopwatch import Stage, Stopwatch
from sleap_lab.media.bad_frames import refuse_too_many
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    from lightning.fabric import Fabric

log = logging.getLogger(__name__)

ERRORS = {error.__name__: error for error in (ConfigError, RunError)}
SECONDS_TO_STOP = 30.0
"""Time for terminated processes to store what they have done."""


def check_devices(device: str, requested: int) -> None:
    """Refuse more devices than there are.

    Args:
        device: Name of the chosen device; its kind counts.
        requested: Number of devices to use.

    Raises:
        ConfigError: There are fewer devices, or the name is that of a single one.
    """
    kind, _, number = device.partition(":")
    if requested == 1:
        return
    if number:
        raise ConfigError(
            f"runtime.devices: got {requested}, but runtime.device={device} is one device; "
            f"accepted: 1, or runtime.device={kind}"
        )
    available = _count(kind)
    if requested > available:
        what = (
            "as many processes as there are cores"
            if kind == "cpu"
            else f"as many as there are of the kind {kind}"
        )
        accepted = f"1-{available}" if available > 1 else "1"
        raise ConfigError(f"runtime.devices: got {requested}; accepted: {accepted}, {what}")


def _count(kind: str) -> int:
    """Return the number of devices of a kind; of processors, the number of usable cores."""
    if kind == "cpu":
        return (
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    import torch

    return torch.cuda.device_count() if kind == "cuda" else 1


def shard_ranges(frames: int, devices: int, batch_size: int) -> list[range]:
    """Return contiguous ranges of whole batches, nearly equal, at most one per device, none empty.

    Batches are then those of a single device, unless unreadable frames or a change of image size
    cut an earlier batch short.
    """
    batches = ceil(frames / batch_size)
    count = min(devices, batches)
    edges = [min(i * batches // count * batch_size, frames) for i in range(count + 1)]
    return [range(start, stop) for start, stop in pairwise(edges)]


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


def predictor(config: Config, device: str, cache: Cache, outcomes: Outcomes) -> Predict:
    """Return the function that predicts on the config's devices.

    It is `detect` for one device, and `detect_on_devices` for several.
    """
    if config.runtime.devices == 1:
        return detect
    return partial(detect_on_devices, device=device, cache=cache, outcomes=outcomes)


def detect_on_devices(
    source: Source,
    config: Config,
    device: str,
    cache: Cache,
    outcomes: Outcomes,
    *,
    stage: Stage,
    watch: Callable[[Iterable[Frame], int], Iterable[Frame]],
    requested: int,
    bad_frames: list[Frame] | None = None,
) -> Inference:
    """Do what `detect` does, on several devices of one kind.

    Args:
        source: Opened videos and selected frames.
        config: The experiment; its data are opened again by each process.
        device: Kind of the devices.
        cache: The stage cache, of which each range has its own entries.
        outcomes: Gets `resumed` as the outcome of the stage `predict` if the cache holds some of
            it.
        stage: Context in which the stage of a name runs, for timing.
        watch: Wraps the finished frames, which have no images, for a progress bar.
        requested: Number of requested frames, including those of chunks that an earlier run did.
        bad_frames: Gets the unreadable frames; already holds those of such chunks.

    Raises:
        ConfigError: Models, data or settings do not fit together.
        RunError: Something cannot be read, or a process ended without an error message.
    """
    with stage("load"):
        from sleap_lab.inference import devices
    runtime = config.runtime
    ranges = shard_ranges(len(source.frames), runtime.devices, int(runtime.batch_size))
    with tempfile.TemporaryDirectory(prefix="sleap-lab-") as scratch:
        folder = Path(scratch)
        task = Task(
            _config_of_one(config),
            source.frames,
            ranges,
            requested,
            (cache.folder, cache.mode, cache.max_bytes, cache.seeds),
            folder,
        )
        with stage("predict", lambda seconds: _split(seconds, sorted(folder.glob("*.json")))):
            done = multiprocessing.get_context("spawn").Array("q", len(ranges), lock=False)
            work = partial(_work, task=task, done=done)
            _launch_and_watch(
                lambda: devices.launch(work, device, len(ranges)), source, done, watch, folder
            )
        results = [_read_result(folder, rank, device) for rank in range(len(ranges))]
    parts = [part for part, _ in results]
    if any(outcome != MISS for _, outcome in results):
        outcomes["predict"] = RESUMED
    bad_frames = [] if bad_frames is None else bad_frames
    bad_frames += [frame for part in parts for frame in part.bad_frames]
    refuse_too_many(bad_frames, requested, config.data)
    poses = concatenate([part.poses for part in parts])
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    return Inference(poses, parts[0].kind, device, tuple(bad_frames), tuple(notes))


def _config_of_one(config: Config) -> Config:
    """Return the config of one of the processes.

    It has as many threads as a run on one device, so that threads share batches in the same way and
    the result is the same.
    """
    import torch

    num_threads = config.runtime.num_threads or torch.get_num_threads()
    return replace(config, runtime=replace(config.runtime, devices=1, num_threads=num_threads))


def _read_result(folder: Path, rank: int, device: str) -> tuple[Inference, str]:
    """Return what a process has predicted, and whether its cache held any of it."""
    facts = _read_facts(folder / f"{rank}.json")
    bad_frames = tuple(
        Frame(video, index, None, problem) for video, index, problem in facts["bad_frames"]
    )
    poses = Poses.load(folder / f"{rank}.npz")
    inference = Inference(poses, facts["kind"], device, bad_frames, tuple(facts["notes"]))
    return inference, facts["outcome"]


def _launch_and_watch(
    launch: Callable[[], None],
    source: Source,
    done: MutableSequence[int],
    watch: Callable[[Iterable[Frame], int], Iterable[Frame]],
    folder: Path,
) -> None:
    """Run the processes in another thread and show progress; end them when this one is stopped."""
    before = multiprocessing.active_children()
    errors: list[Exception] = []
    # An event, because waiting for the end of the thread is not safe from interruptions.
    all_ended = threading.Event()

    def call() -> None:
        try:
            launch()
        except Exception as error:
            errors.append(error)
        finally:
            all_ended.set()

    threading.Thread(target=call, name="devices", daemon=True).start()
    try:
        while not sum(done) and not all_ended.wait(0.1):
            pass  # the seconds of the start are no part of the rate that is shown
        for _ in watch(_done_frames(source, done, all_ended), len(source.frames)):
            pass
        all_ended.wait()
    except _StoppedError:
        pass
    except BaseException:
        _end(all_ended, before)
        raise
    finally:
        for path in sorted(folder.glob("*.log")):
            for line in path.read_text(encoding="utf-8", errors="backslashreplace").splitlines():
                log.info("device %s: %s", path.stem, line)
    if errors:
        raise _explained(errors[0], folder) from errors[0]


class _StoppedError(Exception):
    """The processes ended before all frames were done."""


def _done_frames(
    source: Source, done: MutableSequence[int], all_ended: threading.Event
) -> Iterator[Frame]:
    """Yield a frame without its image for each finished frame, in the order of the source."""
    shown = 0
    while shown < len(source.frames):
        ended = all_ended.wait(0.1)
        for video, index in source.frames[shown : sum(done)].tolist():
            yield Frame(video, index, None)
            shown += 1
        if ended and shown < len(source.frames):
            raise _StoppedError


def _end(all_ended: threading.Event, before: list[Any]) -> None:
    """End the processes and wait until they have stored what they have done.

    Processes that are about to start are ended, too.
    """
    deadline = time.monotonic() + SECONDS_TO_STOP
    ended = set()
    while not all_ended.wait(0.1) and time.monotonic() < deadline:
        for process in multiprocessing.active_children():
            if process not in before and process.pid not in ended:
                ended.add(process.pid)
                process.terminate()
    for process in multiprocessing.active_children():
        if process not in before:
            process.kill()
            process.join()


def _explained(error: Exception, folder: Path) -> Exception:
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


def _work(fabric: "Fabric", task: Task, done: MutableSequence[int]) -> None:
    """Predict one range; each process calls this."""
    _interrupt_on_signal()
    rank = fabric.local_rank
    try:
        with logging_to(task.folder / f"{rank}.log", verbose=False):
            _predict_range(rank, str(fabric.device), task, done)
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


def _predict_range(rank: int, device: str, task: Task, done: MutableSequence[int]) -> None:
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
        "bad_frames": [(frame.video, frame.index, frame.problem) for frame in inference.bad_frames],
        "outcome": outcomes.get("predict", MISS),
        "seconds": seconds,
    }
    (task.folder / f"{rank}.json").write_text(json.dumps(facts), encoding="utf-8")
    gc.freeze()  # as in the command; otherwise the end of the process takes seconds


def _read_facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def _split(seconds: float, facts: Sequence[Path]) -> Mapping[str, float]:
    """Return the mean seconds per stage over the processes; `load` gets the time of their start."""
    each = [own for path in facts if (own := _read_facts(path).get("seconds"))]
    spent = {
        name: sum(own.get(name, 0.0) for own in each) / len(each) for own in each for name in own
    }
    return spent | {"load": spent.get("load", 0.0) + seconds - sum(spent.values())}
