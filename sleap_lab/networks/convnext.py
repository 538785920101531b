"""ConvNeXt as SLEAP-NN trains it.

Departures from the paper (Liu et al. 2022):

* the stem's convolution overlaps: 4x4 with stride 2 and one pixel of padding, instead of stride 4;
* no classifier: two blocks of convolutions after one more pooling, then the decoder of the UNet;
* skip connections leave each level before its blocks, not after them;
* no stochastic depth, which is for training.

Parameter names equal those of SLEAP-NN checkpoints, so weights load by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sleap_lab.networks.pyramid import Permute, Pyramid, architecture

SIZES = {
    "tiny": {"depths": (3, 3, 9, 3), "channels": (96, 192, 384, 768)},
    "small": {"depths": (3, 3, 27, 3), "channels": (96, 192, 384, 768)},
    "base": {"depths": (3, 3, 27, 3), "channels": (128, 256, 512, 1024)},
    "large": {"depths": (3, 3, 27, 3), "channels": (192, 384, 768, 1536)},
}
"""Model type -> blocks per level, and channels of each."""
EPS = 1e-6
"""Added to the variance in layer norms, as ConvNeXt has it; PyTorch's own default is 1e-5."""


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Residual of a depthwise 7x7 convolution and a perceptron per pixel, each channel scaled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=EPS),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Permute(0, 3, 1, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to the same shape."""
        return x + self.layer_scale * self.block(x)


class ConvNeXtEncoder(nn.Module):
    """Levels of blocks, each after a convolution that reduces the resolution."""

    def __init__(
        self,
        in_channels: int,
        depths: Sequence[int],
        channels: Sequence[int],
        *,
        stem_kernel: int,
        stem_stride: int,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        for level, (depth, out) in enumerate(zip(depths, channels, strict=True)):
            if level == 0:
                features.append(
                    nn.Sequential(
                        nn.Conv2d(in_channels, out, stem_kernel, stem_stride, padding=1),
                        ChannelNorm(out, eps=EPS),
                    )
                )
            else:
                above = channels[level - 1]
                features.append(
                    nn.Sequential(ChannelNorm(above, eps=EPS), nn.Conv2d(above, out, 2, stride=2))
                )
            features.append(nn.Sequential(*(Block(out) for _ in range(depth))))
        self.features = nn.ModuleList(features)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the last level's output, and what every level starts from, deepest first."""
        skips: list[Tensor] = []
        for reduce, blocks in zip(self.features[::2], self.features[1::2], strict=True):
            x = reduce(x)
            skips.insert(0, x)
            x = blocks(x)
        return x, skips


def convnext(config: Mapping[str, Any], *, middle_channels: int | None = None) -> Pyramid:
    """Build the network a training config describes.

    Args:
        config: The `convnext` section of a training config; pretrained weights are not fetched.
        middle_channels: Channels of the deepest level, where those of a checkpoint differ from
            the computed ones.
    """
    arch, stem_stride = architecture(config, SIZES), config.get("stem_patch_stride", 2)
    encoder = ConvNeXtEncoder(
        config.get("in_channels", 1),
        arch["depths"],
        arch["channels"],
        stem_kernel=config.get("stem_patch_kernel", 4),
        stem_stride=stem_stride,
    )
    return Pyramid(
        encoder, arch["channels"], config, stem_stride=stem_stride, middle_channels=middle_channels
    )
