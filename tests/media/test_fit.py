import struct

import cv2
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.media import fit as fitting
from sleap_lab.media.fit import (
    Fit,
    fit,
    is_transposed,
    length_problem,
    read_media,
    size_problem,
    stored_of,
)
from sleap_lab.media.relink import relink

NO, ROUGHLY, EXACTLY = Fit.NO, Fit.ROUGHLY, Fit.EXACTLY


def closed(name="gone.mp4", **metadata):
    return sio.Video(filename=name, backend_metadata=metadata, open_backend=False)


@pytest.fixture(scope="module")
def orange(tmp_path_factory):
    """A video of 4 frames of 48 x 64 pixels in colour."""
    path = tmp_path_factory.mktemp("orange") / "orange.mp4"
    sio.save_video([np.full((48, 64, 3), (250, 120, 10), dtype=np.uint8)] * 4, str(path))
    return path


@pytest.mark.parametrize(
    ("shape", "last", "how", "problem"),
    [
        ((6, 48, 64, 1), 5, EXACTLY, ""),
        ((6, 48, 64, 1), -1, EXACTLY, ""),
        ((6, 64, 48, 1), 0, NO, "is another recording: 64x48 px instead of 48x64"),
        ((7, 48, 64, 1), 5, NO, "is another recording: 6 frames instead of 7"),
        ((5, 48, 64, 1), 4, NO, "is another recording: 6 frames instead of 5"),
        ((6, 48, 64, 1), 6, NO, "is another recording: 6 frames, and frame 6 is labeled"),
        (
            (6, 48, 64, 3),
            5,
            NO,
            "is another recording: it is gray, and the labels are of one in colour",
        ),
        ((None, 48, 64, 1), 5, ROUGHLY, ""),
        ((6, None, None, 1), 5, ROUGHLY, ""),
        (None, 5, ROUGHLY, ""),
        (None, 6, NO, "is another recording: 6 frames, and frame 6 is labeled"),
        ("nonsense", 5, ROUGHLY, ""),
    ],
)
def test_a_video_fits_what_labels_store_of_it(video_path, shape, last, how, problem):
    assert fit(closed(shape=shape), str(video_path), last) == (how, problem)


def test_colour_may_be_labeled_as_gray(orange):
    assert fit(closed(shape=(4, 48, 64, 1)), str(orange), 3) == (ROUGHLY, "")
    assert fit(closed(shape=(4, 48, 64, 3)), str(orange), 3) == (EXACTLY, "")


def test_where_a_header_has_no_count_that_of_the_labels_may_be_off_a_little(tmp_path, orange):
    import av

    with av.open(str(orange)) as source, av.open(str(tmp_path / "a.mkv"), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    assert read_media(tmp_path / "a.mkv").frames == 0
    assert read_media(tmp_path / "a.mkv").held == 4
    found = {
        count: fit(closed(shape=(count, 48, 64, 3)), str(tmp_path / "a.mkv"), 1)[0]
        for count in (4, 5, 8)
    }
    assert (found[4], found[8]) == (EXACTLY, NO)
    assert found[5] != NO


def test_a_turned_video_has_the_size_that_is_shown(tmp_path, orange):
    content = bytearray(orange.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # of the header of the track
    content[matrix : matrix + 36] = struct.pack(
        ">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30
    )
    (tmp_path / "turned.mp4").write_bytes(content)
    assert read_media(tmp_path / "turned.mp4")[:2] == (64, 48)
    assert fit(closed(shape=(4, 64, 48, 3)), str(tmp_path / "turned.mp4"), 3) == (EXACTLY, "")
    labels = sio.Labels(videos=[closed(str(tmp_path / "turned.mp4"), shape=(4, 64, 48, 3))])
    relink(labels, tmp_path / "a.slp")
    assert size_problem(labels.videos[0]) is None
    # Some readers leave the turn out; then labels are of a picture that is never read.
    labels = sio.Labels(videos=[closed(str(tmp_path / "turned.mp4"), shape=(4, 48, 64, 3))])
    relink(labels, tmp_path / "a.slp")
    assert size_problem(labels.videos[0]) == "48x64 px instead of 64x48"
    assert is_transposed(labels.videos[0], 64, 48)
    assert not is_transposed(labels.videos[0], 48, 64)


@pytest.mark.parametrize(
    ("stored", "problem"),
    [(6, None), (None, None), (12, "6 frames instead of 12"), (5, "6 frames instead of 5")],
)
def test_a_recording_with_other_frames_than_labels_store_is_told(video_path, stored, problem):
    assert length_problem(closed(str(video_path), shape=(stored, 48, 64, 1)), 6) == problem


def test_the_number_of_a_wrong_header_is_no_other_recording(video_path):
    # The header says 6; labels that were made with a reader that counts, or that believes it.
    assert length_problem(closed(str(video_path), shape=(6, 48, 64, 1)), 9) is None
    assert length_problem(closed(str(video_path), shape=(9, 48, 64, 1)), 9) is None


def test_sizes_of_older_labels_are_those_of_the_reader(tmp_path):
    assert stored_of(closed(height_=4, width_=6, channels_=None)) == (None, 4, 6, None)
    # For a crop, the size of the whole image.
    assert stored_of(closed(shape=(3, 2, 2, 1), source_shape=[3, 4, 6, 1])) == (3, 4, 6, 1)
    assert stored_of(closed(shape=(0, True, -1, 2.5))) == (None, 1, None, None)


def test_arrays_fit_by_their_numbers(write_h5):
    path = str(write_h5(np.zeros((3, 4, 6, 1), dtype=np.uint8)))
    options = {"dataset": "images", "filename": "gone.h5"}
    assert fit(closed(shape=(3, 4, 6, 1), **options), path, 2) == (EXACTLY, "")
    assert fit(closed(shape=(4, 4, 6, 1), **options), path, 2) == (
        NO,
        "is another recording: 3 frames instead of 4",
    )
    assert fit(closed(**options), path, 3) == (
        NO,
        "is another recording: 3 frames, and frame 3 is labeled",
    )
    assert fit(closed(shape=(3, 6, 4, 1), **options), path, 2)[0] is NO


def test_what_cannot_be_read_does_not_fit(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    how, problem = fit(closed(), str(tmp_path / "a.mp4"), -1)
    assert how is NO
    assert problem.startswith("cannot be read (")


def test_an_interruption_while_a_size_is_read_is_not_lost(video_path, monkeypatch):
    def first_size(file):
        raise OSError(file) from KeyboardInterrupt()

    labels = sio.Labels(videos=[closed(str(video_path), shape=(6, 48, 64, 1))])
    relink(labels, video_path.parent / "a.slp")
    monkeypatch.setattr(fitting, "_first_size", first_size)
    with pytest.raises(KeyboardInterrupt):
        size_problem(labels.videos[0])


def test_an_open_video_of_another_size_is_told(video_path):
    for shape, problem in (
        ((6, 48, 64, 1), None),
        (None, None),
        ((6, 48, 32, 1), "64x48 px instead of 32x48"),
    ):
        labels = sio.Labels(videos=[closed(str(video_path))])
        relink(labels, video_path.parent / "a.slp")
        labels.videos[0].backend_metadata["shape"] = shape
        assert size_problem(labels.videos[0]) == problem


def test_images_have_the_size_of_the_first(tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((5, 7, 3), dtype=np.uint8))
    video = closed(["gone/0.png"], shape=(1, 5, 7, 1))
    assert fit(video, [str(tmp_path / "0.png")], 0) == (EXACTLY, "")
    assert fit(video, [str(tmp_path / "0.png")], 1)[0] is NO
