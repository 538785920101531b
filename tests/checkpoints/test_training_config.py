import re
from pathlib import Path

import pytest
import yaml

from sleap_lab.checkpoints import read_training_config
from sleap_lab.checkpoints.training_config import Tiling, model_folder
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.poses.record import Skeleton

KINDS = (
    "single_instance",
    "centroid",
    "centered_instance",
    "bottomup",
    "multi_class_bottomup",
    "multi_class_topdown",
)


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a config to a file and reads it."""

    def read(config):
        text = config if isinstance(config, str) else yaml.safe_dump(config)
        (tmp_path / "training_config.yaml").write_text(text, encoding="utf-8")
        return read_training_config(tmp_path)

    return read


# ---- folders


@pytest.mark.parametrize("inside", ["", "best.ckpt", "training_config.yaml", "other.ckpt"])
def test_a_folder_or_any_file_in_it_names_the_model(tmp_path, inside):
    for name in ("best.ckpt", "training_config.yaml", "other.ckpt"):
        (tmp_path / name).touch()
    assert model_folder(tmp_path / inside) == tmp_path
    assert model_folder(str(tmp_path / inside)) == tmp_path


def test_a_missing_folder_is_named():
    with pytest.raises(ConfigError, match=r"model.paths: no such model folder: /no/such"):
        model_folder("/no/such")


def test_a_folder_without_config_is_named(tmp_path):
    (tmp_path / "best.ckpt").touch()
    for path in (tmp_path, tmp_path / "best.ckpt"):
        with pytest.raises(
            ConfigError,
            match=f"model.paths: {tmp_path} is not a model folder: "
            "it holds no training_config.yaml",
        ):
            read_training_config(path)


# ---- what is read


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_recognised(read, training_config, kind):
    config = read(training_config(kind))
    assert config.kind == kind
    assert next(iter(config.heads)) == "confmaps"
    assert config.stride("confmaps") == 2
    assert config.classes == (("x", "y") if kind.startswith("multi_class") else ())


def test_what_inference_needs_is_read(read, training_config, tmp_path):
    preprocessing = {
        "scale": 0.5,
        "max_height": 320,
        "max_width": 560,
        "ensure_rgb": True,
        "ensure_grayscale": False,
        "crop_size": 96,
    }
    raw = training_config("centered_instance", preprocessing=preprocessing, max_stride=8)
    config = read(raw)
    assert config.folder == tmp_path
    assert config.raw == raw
    assert config.skeleton == Skeleton(("a", "b"), edges=((0, 1),), name="animal")
    assert (
        config.scale,
        config.max_height,
        config.max_width,
        config.crop_size,
        config.max_stride,
    ) == (0.5, 320, 560, 96, 8)
    assert (config.ensure_rgb, config.ensure_grayscale) == (True, False)


def test_strides_may_differ(put, read, training_config):
    config = read(
        put(training_config("bottomup"), "model_config.head_configs.bottomup.pafs.output_stride", 4)
    )
    assert (config.stride("confmaps"), config.stride("pafs")) == (2, 4)


TILES = {"enabled": True, "tile_size": 96, "overlap": 40, "min_overlap_fraction": 0.25}


def tiles(kind, training_config, **changed):
    config = training_config(kind, max_stride=16)
    sizes = {"max_height": 80, "max_width": 80}
    config["data_config"]["preprocessing"] |= {"tiling": TILES | changed} | sizes
    return config


def test_tiles_overlap_by_whole_strides(read, training_config):
    read_tiles = read(tiles("single_instance", training_config)).tiling
    assert read_tiles == Tiling(size=96, overlap=48, blend="gaussian", sigma_scale=0.125)
    few = read(tiles("single_instance", training_config, overlap=None, sigma_scale=0.5)).tiling
    assert (few.overlap, few.sigma_scale) == (32, 0.5)  # a quarter of 96 is 24
    assert read(tiles("single_instance", training_config, enabled=False)).tiling is None


def test_tiles_of_the_only_animal_are_cut_from_the_image_as_it_is(read, training_config):
    single = read(tiles("single_instance", training_config))
    assert (single.max_height, single.max_width, single.image_stride) == (None, None, 2)
    several = read(tiles("bottomup", training_config))
    assert (several.max_height, several.tiling) == (80, single.tiling)
    whole = read(tiles("centroid", training_config))
    assert (whole.max_height, whole.tiling, whole.image_stride) == (80, None, 16)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tile_size": 100}, "tile_size: got 100; accepted: a multiple of the network's largest"),
        ({"tile_size": None}, "tile_size: got None"),
        ({"overlap": 90}, "overlap: got 96 px; accepted: less than a tile, 96 px"),
        ({"overlap": "much"}, "overlap: got 'much'; accepted: a number above 0"),
        ({"blend": "pyramid"}, "blend: got 'pyramid'; accepted: gaussian, constant"),
        ({"sigma_scale": -1}, "sigma_scale: got -1"),
    ],
)
def test_tiles_that_cannot_be_are_refused(read, training_config, changed, message):
    with pytest.raises(RunError, match=re.escape(f"preprocessing.tiling.{message}")):
        read(tiles("single_instance", training_config, **changed))


@pytest.mark.parametrize("value", [..., None])
@pytest.mark.parametrize(
    ("name", "attribute", "default"),
    [
        ("data_config.preprocessing.scale", "scale", 1.0),
        ("data_config.preprocessing.max_height", "max_height", None),
        ("data_config.preprocessing.crop_size", "crop_size", None),
        ("data_config.preprocessing.ensure_rgb", "ensure_rgb", False),
        ("model_config.backbone_config.unet.max_stride", "max_stride", 16),
    ],
)
def test_what_has_a_default_may_be_absent_or_null(
    put, read, training_config, name, attribute, default, value
):
    preprocessing = {"max_height": 1, "crop_size": 1, "ensure_rgb": True}
    raw = put(training_config("centered_instance", preprocessing=preprocessing), name, value)
    assert getattr(read(raw), attribute) == default


@pytest.mark.parametrize(("backbone", "expected"), [("unet", 16), ("convnext", 32), ("swint", 32)])
def test_the_stride_to_pad_to_depends_on_the_backbone(
    put, read, training_config, backbone, expected
):
    assert (
        read(
            put(
                training_config("centroid"),
                "model_config.backbone_config",
                {"unet": None, backbone: {}},
            )
        ).max_stride
        == expected
    )


def test_a_skeleton_needs_only_nodes(put, read, training_config):
    raw = put(training_config("centroid"), "data_config.skeletons", [{"nodes": [{"name": "a"}]}])
    assert read(raw).skeleton == Skeleton(("a",), name="skeleton")


def test_what_only_training_needs_may_be_absent(read, training_config):
    raw = training_config("centroid")
    assert set(raw) == {"data_config", "model_config"}  # no trainer_config, no version
    assert set(raw["model_config"]) == {"backbone_config", "head_configs"}  # no init_weights
    assert "anchor_part" not in raw["model_config"]["head_configs"]["centroid"]["confmaps"]
    assert read(raw).kind == "centroid"


def test_unknown_keys_do_no_harm(put, read, training_config):
    raw = training_config("bottomup")
    for name in (
        "new",
        "model_config.new",
        "data_config.preprocessing.new",
        "model_config.head_configs.bottomup.confmaps.new",
    ):
        raw = put(raw, name, {"a": 1})
    assert read(raw).kind == "bottomup"


def test_the_first_option_that_is_not_null_is_the_choice(read, training_config):
    raw = training_config("centroid")
    heads = raw["model_config"]["head_configs"]
    heads = {"single_instance": None, "centroid": heads["centroid"], "bottomup": {"confmaps": {}}}
    raw["model_config"]["head_configs"] = heads
    text = yaml.safe_dump(raw, sort_keys=False)
    assert read(text).kind == "centroid"


@pytest.mark.parametrize(
    ("written", "edges", "symmetries"),
    [
        ({"edges": [{"source": {"name": "b"}, "destination": {"name": "a"}}]}, ((1, 0),), ()),
        ({"edges": [["b", "a"]]}, ((1, 0),), ()),
        ({"edges": [], "symmetries": [[{"name": "b"}, {"name": "a"}]]}, (), ((1, 0),)),
        ({"edges": [], "symmetries": [["a", "b"]]}, (), ((0, 1),)),
        ({"edges": None, "symmetries": None}, (), ()),
    ],
)
def test_skeletons_are_read_as_they_are_written(read, training_config, written, edges, symmetries):
    raw = training_config("centroid")
    raw["data_config"]["skeletons"][0].update(written)
    assert read(raw).skeleton == Skeleton(
        ("a", "b"), edges=edges, symmetries=symmetries, name="animal"
    )


def test_the_first_skeleton_counts(read, training_config):
    raw = training_config("centroid")
    raw["data_config"]["skeletons"].append({"nodes": [{"name": "z"}]})
    assert read(raw).skeleton.nodes == ("a", "b")


def test_parts_may_be_named_otherwise_than_nodes(put, read, training_config):
    raw = put(
        training_config("single_instance"),
        "model_config.head_configs.single_instance.confmaps.part_names",
        ["0", "1"],
    )
    assert read(raw).skeleton.nodes == ("a", "b")


# ---- errors


def message(read, raw):
    with pytest.raises(RunError) as caught:
        read(raw)
    text = str(caught.value)
    assert "\n" not in text
    file, _, rest = text.partition(": ")
    assert Path(file).name == "training_config.yaml"
    return rest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a training config, but a NoneType"),
        ("[1, 2]", "not a training config, but a list"),
        ("just text", "not a training config, but a str"),
        ("a: [1", "not a readable YAML file"),
        ("a: !!python/object/apply:os.system ['true']", "not a readable YAML file"),
        ("{}", "section model_config.head_configs is missing"),
    ],
)
def test_what_is_no_training_config_is_refused(read, text, expected):
    assert message(read, text).startswith(expected)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "training_config.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(RunError, match="not a readable YAML file"):
        read_training_config(tmp_path)


@pytest.mark.parametrize("value", [..., None, 3, []])
@pytest.mark.parametrize(
    "section",
    [
        "model_config",
        "model_config.head_configs",
        "model_config.backbone_config",
        "data_config.preprocessing",
    ],
)
def test_a_missing_section_is_named(put, read, training_config, section, value):
    expected = "model_config.head_configs" if section == "model_config" else section
    assert (
        message(read, put(training_config("bottomup"), section, value))
        == f"section {expected} is missing"
    )


@pytest.mark.parametrize("section", ["model_config.head_configs", "model_config.backbone_config"])
def test_a_section_of_nulls_chooses_nothing(put, read, training_config, section):
    assert (
        message(read, put(training_config("bottomup"), section, {"unet": None, "bottomup": None}))
        == f"{section} chooses nothing"
    )


def test_an_unknown_kind_is_refused_with_the_known_ones(put, read, training_config):
    raw = put(
        training_config("bottomup"),
        "model_config.head_configs",
        {"bottomup": None, "segmentation": {"confmaps": {}}},
    )
    assert (
        message(read, raw)
        == f"model kind 'segmentation' is not supported; accepted: {', '.join(KINDS)}"
    )


REQUIRED = [
    ("single_instance", "confmaps.part_names"),
    ("single_instance", "confmaps.output_stride"),
    ("centroid", "confmaps.output_stride"),
    ("centered_instance", "confmaps.part_names"),
    ("bottomup", "confmaps.part_names"),
    ("bottomup", "pafs.edges"),
    ("bottomup", "pafs.output_stride"),
    ("multi_class_bottomup", "class_maps.classes"),
    ("multi_class_bottomup", "class_maps.output_stride"),
    ("multi_class_topdown", "class_vectors.classes"),
]


@pytest.mark.parametrize("value", [..., None])
@pytest.mark.parametrize(("kind", "name"), REQUIRED)
def test_a_missing_key_of_a_head_is_named(put, read, training_config, kind, name, value):
    key = f"model_config.head_configs.{kind}.{name}"
    assert message(read, put(training_config(kind), key, value)) == f"{key} is missing"


@pytest.mark.parametrize("value", [..., None, 3])
@pytest.mark.parametrize(
    ("kind", "head"),
    [("bottomup", "pafs"), ("centroid", "confmaps"), ("multi_class_topdown", "class_vectors")],
)
def test_a_missing_head_is_named_by_its_key(put, read, training_config, kind, head, value):
    found = message(
        read, put(training_config(kind), f"model_config.head_configs.{kind}.{head}", value)
    )
    assert found.startswith(f"model_config.head_configs.{kind}.{head}.")
    assert found.endswith(" is missing")


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("data_config.preprocessing.scale", "big", "a number above 0"),
        ("data_config.preprocessing.scale", [1], "a number above 0"),
        ("data_config.preprocessing.scale", -1, "a number above 0"),
        ("data_config.preprocessing.max_height", "tall", "a whole number above 0"),
        ("data_config.preprocessing.max_width", [384], "a whole number above 0"),
        ("data_config.preprocessing.max_width", 0, "a whole number above 0"),
        ("data_config.preprocessing.crop_size", [96, 96], "a whole number above 0"),
        ("data_config.preprocessing.crop_size", 96.5, "a whole number above 0"),
        ("model_config.backbone_config.unet.max_stride", "x", "a whole number above 0"),
        (
            "model_config.head_configs.centered_instance.confmaps.output_stride",
            "two",
            "a whole number above 0",
        ),
    ],
)
def test_a_value_that_is_no_number_is_named(put, read, training_config, name, value, accepted):
    raw = put(training_config("centered_instance"), name, value)
    assert message(read, raw) == f"{name}: got {value!r}; accepted: {accepted}"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("single_instance", "confmaps.part_names"),
        ("bottomup", "pafs.edges"),
        ("multi_class_bottomup", "class_maps.classes"),
    ],
)
def test_names_come_in_lists(put, read, training_config, kind, name):
    key = f"model_config.head_configs.{kind}.{name}"
    assert (
        message(read, put(training_config(kind), key, "ab")) == f"{key}: got 'ab'; accepted: a list"
    )


def test_only_models_that_cut_crops_have_a_crop_size(read, training_config):
    assert (
        read(training_config("centered_instance", preprocessing={"crop_size": 96})).crop_size == 96
    )
    assert (
        read(training_config("multi_class_topdown", preprocessing={"crop_size": 96})).crop_size
        == 96
    )
    assert (
        read(training_config("centroid", preprocessing={"crop_size": "whatever"})).crop_size is None
    )


@pytest.mark.parametrize(
    ("preprocessing", "version", "expected"),
    [
        ({"crop_size": 96, "scale": 0.5}, None, 96),
        ({"crop_size": 96, "scale": 0.5}, "0.1.0", 96),
        ({"crop_size": 96, "scale": 0.5}, "0.0.5", 96 / 0.5),  # pixels of the scaled image
        ({"crop_size": 96, "scale": 0.5}, "0.1.0a4", 96 / 0.5),
        ({"crop_size": 96, "scale": 0.7}, "0.0.5", 138),  # 137.14, and 138 * 0.7 is 96 and a little
        ({"crop_size": 96, "scale": 1.0}, "0.0.5", 96),
        ({"crop_hw": [96, 96], "scale": 1.0}, "0.0.1", 96),
        ({"crop_hw": [48, 64], "scale": 0.5}, "0.0.1", 64 / 0.5),
        ({"crop_hw": [96, 96], "crop_size": 32}, None, 32),
        ({"crop_hw": None, "crop_size": None}, "0.0.1", None),
        ({"crop_hw": [None, None]}, "0.0.1", None),
    ],
)
def test_crops_of_all_versions_are_counted_in_pixels_of_the_image(
    read, training_config, preprocessing, version, expected
):
    raw = training_config("centered_instance", preprocessing=preprocessing) | {
        "sleap_nn_version": version
    }
    assert read(raw).crop_size == expected


@pytest.mark.parametrize("sides", [96, [96], "96x96"])
def test_sides_of_a_crop_come_in_pairs(read, training_config, sides):
    raw = training_config("centered_instance", preprocessing={"crop_hw": sides})
    assert (
        message(read, raw)
        == f"data_config.preprocessing.crop_hw: got {sides!r}; accepted: a list of height and width"
    )


@pytest.mark.parametrize(
    ("told", "expected"),
    [("0.3.5", "0.3.5"), ("0.1.0a4", "0.1.0a4"), (None, None), ("", None), ("new", None)],
)
def test_the_version_that_trained_a_model(read, training_config, told, expected):
    found = read(training_config("centered_instance") | {"sleap_nn_version": told}).version
    assert (None if found is None else str(found)) == expected


@pytest.mark.parametrize(
    "skeletons",
    [
        ...,
        None,
        [],
        "skeleton",
        [{}],
        [{"nodes": None}],
        [{"nodes": [{"title": "a"}]}],
        [{"nodes": [{"name": "a"}, {"name": "b"}], "edges": [["a", "z"]]}],
        [{"nodes": [{"name": "a"}, {"name": "b"}], "edges": [["a"]]}],
    ],
)
def test_what_is_no_skeleton_is_refused(put, read, training_config, skeletons):
    found = message(read, put(training_config("bottomup"), "data_config.skeletons", skeletons))
    assert found.startswith("data_config.skeletons does not describe a skeleton")


@pytest.mark.parametrize("kind", ["single_instance", "bottomup", "multi_class_topdown"])
def test_as_many_parts_as_nodes(put, read, training_config, kind):
    raw = put(
        training_config(kind),
        f"model_config.head_configs.{kind}.confmaps.part_names",
        ["a", "b", "c"],
    )
    expected = (
        f"model_config.head_configs.{kind}.confmaps.part_names has 3 entries, the skeleton 2 nodes"
    )
    assert message(read, raw) == expected


@pytest.mark.parametrize("edges", [[["a", "z"]], [["a"]], ["ab"], [["a", "b", "a"]]])
def test_fields_along_edges_that_are_none_are_refused(put, read, training_config, edges):
    raw = put(training_config("bottomup"), "model_config.head_configs.bottomup.pafs.edges", edges)
    expected = "model_config.head_configs.bottomup.pafs.edges: "
    assert message(read, raw) == f"{expected}got {edges!r}; accepted: pairs of part_names a, b"
