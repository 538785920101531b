"""A network on the device that runs it.

On a processor with AVX-512, oneDNN, which computes PyTorch's convolutions, works on 16 channels of
a pixel at a time, so layers of at most 8 channels leave half of it idle. There such a layer
computes two neighbours of a row as one pixel with twice the channels. Their windows together are
one column wider than one of them: 3x3 takes 4/3 of the operations in half of the steps. With
channels last, neighbours lie beside each other, so nothing is moved. The other weights of the wider
window are zero and change no sum.
"""

import torch
from torch import Tensor, nn

from sleap_lab.networks.decoder import ConvReLU
from sleap_lab.networks.pose_network import PoseNetwork

LANES = 16
"""Channels that AVX-512 computes at a time in float32."""
FEW = 20480
"""Numbers of an input up to which PyTorch may compute a 3x3 convolution without oneDNN."""


def placed(network: PoseNetwork, device: torch.device) -> PoseNetwork:
    """Put a network on a device in the memory format that is fast there, and return it.

    On a processor, some layers may be replaced, so names of parameters change.
    """
    # The keyword is missing in torch's stubs.
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type == "cpu" and fills_lanes():
        pair_pixels(network)
    return network


def fills_lanes() -> bool:
    """Return whether this processor computes `LANES` channels of a convolution at a time."""
    avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return avx512 and torch.backends.mkldnn.is_available()


def pair_pixels(network: nn.Module) -> None:
    """Replace narrow convolutions by `PairedConvReLU`.

    Those of a single input channel stay: oneDNN has another way for them, which is faster. So do
    1x1 convolutions, whose windows do not overlap, and even kernels.
    """
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if (
                isinstance(layer, ConvReLU)
                and layer.in_channels > 1
                and layer.out_channels <= LANES // 2
                and layer.kernel_size[0] % 2
                and layer.kernel_size[0] > 1
            ):
                setattr(module, name, PairedConvReLU(layer))


class PairedConvReLU(nn.Module):
    """A convolution with ReLU that computes two neighbouring pixels at a time."""

    def __init__(self, single: ConvReLU) -> None:
        """Take the weights of a convolution with an odd kernel."""
        super().__init__()
        out, fan_in, kernel, _ = single.weight.shape
        self.single = single
        self.pairs = nn.Conv2d(
            fan_in, 2 * out, (kernel, kernel + 1), stride=(1, 2), padding=kernel // 2
        )
        weight = single.weight.new_zeros(2 * out, fan_in, kernel, kernel + 1)
        weight[:out, ..., :-1] = single.weight.detach()
        weight[out:, ..., 1:] = single.weight.detach()
        assert single.bias is not None
        self.pairs.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.pairs.bias = nn.Parameter(single.bias.detach().repeat(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, h, w) to (b, out_channels, h, w).

        Odd widths have a pixel without a neighbour. In float16, in maps narrower than the window,
        and where another library than oneDNN takes over, the last bits of pairs would differ.
        """
        width, kernel = x.shape[-1], self.single.kernel_size[-1]
        few = width < kernel or x.numel() <= FEW
        apart = width % 2 or few or self.pairs.weight.dtype == torch.float16
        return self.single(x) if apart else self.paired(x)

    def paired(self, x: Tensor) -> Tensor:
        """Map (b, in_channels, h, w) of an even width to (b, out_channels, h, w)."""
        pairs = torch.relu_(self.pairs(x)).movedim(1, -1)  # (b, h, w / 2, 2 out_channels)
        return pairs.reshape(*x.shape[:1], *x.shape[2:], -1).movedim(-1, 1)
