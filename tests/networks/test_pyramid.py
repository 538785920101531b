import pytest
import torch
from torch import nn

from sleap_lab.networks.pyramid import Pyramid, architecture

SIZES = {"tiny": {"depths": (1,)}, "large": {"depths": (9,)}}
OWN = {"depths": [2]}


class Halving(nn.Module):
    """An encoder whose maps are means of the image, one channel repeated.

    Strides begin with `stride` and double with each map.
    """

    def __init__(self, widths, stride):
        super().__init__()
        self.widths, self.stride = widths, stride

    def forward(self, x):
        maps = [
            nn.functional.avg_pool2d(x, self.stride << level)[:, :1].repeat(1, width, 1, 1)
            for level, width in enumerate(self.widths)
        ]
        return maps[-1], maps[::-1]


def pyramid(widths=(4, 6, 8, 10), stem_stride=2, middle_channels=None, **config):
    return Pyramid(
        Halving(widths, stem_stride),
        widths,
        config,
        stem_stride=stem_stride,
        middle_channels=middle_channels,
    )


def test_names_and_shapes(shapes):
    # The decoder blocks have widths 4 * 1.5^3 = 13.5, 4 * 1.5^2 = 9, 6, 4 and again 4; the middle
    # has 10 * 1.5.
    assert shapes(pyramid(filters_rate=1.5)) == {
        "middle_blocks.0.blocks.convnext_middle_expand_conv0": (15, 10, 3, 3),
        "middle_blocks.1.blocks.convnext_middle_contract_conv0": (15, 15, 3, 3),
        "dec.decoder_stack.0.blocks.dec0_s32_to_s16_refine_conv0": (13, 10 + 15, 3, 3),
        "dec.decoder_stack.0.blocks.dec0_s32_to_s16_refine_conv1": (13, 13, 3, 3),
        "dec.decoder_stack.1.blocks.dec1_s16_to_s8_refine_conv0": (9, 8 + 13, 3, 3),
        "dec.decoder_stack.1.blocks.dec1_s16_to_s8_refine_conv1": (9, 9, 3, 3),
        "dec.decoder_stack.2.blocks.dec2_s8_to_s4_refine_conv0": (6, 6 + 9, 3, 3),
        "dec.decoder_stack.2.blocks.dec2_s8_to_s4_refine_conv1": (6, 6, 3, 3),
        "dec.decoder_stack.3.blocks.dec3_s4_to_s2_refine_conv0": (4, 4 + 6, 3, 3),
        "dec.decoder_stack.3.blocks.dec3_s4_to_s2_refine_conv1": (4, 4, 3, 3),
        "dec.decoder_stack.4.blocks.dec4_s2_to_s1_refine_conv0": (
            4,
            4,
            3,
            3,
        ),  # nothing left to skip to
    }


def test_more_convolutions_widen_nothing_but_the_middle(shapes):
    names = shapes(pyramid(convs_per_block=3, kernel_size=5))
    assert names["middle_blocks.0.blocks.convnext_middle_expand_conv1"] == (20, 20, 5, 5)
    assert "dec.decoder_stack.0.blocks.dec0_s32_to_s16_refine_conv2" not in names


@torch.no_grad()
@pytest.mark.parametrize("up_interpolate", [True, False])
@pytest.mark.parametrize(
    ("stem_stride", "output_stride"), [(1, 1), (2, 1), (2, 4), (2, 32), (4, 2)]
)
def test_maps_are_the_image_divided_by_their_stride(stem_stride, output_stride, up_interpolate):
    network = pyramid(
        stem_stride=stem_stride, output_stride=output_stride, up_interpolate=up_interpolate
    )
    deepest, outputs = network(torch.rand(2, 1, 128, 64))
    strides = [16 * stem_stride >> k for k in range(8) if 16 * stem_stride >> k >= output_stride]
    assert {s: tuple(output.shape) for s, output in outputs.items()} == {
        s: (2, network.output_channels[s], 128 // s, 64 // s) for s in strides
    }
    assert deepest is outputs[16 * stem_stride]
    assert network.middle_channels == network.output_channels[16 * stem_stride] == 20


@torch.no_grad()
@pytest.mark.parametrize("size", [(80, 112), (75, 101)])
def test_maps_of_any_size_meet_the_skip_connections(size):
    _, outputs = pyramid(output_stride=2)(torch.rand(1, 1, *size))
    assert outputs[2].shape[-2:] == (size[0] // 2, size[1] // 2)
    assert outputs[16].shape[-2:] == (size[0] // 16, size[1] // 16)
    assert outputs[32].shape[-2:] == (size[0] // 32, size[1] // 32)  # floored


def test_the_deepest_width_can_be_given(shapes):
    assert shapes(pyramid(middle_channels=17))[
        "middle_blocks.1.blocks.convnext_middle_contract_conv0"
    ] == (17, 17, 3, 3)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "large", "arch": None}, SIZES["large"]),
        ({"model_type": "large", "arch": OWN}, SIZES["large"]),  # a size that is known wins
        ({"model_type": "custom", "arch": OWN}, OWN),
        ({"arch": OWN}, OWN),
        ({"model_type": None, "arch": OWN}, OWN),
        ({"model_type": "custom", "arch": None}, SIZES["tiny"]),
        ({}, SIZES["tiny"]),
    ],
)
def test_the_architecture_is_named_or_spelled_out(config, expected):
    assert architecture(config, SIZES) is expected
