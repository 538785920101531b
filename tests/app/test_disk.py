"""A full disk, folders without write permission, a video that disappears.

The run says so in one line, damages nothing, and goes on.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from sleap_lab.media.labels import read_labels, to_poses

QUIET = ("report=none", "logger=none")
BIND = """
import ctypes, os, resource, sys
DROP_FROM_BOUNDING_SET, OVERRIDE_PERMISSIONS = 24, 1  # of prctl and its capabilities
ctypes.CDLL(None).prctl(DROP_FROM_BOUNDING_SET, OVERRIDE_PERMISSIONS, 0, 0, 0)
if sys.argv[1] != "unlimited":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Gives up the right to ignore permissions, and limits the size of files, before the command.

Code between fork and exec could wait for a lock that another thread holds.
"""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="uses limits and permissions as Linux has them"
)


def begin(*words, cwd, limit=None, program=("-m", "sleap_lab")):
    """Start the command as a user whom permissions bind, even as root, with a limited file size."""
    words = [
        sys.executable,
        "-c",
        BIND,
        "unlimited" if limit is None else str(limit),
        sys.executable,
        *program,
        *words,
    ]
    # Without git: the difference of a checkout is no large file of its own.
    here = {
        **os.environ,
        "PATH": "",
    }
    return subprocess.Popen(
        words, cwd=cwd, env=here, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    """Return the exit code and the lines of the messages."""
    err = process.communicate(timeout=300)[1]
    return process.returncode, err.splitlines()


@pytest.fixture
def words(demo):
    return (f"data.path={demo.truth}", "model=none", "tracker=local_queues", *QUIET)


@pytest.fixture
def locked(tmp_path):
    """A folder that may only be read."""
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_a_full_disk_is_one_line_and_the_file_from_before_stays(words, tmp_path):
    words = (*words, "cache=off", "output.path=poses.slp")
    assert finish(begin(*words, "tracker.tracking_window_size=9", cwd=tmp_path)) == (0, [])
    before = (tmp_path / "poses.slp").read_bytes()
    shutil.rmtree(tmp_path / "outputs")
    code, said = finish(begin(*words, cwd=tmp_path, limit=50_000))
    assert (code, said) == (
        1,
        [f"error: {tmp_path / 'poses.slp'}: cannot be written (File too large)"],
    )
    assert (tmp_path / "poses.slp").read_bytes() == before
    (record,) = tmp_path.glob("outputs/*/*/run.json")
    run = json.loads(record.read_text())
    assert (run["status"], run["error"]) == ("failed", said[0].removeprefix("error: "))
    assert not list(tmp_path.rglob(".poses*"))
    code, said = finish(begin(*words, cwd=tmp_path))
    assert code == 0
    assert "it is kept as poses.slp.bak" in said[-1]  # it holds poses of a person
    assert (tmp_path / "poses.slp.bak").read_bytes() == before
    assert len(to_poses(read_labels(tmp_path / "poses.slp"))) > 0


def test_a_disk_without_any_room_is_one_line(words, tmp_path):
    code, (said,) = finish(begin(*words, cwd=tmp_path, limit=100))
    assert code == 1
    assert said.startswith("error: outputs/")
    assert said.endswith(": cannot be written to (File too large)")


def test_a_folder_that_may_only_be_read_is_told_before_the_run(words, locked, tmp_path):
    code, (said,) = finish(begin(*words, cwd=locked))
    assert code == 1
    assert said.startswith(f"error: {locked / 'outputs'}: no folder for results can be made here")
    code, (said,) = finish(begin(*words, "output.path=locked/poses.slp", cwd=tmp_path))
    assert code == 2
    assert said.startswith("error: output.path: ")
    assert not (tmp_path / "outputs").exists()


def test_a_cache_that_may_only_be_read_is_a_warning(words, locked, tmp_path):
    code, (said,) = finish(begin(*words, "cache_dir=locked/cache", cwd=tmp_path))
    assert code == 0
    assert said == (
        f"warning: cache_dir: {locked / 'cache'} cannot be written to (Permission denied); "
        "nothing is stored"
    )


@pytest.fixture
def under_way(demo, waiting_run, wait_for, tmp_path):
    """A run that has stored a chunk and waits, and its words; its video can be taken away."""
    shutil.copy(demo.clip, tmp_path / "video.mp4")
    line = (
        "data.path=video.mp4",
        "data.frames=0-99",
        demo.paths,
        "runtime.device=cpu",
        "runtime.num_threads=1",
        "runtime.queue_maxsize=1",
        "output.path=poses.slp",
    )
    process = begin(*line, *QUIET, cwd=tmp_path, program=(waiting_run,))
    wait_for((tmp_path / "waits").exists, process)
    return process, (*line, *QUIET)


def test_a_video_that_is_cut_short_meanwhile_ends_the_run_which_goes_on_when_it_is_back(
    demo, under_way, tmp_path
):
    """Takes seven seconds: a run of the demo that ends, and one that goes on."""
    process, line = under_way
    video = tmp_path / "video.mp4"
    with open(video, "rb+") as file:
        file.truncate(1000)
    (tmp_path / "waits").unlink()
    code, said = finish(process)
    assert (code, said[-1]) == (
        1,
        f"error: {video}: it has changed, or is gone, since the run began; "
        "put it back, and run the same command again",
    )
    shutil.copy(demo.clip, video)
    assert finish(begin(*line, cwd=tmp_path))[0] == 0
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.copy(video, whole)
    assert finish(begin(*line, cwd=whole))[0] == 0
    again, expected = (
        to_poses(read_labels(folder / "poses.slp")).to_arrays() for folder in (tmp_path, whole)
    )
    for name, array in expected.items():
        assert array.tobytes() == again[name].tobytes(), name
