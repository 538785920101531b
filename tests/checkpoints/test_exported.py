import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab import run_inference
from sleap_lab.checkpoints import load_network, read_training_config, read_training_configs
from sleap_lab.checkpoints.exported import complete
from sleap_lab.errors import RunError
from sleap_lab.files.onnx_file import OnnxArrays
from sleap_lab.networks.swint import relative_positions

EXPORTS = Path(__file__).parent / "data" / "exports"
CHECKPOINTS = EXPORTS / "checkpoints"


@pytest.fixture
def exported(tmp_path):
    """A copy of an exported model."""
    return Path(shutil.copytree(EXPORTS / "bottomup", tmp_path / "bottomup"))


@pytest.mark.parametrize(
    ("name", "kinds"), [("bottomup", ["bottomup"]), ("topdown", ["centered_instance", "centroid"])]
)
def test_an_exported_model_has_the_weights_of_its_checkpoint(name, kinds):
    configs = read_training_configs(EXPORTS / name)
    assert [config.kind for config in configs] == kinds
    for config in configs:
        expected = load_network(read_training_config(CHECKPOINTS / config.kind)).state_dict()
        found = load_network(config).state_dict()
        assert found.keys() == expected.keys()
        for weight, value in expected.items():
            assert torch.equal(found[weight], value), weight


def test_an_exported_pair_predicts_as_its_checkpoints(write_h5):
    frames = np.random.default_rng(3).integers(0, 255, (2, 96, 96, 1), dtype=np.uint8)
    options = {"data_path": write_h5(frames), "peak_threshold": [-9.0, -9.0], "max_instances": 2}
    expected, found = (
        run_inference(model_paths=paths, **options)
        for paths in (
            [CHECKPOINTS / "centroid", CHECKPOINTS / "centered_instance"],
            EXPORTS / "topdown" / "model.onnx",
        )
    )
    assert sum(len(frame) for frame in expected) == 4
    for frame, other in zip(expected, found, strict=True):
        for a, b in zip(frame, other, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_checkpoint_beside_it_comes_first(exported):
    shutil.copy(CHECKPOINTS / "bottomup" / "best.ckpt", exported)
    assert read_training_config(exported).exported == ""


def test_the_scale_is_the_exporters(exported):
    file = exported / "export_metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"input_scale": 0.5}))
    assert read_training_config(exported).scale == 0.5
    file.unlink()
    assert read_training_config(exported).scale == 1
    file.write_text("{")
    with pytest.raises(RunError, match=r"export_metadata\.json: not a readable JSON file"):
        read_training_config(exported)


def test_without_a_config_nobody_knows_what_the_outputs_mean(exported):
    (exported / "training_config.yaml").unlink()
    with pytest.raises(RunError, match=r"without training_config\.yaml"):
        read_training_configs(exported)


def test_a_broken_file_is_named(exported):
    (exported / "model.onnx").write_bytes(b"\xff" * 9)
    with pytest.raises(RunError, match=r"model\.onnx: not a readable model: it is no ONNX file"):
        load_network(read_training_config(exported))


def test_weights_of_another_size_are_refused(exported):
    file = exported / "training_config.yaml"
    file.write_text(file.read_text().replace("filters: 2", "filters: 4"))
    with pytest.raises(RunError, match="has shape"):
        load_network(read_training_config(exported))


def read(arrays, uses):
    return OnnxArrays({name: np.float32(value) for name, value in arrays.items()}, uses)


def filled(arrays, uses, **expected):
    names = {name.replace("__", "."): value for name, value in expected.items()}
    return complete(read(arrays, uses), names, Path("model.onnx"))


def test_matrices_that_were_turned_are_found_by_their_user_and_shape():
    arrays = {"x": [[1, 2, 3]], "y": [[4]], "z": [[5, 6, 7]]}
    uses = [("block", "x"), ("block", "y"), ("other", "z")]
    state = filled(arrays, uses, block__qkv__weight=torch.empty(3, 1))
    assert state["block.qkv.weight"].tolist() == [[1], [2], [3]]


def test_of_weight_and_bias_the_weight_comes_first():
    uses = [("norm", "x"), ("norm", "y")]
    shapes = {"norm__weight": torch.empty(2), "norm__bias": torch.empty(2)}
    state = filled({"x": [1, 2], "y": [3, 4]}, uses, **shapes)
    assert {name: value.tolist() for name, value in state.items()} == {
        "norm.weight": [1, 2],
        "norm.bias": [3, 4],
    }


def test_what_could_be_either_of_two_is_refused():
    uses = [("block", "x"), ("block", "y")]
    with pytest.raises(RunError, match=r"it is not known which of its arrays is block\.a\.weight"):
        filled({"x": [[1, 2]], "y": [[3, 4]]}, uses, block__a__weight=torch.empty(2, 1))


def test_a_table_of_positions_is_unfolded():
    index = relative_positions(2)
    table = torch.arange(18, dtype=torch.float32).reshape(9, 2)
    folded = table[index].T.reshape(1, 2, 4, 4).numpy()
    state = filled(
        {"x": folded},
        [("attn", "x")],
        attn__relative_position_bias_table=torch.empty(9, 2),
        attn__relative_position_index=index,
    )
    assert torch.equal(state["attn.relative_position_bias_table"], table)
    assert torch.equal(state["attn.relative_position_index"], index)
