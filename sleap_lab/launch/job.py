"""One job of a sweep, in a process of its own.

Whatever launcher starts a job, a child of the launcher's process does its work. So a job that
crashes or is killed does not affect others, and its parent records its fate. The children are
forked from a server that has imported what they need (on Linux; elsewhere each child imports it
anew), so a job starts within 0.1 s.
"""

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.errors.interruption import interruptible
from sleap_lab.launch.facts import Share, Sweep
from sleap_lab.launch.signals import cause, from_slurm, leave, listening, withheld
from sleap_lab.runs import summary
from sleap_lab.runs.folder import LOG_FILE, Invocation
from sleap_lab.runs.occupancy import clear_leftovers
from sleap_lab.runs.summary import RunSummary, Stamp, read_stamp
from sleap_lab.settings.application import register
from sleap_lab.settings.compose import chosen_options, to_config, typed_overrides
from sleap_lab.settings.config import Config
from sleap_lab.settings.copies import given
from sleap_lab.sweeps import ledger

SLOTS = ".slots"
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_STOP = 10.0
SECONDS_OF_SLURM = 25.0  # it waits 30 s by default
ENDED_BY = {
    signal.SIGKILL: "as by kill -9, or because memory ran out",
    signal.SIGSEGV: "a crash in compiled code; the log shows where",
    signal.SIGABRT: "a crash in compiled code; the log shows where",
    signal.SIGBUS: "a crash in compiled code; the log shows where",
}


THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


def supervise(node: DictConfig, *, sweep: Sweep) -> None:
    """Run a job in a child process and record its fate; Hydra's launchers call this task.

    Args:
        node: The composed config of the job.
        sweep: Its sweep.
    """
    if os.getpid() != sweep.pid and not from_slurm():
        _end_with(sweep.pid, sweep.host)
    register()  # a launcher may run this in a fresh process
    os.chdir(sweep.cwd)
    run = None
    with listening() as asked, _slot(sweep) as slot:
        if slot is not None:
            run = _supervise(node, sweep, slot, asked)
    if sweep.fail_fast and run is not None and run.status == "failed":
        ledger.stop(sweep.folder, ledger.FAILED)
    leave(run, asked)


def _supervise(
    node: DictConfig, sweep: Sweep, slot: int, asked: Sequence[signal.Signals]
) -> RunSummary:
    """Run a job in a child process, and return how it went.

    Args:
        node: The composed config of the job.
        sweep: Its sweep.
        slot: Its place among the jobs of this machine.
        asked: Gets the signals that ask the job to end.
    """
    settings = HydraConfig.get()
    folder = Path(settings.runtime.output_dir)
    name = str(settings.sweep.subdir)
    invocation = Invocation(
        sweep.command,
        typed_overrides(settings),
        chosen_options(settings),
        sweep.jobs[name],
        piece=sweep.pieces.get(name),
        pieces=sweep.predictions.get(name),
    )
    known = sweep.known[name]
    try:
        with interruptible(), given(sweep.copies):
            config = to_config(node)
    except ConfigError as error:  # a file was removed after the command was checked
        if (done := _done(folder, known)) is not None:
            return done
        run = _new_summary(
            invocation,
            status="failed",
            exit_code=error.exit_code,
            ended=summary.now(),
            error=str(error),
        )
        summary.write(folder, run)
        return run
    environment = _environment(sweep.share, slot, config)
    process = job_context(config, invocation).Process(
        target=_work, args=(config, folder, invocation, environment, known)
    )
    earlier = read_stamp(folder)
    summary.announce_stop(folder, None)
    with withheld():
        process.start()
    stopped = _wait(process, folder, sweep.folder, asked)
    return _record(folder, process, invocation, earlier, known, stopped=stopped)


def _environment(share: Share, slot: int, config: Config) -> dict[str, str]:
    """Return the environment of a job.

    Threads are also set in this process, because libraries are loaded before the job is forked.
    """
    limit_threads(share.threads)
    environment = dict(os.environ)
    if share.gpus and config.runtime.device in ("auto", "cuda"):
        environment["CUDA_VISIBLE_DEVICES"] = share.gpus[slot % len(share.gpus)]
    return environment


def limit_threads(threads: int | None = None) -> None:
    """Set how many threads the libraries of later processes use; by default what Slurm grants."""
    chosen = threads or os.environ.get("SLURM_CPUS_PER_TASK")
    for name in THREADS if chosen else ():
        os.environ.setdefault(name, str(chosen))


@cache
def _end_with(pid: int, host: str) -> None:
    """End this process when the process that runs the sweep ends.

    Jobs on other machines continue without it.
    """

    def watch() -> None:
        while summary.process_exists(host, pid):
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _slot(sweep: Sweep) -> Iterator[int | None]:
    """Wait for a place among the jobs that run at once on this machine.

    Yields:
        The place; None if the sweep stops before one is free.
    """
    held = None
    try:
        while ledger.stopped(sweep.folder) is None:
            if sweep.share.slots is None:
                yield 0
                return
            for number in range(sweep.share.slots):
                lock = FileLock(sweep.folder / SLOTS / f"{number}.lock")
                with suppress(Timeout):
                    held = lock.acquire(timeout=0)
                    yield number
                    return
            time.sleep(SECONDS_BETWEEN_LOOKS)
        yield None
    finally:
        if held is not None:
            held.lock.release()


def job_context(
    config: Config, invocation: Invocation | None = None
) -> ForkServerContext | SpawnContext:
    """Return the context that starts processes, with everything imported that a job needs.

    Args:
        config: Its config.
        invocation: How it is started; a job may predict a piece only, or join pieces.
    """
    method = "forkserver" if sys.platform == "linux" else "spawn"
    # joblib sets a start method of its own, which children do not know.
    multiprocessing.set_start_method(method, force=True)
    if method == "spawn":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(needed_modules(config, invocation))
    return context


def needed_modules(config: Config, invocation: Invocation | None = None) -> list[str]:
    """Return the modules that a job needs and that are slow to import."""
    joins = invocation is not None and invocation.pieces is not None
    only_predicts = invocation is not None and invocation.piece is not None
    wanted = {
        "sleap_lab.experiment": True,
        "sleap_lab.pipelines.pipeline": config.model.kind != "none" and not joins,
        "sleap_lab.tracking": config.tracker.tracking and not only_predicts,
        "sleap_lab.report": config.report == "html" and not only_predicts,
    }
    return [name for name, needed in wanted.items() if needed]


def _wait(
    process: BaseProcess, folder: Path, sweep_folder: Path, asked: Sequence[signal.Signals]
) -> str | None:
    """Wait for a process; stop it where its sweep is interrupted, or Slurm asks it to end.

    Returns:
        Why it was stopped; None if it was not.
    """
    stopped = None
    try:
        while stopped is None and not wait([process.sentinel], timeout=SECONDS_BETWEEN_LOOKS):
            if asked:
                stopped = cause(asked)
            elif ledger.stopped(sweep_folder) == ledger.INTERRUPTED:
                stopped = summary.BY_USER
    except BaseException:
        _stop(process, SECONDS_TO_STOP)
        raise
    if stopped is not None:
        summary.announce_stop(folder, stopped)
        _stop(process, SECONDS_OF_SLURM if asked else SECONDS_TO_STOP)
    process.join()
    return stopped


def _stop(process: BaseProcess, seconds: float) -> None:
    """End a process; it gets some time to store what it has, and to record how it ended."""
    if sys.platform == "win32":
        process.terminate()
    elif process.pid is not None and process.is_alive():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)  # a job of Slurm does not get SIGTERM
    process.join(seconds)
    process.kill()
    process.join()


def _record(
    folder: Path,
    process: BaseProcess,
    invocation: Invocation,
    earlier: Stamp | None,
    known: Stamp | None,
    *,
    stopped: str | None,
) -> RunSummary:
    """Return how a job went; a process that died without a record counts as failed.

    Args:
        folder: Its folder.
        process: The process that ran it, and has ended.
        invocation: How the job was started.
        earlier: The stamp of the run file before the job began.
        known: The stamp when the sweep began.
        stopped: Why the job was stopped, if it was.
    """
    if (done := _done(folder, known)) is not None:
        return done
    run = _new_summary(invocation)
    with suppress(RunError):
        found = summary.read(folder)
        if summary.stamp(found) != earlier:
            run = found
        else:  # it died before it began
            run.mlflow = found.mlflow
    if run.status == "running":
        run.status, run.ended = "interrupted" if stopped else "failed", summary.now()
        run.error = stopped or _cause(process.exitcode)
        summary.write(folder, run)
    return run


def _new_summary(invocation: Invocation, **fields: Any) -> RunSummary:
    return RunSummary(
        overrides=list(invocation.overrides),
        choices=invocation.choices or {},
        job=invocation.job,
        **fields,
    )


def _cause(exitcode: int | None) -> str:
    """Return the cause of a process's end."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = ENDED_BY.get(signal.Signals(-exitcode))
        return f"its process was ended by {name}" + (f" ({hint})" if hint else "")
    return f"its process ended with exit code {exitcode} before the run was over"


def _work(
    config: Config,
    folder: Path,
    invocation: Invocation,
    environment: Mapping[str, str],
    known: Stamp | None,
) -> None:
    """Run the job, in the child process."""
    os.environ.clear()
    os.environ.update(environment)
    # A run records the interrupt itself; before a run exists, the parent does.
    with suppress(KeyboardInterrupt):
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=end_with_parent, daemon=True).start()
        from sleap_lab.experiment import run

        # The lock may have to wait for a killed attempt to end.
        with interruptible(), summary.lock(folder), open(folder / LOG_FILE, "ab") as log:
            faulthandler.enable(log)
            if _done(folder, known) is None:
                run(config, folder, replace(invocation, mlflow=_clear(folder)))


def end_with_parent() -> None:
    """End this process when its parent does, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _done(folder: Path, known: Stamp | None) -> RunSummary | None:
    """Return how a job went if it was done since the sweep began, whoever did it.

    A process that outlived the last command may have, or an earlier start of the same job of Slurm.
    """
    try:
        run = summary.read(folder)
    except RunError:
        return None
    return None if ledger.has_to_run(run, "none") or summary.stamp(run) == known else run


def _clear(folder: Path) -> dict[str, str] | None:
    """Remove the files that an earlier attempt wrote, except its log.

    Returns:
        The MLflow run that mirrors the earlier attempt, if there is one.
    """
    try:
        earlier = summary.read(folder)
    except RunError:
        return None
    summary.write(
        folder, RunSummary(job=earlier.job, overrides=earlier.overrides, mlflow=earlier.mlflow)
    )
    clear_leftovers(folder)
    return earlier.mlflow
