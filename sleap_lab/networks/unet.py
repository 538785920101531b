"""UNet as SLEAP-NN trains it.

Departures from the paper (Ronneberger et al. 2015):

* same-padded convolutions, no batch norm, channels grow by `filters_rate` per level instead of
  doubling;
* the deepest level is split into an "expand" and a "contract" block with equally many channels;
* the decoder stops at the output stride, and each of its blocks has as many channels as the level
  it reaches;
* an optional stem of 7x7 convolutions; the encoder pools once more after it, so that the true
  stride is twice `max_stride`.

Parameter names equal those of SLEAP-NN checkpoints, so weights load by name.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sleap_lab.networks.decoder import ConvBlock, Decoder, max_pool, middle_blocks

STEM_KERNEL_SIZE = 7


class Stem(nn.Module):
    """Wide-kernel blocks before the encoder."""

    def __init__(self, blocks: list[ConvBlock]) -> None:
        super().__init__()
        self.stem_stack = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last block's output, pooled."""
        for block in self.stem_stack:
            x = block(x)
        return max_pool(x)


class Encoder(nn.Module):
    """Blocks that halve the resolution.

    The decoder reads the outputs of the deepest `kept` blocks; larger maps are freed at once.
    """

    def __init__(self, blocks: list[ConvBlock], kept: int) -> None:
        super().__init__()
        self.kept = kept
        self.encoder_stack = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the pooled last output, and the outputs of the kept blocks, deepest first."""
        skips: deque[Tensor] = deque(maxlen=self.kept)
        for block in self.encoder_stack:
            x = block(x)
            skips.appendleft(x)
        return max_pool(x), list(skips)


class UNet(nn.Module):
    """Encoder, middle and decoder; `forward` returns the maps that heads read."""

    def __init__(
        self, config: Mapping[str, Any], *, middle_channels: int | None = None, keras: bool = False
    ) -> None:
        """Build the network a training config describes.

        Args:
            config: The `unet` section of a training config.
            middle_channels: Channels of the deepest level, where those of a checkpoint differ from
                the computed ones.
            keras: Pad transposed convolutions as Keras does.
        """
        super().__init__()
        filters, rate = config.get("filters", 32), config.get("filters_rate", 1.5)
        kernel_size, convs = config.get("kernel_size", 3), config.get("convs_per_block", 2)
        max_stride, output_stride = config.get("max_stride", 16), config.get("output_stride", 1)
        stem_levels = int(math.log2(config.get("stem_stride") or 1))
        depth = int(math.log2(max_stride)) - stem_levels
        up_blocks = int(math.log2(max_stride / output_stride)) + stem_levels
        self.in_channels = config.get("in_channels", 1)

        def channels(level: int) -> int:
            return int(filters * rate**level)

        def conv_channels(level: int) -> list[int]:
            return [channels(level - 1) if level else self.in_channels] + [channels(level)] * convs

        stem_blocks = [
            ConvBlock(f"stem{level}", conv_channels(level), STEM_KERNEL_SIZE, pool=level > 0)
            for level in range(stem_levels)
        ]
        encoder_blocks = [
            ConvBlock(f"stack0_enc{b}", conv_channels(level), kernel_size, pool=level > 0)
            for b, level in enumerate(range(stem_levels, stem_levels + depth))
        ]
        skip_channels = [block.out_channels for block in [*stem_blocks[-1:], *encoder_blocks]][::-1]
        self.stem = Stem(stem_blocks) if stem_blocks else None
        self.encoders = nn.ModuleList([Encoder(encoder_blocks, up_blocks)])
        middle = middle_channels or channels(depth + stem_levels)
        self.middle_blocks = middle_blocks(
            f"stack0_enc{depth + 1}_middle_expand",
            f"stack0_enc{depth + 2}_middle_contract",
            skip_channels[0] if skip_channels else self.in_channels,
            middle,
            convs=convs,
            kernel_size=kernel_size,
        )
        decoder = Decoder(
            "stack0_",
            middle,
            skip_channels,
            [channels(max(0, depth + stem_levels - 1 - k)) for k in range(up_blocks)],
            stride=max_stride * 2 if stem_levels else max_stride,
            kernel_size=kernel_size,
            interpolate=config.get("up_interpolate", True),
            keras=keras,
        )
        self.decoders = nn.ModuleList([decoder])
        self.middle_channels = middle
        self.output_channels = decoder.channels

    def forward(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Map images (b, in_channels, h, w) to the deepest map and decoder outputs by stride."""
        stem = None
        if self.stem is not None:
            x = stem = self.stem(x)
        x, skips = self.encoders[0](x)
        if stem is not None:
            skips.append(stem)
        for block in self.middle_blocks:
            x = block(x)
        return x, self.decoders[0](x, skips)
