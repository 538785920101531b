import copy

import pytest
import torch

from sleap_lab.errors import RunError
from sleap_lab.networks import build_network
from sleap_lab.networks.pose_network import match_channels

LAYERS = {
    "single_instance": ["SingleInstanceConfmapsHead"],
    "centroid": ["CentroidConfmapsHead"],
    "centered_instance": ["CenteredInstanceConfmapsHead"],
    "bottomup": ["MultiInstanceConfmapsHead", "PartAffinityFieldsHead"],
    "multi_class_bottomup": ["MultiInstanceConfmapsHead", "ClassMapsHead"],
}
NODES, EDGES, CLASSES = ("a", "b", "c"), (("a", "b"), ("c", "b")), ("x", "y", "z", "w")


@pytest.fixture
def network(training_config):
    def make(kind, **options):
        options = {
            "nodes": NODES,
            "edges": EDGES,
            "classes": CLASSES,
            "filters": 4,
            "filters_rate": 2.0,
            "max_stride": 8,
        } | options
        return build_network(training_config(kind, **options)).eval()

    return make


@pytest.mark.parametrize(
    ("kind", "channels"),
    [
        ("single_instance", [3]),
        ("centroid", [1]),  # whatever the parts
        ("centered_instance", [3]),
        ("bottomup", [3, 2 * 2]),
        ("multi_class_bottomup", [3, 4]),
    ],
)
def test_every_kind_has_its_heads(network, kind, channels):
    model = network(kind)
    heads = {
        name: tuple(value.shape)
        for name, value in model.head_layers.state_dict().items()
        if name.endswith("weight")
    }
    width = 4 * 2  # of the level with stride 2
    assert heads == {
        f"{i}.{layer}.0.weight": (channels[i], width, 1, 1) for i, layer in enumerate(LAYERS[kind])
    }
    maps = model(torch.rand(2, 1, 16, 24))
    assert [tuple(value.shape) for value in maps.values()] == [(2, c, 8, 12) for c in channels]


def test_names_of_the_maps(network):
    image = torch.rand(1, 1, 16, 16)
    assert list(network("centroid")(image)) == ["confmaps"]
    assert list(network("bottomup")(image)) == ["confmaps", "pafs"]
    assert list(network("multi_class_bottomup")(image)) == ["confmaps", "class_maps"]
    assert list(network("multi_class_topdown")(image)) == ["confmaps", "class_vectors"]


@pytest.mark.parametrize(
    ("kind", "channels"), [("centroid", 2 * 1), ("bottomup", 2 * 3), ("multi_class_topdown", 2 * 3)]
)
def test_offsets_are_two_for_each_confidence_map(training_config, kind, channels):
    config = training_config(kind, nodes=NODES, edges=EDGES, filters=4, max_stride=8)
    heads = config["model_config"]["head_configs"][kind]
    heads["offsets"] = heads["confmaps"]
    maps = build_network(config)(torch.rand(2, 1, 16, 24))
    assert list(maps)[-1] == "offsets"
    assert maps["offsets"].shape == (2, channels, 8, 12)


@torch.no_grad()
def test_class_vectors_read_the_deepest_map(network):
    model = network("multi_class_topdown")
    assert tuple(model.head_layers[1].ClassVectorsHead.weight.shape) == (4, 4 * 2**3)
    maps = model(torch.rand(2, 1, 16, 24))
    assert maps["confmaps"].shape == (2, 3, 8, 12)
    assert maps["class_vectors"].shape == (2, 4)
    assert maps["class_vectors"].sum(dim=1).tolist() == pytest.approx([1, 1])


def test_hidden_layers_of_class_vectors_have_defaults(training_config):
    config = training_config("multi_class_topdown")
    del config["model_config"]["head_configs"]["multi_class_topdown"]["class_vectors"][
        "num_fc_layers"
    ]
    head = build_network(config).head_layers[1]
    assert tuple(head.pre_classification0_fc.weight.shape) == (64, 1)
    assert tuple(head.ClassVectorsHead.weight.shape) == (2, 64)


@torch.no_grad()
def test_two_heads_read_maps_of_two_strides(training_config):
    config = training_config("bottomup", filters=4, filters_rate=2.0, max_stride=8)
    heads = config["model_config"]["head_configs"]["bottomup"]
    heads["confmaps"]["output_stride"], heads["pafs"]["output_stride"] = 2, 4
    model = build_network(config)
    assert model.head_layers[0].MultiInstanceConfmapsHead[0].weight.shape[1] == 4 * 2
    assert model.head_layers[1].PartAffinityFieldsHead[0].weight.shape[1] == 4 * 4
    maps = model(torch.rand(1, 1, 32, 48))
    assert maps["confmaps"].shape[-2:] == (16, 24)
    assert maps["pafs"].shape[-2:] == (8, 12)


@torch.no_grad()
def test_without_a_decoder_heads_read_the_deepest_map(network):
    model = network("single_instance", stride=8)
    assert "decoders" not in " ".join(model.state_dict())
    assert model(torch.rand(1, 1, 16, 24))["confmaps"].shape == (1, 3, 2, 3)


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "bounded"), [({}, False), ({"head": {"use_sigmoid_activation": True}}, True)]
)
def test_centroid_maps_are_bounded_only_where_asked(network, options, bounded):
    model = network("centroid", **options)
    model.head_layers[0].CentroidConfmapsHead[0].bias.fill_(-5.0)
    model.head_layers[0].CentroidConfmapsHead[0].weight.zero_()
    lowest = model(torch.rand(1, 1, 16, 16))["confmaps"].min().item()
    assert lowest == pytest.approx(1 / (1 + 2.718281828**5) if bounded else -5)


@torch.no_grad()
def test_class_maps_are_probabilities(network):
    maps = network("multi_class_bottomup")(torch.rand(1, 1, 16, 16) * 100)["class_maps"]
    assert maps.min() >= 0
    assert maps.max() <= 1


# ---- channels


def test_one_channel_is_repeated():
    x = torch.rand(2, 1, 3, 4)
    assert torch.equal(match_channels(x, 3), torch.cat([x, x, x], dim=1))


def test_three_channels_are_weighed():
    pixel = torch.tensor([0.5, 0.25, 1.0])[None, :, None, None]
    assert match_channels(pixel, 1).item() == pytest.approx(0.2989 * 0.5 + 0.587 * 0.25 + 0.114 * 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_other_images_are_left_alone(channels):
    x = torch.rand(1, channels, 2, 2)
    assert match_channels(x, channels) is x


@torch.no_grad()
@pytest.mark.parametrize("trained", [1, 3])
def test_gray_and_coloured_images_go_into_any_network(network, trained):
    model = network("centroid", in_channels=trained)
    gray = torch.rand(1, 1, 16, 16)
    coloured = gray.repeat(1, 3, 1, 1)
    # The gray weights add up to 0.9999.
    torch.testing.assert_close(
        model(gray)["confmaps"], model(coloured)["confmaps"], rtol=1e-2, atol=1e-3
    )


# ---- errors


def test_a_backbone_of_another_kind_is_refused(training_config):
    config = training_config("centroid")
    config["model_config"]["backbone_config"] = {"unet": None, "resnet": {"depth": 50}}
    with pytest.raises(
        RunError, match=r"backbone 'resnet' is not supported; accepted: unet, convnext, swint"
    ):
        build_network(config)


def test_a_head_of_another_kind_is_refused(training_config):
    config = training_config("centroid")
    config["model_config"]["head_configs"] = {"centroid": None, "segmentation": {"confmaps": {}}}
    with pytest.raises(
        RunError,
        match=r"model kind 'segmentation' is not supported; "
        r"accepted: single_instance, .*multi_class_topdown",
    ):
        build_network(config)


def test_an_output_stride_that_the_backbone_lacks_is_refused(training_config):
    config = training_config("centroid", max_stride=8, stride=2)
    config["model_config"]["head_configs"]["centroid"]["confmaps"]["output_stride"] = 1
    with pytest.raises(
        RunError,
        match=r"head confmaps: output_stride 1 is none of the backbone's strides \[2, 4, 8\]",
    ):
        build_network(config)


def test_the_config_is_left_as_it_is(training_config):
    config = training_config("bottomup")
    before = copy.deepcopy(config)
    build_network(config)
    assert config == before
