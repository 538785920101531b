import shutil

import numpy as np
import pytest

from sleap_lab.cli import main
from sleap_lab.cli.info import rows
from sleap_lab.errors import ConfigError


@pytest.fixture
def single(make_model):
    return make_model("single_instance", {"confmaps": [[1, 0], [1, 0]]})


def test_a_folder_and_a_file_in_it_are_the_same_model(single):
    expected = rows(single)
    assert rows(single / "best.ckpt") == expected
    found = dict(expected)
    assert found["model"] == str(single)
    assert found["kind"].startswith("single_instance: ")
    assert found["backbone"].endswith("parameters")
    assert found["receptive field"] == "about 2 px wide"  # each map pixel is the brightest of 2 x 2
    assert "frames of any size, scale 1, " in found["input"]
    assert found["needs"] == "nothing else"
    assert "training" not in found
    assert "metrics" not in found


def test_what_training_leaves_is_shown(single):
    log = "epoch,train/loss,val/loss\n0,,0.5\n1,0.3,0.25\n2,0.2,0.375\n"
    (single / "training_log.csv").write_text(log)
    metrics = {"mOKS": {"mOKS": 0.75}, "distance_metrics": {"avg": 1.5, "p90": 4}}
    np.savez(single / "metrics.val.0.npz", metrics=np.array(metrics, dtype=object))
    found = dict(rows(single))
    assert found["training"] == "best validation loss 0.25 in epoch 1 (training_log.csv)"
    assert found["metrics"] == "mOKS 0.75, mean distance px 1.5, p90 px 4 (metrics.val.0.npz)"


@pytest.mark.parametrize("log", ["", "epoch,val/loss\n", "a,b\n1,2\n", "epoch,val/loss\n1,x\n"])
def test_a_log_without_losses_says_nothing(single, log):
    (single / "training_log.csv").write_text(log)
    assert "training" not in dict(rows(single))


def test_metrics_that_cannot_be_read_safely_are_named(single):
    (single / "metrics.val.0.npz").write_bytes(b"no archive")
    assert "metrics.val.0.npz: not a metrics file" in dict(rows(single))["metrics"]


def test_a_model_of_crops_needs_something_to_cut_around(make_model):
    folder = make_model("centered_instance", {"confmaps": [[1, 0], [1, 0]]})
    found = dict(rows(folder))
    assert "a centroid model" in found["needs"]


def info(*words):
    with pytest.raises(SystemExit) as ended:
        main(["info", *map(str, words)])
    return ended.value.code


def test_the_command_shows_several_models(single, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(single, other)
    assert info(single, other) == 0
    out = capsys.readouterr().out
    assert out.count("receptive field") == 2
    assert "\n\nmodel " in out


def test_mistakes_are_one_line(tmp_path, capsys):
    assert info() == 2
    assert info(tmp_path) == 2
    assert "is not a model folder" in capsys.readouterr().err
    assert info("--jsn", tmp_path) == 2
    assert "--jsn: there is no such option" in capsys.readouterr().err


def test_a_missing_folder_is_named():
    with pytest.raises(ConfigError, match="no such model folder: nowhere"):
        rows("nowhere")
