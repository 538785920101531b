"""Run a benchmark: `python -m benchmarks inference --peer-python PATH`."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import (
    commands,
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


class Benchmark(NamedTuple):
    """What is run under a name.

    Attributes:
        run: Takes the options by name, prints a table, and writes it into a page.
        options: Keys of `OPTIONS` -> what differs from them here.
    """

    run: Callable[..., None]
    options: Mapping[str, Mapping[str, Any]]


OPTIONS: dict[str, dict[str, Any]] = {
    "peer_python": {"type": Path, "help": "Python of an environment with sleap-nn 0.3.5."},
    "reference": {
        "type": Path,
        "default": REFERENCE,
        "help": "Folder with the labels, videos and models.",
    },
    "truths": {"type": Path, "help": "Folder with further labels (.slp) that have true tracks."},
    "rounds": {"type": int, "default": 5, "help": "How often each side of each case is timed."},
    "repetitions": {"type": int, "help": "How often each case is drawn."},
    "seeds": {"type": int, "help": "Scenes of each group."},
    "only": {"default": "", "help": "Only what has this in its name; no page is written then."},
    "frames": {"type": int, "default": 300, "help": "Largest number of frames of a scene."},
    "scenes": {"default": "", "help": "Only groups with this in the name, or this|that."},
    "trackers": {"default": "", "help": "Likewise the trackers."},
    "out": {"type": Path, "help": "Folder for the results; no page is written then."},
    "dots": {"type": Path, "help": "Folder to keep the models in that sleap-nn trains."},
    "processes": {"type": int, "default": 2, "help": "Cases that are run at a time."},
    "jobs": {"type": int, "nargs": "+", "default": [1_000, 10_000], "help": "Jobs of the sweeps."},
    "mlflow": {"action": "store_true", "help": "Log the jobs, which takes longest."},
}
"""What benchmarks can be told: name of the parameter -> how argparse reads it."""

MAYBE_PEER = {"help": f"{OPTIONS['peer_python']['help']} Without it no page is written."}
BESIDE_PEER: dict[str, dict[str, Any]] = {
    "peer_python": {"required": True},
    "reference": {},
    "rounds": {"default": 3},
    "only": {},
}

BENCHMARKS = {
    "inference": Benchmark(inference.run, BESIDE_PEER),
    "tracking": Benchmark(tracking.run, BESIDE_PEER),
    **{name: Benchmark(run, BESIDE_PEER) for name, run in commands.COMMANDS.items()},
    "network": Benchmark(network.run, {"reference": {}, "rounds": {}}),
    "overlap": Benchmark(overlap.run, {"reference": {}, "rounds": {"default": 3}, "only": {}}),
    "limit": Benchmark(limit.run, {"reference": {}, "rounds": {}, "only": {}}),
    "memory": Benchmark(memory.run, {"reference": {}, "rounds": {"default": 1}}),
    "reading": Benchmark(reading.run, {"reference": {}, "rounds": {}}),
    "exports": Benchmark(exports.run, {"rounds": {"default": 1}, "only": {}}),
    "localisation": Benchmark(
        localisation.run,
        {
            "peer_python": MAYBE_PEER,
            "reference": {},
            "dots": {},
            "only": {},
        },
    ),
    "identity": Benchmark(
        identity.run,
        {
            "peer_python": MAYBE_PEER,
            "reference": {},
            "truths": {},
            "seeds": {"default": 5},
            "frames": {},
            "scenes": {},
            "trackers": {},
            "out": {},
        },
    ),
    "statistics": Benchmark(
        intervals.run,
        {"reference": {}, "repetitions": {"default": 400}, "processes": {}, "only": {}},
    ),
    "labels": Benchmark(labels.run, {"reference": {}, "repetitions": {"default": 1000}}),
    "quality": Benchmark(quality.run, {"reference": {}, "truths": {}, "seeds": {"default": 4}}),
    "scale": Benchmark(scale.run, {"jobs": {}, "mlflow": {}}),
    "confidence": Benchmark(confidence.run, {"reference": {}, "repetitions": {"default": 200}}),
}


def main() -> None:
    """Read the command line, and run the benchmark that it names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(dest="benchmark", required=True)
    for name, benchmark in BENCHMARKS.items():
        verb = verbs.add_parser(name)
        for option, differs in benchmark.options.items():
            verb.add_argument(f"--{option.replace('_', '-')}", **OPTIONS[option] | dict(differs))
    arguments = vars(parser.parse_args())
    BENCHMARKS[arguments.pop("benchmark")].run(**arguments)


if __name__ == "__main__":
    main()
