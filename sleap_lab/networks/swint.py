"""Swin transformer as SLEAP-NN trains it.

Departures from the paper (Liu et al. 2021):

* the patches of the stem overlap: 4x4 with stride 2 and one pixel of padding, instead of stride 4;
* maps that windows do not divide are padded with zeros after the norm, and attention includes the
  padding;
* no classifier: two blocks of convolutions after one more pooling, then the decoder of the UNet;
* skip connections leave each level before its blocks, not after them;
* no dropout and no stochastic depth, which are for training.

Inside the encoder maps are (b, h, w, c). Parameter names equal those of SLEAP-NN checkpoints, so
weights load by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sleap_lab.networks.pyramid import Permute, Pyramid, architecture

SIZES = {
    "tiny": {"embed": 96, "depths": (2, 2, 6, 2), "num_heads": (3, 6, 12, 24)},
    "small": {"embed": 96, "depths": (2, 2, 18, 2), "num_heads": (3, 6, 12, 24)},
    "base": {"embed": 128, "depths": (2, 2, 18, 2), "num_heads": (4, 8, 16, 32)},
}
"""Model type -> channels of the first level, blocks per level, and attention heads per level.

Each level doubles the channels.
"""
MASKED = -100.0
"""Added to the attention between pixels that only the cyclic shift has made neighbours."""


class PatchMerging(nn.Module):
    """Halve the resolution: join the pixels of each 2x2 patch, reduce to twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, h, w, c) to (b, h / 2, w / 2, 2 c); odd sizes are padded with zeros first."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = torch.cat([x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)], dim=-1)
        return self.reduction(self.norm(x))


class WindowAttention(nn.Module):
    """Attention among the pixels of each window, biased by how far apart they are."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        """Set up attention.

        Args:
            channels: Channels; a multiple of `heads`.
            heads: Number of attention heads.
            window: Side of the windows in pixels.
            shift: By how many pixels the windows are moved down and to the right.
        """
        super().__init__()
        if channels % heads:
            raise ValueError(f"{heads} attention heads do not divide {channels} channels")
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_positions(window))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, h, w, c) to the same shape."""
        batch, height, width, _ = x.shape
        x = F.pad(x, (0, 0, 0, -width % self.window, 0, -height % self.window))
        size = x.shape[1:3]
        # A single window is not shifted.
        shift = [self.shift if side > self.window else 0 for side in size]
        bias = self.relative_position_bias_table[self.relative_position_index].T.reshape(
            1, self.heads, self.window**2, -1
        )
        if any(shift):
            bias = bias + shift_mask(size, self.window, shift, like=bias)[:, None]
            bias = bias.repeat(batch, 1, 1, 1)
        x = to_windows(torch.roll(x, [-s for s in shift], dims=(1, 2)), self.window)
        x = from_windows(self.attend(x, bias), size, self.window)
        return torch.roll(x, shift, dims=(1, 2))[:, :height, :width]

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        """Attend within windows.

        Args:
            x: (windows, pixels, c).
            bias: (windows or 1, heads, pixels, pixels), added before the softmax.

        Returns:
            (windows, pixels, c).
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(
            F.scaled_dot_product_attention(q, k, v, attn_mask=bias).transpose(1, 2).flatten(2)
        )


class Block(nn.Module):
    """Residuals of attention within windows and of a perceptron per pixel."""

    def __init__(self, channels: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window, shift)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(4 * channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, h, w, c) to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SwinEncoder(nn.Module):
    """Levels of blocks, whose windows are shifted in every second one."""

    def __init__(
        self,
        in_channels: int,
        embed: int,
        depths: Sequence[int],
        heads: Sequence[int],
        *,
        patch: int,
        stem_stride: int,
        window: int,
    ) -> None:
        super().__init__()
        features: list[nn.Module] = []
        for level, (depth, n) in enumerate(zip(depths, heads, strict=True)):
            channels = embed * 2**level
            if level == 0:
                stem = nn.Conv2d(in_channels, channels, patch, stem_stride, padding=1)
                features.append(nn.Sequential(stem, Permute(0, 2, 3, 1), nn.LayerNorm(channels)))
            else:
                features.append(PatchMerging(channels // 2))
            features.append(
                nn.Sequential(
                    *(Block(channels, n, window, window // 2 if j % 2 else 0) for j in range(depth))
                )
            )
        self.features = nn.ModuleList(features)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the last level's output and every level's input, deepest first.

        The output is normed. All maps are (b, c, h, w).
        """
        skips: list[Tensor] = []
        for reduce, blocks in zip(self.features[::2], self.features[1::2], strict=True):
            x = reduce(x)
            skips.insert(0, x.permute(0, 3, 1, 2))
            x = blocks(x)
        return self.norm(x).permute(0, 3, 1, 2), skips


def relative_positions(window: int) -> Tensor:
    """Return the row of the bias table for each pair of pixels of a window, (window^4,) int64."""
    # On the CPU also where a network is built on the meta device, without memory for weights.
    side = torch.arange(window, device="cpu")
    row, column = (axis.flatten() for axis in torch.meshgrid(side, side, indexing="ij"))
    down, right = (axis[:, None] - axis[None] + window - 1 for axis in (row, column))
    return (down * (2 * window - 1) + right).flatten()


def to_windows(x: Tensor, window: int) -> Tensor:
    """Cut (b, h, w, c) into (b x windows, pixels, c)."""
    return (
        x.unflatten(2, (-1, window))
        .unflatten(1, (-1, window))
        .transpose(2, 3)
        .flatten(3, 4)
        .flatten(0, 2)
    )


def from_windows(x: Tensor, size: Sequence[int], window: int) -> Tensor:
    """Put (b x windows, pixels, c) together to (b, h, w, c), with (h, w) = `size`."""
    rows, columns = size[0] // window, size[1] // window
    return (
        x.unflatten(1, (window, window))
        .unflatten(0, (-1, rows, columns))
        .transpose(2, 3)
        .flatten(3, 4)
        .flatten(1, 2)
    )


def shift_mask(size: Sequence[int], window: int, shift: Sequence[int], *, like: Tensor) -> Tensor:
    """Return the attention mask that separates pixels from opposite sides of the map.

    Args:
        size: (h, w) of the map.
        window: Side of the windows.
        shift: By how much rows and columns were rolled.
        like: Gives dtype and device.

    Returns:
        (windows, pixels, pixels), 0 or `MASKED`.
    """
    rows, columns = (
        torch.arange(side, device=like.device) >= side - s
        for side, s in zip(size, shift, strict=True)
    )
    # (windows, pixels, 1)
    side_of = to_windows((2 * rows[:, None] + columns)[None, :, :, None], window)
    return torch.where(side_of == side_of.transpose(-2, -1), 0.0, MASKED).to(like.dtype)


def swint(config: Mapping[str, Any], *, middle_channels: int | None = None) -> Pyramid:
    """Build the network a training config describes.

    Args:
        config: The `swint` section of a training config; pretrained weights are not fetched.
        middle_channels: Channels of the deepest level, where those of a checkpoint differ from
            the computed ones.
    """
    arch, stem_stride = architecture(config, SIZES), config.get("stem_patch_stride", 2)
    encoder = SwinEncoder(
        config.get("in_channels", 1),
        arch["embed"],
        arch["depths"],
        arch["num_heads"],
        patch=config.get("patch_size", 4),
        stem_stride=stem_stride,
        window=config.get("window_size", 7),
    )
    channels = [arch["embed"] * 2**level for level in range(len(arch["depths"]))]
    return Pyramid(
        encoder, channels, config, stem_stride=stem_stride, middle_channels=middle_channels
    )
