"""Frame k is frame k: a representative part of the recordings.

`python -m scripts.recordings` makes and reads all of them.
"""

import shutil
from pathlib import Path

import pytest

from scripts.footage.checking import GOOD, check, check_command
from scripts.footage.making import make
from scripts.footage.recipes import named

pytestmark = pytest.mark.skipif(
    shutil.which("ffmpeg") is None,
    reason="ffmpeg makes these recordings; on Debian: apt-get install ffmpeg",
)
PART = (
    *(
        "h264.mp4",
        "h264_live.mkv",
        "h264_interlaced.mp4",
        "mpeg4_b.avi",
        "vp9_hidden.webm",
        "av1.mp4",
        "turned_90.mp4",
    ),
    *("gap.mp4", "slow_fast.mkv", "late.ts", "trimmed.mp4", "sound_longer.mkv", "larger.mkv"),
    *("says_fewer.avi", "empty_chunks.avi", "cut.mp4", "cut_faststart.mp4", "bad_key.mp4"),
    *("xvid.avi", "h264_refresh.mp4", "bad_p.mp4", "bad_mjpeg.avi", "bad_ffv1.mkv", "live.avi"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.mark.parametrize("name", PART)
def test_frame_k_is_frame_k_or_named(folder: Path, name: str) -> None:
    recording = named(name)
    outcome = check(recording, make(recording, folder))
    assert outcome.verdict is GOOD[recording.expect], outcome


@pytest.mark.parametrize("name", ["gap.mp4", "bad_key.mp4", "cut.mp4"])
def test_the_command_ends_as_the_table_says(folder: Path, name: str) -> None:
    recording = named(name)
    assert check_command(recording, make(recording, folder)) is None
