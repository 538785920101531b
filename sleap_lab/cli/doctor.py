"""Try out videos, models, device, time, memory and stores in a minute, before a long run.

Nothing is left behind: no run folder, no predictions, no entry in the cache or in MLflow.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sleap_lab import terminal
from sleap_lab.errors import ConfigError, RunError, SleapLabError, counted
from sleap_lab.inference.automatic import settled
from sleap_lab.media.missing import missing_frames
from sleap_lab.media.open_source import open_source
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.media.recording import sampled
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.runs.snapshot import flatten
from sleap_lab.runs.store import open_store, probe, store_uri
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import OUTPUTS, Config, DataConfig, defaults
from sleap_lab.settings.overrides import quote

if TYPE_CHECKING:
    from sleap_lab.pipelines.pipeline import Pipeline

TRIAL_FRAMES = 48
TRIAL_SECONDS = 20.0
DECODED = 5
BYTES_PER_POINT = 40
OK, WARNING, PROBLEM = "ok", "warning", "problem"


class Finding(NamedTuple):
    """The result of one check.

    Attributes:
        name: The checked item.
        verdict: `ok`, `warning` or `problem`; only a problem prevents a run.
        text: The result, and for anything but `ok` what to do.
    """

    name: str
    verdict: str
    text: str


class Estimate(NamedTuple):
    """The time and memory that a run over all frames needs.

    Attributes:
        frames: Frames of the run.
        seconds: Time of the whole run without tracking and evaluation, which do thousands of frames
            per second.
        megabytes: Peak memory; None where it is unknown.
        frames_per_second: Measured rate.
    """

    frames: int
    seconds: float
    megabytes: float | None
    frames_per_second: float


def examine(paths: Sequence[str], overrides: Sequence[str] = ()) -> Iterator[Finding]:
    """Check everything that a run with these files uses, and yield the results.

    Args:
        paths: Videos, labels files, and model folders, in any order.
        overrides: `KEY=VALUE` strings of the run.

    Raises:
        ConfigError: An override is wrong, or a file is missing.
    """
    models = [path for path in paths if _is_model(Path(path))]
    data = [path for path in paths if path not in models]
    if overrides and not models:
        raise ConfigError(f"doctor: {overrides[0]} is a setting of a run; name its models, too")
    yield from _stores()
    if not data:
        yield Finding(
            "videos", PROBLEM, "none given; name a video, a folder of images or a .slp file"
        )
        return
    path = data if len(data) > 1 else data[0]
    start = time.perf_counter()
    try:
        if models:
            config, _ = compose_config(
                [f"data.path={quote(path)}", f"model.paths={quote(models)}", *overrides]
            )
        else:
            config = Config(data=DataConfig(path=path))
        source = open_source(config.data)
    except ConfigError:
        raise
    except SleapLabError as error:
        yield Finding("videos", PROBLEM, str(error))
        return
    opening = time.perf_counter() - start
    yield from _videos(source)
    yield _logger(config)
    if models:
        yield from _trial(source, config, opening)


def _is_model(path: Path) -> bool:
    names = ("training_config.yaml", "training_config.json", "model.onnx")
    return path.name in names or any(
        (folder / name).is_file()
        for folder in (path, path.parent)
        if folder != Path()
        for name in names
    )


def _stores() -> Iterator[Finding]:
    folder = Path(OUTPUTS)
    existing = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir()
    )
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        yield Finding(
            "outputs",
            PROBLEM,
            f"{existing} cannot be written to ({error.strerror}); start from another folder",
        )
        return
    free = shutil.disk_usage(existing).free / 1e9
    if free < 1:
        yield Finding(
            "outputs",
            WARNING,
            f"{existing}: only {free:.2f} GB left; free some, or start from another disk",
        )
    else:
        yield Finding("outputs", OK, f"{existing} can be written to, {free:,.0f} GB free")


def _logger(config: Config) -> Finding:
    if not config.logger.mlflow:
        return Finding("mlflow", OK, "not used (logger=none)")
    uri = store_uri(config.logger, Path(OUTPUTS).absolute())
    try:
        probe(uri)
    except SleapLabError as error:
        return Finding(
            "mlflow", WARNING, f"{error}; runs are kept, and logged later by sleap-lab sync"
        )
    return Finding("mlflow", OK, uri)


def _videos(source: Source) -> Iterator[Finding]:
    for path, reason in source.unreadable:
        yield Finding("video", WARNING, f"{path}: left out, {reason}")
    for path, reason in source.cut_short:
        yield Finding("video", WARNING, f"{path} seems to have been cut short: {reason}")
    for note in source.notes:
        yield Finding("video", WARNING, note)
    for remark in source.remarks:
        yield Finding("video", OK, remark)
    for video in np.unique(source.frames[:, 0]).tolist():
        name = Path(str(np.ravel(source.videos[video].filename)[0])).name
        wanted = source.frames[source.frames[:, 0] == video, 1]
        if missing_frames(source.videos[video], wanted.tolist())[0] == len(wanted):
            continue  # a note says so
        chosen = sampled(wanted, DECODED)
        start = time.perf_counter()
        try:
            shapes = {source.pixels(video, frame).shape for frame in chosen}
        except SleapLabError as error:
            yield Finding(
                "video", WARNING, f"{error}; data.on_bad_frame says what becomes of such frames"
            )
            continue
        each = (time.perf_counter() - start) / len(chosen)
        height, width, channels = next(iter(shapes))
        total = len(source.reader(video).numbers)
        text = (
            f"{name}: {len(wanted):,} of {counted(total, 'frame')}, {width}x{height} px, "
            f"{counted(channels, 'channel')}"
        )
        yield Finding(
            "video",
            OK if len(shapes) == 1 else WARNING,
            f"{text}, {1000 * each:.0f} ms to reach a frame",
        )


def _trial(source: Source, config: Config, opening: float) -> Iterator[Finding]:
    from sleap_lab.pipelines.pipeline import build_pipeline

    start = time.perf_counter()
    try:
        config, told = settled(config, source)
        pipeline = build_pipeline(config.model, config.preprocessing, config.runtime, source.truth)
    except SleapLabError as error:
        yield Finding("models", PROBLEM, str(error))
        return
    starting = opening + time.perf_counter() - start
    nodes = ", ".join(pipeline.skeleton.nodes[:6]) + (
        " …" if len(pipeline.skeleton.nodes) > 6 else ""
    )
    yield Finding("models", OK, f"{pipeline.kind}, {len(pipeline.skeleton.nodes)} nodes ({nodes})")
    yield Finding("device", OK, f"{pipeline.device}, {_cores()}")
    yield from (Finding("runtime", OK, note) for note in told)
    terminal.doing("trying out a run, about a minute at most")
    try:
        estimate, found = _measure(source, config, pipeline, starting)
    except SleapLabError as error:
        yield Finding("trial", PROBLEM, str(error))
        return
    if not found:
        yield Finding(
            "trial",
            WARNING,
            "nothing was found in the frames tried; "
            "try a lower model.peak_threshold or check the models",
        )
    memory = "" if estimate.megabytes is None else f", {estimate.megabytes:,.0f} MB of memory"
    text = (
        f"{estimate.frames_per_second:.1f} frames/s; "
        f"all {estimate.frames:,} frames take about {_duration(estimate.seconds)}{memory}"
    )
    available = _available_megabytes()
    if available is not None and estimate.megabytes is not None and estimate.megabytes > available:
        yield Finding(
            "run",
            PROBLEM,
            f"{text}, and only {available:,.0f} MB are free; "
            "a smaller runtime.batch_size needs less",
        )
    else:
        yield Finding("run", OK, text)


def _measure(
    source: Source, config: Config, pipeline: "Pipeline", starting: float
) -> tuple[Estimate, int]:
    """Rehearse a run with some frames from the middle.

    Returns:
        What all frames need, and the number of instances found.
    """
    from sleap_lab.pipelines.engine import predict

    batch_size = int(config.runtime.batch_size)
    count = max(TRIAL_FRAMES // batch_size, 4) * batch_size
    first = max((len(source.frames) - count) // 2, 0)
    part = replace(source, frames=source.frames[first : first + count])
    frames: Iterator[Frame] = (
        frame for frame in read_ahead(part, config.runtime.queue_maxsize) if frame.image is not None
    )
    began = time.perf_counter()
    found: list[Poses] = []
    done = warm = 0
    seconds = measured_from = 0.0
    for prediction in predict(frames, pipeline, batch_size=batch_size):
        found.append(prediction.poses)
        done += len(prediction.poses.frames)
        elapsed = time.perf_counter() - began
        if not warm:  # the first batch includes one-time setup
            warm, measured_from = done, elapsed
            continue
        seconds = elapsed - measured_from
        if seconds > TRIAL_SECONDS:
            break
    if not found:
        raise RunError("none of the frames tried can be read")
    rate = (done - warm) / seconds if seconds else done / max(time.perf_counter() - began, 1e-9)
    start = time.perf_counter()
    _end(source, config, concatenate(found))
    total, instances = len(source.frames), sum(map(len, found))
    duration = starting + total / rate + time.perf_counter() - start
    per_frame = instances / done * len(pipeline.skeleton.nodes) * BYTES_PER_POINT
    megabytes = _peak_megabytes()
    return Estimate(
        total, duration, None if megabytes is None else megabytes + total * per_frame / 1e6, rate
    ), instances


def _end(source: Source, config: Config, poses: Poses) -> None:
    """Rehearse the end of a run with some poses: write the report and open an MLflow store.

    The files are written to a temporary folder, which is removed.
    """
    with tempfile.TemporaryDirectory(prefix="sleap-lab-") as scratch:
        if config.report == "html":
            from sleap_lab.report.page import write_report

            write_report(
                Path(scratch) / "report.html",
                settings=flatten(asdict(config)),
                defaults=defaults(),
                summary={},
                poses=poses,
                truth=None,
                evaluation=None,
                read_image=source.read,
            )
        if config.logger.mlflow:
            open_store(replace(config.logger, tracking_uri=None), Path(scratch))


def verdict(findings: Sequence[Finding]) -> str:
    """Return the last line: go, or what to fix first."""
    problems = [finding for finding in findings if finding.verdict == PROBLEM]
    warnings = sum(finding.verdict == WARNING for finding in findings)
    if problems:
        return f"fix first: {problems[0].name}: {problems[0].text}"
    return "go" + (f", but read the {counted(warnings, 'warning')} first" if warnings else "")


def _cores() -> str:
    import torch

    threads = torch.get_num_threads()
    return f"{counted(threads, 'core')}, PyTorch {torch.__version__}"


def _peak_megabytes() -> float | None:
    """Return the peak memory of this process, MB; None where it is unknown."""
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1e6 if sys.platform == "darwin" else 1e3
    )


def _available_megabytes() -> float | None:
    """Return the usable memory, MB, including that of this process; None where it is unknown."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    sizes = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
    return float(sizes["MemAvailable"].split()[0]) / 1e3 + (_peak_megabytes() or 0.0)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
