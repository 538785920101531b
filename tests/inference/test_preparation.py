"""What an experiment refuses before its first stage."""

import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.inference.preparation import check_stages, check_weights
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import Config, DataConfig, ModelConfig, TrackerConfig

TRIANGLE = [[1, 1], [5, 1], [1, 5]]


@pytest.fixture
def labels_path(tmp_path, video_path, make_labels):
    """Predictions on a copy of a video, which a test can take away."""
    (tmp_path / "gray.mp4").write_bytes(video_path.read_bytes())
    path = tmp_path / "labels.slp"
    make_labels([tmp_path / "gray.mp4"], predicted=[(0, 0, TRIANGLE), (0, 1, TRIANGLE)]).save(
        str(path), verbose=False
    )
    return path


def checked(path, **tracker):
    config = Config(
        data=DataConfig(path=str(path)),
        model=ModelConfig(kind="none"),
        tracker=TrackerConfig(tracking=True, **tracker),
    )
    check_stages(config, open_source(config.data, predicting=False))


@pytest.mark.parametrize(
    ("settings", "key"), [({"use_flow": True}, "use_flow"), ({"features": "image"}, "features")]
)
def test_a_tracker_that_looks_at_images_needs_them(labels_path, settings, key):
    checked(labels_path, **settings)
    (labels_path.parent / "gray.mp4").unlink()
    checked(labels_path)
    with pytest.raises(RunError, match=rf"^tracker\.{key}=.* needs the images, but .*gray\.mp4"):
        checked(labels_path, **settings)


@pytest.mark.parametrize(("drawn", "shown"), [(True, "true"), ("full", "full")])
def test_an_overlay_of_labels_needs_the_images(labels_path, drawn, shown):
    config = Config(data=DataConfig(path=str(labels_path)), model=ModelConfig(kind="none"))
    config.output.overlay_video = drawn
    check_stages(config, open_source(config.data, predicting=False))
    (labels_path.parent / "gray.mp4").unlink()
    with pytest.raises(
        RunError, match=rf"^output\.overlay_video={shown} needs the images, but .*it is not there"
    ):
        check_stages(config, open_source(config.data, predicting=False))


def test_a_tracker_cannot_follow_a_node_that_there_is_not(labels_path):
    settings = {"use_kalman": True, "max_tracks": 2}
    checked(labels_path, **settings, kf_node_indices=[0, 2])
    with pytest.raises(ConfigError, match=r"there is no node 3; accepted: 0 to 2$"):
        checked(labels_path, **settings, kf_node_indices=[0, 3])


def test_models_that_lack_what_is_asked_for_are_refused(make_model, video_path):
    config = Config(
        data=DataConfig(path=str(video_path)),
        model=ModelConfig(paths=[str(make_model("single_instance", {"confmaps": 2 * [[1, 0]]}))]),
    )
    source = open_source(config.data)
    check_stages(config, source)
    config.preprocessing.anchor_part = "elbow"
    with pytest.raises(ConfigError, match=r"preprocessing\.anchor_part: no node 'elbow'"):
        check_stages(config, source)


def test_weights_that_cannot_be_loaded_are_refused(make_model):
    folder = make_model("single_instance", {"confmaps": 2 * [[1, 0]]})
    check_weights(ModelConfig(paths=[str(folder)]))
    (folder / "best.ckpt").write_bytes(b"no weights")
    with pytest.raises(RunError, match=r"best\.ckpt"):
        check_weights(ModelConfig(paths=[str(folder)]))
    check_weights(ModelConfig(kind="none"))
