"""Kill runs at random moments with `kill -9`, and type the same command until it completes.

The results must be those of an undisturbed run.

    python -m scripts.kills [--rounds 100] [--seed 0]

The command predicts with a top-down pair of models, tracks, evaluates, reports and logs to MLflow.
Every third resumed run is killed as well, and every tenth round begins without an MLflow store.
Ends with 0 if every round has the results of the undisturbed one, and no file was unreadable at any
time.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from scripts.left_behind import differences, mlflow_problems, results, run_folders, unreadable
from sleap_lab.runs.store import create_database, import_mlflow
from sleap_lab.sweeps.sync import sync

CHUNK_SECONDS = 0.1  # so that a run of seconds is stored in chunks, as a run of hours is
RUN = (
    "import sys; from sleap_lab import cli; from sleap_lab.inference import chunks; "
    f"chunks.CHUNK_SECONDS = {CHUNK_SECONDS}; cli.main(sys.argv[1:])"
)
WORDS = (
    "experiment=demo",
    "data.frames=0-99",
    "output.path=poses.slp",
    "runtime.device=cpu",
    "runtime.num_threads=1",
    "runtime.batch_size=2",
)
STORE = "mlflow.db"
SECONDS_AT_MOST = 600
SECONDS_BETWEEN_LOOKS = 0.002

in_turn = Lock()
"""Held by who syncs: MLflow keeps one connection per process."""


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the command in a folder."""
    with open(folder.with_suffix(".txt"), "a") as printed:
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *WORDS],
            cwd=folder,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )


def begin(folder: Path, *, store: bool) -> None:
    """Make the folder of a round with an MLflow store, as making a store takes longest."""
    (folder / "outputs").mkdir(parents=True)
    if store:
        shutil.copy(folder.parent / STORE, folder / "outputs" / STORE)


def kill(folder: Path, share: float, seconds: float) -> str:
    """Start the command and kill it at a moment.

    Args:
        folder: Where it is typed.
        share: When, as a share of the time it takes once its run folder is there.
        seconds: That time.
    """
    before = len(run_folders(folder))
    process = start(folder)
    while process.poll() is None and len(run_folders(folder)) == before:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        process.wait(share * seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return f"killed after {share * seconds:.2f} s in stage {stage(folder)}"
    return f"ended by itself with exit code {process.returncode} before {share * seconds:.2f} s"


def stage(folder: Path) -> str:
    """Return the last stage that the latest run finished."""
    lines = (run_folders(folder)[-1] / "run.log").read_text().splitlines()
    ended = [
        line.split()[3].rstrip(":")
        for line in lines
        if line.endswith(" s") and line.split()[2] == "INFO"
    ]
    return f"after {ended[-1]}" if ended else "before open"


def play(
    number: int, *, scratch: Path, seed: int, seconds: float, expected: dict[str, Any]
) -> tuple[str, list[str]]:
    """Play a round; returns what happened, and what is wrong."""
    chance = random.Random(f"{seed} {number}")
    folder = scratch / str(number)
    begin(folder, store=number % 10 != 9)
    happened = [kill(folder, chance.uniform(0, 1), seconds)]
    problems = unreadable(folder)
    if number % 3 == 2:
        happened.append(kill(folder, chance.uniform(0, 1), seconds))
        problems += unreadable(folder)
    code = start(folder).wait(SECONDS_AT_MOST)
    text = folder.with_suffix(".txt").read_text()
    if code:
        problems.append(f"exit code {code}: {text}")
    else:
        problems += differences(results(run_folders(folder)[-1], folder / "poses.slp"), expected)
        happened.append(next(line for line in text.splitlines()[::-1] if line.startswith("cache ")))
    with in_turn:
        became = sync([], outputs_root=folder / "outputs")
        problems += [
            f"{run}: {fate}"
            for run, fate in became.items()
            if fate not in ("logged", "already logged")
        ]
        problems += mlflow_problems(folder)
    problems += unreadable(folder)
    if not problems:
        shutil.rmtree(folder)
    return ", ".join(happened), problems


def main() -> None:
    """Play all rounds, as many at once as there are processors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # MLflow's own mappings use deprecated options of SQLAlchemy
    import_mlflow()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name).resolve()
        create_database(scratch / STORE, (scratch / "mlartifacts").as_uri())
        whole = scratch / "undisturbed"
        begin(whole, store=True)
        process = start(whole)
        while not run_folders(whole):
            assert process.poll() is None, whole.with_suffix(".txt").read_text()
            time.sleep(SECONDS_BETWEEN_LOOKS)
        begun = time.monotonic()
        assert process.wait(SECONDS_AT_MOST) == 0, whole.with_suffix(".txt").read_text()
        seconds = time.monotonic() - begun
        (run,) = run_folders(whole)
        expected = results(run, whole / "poses.slp")
        print(f"undisturbed: {seconds:.1f} s from its run folder to its end", flush=True)
        one = partial(play, scratch=scratch, seed=options.seed, seconds=seconds, expected=expected)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for number, (happened, problems) in enumerate(pool.map(one, range(options.rounds))):
                failures += bool(problems)
                print(
                    f"round {number}: {happened}; {'; '.join(problems) or 'the same'}", flush=True
                )
    print(
        f"{options.rounds - failures} of {options.rounds} rounds came out the same, "
        "with every file readable"
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
