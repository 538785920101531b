import sys
from dataclasses import replace

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import RunError
from sleap_lab.media.labels import to_labels
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.report.overlay_video import (
    _write_above,
    with_pictures,
    worst_frames,
    write_clip,
    write_video,
)

PAIR = Skeleton(("a", "b"), ((0, 1),))


@pytest.fixture
def labels(write_h5):
    """One animal on each of 12 black frames with sides of an odd number of pixels."""
    frames = np.zeros((12, 51, 63, 1), dtype=np.uint8)
    video = sio.load_video(str(write_h5(frames)), dataset="images")
    points = [[[5, 10], [45, 10 + i]] for i in range(12)]
    return to_labels(
        make_poses(PAIR, points, frame=range(12), tracks=0, track_names=["t"]), [video]
    )


def drawn(path):
    """The places where something is drawn in the first frame of a video, and its shape."""
    video = sio.load_video(str(path))
    return video.shape, np.argwhere(video[0].max(axis=-1) > 100)


def test_a_clip_shows_the_frames_around_the_moments(labels, tmp_path):
    write_clip(labels, tmp_path / "clip.mp4", [(0, 1), (0, 9)], around=2)
    shape, places = drawn(tmp_path / "clip.mp4")
    assert shape[0] == 4 + 5  # frames 0 to 3 and 7 to 11
    assert (shape[1] >= 51, shape[2] >= 63, shape[1] % 2, shape[2] % 2) == (True, True, 0, 0)
    # a border is added, nothing is moved: the pose lies along y = 10
    assert abs(np.median(places[:, 0]) - 10) <= 1
    assert 1 <= places[:, 1].min() <= places[:, 1].max() <= 49  # nodes at 5 and 45, drawn 4 px wide


def test_a_track_keeps_its_colour_and_a_missing_node_its_edges(labels, tmp_path):
    labels[1].instances[0].points["xy"][1] = np.nan
    write_clip(labels, tmp_path / "clip.mp4", [(0, 1)], around=1)
    video = sio.load_video(str(tmp_path / "clip.mp4"))
    orange = np.array([230, 159, 0])  # the first of the report's palette
    for i in (0, 1, 2):
        assert (
            np.abs(video[i][10, 5].astype(int) - orange).max() < 60
        )  # colours are stored at half the resolution
    assert video[0][10, 25].max() > 100
    assert video[1][10, 25].max() < 30


def test_a_node_far_outside_costs_nothing(labels, tmp_path):
    labels[0].instances[0].points["xy"][1] = 1e12
    write_clip(labels, tmp_path / "clip.mp4", [(0, 0)], around=1)
    assert sio.load_video(str(tmp_path / "clip.mp4"))[0][10, 5].max() > 100


def test_nothing_of_the_system_is_needed_to_draw(labels, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skia", None)  # which needs libEGL
    assert write_video(labels, tmp_path / "overlay.mp4")


def test_frames_of_overlapping_moments_are_shown_once(labels, tmp_path):
    write_clip(labels, tmp_path / "clip.mp4", [(0, 4), (0, 5)], around=2)
    assert drawn(tmp_path / "clip.mp4")[0][0] == 6


def test_the_whole_video(labels, tmp_path):
    assert write_video(labels, tmp_path / "overlay.mp4") == [tmp_path / "overlay.mp4"]
    assert drawn(tmp_path / "overlay.mp4")[0][0] == 12


def test_every_video_has_a_file(labels, tmp_path, video_path):
    labels.videos.append(sio.load_video(str(video_path)))
    labels.labeled_frames.append(sio.LabeledFrame(labels.videos[1], 2, list(labels[0].instances)))
    assert [path.name for path in write_video(labels, tmp_path / "overlay.mp4")] == [
        "overlay.0.mp4",
        "overlay.1.mp4",
    ]
    write_clip(labels, tmp_path / "clip.mp4", [(0, 1), (1, 2)], around=1)
    assert drawn(tmp_path / "clip.mp4")[0][0] == 3 + 1


def test_misses_come_before_errors(poses, truth, evaluation, monkeypatch):
    # Frame 3 lacks a fly and frame 2 has one too many; frame 3 is farther off.
    monkeypatch.setattr("sleap_lab.report.overlay_video.AROUND", 0)
    assert worst_frames(poses, evaluation, count=2) == [(0, 2), (0, 3)]
    assert worst_frames(poses, evaluation, count=1) == [(0, 3)]


def test_without_an_evaluation_low_scores_come_first(poses, monkeypatch):
    monkeypatch.setattr("sleap_lab.report.overlay_video.AROUND", 0)
    assert worst_frames(poses, None, count=1) == [(0, 2)]  # the extra fly


def test_moments_lie_apart(poses, evaluation):
    assert worst_frames(poses, evaluation) == [(0, 3)]


def test_nothing_predicted_gives_no_moment(poses):
    assert worst_frames(replace(poses[:0]), None) == []


@pytest.mark.parametrize(
    "write", [write_video, lambda labels, path: write_clip(labels, path, [(0, 1)])]
)
def test_a_video_that_is_gone_is_named(labels, tmp_path, write):
    labels.videos[0].replace_filename("gone.mp4")
    with pytest.raises(RunError, match=r"output\.overlay_video: gone\.mp4 cannot be drawn over"):
        write(labels, tmp_path / "overlay.mp4")
    assert list(tmp_path.glob("*.mp4")) == []


def test_frames_may_be_read_by_a_function_and_are_black_where_it_fails(labels, tmp_path):
    def read(video, frame):
        if frame == 1:
            raise RunError("torn")
        return np.full((51, 63, 1), 10 * frame, dtype=np.uint8)

    write_video(with_pictures(labels, read), tmp_path / "overlay.mp4")
    video = sio.load_video(str(tmp_path / "overlay.mp4"))
    assert [round(float(np.median(video[i]))) for i in (0, 1, 2, 11)] == pytest.approx(
        [0, 0, 20, 110], abs=2
    )
    assert [len(frame.instances) for frame in labels] == [1] * 12


def test_a_video_that_is_gone_is_black_where_a_function_reads_it(labels, tmp_path):
    def read(video, frame):
        raise RunError("it is not there")

    labels.videos[0].replace_filename("gone.mp4")
    labels.videos[0].backend_metadata["shape"] = (12, 51, 63, 1)
    write_video(with_pictures(labels, read), tmp_path / "overlay.mp4")
    shape, places = drawn(tmp_path / "overlay.mp4")
    assert shape[0] == 12
    assert abs(np.median(places[:, 0]) - 10) <= 1  # the pose lies along y = 10


def test_names_of_tracks_and_numbers_of_frames_are_written():
    picture = np.zeros((200, 300, 3), np.uint8)
    _write_above(picture, "mouse", np.array([[150.0, 100.0], [np.nan, np.nan]]), "#ff0000")
    written = np.argwhere(picture[..., 0] > 100)
    assert len(written) > 0
    assert written[:, 0].max() < 100  # above the node, around its column
    assert written[:, 1].min() < 150 < written[:, 1].max()
    before = picture.copy()
    _write_above(picture, "lost", np.full((2, 2), np.nan), "#ff0000")
    _write_above(picture, "far", np.array([[1e12, -1e12]]), "#00ff00")  # stays in the picture
    assert (picture != before).any()
    small = np.zeros((60, 80, 3), np.uint8)
    _write_above(small, "mouse", np.array([[40.0, 40.0]]), "#ff0000")
    assert not small.any()  # it would cover everything
