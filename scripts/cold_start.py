"""Start many runs at once on an MLflow store that does not exist, again and again, and count what arrives in it.

    python scripts/cold_start.py [--processes 16] [--repeats 10]

Ends with 0 if every run is in the right experiment, finished, each time.
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

# What the end of every run does, without the run: processes that have everything imported and then log at the same moment.
PROGRAM = """
import sys, time
from pathlib import Path
from sleap_lab.config import LoggerConfig
from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.store import import_mlflow
from sleap_lab.runs.summary import RunSummary
import_mlflow()
outputs, number = Path(sys.argv[1]), sys.argv[2]
folder = outputs / "runs" / number
folder.mkdir(parents=True)
summary.write(folder, RunSummary(status="finished", exit_code=0, ended=summary.now(), metrics={"eval/oks_map": 0.5}))
print("ready", flush=True)
sys.stdin.readline()
log_run(folder, LoggerConfig(mlflow=True, experiment_name="flies"), outputs_root=outputs)
"""
COUNT = "SELECT experiments.name, status, COUNT(*) FROM runs JOIN experiments USING (experiment_id) GROUP BY 1, 2"


def cold_start(outputs: Path, processes: int) -> tuple[list[tuple[str, str, int]], list[str]]:
    """Start processes on a store that does not exist; returns how many runs are in each experiment and status, and what was said."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(outputs)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    starters = [subprocess.Popen([*command, str(number)], **pipes) for number in range(processes)]  # type: ignore[call-overload]
    for starter in starters:
        starter.stdout.readline()
    for starter in starters:
        starter.stdin.write("\n")
        starter.stdin.flush()
    said = [starter.communicate()[1] for starter in starters]
    with closing(sqlite3.connect(outputs / "mlflow.db")) as database:
        return database.execute(COUNT).fetchall(), [text for text in said if text]


def main() -> None:
    """Repeat, and report each time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    expected = [("flies", "FINISHED", options.processes)]
    good = 0
    for repeat in range(options.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            begun = time.monotonic()
            found, said = cold_start(Path(scratch), options.processes)
            good += found == expected
            print(f"repeat {repeat}: {found} in {time.monotonic() - begun:.1f} s", *said, sep="\n", flush=True)
    print(f"{good} of {options.repeats} times all {options.processes} runs arrived")
    sys.exit(0 if good == options.repeats else 1)


if __name__ == "__main__":
    main()
