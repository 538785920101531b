"""Let many runs end at once on an MLflow store that does not exist, and count what arrives in it.

    python -m scripts.cold_start [--processes 16] [--repeats 10]

Ends with 0 if every run is in the right experiment, finished, each time.
"""

import argparse
import multiprocessing
import sqlite3
import sys
import tempfile
import time
import warnings
from contextlib import closing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from sleap_lab.runs import summary
from sleap_lab.runs.mlflow_log import log_run
from sleap_lab.runs.store import import_mlflow
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import LoggerConfig

SECONDS_TO_MEET = 120  # a process that died must not let all others wait for it
COUNT = (
    "SELECT experiments.name, status, COUNT(*) FROM runs JOIN experiments USING (experiment_id) "
    "GROUP BY 1, 2"
)


def finish_a_run(outputs: Path, number: int, together: Barrier) -> None:
    """Do what the end of a run does, at the same moment as all others."""
    folder = outputs / "runs" / str(number)
    folder.mkdir(parents=True)
    summary.write(
        folder,
        RunSummary(
            status="finished", exit_code=0, ended=summary.now(), metrics={"eval/oks_map": 0.5}
        ),
    )
    together.wait()
    log_run(folder, LoggerConfig(mlflow=True, experiment_name="flies"), outputs_root=outputs)


def cold_start(outputs: Path, processes: int) -> list[tuple[str, str, int]]:
    """Start processes on a store that does not exist, and count the runs that arrive in it.

    Returns:
        For each experiment and status: both names and the number of runs.
    """
    # Sixteen times the imports would take longer than what is measured.
    context = multiprocessing.get_context("fork")
    together = context.Barrier(processes, timeout=SECONDS_TO_MEET)
    runs = [
        context.Process(target=finish_a_run, args=(outputs, number, together))
        for number in range(processes)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    with closing(sqlite3.connect(outputs / "mlflow.db")) as database:
        return database.execute(COUNT).fetchall()


def main() -> None:
    """Repeat, and report each time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # MLflow's own mappings use deprecated options of SQLAlchemy
    import_mlflow()
    good = 0
    for repeat in range(options.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            begun = time.monotonic()
            found = cold_start(Path(scratch), options.processes)
            good += found == [("flies", "FINISHED", options.processes)]
            print(f"repeat {repeat}: {found} in {time.monotonic() - begun:.1f} s", flush=True)
    print(f"{good} of {options.repeats} times all {options.processes} runs arrived")
    sys.exit(0 if good == options.repeats else 1)


if __name__ == "__main__":
    main()
