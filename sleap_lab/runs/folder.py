"""The folder of a run, and the command that started the run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sleap_lab.errors import RunError, system_reason
from sleap_lab.settings.frames import Piece

LOG_FILE, REPORT, OVERLAY = "run.log", "report.html", "overlay.mp4"
OVERLAYS = (OVERLAY, "overlay.[0-9]*.mp4")
"""Patterns of the overlay's files; of several videos, each has one of its own."""

RESULT_FILES = (
    *("predictions.*", "outputs.npz", "metrics.*", "switches.csv", "switches.slp"),
    *("bad_frames.csv", "quality.csv", "suspects.csv", "suspects.slp"),
    *(REPORT, *OVERLAYS, "system.csv"),
)
"""Patterns of the files that a run makes besides its summary, its log and what is in folders."""


@dataclass(frozen=True)
class Invocation:
    """The command that started an experiment.

    Attributes:
        command: The command line, word by word.
        overrides: The overrides, as typed.
        choices: The option chosen in each config group.
        job: Number of the job within its sweep.
        mlflow: The MLflow run of an earlier attempt at the same job, which this one fills again.
        piece: The range of frames to predict, and nothing else; None for a whole experiment.
        pieces: Folder with the prediction in pieces, which other jobs have made.
    """

    command: Sequence[str] = ()
    overrides: Sequence[str] = ()
    choices: dict[str, str] | None = None
    job: int | None = None
    mlflow: dict[str, str] | None = None
    piece: Piece | None = None
    pieces: Path | None = None


def new_folder(root: Path) -> Path:
    """Create a run folder that no other run has, named by date and time.

    Raises:
        RunError: No folder can be made there.
    """
    while True:
        now = datetime.now()
        folder = root / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise RunError(
                f"{root.absolute()}: no folder for results can be made here "
                f"({system_reason(error)}); run the command from a folder that you may write to, "
                "or name one with hydra.run.dir=FOLDER (of a sweep hydra.sweep.dir)"
            ) from error
        return folder
