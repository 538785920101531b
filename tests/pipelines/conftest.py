"""Models whose network is a function of the image; the drawing tells what they must find."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sleap_lab.checkpoints import TrainingConfig
from sleap_lab.pipelines.model import FrameBatch, Model
from sleap_lab.poses.record import Skeleton


@pytest.fixture
def fake():
    """Return a function that makes a model from a network.

    The network is a function from images (b, c, h, w) to maps by head.
    """

    def make(
        kind,
        network,
        *,
        nodes=("a", "b"),
        edges=(),
        classes=(),
        stride=1,
        strides=None,
        scale=1.0,
        crop_size=None,
        **head,
    ):
        """Make a model.

        Args:
            kind: Model kind.
            network: From images to maps.
            nodes: Names of the nodes, and of the parts.
            edges: Pairs of names.
            classes: Names of the classes.
            stride: Output stride of all heads.
            strides: Output strides of single heads.
            scale: Factor applied to images.
            crop_size: Side of crops.
            **head: Further keys of the confidence map head.
        """
        heads = {
            "confmaps": {"part_names": list(nodes), **head},
            "pafs": {"edges": [list(edge) for edge in edges]},
            "class_maps": {"classes": list(classes)},
            "class_vectors": {"classes": list(classes)},
        }
        if not kind.startswith("multi_class"):
            heads["class_maps"] = heads["class_vectors"] = {}
        for name, section in heads.items():
            section["output_stride"] = (strides or {}).get(name, stride)
        config = TrainingConfig(
            folder=Path(kind),
            kind=kind,
            raw={},
            skeleton=Skeleton(tuple(nodes)),
            heads=heads,
            max_stride=1,
            scale=scale,
            max_height=None,
            max_width=None,
            ensure_rgb=False,
            ensure_grayscale=False,
            crop_size=crop_size,
        )
        return Model(network, config, scale, 1, torch.device("cpu"), crop_size=crop_size)

    return make


@pytest.fixture
def draw():
    """Return a function that draws maps (b, channels, h, w).

    Each given pixel is (sample, channel, x, y, value).
    """

    def maps(shape, *pixels):
        drawn = torch.zeros(shape)
        for sample, channel, x, y, value in pixels:
            drawn[sample, channel, y, x] = value
        return drawn

    return maps


@pytest.fixture
def batch():
    """Return a function that makes a batch of images.

    Without `where`, image i is frame 10 + i of video 0.
    """

    def make(images, eff=1.0, where=None):
        n = len(images)
        where = [(0, 10 + i) for i in range(n)] if where is None else where
        return FrameBatch(
            images,
            np.broadcast_to(np.asarray(eff, dtype=float), (n,)),
            np.array(where, dtype=np.int64).reshape(n, 2),
        )

    return make


class TwoHeads(nn.Module):
    """A small network with a branch, a change of size, and two heads."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.heads = nn.ModuleDict({"confmaps": nn.Conv2d(16, 2, 1), "pafs": nn.Conv2d(8, 4, 1)})

    def forward(self, x):
        wide = torch.relu(self.down(x))
        deep = torch.relu(self.up(nn.functional.max_pool2d(wide, 2)))
        both = torch.cat(
            [wide, nn.functional.interpolate(deep, scale_factor=2, mode="bilinear")], dim=1
        )
        return {"confmaps": self.heads["confmaps"](both), "pafs": self.heads["pafs"](deep)}


@pytest.fixture
def two_heads():
    return TwoHeads().eval()


@pytest.fixture
def worst():
    """Return a function from two sets of maps to the largest difference; names are the same."""

    def difference(found, expected):
        assert list(found) == list(expected)
        assert all(found[name].shape == expected[name].shape for name in expected)
        return max(float((found[name] - expected[name]).abs().max()) for name in expected)

    return difference
