"""Run a benchmark: `python -m benchmarks inference --peer-python PATH`."""

import argparse
from pathlib import Path

from benchmarks import inference, tracking
from benchmarks.timing import REFERENCE

BENCHMARKS = {"inference": inference, "tracking": tracking}

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
commands = parser.add_subparsers(dest="benchmark", required=True)
for name, module in BENCHMARKS.items():
    command = commands.add_parser(name, help=module.__doc__)
    command.add_argument("--peer-python", required=True, type=Path, help="Python of a virtual environment with sleap-nn 0.3.5.")
    command.add_argument("--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models.")
    command.add_argument("--rounds", type=int, default=3, help="How often each side is timed.")
    command.add_argument("--only", default="", help="Only the cases whose name contains this; writes no file.")
arguments = parser.parse_args()
BENCHMARKS[arguments.benchmark].run(arguments.peer_python, arguments.reference, rounds=arguments.rounds, only=arguments.only)
