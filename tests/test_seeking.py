"""Clips whose frames show their own numbers, whole and damaged."""

import shlex
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import sleap_io as sio
from sleap_io.io.video_writing import VideoWriter

from sleap_lab.config import DataConfig
from sleap_lab.errors import RunError
from sleap_lab.seeking import is_media, last_readable, order_problem, reencoding, seek_problem
from sleap_lab.sources import open_source
from sleap_lab.videos import open_video, read_pixels

COUNT = 40
LATE = "setpts='PTS+if(gt(N,9),0.7/TB,0)+if(gt(N,19),mod(N,3)*0.011/TB,0)'"  # no constant rate
FAST = ("-movflags", "+faststart")  # the index comes first, so that a file that was cut short still promises all frames


def picture(number):
    """A frame of 32 x 96 pixels that shows a number as six bars."""
    image = np.full((32, 96, 3), 60, dtype=np.uint8)
    for bit in range(6):
        image[4:28, 16 * bit + 2 : 16 * bit + 14] = 230 if number >> bit & 1 else 20
    return image


def number_of(image):
    return sum(int(image[8:24, 16 * bit + 5 : 16 * bit + 11].mean() > 125) << bit for bit in range(6))


@pytest.fixture
def clip(tmp_path):
    """Return a function that writes a clip of numbered frames."""

    def write(*options, name="clip.mp4", count=COUNT):
        with VideoWriter(tmp_path / name, output_params=["-g", "10", *options]) as writer:
            for i in range(count):
                writer.write_frame(picture(i))
        return tmp_path / name

    return write


@pytest.fixture
def uneven(clip):
    return clip("-vf", LATE, "-fps_mode", "passthrough", name="uneven.mp4")


@pytest.fixture
def cut(clip):
    """A clip that promises all its frames and ends in the middle."""
    path = clip(*FAST, name="cut.mp4")
    content = path.read_bytes()
    path.write_bytes(content[: (content.index(b"mdat") + len(content)) // 2])
    return path


def numbers(path):
    video = open_video(path)
    return {i: number_of(read_pixels(video, i)) for i in range(len(video))}


def true_end(video):
    """Return the first frame that cannot be read."""
    for i in range(len(video)):
        try:
            read_pixels(video, i)
        except (IndexError, ValueError):
            return i
    return len(video)


# ---- frames are where their numbers say


@pytest.mark.parametrize("options", [(), ("-bf", "3"), ("-x264-params", "open-gop=1:bframes=3"), ("-vf", "fps=24"), FAST])
@pytest.mark.parametrize("frames", [range(3, 30), (30, 5, 17), (39,)])
def test_good_clips_raise_no_warning(clip, options, frames):
    video = open_video(clip(*options))
    assert seek_problem(video, frames) is None
    for frame in (0, len(video) - 1):
        assert order_problem(video, frame, read_pixels(video, frame)) is None
    assert last_readable(video, list(range(len(video)))) == len(video)


def test_without_a_constant_rate_looking_for_a_frame_finds_another(uneven):
    video = open_video(uneven)
    problem = seek_problem(video, [30, 5])
    assert f"{uneven}: looking for frame " in problem
    assert problem.endswith(reencoding(uneven))
    assert numbers(uneven) == {i: i for i in range(COUNT)}  # in order they are right
    assert f"{uneven}: frame 39 read in order is not the one" in order_problem(video, 39, picture(39))


@pytest.mark.parametrize("count", [1, 12, COUNT])
def test_the_first_frames_in_order_need_no_test(uneven, count):
    assert seek_problem(open_video(uneven), range(count)) is None


def test_what_is_recommended_helps(uneven):
    command = shlex.split(reencoding(uneven))
    assert command[0] == "ffmpeg"
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *command[1:]], check=True)
    fixed = uneven.with_name("uneven.fixed.mp4")
    assert numbers(fixed) == {i: i for i in range(COUNT)}
    assert seek_problem(open_video(fixed), [30, 5]) is None


def test_the_command_is_quoted(tmp_path):
    assert shlex.split(reencoding(tmp_path / "it's a; clip.avi"))[2] == str(tmp_path / "it's a; clip.avi")


def test_the_source_tells_of_it(uneven):
    (note,) = open_source(DataConfig(path=str(uneven), frames="30,5")).notes
    assert "looking for frame" in note
    assert open_source(DataConfig(path=str(uneven))).notes == ()


def test_other_videos_are_not_tested(write_h5):
    video = open_video(write_h5(np.stack([picture(i) for i in range(3)])))
    assert not is_media(video)
    assert seek_problem(video, [2, 0]) is None
    assert last_readable(video, [0, 2]) == 2


# ---- a frame is the one that was asked for, or an error


def test_no_other_frame_comes_in_the_place_of_one_that_is_missing(cut):
    video = open_video(cut)
    came = {}
    for i in (*range(COUNT), 3, 35, 38, 4):
        try:
            came[i] = number_of(read_pixels(video, i))
        except (IndexError, ValueError):
            came[i] = None
    assert {shown for i, shown in came.items() if shown not in (i, None)} == set()
    assert came[3] == 3
    assert came[39] is None


# ---- where a video ends


def test_a_clip_that_was_cut_short_is_noticed(cut):
    video = open_video(cut)
    end = true_end(video)
    assert 5 < end < 35
    assert abs(last_readable(video, list(range(COUNT))) - end) <= 1
    assert last_readable(video, [0, 1, 5]) == 3
    assert last_readable(video, [0, 1, 5, 38, 39]) == 3
    assert last_readable(video, [38, 39]) == 0
    assert last_readable(video, []) == 0


def test_damage_in_the_middle_is_no_end(clip):
    path = clip(*FAST)
    content = bytearray(path.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)
    video = open_video(path)
    assert true_end(video) < COUNT
    assert last_readable(video, list(range(COUNT))) == COUNT


def test_a_run_ends_early_where_too_much_is_missing(cut):
    with pytest.raises(RunError) as caught:
        open_source(DataConfig(path=str(cut), max_bad_share=0.25))
    message = str(caught.value)
    assert message.startswith(f"data.path: {cut} says it has 40 frames, but nothing can be read after frame ")
    assert "of the 40 frames asked for are missing. Copy the file again" in message


def test_a_run_ends_early_where_nothing_may_be_missing(cut):
    with pytest.raises(RunError, match="nothing can be read after frame"):
        open_source(DataConfig(path=str(cut), on_bad_frame="fail"))
    assert len(open_source(DataConfig(path=str(cut), frames="0-3", on_bad_frame="fail")).frames) == 4


def test_it_goes_on_where_little_is_missing(cut):
    (note,) = open_source(DataConfig(path=str(cut), max_bad_share=1.0)).notes
    assert note.startswith(f"{cut} says it has 40 frames, but nothing can be read after frame ")
    assert note.endswith("of the 40 frames asked for are missing.")


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_clip_without_its_end_where_the_index_is_holds_nothing(clip, share):
    path = clip()
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(RunError, match=r"it holds no readable frame, as when recording or copying was cut short \(copy it again"):
        open_video(path)


def test_more_frames_than_bytes_are_not_believed(clip, monkeypatch):
    path = clip()
    monkeypatch.setattr(sio.io.video_reading.MediaVideo, "num_frames", 10**9)
    assert len(open_source(DataConfig(path=str(path), max_bad_share=1.0)).frames) == path.stat().st_size
