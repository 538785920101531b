"""`sleap-lab suggest`: which frames to label next."""

import argparse
from functools import partial
from pathlib import Path

from sleap_lab import terminal
from sleap_lab.cli.verbs import refuse
from sleap_lab.review import make_from
from sleap_lab.runs.suggestions import Suggested, suggest_frames
from sleap_lab.tracking.offline import identify

COUNT, SHOWN = 50, 10


def run(words: list[str], tracking_uri: str | None) -> None:
    """Choose frames, write them, and show the first.

    Raises:
        ConfigError: The words do not name one run, or no positive number of frames.
        RunError: A file cannot be read or written.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = refuse  # type: ignore[method-assign]  # argparse would print its usage
    parser.add_argument("run")
    parser.add_argument("-n", "--number", type=int, default=COUNT)
    options = parser.parse_args(words)
    if options.number < 1:
        refuse(f"suggest: -n {options.number}; accepted: how many frames, 1 or more")
    make = partial(suggest_frames, identify=identify, count=options.number)
    outputs = Path("outputs").absolute()
    show(make_from(options.run, "suggest", make, tracking_uri=tracking_uri, outputs_root=outputs))


def show(found: Suggested) -> None:
    """Show the first frames, and where the files are."""
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
