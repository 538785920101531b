import pytest
import torch
from torch.nn import functional as F

from sleap_lab.networks.convnext import Block, ChannelNorm, ConvNeXtEncoder, convnext


def test_widths_of_tiny_as_sleap_nn_documents_them():
    with torch.device("meta"):
        network = convnext({})
    assert network.in_channels == 1
    assert network.middle_channels == 768 * 2
    assert network.output_channels == {32: 1536, 16: 768, 8: 384, 4: 192, 2: 96, 1: 96}
    names = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert names["enc.features.0.0.weight"] == (96, 1, 4, 4)
    assert names["dec.decoder_stack.0.blocks.dec0_s32_to_s16_refine_conv0.weight"] == (
        768,
        2304,
        3,
        3,
    )
    assert names["dec.decoder_stack.3.blocks.dec3_s4_to_s2_refine_conv0.weight"] == (96, 288, 3, 3)
    assert [len(network.enc.features[i]) for i in (1, 3, 5, 7)] == [3, 3, 9, 3]


def test_pretrained_weights_are_not_fetched(monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connects"))
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("downloads"))
    config = {"model_type": "custom", "arch": {"depths": [1], "channels": [2]}}
    plain = convnext(config).state_dict()
    named = convnext(config | {"pre_trained_weights": "ConvNeXt_Tiny_Weights"}).state_dict()
    assert {name: value.shape for name, value in named.items()} == {
        name: value.shape for name, value in plain.items()
    }


@torch.no_grad()
def test_the_norm_is_that_of_each_pixel():
    norm = ChannelNorm(2, eps=0.0)
    norm.weight.copy_(torch.tensor([1.0, 10.0]))
    norm.bias.copy_(torch.tensor([0.0, 5.0]))
    pixel = torch.tensor([3.0, 7.0])[None, :, None, None]  # mean 5, deviation 2
    assert norm(pixel).flatten().tolist() == [(3 - 5) / 2, 10 * (7 - 5) / 2 + 5]


@torch.no_grad()
def test_a_block_is_a_scaled_residual(fill):
    block = fill(Block(4))
    x = torch.randn(1, 4, 5, 4)
    conv, norm, up, down = (block.block[i] for i in (0, 2, 3, 5))
    expected = x.clone()
    branch = F.conv2d(F.pad(x, (3, 3, 3, 3)), conv.weight, conv.bias, groups=4)
    for row in range(5):
        for column in range(4):
            pixel = branch[0, :, row, column]
            pixel = (pixel - pixel.mean()) / torch.sqrt(
                pixel.var(correction=0) + 1e-6
            ) * norm.weight + norm.bias
            hidden = up.weight @ pixel + up.bias
            hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
            expected[0, :, row, column] += block.layer_scale[:, 0, 0] * (
                down.weight @ hidden + down.bias
            )
    torch.testing.assert_close(block(x), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_skip_connections_leave_each_level_before_its_blocks(fill):
    encoder = fill(ConvNeXtEncoder(1, [2, 1, 3], [4, 6, 8], stem_kernel=4, stem_stride=2))
    image = torch.randn(1, 1, 32, 48)
    last, skips = encoder(image)
    assert [tuple(skip.shape) for skip in skips] == [(1, 8, 4, 6), (1, 6, 8, 12), (1, 4, 16, 24)]
    assert torch.equal(skips[2], encoder.features[0](image))
    assert torch.equal(skips[1], encoder.features[2](encoder.features[1](skips[2])))
    assert torch.equal(last, encoder.features[5](skips[0]))


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
def test_even_sizes_are_halved_odd_ones_floored(size):
    encoder = ConvNeXtEncoder(1, [1], [2], stem_kernel=4, stem_stride=2)
    assert encoder(torch.rand(1, 1, *size))[0].shape == (1, 2, size[0] // 2, size[1] // 2)


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(fill):
    network = fill(
        convnext({"arch": {"depths": [1, 1], "channels": [4, 6]}, "output_stride": 2})
    ).eval()
    images = torch.rand(3, 1, 16, 16)
    together = network(images)[1][2]
    for image, found in zip(images, together, strict=True):
        torch.testing.assert_close(network(image[None])[1][2][0], found, rtol=1e-3, atol=1e-3)


def test_levels_must_have_both_depth_and_width():
    with pytest.raises(ValueError, match="shorter"):
        convnext({"arch": {"depths": [1, 1, 1], "channels": [4, 6]}})
