"""Run a benchmark: `python -m benchmarks inference --peer-python PATH`."""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import commands as whole_commands
from benchmarks import (
    confidence,
    exports,
    identity,
    inference,
    intervals,
    labels,
    limit,
    localisation,
    memory,
    network,
    overlap,
    quality,
    reading,
    scale,
    tracking,
)
from benchmarks.timing import REFERENCE

BENCHMARKS: dict[str, Callable[..., None]] = {
    "inference": inference.run,
    "tracking": tracking.run,
    **whole_commands.COMMANDS,
}

parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
commands = parser.add_subparsers(dest="benchmark", required=True)
for name in BENCHMARKS:
    command = commands.add_parser(name)
    command.add_argument(
        "--peer-python",
        required=True,
        type=Path,
        help="Python of a virtual environment with sleap-nn 0.3.5.",
    )
    command.add_argument(
        "--reference",
        type=Path,
        default=REFERENCE,
        help="Folder with the labels, videos and models.",
    )
    command.add_argument("--rounds", type=int, default=3, help="How often each side is timed.")
    command.add_argument(
        "--only", default="", help="Only the cases whose name contains this; writes no file."
    )
command = commands.add_parser("network", help=network.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--rounds", type=int, default=5, help="How often each side is timed.")
command = commands.add_parser("overlap", help=overlap.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--rounds", type=int, default=3, help="How often each case is timed.")
command.add_argument(
    "--only", default="", help="Only the cases whose name contains this; writes no file."
)
command = commands.add_parser("limit", help=limit.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--rounds", type=int, default=5, help="How often each case is timed.")
command.add_argument(
    "--only", default="", help="Only the cases whose name contains this; writes no file."
)
command = commands.add_parser("memory", help=memory.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--rounds", type=int, default=1, help="How often each length is run.")
command = commands.add_parser("reading", help=reading.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--rounds", type=int, default=5, help="How often each side is timed.")
command = commands.add_parser("exports", help=exports.__doc__)
command.add_argument("--rounds", type=int, default=1, help="How often each case is timed.")
command.add_argument(
    "--only", default="", help="Only the cases whose name contains this; writes no file."
)
command = commands.add_parser("localisation", help=localisation.__doc__)
command.add_argument(
    "--peer-python",
    type=Path,
    help="Python of an environment with sleap-nn, for the whole table; "
    "without it no page is written.",
)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--dots", type=Path, help="Folder to keep the models in that sleap-nn trains.")
command.add_argument(
    "--only", default="", help="Only the cases whose name contains this; writes no page."
)
command = commands.add_parser("identity", help=identity.__doc__)
command.add_argument(
    "--peer-python",
    type=Path,
    help="Python of an environment with sleap-nn; without it only our trackers are run.",
)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument(
    "--truths", type=Path, help="Folder with further labels (.slp) that have true tracks."
)
command.add_argument("--seeds", type=int, default=5, help="Scenes of each group.")
command.add_argument("--frames", type=int, default=300, help="Largest number of frames of a scene.")
command.add_argument(
    "--scenes", default="", help="Only groups with this in the name, or this|that."
)
command.add_argument("--trackers", default="", help="Likewise the trackers.")
command.add_argument(
    "--out", type=Path, help="Folder for the results, for which the page is left as it is."
)
command = commands.add_parser("statistics", help=intervals.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--repetitions", type=int, default=400, help="Of each case.")
command.add_argument("--processes", type=int, default=2, help="Cases that are run at a time.")
command.add_argument(
    "--only", default="", help="Only the studies with this in the name; writes no page."
)
command = commands.add_parser("labels", help=labels.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--repetitions", type=int, default=1000, help="How often labels are drawn.")
command = commands.add_parser("quality", help=quality.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument(
    "--truths", type=Path, help="Folder with further labels (.slp) that have true tracks."
)
command.add_argument("--seeds", type=int, default=4, help="Scenes of each group.")
command = commands.add_parser("scale", help=scale.__doc__)
command.add_argument(
    "--jobs", type=int, nargs="+", default=[1_000, 10_000], help="Numbers of jobs of the sweeps."
)
command.add_argument("--mlflow", action="store_true", help="Log them, which takes longest.")
command = commands.add_parser("confidence", help=confidence.__doc__)
command.add_argument(
    "--reference", type=Path, default=REFERENCE, help="Folder with the labels, videos and models."
)
command.add_argument("--repetitions", type=int, default=200, help="Of each simulated case.")
arguments = parser.parse_args()
if arguments.benchmark == "scale":
    scale.run(arguments.jobs, mlflow=arguments.mlflow)
    raise SystemExit
if arguments.benchmark == "confidence":
    confidence.run(arguments.reference, repetitions=arguments.repetitions)
    raise SystemExit
if arguments.benchmark == "quality":
    quality.run(arguments.reference, truths=arguments.truths, seeds=arguments.seeds)
    raise SystemExit
if arguments.benchmark == "labels":
    labels.run(arguments.reference, repetitions=arguments.repetitions)
    raise SystemExit
if arguments.benchmark == "statistics":
    intervals.run(
        arguments.reference,
        repetitions=arguments.repetitions,
        processes=arguments.processes,
        only=arguments.only,
    )
    raise SystemExit
if arguments.benchmark == "identity":
    identity.run(
        arguments.reference,
        truths=arguments.truths,
        peer_python=arguments.peer_python,
        seeds=arguments.seeds,
        frames=arguments.frames,
        scenes=arguments.scenes,
        trackers=arguments.trackers,
        out=arguments.out,
    )
    raise SystemExit
if arguments.benchmark == "network":
    network.run(arguments.reference, rounds=arguments.rounds)
    raise SystemExit
if arguments.benchmark == "overlap":
    overlap.run(arguments.reference, rounds=arguments.rounds, only=arguments.only)
    raise SystemExit
if arguments.benchmark == "limit":
    limit.run(arguments.reference, rounds=arguments.rounds, only=arguments.only)
    raise SystemExit
if arguments.benchmark == "memory":
    memory.run(arguments.reference, rounds=arguments.rounds)
    raise SystemExit
if arguments.benchmark == "reading":
    reading.run(arguments.reference, rounds=arguments.rounds)
    raise SystemExit
if arguments.benchmark == "exports":
    exports.run(rounds=arguments.rounds, only=arguments.only)
    raise SystemExit
if arguments.benchmark == "localisation":
    localisation.run(
        arguments.reference,
        peer_python=arguments.peer_python,
        dots=arguments.dots,
        only=arguments.only,
    )
    raise SystemExit
BENCHMARKS[arguments.benchmark](
    arguments.peer_python, arguments.reference, rounds=arguments.rounds, only=arguments.only
)
