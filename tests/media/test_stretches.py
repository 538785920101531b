import numpy as np
import pytest

from sleap_lab.media.source import Frame
from sleap_lab.media.stretches import LONG, Stretches

GENERATOR = np.random.default_rng(0)


def noise(height=40, width=60):
    return GENERATOR.integers(0, 255, (height, width, 1), dtype=np.uint8)


def told(images, *, first=0, video=0):
    """Return the notes on images that follow each other; None is a frame that could not be read."""
    stretches = Stretches()
    frames = [Frame(video, first + i, image) for i, image in enumerate(images)]
    assert list(stretches.watch(frames)) == frames
    return stretches.notes(["a.mp4", "b.mp4"])


def test_pictures_that_differ_are_not_told_of():
    assert told([noise() for _ in range(50)]) == []


@pytest.mark.parametrize(("count", "notes"), [(LONG - 1, 0), (LONG, 1)])
def test_only_long_stretches_are_told_of(count, notes):
    assert len(told([noise(), *[np.zeros((40, 60, 1), np.uint8)] * count, noise()])) == notes


def test_blank_pictures_of_any_value():
    black, orange = np.zeros((40, 60, 1), np.uint8), np.full((40, 60, 3), (250, 120, 10), np.uint8)
    for blank in (black, orange):
        (note,) = told([*[noise()] * 2, *[blank] * 12, noise()], first=100)
        assert note == (
            "12 frames of a.mp4 are blank, of one value everywhere: 102-113. "
            "Nothing can be found in them."
        )


def test_compression_leaves_blank_pictures_not_quite_even():
    assert (
        len(told([GENERATOR.integers(0, 5, (40, 60, 1), dtype=np.uint8) for _ in range(12)])) == 1
    )
    assert told([GENERATOR.integers(0, 7, (40, 60, 1), dtype=np.uint8) for _ in range(12)]) == []


def test_one_pixel_makes_a_picture_another():
    image = noise()
    other = image.copy()
    other[17, 23] ^= 1  # none of those that are looked at first
    assert told([image, other] * 20) == []
    (note,) = told([image] * 20)
    assert note.startswith(
        "19 frames of a.mp4 show the picture of the frame before, unchanged: 1-19."
    )


def test_several_stretches_are_one_note():
    images = [noise() for _ in range(3)]
    (note,) = told([*[images[0]] * 11, *[images[1]] * 12, images[2]], video=1)
    assert note.startswith(
        "21 frames of b.mp4 show the picture of the frame before, unchanged: 1-10, 12-22."
    )


def test_frames_that_do_not_follow_each_other_are_not_compared():
    image, stretches = noise(), Stretches()
    list(stretches.watch([Frame(0, i, image) for i in range(0, 60, 2)]))
    assert stretches.notes(["a.mp4"]) == []


def test_a_frame_that_cannot_be_read_ends_a_stretch():
    image = noise()
    assert told([image] * 9 + [None] + [image] * 9) == []


def test_several_sizes_of_a_video_are_told_once():
    (note,) = told([noise(), noise(), *[noise(20, 30), noise(), noise(10, 15)] * 3])
    assert note.startswith(
        "The frames of a.mp4 are of 3 sizes: 60x40, 30x20, 15x10 px; "
        "frame 2 is the first of another size."
    )
