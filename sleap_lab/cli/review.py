"""The verbs about a finished result: where to look, what to label next, how far nodes are off."""

import shlex
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, TypeVar

from sleap_lab import terminal
from sleap_lab.errors import RunError
from sleap_lab.runs.calibration import PROMISE, Calibrated, calibrate
from sleap_lab.runs.mlflow_log import log_files
from sleap_lab.runs.proofread import read_proofread
from sleap_lab.runs.review import Review, review
from sleap_lab.runs.snapshot import where_it_ran
from sleap_lab.runs.subject import Subject, of_labels, of_run
from sleap_lab.runs.suggestions import Suggested, suggest_frames
from sleap_lab.settings.inputs import LABELS
from sleap_lab.sweeps.find import find_run
from sleap_lab.tracking.offline import identify

SHOWN = 10


def review_run(
    word: str,
    *,
    tracking_uri: str | None,
    outputs_root: Path,
    budget: float | None = None,
    proofread: tuple[Path, list[int] | None] | None = None,
) -> Review:
    """Write the page and the moments of a run or of a labels file.

    Where MLflow has the run, they are added to it.

    Args:
        word: A run folder, the id of a run in MLflow, or a labels file.
        tracking_uri: The MLflow store of the id.
        outputs_root: The outputs folder. The files go there where no run folder is on this machine.
        budget: Share of the frames that a person will look at, 0 to 1.
        proofread: A labels file with proofread tracks, and which of its frames were proofread;
            None for all.

    Raises:
        ConfigError: The word names no run or labels file, or the proofread frames do not fit.
        RunError: A file cannot be read or written.
    """

    def look(subject: Subject, folder: Path) -> Review:
        checked = proofread and read_proofread(*proofread, subject)
        return review(subject, folder, identify, budget=budget, checked=checked)

    return make_from(word, "review", look, tracking_uri=tracking_uri, outputs_root=outputs_root)


class Made(Protocol):
    """What was made from a run."""

    @property
    def files(self) -> list[tuple[str, Path]]:
        """What each file holds, and its path."""


M = TypeVar("M", bound=Made)


def make_from(
    word: str,
    verb: str,
    make: Callable[[Subject, Path], M],
    *,
    tracking_uri: str | None,
    outputs_root: Path,
) -> M:
    """Make files from the poses of a run or of a labels file.

    Those of a run are written into its folder and, where MLflow has the run, added to it.

    Args:
        word: A run folder, the id of a run in MLflow, or a labels file.
        verb: Name of the folder in the outputs folder for the files of what is not on this machine.
        make: Writes files about a subject into a folder.
        tracking_uri: The MLflow store of the id.
        outputs_root: The outputs folder.

    Raises:
        ConfigError: The word names no run or labels file.
        RunError: A file cannot be read or written.
    """
    own = outputs_root / verb / f"{datetime.now():%Y-%m-%d-%H-%M-%S-%f}"
    if Path(word).suffix == LABELS and not Path(word).is_dir():
        return make(of_labels(Path(word)), own)
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        folder = find_run(
            word, Path(scratch), tracking_uri=tracking_uri, outputs_root=outputs_root
        ).absolute()
        with where_it_ran(folder):
            if folder.is_relative_to(scratch):
                return make(of_run(folder), own)
            made = make(of_run(folder), folder)
        try:
            log_files(folder, [path.name for _, path in made.files], outputs_root=outputs_root)
        except RunError as error:
            terminal.warn(f"{error}; the files are in {terminal.shown(folder)}")
    return made


def show(found: Review) -> None:
    """Show the first moments, and where the files are."""
    if not found.moments:
        terminal.text("no moment looks doubtful")
    else:
        shown = found.moments if found.promise else found.moments[:SHOWN]
        rows = [
            [rank, Path(found.videos[m.video]).name, m.frame, f"{m.probability:.0%}", m.reason]
            for rank, m in enumerate(shown, start=1)
        ]
        terminal.grid(["rank", "video", "frame", "chance", "what looks wrong"], rows)
    terminal.table(
        [
            ("moments to look at", str(len(found.moments))),
            *((name, terminal.shown(path)) for name, path in found.files),
        ]
    )
    for said in filter(None, [*found.notes, found.promise, found.labelled]):
        terminal.text(said)


def suggest_run(
    word: str, *, count: int, tracking_uri: str | None, outputs_root: Path
) -> Suggested:
    """Choose so many frames to label next, and write them; see `make_from`."""
    choose = partial(suggest_frames, identify=identify, count=count)
    return make_from(word, "suggest", choose, tracking_uri=tracking_uri, outputs_root=outputs_root)


def show_suggested(found: Suggested) -> None:
    """Show the first frames to label, and where the files are."""
    rows = [
        [rank, Path(found.videos[chosen.video]).name, chosen.frame, chosen.reason]
        for rank, chosen in enumerate(found.frames[:SHOWN], start=1)
    ]
    terminal.grid(["rank", "video", "frame", "what is doubtful"], rows)
    terminal.table(
        [
            ("frames to label", str(len(found.frames))),
            *((name, terminal.shown(path)) for name, path in found.files),
        ]
    )
    for note in found.notes:
        terminal.text(note)


def calibrate_run(word: str, *, tracking_uri: str | None, outputs_root: Path) -> Calibrated:
    """Learn radii of nodes, and write them; see `make_from`."""
    return make_from(
        word, "calibrate", calibrate, tracking_uri=tracking_uri, outputs_root=outputs_root
    )


def show_calibrated(made: Calibrated) -> None:
    """Show the radii of each node, and how the file is used."""
    rows = [
        [node, f"{radii.radius[-1]:.2f}", f"{radii.radius[0]:.2f}", str(radii.points)]
        for node, radii in made.calibration.nodes.items()
    ]
    rows += [[node, "–", "–", "too few"] for node in made.without]
    terminal.grid(["node", "px where sure", "px where unsure", "points"], rows)
    (_, path), *_ = made.files
    terminal.table(
        [
            ("holds", PROMISE),
            ("calibration", terminal.shown(path)),
            ("use it with", f"evaluator.calibration={shlex.quote(terminal.shown(path))}"),
        ]
    )
