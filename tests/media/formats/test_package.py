"""Images in a labels file are read back as they were, by sleap-io and by ourselves."""

import json

import h5py
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import RunError
from sleap_lab.media.formats.package import embed_images
from sleap_lab.media.labels import read_labels, save_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.config import DataConfig

HEIGHT, WIDTH = 24, 32


def image(frame, channels):
    """Return noise; the later the frame, the more of it, so that files get longer."""
    noise = np.random.default_rng(frame).integers(0, 256, (HEIGHT, WIDTH, channels), np.uint8)
    noise[4 * frame :] = 7
    return noise


@pytest.fixture
def labels(video_path):
    """Labels of frames 3 and 1 of one video and 2 of another; frame 4 of the first is suggested."""
    skeleton = sio.Skeleton(["a"])
    videos = [sio.Video(str(video_path), open_backend=False) for _ in range(3)]
    point = np.array([[1.0, 2.0]])
    frames = [
        sio.LabeledFrame(
            videos[i], n, [sio.PredictedInstance.from_numpy(point, skeleton=skeleton, score=0.5)]
        )
        for i, n in ((0, 3), (0, 1), (2, 2))
    ]
    suggestions = [sio.SuggestionFrame(videos[0], 4)]
    return sio.Labels(frames, videos=videos, skeletons=[skeleton], suggestions=suggestions)


@pytest.fixture
def package(labels, tmp_path):
    """Return a function that writes the labels with images of a number of channels."""

    def write(channels, name="p.pkg.slp"):
        path = tmp_path / name
        save_labels(
            labels,
            path,
            finish=lambda file: embed_images(file, labels, lambda video, n: image(n, channels)),
        )
        return path

    return write


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_those_that_were_read(package, channels):
    read = sio.load_slp(str(package(channels)))
    assert read.videos[0].backend.has_embedded_images
    for video, frame in ((0, 1), (0, 3), (0, 4), (2, 2)):
        np.testing.assert_array_equal(read.videos[video][frame], image(frame, channels))
    assert not read.videos[1].backend_metadata.get("has_embedded_images")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_package_is_a_source(package, channels):
    source = open_source(DataConfig(path=str(package(channels))))
    assert sorted(source.frames.tolist()) == [[0, 1], [0, 3], [2, 2]]
    np.testing.assert_array_equal(source.read(0, 3), image(3, channels))


def test_the_video_is_remembered(package, video_path):
    video = read_labels(package(3)).videos[0]
    assert video.source_video.filename == str(video_path)


def test_a_package_knows_itself_after_it_was_moved(package, tmp_path):
    path = package(1).rename(tmp_path / "moved.slp")
    with h5py.File(path) as file:
        assert json.loads(file["videos_json"][0])["filename"] == "."
    np.testing.assert_array_equal(sio.load_slp(str(path)).videos[0][3], image(3, 1))


def test_the_same_images_give_the_same_bytes(package):
    assert package(3, "a.slp").read_bytes() == package(3, "b.slp").read_bytes()


def test_long_lists_of_images_fit(labels, tmp_path, video_path):
    names = [str(video_path) for _ in range(2_000)]  # more than an attribute holds
    labels.replace_filenames(new_filenames=[names, str(video_path), str(video_path)])
    labels.videos[0].backend_metadata = {"type": "ImageVideo", "filename": names}
    save_labels(
        labels,
        tmp_path / "p.slp",
        finish=lambda file: embed_images(file, labels, lambda video, n: image(n, 1)),
    )
    read = sio.load_slp(str(tmp_path / "p.slp"), open_videos=False)
    assert len(read.videos[0].source_video.filename) == 2_000


def test_no_file_is_left_where_an_image_cannot_be_read(labels, tmp_path):
    def fail(video, frame):
        raise RunError("frame 1 cannot be read")

    with pytest.raises(RunError, match="frame 1"):
        save_labels(
            labels, tmp_path / "p.slp", finish=lambda file: embed_images(file, labels, fail)
        )
    assert not list(tmp_path.glob("*.slp"))
