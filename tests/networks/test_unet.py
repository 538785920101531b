import pytest
import torch

from sleap_lab.networks.unet import UNet

WORKED = {
    "in_channels": 1,
    "filters": 16,
    "filters_rate": 1.5,
    "max_stride": 8,
    "output_stride": 2,
    "convs_per_block": 2,
}


ENCODER_AND_MIDDLE = {
    "encoders.0.encoder_stack.0.blocks.stack0_enc0_conv0": (16, 1, 3, 3),
    "encoders.0.encoder_stack.0.blocks.stack0_enc0_conv1": (16, 16, 3, 3),
    "encoders.0.encoder_stack.1.blocks.stack0_enc1_conv0": (24, 16, 3, 3),
    "encoders.0.encoder_stack.1.blocks.stack0_enc1_conv1": (24, 24, 3, 3),
    "encoders.0.encoder_stack.2.blocks.stack0_enc2_conv0": (36, 24, 3, 3),
    "encoders.0.encoder_stack.2.blocks.stack0_enc2_conv1": (36, 36, 3, 3),
    "middle_blocks.0.blocks.stack0_enc4_middle_expand_conv0": (54, 36, 3, 3),
    "middle_blocks.1.blocks.stack0_enc5_middle_contract_conv0": (54, 54, 3, 3),
}


def test_names_and_shapes_with_transposed_convolutions(shapes):
    assert shapes(UNet(WORKED | {"up_interpolate": False})) == ENCODER_AND_MIDDLE | {
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_trans_conv": (54, 36, 3, 3),
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_refine_conv0": (36, 36 + 36, 3, 3),
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_refine_conv1": (36, 36, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s4_to_s2_trans_conv": (36, 24, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s4_to_s2_refine_conv0": (24, 24 + 24, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s4_to_s2_refine_conv1": (24, 24, 3, 3),
    }


def test_names_and_shapes_with_interpolation(shapes):
    assert shapes(UNet(WORKED | {"up_interpolate": True})) == ENCODER_AND_MIDDLE | {
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_refine_conv0": (36, 36 + 54, 3, 3),
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_refine_conv1": (36, 36, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s4_to_s2_refine_conv0": (24, 24 + 36, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s4_to_s2_refine_conv1": (24, 24, 3, 3),
    }


def test_names_and_shapes_with_a_stem(shapes):
    stem = UNet(WORKED | {"stem_stride": 2, "output_stride": 1})
    assert shapes(stem) == {
        "stem.stem_stack.0.blocks.stem0_conv0": (16, 1, 7, 7),
        "stem.stem_stack.0.blocks.stem0_conv1": (16, 16, 7, 7),
        "encoders.0.encoder_stack.0.blocks.stack0_enc0_conv0": (24, 16, 3, 3),
        "encoders.0.encoder_stack.0.blocks.stack0_enc0_conv1": (24, 24, 3, 3),
        "encoders.0.encoder_stack.1.blocks.stack0_enc1_conv0": (36, 24, 3, 3),
        "encoders.0.encoder_stack.1.blocks.stack0_enc1_conv1": (36, 36, 3, 3),
        "middle_blocks.0.blocks.stack0_enc3_middle_expand_conv0": (54, 36, 3, 3),
        "middle_blocks.1.blocks.stack0_enc4_middle_contract_conv0": (54, 54, 3, 3),
        # The encoder pools again after the stem, so that the deepest map has stride 16.
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s16_to_s8_refine_conv0": (36, 36 + 54, 3, 3),
        "decoders.0.decoder_stack.0.blocks.stack0_dec0_s16_to_s8_refine_conv1": (36, 36, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s8_to_s4_refine_conv0": (24, 24 + 36, 3, 3),
        "decoders.0.decoder_stack.1.blocks.stack0_dec1_s8_to_s4_refine_conv1": (24, 24, 3, 3),
        "decoders.0.decoder_stack.2.blocks.stack0_dec2_s4_to_s2_refine_conv0": (
            16,
            16 + 24,
            3,
            3,
        ),  # the stem's output
        "decoders.0.decoder_stack.2.blocks.stack0_dec2_s4_to_s2_refine_conv1": (16, 16, 3, 3),
        "decoders.0.decoder_stack.3.blocks.stack0_dec3_s2_to_s1_refine_conv0": (
            16,
            16,
            3,
            3,
        ),  # nothing left to skip to
    }
    assert stem.output_channels == {16: 54, 8: 36, 4: 24, 2: 16, 1: 16}


def test_more_convolutions_per_block_do_not_reach_the_decoder(shapes):
    names = shapes(UNet(WORKED | {"convs_per_block": 3}))
    assert "encoders.0.encoder_stack.0.blocks.stack0_enc0_conv2" in names
    assert "middle_blocks.0.blocks.stack0_enc4_middle_expand_conv1" in names
    assert "decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_refine_conv2" not in names


@pytest.mark.parametrize(
    ("filters", "rate", "widths"),
    [
        (32, 2, [32, 64, 128, 256, 512]),  # medium receptive field
        (24, 1.5, [24, 36, 54, 81, 121, 182]),  # large: 24 * 1.5^4 = 121.5, * 1.5 = 182.25
        (8, 1.5, [8, 12, 18, 27, 40]),
    ],
)
def test_widths_are_truncated_level_by_level(filters, rate, widths):
    unet = UNet(
        {
            "filters": filters,
            "filters_rate": rate,
            "max_stride": 2 ** (len(widths) - 1),
            "output_stride": 1,
        }
    )
    strides = [2**level for level in range(len(widths))]
    assert [unet.output_channels[s] for s in strides[:-1]] == widths[:-1]
    assert unet.middle_channels == unet.output_channels[strides[-1]] == widths[-1]


def test_the_deepest_width_can_be_given(shapes):
    unet = UNet(WORKED, middle_channels=53)
    assert shapes(unet)["middle_blocks.1.blocks.stack0_enc5_middle_contract_conv0"] == (
        53,
        53,
        3,
        3,
    )
    assert shapes(unet)["decoders.0.decoder_stack.0.blocks.stack0_dec0_s8_to_s4_refine_conv0"] == (
        36,
        36 + 53,
        3,
        3,
    )


def test_defaults_are_those_of_training():
    unet = UNet({})
    assert unet.in_channels == 1
    assert unet.output_channels == {16: 162, 8: 108, 4: 72, 2: 48, 1: 32}


@pytest.mark.parametrize(
    "config",
    [{"up_interpolate": True}, {"up_interpolate": False}, {"stem_stride": 2}, {"output_stride": 8}],
)
@pytest.mark.parametrize("size", [(16, 32), (17, 31), (50, 38)])
@torch.no_grad()
def test_maps_are_the_image_divided_by_their_stride(config, size):
    unet = UNet(WORKED | {"filters": 4, **config})
    deepest, outputs = unet(torch.rand(2, 1, *size))
    assert {s: tuple(output.shape[-2:]) for s, output in outputs.items()} == {
        s: (size[0] // s, size[1] // s) for s in outputs
    }
    assert deepest is outputs[max(outputs)]
    assert {s: output.shape[1] for s, output in outputs.items()} == unet.output_channels


@torch.no_grad()
def test_the_same_image_gives_the_same_maps_again():
    unet = UNet(WORKED | {"filters": 4, "stem_stride": 2})
    image = torch.rand(1, 1, 25, 31)
    assert torch.equal(unet(image)[0], unet(image)[0])


@torch.no_grad()
def test_images_of_a_batch_do_not_mix():
    unet = UNet(WORKED | {"filters": 4}).eval()
    images = torch.rand(3, 1, 16, 16)
    together = unet(images)[1][2]
    for image, found in zip(images, together, strict=True):
        torch.testing.assert_close(unet(image[None])[1][2][0], found)


def test_maps_that_no_decoder_block_reads_are_not_kept():
    network = UNet(WORKED | {"output_stride": 2})  # levels of stride 1, 2 and 4
    _, skips = network.encoders[0](torch.zeros(1, 1, 16, 24))
    assert [tuple(skip.shape[-2:]) for skip in skips] == [(16 / 4, 24 / 4), (16 / 2, 24 / 2)]
    _, skips = UNet(WORKED | {"output_stride": 8}).encoders[0](torch.zeros(1, 1, 16, 24))
    assert skips == []
