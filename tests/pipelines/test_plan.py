import numpy as np
import pytest
import yaml

from sleap_lab.checkpoints import read_training_config
from sleap_lab.pipelines.observation import Observed
from sleap_lab.pipelines.plan import make_plan
from sleap_lab.pipelines.topdown import CropPeaks
from sleap_lab.poses.record import Skeleton
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig

AB = Skeleton(("a", "b"))


@pytest.fixture
def plan(tmp_path, training_config):
    """Return a function that makes the plan of models of some kinds."""

    def make(kind, *kinds, **options):
        configs = {}
        for one in kinds or [kind]:
            folder = tmp_path / one
            folder.mkdir(exist_ok=True)
            (folder / "training_config.yaml").write_text(yaml.safe_dump(training_config(one)))
            configs[one] = read_training_config(folder)
        return make_plan(kind, configs, AB, ModelConfig(**options), PreprocessingConfig(), None)

    return make


def crops(scores, seen):
    """Crops of one frame, of which some were looked at."""
    n = len(scores)
    nothing = np.zeros((n, 2, 3, 2)), np.zeros((n, 2), np.float32), np.zeros((n, 0), np.float32)
    where, sample = np.array([[0, 10]]), np.zeros(n, np.int32)
    return CropPeaks(
        where,
        sample,
        np.zeros((n, 2)),
        np.zeros((n, 2, 2)),
        np.array(scores, np.float32),
        np.array(seen),
        *nothing,
    )


@pytest.mark.parametrize(
    ("options", "enough"),
    [
        ({"peak_threshold": [0.5, 0.2]}, True),
        (
            {"peak_threshold": [0.2, 0.5]},
            False,
        ),  # the third crop is needed, and nobody looked at it
        ({"peak_threshold": 0.2, "max_instances": 2}, True),
        ({"peak_threshold": 0.2, "max_instances": 3}, False),
    ],
)
@pytest.mark.parametrize("kind", ["topdown", "multi_class_topdown"])
def test_crops_that_were_not_looked_at_do_not_cover_what_needs_them(plan, kind, options, enough):
    second = "centered_instance" if kind == "topdown" else kind
    assert (
        plan(kind, "centroid", second, **options).covers(
            crops([0.9, 0.8, 0.4], [True, True, False])
        )
        is enough
    )


@pytest.mark.parametrize(
    "kind", ["single_instance", "bottomup", "multi_class_bottomup", "centroid"]
)
def test_what_is_observed_of_whole_frames_is_always_enough(plan, kind):
    assert plan(kind).covers(object())


def test_what_a_lower_threshold_than_the_floor_would_need_is_not_there(plan):
    def floor(kind, threshold):
        return plan(kind, peak_threshold=threshold).depends["floor"]

    for kind in ("bottomup", "multi_class_bottomup", "centroid"):
        assert floor(kind, 0.1) == floor(kind, 0.7) != floor(kind, 0.05), kind


def test_details_of_top_down_models_are_the_crops_of_the_instances(plan):
    made = plan("topdown", "centroid", "centered_instance", peak_threshold=0.2)
    found = crops([0.9, 0.8, 0.1], [True] * 3)
    found.values[:] = 0.5
    details = made.details(Observed(found, maps={}, pixel_sizes={}))
    assert details["crops"].scores.tolist() == pytest.approx([0.9, 0.8])


def test_models_of_different_skeletons_are_told(tmp_path, training_config):
    def notes(nodes):
        configs = {}
        for kind, own in (("centroid", ("a", "b")), ("centered_instance", nodes)):
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / "training_config.yaml").write_text(
                yaml.safe_dump(training_config(kind, nodes=own, edges=()))
            )
            configs[kind] = read_training_config(tmp_path / kind)
        skeleton = configs["centered_instance"].skeleton
        options = ModelConfig(), PreprocessingConfig(), None
        return make_plan("topdown", configs, skeleton, *options).notes

    assert notes(("b", "a")) == ()
    (note,) = notes(("nose", "a"))
    assert note.startswith(
        "The models were trained on different skeletons: "
        "centroid (centroid) on a, b and centered_instance (centered_instance) on nose, a. "
    )


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        (["bottomup"], True),
        (["single_instance"], True),
        (["centroid"], False),
        (["topdown", "centroid", "centered_instance"], False),
    ],
)
def test_a_distance_of_centroids_is_told_where_there_are_none(plan, kinds, told):
    notes = plan(*kinds, filter_min_centroid_distance=5.0).notes
    assert any("these models find no centroids" in note for note in notes) is told
    assert not any("no centroids" in note for note in plan(*kinds).notes)
