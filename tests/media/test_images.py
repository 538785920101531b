import io
from pathlib import Path

import cv2
import numpy as np
import pytest
import sleap_io as sio
from PIL import Image

from sleap_lab.errors import RunError
from sleap_lab.media.images import (
    absent_images,
    ends_within_picture,
    is_there,
    naming_notes,
    orientation_notes,
)
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import DataConfig


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("1 2 3", None),
        ("f0_t001 f0_t003 f0_t005", None),
        ("01 02 05 06 07 09", "before 05.png, 09.png. Frames are counted without gaps."),
        ("3 17 44 95", None),  # chosen images
        ("s1_f9 s2_f1 s2_f2", None),
        ("a b c", None),
        ("18446744073709551617 18446744073709551618", None),
        ("f1 f2 background", "2 kinds of names: f#.png (2), background.png (1). All are frames"),
        ("t-1 t0 t1", "2 kinds of names: t#.png (2), t-#.png (1). All are frames"),
    ],
)
def test_names_tell_that_images_are_no_gapless_recording(names, said):
    notes = naming_notes([Path("/day") / f"{name}.png" for name in names.split()])
    if said is None:
        assert notes == []
    else:
        (note,) = notes
        assert note.startswith("/day")
        assert said in note


def test_missing_images_of_a_folder_are_told(tmp_path):
    for name in ("1", "2", "3", "5"):
        Image.new("L", (8, 6), int(name)).save(tmp_path / f"{name}.png")
    source = open_source(DataConfig(path=str(tmp_path)))
    assert source.frames[:, 1].tolist() == [0, 1, 2, 3]
    assert source.notes == (
        f"{tmp_path}: numbers are missing in the names of its images before 5.png. "
        "Frames are counted without gaps.",
    )


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


def test_an_interruption_while_a_note_is_looked_for_is_not_lost(photos, monkeypatch):
    def opened(name):
        raise OSError(name) from KeyboardInterrupt()

    monkeypatch.setattr(Image, "open", opened)
    with pytest.raises(KeyboardInterrupt):
        orientation_notes(sio.load_video(photos), [0])


def test_images_are_there_or_not(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((2, 3), dtype=np.uint8))
    (tmp_path / "1.png").write_text("version https://git-lfs.github.com/spec/v1\n")
    names = [str(tmp_path / name) for name in ("0.png", "1.png", "2.png", "x" * 300)]
    assert absent_images(names) == names[1:]
    assert not is_there(tmp_path)
    assert not is_there("a\0b")


def jpeg(**options):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", **options)
    return file.getvalue()


def with_thumbnail():
    """Return a JPEG file with a smaller one, and its end mark, in the header."""
    return jpeg(exif=b"Exif\0\0" + jpeg(quality=5))


@pytest.mark.parametrize(
    "whole",
    [
        jpeg(),
        jpeg(progressive=True),
        jpeg(restart_marker_blocks=2),
        with_thumbnail(),
        jpeg() + bytes(9),  # padding
        jpeg() + b"\xff\xda a film of the moment, as telephones put it there",
    ],
)
def test_a_jpeg_file_is_cut_short_where_its_picture_has_no_end(tmp_path, whole):
    file, end = tmp_path / "0.jpg", whole.rfind(b"\xff\xd9")
    file.write_bytes(whole)
    assert not ends_within_picture(file)
    for share in (0.1, 0.3, 0.6, 0.95, 1.0):
        file.write_bytes(whole[: int(share * end)])
        assert ends_within_picture(file)
        file.write_bytes(whole[: int(share * end)] + bytes(99))  # as on a full disk
        assert ends_within_picture(file)


def test_other_files_are_not_cut_short(tmp_path):
    file = tmp_path / "0.jpg"
    for content in (b"", b"\xff", b"a text", b"\x89PNG\r\n"):
        file.write_bytes(content)
        assert not ends_within_picture(file)


def test_an_image_that_is_cut_short_is_unreadable_and_its_neighbours_are_not(photos):
    Path(photos[1]).write_bytes(Path(photos[1]).read_bytes()[:-9])
    source = open_source(DataConfig(path=photos))
    assert [source.read(0, frame).shape for frame in (0, 2)] == [(20, 40, 1)] * 2
    with pytest.raises(RunError, match=r"frame 1 cannot be read \(its end marker is missing"):
        source.read(0, 1)
