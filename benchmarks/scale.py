"""What a sweep of very many jobs costs the process that runs it; the work of the jobs is left out.

Everything around the jobs is real: composition and checks, ledger, locks, reports, results page and
the MLflow store. A child process stands in for the launcher and leaves what jobs leave: a run
folder with its record, its config and a file of predictions, a few milliseconds each.
"""

import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from benchmarks.timing import Row, publish, table
from sleap_lab.launch import multirun, passing
from sleap_lab.launch.launchers import launching
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.application import Configs
from sleap_lab.settings.config import Config
from sleap_lab.settings.jobs import check_jobs

PAGE = Path(__file__).parents[1] / "docs" / "clusters.md"
DEMO = Path(multirun.__file__).parents[1] / "demo"
WATCHED = ("open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "shutil.")
PREDICTIONS = 4096  # bytes of a job's predictions, about those of a few frames


def run(jobs: Sequence[int], *, mlflow: bool) -> None:
    """Run sweeps of these sizes, print what they cost, and write a CSV file.

    Args:
        jobs: Their numbers of jobs.
        mlflow: Whether jobs are logged to a store.
    """
    rows, lines = [], []
    for count in jobs:
        receiver, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
        process = multiprocessing.get_context("spawn").Process(
            target=_sweep, args=(count, mlflow, sender)
        )
        process.start()
        sender.close()
        found = receiver.recv()
        process.join()
        print(json.dumps(found, indent=1), file=sys.stderr)
        own = sum(found["seconds"].values())
        rows.append(Row(f"{count:,} jobs", "ours", 0, count, own, own, found["megabytes"]))
        per_job = {name: f"{1000 * s / count:.1f}" for name, s in found["seconds"].items()}
        lines.append(
            [
                f"{count:,}",
                *per_job.values(),
                f"{1000 * own / count:.1f}",
                f"{found['megabytes']:.0f}",
                f"{found['calls']:.0f}",
                *(f"{size / 1e6:.1f}" for size in found["bytes"].values()),
                *([f"{found['search']:.1f}"] if mlflow else []),
            ]
        )
    header = [
        *("jobs", "check, ms/job", "run, ms/job", "all, ms/job", "peak MB", "file calls/job"),
        *("ledger MB", "page MB", "csv MB"),
        *(("MLflow MB", "search s") if mlflow else ()),
    ]
    if mlflow:
        print(table(header, lines))
    else:
        publish("scale", table(header, lines), rows, page=PAGE)


def _sweep(jobs: int, mlflow: bool, sender: Any) -> None:
    """Run one sweep in a fresh process and folder, and send what it cost."""
    scratch = Path(tempfile.mkdtemp(prefix="sleap-lab-scale-"))
    try:
        with chdir(scratch):
            sender.send(_measured(jobs, mlflow))
    finally:
        shutil.rmtree(scratch)


def _measured(jobs: int, mlflow: bool) -> dict[str, Any]:
    shutil.copy(DEMO / "truth.slp", "labels.slp")
    words = [
        "data.path=labels.slp",
        "model=none",
        "tracker=fixed_window",
        f"logger={'mlflow' if mlflow else 'none'}",
        "report=none",
        f"tracker.tracking_window_size='range(1,{jobs + 1})'".replace("'", ""),
        "hydra.sweep.dir=swept",
    ]
    calls: Counter[str] = Counter()
    sys.addaudithook(lambda event, _: calls.update([event]) if event.startswith(WATCHED) else None)
    start = time.process_time()
    checked = check_jobs(words, multirun=True)
    composed = time.process_time()
    calls.clear()
    passing.launching = _standing_in(checked.jobs[0].config)
    multirun.refuse_hopeless = lambda *_, **__: None
    multirun.run_sweep(checked, words, ["sleap-lab", "-m", *words], Configs())
    done = time.process_time()
    swept = Path("swept")
    store = Path("outputs/mlflow.db")
    return {
        "seconds": {"check": composed - start, "run": done - composed},
        "megabytes": _peak_megabytes(),
        "calls": sum(calls.values()) / jobs,
        "bytes": {
            name: path.stat().st_size
            for name, path in {
                "ledger": swept / "ledger.jsonl",
                "page": swept / "results.html",
                "csv": swept / "results.csv",
                **({"mlflow": store} if mlflow else {}),
            }.items()
        },
        "search": _search_seconds(store) if mlflow else 0.0,
    }


def _peak_megabytes() -> float:
    """Return the most memory of this process; what `getrusage` says begins with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _search_seconds(store: Path) -> float:
    """Return how long MLflow takes to find the best thousand runs by a metric."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{store.absolute()}")
    start = time.perf_counter()
    client.search_runs(
        ["1"], "metrics.`eval/oks_map` > 0.5", order_by=["metrics.`eval/oks_map` DESC"]
    )
    return time.perf_counter() - start


def _standing_in(config: Config) -> Callable[..., Any]:
    """Return a stand-in for `launching`, whose jobs leave what jobs leave."""

    @contextmanager
    def stand_in(overrides: Sequence[str], configs: Configs) -> Iterator[Any]:
        with launching(overrides, configs) as (settings, _):

            def launch(jobs: Sequence[Sequence[str]], task: Any) -> None:
                process = multiprocessing.get_context("spawn").Process(
                    target=_leave,
                    args=([list(job) for job in jobs], task.keywords["sweep"], config),
                )
                process.start()
                process.join()

            yield settings, launch

    return stand_in


def _leave(jobs: Sequence[Sequence[str]], sweep: Any, config: Config) -> None:
    """Leave what the jobs of a sweep leave."""
    content = asdict(config)
    text = yaml.safe_dump(content, sort_keys=False)
    for number, words in enumerate(jobs):
        name = words[-1].partition("=")[2].strip("'")
        folder = sweep.folder / name
        (folder / "snapshot").mkdir(parents=True)
        (folder / "snapshot" / "config.yaml").write_text(text, encoding="utf-8")
        (folder / "predictions.slp").write_bytes(os.urandom(PREDICTIONS))
        record = RunSummary(job=sweep.jobs[name], overrides=list(words[:-1]))
        with summary.lock(folder):
            summary.write(folder, record)
            record.status, record.exit_code, record.ended = "finished", 0, summary.now()
            record.counts, record.stages = {"frames": 100, "instances": 300}, {"track": 0.5}
            record.metrics = {"eval/oks_map": 1 / (1 + number % 97), "identity/idf1": 0.5}
            summary.write(folder, record)
