import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.networks.decoder import (
    ConvBlock,
    Decoder,
    DecoderBlock,
    KerasConvTranspose2d,
    conv_relu,
    max_pool,
)


def shapes(module):
    return {
        name: tuple(value.shape)
        for name, value in module.state_dict().items()
        if name.endswith("weight")
    }


def pick(convolution, channel):
    """Make a 1x1 convolution return one of its input channels."""
    with torch.no_grad():
        convolution.weight.zero_()
        convolution.weight[:, channel] = 1
        convolution.bias.zero_()


# It may be slower, which does not matter here.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
def test_kernels_of_any_size_keep_the_size(kernel_size):
    (convolution,) = conv_relu("enc", [1, 1], kernel_size).values()
    assert convolution(torch.rand(1, 1, 7, 9)).shape == (1, 1, 7, 9)


@torch.no_grad()
@pytest.mark.parametrize(
    ("pool", "expected"), [(False, [[1, 2, 3], [4, 9, 6], [7, 8, 5]]), (True, [[9]])]
)
def test_a_block_may_pool_first_and_floors_odd_sizes(pool, expected):
    block = ConvBlock("enc", [1, 1], 1, pool=pool)
    pick(block.blocks.enc_conv0, 0)
    assert block(torch.tensor([[[[1.0, 2, 3], [4, 9, 6], [7, 8, 5]]]]))[0, 0].tolist() == expected


def block(*, in_channels=1, skip_channels=1, interpolate=True):
    """A block of one output channel that refines with 1x1 convolutions."""
    return DecoderBlock("up", in_channels, skip_channels, 1, kernel_size=1, interpolate=interpolate)


def test_convolutions_keep_the_size_and_are_numbered():
    layers = conv_relu("enc", [1, 4, 6], 5)
    assert list(layers) == ["enc_conv0", "enc_conv1"]
    x = torch.rand(1, 1, 7, 9)
    for layer in layers.values():
        x = layer(x)
    assert x.shape == (1, 6, 7, 9)
    assert x.min() >= 0


@torch.no_grad()
@pytest.mark.parametrize(("channel", "expected"), [(0, [7, 7, 7, 7]), (1, [0, 1, 3, 4])])
def test_the_skip_connection_comes_before_the_upsampled_map(channel, expected):
    # Doubling 0 4 bilinearly with pixel centres at 1/2 gives 0, 3/4 0 + 1/4 4, 1/4 0 + 3/4 4, 4.
    up = block()
    pick(up.blocks.up_refine_conv0, channel)
    pick(up.blocks.up_refine_conv1, 0)
    found = up(torch.tensor([[[[0.0, 4.0]]]]), torch.full((1, 1, 2, 4), 7.0))
    assert found[0, 0].tolist() == [expected, expected]


@torch.no_grad()
def test_without_a_skip_connection_there_is_one_convolution():
    up = block(skip_channels=0)
    assert shapes(up) == {"blocks.up_refine_conv0.weight": (1, 1, 1, 1)}
    pick(up.blocks.up_refine_conv0, 0)
    assert up(torch.tensor([[[[0.0, 4.0]]]]), None)[0, 0].tolist() == [[0, 1, 3, 4]] * 2


@pytest.mark.parametrize("interpolate", [True, False])
@pytest.mark.parametrize("size", [(6, 8), (7, 9), (5, 8)])
def test_the_map_takes_the_size_of_the_skip_connection(interpolate, size):
    up = block(interpolate=interpolate)
    assert up(torch.rand(2, 1, 3, 4), torch.rand(2, 1, *size)).shape == (2, 1, *size)


@torch.no_grad()
def test_a_transposed_convolution_spreads_pixels_two_apart():
    up = block(skip_channels=0, interpolate=False)
    with torch.no_grad():
        up.blocks.up_trans_conv.weight.zero_()
        up.blocks.up_trans_conv.weight[:, :, 1, 1] = 1
        up.blocks.up_trans_conv.bias.zero_()
    pick(up.blocks.up_refine_conv0, 0)
    assert up(torch.tensor([[[[1.0, 2.0]]]]), None)[0, 0].tolist() == [[1, 0, 2, 0], [0, 0, 0, 0]]


def test_names_and_widths():
    decoder = Decoder("stack0_", 40, [30, 20], [12, 10, 8], 16, kernel_size=3, interpolate=True)
    assert shapes(decoder) == {
        "decoder_stack.0.blocks.stack0_dec0_s16_to_s8_refine_conv0.weight": (12, 30 + 40, 3, 3),
        "decoder_stack.0.blocks.stack0_dec0_s16_to_s8_refine_conv1.weight": (12, 12, 3, 3),
        "decoder_stack.1.blocks.stack0_dec1_s8_to_s4_refine_conv0.weight": (10, 20 + 12, 3, 3),
        "decoder_stack.1.blocks.stack0_dec1_s8_to_s4_refine_conv1.weight": (10, 10, 3, 3),
        "decoder_stack.2.blocks.stack0_dec2_s4_to_s2_refine_conv0.weight": (8, 10, 3, 3),
    }
    assert decoder.channels == {16: 40, 8: 12, 4: 10, 2: 8}


def test_names_and_widths_with_transposed_convolutions():
    decoder = Decoder("", 40, [30], [12], 4, kernel_size=3, interpolate=False)
    assert shapes(decoder) == {
        "decoder_stack.0.blocks.dec0_s4_to_s2_trans_conv.weight": (40, 12, 3, 3),  # in, out
        "decoder_stack.0.blocks.dec0_s4_to_s2_refine_conv0.weight": (12, 30 + 12, 3, 3),
        "decoder_stack.0.blocks.dec0_s4_to_s2_refine_conv1.weight": (12, 12, 3, 3),
    }


def test_every_output_is_found_by_its_stride():
    decoder = Decoder("", 4, [3], [5, 6], 8, kernel_size=3, interpolate=True)
    deepest = torch.rand(1, 4, 2, 3)
    outputs = decoder(deepest, [torch.rand(1, 3, 4, 6)])
    assert {stride: tuple(output.shape) for stride, output in outputs.items()} == {
        8: (1, 4, 2, 3),
        4: (1, 5, 4, 6),
        2: (1, 6, 8, 12),
    }
    assert outputs[8] is deepest


def test_without_blocks_the_deepest_map_is_the_output():
    decoder = Decoder("", 4, [3], [], 8, kernel_size=3, interpolate=True)
    deepest = torch.rand(1, 4, 2, 3)
    assert decoder(deepest, [torch.rand(1, 3, 4, 6)]) == {8: deepest}
    assert decoder.channels == {8: 4}


@torch.no_grad()
@given(seed=st.integers(0, 2**32 - 1), h=st.integers(1, 5), w=st.integers(1, 5))
def test_keras_spreads_pixels_from_the_first_and_leaves_the_last_out(seed, h, w):
    # Pixel (y, x) times the kernel is added at 2 y … 2 y + 2 and 2 x … 2 x + 2.
    torch.manual_seed(seed)
    convolution = KerasConvTranspose2d(2, 3)
    image = torch.randn(1, 2, h, w)
    whole = convolution.bias[:, None, None].repeat(1, 2 * h + 1, 2 * w + 1)
    for y in range(h):
        for x in range(w):
            whole[:, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += torch.einsum(
                "i,iokl->okl", image[0, :, y, x], convolution.weight
            )
    torch.testing.assert_close(convolution(image)[0], whole[:, :-1, :-1], rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("keras", "expected"), [(True, [1, 2, 3, 0]), (False, [2, 3, 0, 0])])
def test_keras_and_pytorch_are_a_pixel_apart(keras, expected):
    up = DecoderBlock("up", 1, 0, 1, kernel_size=1, interpolate=False, keras=keras)
    up.blocks.up_trans_conv.weight[:] = torch.tensor([1.0, 2, 3])
    up.blocks.up_trans_conv.bias.zero_()
    pick(up.blocks.up_refine_conv0, 0)
    assert up(torch.tensor([[[[1.0, 0.0]]]]), None)[0, 0, 0].tolist() == expected


@pytest.mark.parametrize("size", [(1, 1, 2, 2), (2, 3, 6, 8), (1, 8, 7, 5)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_is_the_same_with_and_without_gradients(size, layout):
    x = torch.randn(size, generator=torch.Generator().manual_seed(0)).contiguous(
        memory_format=layout
    )
    x[0, 0, 0, 0] = torch.nan
    pooled, trained = max_pool(x), max_pool(x.clone().requires_grad_())
    assert pooled.shape == (*size[:2], size[2] // 2, size[3] // 2)
    torch.testing.assert_close(pooled, trained.detach(), rtol=0, atol=0, equal_nan=True)
    assert "MaxPool2D" in type(trained.grad_fn).__name__
    assert pooled.is_contiguous(memory_format=layout)
