"""`sleap-lab calibrate`: radii around nodes, from a run with ground truth."""

import shlex
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.errors import ConfigError
from sleap_lab.evaluation.radii import COVERAGE
from sleap_lab.review import make_from
from sleap_lab.runs.calibration import Calibrated, calibrate


def run(words: list[str], tracking_uri: str | None) -> None:
    """Learn radii, write them, and show them.

    Raises:
        ConfigError: The words do not name one run with ground truth.
        RunError: A file cannot be read or written.
    """
    if len(words) != 1:
        raise ConfigError(f"calibrate: give one run with ground truth; got {shlex.join(words)}")
    outputs = Path("outputs").absolute()
    show(
        make_from(words[0], "calibrate", calibrate, tracking_uri=tracking_uri, outputs_root=outputs)
    )


def show(made: Calibrated) -> None:
    """Show the radius of each node, and how the file is used."""
    rows = [
        [node, f"{radii.radius[-1]:.2f}", f"{radii.radius[0]:.2f}", radii.points]
        for node, radii in made.calibration.nodes.items()
    ]
    rows += [[node, "–", "–", "too few"] for node in made.without]
    terminal.grid(["node", "px where sure", "px where unsure", "points"], rows)
    (_, path), *_ = made.files
    terminal.table(
        [
            ("holds", f"the true point with {COVERAGE:.0%} probability, on recordings like this"),
            ("calibration", terminal.shown(path)),
            ("use it with", f"evaluator.calibration={shlex.quote(terminal.shown(path))}"),
        ]
    )
