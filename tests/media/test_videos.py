import cv2
import h5py
import numpy as np
import pytest
import sleap_io as sio
import tifffile

from sleap_lab.errors import RunError
from sleap_lab.media.readers import Levels, find_levels
from sleap_lab.media.videos import frame_datasets, open_reader, open_video

GRAY = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6, 1)
RGB = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)


def frames_of(opened):
    _, reader = opened
    return np.stack([reader.read(frame) for frame in reader.numbers])


def images(folder, pictures):
    """Write (h, w, c) pictures, RGB or RGBA, as PNG files; return their paths."""
    paths = [folder / f"{i}.png" for i in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[picture.shape[2]]
        cv2.imwrite(str(path), picture[..., order])
    return tuple(paths)


# ---- HDF5


@pytest.mark.parametrize("frames", [GRAY, RGB], ids=["gray", "rgb"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_hdf5_videos(write_h5, frames, dtype):
    read = frames_of(open_video(write_h5(frames.astype(dtype), dataset="pixels")))
    np.testing.assert_array_equal(read, frames)
    assert read.dtype == dtype


@pytest.mark.parametrize("frames", [GRAY, RGB], ids=["gray", "rgb"])
def test_channels_first_hdf5_videos_are_turned(write_h5, frames):
    stored = frames.transpose(0, 3, 2, 1)  # frames, channels, width, height
    video, reader = open_video(write_h5(stored), input_format="channels_first")
    assert video.shape == (2, 4, 6, frames.shape[3])
    np.testing.assert_array_equal(frames_of((video, reader)), frames)
    reader.close()
    np.testing.assert_array_equal(
        frames_of((video, reader)), frames, err_msg="after its file was closed"
    )


def test_a_dataset_may_be_named(write_h5):
    path = write_h5(GRAY, dataset="a/first")
    with pytest.raises(
        RunError,
        match=r"frames\.h5 has no frames in the dataset 'a/frist'; accepted: a/first\. "
        r"Did you mean 'a/first'\?",
    ):
        open_video(path, dataset="a/frist")
    np.testing.assert_array_equal(frames_of(open_video(path, dataset="/a/first")), GRAY)


@pytest.mark.parametrize(
    ("frames", "held"),
    [(GRAY[..., 0], r"images \(2, 4, 6\)"), (GRAY[..., None], r"images \(2, 4, 6, 1, 1\)")],
)
def test_an_hdf5_file_without_frames_says_what_it_holds(write_h5, frames, held):
    with pytest.raises(
        RunError, match=rf"frames\.h5 holds no dataset of frames, with four axes; it holds {held}$"
    ):
        open_video(write_h5(frames))


def test_the_datasets_of_frames_of_a_file_are_known(write_h5):
    path = write_h5(GRAY, dataset="raw")
    with h5py.File(path, "a") as file:
        file["cut/box"], file["times"] = RGB, np.arange(2)
    assert frame_datasets(path) == ["cut/box", "raw"]
    assert open_video(path)[0].backend.dataset == "cut/box"


# ---- images


def test_the_first_image_may_be_broken(tmp_path):
    paths = images(tmp_path, [*RGB, *RGB])
    paths[0].write_bytes(b"")
    video, reader = open_video(paths)
    assert (video.shape, list(reader.numbers)) == ((4, 4, 6, 3), [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"0\.png"):
        reader.read(0)
    np.testing.assert_array_equal(reader.read(1), RGB[1])
    for path in paths:
        path.write_bytes(b"no picture")
    with pytest.raises(RunError, match="holds no readable frame"):
        open_video(paths)


@pytest.mark.parametrize("frames", [GRAY, RGB], ids=["gray", "rgb"])
def test_images_are_one_video_in_the_order_given(tmp_path, frames):
    paths = images(tmp_path, frames)
    video, reader = open_video(paths[::-1])
    np.testing.assert_array_equal(frames_of((video, reader)), frames[::-1])
    assert video.filename == [str(path) for path in paths[::-1]]


def test_transparency_is_left_out_and_colours_keep_their_order(tmp_path):
    transparent = np.concatenate([RGB, np.full((2, 4, 6, 1), 99, dtype=np.uint8)], axis=3)
    np.testing.assert_array_equal(frames_of(open_video(images(tmp_path, transparent))), RGB)


@pytest.mark.parametrize(("stored", "kept"), [(2, 1), (4, 3)])
def test_hdf5_videos_with_transparency(write_h5, stored, kept):
    frames = np.random.default_rng(0).integers(0, 255, (2, 4, 6, stored), dtype=np.uint8)
    np.testing.assert_array_equal(frames_of(open_video(write_h5(frames))), frames[..., :kept])


def test_other_numbers_of_channels_are_refused(write_h5):
    _, reader = open_video(
        write_h5(np.random.default_rng(0).integers(0, 255, (2, 4, 6, 5), dtype=np.uint8))
    )
    with pytest.raises(ValueError, match="an image of 5 channels; accepted: grey or RGB"):
        reader.read(0)


def test_images_of_16_bits_keep_them(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.full((2, 3), 3000, dtype=np.uint16))
    image = open_video((tmp_path / "0.png",))[1].read(0)
    assert image.dtype == np.uint16
    assert (image == 3000).all()


def test_tiff_stacks_are_read_where_their_axes_can_be_told(tmp_path):
    square = np.random.default_rng(0).integers(0, 255, (3, 5, 5), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "square.tif", square, photometric="minisblack")
    np.testing.assert_array_equal(frames_of(open_video(tmp_path / "square.tif"))[..., 0], square)
    tifffile.imwrite(tmp_path / "oblong.tif", square[:, :4], photometric="minisblack")
    with pytest.raises(
        RunError, match=r"oblong\.tif holds 3 pages that cannot be read one by one; convert it"
    ):
        open_video(tmp_path / "oblong.tif")


@pytest.mark.parametrize("shape", [(5, 5, 5), (3, 5, 6, 3), (4, 5, 6, 3)])
def test_pages_are_the_frames_or_are_refused(tmp_path, shape):
    pages = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", pages, photometric="minisblack" if len(shape) == 3 else "rgb"
    )
    if shape == (4, 5, 6, 3):
        np.testing.assert_array_equal(frames_of(open_video(tmp_path / "a.tif")), pages)
    else:  # as many frames of the same size could be cut along another axis, and are
        with pytest.raises(
            RunError, match=rf"a\.tif holds {shape[0]} pages that cannot be read one by one"
        ):
            open_video(tmp_path / "a.tif")


def test_tiff_stacks_are_no_images_of_one_video(tmp_path):
    for name, count in (("a.tif", 1), ("b.tif", 3)):
        tifffile.imwrite(
            tmp_path / name, np.zeros((count, 5, 5), dtype=np.uint8), photometric="minisblack"
        )
    with pytest.raises(RunError, match=r"b\.tif holds 3 pages"):
        open_video((tmp_path / "a.tif", tmp_path / "b.tif"))


def test_a_tiff_stack_with_one_page_in_its_table_is_refused(tmp_path):
    # ImageJ writes stacks of more than 4 GB so.
    stack = np.zeros((3, 5, 6), dtype=np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TYX"}, truncate=True
    )
    with pytest.raises(RunError, match=r"a\.tif holds 1 page, which cannot be read as one image"):
        open_video(tmp_path / "a.tif")


def test_tiff_images(tmp_path):
    tifffile.imwrite(tmp_path / "0.tif", GRAY[1, ..., 0])
    np.testing.assert_array_equal(frames_of(open_video(tmp_path / "0.tif")), GRAY[1:])


# ---- what cannot be read


@pytest.mark.parametrize("name", ["text.mp4", "text.h5", "text.xyz", "text.seq"])
def test_what_is_no_video_is_named(tmp_path, name):
    (tmp_path / name).write_text("not a video")
    with pytest.raises(
        RunError,
        match=rf"{name} cannot be read as a video.*; accepted: videos, image folders, \.slp$",
    ) as caught:
        open_video(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_images_are_named_by_their_folder(tmp_path):
    (tmp_path / "0.png").write_text("not an image")
    with pytest.raises(RunError, match=rf"^{tmp_path} cannot be read as a video"):
        open_video((tmp_path / "0.png",))


# ---- frames and levels


def test_a_video_that_is_not_there_has_no_frames(video_path):
    gone = open_reader(sio.Video("/no/such.mp4"))
    assert list(gone.numbers) == []
    with pytest.raises(ValueError, match=r"^it is not there$"):
        gone.read(0)
    assert list(open_reader(sio.Video(str(video_path))).numbers) == [0, 1, 2, 3, 4, 5]


def test_levels_are_those_of_the_video_whichever_frames_are_read(write_h5):
    _, video = open_video(write_h5(np.array([0.5, 99.0]).reshape(2, 1, 1, 1)))
    assert find_levels(video, np.array([0])) == Levels(255, 255)
    assert find_levels(video, np.array([7, 1])) == Levels(255, 255)
    _, video = open_video(write_h5(np.array([0.5, 1.0]).reshape(2, 1, 1, 1), "b.h5"))
    assert find_levels(video, np.array([0])) == Levels(1, 1)
    assert find_levels(video, np.array([], dtype=int)) == Levels()


def test_pixels_of_media_files_are_bytes(video_path):
    assert find_levels(open_reader(sio.Video(str(video_path))), np.array([0])) == Levels(255, 255)


def test_red_comes_first_in_video_files(tmp_path):
    orange = np.full((48, 64, 3), (250, 120, 10), dtype=np.uint8)
    sio.save_video([orange, orange], str(tmp_path / "orange.mp4"))
    image = open_video(tmp_path / "orange.mp4")[1].read(1)
    np.testing.assert_allclose(image, orange, atol=8)
    np.testing.assert_array_equal(image, sio.load_video(str(tmp_path / "orange.mp4"))[1])
    assert image.flags.c_contiguous


# ---- colour


def coloured(count, gray):
    """Frames of 32 x 48 pixels, orange, or gray where their numbers say so."""
    return [
        np.full((32, 48, 3), (90, 90, 90) if i in gray else (250, 120, 10), dtype=np.uint8)
        for i in range(count)
    ]


@pytest.mark.parametrize(("gray", "channels"), [((), 3), ((0,), 3), ((0, 1, 2), 3), (range(20), 1)])
def test_several_frames_decide_whether_a_recording_has_colour(tmp_path, gray, channels):
    sio.save_video(coloured(20, gray), str(tmp_path / "clip.mp4"))
    video, reader = open_video(tmp_path / "clip.mp4")
    assert {reader.read(i).shape for i in reader.numbers} == {(32, 48, channels)}
    assert video.shape == (20, 32, 48, channels)


@pytest.mark.parametrize(("gray", "channels"), [((), 3), ((0,), 3), (range(6), 1)])
def test_several_images_decide_whether_a_folder_has_colour(tmp_path, gray, channels):
    video, reader = open_video(images(tmp_path, coloured(6, gray)))
    assert {reader.read(i).shape for i in reader.numbers} == {(32, 48, channels)}
    assert video.shape == (6, 32, 48, channels)


def test_a_frame_with_colour_keeps_it_though_none_was_seen_in_others(tmp_path):
    frames = coloured(60, set(range(60)) - {20})  # which is none of those that are looked at
    sio.save_video(frames, str(tmp_path / "clip.mp4"))
    _, reader = open_video(tmp_path / "clip.mp4")
    assert [reader.read(i).shape[2] for i in (19, 20, 21)] == [1, 3, 1]
    np.testing.assert_allclose(reader.read(20)[16, 24], (250, 120, 10), atol=12)


def test_what_labels_say_of_colour_is_not_believed(tmp_path):
    sio.save_video(coloured(5, ()), str(tmp_path / "clip.mp4"))
    video = sio.Video.from_filename(str(tmp_path / "clip.mp4"), grayscale=True)
    assert open_reader(video).read(3).shape == (32, 48, 3)
