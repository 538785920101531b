"""What `gpu_check.sh` runs on a machine with a GPU: agreement, speed, memory, time at work.

A step that fails is in the table with its error, and the next goes on.
"""

import io
import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import yaml

from benchmarks.videos import play_again
from sleap_lab.files.atomic import replacing
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.detect import detect
from sleap_lab.inference.shards import predictor
from sleap_lab.inference.stopwatch import PREDICTING, Stopwatch, predicting_seconds, untimed
from sleap_lab.media.open_source import open_source
from sleap_lab.pipelines.onnxruntime import PROVIDERS
from sleap_lab.pipelines.precision import largest_shift
from sleap_lab.poses.record import Poses
from sleap_lab.settings.config import Config, DataConfig, ModelConfig, RuntimeConfig

KINDS = {
    "single instance": ("small_robot.mp4", ("minimal_instance_single_instance",)),
    "top-down": (
        "centered_pair_small.mp4",
        ("minimal_instance_centroid", "minimal_instance_centered_instance"),
    ),
    "bottom-up": ("centered_pair_small.mp4", ("minimal_instance_bottomup",)),
    "multi-class bottom-up": (
        "centered_pair_small.mp4",
        ("minimal_instance_multiclass_bottomup",),
    ),
    "multi-class top-down": (
        "centered_pair_small.mp4",
        ("minimal_instance_centroid", "minimal_instance_multiclass_centered_instance"),
    ),
    "flies, top-down": ("two_flies.mp4", ("flies13_centroid", "flies13_centered_instance")),
    "flies, bottom-up": ("two_flies.mp4", ("flies13_bottomup",)),
}
BATCHES = (4, 16, 64)
FRAMES = int(os.environ.get("GPU_CHECK_FRAMES", "400"))
SECONDS_FOR_CASES = 180
"""Time for the reference's cases; those that are not reached are counted."""
INTERRUPTED = 130
DEVICE = os.environ.get("GPU_CHECK_DEVICE", "cuda")
"""Another device is for trying the script itself."""
Rows = list[dict[str, Any]]


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Measure the share of time in which the GPU works, by nvidia-smi, and its peak memory."""
    found: dict[str, float] = {}
    shares: list[float] = []
    done = threading.Event()

    def ask() -> None:
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        while not done.wait(0.2):
            try:
                answer = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError:  # it is not installed
                return
            shares.extend(float(line) for line in answer.stdout.split("\n")[:1] if line.strip())

    if DEVICE == "cuda":
        torch.cuda.reset_peak_memory_stats()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
        if shares:
            found["gpu_percent"] = sum(shares) / len(shares)
        if DEVICE == "cuda":
            found["gpu_megabytes"] = torch.cuda.max_memory_allocated() / 1e6


def cases(reference: Path) -> Iterator[dict[str, Any]]:
    """Compare the reference's cases with its golden files, as many as time allows."""
    from sleap_lab.cli import main

    begun = time.monotonic()
    for name, flags in yaml.safe_load((reference / "cases.yaml").read_text()).items():
        if time.monotonic() - begun > SECONDS_FOR_CASES:
            return
        with tempfile.TemporaryDirectory() as folder:
            output = f"{folder}/predictions.slp"
            own = [f"hydra.run.dir={folder}/run", f"cache_dir={folder}/cache"]
            code: Any = 0
            try:
                main(["track", *shlex.split(flags), "-o", output, "-d", DEVICE, *own])
            except SystemExit as end:
                code = end.code
            if code == INTERRUPTED:  # by the time limit of gpu_check.sh
                return
            verdict = {} if code else compare(reference, name, output, "-t" in flags.split())
            yield {"case": name, "exit": code or 0, **verdict}


def compare(reference: Path, name: str, output: str, tracks: bool) -> dict[str, Any]:
    """Return what the reference's own comparison says."""
    golden = str(reference / "golden" / f"{name}.slp")
    sys.argv = ["compare", golden, output, *(["--tracks"] if tracks else [])]
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        runpy.run_path(str(reference / "compare_labels.py"), run_name="__main__")
    verdict = json.loads(printed.getvalue())
    return {name: verdict[name] for name in ("agrees", "max_px", "count_mismatch")}


@cache
def long_enough(video: Path) -> Path:
    """Return a video that shows another one over and over, at least `FRAMES` long."""
    return play_again(video, Path(tempfile.mkdtemp()) / video.name, max(FRAMES, 128))


def config_of(reference: Path, kind: str, frames: int, **runtime: Any) -> Config:
    """Return the config of a prediction with one kind of model."""
    video, models = KINDS[kind]
    return Config(
        data=DataConfig(
            path=str(long_enough(reference / "videos" / video)), frames=f"0-{frames - 1}"
        ),
        model=ModelConfig(paths=[str(reference / "models" / name) for name in models]),
        runtime=RuntimeConfig(**{"device": DEVICE, **runtime}),
    )


def speed(reference: Path, kind: str, frames: int = FRAMES, **runtime: Any) -> dict[str, Any]:
    """Return frames per second of one kind of model, the time of every stage, and the GPU's."""
    return predicted(reference, kind, frames, **runtime)[1]


def predicted(
    reference: Path, kind: str, frames: int, **runtime: Any
) -> tuple[Poses, dict[str, Any]]:
    """Return the poses of one kind of model, and what `speed` returns."""
    config = config_of(reference, kind, frames, **runtime)
    source = open_source(config.data)
    seconds: dict[str, float] = {}
    with watched() as found:
        inference = detect(source, config, stage=Stopwatch(seconds))
    count = len(inference.poses.frames)
    rate = count / predicting_seconds(seconds)
    milliseconds = {f"{name}, ms": 1000 * seconds[name] / count for name in PREDICTING}
    row = {"frames": count, "frames_per_second": rate, "load, s": seconds["load"], **milliseconds}
    return inference.poses, {**row, **found, "notes": " ".join(inference.notes)}


def speeds(reference: Path) -> Iterator[dict[str, Any]]:
    """Time every kind of model in several batch sizes and number formats."""
    speed(reference, "single instance", frames=64)  # starts CUDA
    settings: list[tuple[str, dict[str, Any]]] = [
        (kind, {"batch_size": batch_size, "precision": precision})
        for kind in KINDS
        for batch_size in BATCHES
        for precision in ("32", "auto")
    ]
    settings += [(kind, {"batch_size": "auto", "precision": "auto"}) for kind in KINDS]
    yield from timed(reference, settings)


def compiled(reference: Path) -> Iterator[dict[str, Any]]:
    """Time compiled networks twice, as the second run finds what the first has compiled."""
    short = ("single instance", {"batch_size": 16, "compile": "auto"})  # says why it does not
    twice = [
        (kind, {"batch_size": 16, "compile": True})
        for kind in ("bottom-up", "top-down")
        for _ in range(2)
    ]
    yield from timed(reference, [short, *twice])


def timed(reference: Path, settings: list[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Time kinds of models with settings of `runtime`."""
    for kind, options in settings:
        try:
            found = speed(reference, kind, **options)
        except Exception as error:  # the next ones may work
            found = {"error": f"{type(error).__name__}: {error}"}
        yield {"kind": kind, **options, **found}


def devices(reference: Path) -> Iterator[dict[str, Any]]:
    """Predict on all cards, in a process each, and compare with one card."""
    several = torch.cuda.device_count() if DEVICE == "cuda" else 2
    if several == 1:
        yield {"devices": 1, "skipped": "there is one card, and runtime.devices is for several"}
        return
    first: Poses | None = None
    for count in (1, several):
        config = config_of(reference, "top-down", FRAMES, devices=count)
        source = open_source(config.data)
        with tempfile.TemporaryDirectory() as folder:
            predict = predictor(config, DEVICE, Cache(Path(folder), "off"), {})
            begun = time.perf_counter()
            found = predict(
                source,
                config,
                stage=untimed,
                watch=lambda frames, total: frames,
                requested=len(source.frames),
            )
        seconds = time.perf_counter() - begun
        first = first or found.poses
        shift = largest_shift(first, found.poses)
        yield {"devices": count, "seconds with start": seconds, "moved by, px": shift}


def engines(reference: Path) -> Iterator[dict[str, Any]]:
    """Time ONNX Runtime beside PyTorch, with CUDA and with TensorRT, where they are installed.

    TensorRT is tried here only: it chooses algorithms by timing them, and computes float32 with
    TF32 unless the environment forbids it. It is timed twice; the second time it has its engine.
    """
    kind, frames = "bottom-up", FRAMES // 16 * 16  # an engine is built for each length of a batch
    first: Poses | None = None
    with tempfile.TemporaryDirectory() as folder:
        tensorrt = {
            half: {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": f"{folder}/{half}",
                "trt_fp16_enable": half,
            }
            for half in ("0", "1")
        }
        ways: list[tuple[str, str, dict[str, Any]]] = [
            ("PyTorch", "torch", {}),
            ("ONNX Runtime", "onnxruntime", {}),
        ]
        for half, options in tensorrt.items():
            name = "TensorRT, 16 bits" if half == "1" else "TensorRT"
            providers = {DEVICE: ("TensorrtExecutionProvider", options)}
            ways += [(name, "onnxruntime", providers)] * 2
        for name, backend, providers in ways:
            try:
                with patch.dict(PROVIDERS, providers):
                    poses, row = predicted(reference, kind, frames, batch_size=16, backend=backend)
                first = first or poses
                found = {**row, "moved by, px": largest_shift(first, poses)}
            except Exception as error:  # the next ones may work
                found = {"error": f"{type(error).__name__}: {error}"}
            yield {"kind": kind, "engine": name, **found}


def decoders(reference: Path) -> Iterator[dict[str, Any]]:
    """Read videos with the reader of every run, and with TorchCodec on the device, where it is.

    TorchCodec is tried here only: it does not tell damaged pictures from others.
    """
    try:
        decoder_of = import_module("torchcodec.decoders").VideoDecoder
    except (ImportError, OSError, RuntimeError) as error:  # or it lacks libraries
        yield {"skipped": f"TorchCodec: {error}".partition("\n")[0]}
        return
    for video in sorted({video for video, _ in KINDS.values()}):
        path = reference / "videos" / video
        source = open_source(DataConfig(path=str(path), frames="0-99"))
        begun = time.perf_counter()
        ours = [source.pixels(0, frame) for frame in range(100)]
        seconds = [time.perf_counter() - begun]
        decoder = decoder_of(str(path), device=DEVICE, dimension_order="NHWC")
        decoder.get_frame_at(0)  # starts what is shared
        begun = time.perf_counter()
        theirs = [decoder.get_frame_at(frame).data for frame in range(100)]
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
        apart = [
            int(np.abs(image.astype(np.int16) - other.cpu().numpy()).max())
            for image, other in zip(ours, theirs, strict=True)
        ]
        yield {
            "video": video,
            "frames_per_second": 100 / seconds[0],
            "TorchCodec, frames per second": 100 / seconds[1],
            "gray levels apart": max(apart),
            "frames more than 1 apart": sum(levels > 1 for levels in apart),
        }


def waits(reference: Path) -> Iterator[dict[str, Any]]:
    """Count how often the processor waits for the GPU in a batch of every kind of model.

    PyTorch counts; the waits of start and first batch are those of a shorter run. Waits for a whole
    stream, one per pass of a network, do not count for PyTorch.
    """
    for kind in KINDS if DEVICE == "cuda" else ():
        counts = []
        for frames in (64, 128):
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                torch.cuda.set_sync_debug_mode("warn")
                try:
                    speed(reference, kind, frames, batch_size=16)
                finally:
                    torch.cuda.set_sync_debug_mode("default")
            counts.append(sum("synchroniz" in str(one.message) for one in told))
        yield {"kind": kind, "waits_per_batch": (counts[1] - counts[0]) / 4}


def shown(title: str, rows: Rows) -> str:
    """Return rows as a Markdown table."""
    heads = list(dict.fromkeys(name for row in rows for name in row))

    def cell(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.1f}"
        return str(value).partition("\n")[0].replace("|", "\\|")

    lines = [heads, ["---"] * len(heads)]
    lines += [[cell(row.get(head, "")) for head in heads] for row in rows]
    return f"\n## {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def attempted(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows, and an error as the last one."""
    try:
        yield from rows
    except Exception as error:  # the next step may work
        yield {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Run everything; both files are written after every row, so that a stop loses none."""
    reference, out = Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()
    os.chdir(reference)  # labels name their videos relative to it
    steps = {
        "frames per second": speeds,
        "waits for the GPU": waits,
        "several devices": devices,
        "cases, float32": cases,
        "decoding": decoders,
        "compiled": compiled,
        "engines": engines,
    }
    found: dict[str, Rows] = {title: [] for title in steps}
    for rows, step in zip(found.values(), steps.values(), strict=True):
        for row in attempted(step(reference)):
            rows.append(row)
            print(row, flush=True)
            write(out, found)


def write(out: Path, found: dict[str, Rows]) -> None:
    """Write what is known so far as JSON and as a page."""
    card = torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE
    tried = found["cases, float32"]
    agreed = sum(bool(row.get("agrees")) for row in tried)
    head = f"{card}, PyTorch {torch.__version__}: {agreed} of {len(tried)} cases agree"
    with replacing(out / "gpu_check.json") as path:
        path.write_text(json.dumps({"device": card, **found}, indent=1), encoding="utf-8")
    page = f"# {head}\n" + "".join(shown(title, rows) for title, rows in found.items() if rows)
    with replacing(out / "gpu_check.md") as path:
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
