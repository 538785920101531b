"""Change files and command lines at random until time is up.

    python tests/fuzz/fuzz.py --seconds 60

As many targets run at once as there are processors, each for that time. Each target runs in a
process of its own, with a limit of memory, because HDF5 and zlib handle broken files in C. A fault
is reported with the number of its attempt:
`--only TARGET --first NUMBER --attempts 1` does it again.
"""

import argparse
import importlib.util
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

HANG = 10
if hasattr(signal, "SIGALRM"):
    # Processor time, as a busy or sleeping machine makes everything slow; real time ends waits.
    TIMERS = (
        (signal.ITIMER_PROF, signal.SIGPROF, HANG),
        (signal.ITIMER_REAL, signal.SIGALRM, 10 * HANG),
    )
MEMORY = 8 * 10**9


def load_targets() -> ModuleType:
    """Return the module of the targets."""
    spec = importlib.util.spec_from_file_location("targets", Path(__file__).parent / "targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def attempt(name: str, number: int, folder: Path, targets: ModuleType) -> str | None:
    """Make one attempt; returns the fault, or None."""
    from sleap_lab.errors import SleapLabError

    def hang(*_: Any) -> None:
        raise TimeoutError(f"it takes more than {HANG} s")

    if hasattr(signal, "SIGALRM"):
        for timer, number_of_signal, limit in TIMERS:
            signal.signal(number_of_signal, hang)
            signal.setitimer(timer, limit)
    try:
        targets.TARGETS[name](Random(f"{name} {number}"), folder)
    except SleapLabError as error:
        if not str(error).strip():
            return "it does not say what is wrong"
    except BaseException:
        return traceback.format_exc()
    finally:
        if hasattr(signal, "SIGALRM"):
            for timer, *_ in TIMERS:
                signal.setitimer(timer, 0)
    return None


def work(name: str, first: int, most: int, seconds: float, reports: Any) -> None:
    """Make attempts until time is up, and report each before and after.

    The time begins when everything is imported.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    targets = load_targets()
    until = time.monotonic() + seconds
    for number in range(first, first + most):
        if time.monotonic() > until:
            break
        reports.send((number, "starts"))
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            reports.send((number, attempt(name, number, Path(folder), targets)))
    reports.close()


def fuzz(
    name: str, *, seconds: float, first: int = 0, most: int = sys.maxsize
) -> tuple[int, dict[int, str]]:
    """Fuzz one target; a process that ends is a fault, and the next goes on behind it.

    Returns:
        How many attempts were made, and what was wrong by number of attempt.
    """
    context = multiprocessing.get_context("spawn")
    faults: dict[int, str] = {}
    done = 0
    while seconds > 0 and most > 0:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(name, first, most, seconds, sender))
        process.start()
        sender.close()
        running, begin = None, 0.0
        try:
            while True:
                number, fault = receiver.recv()
                begin = begin or time.monotonic()
                if fault == "starts":
                    running, first, most = number, number + 1, most - 1
                    continue
                running, done = None, done + 1
                if fault is not None:
                    faults[number] = fault
        except EOFError:
            process.join()
        if running is None:
            break
        done, seconds = done + 1, seconds - (time.monotonic() - begin)
        faults[running] = f"the process ended with {process.exitcode}"
    return done, faults


def main() -> int:
    """Fuzz all targets or one, and show what is wrong."""
    names = list(load_targets().TARGETS)
    parser = argparse.ArgumentParser(
        description="Change files and command lines at random until time is up."
    )
    parser.add_argument("--seconds", type=float, default=60, help="Time of each target.")
    parser.add_argument("--only", choices=names, help="A single target.")
    parser.add_argument(
        "--first",
        type=int,
        default=int(time.time()) * 1000,
        help="Number of the first attempt, from which all follows.",
    )
    parser.add_argument(
        "--attempts", type=int, default=sys.maxsize, help="Largest number of attempts per target."
    )
    arguments = parser.parse_args()
    chosen = [arguments.only] if arguments.only else names
    total = wrong = 0
    one = partial(fuzz, seconds=arguments.seconds, first=arguments.first, most=arguments.attempts)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, (done, faults) in zip(chosen, pool.map(one, chosen), strict=True):
            kinds = Counter(fault.strip().splitlines()[-1][:100] for fault in faults.values())
            print(f"{name}: {done} attempts, {len(faults)} faults", flush=True)
            for kind, count in kinds.most_common(10):
                number = next(
                    number
                    for number, fault in faults.items()
                    if fault.strip().splitlines()[-1][:100] == kind
                )
                print(
                    f"  {count} x {kind}\n"
                    f"  --only {name} --first {number} --attempts 1\n{faults[number]}",
                    flush=True,
                )
            total, wrong = total + done, wrong + len(faults)
    print(f"{total} attempts, {wrong} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
