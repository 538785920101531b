import json
from contextlib import suppress

import h5py
import numpy as np
import pytest
import torch

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.checkpoints.keras_weights import read_layers
from sleap_lab.errors import RunError

HEADS = {
    "single_instance": {"SingleInstanceConfmapsHead_0": [[1, 0], [-1, 1]]},
    "centroid": {"CentroidConfmapsHead_0": [[2, 0]]},
    "centered_instance": {"CenteredInstanceConfmapsHead_0": [[1, 0], [-1, 1]]},
    "multi_instance": {
        "MultiInstanceConfmapsHead_0": [[1, 0], [-1, 1]],
        "PartAffinityFieldsHead_0": [[3, 0], [0, 4]],
    },
    "multi_class_bottomup": {
        "MultiInstanceConfmapsHead_0": [[1, 0], [-1, 1]],
        "ClassMapsHead_0": [[1, 0], [0, 0]],
    },
}
IMAGE = torch.tensor([[[[0.1, 0.2, 0.0, 0.4], [0.3, 0.0, 0.5, 0.0]]]])
BRIGHTEST = [0.3, 0.5]  # of each 2 x 2 pixels


@pytest.fixture
def folder(make_legacy_model):
    return make_legacy_model("single_instance", HEADS["single_instance"])


def maps(folder, image=IMAGE, **options):
    """Return what a model answers, as lists per channel and row."""
    with torch.inference_mode():
        return {
            name: output[0].tolist()
            for name, output in load_network(read_training_config(folder), **options)(image).items()
        }


def close(expected):
    return pytest.approx(np.array(expected, dtype=float))


def refusal(folder, **options):
    with pytest.raises(RunError) as caught:
        load_network(read_training_config(folder), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{folder}")
    return message.removeprefix(f"{folder / 'best_model.h5'}: ")


def rewrite(folder, change):
    """Change a model's file in place."""
    with h5py.File(folder / "best_model.h5", "a") as file:
        change(file["model_weights"])


# ---- weights come back


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("single_instance", {"confmaps": [[[0.3, 0.5]], [[1 - 0.3, 1 - 0.5]]]}),
        ("centroid", {"confmaps": [[[2 * 0.3, 2 * 0.5]]]}),
        ("centered_instance", {"confmaps": [[[0.3, 0.5]], [[1 - 0.3, 1 - 0.5]]]}),
        (
            "multi_instance",
            {
                "confmaps": [[[0.3, 0.5]], [[1 - 0.3, 1 - 0.5]]],
                "pafs": [[[3 * 0.3, 3 * 0.5]], [[4, 4]]],
            },
        ),
        (
            "multi_class_bottomup",
            {
                "confmaps": [[[0.3, 0.5]], [[1 - 0.3, 1 - 0.5]]],
                "class_maps": [
                    [[1 / (1 + np.exp(-0.3)), 1 / (1 + np.exp(-0.5))]],
                    [[0.5, 0.5]],
                ],  # sigmoid
            },
        ),
    ],
)
@pytest.mark.parametrize("numbered", [True, False])
def test_every_kind_of_map(make_legacy_model, kind, expected, numbered):
    heads = {
        layer if numbered else layer.removesuffix("_0"): rows for layer, rows in HEADS[kind].items()
    }
    found = maps(make_legacy_model(kind, heads))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.array(found[name]) == close(value), name


def test_class_vectors(make_legacy_model):
    # The brightest pixel p goes through a hidden layer of two units, 2 p + 1 and max(0, -p), and a
    # dense layer to two classes: p1 = 3 h1 + 5 h2, p2 = h1 + 7 h2 - 1. Kernels are (in, out).
    layers = {
        "pre_classification0_fc": ([[2, -1]], [1, 0]),
        "ClassVectorsHead_0": ([[3, 1], [5, 7]], [0, -1]),
    }
    folder = make_legacy_model(
        "multi_class_topdown", {"CenteredInstanceConfmapsHead_0": [[1, 0], [-1, 1]]}, layers=layers
    )
    found = maps(folder)
    hidden = 2 * 0.5 + 1
    first, second = np.exp(3 * hidden), np.exp(hidden - 1)
    assert np.array(found["class_vectors"]) == close(
        [first / (first + second), second / (first + second)]
    )
    assert np.array(found["confmaps"]) == close([[[0.3, 0.5]], [[0.7, 0.5]]])


def test_kernels_are_not_flipped_and_images_are_padded_with_zeros(make_legacy_model):
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 1] = 1  # of the pixel above
    kernel[1, 2] = 10  # of the pixel to the right
    last = {"stack0_enc3_middle_contract_conv0": (kernel, [0])}
    folder = make_legacy_model("centroid", {"CentroidConfmapsHead_0": [[1, 0]]}, layers=last)
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, ::2, ::2] = torch.tensor([[1, 2], [3, 4]])
    assert maps(folder, image)["confmaps"] == [[[0 + 10 * 2, 0 + 10 * 0], [1 + 10 * 4, 2 + 10 * 0]]]


def test_input_channels_come_before_output_channels(make_legacy_model):
    kernel = np.zeros((3, 3, 3, 3))
    kernel[1, 1] = [[1, 2, 3], [10, 20, 30], [100, 200, 300]]  # row: input channel
    heads = {
        "SingleInstanceConfmapsHead_0": [[1, 0, 0, 0], [0, 0, 1, 0]]
    }  # the first and the last channel
    folder = make_legacy_model(
        "single_instance", heads, channels=3, layers={"stack0_enc0_conv0": (kernel, [0, 0, 0.5])}
    )
    image = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(1, 3, 2, 2)
    assert maps(folder, image)["confmaps"] == [
        [[1 * 1 + 10 * 2 + 100 * 3]],
        [[3 * 1 + 30 * 2 + 300 * 3 + 0.5]],
    ]


def upsampling(**layers):
    """Return layers of a decoder block that outputs the upsampled map, not the skip connection."""
    first, same = np.zeros((3, 3, 2, 1)), np.zeros((3, 3, 1, 1))
    first[1, 1, 1] = same[1, 1] = 1
    return {
        "stack0_dec0_s2_to_s1_refine_conv0": (first, [0]),
        "stack0_dec0_s2_to_s1_refine_conv1": (same, [0]),
        **layers,
    }


def test_transposed_convolutions_are_padded_as_keras_does(make_legacy_model):
    # A row p q of pixels with a kernel a b c of stride 2 gives a p, b p, c p + a q, b q, c q; Keras
    # leaves the last one out.
    kernel = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], float)[..., None, None]
    folder = make_legacy_model(
        "centroid",
        {"CentroidConfmapsHead_0": [[1, 0]]},
        layers=upsampling(stack0_dec0_s2_to_s1_trans_conv=(kernel, [0])),
        stride=1,
        up_interpolate=False,
    )
    image = torch.zeros(1, 1, 4, 4)
    (p, q), (r, s) = rows = [[1, 10], [100, 1000]]
    image[0, 0, ::2, ::2] = torch.tensor(rows)
    expected = [
        [1 * p, 2 * p, 3 * p + 1 * q, 2 * q],
        [4 * p, 5 * p, 6 * p + 4 * q, 5 * q],
        [7 * p + 1 * r, 8 * p + 2 * r, 9 * p + 7 * q + 3 * r + 1 * s, 8 * q + 2 * s],
        [4 * r, 5 * r, 6 * r + 4 * s, 5 * s],
    ]
    assert maps(folder, image)["confmaps"] == [expected]


def test_interpolated_upsampling_has_pixel_centres_at_one_half(make_legacy_model):
    folder = make_legacy_model(
        "centroid",
        {"CentroidConfmapsHead_0": [[1, 0]]},
        layers=upsampling(),
        stride=1,
        up_interpolate=True,
    )
    image = torch.zeros(1, 1, 2, 4)
    image[..., 2:] = 4
    assert maps(folder, image)["confmaps"] == [
        [[0, 0.75 * 0 + 0.25 * 4, 0.25 * 0 + 0.75 * 4, 4]] * 2
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_of_the_input_are_those_of_the_first_layer(make_legacy_model, channels):
    folder = make_legacy_model(
        "centroid", {"CentroidConfmapsHead_0": [[1] * channels + [0]]}, channels=channels
    )
    assert load_network(read_training_config(folder)).backbone.in_channels == channels


@pytest.mark.parametrize("kind", ["single_instance", "centroid"])
def test_offsets_only_where_they_are_asked_for(make_legacy_model, kind):
    nodes = len(next(iter(HEADS[kind].values())))
    rows = [[0, i] for i in range(2 * nodes)]
    folder = make_legacy_model(
        kind, HEADS[kind] | {"OffsetRefinementHead_0": rows}, head={"offset_refinement": True}
    )
    assert list(maps(folder)) == ["confmaps"]
    found = maps(folder, offsets=True)
    assert list(found) == ["confmaps", "offsets"]
    assert found["offsets"] == [[[i, i]] for i in range(2 * nodes)]


def test_offsets_that_the_config_does_not_mention_are_left_alone(make_legacy_model):
    folder = make_legacy_model(
        "centroid", HEADS["centroid"] | {"OffsetRefinementHead_0": [[0, 0], [0, 1]]}
    )
    assert list(maps(folder)) == ["confmaps"]


def test_the_network_is_ready(folder):
    network = load_network(read_training_config(folder))
    assert not network.training
    assert {(value.device.type, value.dtype) for value in network.state_dict().values()} == {
        ("cpu", torch.float32)
    }


# ---- weights of other models


def test_backbone_and_head_of_other_models(make_legacy_model, folder):
    double = np.zeros((3, 3, 1, 1))
    double[1, 1] = 2
    other = make_legacy_model(
        "single_instance",
        {"SingleInstanceConfmapsHead": [[10, 0], [0, 20]]},
        layers={"stack0_enc0_conv1": (double, [0])},
        name="other",
    )
    weights = str(other / "best_model.h5")
    p, q = BRIGHTEST
    assert np.array(maps(folder, backbone_ckpt_path=weights)["confmaps"]) == close(
        [[[2 * p, 2 * q]], [[1 - 2 * p, 1 - 2 * q]]]
    )
    assert np.array(maps(folder, head_ckpt_path=weights)["confmaps"]) == close(
        [[[10 * p, 10 * q]], [[20, 20]]]
    )
    both = maps(folder, backbone_ckpt_path=weights, head_ckpt_path=weights)
    assert both == maps(other)


def test_hidden_layers_of_class_vectors_belong_to_the_head(make_legacy_model):
    def model(name, factor):
        layers = {
            "pre_classification0_fc": ([[factor, 0]], [0, 0]),
            "ClassVectorsHead": ([[1, 0], [0, 0]], [0, 0]),
        }
        return make_legacy_model(
            "multi_class_topdown",
            {"CenteredInstanceConfmapsHead": [[1, 0], [1, 0]]},
            layers=layers,
            name=name,
        )

    one, two = model("one", 1), model("two", 2)
    assert (
        maps(one, head_ckpt_path=str(two / "best_model.h5"))["class_vectors"]
        == maps(two)["class_vectors"]
        != maps(one)["class_vectors"]
    )


def test_a_head_of_another_kind_holds_nothing_for_this_one(make_legacy_model, folder):
    other = make_legacy_model("centroid", HEADS["centroid"])
    with pytest.raises(RunError) as caught:
        load_network(read_training_config(folder), head_ckpt_path=str(other / "best_model.h5"))
    assert (
        str(caught.value)
        == f"{other / 'best_model.h5'}: holds no head_layers weights of the network in {folder}"
    )


# ---- weights that do not fit are refused, by the name of the layer


def without(layer):
    return lambda weights: weights.__delitem__(layer)


def replace(dataset, array):
    def change(weights):
        del weights[dataset]
        weights[dataset] = np.asarray(array, np.float32)

    return change


CONV = "stack0_enc0_conv1/stack0_enc0_conv1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without("stack0_enc0_conv1"),
            "layer stack0_enc0_conv1 has no kernel:0, "
            "which the network of training_config.json needs",
        ),
        (
            without(f"{CONV}/bias:0"),
            "layer stack0_enc0_conv1 has no bias:0, "
            "which the network of training_config.json needs",
        ),
        (
            without("stack0_enc0_conv0"),
            "the first layer, stack0_enc0_conv0, is missing or no convolution",
        ),
        (
            without("SingleInstanceConfmapsHead_0"),
            "layer SingleInstanceConfmapsHead has no kernel:0, "
            "which the network of training_config.json needs",
        ),
        (
            replace(f"{CONV}/kernel:0", np.zeros((3, 3, 1, 2))),
            "kernel:0 of layer stack0_enc0_conv1 has shape (3, 3, 1, 2), "
            "the network of training_config.json needs (3, 3, 1, 1)",
        ),
        (
            replace(f"{CONV}/bias:0", np.zeros(2)),
            "bias:0 of layer stack0_enc0_conv1 has shape (2,), "
            "the network of training_config.json needs (1,)",
        ),
        (
            lambda weights: weights.copy("stack0_enc0_conv1", "conv2_block1_1_conv"),
            "the network of training_config.json has no layer conv2_block1_1_conv, "
            "for which there are weights",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, change, message):
    rewrite(folder, change)
    assert refusal(folder) == message


@pytest.mark.parametrize(
    ("unet", "message"),
    [
        (
            {"filters": 2},
            "kernel:0 of layer stack0_enc0_conv0 has shape (3, 3, 1, 1), "
            "the network of training_config.json needs (3, 3, 1, 2)",
        ),
        (
            {"filters": 10**8},  # no memory is taken for it
            "kernel:0 of layer stack0_enc0_conv0 has shape (3, 3, 1, 1), "
            "the network of training_config.json needs (3, 3, 1, 100000000)",
        ),
        (
            {"max_stride": 4},
            "the network of training_config.json has no layer stack0_enc2_middle_expand_conv0, "
            "for which there are weights",
        ),
    ],
)
def test_a_config_of_another_network_is_refused(folder, legacy_config, unet, message):
    (folder / "training_config.json").write_text(
        json.dumps(legacy_config("single_instance", **unet))
    )
    assert refusal(folder) == message


@pytest.mark.parametrize(
    ("unet", "message"),
    [
        (
            {"stride": 1, "output_stride": 2},
            "head confmaps: output_stride 1 is none of the backbone's strides [2]",
        ),
        ({"filters_rate": 1e300, "max_stride": 16}, "model does not describe a network ("),
        ({"filters": 10**18}, "model does not describe a network ("),
    ],
)
def test_a_config_of_no_network_is_refused(folder, legacy_config, unet, message):
    (folder / "training_config.json").write_text(
        json.dumps(legacy_config("single_instance", **unet))
    )
    assert refusal(folder).startswith(f"{folder / 'training_config.json'}: {message}")


def test_a_head_of_offsets_that_the_file_lacks_is_named(make_legacy_model):
    folder = make_legacy_model("centroid", HEADS["centroid"], head={"offset_refinement": True})
    assert list(maps(folder)) == ["confmaps"]
    assert refusal(folder, offsets=True) == (
        "layer OffsetRefinementHead has no kernel:0, "
        "which the network of training_config.json needs"
    )


# ---- broken files, and files that point elsewhere


def unreadable(folder):
    message = refusal(folder)
    assert message.startswith("not a readable Keras model: ")
    return message.removeprefix("not a readable Keras model: ")


def test_missing_weights(folder):
    (folder / "best_model.h5").unlink()
    assert refusal(folder) == "no such file; it holds the weights of a legacy model"


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(1000)]
)
def test_other_files_are_refused(folder, content):
    (folder / "best_model.h5").write_bytes(content)
    unreadable(folder)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.999])
def test_files_that_end_early_are_refused(folder, share):
    path = folder / "best_model.h5"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    unreadable(folder)


def test_damaged_files_are_refused_or_read(folder):
    path, rng = folder / "best_model.h5", np.random.default_rng(0)
    whole = path.read_bytes()
    for _ in range(100):
        damaged = bytearray(whole)
        for where in rng.integers(len(whole), size=20):
            damaged[where] = rng.integers(256)
        path.write_bytes(damaged)
        with suppress(RunError):
            read_layers(path)


def test_a_file_without_weights_is_refused(folder):
    with h5py.File(folder / "best_model.h5", "w") as file:
        file.create_group("frames")
    assert unreadable(folder) == "it has no model_weights"


ELSEWHERE = "refused, because only the file itself is read"


@pytest.fixture
def secret(tmp_path):
    """Another file, whose weights fit."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file[CONV + "/kernel:0"] = np.ones((3, 3, 1, 1), np.float32)
        file[CONV + "/bias:0"] = np.ones(1, np.float32)
    return path


@pytest.mark.parametrize("place", ["stack0_enc0_conv1", CONV, f"{CONV}/kernel:0"])
@pytest.mark.parametrize("kind", ["external", "soft", "dangling"])
def test_links_are_not_followed(folder, secret, place, kind):
    link = {
        "external": h5py.ExternalLink(str(secret), place),
        "soft": h5py.SoftLink("/model_weights/stack0_enc0_conv0"),
        "dangling": h5py.ExternalLink("nowhere.h5", place),
    }[kind]

    def change(weights):
        del weights[place]
        weights[place] = link

    rewrite(folder, change)
    assert unreadable(folder) == f"/model_weights/{place} is a link; {ELSEWHERE}"


def test_a_link_in_place_of_all_weights_is_not_followed(folder, secret):
    with h5py.File(folder / "best_model.h5", "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(secret), "/")
    assert unreadable(folder) == f"/model_weights is a link; {ELSEWHERE}"


def test_numbers_in_another_file_are_not_read(folder, tmp_path):
    (tmp_path / "numbers").write_bytes(np.ones(9, np.float32).tobytes())

    def change(weights):
        del weights[f"{CONV}/kernel:0"]
        weights.create_dataset(
            f"{CONV}/kernel:0",
            (3, 3, 1, 1),
            np.float32,
            external=[(str(tmp_path / "numbers"), 0, 36)],
        )

    rewrite(folder, change)
    assert (
        unreadable(folder)
        == f"/model_weights/{CONV}/kernel:0 is stored in other files; {ELSEWHERE}"
    )


def test_views_of_other_files_are_not_read(folder, secret):
    def change(weights):
        del weights[f"{CONV}/kernel:0"]
        layout = h5py.VirtualLayout((3, 3, 1, 1), np.float32)
        layout[:] = h5py.VirtualSource(str(secret), f"{CONV}/kernel:0", (3, 3, 1, 1))
        weights.create_virtual_dataset(f"{CONV}/kernel:0", layout)

    rewrite(folder, change)
    assert (
        unreadable(folder)
        == f"/model_weights/{CONV}/kernel:0 is stored in other files; {ELSEWHERE}"
    )


@pytest.mark.parametrize("options", [{}, {"chunks": (100, 100, 100, 100), "compression": "gzip"}])
def test_a_shape_without_numbers_is_refused(folder, options):
    def change(weights):
        del weights[f"{CONV}/kernel:0"]
        weights.create_dataset(
            f"{CONV}/kernel:0", (10**4, 10**4, 10**4, 10**4), np.float32, **options
        )

    rewrite(folder, change)
    assert unreadable(folder) == (
        f"/model_weights/{CONV}/kernel:0 has the shape (10000, 10000, 10000, 10000), "
        "but only 0 bytes"
    )


@pytest.mark.parametrize(
    "value", [b"text", "text", np.array([1, 2]), np.array([b"a"]), h5py.Empty("f")]
)
def test_what_is_no_array_of_numbers_is_refused(folder, value):
    def change(weights):
        del weights[f"{CONV}/kernel:0"]
        weights[f"{CONV}/kernel:0"] = value

    rewrite(folder, change)
    unreadable(folder)


def test_a_head_that_is_there_twice_is_refused(folder):
    rewrite(
        folder,
        lambda weights: weights.copy(
            "SingleInstanceConfmapsHead_0", "SingleInstanceConfmapsHead_1"
        ),
    )
    assert unreadable(folder) == "it has two layers SingleInstanceConfmapsHead"


def test_compressed_weights_are_read(folder):
    def change(weights):
        values = weights[f"{CONV}/kernel:0"][()]
        del weights[f"{CONV}/kernel:0"]
        weights.create_dataset(f"{CONV}/kernel:0", data=values, compression="gzip")

    before = maps(folder)
    rewrite(folder, change)
    assert maps(folder) == before


def test_other_precisions_are_read(folder):
    def change(weights):
        values = weights[f"{CONV}/kernel:0"][()]
        del weights[f"{CONV}/kernel:0"]
        weights[f"{CONV}/kernel:0"] = values.astype(">f8")

    before = maps(folder)
    rewrite(folder, change)
    assert maps(folder) == before
