import numpy as np
import pytest
import torch

from sleap_lab.networks import build_network
from sleap_lab.pipelines.precision import (
    AUTOCAST_DTYPES,
    fast_precision,
    hold_weights,
    largest_shift,
)
from sleap_lab.poses.record import Skeleton, make_poses

A, NOT = [1.0, 2.0], [np.nan, np.nan]


def poses(points, frame=0):
    return make_poses(Skeleton(("a", "b")), points, frame=frame)


@pytest.mark.parametrize(
    ("other", "shift"),
    [
        ([[A, NOT]], 0),
        ([[[1.03, 2.04], NOT]], 0.05),  # 3, 4, 5
        ([[A, A]], np.inf),  # a node more
        ([[NOT, A]], np.inf),
        ([[A, NOT], [A, NOT]], np.inf),  # an instance more
        ([], np.inf),
    ],
)
def test_how_far_points_move(other, shift):
    assert largest_shift(poses([[A, NOT]]), poses(other)) == pytest.approx(shift)


def test_instances_of_other_frames_are_others():
    assert largest_shift(poses([[A, NOT]]), poses([[A, NOT]], frame=1)) == np.inf


def test_nothing_can_be_said_of_nothing():
    assert np.isnan(largest_shift(poses([]), poses([])))


@pytest.mark.parametrize(("capable", "chosen"), [(True, "bf16"), (False, None)])
def test_processors_with_instructions_for_it_compute_in_bf16(monkeypatch, capable, chosen):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": capable})
    assert fast_precision(torch.device("cpu")) == chosen


@pytest.mark.parametrize(
    ("bf16", "capability", "chosen"),
    [(True, (9, 0), "bf16"), (False, (7, 5), "16"), (False, (6, 1), None)],
)
def test_cards_without_bf16_compute_in_16_if_they_have_it(monkeypatch, bf16, capability, chosen):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert fast_precision(torch.device("cuda")) == chosen


def test_what_was_never_tried_is_not_chosen():
    assert fast_precision(torch.device("mps")) is None


BACKBONES = {
    "unet": {"filters": 8, "max_stride": 8, "output_stride": 2, "up_interpolate": False},
    "convnext": {"arch": {"depths": [1, 1], "channels": [8, 16]}, "output_stride": 2},
    "swint": {
        "arch": {"depths": [1, 2], "embed": 8, "num_heads": [1, 2]},
        "output_stride": 2,
        "window_size": 4,
    },
}


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize("precision", AUTOCAST_DTYPES)
@torch.inference_mode()
def test_weights_that_are_held_in_a_format_give_the_same_maps(training_config, name, precision):
    config = training_config("multi_class_topdown")
    config["model_config"]["backbone_config"] = {name: BACKBONES[name]}
    torch.manual_seed(0)
    network, dtype = build_network(config).eval(), AUTOCAST_DTYPES[precision]
    images = torch.rand(2, 1, 32, 48)
    with torch.autocast("cpu", dtype=dtype):
        converted = network(images)
        hold_weights(network, precision)
        held = network(images)
    assert dtype in {one.dtype for one in network.parameters()}
    for head, expected in converted.items():
        assert held[head].dtype == expected.dtype
        assert torch.equal(held[head], expected)
