"""Logging a run folder: what arrives in MLflow, and what happens when it cannot."""

import json
from dataclasses import replace

import pytest
import yaml

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import (
    LOGGED_STAGES,
    MAX_METRICS,
    log_files,
    log_run,
    logged_metrics,
    mirror_run,
    parameters,
    read_logger,
)
from sleap_lab.runs.store import open_store
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import LoggerConfig, keys
from sleap_lab.settings.metrics import METRICS, NOT_LOGGED


@pytest.fixture
def log(root, logger, store, make_run):
    """Return a function that logs a new run folder and returns what MLflow has of it."""

    def log(name="run", **fields):
        folder = make_run(root / name, logger, **fields)
        return store.client.get_run(log_run(folder, logger, outputs_root=root))

    return log


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("finished", "FINISHED"),
        ("partial", "FINISHED"),
        ("failed", "FAILED"),
        ("interrupted", "KILLED"),
    ],
)
def test_the_status_and_the_times_are_those_of_the_run(log, status, expected):
    run = log(status=status, exit_code=7, error="model.paths: nothing there")
    assert run.info.status == expected
    assert run.info.end_time - run.info.start_time == 60_000
    assert run.data.tags.items() >= {"sleap_lab.status": status, "sleap_lab.exit_code": "7"}.items()
    assert run.data.tags["mlflow.note.content"] == "model.paths: nothing there"


def test_everything_that_matters_is_logged(log, root, store):
    run = log(
        metrics={
            "eval/oks_map": 0.75,
            "eval/undefined": float("nan"),
            "eval/far": float("inf"),
            "eval/dist_p99": 9.0,
        },
        cache={"predict": "hit"},
    )
    assert run.info.run_name == "flow, 10 (tracker, tracking_window_size)"
    assert run.data.metrics == {
        "best_by/eval/oks_map": 0.75,
        "eval/oks_map": 0.75,
        "counts/frames": 10,
        "speed/network_seconds": 1.5,
        "speed/total_seconds": 1.5,
    }
    assert run.data.params == {
        "tracker": "flow",
        "tracker.tracking_window_size": "10",
        "data.path": "/videos/a.mp4",
        "data.frames": "null",
        "model.paths": '["/models/unet"]',
        "logger.mlflow": "true",
        "logger.tracking_uri": "null",
        "logger.experiment_name": "flies",
        "logger.run_name": "null",
        "logger.system_metrics": "false",
        "logger.tags.lab": "west",
    }
    assert run.data.tags["choice.tracker"] == "flow"
    assert run.data.tags["sleap_lab.cache.predict"] == "hit"
    assert run.data.tags["lab"] == "west"
    assert run.data.tags["sleap_lab.command"] == "sleap-lab 'a b'"
    assert len(run.data.tags["sleap_lab.config_hash"]) == 64
    assert not {"choice.hydra/launcher", "sleap_lab.sweep", "mlflow.parentRunId"} & set(
        run.data.tags
    )
    places = {
        item.path
        for folder in ("", "snapshot", ".hydra")
        for item in store.client.list_artifacts(run.info.run_id, folder or None)
    }
    assert places >= {
        "predictions.slp",
        "run.json",
        "snapshot/config.yaml",
        "snapshot/hashes.json",
        ".hydra/overrides.yaml",
    }
    assert "scratch.tmp" not in places
    assert (
        summary.read(root / "run").mlflow.items()
        >= {"run_id": run.info.run_id, "tracking_uri": store.uri}.items()
    )


def test_links_to_files_elsewhere_are_not_logged(log, root, make_run, logger, store, tmp_path):
    (tmp_path / "secret").write_text("of nobody's concern")
    folder = make_run(root / "linked", logger)
    (folder / "figures").mkdir()
    (folder / "figures" / "a.png").symlink_to(tmp_path / "secret")
    (folder / "report.html").symlink_to(folder / "predictions.slp")  # within the folder
    run_id = log_run(folder, logger, outputs_root=root)
    places = {item.path for item in store.client.list_artifacts(run_id)}
    assert "report.html" in places
    assert "figures" not in places


def test_the_code_is_named_by_commit(log, root, make_run, logger, store):
    folder = make_run(root / "coded", logger)
    (folder / "snapshot" / "git.json").write_text(
        json.dumps({"commit": "c0ffee", "branch": "main", "dirty": True})
    )
    tags = store.client.get_run(log_run(folder, logger, outputs_root=root)).data.tags
    assert (
        tags.items()
        >= {
            "mlflow.source.git.commit": "c0ffee",
            "sleap_lab.git_dirty": "true",
            "sleap_lab.git_branch": "main",
        }.items()
    )


def test_a_run_that_failed_before_its_snapshot_is_logged(root, logger, store):
    folder = root / "early"
    folder.mkdir()
    summary.write(folder, RunSummary(status="failed", error="no such file"))
    run = store.client.get_run(log_run(folder, logger, outputs_root=root))
    assert (run.info.status, run.data.params) == ("FAILED", {})


def test_logging_twice_is_logging_once(root, logger, store, make_run):
    folder = make_run(root / "run", logger)
    first = log_run(folder, logger, outputs_root=root)
    written = (folder / "run.json").stat().st_mtime_ns
    assert log_run(folder, logger, outputs_root=root) == first
    assert (folder / "run.json").stat().st_mtime_ns == written
    assert len(store.client.search_runs([store.experiment_id])) == 1


def test_a_run_logged_elsewhere_is_logged_here_too(root, logger, store, make_run):
    folder = make_run(
        root / "run", logger, mlflow={"run_id": "0" * 32, "tracking_uri": "http://elsewhere"}
    )
    assert (
        log_run(folder, logger, outputs_root=root)
        == summary.read(folder).mlflow["run_id"]
        != "0" * 32
    )


def test_a_run_id_in_the_environment_changes_nothing(root, logger, store, make_run, monkeypatch):
    parent = store.client.create_run(store.experiment_id).info.run_id
    folders = [make_run(root / name, logger) for name in ("0", "1")]
    monkeypatch.setenv("MLFLOW_RUN_ID", parent)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "other")
    opened = open_store(logger, root)
    children = [
        store.client.get_run(mirror_run(opened, folder, summary.settle(folder), logger, parent))
        for folder in folders
    ]
    assert len({parent} | {child.info.run_id for child in children}) == 3
    assert [child.data.tags["mlflow.parentRunId"] for child in children] == [parent] * 2
    assert store.client.get_run(parent).data.metrics == {}


def test_a_run_that_still_runs_is_not_logged(root, logger, make_run):
    folder = make_run(root / "run", logger, status="running", ended=None)
    with pytest.raises(RunError, match=r"cannot be logged yet: process \d+ .* is still running it"):
        log_run(folder, logger, outputs_root=root)


def test_a_server_that_is_away_loses_nothing(root, logger, make_run):
    folder = make_run(root / "my run", logger)
    away = replace(logger, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(RunError) as error:
        log_run(folder, away, outputs_root=root)
    message = str(error.value)
    assert "no MLflow server answers at http://127.0.0.1:9" in message
    assert (
        f"the run is complete in {folder}, `sleap-lab sync '{folder}'` uploads it later" in message
    )
    assert "\n" not in message
    assert summary.read(folder).mlflow is None


def test_a_store_that_breaks_midway_leaves_a_run_that_can_be_completed(
    root, logger, store, make_run, monkeypatch
):
    def fail(*_):
        raise OSError("disk full\nat sector 7")

    folder = make_run(root / "run", logger)
    with monkeypatch.context() as broken:
        broken.setattr(type(store.client), "log_artifact", fail)
        with pytest.raises(RunError, match="MLflow: disk full; the run is complete in"):
            log_run(folder, logger, outputs_root=root)
    run_id = summary.read(folder).mlflow["run_id"]
    assert store.client.get_run(run_id).info.status == "FAILED"
    assert log_run(folder, logger, outputs_root=root) == run_id
    assert store.client.get_run(run_id).info.status == "FINISHED"


def test_metrics_are_the_headlines_and_at_most_sixty():
    stages = dict.fromkeys(
        ("open", "snapshot", "cache", *LOGGED_STAGES, "filter", "report", "overlay"), 0.5
    )
    counts = dict.fromkeys(
        (
            "requested_frames",
            "frames",
            "frames_without_instances",
            "instances",
            "tracks",
            "bad_frames",
        ),
        1,
    )
    poses = {metric.name: 1.0 for metric in METRICS if not metric.name.startswith("eval/centroid")}
    everything = RunSummary(
        metrics=poses | {"speed/frames_per_second": 1.0}, counts=counts, stages=stages
    )
    logged = logged_metrics(everything, {})
    assert {f"counts/{name}" for name in counts} | {
        "speed/evaluate_seconds",
        "speed/frames_per_second",
        "coco/ap",
    } <= set(logged)
    assert logged["speed/total_seconds"] == len(stages) * 0.5
    assert not NOT_LOGGED & set(logged)
    assert len(logged) < MAX_METRICS == 60  # nothing had to be cut off
    many = RunSummary(metrics={f"eval/{i}": 1.0 for i in range(70)}, counts=counts)
    assert list(logged_metrics(many, {"best_by/eval/1": 1.0})) == [
        "best_by/eval/1",
        *(f"eval/{i}" for i in range(59)),
    ]


def test_every_setting_and_every_choice_is_a_parameter():
    settings = {name: i for i, name in enumerate(keys())}
    nested = {}
    for name, value in settings.items():
        group, _, last = name.rpartition(".")
        (nested.setdefault(group, {}) if group else nested)[last] = value
    choices = {"tracker": "mine", "lab": "munich", "experiment": "demo", "hydra/launcher": "basic"}
    params = parameters(RunSummary(overrides=["tracker=mine"], choices=choices), nested)
    assert params == {name: str(i) for name, i in zip(keys(), range(len(keys())), strict=True)} | {
        "tracker": "mine",
        "lab": "munich",
        "experiment": "demo",
    }


def test_runs_that_differ_by_an_option_file_of_the_user_can_be_told_apart(
    log, root, make_run, logger, store
):
    found = []
    for value in (0.25, 0.5):
        folder = make_run(
            root / str(value), logger, overrides=["filters=mine"], choices={"filters": "mine"}
        )
        config = yaml.safe_load((folder / "snapshot" / "config.yaml").read_text()) | {
            "filters": {"rarely_used": value}
        }
        (folder / "snapshot" / "config.yaml").write_text(yaml.safe_dump(config))
        found.append(store.client.get_run(log_run(folder, logger, outputs_root=root)).data.params)
    assert {name for name in found[0] if found[0][name] != found[1][name]} == {
        "filters.rarely_used"
    }


def test_parameters_show_the_resolved_value_or_what_was_typed():
    run = RunSummary(overrides=["+experiment=demo", "model.peak_threshold=${x}"])
    assert parameters(run, {"model": {"peak_threshold": [0.5, 0.25]}}) == {
        "experiment": "demo",
        "model.peak_threshold": "[0.5, 0.25]",
    }


def test_the_logger_of_a_run_is_in_its_snapshot(root, logger, make_run):
    assert read_logger(make_run(root / "run", logger)) == logger
    assert read_logger(root) == LoggerConfig()


def test_names_may_be_chosen_and_long_ones_are_shortened(log, root, logger, make_run, store):
    name = log(overrides=[f"model.paths=[{'x' * 200}]"]).info.run_name
    assert (len(name), name[-1]) == (120, "…")
    assert log("2026", overrides=[]).info.run_name == f"{root.name} 2026"
    folder = make_run(root / "named", logger)
    run_id = log_run(folder, replace(logger, run_name="mine"), outputs_root=root)
    assert open_store(logger, root).client.get_run(run_id).info.run_name == "mine"


def test_files_that_are_made_later_are_added_to_the_run(root, logger, store, make_run):
    folder = make_run(root / "run", logger)
    (folder / "review.html").write_text("page")
    assert not log_files(folder, ["review.html"], outputs_root=root)  # nothing is logged yet
    run_id = log_run(folder, logger, outputs_root=root)
    (folder / "later.csv").write_text("rank")
    assert log_files(folder, ["later.csv"], outputs_root=root)
    names = {item.path for item in store.client.list_artifacts(run_id)}
    assert {"review.html", "later.csv"} <= names
    store.client.delete_run(run_id)
    assert not log_files(folder, ["later.csv"], outputs_root=root)


def test_files_cannot_be_added_where_the_store_is_gone(root, logger, store, make_run):
    folder = make_run(root / "run", logger)
    log_run(folder, logger, outputs_root=root)
    run = summary.read(folder)
    run.mlflow["tracking_uri"] = "http://127.0.0.1:9"
    summary.write(folder, run)
    with pytest.raises(RunError, match=r"127\.0\.0\.1:9"):
        log_files(folder, ["run.json"], outputs_root=root)
