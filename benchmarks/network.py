"""Time of a prediction by stage, and the network's rate against the processor's matrix products."""

import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import publish, table
from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.inference.detect import detect
from sleap_lab.inference.stopwatch import PREDICTING, Stopwatch
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.compose import compose_config

MODEL, VIDEO, FRAMES = "minimal_instance_bottomup", "centered_pair_small.mp4", 200
SIDE = 3072
SIDES = {
    "float32": ("runtime.precision=32", torch.float32),
    "bf16": ("runtime.precision=bf16", torch.bfloat16),
    "float32, openvino": ("runtime.backend=openvino", torch.float32),
}


class Row(NamedTuple):
    """One run: ms per frame of each stage, and rates in billions of operations per second.

    The rates are those of the network and of matrix products beside it.
    """

    side: str
    round: int
    read: float
    preprocess: float
    network: float
    peaks: float
    network_gflops: float
    matmul_gflops: float

    @property
    def share(self) -> float:
        """Return what part of the rate of matrix products the network reaches."""
        return self.network_gflops / self.matmul_gflops


def run(reference: Path, *, rounds: int) -> None:
    """Time matrix products and predictions in alternation; prints medians, writes a CSV file."""
    rows = [
        _row(side, option, dtype, turn, reference)
        for turn in range(-1, rounds)  # the first is for warming up
        for side, (option, dtype) in SIDES.items()
    ]
    rows = [row for row in rows if row.round >= 0]
    lines = []
    for side in SIDES:
        own = [row for row in rows if row.side == side]
        times = [
            f"{statistics.median(getattr(row, name) for row in own):.2f}" for name in PREDICTING
        ]
        rate, share = (
            statistics.median(getattr(row, name) for row in own)
            for name in ("network_gflops", "share")
        )
        lines.append([side, *times, f"{rate:.0f}", f"{share:.0%}"])
    print(shown := table(["ms per frame", *PREDICTING, "GFLOP/s", "of matrix products"], lines))
    publish("network", shown, rows)


def _row(side: str, option: str, dtype: torch.dtype, turn: int, reference: Path) -> Row:
    model = reference / "models" / MODEL
    words = (
        f"data.path={reference / 'videos' / VIDEO}",
        f"data.frames=0-{FRAMES - 1}",
        f"model.paths=[{model}]",
        "runtime.device=cpu",
        option,
    )
    config, _ = compose_config(words)
    seconds: dict[str, float] = {}
    detect(open_source(config.data, predicting=True), config, stage=Stopwatch(seconds))
    per_frame = {name: seconds[name] / FRAMES for name in PREDICTING}
    rate = _operations(model) / per_frame["network"] / 1e9
    return Row(
        side,
        turn,
        **{name: 1000 * each for name, each in per_frame.items()},
        network_gflops=rate,
        matmul_gflops=_matmul_rate(dtype),
    )


def _operations(model: Path) -> int:
    """Return how many additions and multiplications the network needs for a frame."""
    network = load_network(read_training_config(model))
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 1, 384, 384))
    return counter.get_total_flops()


def _matmul_rate(dtype: torch.dtype) -> float:
    """Return the rate of a product of two large matrices, billions of operations per second.

    Operations are additions and multiplications.
    """
    a, b = torch.rand(2, SIDE, SIDE).to(dtype)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return 2 * SIDE**3 / min(seconds) / 1e9
