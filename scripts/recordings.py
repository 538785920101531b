"""Make recordings whose frames carry their numbers, and check that frame k is frame k in each.

    python -m scripts.recordings                          make and check all of them
    python -m scripts.recordings --only gap.mp4 'bad_*'   some of them
    python -m scripts.recordings --folder DIR             keep them there, or take those there
    python -m scripts.recordings --table docs/inputs.md   update the table of the documentation

A check takes about five minutes on two cores. Every recording is read in order, at random and by
range, and compared with what ffmpeg decodes. A damaged recording may name bad frames or be refused.
Ends with 1 where a wrong frame passes in silence or an intact recording is called damaged. Needs
ffmpeg 5 or newer.
"""

import argparse
import fnmatch
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from scripts.footage.checking import GOOD, Outcome, Verdict, check, check_command
from scripts.footage.making import make
from scripts.footage.recipes import RECORDINGS
from scripts.footage.recording import Recording
from scripts.footage.table import write_table


def main() -> int:
    """Make and check recordings and print a table; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="keep the recordings here")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=["*"], help="names or patterns"
    )
    parser.add_argument(
        "--table",
        type=Path,
        metavar="PAGE",
        help="only write the table of what is read into this page",
    )
    arguments = parser.parse_args()
    if arguments.table is not None:
        write_table(arguments.table)
        return 0
    chosen = [
        recording
        for recording in RECORDINGS
        if any(fnmatch.fnmatch(recording.name, name) for name in arguments.only)
    ]
    if not chosen:
        parser.error(f"--only: no recording is named {' or '.join(arguments.only)}")
    with tempfile.TemporaryDirectory() as temporary:
        outcomes = [tried(recording, arguments.folder or Path(temporary)) for recording in chosen]
    failed = sum(
        outcome.verdict is not GOOD[recording.expect]
        for recording, outcome in zip(chosen, outcomes, strict=True)
    )
    print(f"{len(chosen)} recordings, {failed} failed")
    return int(failed > 0)


def tried(recording: Recording, folder: Path) -> Outcome:
    """Make and check one recording, and print what was found."""
    path = make(recording, folder)
    outcome = check(recording, path)
    if (
        recording.end_to_end
        and outcome.verdict is GOOD[recording.expect]
        and (fault := check_command(recording, path))
    ):
        outcome = replace(outcome, verdict=Verdict.OTHER, faults=(fault,))
    counts = f"{outcome.decoded:3} decoded {outcome.read:3} read {outcome.bad:2} bad"
    print(
        f"{recording.name:26} {counts} {outcome.distance:5.1f} {outcome.verdict.value:22} "
        f"{recording.codec} {recording.what}",
        flush=True,
    )
    for line in (*outcome.faults, *(f"said: {note}" for note in outcome.notes)):
        print(f"    {line[:300]}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main())
