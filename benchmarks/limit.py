"""Processor time of a prediction against that of its networks alone, one core, every kind of model.

Processor time, measured in turns, hardly depends on what else a machine does. The least that is
possible is ffmpeg's decoding and the networks alone; both at once keep every core busy.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import torch
from torch import Tensor

from benchmarks.inference import CASES, Case
from benchmarks.timing import publish, table
from sleap_lab.checkpoints import load_network
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame, Source
from sleap_lab.networks.placed import placed
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.memory import keep_freed_memory
from sleap_lab.pipelines.model import Model, Network
from sleap_lab.pipelines.pipeline import Pipeline, assemble, read_plan
from sleap_lab.settings.config import Config, DataConfig, ModelConfig

FRAMES, BATCH, READ = 32, 4, 128
"""Frames that are predicted, frames of a batch, and frames that are read."""
BARE_BATCHES = (2, 4, 8)
"""Batches that the networks alone are tried with; the best one counts."""


HEADS = (
    "ms of a core per frame",
    "decoding alone",
    "read",
    "predict",
    "network in it",
    "network alone",
    "ratio",
    "at best",
)


class Row(NamedTuple):
    """One round of a case, in ms of the processor per frame.

    Attributes:
        case: What the table calls it.
        round: Number of the round.
        decode_ms: ffmpeg's decoding of the video alone, by one thread.
        read_ms: Reading of the video, that included.
        predict_ms: From images to poses, the networks included.
        network_ms: The networks within that.
        bare_ms: The networks alone, in their best batch.
    """

    case: str
    round: int
    decode_ms: float
    read_ms: float
    predict_ms: float
    network_ms: float
    bare_ms: float


class Seen:
    """What the networks of a pipeline have seen, and their time.

    Attributes:
        inputs: By kind of the model, the images of every pass that is noted.
        seconds: Processor time of all passes.
        noting: Whether passes are noted. Memory that is kept costs the next pass its own.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.inputs: dict[str, list[Tensor]] = {}
        self.seconds = 0.0
        self.noting = True

    def watched(self, kind: str, network: Network) -> Network:
        """Return a network that notes what it sees and how long it takes."""

        def run(images: Tensor) -> dict[str, Tensor]:
            begun = time.process_time()
            maps = network(images)
            self.seconds += time.process_time() - begun
            if self.noting:
                self.inputs.setdefault(kind, []).append(images)
            return maps

        return run


def run(reference: Path, *, rounds: int, only: str) -> None:
    """Time every case in turns, print medians, and write a CSV file."""
    keep_freed_memory()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for case in CASES:
        if only in case.name:
            rows += _rows(case, reference, rounds)
    lines = []
    for name in dict.fromkeys(row.case for row in rows):
        own = [row for row in rows if row.case == name]
        columns = ("decode_ms", "read_ms", "predict_ms", "network_ms", "bare_ms")
        times = [statistics.median(getattr(row, column) for row in own) for column in columns]
        ratio = statistics.median((row.read_ms + row.predict_ms) / row.bare_ms for row in own)
        least = statistics.median(1 + row.decode_ms / row.bare_ms for row in own)
        lines.append([name, *(f"{value:.2f}" for value in [*times, ratio, least])])
    print(shown := table(HEADS, lines))
    if not only:
        publish("limit", shown, rows)


def _rows(case: Case, reference: Path, rounds: int) -> Iterator[Row]:
    """Time a case in some rounds, after one for warming up."""
    paths = [str(reference / "models" / name) for name in case.models]
    config = Config(
        data=DataConfig(path=str(reference / "videos" / case.video), frames=f"0-{FRAMES - 1}"),
        model=ModelConfig(paths=paths),
    )
    seen = Seen()
    pipeline, networks = _pipeline(config, seen)
    frames = list(_frames(open_source(config.data)))
    for turn in range(-1, rounds):
        decode = _decoding(config.data.path)
        read = _reading(config.data)
        seen.seconds, seen.noting = 0.0, turn < 0
        whole = _seconds(lambda: list(predict(frames, pipeline, batch_size=BATCH))) / FRAMES
        within = seen.seconds / FRAMES
        bare = sum(_bare(networks[kind], torch.cat(seen.inputs[kind])) for kind in networks)
        if turn >= 0:
            seconds = (decode, read, whole, within, bare / FRAMES)
            yield Row(case.name, turn, *(1000 * each for each in seconds))


def _decoding(path: str) -> float:
    """Return the processor time of a frame that one thread decodes."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        frames = islice(container.decode(stream), READ)
        return _seconds(lambda: [None for _ in frames]) / READ


def _reading(data: DataConfig) -> float:
    """Return the processor time of a frame that is read."""
    source = open_source(replace(data, frames=f"0-{READ - 1}"))
    return _seconds(lambda: [None for _ in _frames(source)]) / READ


def _frames(source: Source) -> Iterator[Frame]:
    for video, index in source.frames.tolist():
        yield Frame(video, index, source.pixels(video, index))


def _pipeline(config: Config, seen: Seen) -> tuple[Pipeline, dict[str, Network]]:
    """Return a pipeline on one core that is watched, and its networks by kind of the model.

    The networks are bare: plain PyTorch with channels last, not as the pipeline runs them.
    """
    plan = read_plan(config.model, config.preprocessing, None)
    networks: dict[str, Network] = {}
    models = {}
    for kind, one in plan.configs.items():
        bare, network = load_network(one), placed(load_network(one), torch.device("cpu"))
        networks[kind] = bare.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        models[kind] = Model(
            seen.watched(kind, network),
            one,
            one.scale,
            len(next(network.parameters())),
            torch.device("cpu"),
            crop_size=one.crop_size,
        )
    return assemble(plan, models, config.preprocessing), networks


def _bare(network: Network, images: Tensor) -> float:
    """Return the processor time of a network for some images, in its best batch."""

    def work(size: int) -> None:
        with torch.inference_mode():
            for batch in images.split(size):
                network(batch.contiguous(memory_format=torch.channels_last))

    return min(_seconds(lambda size=size: work(size)) for size in BARE_BATCHES)  # type: ignore[misc]


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time of this process for some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
