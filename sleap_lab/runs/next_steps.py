"""What the reader of a report may do next: files to open, commands to type."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.report.page import Step
from sleap_lab.runs.context import RunContext

FILES = {
    "predictions.slp": "the poses, for the SLEAP GUI and sleap-io",
    "switches.slp": "the identity switches, to step through in the SLEAP GUI",
    "suspects.slp": "moments that look wrong, to step through in the SLEAP GUI",
    "metrics.csv": "the metrics of every video, animal and node",
    "metrics.frames.csv": "the metrics of every frame",
    "run.log": "all messages of the run",
}


def next_steps(
    run: RunContext, *, evaluated: bool, tracked: bool, animals: int, overlays: Sequence[Path] = ()
) -> Iterator[Step]:
    """Yield the files of a run folder that people open, and commands that go on from here.

    Args:
        run: The run.
        evaluated: Whether it was compared with ground truth.
        tracked: Whether its poses have tracks, be they those of its input.
        animals: The largest number of instances of a frame.
        overlays: The videos with the poses drawn in, which may come later.
    """
    folder = shlex.quote(terminal.shown(run.folder))
    for name, what in FILES.items():
        if (run.folder / name).is_file():
            yield Step(what, file=name)
    for overlay in overlays:
        yield Step("the video with the poses drawn in", file=overlay.name)
    command = shlex.join(run.invocation.command)
    if animals > 1 and not tracked:
        yield Step("Follow the animals from frame to frame:", command=f"{command} tracker=global")
    if not evaluated:
        evaluator = "identity" if tracked else "oks"
        yield Step(
            "Measure how good the poses are, against labels of some of the frames:",
            command=f"{command} evaluator={evaluator} evaluator.ground_truth_path=labels.slp",
        )
    yield Step(
        "Look at the moments that seem wrong, in a page that plays the recording (review.html, "
        "beside this one):",
        command=f"sleap-lab review {folder}",
    )
    yield Step("See what another setting changes:", command=f"sleap-lab compare {folder} OTHER_RUN")
    yield Step("Check that the result can be reproduced:", command=f"sleap-lab reproduce {folder}")
