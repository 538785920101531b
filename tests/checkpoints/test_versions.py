"""Training configs as versions of SLEAP-NN wrote them, each for crops of 64 px, in `data/`."""

import copy
from pathlib import Path

import pytest
import yaml

from sleap_lab.checkpoints import CropRule, crop_rule, read_training_config
from sleap_lab.networks import build_network

DATA = Path(__file__).parent / "data"
VERSIONS = {"0.0.1": 0.5, "0.0.5": 0.5, "0.1.0": 0.5, "0.2.0": 0.5, "0.3.5": 1.0}
"""Version -> the scale its model was trained at."""
USED = {
    "data_config": {"preprocessing": {"scale", "crop_size", "crop_hw"}, "skeletons": ...},
    "model_config": {
        "backbone_config": {
            "unet": {"in_channels", "filters", "filters_rate", "max_stride", "output_stride"}
        },
        "head_configs": {"centered_instance": {"confmaps": {"part_names", "output_stride"}}},
    },
    "sleap_nn_version": ...,
}


@pytest.fixture
def written():
    """Return a function that loads the config that a version wrote."""
    return lambda version: yaml.safe_load(
        (DATA / f"sleap_nn_{version}.yaml").read_text(encoding="utf-8")
    )


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a config through a file."""

    def read(raw):
        (tmp_path / "training_config.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
        return read_training_config(tmp_path)

    return read


def only(raw, used):
    """Return the keys of a section that inference uses."""
    if used is ...:
        return copy.deepcopy(raw)
    if isinstance(used, set):
        return {name: raw[name] for name in used & raw.keys()}
    return {name: only(raw[name], inner) for name, inner in used.items()}


@pytest.mark.parametrize(("version", "scale"), VERSIONS.items())
def test_every_version_is_understood(read, written, version, scale):
    config = read(written(version))
    assert (str(config.version), config.kind, config.scale) == (version, "centered_instance", scale)
    assert config.crop_size == 64
    assert len(config.skeleton.nodes) == len(config.heads["confmaps"]["part_names"]) == 3
    assert len(config.skeleton.edges) == 2
    assert (config.stride("confmaps"), config.max_stride) == (2, 8 if version == "0.3.5" else 16)
    exact = crop_rule(config, 0) == CropRule(0.0)
    assert exact == (version < "0.1")
    assert build_network(config.raw).outputs == {"confmaps": 2}


@pytest.mark.parametrize("version", VERSIONS)
def test_no_key_is_required_that_is_not_used(read, written, version):
    whole, bare = read(written(version)), read(only(written(version), USED))
    for name in (
        "kind",
        "skeleton",
        "max_stride",
        "scale",
        "crop_size",
        "ensure_rgb",
        "ensure_grayscale",
        "version",
    ):
        assert getattr(bare, name) == getattr(whole, name)
    shapes = [
        {key: value.shape for key, value in build_network(config.raw).state_dict().items()}
        for config in (whole, bare)
    ]
    assert shapes[0] == shapes[1]
    assert crop_rule(bare, 0) == crop_rule(whole, 0)


@pytest.mark.parametrize("version", VERSIONS)
def test_keys_that_nobody_knows_do_no_harm(read, written, version):
    raw = written(version)
    for section in (
        raw,
        raw["model_config"],
        raw["data_config"]["preprocessing"],
        raw["model_config"]["head_configs"]["centered_instance"]["confmaps"],
    ):
        section["of_the_future"] = {"nested": [1, None]}
    assert read(raw).crop_size == 64
