"""One run in a store: opened, filled, taken up again, and never left running."""

from dataclasses import replace

import pytest

from sleap_lab.errors import RunError
from sleap_lab.runs import mlflow_run, summary
from sleap_lab.runs.mlflow_run import MlflowRun, Opened, fill_run, is_complete, open_run
from sleap_lab.runs.summary import RunSummary

STARTED = "2026-01-02T03:04:05+00:00"
ENDED = "2026-01-02T03:04:06.250000+00:00"


@pytest.fixture
def record(tmp_path, store):
    """Return a function that opens an MLflow run for a folder."""

    def make(entry: MlflowRun, run: RunSummary | None = None) -> Opened:
        return open_run(store, tmp_path, "run.json", run or RunSummary(started=STARTED), entry)

    return make


def test_an_entry_is_written_whole(tmp_path, store, record):
    (tmp_path / "report.html").write_text("<p>")
    entry = MlflowRun(
        name="first",
        tags={"lab": "west", "none": None, "where@": "x"},
        params={"a.b": "1", "long": "x" * 6001},
        metrics={"eval/tail@base": 0.5},
        files={
            "report.html": tmp_path / "report.html",
            "snapshot/report.html": tmp_path / "report.html",
        },
        documents={"results.json": [1]},
    )
    opened = record(entry)
    run_id = opened.id
    fill_run(store, opened, entry, status="KILLED", ended=ENDED)
    run = store.client.get_run(run_id)
    assert (run.info.status, run.info.run_name, run.info.end_time - run.info.start_time) == (
        "KILLED",
        "first",
        1250,
    )
    assert run.data.metrics == {"eval/tail_x40_base": 0.5}
    assert run.data.params["a.b"] == "1"
    assert run.data.params["long"].startswith("6001 characters, sha256 ")
    assert (
        run.data.tags.items()
        >= {"lab": "west", "where_x40_": "x", "sleap_lab.complete": ENDED}.items()
    )
    assert "none" not in run.data.tags
    assert {item.path for item in store.client.list_artifacts(run_id)} == {
        "report.html",
        "snapshot",
        "results.json",
    }


def test_big_files_are_logged_by_reference(tmp_path, store, record, monkeypatch, capsys):
    monkeypatch.setattr(mlflow_run, "MAX_ARTIFACT_BYTES", 3)
    (tmp_path / "small").write_bytes(b"123")
    (tmp_path / "big").write_bytes(b"1234")
    entry = MlflowRun("big", {}, files={name: tmp_path / name for name in ("small", "big")})
    opened = record(entry)
    run_id = opened.id
    fill_run(store, opened, entry, status="FINISHED", ended=ENDED)
    assert {item.path for item in store.client.list_artifacts(run_id)} == {
        "small",
        "references.json",
    }
    assert store.client.get_run(run_id).data.tags["sleap_lab.left_out"] == "big (0 MB)"
    assert "larger than 0 MB and left out: big (0 MB)" in capsys.readouterr().err
    from mlflow.artifacts import load_dict

    artifacts = store.client.get_run(run_id).info.artifact_uri
    assert (
        load_dict(f"{artifacts}/references.json")["big"].items()
        >= {"path": str(tmp_path / "big"), "size": 4}.items()
    )


@pytest.mark.parametrize("step", ["log_dict", "set_tag"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_run_is_never_left_running(tmp_path, store, record, monkeypatch, error, step):
    def fail(*_):
        raise error

    entry = MlflowRun("x", {}, metrics={"eval/pck": 0.5}, documents={"a.json": 1})
    opened = record(entry)
    run_id = opened.id
    with monkeypatch.context() as broken:
        broken.setattr(type(store.client), step, fail)
        with pytest.raises(type(error)):
            fill_run(store, opened, entry, status="FINISHED", ended=ENDED)
    recorded = replace(summary.read(tmp_path), ended=ENDED)
    assert store.client.get_run(run_id).info.status == "FAILED"
    assert not is_complete(store, recorded)

    assert record(entry, recorded).id == run_id  # taken up again, not repeated
    fill_run(store, opened, entry, status="FINISHED", ended=ENDED)
    assert store.client.get_run(run_id).info.status == "FINISHED"
    assert len(store.client.get_metric_history(run_id, "eval/pck")) == 1
    assert is_complete(store, recorded)


def test_files_of_videos_with_odd_names_stay_apart(tmp_path, store, record):
    files = {name: tmp_path / name for name in ("predictions.a?1.csv", "predictions.a?2.csv")}
    for name, path in files.items():
        path.write_text(name)
    entry = MlflowRun("x", {}, files=files)
    opened = record(entry)
    run_id = opened.id
    fill_run(store, opened, entry, status="FINISHED", ended=ENDED)
    assert [item.path for item in store.client.list_artifacts(run_id)] == [
        "predictions.a_x3F_1.csv",
        "predictions.a_x3F_2.csv",
    ]


def test_more_than_a_hundred_parameters_are_logged_and_one_that_changed_is_said(
    tmp_path, store, record
):
    params = {f"group.key_{i}": str(i) for i in range(250)}
    opened = record(MlflowRun("x", {}, params))
    run_id = opened.id
    fill_run(store, opened, MlflowRun("x", {}, params), status="FINISHED", ended=ENDED)
    assert store.client.get_run(run_id).data.params == params
    again = params | {"group.key_7": "other"}  # as sweep.rerun, where a job runs again
    opened = record(MlflowRun("x", {}, again), summary.read(tmp_path))
    fill_run(store, opened, MlflowRun("x", {}, again), status="FINISHED", ended=ENDED)
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.params, run.data.tags["now.group.key_7"]) == (
        "FINISHED",
        params,
        "other",
    )


def test_values_are_sent_in_as_few_requests_as_mlflow_accepts(store, record, monkeypatch):
    sent = []
    client = type(store.client)
    log_batch = client.log_batch

    def log(self, run_id, metrics=(), params=(), tags=(), **others):
        sent.append((len(metrics), len(params), len(tags)))
        log_batch(self, run_id, metrics, params, tags, **others)

    monkeypatch.setattr(client, "log_batch", log)
    monkeypatch.setattr(client, "get_run", None)  # what was just created is not asked for
    entry = MlflowRun(
        "x",
        {"lab": "west"},  # goes with the run's creation
        {f"key_{i}": str(i) for i in range(150)},
        {"eval/pck": 0.5},
        series={"error": [(i, 0.5) for i in range(900)]},
    )
    fill_run(store, record(entry), entry, status="FINISHED", ended=ENDED)
    assert sent == [(800, 100, 0), (101, 50, 0)]


def test_a_run_that_was_tried_again_is_logged_again(store, record):
    first = RunSummary(started=STARTED, ended=ENDED)
    failed = MlflowRun(
        "x", {"mlflow.note.content": "out of memory", "lab": "west"}, metrics={"counts/frames": 3}
    )
    opened = record(failed, first)
    run_id = opened.id
    fill_run(store, opened, failed, status="FAILED", ended=ENDED)
    assert is_complete(store, first)
    again = replace(first, ended="2026-01-02T03:04:07+00:00")
    assert not is_complete(store, again)

    finished = MlflowRun(
        "x", {"mlflow.note.content": None, "lab": "west"}, metrics={"counts/frames": 7}
    )
    assert record(finished, again).id == run_id
    assert store.client.get_run(run_id).info.status == "RUNNING"
    fill_run(store, opened, finished, status="FINISHED", ended=again.ended)
    run = store.client.get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"counts/frames": 7})
    assert "mlflow.note.content" not in run.data.tags
    assert is_complete(store, again)


@pytest.mark.parametrize("created", [False, True])
def test_a_process_that_dies_while_it_creates_a_run_leaves_no_second_one(
    tmp_path, store, record, monkeypatch, created
):
    create = type(store.client).create_run

    def die(*arguments):
        if created:
            create(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(type(store.client), "create_run", die)
        with pytest.raises(KeyboardInterrupt):
            record(MlflowRun("x", {}))
    assert "run_id" not in summary.read(tmp_path).mlflow
    opened = record(MlflowRun("x", {}), summary.read(tmp_path))
    run_id = opened.id
    assert (
        summary.read(tmp_path).mlflow.items()
        >= {"run_id": run_id, "tracking_uri": store.uri}.items()
    )
    assert [run.info.run_id for run in store.client.search_runs([store.experiment_id])] == [run_id]


def test_a_server_that_goes_away_is_not_asked_again(store, record, monkeypatch):
    def fail(*_, **__):
        raise OSError("connection reset")

    def away(uri):
        raise RunError("away")

    opened = record(MlflowRun("x", {}))
    run_id = opened.id
    with monkeypatch.context() as broken:
        broken.setattr(type(store.client), "log_batch", fail)
        broken.setattr(mlflow_run, "probe", away)
        with pytest.raises(OSError, match="connection reset"):
            fill_run(store, opened, MlflowRun("x", {"lab": "west"}), status="FINISHED", ended=ENDED)
    assert (
        store.client.get_run(run_id).info.status == "RUNNING"
    )  # until someone finds its process gone


def test_what_the_store_does_not_have_is_not_complete(store):
    for recorded in (
        None,
        {"run_id": "0" * 32, "tracking_uri": store.uri},
        {"run_id": "0" * 32, "tracking_uri": "http://elsewhere"},
    ):
        assert not is_complete(store, RunSummary(mlflow=recorded))


def test_a_run_that_the_user_deleted_stays_deleted(tmp_path, store, record):
    store.client.delete_run(record(MlflowRun("x", {})).id)
    assert is_complete(store, summary.read(tmp_path))
