"""Jobs of a sweep in the queue of Slurm: handing them in, recognising them later, waiting for them.

submitit hands them in. It would then ask `sacct` how they are, which many clusters do not have.
"""

import json
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from sleap_lab import terminal
from sleap_lab.errors import RunError, counted, listed
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import read_json
from sleap_lab.runs import slurm
from sleap_lab.settings.overrides import launcher_kind

RECORD = "submitted.json"
LEAST_SECONDS, MOST_SECONDS = 1.0, 30.0
PART = 0.05
"""Seconds between two looks at the queue; in between as a part of the time that has passed."""

SECONDS_OF_DELAY = 60.0  # until a shared folder shows a file: for that long NFS trusts what it knew
SECONDS_BETWEEN_LOOKS = 1.0
MOST_NAMED = 5  # jobs that never began, a line each

ORDINARY = {"None", "Resources", "Priority", "BeginTime", "JobArrayTaskLimit", "Cleaning", "Prolog"}
"""Reasons for which a job of a busy cluster waits, in Slurm's words."""


def is_slurm(launcher: DictConfig) -> bool:
    """Return whether a launcher hands its jobs to Slurm."""
    return launcher_kind(launcher) == "SlurmLauncher"


def still_queued(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the Slurm job of each job of a sweep that an earlier command left in the queue.

    Args:
        folder: The sweep folder.
        names: Names of the jobs' folders in it.

    Returns:
        Id by name. All that were handed in, if Slurm cannot tell.
    """
    recorded = _read(folder)
    found = {name: recorded[name] for name in names if name in recorded}
    queue = slurm.queue() if found else None
    return found if queue is None else {name: id for name, id in found.items() if id in queue}


def wait(ids: Sequence[str], all_ended: Event) -> None:
    """Wait until jobs have left the queue, or until all have ended by their own records.

    Args:
        ids: The jobs of Slurm.
        all_ended: Set once they have.
    """
    seconds, passed, answers = LEAST_SECONDS, 0.0, True
    said = set(ORDINARY)
    while not all_ended.wait(seconds):
        passed += seconds
        seconds = min(MOST_SECONDS, max(LEAST_SECONDS, PART * passed))
        queue = slurm.queue()
        if queue is None and answers:
            terminal.warn("Slurm does not answer (squeue); waiting for it")
        answers = queue is not None
        if queue is not None:
            reasons = {id: queue[id] for id in ids if id in queue}
            if not reasons:
                return
            _say_why_they_wait(reasons, said)
            said.update(reasons.values())


def cancel(folder: Path, names: Sequence[str]) -> None:
    """Take jobs of a sweep out of Slurm's queue, where they are in it."""
    slurm.cancel(list(still_queued(folder, names).values()))


def wait_for_records(
    folder: Path, names: Sequence[str], is_there: Callable[[str], bool]
) -> list[str]:
    """Wait until the records of jobs that ran to their end are seen here.

    A shared folder may show for a minute that there is no file where another machine has made one.
    Listing the folder asks its server again.

    Args:
        folder: The sweep folder.
        names: Names of the jobs' folders in it.
        is_there: Whether the record of a job is seen.

    Returns:
        The names of jobs whose record is not seen.
    """
    ids = _read(folder)
    late = [name for name in names if name in ids and slurm.ran(ids[name])]
    end = monotonic() + SECONDS_OF_DELAY
    while late and monotonic() < end:
        with suppress(OSError):
            list(folder.iterdir())
        late = [name for name in late if not is_there(name)]
        if late:
            sleep(SECONDS_BETWEEN_LOOKS)
    return [name for name in names if not is_there(name)]


def say_what_never_began(folder: Path, numbers: Mapping[str, int]) -> None:
    """Show which jobs left Slurm's queue before they began.

    Args:
        folder: The sweep folder.
        numbers: The jobs' numbers by name.
    """
    ids = _read(folder)
    handed_in = [(number, ids[name]) for name, number in numbers.items() if name in ids]
    for number, id in handed_in[:MOST_NAMED]:
        lost = f"job {id} has left Slurm's queue, as after scancel"
        terminal.warn(f"job {number} never began: {slurm.word(id) or lost}")
    if more := len(handed_in[MOST_NAMED:]):
        terminal.warn(f"{counted(more, 'more job')} never began")


@contextmanager
def handing_in(folder: Path, names: Sequence[str], all_ended: Event) -> Iterator[None]:
    """Let submitit hand jobs to Slurm, note their ids, and wait for them here.

    Args:
        folder: The sweep folder.
        names: The names of the jobs' folders in it, in the order in which Hydra counts them.
        all_ended: Set once all jobs of the sweep have ended by their own records.
    """
    from submitit import AutoExecutor, SlurmJob

    hand_in, results = AutoExecutor.map_array, SlurmJob.results

    def hand_in_and_wait(
        executor: AutoExecutor, task: Any, words: Any, key: Any, numbers: Sequence[int], *rest: Any
    ) -> list[Any]:
        try:
            jobs = hand_in(executor, task, words, key, numbers, *rest)
        except Exception as error:
            raise RunError(f"Slurm takes no job ({_reason(error)})") from error
        ids = [job.job_id for job in jobs]
        _note(folder, {names[number]: id for number, id in zip(numbers, ids, strict=True)})
        _say(ids)
        wait(ids, all_ended)
        return jobs

    # The folder of a job holds its outcome.
    done = [JobReturn(status=JobStatus.COMPLETED)]
    patched: Any = (AutoExecutor, SlurmJob)
    patched[0].map_array, patched[1].results = hand_in_and_wait, lambda job: done
    try:
        yield
    finally:
        patched[0].map_array, patched[1].results = hand_in, results


def fit_time_limits(launcher: DictConfig) -> None:
    """Lower the time limit of jobs to what their partition allows, and say so.

    Otherwise Slurm would keep them in its queue for ever. The signal before the limit comes in the
    last quarter of it.

    Args:
        launcher: Settings of the launcher; changed.
    """
    wanted = str(launcher.partition or "").split(",")
    known = slurm.partitions()
    chosen = [
        facts
        for facts in known
        if facts.get("PartitionName") in wanted
        or (launcher.partition is None and facts.get("Default") == "YES")
    ]
    if launcher.partition is not None and known and not chosen:
        names = [facts.get("PartitionName", "") for facts in known]
        raise RunError(
            f"hydra.launcher.partition: Slurm has no partition {launcher.partition}; "
            f"it has: {', '.join(names)}"
        )
    most = max((slurm.minutes(facts.get("MaxTime", "")) for facts in chosen), default=float("inf"))
    if launcher.timeout_min > most:
        names = [facts["PartitionName"] for facts in chosen]
        terminal.warn(
            f"hydra.launcher.timeout_min: {launcher.timeout_min} is more than the {most:g} minutes "
            f"that partition {listed(names, 3)} allows; each job gets {most:g}"
        )
        launcher.timeout_min = int(most)
    launcher.signal_delay_s = min(launcher.signal_delay_s, launcher.timeout_min * 60 // 4)


def _read(folder: Path) -> dict[str, str]:
    try:
        return {str(name): str(id) for name, id in read_json(folder / RECORD).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def _note(folder: Path, ids: Mapping[str, str]) -> None:
    """Add jobs to the record of what was handed in, so that a later command recognises them."""
    with replacing(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(_read(folder) | dict(ids), indent=1), encoding="utf-8")


def _say(ids: Sequence[str]) -> None:
    """Show the Slurm jobs that were handed in."""
    first = ids[0].partition("_")[0]
    tasks = f" with {len(ids)} tasks" if len(ids) > 1 else ""
    terminal.note(f"submitted as job {first}{tasks} (squeue -j {first}, scancel {first})")


def _say_why_they_wait(reasons: Mapping[str, str], said: Container[str]) -> None:
    """Show which jobs wait for more than their turn.

    Args:
        reasons: Slurm's reason by job.
        said: Reasons that need no word, or have been shown.
    """
    for reason in sorted({reason for reason in reasons.values() if reason not in said}):
        ids = [id for id, why in reasons.items() if why == reason]
        one_or_all = ids[0] if len(ids) == 1 else ids[0].partition("_")[0]
        remedy = (
            f"; scontrol release {one_or_all} lets it go on" if "held" in reason.lower() else ""
        )
        terminal.warn(f"job {listed(ids, 3)} waits in Slurm ({reason}){remedy}")


def _reason(error: Exception) -> str:
    """Return what `sbatch` said, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "error" in line.lower()]
    return (told or lines or [type(error).__name__])[-1]
