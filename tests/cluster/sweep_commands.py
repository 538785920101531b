"""What the tests run on a Slurm: sweeps, and clips of the demo."""

import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import pytest
from slurm_daemons import SECONDS, missing, running

DEMO = Path(str(resources.files("sleap_lab.demo")))
MODEL = f"model.paths=[{DEMO / 'models' / 'bottomup'}]"


@contextmanager
def started(tracking):
    """Run a Slurm, in a folder with a path that is short enough for sockets."""
    if lacking := missing():
        pytest.skip(f"a Slurm {lacking}")
    with (
        TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder,
        running(Path(folder) / tracking, cgroups=tracking == "cgroup") as found,
    ):
        yield found


@dataclass
class Command:
    """A `sleap-lab` that runs or ran.

    Attributes:
        process: Its process.
        log: What it prints.
        cwd: Where.
    """

    process: subprocess.Popen
    log: Path
    cwd: Path

    def ended(self):
        """Wait for its end and return the exit code."""
        return self.process.wait(SECONDS)

    def kill(self):
        """Kill it, and nothing else."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def said(self):
        return self.log.read_text()

    @property
    def job(self):
        """The Slurm job that it submitted, as it says; None before."""
        found = re.search(r"submitted as job (\d+)", self.said)
        return found and found[1]

    @property
    def sweep(self):
        """The folder of its sweep, the newest where it runs."""
        return max(self.cwd.glob("outputs/multirun/*/*"))

    def runs(self):
        """The records of its jobs, in their order; of those that began."""
        files = self.sweep.glob("*/run.json")
        return [json.loads(f.read_text()) for f in sorted(files, key=lambda f: int(f.parent.name))]

    def states(self):
        return [run["status"] for run in self.runs()]


def clip(path, n, first=0):
    """Write frames of the demo's clip, over and over."""
    reader = cv2.VideoCapture(str(DEMO / "clip.mp4"))
    frames = []
    while (read := reader.read())[0]:
        frames.append(read[1])
    height, width, _ = frames[0].shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 15, (width, height))
    for i in range(n):
        writer.write(frames[(first + i) % len(frames)])
    writer.release()
    return path
