"""What goes with a run, and what stays for others."""

import json

import pytest

from sleap_lab.errors import RunError
from sleap_lab.runs import summary
from sleap_lab.runs.listing import open_one
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.removal import plan_removal, remove

KEYS = [name * 64 for name in "abc"]


@pytest.fixture
def cached(root, logger, make_run):
    """Two runs that share an entry of the cache, each with one of its own."""
    (root / "cache").mkdir()
    for key in KEYS:
        for suffix in ("json", "npz", "lock"):
            (root / "cache" / f"{key}.{suffix}").write_bytes(b"x" * 10)
    entries = {"first": [KEYS[0], KEYS[1]], "second": [KEYS[1], KEYS[2]]}
    for name, keys in entries.items():
        make_run(root / "day" / name, logger, cache={"predict": "miss"}, cache_entries=keys)
    return root


def planned(root, *names):
    return plan_removal([open_one(str(root / name)) for name in names], outputs_root=root)


def left(root):
    return sorted({path.stem[0] for path in (root / "cache").iterdir()})


def test_only_entries_that_no_other_run_needs_go(cached):
    removal = planned(cached, "day/first")
    assert {path.stem for path in removal.entries} == {KEYS[0]}
    assert remove(removal) == []
    assert left(cached) == ["b", "c"]
    assert not (cached / "day" / "first").exists()
    assert remove(planned(cached, "day/second")) == []
    assert left(cached) == []
    assert not (cached / "day").exists()


def test_runs_that_are_removed_together_do_not_need_each_other(cached):
    assert {path.stem for path in planned(cached, "day/first", "day/second").entries} == {*KEYS}


def test_entries_stay_where_a_run_does_not_say_what_it_needs(cached, make_run, logger):
    make_run(cached / "day" / "old", logger, cache={"predict": "hit"})
    removal = planned(cached, "day/first")
    assert removal.entries == ()
    assert "old does not say which entries of the cache it needs" in removal.kept


def test_the_cache_of_others_is_left_alone(cached):
    path = cached / "day" / "first" / "snapshot" / "config.yaml"
    path.write_text(path.read_text() + "cache_dir: /shared/cache\n")
    assert planned(cached, "day/first").entries == ()


def test_the_copy_in_mlflow_goes_with_its_artifacts(cached, logger, store):
    folder = cached / "day" / "first"
    (folder / "report.html").write_text("x")
    run_id = log_run(folder, logger, outputs_root=cached)
    artifacts = list((cached / "mlartifacts").rglob("report.html"))
    assert artifacts
    removal = planned(cached, "day/first")
    assert [found for _, found in removal.mlflow] == [run_id]
    assert remove(removal) == []
    assert store.client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert not any(path.exists() for path in artifacts)


def test_a_sweep_goes_with_its_jobs(cached, make_sweep, logger, store):
    swept = make_sweep(cached / "multirun" / "c", {"cache_entries": [KEYS[2]]}, {})
    record = json.loads((swept / "0" / "run.json").read_text())
    (swept / "sweep.json").write_text(json.dumps(record))
    ids = [log_run(swept / str(number), logger, outputs_root=cached) for number in range(2)]
    removal = planned(cached, "multirun/c")
    assert {found for _, found in removal.mlflow} == {*ids}
    assert removal.entries == ()  # the second run needs it
    assert remove(removal) == []
    assert not swept.exists()


def test_a_run_stays_where_its_copy_cannot_be_removed(cached):
    folder = cached / "day" / "first"
    run = summary.read(folder)
    run.mlflow = {"run_id": "0" * 32, "tracking_uri": "http://127.0.0.1:9"}
    summary.write(folder, run)
    problems = remove(planned(cached, "day/first"))
    assert len(problems) == 2
    assert "no MLflow server answers" in problems[0]
    assert folder.is_dir()


def test_a_run_that_goes_on_is_refused(cached):
    folder = cached / "day" / "first"
    run = summary.read(folder)
    run.status = "running"
    summary.write(folder, run)
    with summary.lock(folder), pytest.raises(RunError, match="is still running"):
        planned(cached, "day/first")
