import copy

import pytest
import torch

from sleap_lab.networks import build_network
from sleap_lab.networks.decoder import ConvReLU
from sleap_lab.networks.placed import PairedConvReLU, fills_lanes, pair_pixels, placed

CPU = torch.device("cpu")


def relu_convolution(fan_in, out, kernel=3):
    torch.manual_seed(0)
    return ConvReLU(fan_in, out, kernel).to(memory_format=torch.channels_last)


def images(*shape):
    return torch.rand(shape).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(6, 8), (5, 10), (1, 2)])
def test_pairs_are_what_single_pixels_are(kernel, size):
    single = relu_convolution(3, 5, kernel)
    found = PairedConvReLU(copy.deepcopy(single)).paired(x := images(2, 3, *size))
    torch.testing.assert_close(found, single(x), rtol=0, atol=1e-6)


@torch.no_grad()
def test_worked_pair():
    single = relu_convolution(1, 1)
    single.weight.copy_(torch.tensor([[0, 0, 0], [1, 10, 100], [0, 0, 0]]))
    single.bias.fill_(0.5)
    found = PairedConvReLU(single).paired(torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]))
    assert found.flatten().tolist() == [
        10 * 1 + 100 * 2 + 0.5,
        1 * 1 + 10 * 2 + 100 * 3 + 0.5,
        1 * 2 + 10 * 3 + 100 * 4 + 0.5,
        1 * 3 + 10 * 4 + 0.5,
    ]


@torch.no_grad()
def test_channels_stay_last_without_a_copy():
    pairs = PairedConvReLU(relu_convolution(8, 8))
    found = pairs.paired(images(2, 8, 6, 8))
    assert found.is_contiguous(memory_format=torch.channels_last)
    computed = []
    pairs.pairs.register_forward_hook(lambda layer, args, result: computed.append(result))
    assert pairs.paired(images(2, 8, 6, 8)).data_ptr() == computed[0].data_ptr()


def test_only_narrow_layers_of_several_channels_are_paired():
    layers = torch.nn.ModuleDict(
        {
            "first": relu_convolution(1, 8),
            "narrow": relu_convolution(3, 8),
            "wide": relu_convolution(8, 9),
            "even": relu_convolution(8, 8, 2),
            "pixels": relu_convolution(8, 8, 1),
            "head": torch.nn.Conv2d(8, 2, 1),
        }
    )
    pair_pixels(layers)
    paired = [name for name, layer in layers.items() if isinstance(layer, PairedConvReLU)]
    assert paired == ["narrow"]


@pytest.fixture
def narrow_network(training_config):
    torch.manual_seed(0)
    sizes = {"filters": 8, "filters_rate": 2.0, "max_stride": 8, "kernel_size": 3}
    config = training_config("bottomup", stride=1, **sizes)
    return build_network(config).eval()


def paired_layers(network):
    return [layer for layer in network.modules() if isinstance(layer, PairedConvReLU)]


@torch.inference_mode()
@pytest.mark.parametrize("size", [(64, 96), (96, 88), (16, 24)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.skipif(not fills_lanes(), reason="no AVX-512")
def test_the_maps_of_a_placed_network_are_the_same_to_the_last_bit(narrow_network, size, dtype):
    plain = copy.deepcopy(narrow_network).to(memory_format=torch.channels_last)
    network = placed(narrow_network, CPU)
    assert len(paired_layers(network)) == 3  # one of the encoder, two of the decoder
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        expected, found = plain(x := images(1, 1, *size)), network(x)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 8, 64, 63), torch.float32),  # an odd width
        ((1, 8, 40, 64), torch.float32),  # 20480 numbers
        ((1, 8, 64, 64), torch.float16),
    ],
)
def test_single_pixels_where_pairs_would_differ(shape, dtype):
    compares_single_pixels(relu_convolution(shape[1], 8).to(dtype), images(*shape).to(dtype))


@torch.inference_mode()
@pytest.mark.parametrize("width", [2, 4])
def test_single_pixels_where_a_map_is_narrower_than_the_window(width):
    compares_single_pixels(relu_convolution(17, 8, 7), images(4, 17, 400, width))


def compares_single_pixels(single, x):
    layer = PairedConvReLU(copy.deepcopy(single))
    layer.pairs.register_forward_hook(lambda *_: pytest.fail("computed pairs"))
    assert torch.equal(layer(x), single(x))


@torch.inference_mode()
def test_pairs_elsewhere():
    layer = PairedConvReLU(relu_convolution(8, 8))
    layer.single.register_forward_hook(lambda *_: pytest.fail("computed single pixels"))
    assert layer(images(1, 8, 64, 64)).shape == (1, 8, 64, 64)


@pytest.mark.parametrize(("capability", "paired"), [("AVX512", 3), ("AVX2", 0), ("DEFAULT", 0)])
def test_pairs_are_for_avx512(narrow_network, monkeypatch, capability, paired):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert len(paired_layers(placed(narrow_network, CPU))) == paired


def test_pairs_need_onednn(narrow_network, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not paired_layers(placed(narrow_network, CPU))


def test_other_devices_have_the_layers_of_the_checkpoint(narrow_network, monkeypatch):
    monkeypatch.setattr("sleap_lab.networks.placed.fills_lanes", lambda: True)
    names = list(narrow_network.state_dict())
    assert list(placed(narrow_network, torch.device("meta")).state_dict()) == names
