"""Let every write, rename and new file of a run fail, or end the process, and check the rest.

    python -m scripts.writes [--ways once full kill] [--every 1] [--first 0]

A call fails once, fails from then on, or ends the process. A library that is loaded before all
others (`fail.c`, for Linux; needs a C compiler) makes the calls fail, so the command itself is
tested. Each run must end with one clear line and damage no file; the same command must then end as
an undisturbed one. The commands run in forks of a process that has imported what they need.
"""

import argparse
import ctypes
import errno
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from importlib import import_module, resources
from pathlib import Path
from typing import Any

from scripts.left_behind import differences, mlflow_problems, results, run_folders, unreadable
from sleap_lab.runs.store import create_database, import_mlflow

DEMO = Path(str(resources.files("sleap_lab.demo")))
WORDS = [
    *("experiment=demo", "data.frames=0-5", "output.path=poses.slp"),
    *("runtime.device=cpu", "runtime.num_threads=1", "runtime.batch_size=2"),
]
WAYS = ("once", "full", "kill")  # in the order of fail.c
PRELOADED = (
    "sleap_lab.experiment",
    "sleap_lab.pipelines.pipeline",
    "sleap_lab.tracking",
    "sleap_lab.report.page",
    "sleap_lab.sweeps.sync",
)
STORE = "mlflow.db"
SECONDS_AT_MOST = 120
LIBRARY = "SLEAP_LAB_FAIL_LIBRARY"


def build(folder: Path) -> Path:
    """Compile the library that makes calls fail."""
    library = folder / "fail.so"
    subprocess.run(
        [
            "cc",
            "-shared",
            "-fPIC",
            "-O1",
            "-o",
            library,
            Path(__file__).with_name("fail.c"),
            "-ldl",
        ],
        check=True,
    )
    return library


def run(
    folder: Path, words: list[str], *, at: int = -1, way: str = "once"
) -> tuple[int, list[str], list[str]]:
    """Run the command in a fork.

    Args:
        folder: Where it is typed.
        words: The command line.
        at: Number of the call that fails; none by default.
        way: How it fails.

    Returns:
        The exit code, negative for a signal; the counted calls; and the printed lines.
    """
    calls, printed = folder.with_suffix(".calls"), folder.with_suffix(".txt")
    with open(calls, "w") as counted, open(printed, "w") as terminal:
        child = os.fork()
        if child == 0:
            os.dup2(terminal.fileno(), 1)
            os.dup2(terminal.fileno(), 2)
            os.chdir(folder)
            library = ctypes.CDLL(os.environ[LIBRARY])
            library.fail_at(
                str(folder).encode(),
                ctypes.c_long(at),
                WAYS.index(way),
                _reason(at, way),
                counted.fileno(),
            )
            _end_with(words)
        status = _wait(child)
    return (
        os.waitstatus_to_exitcode(status),
        calls.read_text().splitlines(),
        printed.read_text().splitlines(),
    )


def _reason(at: int, way: str) -> int:
    """Return the error number of a call that fails."""
    return errno.EIO if way == "once" and at % 2 else errno.ENOSPC


def _end_with(words: list[str]) -> None:
    """Run the command in this process, and end it."""
    from sleap_lab import cli
    from sleap_lab.inference import chunks

    chunks.CHUNK_SECONDS = -1.0  # a part after each batch
    code: Any = 70
    try:
        cli.main(words)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdout.flush()
        os._exit(code)


def _wait(child: int) -> int:
    """Wait for a process; one that hangs is ended."""
    end = time.monotonic() + SECONDS_AT_MOST
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.005)
    os.kill(child, signal.SIGABRT)
    return os.waitpid(child, 0)[1]


def said_badly(code: int, lines: list[str], way: str) -> list[str]:
    """Return what is wrong with how a run ended, and with what it said about that."""
    problems = [
        line
        for line in lines
        if any(sign in line for sign in ("Traceback", "not foreseen", "Logging error"))
    ]
    if code not in (0, -signal.SIGKILL if way == "kill" else 1):
        problems.append(f"exit code {code}")
    errors = sum(line.startswith("error: ") for line in lines)
    if (errors > 1 and way == "once") or (
        not errors and code == 1
    ):  # on a full disk run.json is another file to name
        problems.append(f"{errors} errors")
    return problems


def compared(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Return which results of the latest run in a folder are not as expected."""
    try:
        return differences(results(run_folders(folder)[-1], folder / "poses.slp"), expected)
    except Exception as error:  # whatever a damaged file leads to
        return [f"{type(error).__name__}: {error}"]


def attempt(chosen: tuple[Path, str, int, str, dict[str, Any]]) -> tuple[str, list[str]]:
    """Let one call fail; returns what happened, and what is wrong with it."""
    scratch, report, at, way, expected = chosen
    words = [*WORDS, f"report={report}"]
    folder = scratch / f"{report}-{way}-{at}"
    _begin(folder)
    code, calls, lines = run(folder, words, at=at, way=way)
    problems = said_badly(code, lines, way)
    told = [line for line in lines if line.startswith(("error: ", "warning: "))]
    if code == 0:
        problems += compared(folder, expected)
    problems += unreadable(folder)
    again, _, more = run(folder, words)
    if again:
        problems.append(f"then exit code {again}: {' | '.join(more)}")
    else:
        problems += [f"then {text}" for text in compared(folder, expected)]
    synced, _, more = run(folder, ["sync"])
    problems += (
        [f"sync: exit code {synced}: {' | '.join(more)}"] if synced else mlflow_problems(folder)
    )
    problems += [f"then {text}" for text in unreadable(folder)]
    shutil.rmtree(folder)
    call = calls[at] if at < len(calls) else f"{at} is not reached"
    return f"{way} {call}: exit code {code}, {' | '.join(told) or 'nothing said'}", problems


def try_all(scratch: Path, options: argparse.Namespace) -> int:
    """Try the chosen calls; returns how many went wrong."""
    for name in PRELOADED:
        import_module(name)
    import_mlflow()
    create_database(scratch / STORE, (scratch / "mlartifacts").as_uri())
    chosen = []
    expected = {}
    for report in ("none", "html"):
        folder = scratch / report
        _begin(folder)
        code, calls, lines = run(folder, [*WORDS, f"report={report}"])
        assert code == 0, "\n".join(lines)
        expected[report] = results(run_folders(folder)[-1], folder / "poses.slp")
        chosen += [
            (report, at) for at, call in enumerate(calls) if report == "none" or "report" in call
        ]
    print(f"{len(chosen)} calls", flush=True)
    chosen = chosen[options.first :: options.every]
    wrong = 0
    attempts = [
        (scratch, report, at, way, expected[report])
        for way in options.ways
        for report, at in chosen
    ]
    with multiprocessing.get_context("fork").Pool() as pool:
        for what, problems in pool.imap(attempt, attempts):
            print(f"{what}; {'; '.join(problems) or 'good'}", flush=True)
            wrong += bool(problems)
    print(f"{len(attempts) - wrong} of {len(attempts)} are as they should be")
    return wrong


def _begin(folder: Path) -> None:
    """Make a folder with an MLflow store, as making one takes thousands of MLflow's own calls."""
    (folder / "outputs").mkdir(parents=True)
    shutil.copy(folder.parent / STORE, folder / "outputs" / "mlflow.db")


def main() -> None:
    """Build the library, begin again with it, and try."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=WAYS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # MLflow's own mappings use deprecated options of SQLAlchemy
    with tempfile.TemporaryDirectory() as scratch:
        if LIBRARY not in os.environ:
            library = str(build(Path(scratch)))
            sys.exit(
                subprocess.run(
                    sys.orig_argv,
                    env={**os.environ, "LD_PRELOAD": library, LIBRARY: library},
                ).returncode
            )
        del os.environ["LD_PRELOAD"]
        sys.exit(1 if try_all(Path(scratch).resolve(), options) else 0)


if __name__ == "__main__":
    main()
