import cv2
import numpy as np
import pytest
import sleap_io as sio
from PIL import Image

from sleap_lab.media.images import absent_images, is_there, orientation_notes
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import DataConfig


@pytest.fixture
def photos(tmp_path):
    """Three images of 20 x 40 pixels, dark but for the upper left.

    The second is to be rotated by a quarter, the third has a note of no rotation.
    """
    picture = np.zeros((20, 40, 3), dtype=np.uint8)
    picture[:10, :20] = 250
    for i, orientation in enumerate((None, 6, 1)):
        exif = Image.Exif()
        if orientation is not None:
            exif[274] = orientation
        Image.fromarray(picture).save(tmp_path / f"{i}.jpg", exif=exif, quality=95)
    return [str(tmp_path / f"{i}.jpg") for i in range(3)]


@pytest.mark.parametrize("plugin", ["opencv", "imageio"])
def test_images_are_read_as_they_are_stored(photos, plugin):
    video = sio.load_video(photos, plugin=plugin)
    for i in range(3):
        assert video[i].shape == (20, 40, 1)
        assert video[i][:8, :16].min() > 200


def test_images_that_are_to_be_turned_are_named(photos):
    source = open_source(DataConfig(path=photos))
    (note,) = source.notes
    assert note.startswith(
        f"1 of 3 images, the first {photos[1]}, say that they are to be shown turned "
        "(EXIF orientation)."
    )
    assert source.read(0, 1).shape == (20, 40, 1)
    assert open_source(DataConfig(path=photos, frames="0,2")).notes == ()
    assert orientation_notes(sio.Video("a.mp4", open_backend=False), [0]) == []


def test_images_are_there_or_not(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((2, 3), dtype=np.uint8))
    (tmp_path / "1.png").write_text("version https://git-lfs.github.com/spec/v1\n")
    names = [str(tmp_path / name) for name in ("0.png", "1.png", "2.png", "x" * 300)]
    assert absent_images(names) == names[1:]
    assert not is_there(tmp_path)
    assert not is_there("a\0b")
