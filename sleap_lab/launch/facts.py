"""What every job of a sweep needs to know of it, wherever a launcher starts it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sleap_lab.runs.summary import Stamp
from sleap_lab.settings.frames import Piece


@dataclass(frozen=True)
class Share:
    """The share of a machine that each of the jobs running at once gets.

    Attributes:
        slots: Number of jobs that may run at once; None where the launcher limits it.
        gpus: The GPUs that the jobs share, one job per GPU at a time; empty to leave the choice to
            the environment.
        threads: CPU threads of each; None to leave them alone.
    """

    slots: int | None = None
    gpus: tuple[str, ...] = ()
    threads: int | None = None


@dataclass(frozen=True)
class Sweep:
    """The facts of a sweep that every job needs.

    Attributes:
        folder: The sweep folder.
        jobs: Number of each job by the name of its folder.
        known: State of each job when this command began.
        command: The command line, word by word.
        cwd: Working directory of the command; relative paths start there.
        pid: Process that runs the sweep; jobs on its machine end with it.
        host: Its machine.
        share: The share of its machine that each job gets.
        fail_fast: Whether no job starts after one has failed.
        pieces: What each job predicts, where that is all that it does.
        predictions: Folder with the prediction in pieces of each job that joins one.
        copies: Copies of files on servers, by URL without secrets; no job asks a server.
    """

    folder: Path
    jobs: Mapping[str, int]
    known: Mapping[str, Stamp | None]
    command: tuple[str, ...]
    cwd: Path
    pid: int
    host: str
    share: Share = Share()
    fail_fast: bool = False
    pieces: Mapping[str, Piece] = field(default_factory=dict)
    predictions: Mapping[str, Path] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)
