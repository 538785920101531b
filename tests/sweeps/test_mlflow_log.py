"""A sweep in MLflow: its run, with those of its jobs under it."""

import json
import shutil
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.summary import SWEEP_FILE
from sleap_lab.sweeps.mlflow_log import log_sweep, mirror_job, open_parent, titles_of
from sleap_lab.sweeps.results import begin_sweep, finish_sweep, read_jobs

FLOW, KALMAN, BROKEN, NOT_RUN = (
    {"overrides": ["data.path=a.mp4", f"tracker={name}"], **values}
    for name, values in {
        "flow": {"metrics": {"eval/oks_map": 0.5}},
        "kalman": {"metrics": {"eval/oks_map": 0.75}},
        "x|y[z]": {"metrics": {}, "status": "failed", "error": "out of memory"},
        "none": {"status": None},
    }.items()
)


def in_order(children):
    """Return the runs of jobs by number."""
    return sorted(children, key=lambda child: int(child.data.tags["sleap_lab.job"]))


def children_of(store, parent):
    return store.client.search_runs(
        [store.experiment_id], f"tags.`mlflow.parentRunId` = '{parent}'"
    )


def test_the_parent_holds_its_children_and_the_best_of_them(
    sweep, make_jobs, root, logger, store, monkeypatch
):
    make_jobs(FLOW, KALMAN, BROKEN, NOT_RUN, logger=logger)
    jobs = read_jobs(sweep)
    parent = open_parent(logger, sweep, root, jobs)
    assert store.client.get_run(parent.run_id).info.status == "RUNNING"
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, parent.run_id)
    for job in jobs[:2]:  # the third died while its sweep did
        mirror_job(parent, job, titles_of(jobs), logger, None)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)

    children = children_of(store, parent.run_id)
    assert {child.info.run_name: child.info.status for child in children} == {
        "0: flow (tracker)": "FINISHED",
        "1: kalman (tracker)": "FINISHED",
        "2: x|y[z] (tracker)": "FAILED",
    }
    assert {child.data.tags["sleap_lab.sweep"] for child in children} == {"2026-01-02/03-04-05"}
    assert {child.data.tags["lab"] for child in children} == {"west"}

    run = store.client.get_run(parent.run_id)
    assert run.info.status == "FAILED"
    assert (
        run.data.metrics.items()
        >= {
            "best_by/eval/oks_map": 0.75,
            "eval/oks_map": 0.75,
            "counts/jobs": 4,
            "counts/jobs_finished": 2,
            "counts/jobs_failed": 1,
        }.items()
    )
    assert (
        run.data.tags.items()
        >= {"sleap_lab.best_by": "eval/oks_map", "sleap_lab.best_job": "1"}.items()
    )
    assert run.data.tags["sleap_lab.best_command"] == "sleap-lab data.path=a.mp4 tracker=kalman"
    assert run.data.tags["varied.tracker"] == "flow, kalman, x|y[z], none"
    assert run.info.run_name == "sweep of tracker"
    assert run.data.params.items() >= {"data.path": "/videos/a.mp4"}.items()
    said = run.data.tags["mlflow.note.content"]
    assert said.startswith("**Best: job 1 by eval/oks\\_map**")
    assert "`sleap-lab data.path=a.mp4 tracker=kalman`\n" in said
    best, worse = (said.index(child.info.run_id) for child in in_order(children)[1::-1])
    assert best < worse  # the best job is the first row
    assert f"runs/{parent.run_id}/artifacts/results.html" in said
    assert {item.path for item in store.client.list_artifacts(parent.run_id)} == {
        *(
            "results.csv",
            "results.md",
            "results.html",
            "results.json",
            "figures",
            "best.yaml",
            "command.txt",
            "sweep.json",
            "ledger.jsonl",
        )
    }


def test_names_tell_what_varied_even_where_a_name_was_chosen(sweep, make_jobs, root, logger, store):
    named = replace(logger, run_name="mice")
    overrides = [["a.size=1", "b.size=1", "c=0"], ["a.size=1", "b.size=2", "c=0"], ["a.size=2"]]
    make_jobs(*({"overrides": each} for each in overrides), logger=named)
    finish_sweep(sweep)
    log_sweep(sweep, named, root)
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    assert store.client.get_run(parent).info.run_name == "mice"
    names = sorted(child.info.run_name for child in children_of(store, parent))
    assert names == [
        "mice 0: 1, 1, 0 (a.size, b.size, c)",
        "mice 1: 1, 2, 0 (a.size, b.size, c)",
        "mice 2: 2 (size)",
    ]


def test_jobs_that_do_not_differ_are_named_by_number(sweep, make_jobs, root, logger, store):
    make_jobs(FLOW, FLOW, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    assert sorted(child.info.run_name for child in children_of(store, parent)) == ["job 0", "job 1"]


def give_model(folder):
    """Let the snapshot of a job name the weights of a model."""
    models = [{"path": "/models/unet/best.ckpt", "sha256": "ab" * 32, "size": 1}]
    hashes = folder / "snapshot" / "hashes.json"
    hashes.write_text(json.dumps({"inputs": {}, "models": models}))


def test_jobs_with_the_same_model_look_it_up_once(
    sweep, make_jobs, root, logger, store, monkeypatch
):
    searched = []
    search = MlflowClient.search_logged_models

    def counting(*args, **kwargs):
        searched.append(args)
        return search(*args, **kwargs)

    monkeypatch.setattr(MlflowClient, "search_logged_models", counting)
    make_jobs(FLOW, KALMAN, FLOW, logger=logger)
    for number in range(3):
        give_model(sweep / str(number))
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    assert len(searched) == 1  # MLflow reads all metrics of a model that it finds
    (model,) = search(store.client, [store.experiment_id])
    parent = summary.read(sweep, SWEEP_FILE).mlflow["run_id"]
    for child in children_of(store, parent):
        (used,) = store.client.get_run(child.info.run_id).inputs.model_inputs
        assert used.model_id == model.model_id
    assert len({metric.run_id for metric in model.metrics}) == 1 + 3  # of the sweep, too


def test_a_job_that_ends_after_its_sweep_was_logged_counts(
    sweep, make_jobs, make_run, root, logger, store
):
    make_jobs(FLOW, NOT_RUN, logger=logger)
    give_model(sweep / "0")
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    late = {"job": 1, "ended": "2999-01-01T00:00:00+00:00", "metrics": {"eval/oks_map": 0.75}}
    give_model(make_run(sweep / "1", logger, **late))
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    found = summary.read(sweep, SWEEP_FILE)
    metrics = store.client.get_run(found.mlflow["run_id"]).data.metrics
    assert found.ended == late["ended"]
    assert metrics["counts/jobs_finished"] == 2
    assert metrics["counts/jobs_not_run"] == 0


def test_logging_twice_changes_nothing(sweep, make_jobs, root, logger, store):
    make_jobs(FLOW, KALMAN, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    before = summary.read(sweep, SWEEP_FILE)
    log_sweep(sweep, logger, root)
    assert summary.read(sweep, SWEEP_FILE) == before
    assert len(store.client.search_runs([store.experiment_id])) == 1 + 2


@pytest.mark.parametrize("at_once", [True, False])
def test_a_job_whose_folder_was_removed_is_not_there_twice(
    sweep, make_jobs, make_run, root, logger, store, at_once
):
    make_jobs(FLOW, KALMAN, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    before = summary.read(sweep / "1").mlflow["run_id"]
    shutil.rmtree(sweep / "1")

    begin_sweep(sweep, ["sleap-lab", "-m"])
    parent = open_parent(logger, sweep, root, read_jobs(sweep))
    again = {"metrics": {"eval/pck": 0.5}, "ended": "2026-01-02T03:06:00+00:00"}
    make_run(sweep / "1", logger, job=1, **KALMAN | again)
    if at_once:
        jobs = read_jobs(sweep)
        mirror_job(parent, jobs[1], titles_of(jobs), logger, None)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    assert summary.read(sweep / "1").mlflow["run_id"] == before
    assert len(children_of(store, parent.run_id)) == 2
    assert store.client.get_run(before).data.metrics["eval/pck"] == 0.5


def test_a_sweep_that_goes_on_keeps_its_runs(sweep, make_jobs, root, logger, store):
    first = make_jobs(FLOW, BROKEN, logger=logger)
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    parent, child = summary.read(sweep, SWEEP_FILE).mlflow, summary.read(sweep / "1").mlflow
    assert store.client.get_run(parent["run_id"]).info.status == "FAILED"

    again = begin_sweep(sweep, ["sleap-lab", "-m"])
    assert (again.started, again.mlflow, again.ended) == (first.started, parent, None)
    assert open_parent(logger, sweep, root, []).run_id == parent["run_id"]
    assert store.client.get_run(parent["run_id"]).info.status == "RUNNING"
    now = {
        "status": "finished",
        "error": None,
        "ended": "2026-01-02T03:06:00+00:00",
        "metrics": {"eval/oks_map": 1.0},
    }
    summary.write(sweep / "1", replace(summary.read(sweep / "1"), **now))
    finish_sweep(sweep)
    log_sweep(sweep, logger, root)
    assert len(store.client.search_runs([store.experiment_id])) == 1 + 2
    assert store.client.get_run(child["run_id"]).info.status == "FINISHED"
    run = store.client.get_run(parent["run_id"])
    assert (
        run.info.status,
        run.data.metrics["counts/jobs_failed"],
        run.data.metrics["eval/oks_map"],
    ) == ("FINISHED", 0, 1.0)


def test_a_server_that_is_away_at_both_ends_costs_only_the_mirror(
    sweep, make_jobs, root, logger, store
):
    away = replace(logger, tracking_uri="http://127.0.0.1:9")
    make_jobs(FLOW, KALMAN, logger=away)
    with pytest.raises(RunError, match="sleap-lab sync"):
        open_parent(away, sweep, root, [])
    finish_sweep(sweep)
    with pytest.raises(RunError, match="sleap-lab sync"):
        log_sweep(sweep, away, root)
    assert (sweep / "results.csv").is_file()
    # The server is back for the second job.
    orphan = log_run(sweep / "0", logger, outputs_root=root)
    assert "mlflow.parentRunId" not in store.client.get_run(orphan).data.tags

    log_sweep(sweep, logger, root)
    children = children_of(store, summary.read(sweep, SWEEP_FILE).mlflow["run_id"])
    assert orphan in {child.info.run_id for child in children}
    assert len(children) == 2
