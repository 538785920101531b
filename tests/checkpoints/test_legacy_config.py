import json

import pytest

from sleap_lab.checkpoints import read_training_config
from sleap_lab.errors import RunError
from sleap_lab.poses.record import Skeleton

KINDS = {
    "single_instance": "single_instance",
    "centroid": "centroid",
    "centered_instance": "centered_instance",
    "multi_instance": "bottomup",
    "multi_class_bottomup": "multi_class_bottomup",
    "multi_class_topdown": "multi_class_topdown",
}


@pytest.fixture
def read(tmp_path):
    """Return a function that writes a config to a file and reads it."""

    def read(config):
        text = config if isinstance(config, str) else json.dumps(config)
        (tmp_path / "training_config.json").write_text(text, encoding="utf-8")
        return read_training_config(tmp_path)

    return read


@pytest.fixture
def refusal(read, tmp_path):
    """Return a function that gives the message with which a config is refused, without its file."""

    def refusal(config):
        with pytest.raises(RunError) as caught:
            read(config)
        file, _, message = str(caught.value).partition(": ")
        assert file == str(tmp_path / "training_config.json")
        assert "\n" not in message
        return message

    return refusal


# ---- what is read


@pytest.mark.parametrize(("head", "kind"), KINDS.items())
def test_every_head_is_a_kind(read, legacy_config, head, kind):
    config = read(legacy_config(head))
    assert config.kind == kind
    assert config.legacy
    assert config.stride("confmaps") == 2
    assert config.classes == (("x", "y") if head.startswith("multi_class") else ())
    assert config.crop_size == (
        16 if head in ("centered_instance", "multi_class_topdown") else None
    )


def test_older_files_know_fewer_heads(read, legacy_config):
    config = legacy_config("multi_instance")
    for name in ("multi_class_bottomup", "multi_class_topdown"):
        del config["model"]["heads"][name]
    assert read(config).kind == "bottomup"


def test_images(read, legacy_config):
    preprocessing = {
        "input_scaling": 0.5,
        "target_height": 320,
        "target_width": 560,
        "ensure_rgb": True,
        "pad_to_stride": 7,
    }
    config = read(legacy_config("centroid", data={"preprocessing": preprocessing}, max_stride=32))
    assert (config.scale, config.max_height, config.max_width, config.max_stride) == (
        0.5,
        320,
        560,
        32,
    )
    assert (config.ensure_rgb, config.ensure_grayscale) == (True, False)


def test_what_is_missing_or_null_is_as_by_default(read, legacy_config):
    config = legacy_config(
        "centered_instance",
        data={"preprocessing": {"input_scaling": None}, "instance_cropping": {"crop_size": None}},
    )
    for key in ("max_stride", "filters", "filters_rate", "stem_stride", "stacks", "middle_block"):
        del config["model"]["backbone"]["unet"][key]
    config = read(config)
    assert (
        config.scale,
        config.max_height,
        config.max_width,
        config.crop_size,
        config.max_stride,
    ) == (1.0, None, None, None, 16)
    assert (config.ensure_rgb, config.ensure_grayscale) == (False, False)


def test_the_skeleton(read, legacy_config):
    # The nodes come in the order of their own list, whatever the edges mention first.
    config = read(
        legacy_config(
            "multi_instance",
            nodes=("nose", "tail", "ear"),
            edges=(("ear", "nose"), ("nose", "tail")),
        )
    )
    assert config.skeleton == Skeleton(("nose", "tail", "ear"), ((2, 0), (0, 1)), (), "animal")
    assert config.heads["pafs"]["edges"] == [["ear", "nose"], ["nose", "tail"]]


def test_a_skeleton_without_edges(read, legacy_config):
    assert read(legacy_config("single_instance", nodes=("nose",), edges=())).skeleton == Skeleton(
        ("nose",), name="animal"
    )


@pytest.mark.parametrize("head", KINDS)
@pytest.mark.parametrize("offsets", [True, False])
def test_offsets_are_a_head_of_their_own(read, legacy_config, head, offsets):
    config = read(legacy_config(head, head={"offset_refinement": offsets}))
    assert ("offsets" in config.heads) is offsets
    if offsets:
        assert config.stride("offsets") == config.stride("confmaps")


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a readable JSON file (Expecting value: line 1 column 1 (char 0))"),
        ('{"model": ', "not a readable JSON file (Expecting value: line 1 column 11 (char 10))"),
        ("[1, 2]", "not a training config, but a list"),
        ('"text"', "not a training config, but a str"),
        ("{}", "section model.heads is missing"),
        ('{"model": {"heads": []}}', "section model.heads is missing"),
    ],
)
def test_other_files_are_refused(refusal, text, message):
    assert refusal(text) == message


def test_a_file_that_never_ends_going_deeper(refusal):
    assert refusal("[" * 100_000).startswith("not a readable JSON file (")


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "training_config.json").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(RunError, match="not a readable JSON file"):
        read_training_config(tmp_path)


UNET, CONFMAPS, PAFS = (
    "model.backbone.unet",
    "model.heads.multi_instance.confmaps",
    "model.heads.multi_instance.pafs",
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("model.backbone", ..., "section model.backbone is missing"),
        (UNET, None, "model.backbone chooses nothing; accepted: one of unet"),
        (UNET, 3, "model.backbone.unet: got 3; accepted: a section"),
        ("model.backbone.resnet", {"version": "ResNet50"},
         "model.backbone chooses unet, resnet; accepted: one of unet"),
        (f"{UNET}.stem_stride", 4,
         f"{UNET}.stem_stride: got 4, which is not supported; accepted: null"),
        (f"{UNET}.stacks", 3, f"{UNET}.stacks: got 3, which is not supported; accepted: 1"),
        (f"{UNET}.middle_block", False,
         f"{UNET}.middle_block: got False, which is not supported; accepted: true"),
        (f"{UNET}.max_stride", "16",
         f"{UNET}.max_stride: got '16'; accepted: a whole number above 0"),
        (f"{UNET}.output_stride", 0,
         f"{UNET}.output_stride: got 0; accepted: a whole number above 0"),
        (f"{UNET}.filters", 1.5, f"{UNET}.filters: got 1.5; accepted: a whole number above 0"),
        (f"{UNET}.filters_rate", -1, f"{UNET}.filters_rate: got -1; accepted: a number above 0"),
        ("model.heads.multi_instance", None,
         "model.heads chooses nothing; accepted: one of " + ", ".join(KINDS)),
        ("model.heads.centroid", {},
         "model.heads chooses centroid, multi_instance; accepted: one of " + ", ".join(KINDS)),
        ("model.heads.multi_instance", [],
         "model.heads.multi_instance: got []; accepted: a section"),
        (f"{CONFMAPS}.part_names", ..., f"{CONFMAPS}.part_names is missing"),
        (f"{CONFMAPS}.part_names", ["a"],
         f"{CONFMAPS}.part_names has 1 entries, the skeleton 2 nodes"),
        (f"{CONFMAPS}.output_stride", "2",
         f"{CONFMAPS}.output_stride: got '2'; accepted: a whole number above 0"),
        (PAFS, None, f"{PAFS}.edges is missing"),
        (f"{PAFS}.edges", [["a", "z"]],
         f"{PAFS}.edges: got [['a', 'z']]; accepted: pairs of part_names a, b"),
        ("data.preprocessing", ..., "section data.preprocessing is missing"),
        ("data.preprocessing.input_scaling", "half",
         "data.preprocessing.input_scaling: got 'half'; accepted: a number above 0"),
        ("data.preprocessing.target_height", 0,
         "data.preprocessing.target_height: got 0; accepted: a whole number above 0"),
        ("data.labels.skeletons", [],
         "data.labels.skeletons does not describe a skeleton (got []; accepted: a list of one)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(put, refusal, legacy_config, name, value, message):
    assert refusal(put(legacy_config("multi_instance"), name, value)) == message


def test_another_backbone_is_named(put, refusal, legacy_config):
    config = put(legacy_config("centroid"), "model.backbone.resnet", {"version": "ResNet50"})
    config["model"]["backbone"]["unet"] = None
    assert refusal(config) == "model.backbone chooses resnet; accepted: one of unet"


def test_keys_of_a_single_head_are_named_without_confmaps(put, refusal, legacy_config):
    config = put(
        legacy_config("centered_instance"), "model.heads.centered_instance.output_stride", None
    )
    assert refusal(config) == "model.heads.centered_instance.output_stride is missing"


def test_the_crop_size_is_named(put, refusal, legacy_config):
    config = put(legacy_config("centered_instance"), "data.instance_cropping.crop_size", -96)
    assert (
        refusal(config)
        == "data.instance_cropping.crop_size: got -96; accepted: a whole number above 0"
    )


@pytest.mark.parametrize(
    "skeletons",
    [None, 3, [None], [{}], [{"links": [{"source": 1}], "nodes": [{"id": {"py/id": 7}}]}], [[]]],
)
def test_a_broken_skeleton_is_named(put, refusal, legacy_config, skeletons):
    assert refusal(put(legacy_config("centroid"), "data.labels.skeletons", skeletons)).startswith(
        "data.labels.skeletons "
    )
