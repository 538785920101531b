"""Hydra's launchers: passing jobs to them, and the share of the machine that each job gets."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from shutil import which
from threading import Event

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from sleap_lab.launch.facts import Share
from sleap_lab.launch.queue import fit_time_limits, handing_in, is_slurm
from sleap_lab.settings.application import OURS, Configs, hydra_application
from sleap_lab.settings.overrides import fixed, launcher_kind

Launch = Callable[[Sequence[Sequence[str]], Callable[[DictConfig], None]], None]

GPUS = "SLEAP_LAB_GPUS"


@contextmanager
def launching(
    overrides: Sequence[str], configs: Configs = OURS
) -> Iterator[tuple[DictConfig, Launch]]:
    """Provide the function that passes the jobs of a sweep to the chosen launcher.

    Args:
        overrides: As on the command line; several values of a key are left out.
        configs: The configs that they apply to.

    Yields:
        The composed settings, whose `hydra.launcher` may still be changed, and a function that runs
        a task once per job. The function takes the overrides of each job and the task, and returns
        when the launcher is done with all jobs, whether they succeeded or not.
    """
    with hydra_application(configs) as hydra:
        settings = hydra.compose_config(configs.name, fixed(overrides), run_mode=RunMode.MULTIRUN)
        callbacks = Callbacks(settings)
        callbacks.on_multirun_start(config=settings, config_name=configs.name)

        def launch(jobs: Sequence[Sequence[str]], task: Callable[[DictConfig], None]) -> None:
            context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
            launcher = Plugins.instance().instantiate_launcher(context, task, settings)
            most = settings.hydra.sweeper.max_batch_size or len(jobs)
            for first in range(0, len(jobs), most):
                launcher.launch(jobs[first : first + most], initial_job_idx=first)

        yield settings, launch
        callbacks.on_multirun_end(config=settings, config_name=configs.name)


def waiting_for_all(
    launcher: DictConfig, folder: Path, names: Sequence[str], all_ended: Event
) -> AbstractContextManager[None]:
    """Return the block in which a launcher waits for every job, also where one is killed.

    Args:
        launcher: Settings of the launcher.
        folder: The sweep folder.
        names: The names of the jobs' folders in it, in their order.
        all_ended: Set once all jobs have ended by their own records.
    """
    if is_slurm(launcher):
        return handing_in(folder, names, all_ended)
    return _patient_submitit() if launcher_kind(launcher) == "LocalLauncher" else nullcontext()


@contextmanager
def _patient_submitit() -> Iterator[None]:
    """Let submitit wait for every job; else it stops at the first that was killed."""
    from submitit.core.core import Job as SubmittedJob

    results = SubmittedJob.results

    def patient(job: SubmittedJob) -> list[JobReturn]:
        try:
            return results(job)
        except Exception as error:  # the folder of the job holds its outcome
            return [JobReturn(status=JobStatus.FAILED, _return_value=error)]

    SubmittedJob.results = patient  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        SubmittedJob.results = results  # type: ignore[method-assign]


def share(launcher: DictConfig, jobs: int) -> Share:
    """Return each job's share of this machine, and fit the launcher to its limits.

    Args:
        launcher: Settings of the launcher; changed.
        jobs: How many jobs there are.
    """
    kind = launcher_kind(launcher)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if is_slurm(launcher):
        fit_time_limits(launcher)
    if kind == "JoblibLauncher":
        wanted = int(launcher.n_jobs)
        launcher.n_jobs = max(1, min(jobs, wanted if wanted > 0 else cpus + 1 + wanted))
        return Share(launcher.n_jobs, gpus(), max(1, cpus // launcher.n_jobs))
    if kind == "LocalLauncher":  # it starts all jobs at once
        at_once = max(1, min(cpus, jobs))
        return Share(at_once, gpus() if launcher.gpus_per_node is None else (), cpus // at_once)
    return Share()


def gpus() -> tuple[str, ...]:
    """Return the GPUs that jobs may share, as CUDA names them.

    If set, `SLEAP_LAB_GPUS` gives their number.
    """
    if count := os.environ.get(GPUS):
        return tuple(map(str, range(int(count))))
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(filter(None, visible.split(",")))
    if which("nvidia-smi") is None:
        return ()
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return tuple(listed.stdout.split()) if listed.returncode == 0 else ()
