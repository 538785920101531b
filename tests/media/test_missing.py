"""Videos that are not there."""

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.media.missing import (
    IS_ADDRESS,
    NO_FILE,
    NOT_THERE,
    MissingVideo,
    PartialVideo,
    absence_of,
    lacking,
    missing_frames,
)


@pytest.fixture
def images(tmp_path):
    """Return the names of four images, of which the second and the last do not exist."""
    from PIL import Image

    names = [str(tmp_path / f"{number}.png") for number in range(4)]
    for name in names[::2]:
        Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(name)
    return names


def test_why_there_is_no_video_at_a_place(tmp_path):
    file = tmp_path / "clip.mp4"
    file.write_bytes(b"1")
    assert absence_of(str(file)) is None
    assert absence_of(str(tmp_path)) is None  # a folder of images
    assert absence_of(str(tmp_path / "other.mp4")) == NOT_THERE
    assert absence_of(str(tmp_path / ("x" * 5000))) == NOT_THERE
    assert absence_of("a\0b") == NOT_THERE
    assert absence_of("/dev/null") == NO_FILE


def test_all_frames_of_a_missing_file_are_missing(tmp_path):
    name = str(tmp_path / "clip.mp4")
    assert missing_frames(sio.Video(name, open_backend=False), [3, 5]) == (2, NOT_THERE)
    (tmp_path / "clip.mp4").write_bytes(b"1")
    assert missing_frames(sio.Video(name, open_backend=False), [3, 5]) == (0, "")
    address = sio.Video("https://lab.org/clip.mp4", open_backend=False)
    assert missing_frames(address, [1]) == (1, IS_ADDRESS)


def test_a_video_that_does_not_fit_gives_its_reason():
    video = MissingVideo("clip.mp4", open_backend=False)
    assert missing_frames(video, range(3)) == (3, "is not there")
    video.reason = "has other frames"
    assert missing_frames(video, range(3)) == (3, "has other frames")
    assert not video.exists()
    with pytest.raises(ValueError, match="it has other frames"):
        video[0]
    assert PartialVideo(["a.png"], open_backend=False).exists()


def test_of_images_those_that_are_requested_count(images):
    video = sio.Video(images, open_backend=False)
    found = missing_frames(video, [0, 1, 2, 3])
    assert found == (2, f"lacks 2 of 4 images, the first: {images[1]}")
    assert missing_frames(video, [0, 2]) == (0, "")
    assert missing_frames(video, [3, 0]) == (1, f"lacks 1 of 2 images, the first: {images[3]}")
    # A number beyond the last image is no image.
    assert missing_frames(video, [0, 9]) == (1, "lacks 1 of 2 images, the first: number 9")


def test_what_is_lacking_in_words():
    assert lacking(["b", "d"], "abcd") == "lacks 2 of 4 images, the first: b"
