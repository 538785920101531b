import pytest
import torch

from sleap_lab.checkpoints.training_config import Tiling
from sleap_lab.pipelines.backend import rows_of_a_pass


@pytest.mark.parametrize(
    ("batch_size", "device", "tiling", "rows"),
    [
        (16, "cuda", None, 16),  # a worker has a whole batch
        (16, "cpu", None, 4),  # four cores share it
        (3, "cpu", None, 1),
        (16, "cuda", Tiling(32, 16), 4),  # as many tiles as are computed at once
    ],
)
def test_a_compiled_network_sees_what_a_worker_has(monkeypatch, batch_size, device, tiling, rows):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert rows_of_a_pass(batch_size, torch.device(device), tiling) == rows
