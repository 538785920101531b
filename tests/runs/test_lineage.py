"""Inputs and models of a run in MLflow, and how a run went over time."""

import hashlib
import json

import pytest
from mlflow.exceptions import MlflowException

from sleap_lab.runs.lineage import (
    Data,
    Lineage,
    Model,
    errors_over_time,
    log_inputs,
    read_lineage,
    speed_over_time,
)
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.summary import RunSummary

SHA = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("video", "truth", "a", "b")}
VIDEO = {"video": "/lab/mice.mp4", "frames": 380, "rate": 15.0}


@pytest.fixture
def run_folder(root, logger, make_run):
    """Return a function that makes a run folder with given models."""

    def make(name, *weights):
        folder = make_run(root / name, logger)
        snapshot = folder / "snapshot"
        facts = {"path": "/lab/mice.mp4", "sha256": SHA["video"], "size": 1}
        truth = {"path": "/lab/truth.slp", "sha256": SHA["truth"], "size": 1}
        config = {"path": "/models/centroid/training_config.yaml", "sha256": "0" * 64, "size": 1}
        hashes = {
            "inputs": {"data.path": facts, "evaluator.ground_truth_path": truth},
            "models": [
                {"path": f"/models/{model}/best.ckpt", "sha256": SHA[model], "size": 1}
                for model in weights
            ]
            + [config] * bool(weights),
        }
        (snapshot / "hashes.json").write_text(json.dumps(hashes))
        (snapshot / "videos.json").write_text(json.dumps([VIDEO]))
        return folder

    return make


def test_inputs_and_models_are_read_from_the_snapshot(run_folder):
    found = read_lineage(run_folder("run", "a", "b"), "topdown")
    assert list(found.data) == [
        Data("mice.mp4", SHA["video"][:32], "/lab/mice.mp4", "predicted", json.dumps(VIDEO)),
        Data("truth.slp", SHA["truth"][:32], "/lab/truth.slp", "ground truth"),
    ]
    digest = hashlib.sha256("".join(sorted([SHA["a"], SHA["b"]])).encode()).hexdigest()
    assert found.model == Model("a+b", digest, ("/models/a", "/models/b"), "topdown")
    assert found.tags() == {
        "sleap_lab.model": f"a+b {digest[:8]}",
        "sleap_lab.data": f"mice.mp4 {SHA['video'][:8]}",
    }


def test_the_order_of_the_models_does_not_matter_and_other_weights_do(run_folder):
    digests = [
        read_lineage(run_folder(str(number), *models), "auto").model.digest
        for number, models in enumerate([("a", "b"), ("b", "a"), ("a",)])
    ]
    assert digests[0] == digests[1] != digests[2]
    assert read_lineage(run_folder("none"), "none").model is None


def test_runs_share_the_datasets_and_models_they_have_in_common(run_folder, root, logger, store):
    runs = [
        log_run(run_folder(str(number), *models), logger, outputs_root=root)
        for number, models in enumerate([("a",), ("a",), ("b",)])
    ]
    inputs = [store.client.get_run(run).inputs for run in runs]
    for each in inputs:
        assert {
            (found.dataset.name, found.dataset.digest, found.tags[0].value)
            for found in each.dataset_inputs
        } == {
            ("mice.mp4", SHA["video"][:32], "predicted"),
            ("truth.slp", SHA["truth"][:32], "ground truth"),
        }
        assert json.loads(each.dataset_inputs[0].dataset.source)["uri"].startswith("/lab/")
    first, second, third = ([found.model_id for found in each.model_inputs] for each in inputs)
    assert first == second != third
    models = store.client.search_logged_models([store.experiment_id])
    assert {(model.name, str(model.status)) for model in models} == {("a", "READY"), ("b", "READY")}
    by_name = {model.name: model for model in models}
    assert {metric.key for metric in by_name["a"].metrics} >= {"eval/oks_map"}


def test_logging_again_adds_nothing(run_folder, root, logger, store):
    run_id = log_run(run_folder("run", "a"), logger, outputs_root=root)
    before = store.client.get_run(run_id).inputs
    log_inputs(store, run_id, read_lineage(root / "run", "auto"))
    after = store.client.get_run(run_id).inputs
    assert len(after.dataset_inputs) == len(before.dataset_inputs) == 2
    assert len(after.model_inputs) == len(before.model_inputs) == 1


@pytest.mark.parametrize(("code", "raised"), [("ENDPOINT_NOT_FOUND", False), ("OTHER", True)])
def test_a_server_that_knows_no_logged_models_gets_the_rest(store, monkeypatch, code, raised):
    def refuse(*_, **__):
        error = MlflowException("no")
        error.error_code = code
        raise error

    monkeypatch.setattr(store.client, "search_logged_models", refuse)
    run_id = store.client.create_run(store.experiment_id).info.run_id
    lineage = Lineage([Data("a", "1", "/a", "predicted")], Model("m", "2", ("/m",), "auto"))
    if raised:
        with pytest.raises(MlflowException):
            log_inputs(store, run_id, lineage)
        return
    assert log_inputs(store, run_id, lineage) is None
    assert len(store.client.get_run(run_id).inputs.dataset_inputs) == 1


def test_names_that_mlflow_refuses_are_changed(run_folder, root, logger, store):
    folder = run_folder("run", "a")
    path = folder / "snapshot" / "hashes.json"
    path.write_text(path.read_text().replace("/models/a/", "/models/my.model: 100%/"))
    log_run(folder, logger, outputs_root=root)
    (model,) = store.client.search_logged_models([store.experiment_id])
    assert model.name == "my_model_ 100_"
    assert model.tags["sleap_lab.folders"] == "/models/my.model: 100%"


def frames_file(folder, rows):
    names = ("video", "frame", "dist_sum", "n_distances", "n_missed", "n_matched")
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
    folder.mkdir()
    (folder / "metrics.frames.csv").write_text("\n".join(lines) + "\n")


def test_errors_over_time_are_sums_of_bins(tmp_path):
    rows = [("a", 10 * i, 2.0 * i, 2, i % 2, 1) for i in range(100)]  # 50 bins of two frames
    frames_file(tmp_path / "run", rows)
    found = errors_over_time(tmp_path / "run")
    assert found["time/dist_avg"][:2] == [(0, (0 + 2) / 4), (20, (4 + 6) / 4)]
    assert found["time/missed_share"] == [(20 * i, 1 / 3) for i in range(50)]


def test_steps_of_several_videos_are_places_among_the_labelled_frames(tmp_path):
    frames_file(tmp_path / "run", [("a", 7, 1.0, 1, 0, 1), ("b", 7, "", 0, 1, 0)])
    assert errors_over_time(tmp_path / "run") == {
        "time/dist_avg": [(0, 1.0)],  # no distance in the second
        "time/missed_share": [(0, 0.0), (1, 1.0)],
    }
    assert errors_over_time(tmp_path) == {}


def test_steps_are_logged_and_the_speed_is_one_of_them(run_folder, root, logger, store):
    folder = run_folder("run", "a")
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(record | {"rates": [[100, 20.5], [200, 30.0]]}))
    run_id = log_run(folder, logger, outputs_root=root)
    history = store.client.get_metric_history(run_id, "time/frames_per_second")
    assert [(each.step, each.value) for each in history] == [(100, 20.5), (200, 30.0)]
    assert speed_over_time(RunSummary()) == {"time/frames_per_second": []}
