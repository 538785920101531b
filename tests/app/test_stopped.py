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
TRACKS_FOR_EVER = """
import sys
from sleap_lab import terminal
from sleap_lab.cli import main
from sleap_lab.inference import cached_stages

def track(poses, config, read_image, notes, watch):
    while True:
        watch(1, len(poses.frames))

cached_stages.track = track
terminal.SECONDS_BETWEEN_LINES = 0.1
main(sys.argv[1:])
"""


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


def same_poses(file, expected):
    """Fail unless a file has the expected poses, to the last bit."""
    found = to_poses(read_labels(file)).to_arrays()
    for name, array in expected.items():
        assert array.tobytes() == found[name].tobytes(), name


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
    same_poses(tmp_path / "stopped.slp", undisturbed)


def test_ctrl_c_while_tracking_keeps_the_predictions(tmp_path, undisturbed):
    """Takes six seconds: a run whose tracker never ends, and the same command with a real one."""
    program = tmp_path / "tracks_for_ever.py"
    program.write_text(TRACKS_FOR_EVER)
    process = start(tmp_path, "stopped", program)
    for line in process.stdout:
        if line.startswith("tracking: 1/20 frames, "):
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate()
    assert process.returncode == 130, output
    assert "go on with: sleap-lab experiment=demo" in output
    assert output.endswith("interrupted\n")
    assert not (tmp_path / "stopped.slp").exists()
    process = start(tmp_path, "stopped")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "predict hit, track miss" in output
    same_poses(tmp_path / "stopped.slp", undisturbed)
