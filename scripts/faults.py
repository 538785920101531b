"""Kill a sweep or one of its processes at random moments, and run the same command again.

The victim is the sweep, one of its jobs, or a process between them. The outcome must be the outcome
of an undisturbed sweep.

    python -m scripts.faults [--rounds 20] [--launcher basic] [--seed 0]

Ends with 0 if every round has the same results and poses, and one MLflow run per job under one
parent.
"""

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import sleap_io as sio

TRUTH = resources.files("sleap_lab.demo") / "truth.slp"
SWEEP = [
    *(
        f"data.path={TRUTH}",
        f"evaluator.ground_truth_path={TRUTH}",
        "model=none",
        "evaluator=identity",
        "report=none",
    ),
    *("tracker=fixed_window,local_queues", "tracker.tracking_window_size=1,3,5", "cache=off"),
]
SECONDS_AT_MOST = 300
SECONDS_TO_END = 20


def start(folder: Path, launcher: str) -> subprocess.Popen[bytes]:
    """Start the sweep in a folder."""
    words = [sys.executable, "-m", "sleap_lab", "-m", *SWEEP, f"hydra/launcher={launcher}"]
    folder.mkdir(parents=True, exist_ok=True)
    with open(printed_by(folder), "a") as printed:
        return subprocess.Popen(words, cwd=folder, stdout=printed, stderr=subprocess.STDOUT)


def printed_by(folder: Path) -> Path:
    """Return the file that holds what the sweeps in a folder printed."""
    return folder.with_suffix(".txt")


def running_jobs(folder: Path) -> list[int]:
    """Return the processes of the jobs that run."""
    found = []
    for file in folder.glob("outputs/multirun/*/*/*/run.json"):
        record = json.loads(file.read_text())
        if record["status"] == "running":
            found.append(record["pid"])
    return found


def kill_a_job(folder: Path, sweep: subprocess.Popen[bytes], moment: float, ancestor: int) -> str:
    """Kill a job at a moment or soon after it, or an ancestor of it such as a launcher's worker."""
    time.sleep(moment)
    while sweep.poll() is None:
        for job in running_jobs(folder):
            try:
                victim = job
                for _ in range(ancestor):
                    victim = parent_of(victim)
                os.kill(victim, signal.SIGKILL)
            except (ProcessLookupError, FileNotFoundError):
                continue
            victims = ("job", "parent of a job", "grandparent of a job")
            return f"{victims[ancestor]} killed after {moment:.1f} s"
        time.sleep(0.01)
    return f"no job ran after {moment:.1f} s"


def parent_of(pid: int) -> int:
    """Return the process that started a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def kill_the_sweep(sweep: subprocess.Popen[bytes], moment: float) -> str:
    """Kill the process that runs the sweep at a moment."""
    time.sleep(moment)
    sweep.kill()
    return f"sweep killed after {moment:.1f} s"


def outcome(folder: Path) -> dict[str, Any]:
    """Return everything that must not depend on interruptions.

    This is the results, poses and tracks of each job, and the runs in MLflow.
    """
    (sweep,) = folder.glob("outputs/multirun/*/*")
    rows = list(csv.DictReader((sweep / "results.csv").read_text().splitlines()))
    poses = {}
    for row in rows:
        labels = sio.load_slp(str(sweep / row["job"] / "predictions.slp"), open_videos=False)
        tracks = [
            [instance.track.name if instance.track else None for instance in frame]
            for frame in labels
        ]
        poses[row["job"]] = (np.nan_to_num(labels.numpy(), nan=-1).tobytes(), tracks)
    return {
        "rows": [{name: value for name, value in row.items() if name != "seconds"} for row in rows],
        "poses": poses,
        "mlflow": mlflow_runs(folder),
    }


def mlflow_runs(folder: Path) -> list[tuple[str, ...]]:
    """Return name, status and kind of every run in MLflow, and how many children the parent has."""
    from sleap_lab.runs.mlflow_run import PARENT_TAG
    from sleap_lab.runs.store import import_mlflow

    client = import_mlflow().MlflowClient(f"sqlite:///{folder}/outputs/mlflow.db")
    runs = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()]
    )
    (parent,) = [run for run in runs if PARENT_TAG not in run.data.tags]
    children = [run for run in runs if run.data.tags.get(PARENT_TAG) == parent.info.run_id]
    return sorted(
        [
            ("parent", parent.info.status),
            *((run.info.run_name, run.info.status) for run in children),
        ]
    )


def left_in(folder: Path) -> list[str]:
    """Return the command lines of the processes in a folder that do not end by themselves."""
    end = time.monotonic() + SECONDS_TO_END
    while (found := processes_in(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def main() -> None:
    """Run all rounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--launcher", default="basic", choices=("basic", "joblib", "submitit_local")
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        begun = time.monotonic()
        code = start(Path(scratch) / "undisturbed", options.launcher).wait(SECONDS_AT_MOST)
        assert code == 0, printed_by(Path(scratch) / "undisturbed").read_text()
        seconds = time.monotonic() - begun
        expected = outcome(Path(scratch) / "undisturbed")
        print(f"undisturbed: {len(expected['rows'])} jobs in {seconds:.1f} s")
        for number in range(options.rounds):
            folder = Path(scratch) / str(number)
            sweep = start(folder, options.launcher)
            moment = chance.uniform(0, seconds)
            what = (
                kill_the_sweep(sweep, moment)
                if number % 2
                else kill_a_job(folder, sweep, moment, number // 2 % 3)
            )
            sweep.wait(SECONDS_AT_MOST)
            code = start(folder, options.launcher).wait(SECONDS_AT_MOST)
            problems = [f"exit code {code}"] if code else []
            if not problems:
                found = outcome(folder)
                problems = [f"{name} differ" for name in expected if found[name] != expected[name]]
            problems += [f"still running: {command}" for command in left_in(folder)]
            then = "; ".join(problems) or "the same"
            print(f"round {number}: {what}, ended with {sweep.returncode}; then {then}", flush=True)
            if problems:
                failures += 1
                print(printed_by(folder).read_text(), flush=True)
    print(f"{options.rounds - failures} of {options.rounds} rounds came out the same")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
