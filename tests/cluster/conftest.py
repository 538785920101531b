"""Fixtures: a Slurm, and the real command beside it, on short clips of the demo."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from slurm_daemons import has_cgroups
from sweep_commands import MODEL, Command, clip, started

SWITCH = "SLEAP_LAB_CLUSTER"
"""Set where the tests of this folder are asked for; they start daemons and take minutes."""


def pytest_collection_modifyitems(items):
    if not os.environ.get(SWITCH):
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="starts a Slurm: make cluster"))


@pytest.fixture(scope="session", params=["cgroup" if has_cgroups() else "linuxproc"])
def cluster(request):
    """A running Slurm that tracks processes as most clusters do."""
    with started(request.param) as found:
        yield found


@pytest.fixture
def start(cluster, tmp_path):
    """Return a function that starts a command on the cluster; what still runs is killed."""
    commands = []

    def start(*words, on=cluster, cwd=tmp_path, slurm=True, verb="-m"):
        log = tmp_path / f"command{len(commands)}.log"
        if verb == "-m":
            words = [MODEL, "report=none", *words]
        if slurm:
            words = [*words, "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=2"]
        with open(log, "wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "sleap_lab", verb, *words],
                cwd=cwd,
                env={**on.environment, "PYTHONUNBUFFERED": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        commands.append(Command(process, log, cwd))
        return commands[-1]

    yield start
    for command in commands:
        if command.process.poll() is None:
            command.kill()
    cluster.ask("scancel", "--user=root")


@pytest.fixture
def short_video(tmp_path):
    return clip(tmp_path / "short.mp4", 10)


@pytest.fixture(scope="session")
def long_video(tmp_path_factory):
    """A clip that takes more than a minute, on a fast machine, too."""
    return clip(tmp_path_factory.mktemp("videos") / "long.mp4", 40_000)
