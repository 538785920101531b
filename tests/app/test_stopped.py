"""A run that is killed or stopped from the keyboard resumes with the same command."""

import signal
import subprocess
import sys

import pytest

from sleap_lab.media.labels import read_labels, to_poses

WORDS = (
    "experiment=demo",
    "data.frames=0-19",
    "report=none",
    "logger=none",
    "runtime.device=cpu",
    "runtime.num_threads=1",
)


def start(folder, name, *program):
    """Start the command, or a program in its place."""
    words = [*WORDS, f"output.path={folder / name}.slp"]
    return subprocess.Popen(
        [sys.executable, *(program or ("-m", "sleap_lab")), *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The poses of a run to which nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder, "whole")
    assert "predict miss" in process.communicate()[0]
    return to_poses(read_labels(folder / "whole.slp")).to_arrays()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_same_command_goes_on(tmp_path, undisturbed, waiting_run, wait_for, how):
    """Takes six seconds: a run is stopped within its work, and finished by a second command."""
    process = start(tmp_path, "stopped", waiting_run)
    wait_for((tmp_path / "waits").exists, process)
    process.send_signal(how)
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
