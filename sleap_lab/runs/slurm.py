"""What Slurm says of jobs, asked with `squeue` and `scontrol`, which every cluster has.

`sacct` would also know of jobs that ended long ago, but needs a database that many clusters lack.
"""

import os
import subprocess
from collections.abc import Sequence
from shutil import which

SECONDS_TO_ANSWER = 60
NOT_OVER = ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED", "CONFIGURING")


def job_id() -> str | None:
    """Return the Slurm job that this process runs in: `14`, or `14_3` in an array; else None."""
    array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID") or None


def queue() -> dict[str, str] | None:
    """Return why each of the user's jobs waits; None if Slurm cannot tell.

    Each task of an array counts as a job. The reason of one that runs is `None` in Slurm's words.
    """
    if which("squeue") is None:  # there is no Slurm here
        return {}
    told = _ask("squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i %r")
    return None if told is None else dict(line.split(maxsplit=1) for line in told.splitlines())


def facts(job: str) -> dict[str, str]:
    """Return what Slurm knows of a job that waits, runs or ended a few minutes ago.

    Returns:
        Facts by Slurm's names, as `JobState`; empty if it cannot tell.
    """
    return _words(_ask("scontrol", "--oneliner", "show", "job", job))


def word(job: str) -> str | None:
    """Return a sentence on how a job ended; None if it has not, or if Slurm cannot tell."""
    state = facts(job).get("JobState", "RUNNING")
    return None if state in NOT_OVER else f"Slurm says {state} of job {job}"


def ran(job: str) -> bool:
    """Return whether a job ended by itself, well or not, as far as Slurm can tell."""
    return facts(job).get("JobState") in ("COMPLETED", "FAILED")


def partitions() -> list[dict[str, str]]:
    """Return what Slurm knows of each partition, by its names; empty if it cannot tell."""
    told = _ask("scontrol", "--oneliner", "show", "partition") or ""
    return [_words(line) for line in told.splitlines() if line]


def cancel(jobs: Sequence[str]) -> None:
    """Take jobs out of Slurm's queue; those that run are ended."""
    if jobs:
        _ask("scancel", *jobs)


def minutes(time: str) -> float:
    """Return one of Slurm's times, `DAYS-HOURS:MINUTES:SECONDS`, in minutes; inf if unlimited.

    Days and hours may be left out.
    """
    if not time or not time[0].isdigit():
        return float("inf")
    days, _, clock = time.rpartition("-")
    parts = [0, 0, *map(int, clock.split(":"))][-3:]
    return int(days or 0) * 1440 + parts[0] * 60 + parts[1] + parts[2] / 60


def _words(line: str | None) -> dict[str, str]:
    """Return the `NAME=VALUE` words of a line."""
    return dict(word.split("=", 1) for word in (line or "").split() if "=" in word)


def _ask(*command: str) -> str | None:
    """Return what a command of Slurm prints; None if it fails or does not answer."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
