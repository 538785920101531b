"""The frame of ConvNeXt and Swin networks: an encoder of map levels, a middle and a decoder.

Parameter names equal those of SLEAP-NN checkpoints, so weights load by name.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from sleap_lab.networks.decoder import Decoder, middle_blocks


class Pyramid(nn.Module):
    """Encoder, middle and decoder; `forward` returns the maps that heads read."""

    def __init__(
        self,
        encoder: nn.Module,
        channels: Sequence[int],
        config: Mapping[str, Any],
        *,
        stem_stride: int,
        middle_channels: int | None,
    ) -> None:
        """Put the middle and the decoder of a training config on an encoder.

        Args:
            encoder: Maps images to its last map and its skip connections, deepest first.
            channels: Channels of the skip connections, shallowest first; the last map has as many
                channels as the deepest of them.
            config: The backbone's section of a training config.
            stem_stride: Stride of the first skip connection; it doubles with each.
            middle_channels: Channels of the deepest level, where those of a checkpoint differ from
                the computed ones.
        """
        super().__init__()
        rate, kernel_size, convs = (
            config.get("filters_rate", 2),
            config.get("kernel_size", 3),
            config.get("convs_per_block", 2),
        )
        levels = len(channels)
        stride = stem_stride * 2**levels
        up_blocks = int(math.log2(stride / config.get("output_stride", 1)))
        middle = middle_channels or int(channels[-1] * rate)
        self.in_channels = config.get("in_channels", 1)
        self.enc = encoder
        self.middle_blocks = middle_blocks(
            "convnext_middle_expand",
            "convnext_middle_contract",
            channels[-1],
            middle,
            convs=convs,
            kernel_size=kernel_size,
            pool=True,
        )
        self.dec = Decoder(
            "",
            middle,
            channels[::-1],
            [int(channels[0] * rate ** max(0, levels - 1 - k)) for k in range(up_blocks)],
            stride,
            kernel_size=kernel_size,
            interpolate=config.get("up_interpolate", True),
        )
        self.middle_channels = middle
        self.output_channels = self.dec.channels

    def forward(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Map images (b, in_channels, h, w) to the deepest map and decoder outputs by stride."""
        x, skips = self.enc(x)
        for block in self.middle_blocks:
            x = block(x)
        return x, self.dec(x, skips)


class Permute(nn.Module):
    """Change the order of the axes."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Return a view with the axes in order."""
        return x.permute(self.order)


def architecture(
    config: Mapping[str, Any], sizes: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    """Return the architecture of a backbone.

    `model_type` names it; without a known name, `arch` describes it; without both it is "tiny".
    """
    return sizes.get(config.get("model_type", "")) or config.get("arch") or sizes["tiny"]
