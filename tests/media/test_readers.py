"""Frames by number, as a reader gives them."""

import numpy as np
import pytest

from sleap_lab.media.readers import (
    ArrayReader,
    CroppedReader,
    Levels,
    StoredReader,
    Unreadable,
    _plain,
    file_state,
    find_levels,
)

GRAY = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
"""One frame of 2 x 3 pixels."""


def colour(*channels):
    """One pixel."""
    return np.array([[channels]], dtype=np.uint8)


@pytest.mark.parametrize(
    ("pixel", "options", "expected"),
    [
        ((7,), {"gray": False}, [7]),
        ((7, 9), {"gray": False}, [7]),  # grey and transparency
        ((1, 2, 3), {"gray": False}, [1, 2, 3]),
        ((1, 2, 3, 9), {"gray": False}, [1, 2, 3]),
        ((1, 2, 3, 9), {"gray": False, "blue_first": True}, [3, 2, 1]),
        ((5, 5, 5), {"gray": True}, [5]),
        ((5, 5, 5), {"gray": False}, [5, 5, 5]),
        ((5, 5, 6), {"gray": True}, [5, 5, 6]),
    ],
)
def test_an_image_has_one_or_three_channels(pixel, options, expected):
    assert _plain(colour(*pixel), **options).tolist() == [[expected]]


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="an image of 5 channels"):
        _plain(colour(1, 2, 3, 4, 5), gray=False)


def test_an_image_without_pixels_is_refused():
    with pytest.raises(ValueError, match="an image of 0x5 px"):
        _plain(np.zeros((0, 5, 1), dtype=np.uint8), gray=True)


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_an_image_without_numbers_is_refused(number):
    with pytest.raises(ValueError, match="pixels that are no numbers"):
        _plain(np.array([[[0.5], [number]]]), gray=False)


def test_frames_of_an_array():
    reader = ArrayReader(GRAY)
    assert list(reader.numbers) == [0]
    assert reader.gray
    assert reader.read(0).tolist() == GRAY[0][..., None].tolist()
    coloured = ArrayReader(np.stack([colour(4, 4, 4), colour(4, 4, 5)]))
    assert not coloured.gray
    assert coloured.read(0).tolist() == [[[4, 4, 4]]]
    alike = ArrayReader(np.stack([colour(4, 4, 4), colour(5, 5, 5)]))
    assert alike.gray
    assert alike.read(1).tolist() == [[[5]]]
    assert not ArrayReader(np.zeros((0, 2, 2))).gray  # nothing was seen


def test_the_part_of_a_frame_that_a_crop_shows():
    reader = CroppedReader(ArrayReader(GRAY), (1, 0, 4, 2), 9)
    assert reader.read(0)[..., 0].tolist() == [[1, 2, 9], [4, 5, 9]]
    assert list(reader.numbers) == [0]
    assert (reader.gray, reader.problem, reader.state, reader.index) == (True, "", None, None)


def test_a_video_that_cannot_be_read_says_why():
    reader = Unreadable("it is broken")
    assert list(reader.numbers) == []
    with pytest.raises(ValueError, match="it is broken"):
        reader.read(0)


def test_the_state_of_a_file_is_its_size_and_time(tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"12345")
    assert file_state(str(file)) == (5, file.stat().st_mtime_ns)
    assert file_state(str(tmp_path / "other.mp4")) is None
    assert file_state([str(file)]) is None


class Stored(StoredReader):
    """Gives frames that are written down; a text stands for an error."""

    def __init__(self, *frames):
        self.frames = frames
        self.numbers = range(len(frames))

    def read(self, frame):
        found = self.frames[frame]
        if isinstance(found, str):
            raise ValueError(found)
        return np.array([[[found]]])


@pytest.mark.parametrize(
    ("frames", "white", "brightest"),
    [
        ([np.uint8(3)], 255, 255),
        ([np.uint16(3)], 255, 255),  # whole numbers are divided by 255, as in training
        ([np.uint16(256)], 255, 511),
        ([np.uint16(65535)], 255, 65535),
        ([np.float32(0.5)], 1, 1),
        ([np.float32(1.0)], 1, 1),
        ([np.float32(1.5)], 255, 255),
        ([np.float32(600.0)], 255, 1023),
        (["damaged", np.float32(0.5)], 1, 1),
        (["damaged"] * 10 + [np.float32(0.5)], 255, 255),  # after ten it is given up
        # The first frame may be black, or darker than others.
        ([np.float32(0), np.float32(99)], 255, 255),
        ([np.float32(0), np.float32(0.5)], 1, 1),
        ([np.uint16(0), np.uint16(4000)], 255, 4095),
        ([np.uint8(9), np.uint16(4000)], 255, 4095),
    ],
)
def test_a_few_frames_say_what_pixels_mean(frames, white, brightest):
    found = find_levels(Stored(*frames), np.arange(len(frames)))
    assert found == Levels(white, brightest)


def test_an_array_may_hold_fractions():
    assert find_levels(ArrayReader(GRAY / 255), np.arange(1)) == Levels(1, 1)
    assert find_levels(ArrayReader(GRAY), np.arange(1)) == Levels(255, 255)


def test_a_crop_of_fractions_holds_fractions():
    cropped = CroppedReader(ArrayReader(GRAY / 255), (0, 0, 2, 2), 0)
    assert find_levels(cropped, np.arange(1)) == Levels(1, 1)
