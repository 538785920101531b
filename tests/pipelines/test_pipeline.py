from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines import backend
from sleap_lab.pipelines.model import FrameBatch
from sleap_lab.pipelines.pipeline import (
    build_pipeline,
    choose_device,
    output_skeleton,
    pipeline_kind,
)
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig, RuntimeConfig

# Weights of heads that answer with the brightness of each of three channels.
RED, GREEN, BLUE = [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]
AB = Skeleton(("a", "b"))


@pytest.fixture
def config(tmp_path, training_config):
    """Return a function that writes a training config of a kind and reads it."""
    import yaml

    def make(kind, name=None):
        folder = tmp_path / (name or kind)
        folder.mkdir()
        (folder / "training_config.yaml").write_text(yaml.safe_dump(training_config(kind)))
        return read_training_config(folder)

    return make


# ---- kinds


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["single_instance"], "single_instance"),
        (["bottomup"], "bottomup"),
        (["multi_class_bottomup"], "multi_class_bottomup"),
        (["centroid"], "centroid"),
        (["centered_instance"], "centered_instance"),
        (["multi_class_topdown"], "multi_class_topdown"),
        (["centroid", "centered_instance"], "topdown"),
        (["centered_instance", "centroid"], "topdown"),
        (["multi_class_topdown", "centroid"], "multi_class_topdown"),
    ],
)
def test_models_make_up_a_pipeline_in_any_order(config, kinds, expected):
    configs = [config(kind) for kind in kinds]
    assert pipeline_kind(configs, "auto") == expected
    assert pipeline_kind(configs, expected) == expected


@pytest.mark.parametrize(
    "kinds",
    [
        ["centroid", "centroid"],
        ["bottomup", "bottomup"],
        ["centroid", "bottomup"],
        ["single_instance", "centered_instance"],
        ["centered_instance", "multi_class_topdown"],
        ["centroid", "centered_instance", "multi_class_topdown"],
        ["centroid", "centered_instance", "centroid"],
    ],
)
def test_models_that_do_not_fit_together_are_all_named(config, kinds):
    configs = [config(kind, name=f"model {i}") for i, kind in enumerate(kinds)]
    with pytest.raises(ConfigError) as caught:
        pipeline_kind(configs, "auto")
    message = str(caught.value)
    assert message.startswith("model.paths: these models do not fit together: ")
    assert all(f"{one.folder} ({one.kind})" in message for one in configs)
    assert "; accepted: single_instance; " in message
    assert "centered_instance + centroid" in message


def test_another_kind_than_asked_for_is_refused(config):
    configs = [config("bottomup")]
    with pytest.raises(
        ConfigError,
        match=r"model.kind: single_instance was asked for, but the models make up bottomup: "
        r".*bottomup \(bottomup\)$",
    ):
        pipeline_kind(configs, "single_instance")


def test_half_of_a_top_down_pipeline_is_refused_with_what_is_missing(config):
    with pytest.raises(
        ConfigError,
        match=r"topdown was asked for.*\(a centroid and a centered-instance model are needed\)",
    ):
        pipeline_kind([config("centroid")], "topdown")


# ---- skeletons


def test_the_skeleton_is_that_of_the_model_that_finds_nodes(make_model):
    centroid = make_model("centroid", {"confmaps": [RED]}, nodes=("p", "q", "r"), edges=())
    centered = make_model(
        "centered_instance", {"confmaps": [GREEN, BLUE]}, preprocessing={"crop_size": 8}
    )
    for paths in ([centroid, centered], [centered, centroid]):
        assert output_skeleton(ModelConfig(paths=paths), None).nodes == ("a", "b")


def test_the_skeleton_of_centroids_is_that_of_the_labels_if_there_are_any(make_model):
    paths = [make_model("centroid", {"confmaps": [RED]})]
    assert output_skeleton(ModelConfig(paths=paths), None) == Skeleton(
        ("centroid",), name="centroid"
    )
    labelled = make_poses(Skeleton(("x", "y", "z")), np.zeros((1, 3, 2)))
    assert output_skeleton(ModelConfig(paths=paths), labelled).nodes == ("x", "y", "z")
    alone = ModelConfig(paths=paths, copy_labelled=False)
    assert output_skeleton(alone, labelled).nodes == ("centroid",)


def test_centroids_of_a_pair_are_found_without_its_other_model(topdown_paths):
    pair = ModelConfig(paths=topdown_paths, kind="centroid")
    pipeline = build_pipeline(pair, PreprocessingConfig(), RuntimeConfig(device="cpu"), None)
    assert (pipeline.kind, pipeline.skeleton.nodes) == ("centroid", ("centroid",))


def test_centroids_need_their_model(centered_path):
    with pytest.raises(ConfigError, match="centroid was asked for, but the models make up"):
        output_skeleton(ModelConfig(paths=[centered_path], kind="centroid"), None)


# ---- devices


def test_the_processor_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.fixture
def machine(monkeypatch):
    """Return a function that gives the machine some accelerators."""

    def make(*, cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.accelerator, "is_available", lambda: bool(cuda or mps))
        monkeypatch.setattr(
            torch.accelerator,
            "current_accelerator",
            lambda: torch.device("cuda" if cuda else "mps"),
        )
        monkeypatch.setattr(torch.accelerator, "device_count", lambda: cuda or int(mps))

    return make


@pytest.mark.parametrize(
    ("accelerators", "name", "expected"),
    [
        ({}, "auto", "cpu"),
        ({"cuda": 1}, "auto", "cuda"),
        ({"mps": True}, "auto", "mps"),
        ({"cuda": 2}, "cuda:1", "cuda:1"),
        ({"cuda": 2}, "cuda", "cuda"),
        ({"cuda": 1}, "cpu", "cpu"),
        ({"mps": True}, "mps", "mps"),
    ],
)
def test_devices_that_are_there(machine, accelerators, name, expected):
    machine(**accelerators)
    assert choose_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("accelerators", "name", "accepted"),
    [
        ({}, "cuda", "auto, cpu"),
        ({}, "mps", "auto, cpu"),
        ({}, "cuda:0", "auto, cpu"),
        ({"cuda": 1}, "cuda:1", "auto, cpu, cuda"),
        ({"cuda": 2}, "cuda:2", "auto, cpu, cuda:0, cuda:1"),
        ({"cuda": 2}, "cuda:x", "auto, cpu, cuda:0, cuda:1"),
        ({"cuda": 2}, "cuda:-1", "auto, cpu, cuda:0, cuda:1"),
        ({"mps": True}, "gpu", "auto, cpu, mps"),
        ({}, "", "auto, cpu"),
        ({}, "cpu:", "auto, cpu"),
        ({}, "cpu:1", "auto, cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_those_that_are(
    machine, accelerators, name, accepted
):
    machine(**accelerators)
    with pytest.raises(ConfigError) as caught:
        choose_device(name)
    assert str(caught.value).startswith(
        f"runtime.device: {name!r} is not available here; accepted: {accepted}."
    )


def test_the_nearest_spelling_of_a_device(machine):
    machine(cuda=1)
    with pytest.raises(ConfigError, match="Did you mean 'cuda'"):
        choose_device("cude")


# ---- whole pipelines


def build(
    paths,
    *,
    truth=None,
    preprocessing=None,
    runtime=None,
    refinement=None,
    details=False,
    **options,
):
    model = ModelConfig(
        paths=[str(path) for path in paths], integral_refinement=refinement, **options
    )
    runtime_config = RuntimeConfig(device="cpu", **(runtime or {}))
    return build_pipeline(
        model, PreprocessingConfig(**(preprocessing or {})), runtime_config, truth, details=details
    )


def spots(*pixels, h=32, w=48):
    """An image with single bright pixels (channel, x, y, value)."""
    image = torch.zeros(1, 3, h, w, dtype=torch.uint8)
    for channel, x, y, value in pixels:
        image[0, channel, y, x] = value
    return FrameBatch(image, np.ones(1), np.array([[2, 7]]))


def predicted(pipeline, drawn):
    """Return the poses of an image, which are all in its frame."""
    poses = pipeline.predict(drawn).poses
    assert poses.video.tolist() == [2] * len(poses)
    assert poses.frame.tolist() == [7] * len(poses)
    assert poses.frames.tolist() == [[2, 7]]
    return poses


# One animal: centroid at map pixel (8, 6), nodes at (6, 7) and (11, 5). A map pixel is 2 x 2 image
# pixels.
ANIMAL = spots((0, 16, 12, 255), (1, 13, 15, 204), (2, 22, 10, 153))


def test_single_instance(make_model):
    pipeline = build([make_model("single_instance", {"confmaps": [GREEN, BLUE]})])
    assert (pipeline.kind, pipeline.skeleton.nodes, pipeline.track_names, pipeline.notes) == (
        "single_instance",
        ("a", "b"),
        (),
        (),
    )
    assert pipeline.device == torch.device("cpu")
    poses = predicted(pipeline, ANIMAL)
    assert poses.points.tolist() == [[[12, 14], [22, 10]]]
    np.testing.assert_allclose(poses.point_scores, [[0.8, 0.6]])
    assert poses.frame.tolist() == [7]


@pytest.fixture
def topdown_paths(make_model):
    centroid = make_model("centroid", {"confmaps": [RED]})
    centered = make_model(
        "centered_instance", {"confmaps": [GREEN, BLUE]}, preprocessing={"crop_size": 16}
    )
    return [centered, centroid]


def test_topdown(topdown_paths):
    # The crop of 16 around (16, 12) is cut at (8, 4) and reported from (8.5, 4.5). In it the nodes
    # are at pixels (5, 11) and (14, 6), which are map pixels (2, 5) and (7, 3).
    pipeline = build(topdown_paths)
    assert pipeline.kind == "topdown"
    poses = predicted(pipeline, ANIMAL)
    np.testing.assert_allclose(
        poses.points, [[[8.5 + 2 * 2, 4.5 + 2 * 5], [8.5 + 2 * 7, 4.5 + 2 * 3]]]
    )
    np.testing.assert_allclose(poses.instance_scores, [1.0])


def test_the_crop_size_may_be_overridden(topdown_paths):
    # A crop of 8 around (16, 12) is cut at (12, 8): the first node, at (13, 15), is its pixel
    # (1, 7); the second, at (22, 10), is outside.
    poses = build(topdown_paths, preprocessing={"crop_size": 8}).predict(ANIMAL).poses
    np.testing.assert_allclose(poses.points, [[[12.5 + 2 * 0, 8.5 + 2 * 3], [np.nan, np.nan]]])


def test_where_the_nodes_of_a_crop_land(make_model):
    # As above; what the crop shows at its pixels (5, 11) and (14, 6) is in the image at (13, 15)
    # and (22, 10). The network, whose points are multiples of 2 pixels, returns (4, 10) and
    # (14, 6).
    centroid = make_model("centroid", {"confmaps": [RED]})
    old = make_model(
        "centered_instance", {"confmaps": [GREEN, BLUE]}, preprocessing={"crop_size": 16}
    )
    file = old / "training_config.yaml"
    file.write_text(file.read_text() + "sleap_nn_version: 0.0.5\n")
    answers = np.array([[4, 10], [14, 6]])
    for registration, start in (("exact", [8, 4]), ("reference", [8.5, 4.5])):
        poses = (
            build([centroid, old], preprocessing={"crop_registration": registration})
            .predict(ANIMAL)
            .poses
        )
        np.testing.assert_allclose(poses.points[0], answers + start)


def test_thresholds_of_the_two_stages(topdown_paths):
    assert (
        len(
            build(topdown_paths, peak_threshold=[0.2, 0.7])
            .predict(ANIMAL)
            .poses.visible[0]
            .nonzero()[0]
        )
        == 1
    )
    assert len(build(topdown_paths, peak_threshold=[1.0, 0.2]).predict(ANIMAL).poses) == 0
    assert build(topdown_paths, peak_threshold=0.7).predict(ANIMAL).poses.visible.tolist() == [
        [True, False]
    ]


def test_the_limit_of_instances(topdown_paths):
    two = spots((0, 16, 12, 200), (1, 16, 12, 204), (0, 40, 12, 255), (1, 40, 12, 204))
    assert build(topdown_paths).predict(two).poses.points[:, 0, 0].tolist() == [16.5, 40.5]
    assert build(topdown_paths, max_instances=1).predict(two).poses.points[:, 0, 0].tolist() == [
        40.5
    ]


def test_bottomup(make_model):
    # Red is node a, green is node b, and blue is the field to the right.
    path = make_model("bottomup", {"confmaps": [RED, GREEN], "pafs": [BLUE, [0, 0, 0, 0]]})
    drawn = spots((0, 10, 12, 255), (1, 30, 12, 204), *[(2, x, 12, 255) for x in range(8, 34)])
    options = {"max_edge_length_ratio": 1.0}
    pipeline = build([path], **options)
    assert pipeline.kind == "bottomup"
    poses = predicted(pipeline, drawn)
    assert poses.points.tolist() == [[[10, 12], [30, 12]]]
    np.testing.assert_allclose(poses.instance_scores, [1.0])
    assert len(build([path], min_line_scores=1.1, **options).predict(drawn).poses) == 0
    assert len(build([path], min_instance_peaks=3, **options).predict(drawn).poses) == 0
    # The longest edge without penalty is 1/4 of 24 map pixels of stride 2: 12; 12 / 20 - 1 = -0.4.
    np.testing.assert_allclose(build([path]).predict(drawn).poses.instance_scores, [1 - 0.4])
    np.testing.assert_allclose(
        build([path], dist_penalty_weight=0.5).predict(drawn).poses.instance_scores, [1 - 0.2]
    )


def test_multi_class_bottomup(make_model):
    # Class maps are sigmoids: blue makes the second class likely, black the first.
    path = make_model(
        "multi_class_bottomup",
        {"confmaps": [RED, GREEN], "class_maps": [[0, 0, -8.0, 4.0], [0, 0, 8.0, -4.0]]},
    )
    drawn = spots((0, 10, 12, 255), (1, 30, 12, 204), (2, 30, 12, 255))
    pipeline = build([path])
    assert (pipeline.kind, pipeline.track_names) == ("multi_class_bottomup", ("x", "y"))
    poses = predicted(pipeline, drawn)
    assert poses.tracks.tolist() == [0, 1]
    np.testing.assert_array_equal(
        poses.points, [[[10, 12], [np.nan, np.nan]], [[np.nan, np.nan], [30, 12]]]
    )
    np.testing.assert_allclose(poses.track_scores, [1 / (1 + np.exp(-4))] * 2, rtol=1e-6)


def test_multi_class_topdown(make_model):
    centroid = make_model("centroid", {"confmaps": [RED]})
    classes = make_model(
        "multi_class_topdown",
        {"confmaps": [GREEN, BLUE], "class_vectors": [[0, 0, 0, 0], [0, 0, 3.0, 0]]},
        preprocessing={"crop_size": 16},
    )
    pipeline = build([centroid, classes])
    assert (pipeline.kind, pipeline.track_names) == ("multi_class_topdown", ("x", "y"))
    poses = predicted(pipeline, ANIMAL)
    assert poses.tracks.tolist() == [1]
    np.testing.assert_allclose(poses.track_scores, [1 / (1 + np.exp(-3 * 0.6))], rtol=1e-6)


def test_centroids_alone(make_model):
    path = make_model("centroid", {"confmaps": [RED]})
    pipeline = build([path])
    assert (pipeline.kind, pipeline.skeleton.nodes) == ("centroid", ("centroid",))
    assert "the centroids themselves" in pipeline.notes[0]
    assert predicted(pipeline, ANIMAL).points.tolist() == [[[16, 12]]]
    labelled = make_poses(AB, [[[15, 12], [19, 14]]], video=2, frame=7, user=True)
    pipeline = build([path], truth=labelled)
    assert "copied from the nearest labelled instance" in pipeline.notes[0]
    assert pipeline.skeleton == AB
    assert predicted(pipeline, ANIMAL).points.tolist() == [[[15, 12], [19, 14]]]


@pytest.fixture
def centered_path(make_model):
    return make_model(
        "centered_instance", {"confmaps": [GREEN, BLUE]}, preprocessing={"crop_size": 16}
    )


def test_crops_around_labels(centered_path):
    labelled = make_poses(AB, [[[16, 12], [16, 12]]], video=2, frame=7, user=True)
    pipeline = build([centered_path], truth=labelled)
    assert pipeline.kind == "centered_instance"
    np.testing.assert_allclose(predicted(pipeline, ANIMAL).points, [[[12.5, 14.5], [22.5, 10.5]]])


def test_crops_around_a_node_of_the_labels(centered_path):
    labelled = make_poses(AB, [[[16, 12], [32, 24]]], video=2, frame=7, user=True)
    poses = (
        build([centered_path], truth=labelled, preprocessing={"anchor_part": "a"})
        .predict(ANIMAL)
        .poses
    )
    np.testing.assert_allclose(poses.points, [[[12.5, 14.5], [22.5, 10.5]]])
    # Around b the crop holds no node.
    assert (
        len(
            build([centered_path], truth=labelled, preprocessing={"anchor_part": "b"})
            .predict(ANIMAL)
            .poses
        )
        == 0
    )


@pytest.mark.parametrize("kind", ["centered_instance", "multi_class_topdown"])
def test_crops_need_centroids(make_model, kind):
    weights = {"confmaps": [GREEN, BLUE]} | (
        {"class_vectors": [RED, BLUE]} if kind == "multi_class_topdown" else {}
    )
    path = make_model(kind, weights, preprocessing={"crop_size": 16})
    with pytest.raises(
        ConfigError,
        match=rf"model.paths: a {kind} model without a centroid model needs labelled instances",
    ):
        build([path])


def test_crops_need_a_size(make_model):
    paths = [
        make_model("centroid", {"confmaps": [RED]}),
        make_model("centered_instance", {"confmaps": [GREEN, BLUE]}),
    ]
    with pytest.raises(
        ConfigError,
        match=r"preprocessing.crop_size: .*centered_instance names no crop size; give one in px",
    ):
        build(paths)
    assert build(paths, preprocessing={"crop_size": 16}).predict(ANIMAL).poses.visible.all()


@pytest.mark.parametrize("labels", [True, False])
def test_a_node_that_does_not_exist_is_refused_with_the_nearest(make_model, labels):
    path = make_model(
        "single_instance", {"confmaps": [GREEN, BLUE]}, nodes=("head", "tail"), edges=()
    )
    labelled = make_poses(Skeleton(("head", "tail")), np.zeros((1, 2, 2))) if labels else None
    with pytest.raises(
        ConfigError,
        match=r"preprocessing.anchor_part: no node 'haed'; accepted: head, tail\. "
        r"Did you mean 'head'\?",
    ):
        build([path], truth=labelled, preprocessing={"anchor_part": "haed"})


@pytest.mark.parametrize(
    ("trained", "given", "expected"),
    [
        ({}, {}, ImageSpec()),
        (
            {"max_height": 32, "max_width": 48, "ensure_rgb": True},
            {},
            ImageSpec(32, 48, ensure_rgb=True),
        ),
        ({"max_height": 32}, {"max_height": 16, "max_width": 20}, ImageSpec(16, 20)),
        (
            {"ensure_rgb": True},
            {"ensure_rgb": False, "ensure_grayscale": True},
            ImageSpec(ensure_grayscale=True),
        ),
        ({"ensure_grayscale": True}, {}, ImageSpec(ensure_grayscale=True)),
    ],
)
def test_images_are_prepared_as_in_training_unless_told_otherwise(
    make_model, trained, given, expected
):
    path = make_model("single_instance", {"confmaps": [GREEN, BLUE]}, preprocessing=trained)
    assert build([path], preprocessing=given).images == expected


def test_top_down_images_are_prepared_as_for_centroids(make_model):
    centroid = make_model("centroid", {"confmaps": [RED]}, preprocessing={"max_height": 32})
    centered = make_model(
        "centered_instance",
        {"confmaps": [GREEN, BLUE]},
        preprocessing={"crop_size": 16, "max_height": 99},
    )
    assert build([centered, centroid]).images == ImageSpec(max_height=32)


@pytest.mark.parametrize(
    ("trained", "given", "expected"), [(1.0, None, 1.0), (0.5, None, 0.5), (0.5, 2.0, 2.0)]
)
def test_scale_is_that_of_training_unless_told_otherwise(make_model, trained, given, expected):
    path = make_model(
        "single_instance", {"confmaps": [GREEN, BLUE]}, preprocessing={"scale": trained}
    )
    maps = (
        build([path], preprocessing={"input_scale": given}, details=True)
        .predict(ANIMAL)
        .maps["confmaps"]
    )
    assert maps.shape[-2:] == (32 * expected / 2, 48 * expected / 2)


def test_refinement_is_on_unless_told_otherwise(make_model):
    path = make_model("single_instance", {"confmaps": [GREEN, BLUE]})
    pair = spots(
        (1, 12, 14, 255), (1, 14, 14, 85)
    )  # map pixels (6, 7) and (7, 7), the second a third as bright
    model = ModelConfig(paths=[str(path)])

    def point(**options):
        pipeline = build_pipeline(
            replace(model, **options), PreprocessingConfig(), RuntimeConfig(device="cpu"), None
        )
        return pipeline.predict(pair).poses.points[0, 0].tolist()

    assert point() == pytest.approx([2 * (6 + 1 / 4), 14], rel=1e-6)
    assert point(integral_refinement=None) == [12, 14]
    assert point(integral_patch_size=1) == [12, 14]


@pytest.mark.parametrize(
    ("way", "expected"), [("integral", 6 + 1 / 4 + 1 / 2), ("bounded", 6 + 1 / 4)]
)
def test_bounded_refinement(make_model, way, expected):
    # An even patch tells them apart: only unbounded, it lies half a pixel too far.
    model = ModelConfig(paths=[str(make_model("single_instance", {"confmaps": [GREEN, BLUE]}))])
    model.integral_refinement, model.integral_patch_size = way, 4
    poses = (
        build_pipeline(model, PreprocessingConfig(), RuntimeConfig(device="cpu"), None)
        .predict(spots((1, 12, 14, 255), (1, 14, 14, 85)))
        .poses
    )
    assert poses.points[0, 0, 0] == pytest.approx(2 * expected)


def constants(*values):
    """Rows of a head that answers the same everywhere."""
    return [[0, 0, 0, value] for value in values]


@pytest.fixture
def legacy(make_legacy_model):
    """Return a function that makes legacy models of three channels.

    Their heads predict offsets (dx, dy) for each node.
    """

    def make(kind, heads, *offsets, **options):
        heads = heads | {
            "OffsetRefinementHead_0": constants(*(value for offset in offsets for value in offset))
        }
        return make_legacy_model(
            kind, heads, channels=3, head={"offset_refinement": True}, **options
        )

    return make


OFFSETS = ((0.25, -0.5), (-0.75, 1.0))
MULTI = {"MultiInstanceConfmapsHead_0": [GREEN, BLUE]}
CENTERED = {"CenteredInstanceConfmapsHead_0": [GREEN, BLUE]}


@pytest.mark.parametrize(
    "models",
    [
        [("single_instance", {"SingleInstanceConfmapsHead_0": [GREEN, BLUE]}, *OFFSETS)],
        [("multi_instance", MULTI | {"PartAffinityFieldsHead_0": constants(1, 0)}, *OFFSETS)],
        [("multi_class_bottomup", MULTI | {"ClassMapsHead_0": constants(5, -5)}, *OFFSETS)],
        [
            ("centroid", {"CentroidConfmapsHead_0": [RED]}, (0, 0)),
            ("centered_instance", CENTERED, *OFFSETS),
        ],
    ],
    ids=lambda models: models[-1][0],
)
def test_offsets_that_legacy_models_predict(legacy, models):
    paths = [legacy(*model) for model in models]
    plain, moved = build(paths).predict(ANIMAL), build(paths, refinement="offsets").predict(ANIMAL)
    assert not np.isnan(plain.poses.points).any()
    np.testing.assert_allclose(
        moved.poses.points - plain.poses.points, [2 * np.array(OFFSETS)]
    )  # map pixels are 2 x 2 image pixels
    np.testing.assert_array_equal(moved.poses.point_scores, plain.poses.point_scores)


def test_offsets_of_centroids(legacy):
    path = legacy("centroid", {"CentroidConfmapsHead_0": [RED]}, (0.25, -0.5))
    assert build([path], refinement="offsets").predict(ANIMAL).poses.points.tolist() == [
        [[16 + 2 * 0.25, 12 - 2 * 0.5]]
    ]


def test_offsets_need_a_head_in_every_model(legacy, make_model, make_legacy_model, monkeypatch):
    monkeypatch.setattr(
        "sleap_lab.pipelines.pipeline.load_network", lambda *args, **kwargs: pytest.fail("loaded")
    )
    centroid = legacy("centroid", {"CentroidConfmapsHead_0": [RED]}, (0, 0))
    for other in (
        make_model(
            "centered_instance",
            {"confmaps": [GREEN, BLUE]},
            preprocessing={"crop_size": 16},
            name="modern",
        ),
        make_legacy_model("centered_instance", CENTERED, channels=3),
    ):
        message = (
            f"model.integral_refinement: got 'offsets', but {other} has no head "
            "that predicts offsets; accepted: "
        )
        with pytest.raises(ConfigError) as caught:
            build([other, centroid], refinement="offsets")
        assert str(caught.value) == message + "integral, bounded or null"


def test_legacy_and_modern_models_go_together(make_model, make_legacy_model):
    paths = [
        make_model("centroid", {"confmaps": [RED]}),
        make_legacy_model("centered_instance", CENTERED, channels=3),
    ]
    assert build(paths).kind == "topdown"
    assert not np.isnan(build(paths).predict(ANIMAL).poses.points).any()


def test_weights_of_other_files(make_model, tmp_path):
    path = make_model("single_instance", {"confmaps": [GREEN, BLUE]})
    other = make_model("single_instance", {"confmaps": [BLUE, GREEN]}, name="other")
    poses = build([path], head_ckpt_path=str(other / "best.ckpt")).predict(ANIMAL).poses
    assert poses.points.tolist() == [[[22, 10], [12, 14]]]


def test_heads_replace_those_of_the_model_that_has_such_heads(topdown_paths, make_model):
    # As in `test_topdown`, with the two nodes exchanged; sleap-nn 0.3.5 keeps the other heads, too.
    other = make_model("centered_instance", {"confmaps": [BLUE, GREEN]}, name="other")
    poses = build(topdown_paths, head_ckpt_path=str(other / "best.ckpt")).predict(ANIMAL).poses
    assert poses.points.tolist() == [[[8.5 + 14, 4.5 + 6], [8.5 + 4, 4.5 + 10]]]


def test_heads_that_no_model_has_are_refused(topdown_paths, make_model):
    other = make_model("single_instance", {"confmaps": [BLUE, GREEN]}, name="other")
    with pytest.raises(RunError, match=r"holds no head_layers weights of the network in"):
        build(topdown_paths, head_ckpt_path=str(other / "best.ckpt"))


def test_weights_of_another_backbone(make_model, tmp_path):
    path = make_model("single_instance", {"confmaps": [GREEN, BLUE]})
    with pytest.raises((RunError, ConfigError), match=r"gone\.ckpt"):
        build([path], backbone_ckpt_path=str(tmp_path / "gone.ckpt"))


@pytest.mark.parametrize("threads", [None, 3])
def test_threads(make_model, monkeypatch, threads):
    given = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    build(
        [make_model("single_instance", {"confmaps": [GREEN, BLUE]})],
        runtime={"num_threads": threads},
    )
    assert given == ([] if threads is None else [3])


@pytest.mark.parametrize("wanted", [True, False])
def test_networks_are_compiled_where_asked(topdown_paths, monkeypatch, wanted):
    """With as few images per pass as one of two cores has at a time."""
    rows = []

    def compiled(network, count, tell):
        rows.append(count)
        tell("A network is not compiled.")
        return network

    monkeypatch.setattr(backend, "Compiled", compiled)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    pipeline = build_pipeline(
        ModelConfig(paths=topdown_paths),
        PreprocessingConfig(),
        RuntimeConfig(device="cpu", compile=wanted, batch_size=5),
        None,
    )
    assert rows == ([3, 3] if wanted else [])
    assert list(pipeline.told) == ["A network is not compiled."] * len(rows)


def test_memory_is_kept_before_networks_are_loaded(topdown_paths, monkeypatch):
    done = []

    def load(*args, **options):
        done.append("loaded")
        return load_network(*args, **options)

    monkeypatch.setattr(
        "sleap_lab.pipelines.pipeline.keep_freed_memory", lambda: done.append("kept")
    )
    monkeypatch.setattr("sleap_lab.pipelines.pipeline.load_network", load)
    build(topdown_paths)
    assert done == ["kept", "loaded", "loaded"]


def test_lower_precision_gives_the_same_grid_points(make_model):
    path = make_model("single_instance", {"confmaps": [GREEN, BLUE]})
    prediction = build([path], runtime={"precision": "bf16"}, details=True).predict(ANIMAL)
    assert prediction.maps["confmaps"].dtype == torch.float32
    assert prediction.poses.points.tolist() == [[[12, 14], [22, 10]]]


def test_nothing_is_loaded_before_models_fit_together(config, monkeypatch):
    paths = [config("centroid").folder, config("bottomup").folder]
    monkeypatch.setattr(
        "sleap_lab.pipelines.pipeline.load_network", lambda *args, **kwargs: pytest.fail("loaded")
    )
    with pytest.raises(ConfigError, match="do not fit together"):
        build(paths)
    with pytest.raises(ConfigError, match=r"runtime\.device"):
        build_pipeline(
            ModelConfig(paths=[paths[0]]), PreprocessingConfig(), RuntimeConfig(device="tpu"), None
        )
    assert all(isinstance(path, Path) for path in paths)
