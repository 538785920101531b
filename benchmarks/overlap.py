"""How much of the time an accelerator works, measured on a stand-in for one.

Videos are read, and peaks, crops and poses are made as in every run.
"""

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.standin import (
    NODES,
    Operators,
    StandIn,
    drawn_maps,
    network,
    not_on_processor,
    training_config,
)
from benchmarks.timing import publish, table
from benchmarks.videos import play_again
from sleap_lab.media.open_source import open_source
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.memory import keep_freed_memory
from sleap_lab.pipelines.model import Model
from sleap_lab.pipelines.pipeline import Pipeline, assemble
from sleap_lab.pipelines.plan import make_plan
from sleap_lab.poses.record import Skeleton
from sleap_lab.settings.config import Config, DataConfig, ModelConfig, PreprocessingConfig

VIDEO, SIDE = "centered_pair_small.mp4", 384
BATCH = 8
MILLISECONDS = (0.5, 2.0, 8.0)
FRAMES = {0.5: 480, 2.0: 480, 8.0: 160}
CASES = {
    "single instance": ("single_instance", 1),
    "top-down, 1 animal": ("topdown", 1),
    "top-down, 5 animals": ("topdown", 5),
    "top-down, 20 animals": ("topdown", 20),
    "bottom-up, 5 animals": ("bottomup", 5),
}
"""What the table calls a case -> kind of the pipeline, animals in each frame."""


class Row(NamedTuple):
    """One run: all in ms per frame.

    Attributes:
        case: What the table calls it.
        device_ms: Work of the device.
        round: Number of the round.
        wall_ms: Time that passed.
        read_ms: Processor time of the thread that reads.
        copy_ms: Processor time of copies to the device.
        operators_ms: Processor time of operators that a device would compute, their starts left
            out; measured in a run of its own.
        python_ms: Processor time of all the rest: Python, NumPy, and the starts of operators.
    """

    case: str
    device_ms: float
    round: int
    wall_ms: float
    read_ms: float
    copy_ms: float
    operators_ms: float
    python_ms: float

    @property
    def limit(self) -> str:
        """Name what no other order of the same work could make shorter."""
        every = self.read_ms + self.copy_ms + self.operators_ms + self.python_ms
        shares = {
            "device": self.device_ms,
            "reading": self.read_ms,
            "Python": self.python_ms,
            "processor": every / torch.get_num_threads(),
        }
        return max(shares, key=lambda name: shares[name])


def run(reference: Path, *, rounds: int, only: str) -> None:
    """Run every case at every speed of the device, print medians, and write a CSV file."""
    Operators.calibrate()
    with tempfile.TemporaryDirectory() as scratch:
        video = play_again(
            reference / "videos" / VIDEO, Path(scratch) / "long.mp4", max(FRAMES.values())
        )
        rows = [
            _row(case, ms, turn, video)
            for turn in range(rounds)
            for case in CASES
            if only in case
            for ms in MILLISECONDS
        ]
    lines = []
    for case, ms in dict.fromkeys((row.case, row.device_ms) for row in rows):
        own = [row for row in rows if (row.case, row.device_ms) == (case, ms)]
        wall, *parts = (
            statistics.median(getattr(row, name) for row in own)
            for name in ("wall_ms", "read_ms", "copy_ms", "operators_ms", "python_ms")
        )
        limit = statistics.mode(row.limit for row in own)
        times = [f"{value:.2f}" for value in (wall, *parts)]
        lines.append([f"{case}, {ms} ms", f"{ms / wall:.0%}", *times, limit])
    heads = [
        "",
        "device works",
        "ms per frame",
        "reading",
        "copies",
        "operators",
        "Python",
        "limit",
    ]
    print(shown := table(heads, lines))
    if not only:
        publish("overlap", shown, rows)


def _row(case: str, ms: float, turn: int, video: Path) -> Row:
    """Predict a video with a device that takes some ms per frame."""
    keep_freed_memory()
    with not_on_processor():
        wall, read, others, device = _run(case, ms, video, StandIn())
        *_, watched = _run(case, ms, video, StandIn(watched=True))
    python = others - device.copied - watched.computed
    parts = (wall, read, device.copied, watched.computed, python)
    row = Row(case, ms, turn, *(1000 * seconds / FRAMES[ms] for seconds in parts))
    print(f"{case}, {ms} ms: the device works {device.worked / wall:.0%}", row, flush=True)
    return row


def _run(case: str, ms: float, video: Path, device: StandIn) -> tuple[float, float, float, StandIn]:
    """Predict a video with a device.

    Returns:
        Seconds that passed, processor time of the thread that reads and of all others, the device.
    """
    kind, animals = CASES[case]
    pipeline = _pipeline(device, kind, animals, ms / 1000)
    config = Config(data=DataConfig(path=str(video), frames=f"0-{FRAMES[ms] - 1}"))
    source = open_source(config.data)
    source.pixels(0, 0)
    begun, frames, found = time.perf_counter(), 0, 0
    spent: dict[threading.Thread, float] = {}
    before = dict(_spent())
    for prediction in predict(read_ahead(source, 32), pipeline, batch_size=BATCH):
        frames += len(prediction.poses.frames)
        found += int(prediction.poses.visible.sum())
        spent.update(_spent())
    wall = time.perf_counter() - begun
    assert (frames, found) == (FRAMES[ms], FRAMES[ms] * animals * NODES), (frames, found)
    used = {thread: seconds - before.get(thread, 0.0) for thread, seconds in spent.items()}
    read = sum(seconds for thread, seconds in used.items() if thread.name == "read-ahead")
    return wall, read, sum(used.values()) - read, device


def _spent() -> Iterator[tuple[threading.Thread, float]]:
    """Yield the processor time of every thread, s."""
    for thread in threading.enumerate():
        if thread.ident is not None and thread.is_alive():
            clock = time.pthread_getcpuclockid(thread.ident)
            yield thread, time.clock_gettime(clock)


def _pipeline(device: StandIn, kind: str, animals: int, seconds: float) -> Pipeline:
    """Return a pipeline whose networks run on the stand-in, some seconds per frame in all."""
    if kind == "topdown":
        shares = {"centroid": seconds / 2, "centered_instance": seconds / 2 / animals}
    else:
        shares = {kind: seconds}
    models = {
        name: Model(
            network(device, drawn_maps(name, SIDE, animals), share),
            config,
            1.0,
            16,
            torch.device("cpu"),
            crop_size=config.crop_size,
            accelerator=device,
        )
        for name, share in shares.items()
        for config in [training_config(name, SIDE)]
    }
    plan = make_plan(
        kind,
        {name: model.config for name, model in models.items()},
        Skeleton(tuple(f"n{i}" for i in range(NODES))),
        ModelConfig(),
        PreprocessingConfig(),
        None,
    )
    return assemble(plan, models, PreprocessingConfig())
