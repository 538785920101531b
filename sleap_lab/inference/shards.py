"""One prediction on several devices: each predicts a range of the frames, in a process of its own.

Each process opens the source itself and does what a run on one device does. It has its own entries
in the stage cache, so that a stopped run continues range by range. It writes poses and facts to
files, which are joined at the end.
"""

import logging
import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

from sleap_lab.errors import ConfigError
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached_stages import MISS, RESUMED, Outcomes, Predict
from sleap_lab.inference.detect import Inference, ShowDone, detect
from sleap_lab.inference.shard_process import (
    Task,
    explained,
    mean_seconds,
    predict_range,
    read_result,
)
from sleap_lab.inference.stopwatch import Stage
from sleap_lab.media.bad_frames import refuse_too_many
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import concatenate
from sleap_lab.settings.config import Config

log = logging.getLogger(__name__)

SECONDS_TO_STOP = 30.0
"""Time for terminated processes to store what they have done."""

SECONDS_BETWEEN_LOOKS = 0.1
"""How often it is looked how far the processes are."""


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
    watch: ShowDone,
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
        with stage("predict", lambda seconds: mean_seconds(seconds, folder)):
            done = multiprocessing.get_context("spawn").Array("q", len(ranges), lock=False)
            predict = partial(predict_range, task=task, done=done)
            _launch_and_watch(
                lambda: devices.launch(predict, device, len(ranges)), source, done, watch, folder
            )
        results = [read_result(folder, rank, device) for rank in range(len(ranges))]
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


def _launch_and_watch(
    launch: Callable[[], None],
    source: Source,
    done: MutableSequence[int],
    watch: ShowDone,
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
        while not sum(done) and not all_ended.wait(SECONDS_BETWEEN_LOOKS):
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
        raise explained(errors[0], folder) from errors[0]


class _StoppedError(Exception):
    """The processes ended before all frames were done."""


def _done_frames(
    source: Source, done: MutableSequence[int], all_ended: threading.Event
) -> Iterator[Frame]:
    """Yield a frame without its image for each finished frame, in the order of the source."""
    shown = 0
    while shown < len(source.frames):
        ended = all_ended.wait(SECONDS_BETWEEN_LOOKS)
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
    while not all_ended.wait(SECONDS_BETWEEN_LOOKS) and time.monotonic() < deadline:
        for process in multiprocessing.active_children():
            if process not in before and process.pid not in ended:
                ended.add(process.pid)
                process.terminate()
    for process in multiprocessing.active_children():
        if process not in before:
            process.kill()
            process.join()
