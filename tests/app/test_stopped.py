"""A run that is killed or stopped from the keyboard resumes with the same command."""

import os
import signal
import subprocess
import sys
import time

import pytest

from sleap_lab.media.labels import read_labels, to_poses

RUN = (
    "import sys; from sleap_lab.inference import chunks; chunks.CHUNK_SECONDS = 0.1; "
    "from sleap_lab.cli import main; main(sys.argv[1:])"
)
WORDS = (
    "experiment=demo",
    "data.frames=0-149",
    "report=none",
    "logger=none",
    "runtime.device=cpu",
    "runtime.num_threads=1",
)


def start(folder, name):
    """Start the command; a chunk is stored ten times a second."""
    words = [*WORDS, f"output.path={folder / name}.slp"]
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_chunks(folder, process, count):
    """Wait until some chunks are stored."""
    deadline = time.monotonic() + 240
    while (
        sum(
            "predict, part" in path.read_text()
            for path in (folder / "outputs" / "cache").glob("[!.]*.json")
        )
        < count
    ):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The poses of a run to which nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder, "whole")
    assert "predict miss" in process.communicate()[0]
    return to_poses(read_labels(folder / "whole.slp")).to_arrays()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_same_command_goes_on(tmp_path, undisturbed, how):
    """Takes ten seconds: a run is stopped within its work, and finished by a second command."""
    process = start(tmp_path, "stopped")
    wait_for_chunks(tmp_path, process, 1)
    os.kill(process.pid, how)
    output, _ = process.communicate()
    assert not (tmp_path / "stopped.slp").exists()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "go on with: sleap-lab experiment=demo" in output
    process = start(tmp_path, "stopped")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "predict resumed" in output
    resumed = to_poses(read_labels(tmp_path / "stopped.slp")).to_arrays()
    for name, array in undisturbed.items():
        assert array.tobytes() == resumed[name].tobytes(), name
