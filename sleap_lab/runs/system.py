"""The load of the machine during a run, as MLflow's page of system metrics shows it.

A thread measures, and writes `system.csv`: a row per time and metric.
"""

import csv
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from threading import Event, Thread
from time import monotonic

from sleap_lab.errors import RunError
from sleap_lab.runs.lineage import Series

SYSTEM_FILE = "system.csv"
COLUMNS = ("seconds", "metric", "value")
SECONDS_BETWEEN = 5.0
MB = 10**6
QUERY = [
    "nvidia-smi",
    "--query-gpu=index,utilization.gpu,memory.used",
    "--format=csv,noheader,nounits",
]


@contextmanager
def system_recorded(folder: Path, *, wanted: bool) -> Iterator[None]:
    """Measure while the block runs, if that is wanted.

    Args:
        folder: The run folder.
        wanted: Whether to measure.

    Raises:
        RunError: psutil is not installed.
    """
    if not wanted:
        yield
        return
    try:
        import psutil  # noqa: F401
    except ImportError as error:
        raise RunError(
            "logger.system_metrics needs psutil: pip install 'sleap-lab[system]'"
        ) from error
    over = Event()
    thread = Thread(target=_measure, args=(folder / SYSTEM_FILE, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _measure(path: Path, over: Event) -> None:
    start = monotonic()
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        while True:
            last = over.wait(SECONDS_BETWEEN)
            seconds = round(monotonic() - start, 1)
            writer.writerows([seconds, name, value] for name, value in load().items())
            file.flush()
            if last:
                return


def load() -> dict[str, float]:
    """Return the load of the machine and of this process, in the names that MLflow uses.

    Percent since the last call, and MB.
    """
    import psutil

    memory = psutil.virtual_memory()
    found = {
        "system/cpu_utilization_percentage": float(psutil.cpu_percent()),
        "system/system_memory_usage_megabytes": round(memory.used / MB, 1),
        "system/system_memory_usage_percentage": float(memory.percent),
        "system/process_memory_usage_megabytes": round(psutil.Process().memory_info().rss / MB, 1),
    }
    for index, used, megabytes in _gpus():
        found[f"system/gpu_{index}_utilization_percentage"] = used
        found[f"system/gpu_{index}_memory_usage_megabytes"] = megabytes
    return found


def _gpus() -> Iterator[tuple[int, float, float]]:
    if which(QUERY[0]) is None:
        return
    listed = subprocess.run(QUERY, capture_output=True, text=True, check=False)
    for line in listed.stdout.splitlines() if listed.returncode == 0 else ():
        index, used, megabytes = line.split(",")
        yield int(index), float(used), float(megabytes)


def system_over_time(folder: Path) -> Series:
    """Return the load during a run; a step is a second."""
    path = folder / SYSTEM_FILE
    if not path.is_file():
        return {}
    found: Series = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["value"] is not None:  # a row that a killed run was writing
                step = round(float(row["seconds"]))
                found.setdefault(row["metric"], []).append((step, float(row["value"])))
    return found
