import json

import pytest
import yaml

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.errors import ConfigError


@pytest.fixture
def modern(make_model):
    return make_model("single_instance", {"confmaps": [[1.0, 0.0], [-1.0, 1.0]]}, name="modern")


@pytest.fixture
def legacy(make_legacy_model):
    return make_legacy_model(
        "single_instance", {"SingleInstanceConfmapsHead": [[1, 0], [-1, 1]]}, name="legacy"
    )


@pytest.mark.parametrize("inside", ["", "training_config.json", "best_model.h5"])
def test_a_legacy_folder_or_any_file_in_it_names_the_model(legacy, inside):
    config = read_training_config(legacy / inside)
    assert (config.folder, config.legacy) == (legacy, True)


def test_the_modern_config_counts_where_there_are_both(modern, legacy_config, training_config):
    (modern / "training_config.json").write_text(json.dumps(legacy_config("centroid")))
    config = read_training_config(modern)
    assert (config.kind, config.legacy) == ("single_instance", False)
    (modern / "training_config.yaml").write_text(yaml.safe_dump(training_config("bottomup")))
    assert read_training_config(modern).kind == "bottomup"


def test_both_makes_have_the_same_parameters(modern, legacy):
    names = [
        load_network(read_training_config(folder)).state_dict().keys()
        for folder in (modern, legacy)
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("key", ["backbone_ckpt_path", "head_ckpt_path"])
@pytest.mark.parametrize("make", ["modern", "legacy"])
def test_weights_of_the_other_make_are_refused(modern, legacy, make, key):
    folder, other, accepted = {
        "modern": (modern, legacy / "best_model.h5", "best.ckpt of another model of SLEAP-NN"),
        "legacy": (legacy, modern / "best.ckpt", "best_model.h5 of another model of SLEAP"),
    }[make]
    with pytest.raises(ConfigError) as caught:
        load_network(read_training_config(folder), **{key: str(other)})
    assert str(caught.value) == (
        f"model.{key}: {other} cannot replace weights of the model in {folder}; "
        f"accepted: {accepted}"
    )


def test_heads_may_be_of_the_other_make_where_they_are_for_another_model(modern, legacy):
    configs = [read_training_config(folder) for folder in (modern, legacy)]
    path = str(legacy / "best_model.h5")
    found = load_network(configs[0], head_ckpt_path=path, others=configs).state_dict()
    assert all(
        value.equal(found[name]) for name, value in load_network(configs[0]).state_dict().items()
    )
