from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines.batch_size import measure, size_on_card, size_on_processor
from sleap_lab.pipelines.model import Prediction
from sleap_lab.pipelines.pipeline import Pipeline
from sleap_lab.poses.record import Skeleton, make_poses

GB, MB = 10**9, 10**6


@pytest.mark.parametrize(
    ("threads", "size"), [(1, 4), (4, 4), (5, 8), (8, 8), (12, 16), (64, 64), (96, 64)]
)
def test_each_core_gets_a_frame(threads, size):
    assert size_on_processor(threads) == size


@pytest.mark.parametrize(
    ("side", "megabytes", "gigabytes", "size"),
    [
        (1024, 100, 80, 16),  # 2**24 pixels are enough
        (1023, 100, 80, 16),
        (384, 10, 80, 64),  # never more, though 113 such frames have as many pixels
        (4096, 100, 80, 1),
        (8192, 100, 80, 1),  # a frame has more pixels than are needed
        (1024, 500, 24, 8),  # 0.7 * 24 / 3 / 0.5 = 11.2 frames fit
        (1024, 699, 24, 8),  # 0.7 * 24 / 3 / 0.7 = 8
        (1024, 701, 24, 4),
        (1024, 9000, 24, 1),  # not even one fits beside two others
        (384, 0, 24, 64),
    ],
)
def test_a_card_gets_the_largest_power_of_two_that_fits_and_is_of_use(
    side, megabytes, gigabytes, size
):
    assert size_on_card(side**2, megabytes * MB, gigabytes * GB) == size


class Card:
    """Memory of an imagined card: a pass needs 30 bytes for a pixel, weights 1000."""

    def __init__(self, monkeypatch):
        self.now, self.peak = 1000, 5000
        for name in ("synchronize", "memory_allocated", "max_memory_allocated"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", self.reset)

    def synchronize(self, device):
        pass

    def memory_allocated(self, device):
        return self.now

    def max_memory_allocated(self, device):
        return self.peak

    def reset(self, device):
        self.peak = self.now

    def find(self, batch):
        self.peak = max(self.peak, self.now + 30 * batch.images.numel())
        poses = make_poses(Skeleton(("a",)), [], frames=batch.where)
        return Prediction(poses, {})


def test_what_a_frame_takes_is_measured_in_a_pass_of_frames_of_one_size(monkeypatch):
    card = Card(monkeypatch)
    pipeline = Pipeline(
        "single_instance", Skeleton(("a",)), (), ImageSpec(), card.find, torch.device("cpu"), 1.0
    )
    sizes = [(8, 10), (8, 10), (40, 50), (8, 10)]
    frames = [Frame(0, i, np.zeros((*size, 1), dtype=np.uint8)) for i, size in enumerate(sizes)]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert measure(pipeline, frames) == (80, 30 * 80)
        smaller = replace(pipeline, images=ImageSpec(max_height=16, max_width=20), scale=0.5)
        assert measure(smaller, frames) == (80, 30 * 320)
    finally:
        torch.set_num_threads(before)
