"""The convolutions and the decoder that every backbone shares.

A decoder block upsamples, joins the skip connection, and refines. Parameter names equal those of
SLEAP-NN checkpoints, so weights load by name.

Blocks call their layers in loops. A call of `nn.Sequential` keeps its input until the end; what is
freed earlier is still in the cache when a later layer writes there.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvReLU(nn.Conv2d):
    """Same-padded convolution with ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, h, w) to (b, out_channels, h, w)."""
        return torch.relu_(super().forward(x))


def conv_relu(
    name: str, channels: Sequence[int], kernel_size: int
) -> "OrderedDict[str, nn.Module]":
    """Return convolutions with ReLU, one per step of `channels`.

    They are called `{name}_conv0`, `{name}_conv1`, ….
    """
    return OrderedDict(
        (f"{name}_conv{i}", ConvReLU(fan_in, fan_out, kernel_size))
        for i, (fan_in, fan_out) in enumerate(pairwise(channels))
    )


def max_pool(x: Tensor) -> Tensor:
    """Take the largest of every 2x2 pixels of (b, c, h, w); odd sizes are floored."""
    if x.requires_grad or not x.is_cpu or torch.jit.is_tracing():
        return F.max_pool2d(x, 2)
    # On a CPU, `max_pool2d` records where each maximum is, for training; that is 5 times slower.
    h, w = x.shape[-2] // 2 * 2, x.shape[-1] // 2 * 2
    rows = torch.maximum(x[..., 0:h:2, :w], x[..., 1:h:2, :w])
    return torch.maximum(rows[..., 0::2], rows[..., 1::2])


class ConvBlock(nn.Module):
    """Convolutions with ReLU, after 2x2 max pooling if requested."""

    def __init__(
        self, name: str, channels: Sequence[int], kernel_size: int, *, pool: bool = False
    ) -> None:
        super().__init__()
        self.pool = pool
        self.out_channels = channels[-1]
        self.blocks = nn.Sequential(conv_relu(name, channels, kernel_size))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, out_channels, h, w); pooling halves the size, rounded down."""
        x = max_pool(x) if self.pool else x
        for layer in self.blocks:
            x = layer(x)
        return x


def middle_blocks(
    expand: str,
    contract: str,
    in_channels: int,
    out_channels: int,
    *,
    convs: int,
    kernel_size: int,
    pool: bool = False,
) -> nn.ModuleList:
    """Return the two blocks of the deepest level, between encoder and decoder.

    Args:
        expand: Name of the first block, of `convs` - 1 convolutions.
        contract: Name of the second block, of one convolution.
        in_channels: Channels of the encoder's last map.
        out_channels: Channels of the deepest level.
        convs: Convolutions of both blocks together.
        kernel_size: Side of the convolutions.
        pool: Pool before the first block.
    """
    channels = [in_channels] + [out_channels] * (convs - 1)
    return nn.ModuleList(
        [
            ConvBlock(expand, channels, kernel_size, pool=pool),
            ConvBlock(contract, [out_channels] * 2, kernel_size),
        ]
    )


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class KerasConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution of stride 2 that doubles the size as Keras' padding "same" does.

    The whole output of n pixels has 2n + 1. Keras leaves out the last pixel; PyTorch with padding
    and output padding 1 leaves out the first.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride=2)

    # The caller cannot choose the output size.
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Map (b, in_channels, h, w) to (b, out_channels, 2h, 2w)."""
        return super().forward(x)[..., :-1, :-1]


class DecoderBlock(nn.Module):
    """Double the resolution, concatenate the skip connection before the upsampled map, refine.

    Without a skip connection there is one refining convolution instead of two.
    """

    def __init__(
        self,
        name: str,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        interpolate: bool,
        keras: bool = False,
    ) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        self.upsampling = 0
        if not interpolate:
            layers[f"{name}_trans_conv"] = (
                KerasConvTranspose2d(in_channels, out_channels)
                if keras
                else nn.ConvTranspose2d(
                    in_channels, out_channels, 3, stride=2, padding=1, output_padding=1
                )
            )
            layers[f"{name}_trans_relu"] = nn.ReLU(inplace=True)
            self.upsampling = len(layers)
            in_channels = out_channels
        channels = (
            (in_channels + skip_channels, out_channels, out_channels)
            if skip_channels
            else (in_channels, out_channels)
        )
        layers.update(conv_relu(f"{name}_refine", channels, kernel_size))
        self.blocks = nn.Sequential(layers)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Map (b, c, h, w) to (b, out_channels, 2h, 2w), or to the size of the skip connection."""
        x = self.blocks[: self.upsampling](x) if self.upsampling else _double(x)
        if skip is not None:
            if x.shape[-2:] != skip.shape[-2:]:
                x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = torch.cat((skip, x), dim=1)
        for layer in list(self.blocks)[self.upsampling :]:
            x = layer(x)
        return x


class Decoder(nn.Module):
    """Decoder blocks from the deepest map up to the output stride."""

    def __init__(
        self,
        prefix: str,
        in_channels: int,
        skip_channels: Sequence[int],
        channels: Sequence[int],
        stride: int,
        *,
        kernel_size: int,
        interpolate: bool,
        keras: bool = False,
    ) -> None:
        """Build one block per entry of `channels`.

        Args:
            prefix: Start of the parameter names, e.g. `stack0_`.
            in_channels: Channels of the deepest map.
            skip_channels: Channels of the skip connections, deepest first; later blocks have none.
            channels: Channels of each block's output.
            stride: Stride of the deepest map.
            kernel_size: Side of the refining convolutions.
            interpolate: Upsample bilinearly instead of by transposed convolution.
            keras: Pad transposed convolutions as Keras does.
        """
        super().__init__()
        self.stride = stride
        self.channels = {stride: in_channels}
        blocks = []
        for k, out_channels in enumerate(channels):
            name = f"{prefix}dec{k}_s{stride >> k}_to_s{stride >> (k + 1)}"
            blocks.append(
                DecoderBlock(
                    name,
                    in_channels,
                    skip_channels[k] if k < len(skip_channels) else 0,
                    out_channels,
                    kernel_size=kernel_size,
                    interpolate=interpolate,
                    keras=keras,
                )
            )
            in_channels = self.channels[stride >> (k + 1)] = out_channels
        self.decoder_stack = nn.ModuleList(blocks)

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> dict[int, Tensor]:
        """Return the output of every block by its stride, and the deepest map by its own."""
        outputs = {self.stride: x}
        for k, block in enumerate(self.decoder_stack):
            x = block(x, skips[k] if k < len(skips) else None)
            outputs[self.stride >> (k + 1)] = x
        return outputs
