import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.inference.models import device_name, load_models, predicted_skeleton
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import Config

GREEN, BLUE = [0, 1.0, 0, 0], [0, 0, 1.0, 0]


@pytest.fixture
def config(make_model, write_h5):
    config = Config()
    config.data.path = str(write_h5(np.zeros((2, 24, 32, 3), dtype=np.uint8)))
    config.model.paths = [str(make_model("single_instance", {"confmaps": [GREEN, BLUE]}))]
    config.runtime.device = "cpu"
    return config


def test_without_models_nothing_runs_anywhere_and_nothing_is_predicted(config):
    source = open_source(config.data)
    config.model.kind = "none"
    assert device_name(config) == ""
    assert predicted_skeleton(config, source) is None


def test_models_run_where_they_are_told_to(config):
    assert device_name(config) == "cpu"
    config.runtime.device = "abacus"
    with pytest.raises(ConfigError, match=r"^runtime\.device: "):
        device_name(config)


def test_what_is_announced_is_what_the_loaded_models_predict(config):
    source = open_source(config.data)
    pipeline = load_models(source.truth, config)
    assert predicted_skeleton(config, source) == pipeline.skeleton
    assert pipeline.skeleton.nodes == ("a", "b")
