import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import imageio_ffmpeg
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media import from_videos
from sleap_lab.media.index import read_index
from sleap_lab.media.labels import save_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.settings.config import DataConfig

POSE = [[1, 1], [2, 2], [3, 3]]
# Frames of the first video of `labels_path`.
USER, PREDICTED, BOTH, SUGGESTED, EMPTY = (4, 2, 0, 5, 3)


@pytest.fixture
def labels_path(tmp_path, video_path, make_labels):
    """Labels of two videos.

    In file order: frames 4 and 0 of the first, 1 of the second, 2 and 3 of the first.
    """
    (tmp_path / "gray.mp4").write_bytes(video_path.read_bytes())
    labels = make_labels(
        [tmp_path / "gray.mp4", video_path],
        user=[(0, USER, POSE), (0, BOTH, POSE), (1, 1, POSE)],
        predicted=[(0, BOTH, POSE), (0, PREDICTED, POSE)],
        suggestions=[(0, SUGGESTED), (0, USER), (1, 0), (0, PREDICTED), (0, SUGGESTED)],
        empty=[(0, EMPTY)],
    )
    save_labels(labels, tmp_path / "labels.slp")
    return tmp_path / "labels.slp"


def frames_of(path, **options):
    return open_source(DataConfig(path=str(path), **options)).frames.tolist()


def refusal(path, error=ConfigError, **options):
    with pytest.raises(error) as caught:
        open_source(DataConfig(path=str(path), **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- videos


def test_a_video_is_all_its_frames(video_path):
    source = open_source(DataConfig(path=str(video_path)))
    assert source.frames.tolist() == [[0, i] for i in range(6)]
    assert source.frames.dtype == np.int64
    assert source.path == video_path
    assert [video.filename for video in source.videos] == [str(video_path)]
    assert source.labels is None
    assert source.truth is None


def test_what_counted_the_frames_of_a_video_reads_them(video_path, monkeypatch):
    opened, readers = from_videos.open_video, []

    def noted(*arguments, **options):
        video, reader = opened(*arguments, **options)
        readers.append(reader)
        return video, reader

    monkeypatch.setattr(from_videos, "open_video", noted)
    source = open_source(DataConfig(path=str(video_path)))
    assert [source.readers[0]] == readers


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5, 2), (2, 4, 5, 5), (1, 2, 4, 5, 3)])
def test_arrays_of_other_shapes_are_refused(shape):
    with pytest.raises(ConfigError, match="input_video: an array of the shape"):
        from_videos.source_of_array(np.zeros(shape), DataConfig())


@pytest.mark.parametrize("shape", [(4, 0, 0, 3), (4, 0, 5), (4, 5, 0, 1)])
def test_frames_of_an_array_without_pixels_are_refused(shape):
    with pytest.raises(ConfigError, match=r"frames of an array of the shape .* have no pixels"):
        from_videos.source_of_array(np.zeros(shape, np.uint8), DataConfig())


def test_a_single_image_is_no_video():
    with pytest.raises(ConfigError, match=r"\(24, 48, 3\) is a single image, .*image\[None\]"):
        from_videos.source_of_array(np.zeros((24, 48, 3), np.uint8), DataConfig())
    assert len(from_videos.source_of_array(np.zeros((1, 24, 48, 3)), DataConfig()).frames) == 1


def test_frames_of_a_video_are_frame_numbers(video_path, level_of):
    source = open_source(DataConfig(path=str(video_path), frames="5,1-2"))
    assert source.frames.tolist() == [[0, 5], [0, 1], [0, 2]]
    assert [level_of(source.read(*where)) for where in source.frames.tolist()] == [5, 1, 2]


def test_images_are_height_width_channels(video_path):
    assert open_source(DataConfig(path=str(video_path))).read(0, 0).shape == (48, 64, 1)


def test_a_frame_beyond_the_end_is_refused(video_path):
    assert (
        refusal(video_path, frames="2-6")
        == f"data.frames: frame 6 is out of range; {video_path} has frames 0-5"
    )


@pytest.mark.parametrize(
    "options",
    [
        {"only_labeled_frames": True},
        {"only_suggested_frames": True},
        {"exclude_user_labeled": True},
        {"only_predicted_frames": True},
    ],
)
def test_what_chooses_among_labels_is_refused_for_videos(video_path, options):
    (name,) = options
    assert (
        refusal(video_path, **options)
        == f"data.{name}: only for .slp files, data.path is {video_path}"
    )


def test_the_index_of_a_video_that_is_not_there_is_refused(video_path):
    assert (
        refusal(video_path, video_index=1)
        == f"data.video_index: {video_path} has no video 1; accepted: 0-0"
    )
    assert frames_of(video_path, video_index=0, frames="1") == [[0, 1]]


def test_a_video_without_a_model_is_refused(video_path):
    with pytest.raises(
        ConfigError, match=r"data.path: without a model it must be a .slp file, got .*gray\.mp4"
    ):
        open_source(DataConfig(path=str(video_path)), predicting=False)


def test_a_missing_file_is_named():
    assert refusal("/no/such.mp4", RunError) == "data.path: no such file: /no/such.mp4"
    assert refusal("/no/such.slp", RunError) == "data.path: no such file: /no/such.slp"


@pytest.mark.parametrize("name", ["text.mp4", "text.h5", "text.xyz"])
def test_what_is_no_video_is_named_with_what_would_be(tmp_path, name):
    path = tmp_path / name
    path.write_text("not a video")
    message = refusal(path, RunError)
    assert message.startswith(f"data.path: {path} cannot be read as a video")
    assert message.endswith("accepted: videos, image folders, .slp")


def test_settings_of_hdf5_videos_are_refused_for_others(video_path, labels_path):
    expected = f"data.video_dataset: only for HDF5 videos (.h5, .hdf5), data.path is {video_path}"
    assert refusal(video_path, video_dataset="pixels") == expected
    assert refusal(labels_path, video_input_format="channels_first").startswith(
        "data.video_input_format: only for HDF5 videos"
    )


def test_an_open_video_stands_for_the_path(video_path, level_of):
    video = sio.load_video(str(video_path))
    source = open_source(DataConfig(frames=[3]), data=video)
    assert source.videos == [video]
    assert level_of(source.read(0, 3)) == 3
    with pytest.raises(ConfigError, match=r"frame 9 is out of range; .*gray\.mp4 has frames 0-5"):
        open_source(DataConfig(frames=[9]), data=video)


def test_an_open_video_that_cannot_be_read_is_named():
    with pytest.raises(
        RunError,
        match=r"^data\.path: /no/such\.mp4 cannot be read as a video: it is not there; accepted",
    ):
        open_source(DataConfig(), data=sio.Video("/no/such.mp4"))


# ---- several videos


@pytest.fixture
def clips(tmp_path, video_path, write_h5):
    """A folder with a video of 6 frames, a broken video, and an HDF5 video of 3 frames.

    The HDF5 video has another size.
    """
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(video_path.read_bytes())
    (folder / "b.mp4").write_text("not a video")
    write_h5(np.zeros((3, 4, 6, 3), dtype=np.uint8), name="clips/c.h5")
    return folder


def test_several_videos_are_read_one_after_the_other(clips, level_of):
    source = open_source(DataConfig(path=[str(clips / "c.h5"), str(clips / "a.mp4")], frames="2,0"))
    assert source.frames.tolist() == [[0, 2], [0, 0], [1, 2], [1, 0]]
    assert [Path(video.filename).name for video in source.videos] == ["c.h5", "a.mp4"]
    assert source.path == Path(f"{clips / 'c.h5'} and 1 more")
    assert source.files == [clips / "c.h5", clips / "a.mp4"]
    frames = list(read_ahead(source, 2))
    assert [(frame.video, frame.index) for frame in frames] == [(0, 2), (0, 0), (1, 2), (1, 0)]
    assert [frame.image.shape for frame in frames] == [
        (4, 6, 1),
        (4, 6, 1),
        (48, 64, 1),
        (48, 64, 1),
    ]
    assert level_of(frames[2].image) == 2


def test_a_video_that_cannot_be_opened_is_listed_and_left_out(clips):
    source = open_source(DataConfig(path=str(clips / "*")))
    assert source.frames.tolist() == [[0, i] for i in range(6)] + [[1, i] for i in range(3)]
    assert [Path(video.filename).name for video in source.videos] == ["a.mp4", "c.h5"]
    ((path, problem),) = source.unreadable
    assert path == clips / "b.mp4"
    assert problem.startswith(f"{clips / 'b.mp4'} cannot be read as a video")


def test_it_is_an_error_when_no_video_can_be_opened(clips):
    (clips / "d.mp4").write_text("neither")
    message = refusal(clips / "[bd].mp4", RunError)
    assert message.startswith(
        "data.path: none of the 2 videos can be read; "
        f"the first: {clips / 'b.mp4'} cannot be read as a video"
    )


def test_frames_are_taken_of_each_video_as_far_as_it_goes(clips):
    source = open_source(DataConfig(path=str(clips / "[ac].*"), frames="1-4"))
    assert source.frames.tolist() == [[0, 1], [0, 2], [0, 3], [0, 4], [1, 1], [1, 2]]
    (note,) = source.notes
    assert note == (
        f"data.frames goes beyond the end of {clips / 'c.h5'} (frames 0-2): "
        "what they have of it was taken."
    )
    assert open_source(DataConfig(path=str(clips / "[ac].*"), frames="0-2")).notes == ()


def test_a_second_camera_in_a_file_is_said(video_path, tmp_path):
    path = tmp_path / "two cameras.mkv"
    twice = ["-i", video_path, "-map", "0:v", "-map", "0:v", "-c", "copy", path]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *twice], check=True)
    source = open_source(DataConfig(path=str(path)))
    assert len(source.frames) == 6
    assert source.notes == (
        f"{path} holds 2 video streams, of which the first is read. A file of the second alone: "
        f"ffmpeg -i '{path}' -map 0:V:1 -c copy '{tmp_path / 'two cameras.second.mkv'}'",
    )


def test_of_several_datasets_of_frames_the_one_that_is_read_is_said(write_h5):
    path = write_h5(np.zeros((2, 4, 6, 1), dtype=np.uint8), dataset="raw")
    with h5py.File(path, "a") as file:
        file["box"] = np.ones((3, 4, 6, 1), dtype=np.uint8)
    source = open_source(DataConfig(path=str(path)))
    assert len(source.frames) == 3
    assert source.notes == (
        f"{path} holds frames in 2 datasets: box, raw. The first is read; "
        "data.video_dataset names another.",
    )
    named = open_source(DataConfig(path=str(path), video_dataset="raw"))
    assert (len(named.frames), named.notes) == (2, ())


def test_a_frame_beyond_the_end_of_every_video_is_refused(clips):
    message = refusal(clips / "[ac].*", frames="4-6")
    assert message == (
        "data.frames: frame 6 is out of range; "
        f"the longest video, {clips / 'a.mp4'}, has frames 0-5"
    )


def test_one_of_several_videos_may_be_chosen(clips):
    source = open_source(DataConfig(path=str(clips / "[ac].*"), video_index=1, frames="0,2"))
    assert source.frames.tolist() == [[0, 0], [0, 2]]
    assert [Path(video.filename).name for video in source.videos] == ["c.h5"]
    # Only the chosen video needs to have them.
    assert refusal(clips / "[ac].*", video_index=1, frames="3").endswith("has frames 0-2")
    assert (
        refusal(clips / "[ac].*", video_index=2)
        == f"data.video_index: {clips / '[ac].*'} has no video 2; accepted: 0-1"
    )


def test_settings_of_hdf5_videos_hold_for_those_among_others(clips):
    source = open_source(
        DataConfig(path=str(clips / "[ac].*"), video_input_format="channels_first")
    )
    assert source.read(0, 0).shape == (48, 64, 1)
    # 4 channels, with transparency, of 6 x 3 pixels: dimensions were (4, 6, 3).
    assert source.read(1, 0).shape == (3, 6, 1)


def test_only_one_of_several_videos_is_held_open(clips):
    source = open_source(DataConfig(path=[str(clips / "c.h5"), str(clips / "a.mp4")]))
    assert [video.backend._open_reader for video in source.videos] == [None, None]
    held = [
        [video.backend._open_reader is not None for video in source.videos]
        for _ in read_ahead(source, 1)
    ]
    assert held[0][1] is False
    assert [video.backend._open_reader for video in source.videos] == [None, None]


# ---- what pixels mean


@pytest.mark.parametrize(
    ("first", "second", "white", "brightest"),
    [
        (np.float32(0.5), np.float32(1), 1, 1),  # fractions stay
        (
            np.float64(100),
            np.float64(0.5),
            255,
            255,
        ),  # a dark frame of a bright video means the same as in a bright frame
        (np.uint16(100), np.uint16(255), 255, 255),
        (np.uint16(3000), np.uint16(255), 255, 2**12 - 1),
        (np.int32(300), np.int32(9), 255, 2**9 - 1),
        (np.bool_(True), np.bool_(False), 1, 1),
    ],
)
def test_what_other_numbers_mean_is_decided_once_per_video(
    write_h5, first, second, white, brightest
):
    frames = np.stack([np.full((2, 3, 1), first), np.full((2, 3, 1), second)])
    source = open_source(DataConfig(path=str(write_h5(frames))))
    assert [source.pixels(0, i).dtype for i in (0, 1)] == [np.float32, np.float32]
    assert [source.pixels(0, i).max() for i in (0, 1)] == pytest.approx(
        [float(first) / white, float(second) / white]
    )
    assert [source.read(0, i).max() for i in (0, 1)] == [
        round(float(value) / brightest * 255) for value in (first, second)
    ]
    assert source.read(0, 0).dtype == np.uint8
    assert len(source.notes) == (brightest > white)
    if brightest > white:
        assert (
            f"frames.h5 holds numbers up to {brightest}; to the network 255 is white"
            in source.notes[0]
        )


def test_bytes_are_left_as_they_are(write_h5):
    source = open_source(DataConfig(path=str(write_h5(np.ones((1, 2, 3, 1), dtype=np.uint8)))))
    assert source.pixels(0, 0).dtype == np.uint8
    assert source.read(0, 0).max() == 1


# ---- labels


def test_labels_are_their_labeled_frames_in_file_order(labels_path):
    assert frames_of(labels_path) == [[0, USER], [0, BOTH], [1, 1], [0, PREDICTED], [0, EMPTY]]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("only_labeled_frames", [[0, USER], [0, BOTH], [1, 1]]),
        (
            "only_suggested_frames",
            [[0, SUGGESTED], [1, 0], [0, PREDICTED]],
        ),  # not labelled yet, each once, as suggested
        ("exclude_user_labeled", [[0, PREDICTED], [0, EMPTY]]),
        ("only_predicted_frames", [[0, BOTH], [0, PREDICTED]]),
    ],
)
def test_filters(labels_path, option, expected):
    assert frames_of(labels_path, **{option: True}) == expected


def test_frames_of_labels_are_positions_among_the_filtered(labels_path):
    assert frames_of(labels_path, frames="0,3-4") == [[0, USER], [0, PREDICTED], [0, EMPTY]]
    assert frames_of(labels_path, frames="2,0") == [[1, 1], [0, USER]]
    assert frames_of(labels_path, frames="1", only_predicted_frames=True) == [[0, PREDICTED]]
    assert frames_of(labels_path, frames="1", only_suggested_frames=True) == [[1, 0]]


def test_a_position_beyond_the_end_is_refused_with_the_way_to_frame_numbers(labels_path):
    message = refusal(labels_path, frames="0,2", exclude_user_labeled=True)
    assert message.startswith(
        f"data.frames: position 2 is out of range; {labels_path} has 2 such labeled frames."
    )
    assert message.endswith("for frame numbers of a video add data.video_index")


def test_a_video_of_labels_is_all_its_frames(labels_path, level_of):
    source = open_source(DataConfig(path=str(labels_path), video_index=1))
    assert source.frames.tolist() == [[0, i] for i in range(6)]
    assert len(source.videos) == 1
    assert level_of(source.read(0, 4)) == 4


def test_frames_of_a_video_of_labels_are_frame_numbers(labels_path):
    assert frames_of(labels_path, video_index=0, frames="5,0") == [[0, 5], [0, 0]]
    message = refusal(labels_path, video_index=1, frames="6")
    assert (
        message == f"data.frames: frame 6 is out of range; video 1 of {labels_path} has frames 0-5"
    )


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"video_index": 0, "only_labeled_frames": True},
            [BOTH, USER],
        ),  # in the order of the video
        ({"video_index": 1, "only_labeled_frames": True}, [1]),
        ({"video_index": 0, "only_suggested_frames": True}, [PREDICTED, SUGGESTED]),
        # the whole video but its user-labelled frames, as sleap-nn 0.3.5
        ({"video_index": 0, "exclude_user_labeled": True}, [1, PREDICTED, EMPTY, SUGGESTED]),
        ({"video_index": 1, "exclude_user_labeled": True}, [0, 2, 3, 4, 5]),
        ({"video_index": 0, "exclude_user_labeled": True, "frames": "4,0,1"}, [1]),
        ({"video_index": 0, "only_predicted_frames": True, "frames": "2-5,0"}, [PREDICTED, BOTH]),
    ],
)
def test_filters_hold_within_a_video_of_labels(labels_path, options, expected):
    assert frames_of(labels_path, **options) == [[0, frame] for frame in expected]


def test_labels_of_one_video_are_numbered_as_the_only_one(labels_path):
    source = open_source(DataConfig(path=str(labels_path), video_index=1))
    assert source.labels.video.tolist() == [0]
    assert source.labels.frame.tolist() == [1]
    assert source.labels.frames.tolist() == [[0, 1]]


def test_a_video_that_the_labels_lack_is_refused(labels_path):
    assert (
        refusal(labels_path, video_index=2)
        == f"data.video_index: {labels_path} has no video 2; accepted: 0-1"
    )


def test_a_video_of_labels_that_cannot_be_read_is_named(tmp_path, make_labels):
    save_labels(make_labels(["/no/such.mp4"], user=[(0, 0, POSE)]), tmp_path / "labels.slp")
    message = refusal(tmp_path / "labels.slp", RunError, video_index=0)
    assert message == (
        f"data.path: video 0 of {tmp_path / 'labels.slp'} cannot be read: /no/such.mp4 is not there"
    )


@pytest.mark.parametrize(
    ("options", "selection"),
    [
        ({"only_suggested_frames": True}, "data.only_suggested_frames=True"),
        ({"frames": []}, "data.frames=[]"),
        (
            {"video_index": 0, "only_predicted_frames": True},
            "data.video_index=0, data.only_predicted_frames=True",
        ),
        (
            {"video_index": 0, "frames": 0, "exclude_user_labeled": True},
            "data.frames=0, data.video_index=0, data.exclude_user_labeled=True",
        ),
    ],
)
def test_an_empty_selection_is_refused_and_spelled_out(
    tmp_path, video_path, make_labels, options, selection
):
    save_labels(make_labels([video_path], user=[(0, 0, POSE)]), tmp_path / "labels.slp")
    assert (
        refusal(tmp_path / "labels.slp", **options)
        == f"data: the selection holds no frame of {tmp_path / 'labels.slp'} ({selection})"
    )


def test_labels_without_frames_are_refused(tmp_path, video_path, make_labels):
    save_labels(make_labels([video_path]), tmp_path / "labels.slp")
    assert refusal(tmp_path / "labels.slp").endswith("(no filter)")


def test_truth_is_what_a_person_labelled(labels_path, tmp_path, video_path, make_labels):
    truth = open_source(DataConfig(path=str(labels_path))).truth
    assert truth.user.all()
    assert sorted(zip(truth.video.tolist(), truth.frame.tolist(), strict=True)) == [
        (0, BOTH),
        (0, USER),
        (1, 1),
    ]
    save_labels(make_labels([video_path], predicted=[(0, 0, POSE)]), tmp_path / "predictions.slp")
    assert open_source(DataConfig(path=str(tmp_path / "predictions.slp"))).truth is None


def test_open_labels_stand_for_the_path_and_are_left_as_they_are(labels_path):
    labels = sio.load_slp(str(labels_path))
    before = [len(frame.instances) for frame in labels]
    source = open_source(DataConfig(only_labeled_frames=True), data=labels)
    assert source.frames.tolist() == [[0, USER], [0, BOTH], [1, 1]]
    assert source.videos == labels.videos
    assert [len(frame.instances) for frame in labels] == before
    with pytest.raises(ConfigError, match=r"position 9 is out of range; .*labels\.slp has 5"):
        open_source(DataConfig(frames=[9]), data=labels)


# ---- labels that are not predicted on


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, USER], [0, BOTH], [1, 1], [0, PREDICTED], [0, EMPTY]]),
        ({"frames": "0-2"}, [[0, BOTH], [1, 1], [0, PREDICTED]]),  # frame numbers of any video
        ({"video_index": 1}, [[0, 1]]),
        ({"video_index": 0, "frames": "0,4"}, [[0, USER], [0, BOTH]]),
        ({"exclude_user_labeled": True}, [[0, PREDICTED], [0, EMPTY]]),
        ({"video_index": 0, "only_predicted_frames": True, "frames": "1-5"}, [[0, PREDICTED]]),
    ],
)
def test_without_a_model_only_labeled_frames_take_part(labels_path, options, expected):
    assert (
        open_source(DataConfig(path=str(labels_path), **options), predicting=False).frames.tolist()
        == expected
    )


def test_requested_frames_that_are_not_labeled_are_told(labels_path):
    def notes(frames):
        config = DataConfig(path=str(labels_path), video_index=0, frames=frames)
        return open_source(config, predicting=False).notes

    assert notes([USER, PREDICTED]) == ()
    assert notes([USER, 7, 6]) == (
        "data.frames: 2 of the 3 requested frames are no labeled frames of "
        f"{labels_path}, the first: 6. The others were taken.",
    )


def test_without_a_model_a_video_need_not_be_there(tmp_path, make_labels):
    save_labels(make_labels(["/no/such.mp4"], user=[(0, 7, POSE)]), tmp_path / "labels.slp")
    source = open_source(
        DataConfig(path=str(tmp_path / "labels.slp"), video_index=0), predicting=False
    )
    assert source.frames.tolist() == [[0, 7]]


# ---- packages


@pytest.mark.parametrize("content", [b"\0", b"\x89PNG\r\n\x1a\n and no more", b"text"])
def test_a_damaged_image_in_a_package_is_named_as_one(tmp_path, video_path, make_labels, content):
    package = tmp_path / "labels.pkg.slp"
    labels = make_labels([video_path], user=[(0, 4, POSE), (0, 1, POSE)])
    labels.save(str(package), embed=True, verbose=False)
    with h5py.File(package, "r+") as file:
        stored = file["video0/video"]
        stored[0] = np.resize(np.frombuffer(content, dtype=np.int8), stored.shape[1])
    source = open_source(DataConfig(path=str(package)))
    problems = [frame.problem for frame in read_ahead(source, 2) if frame.problem]
    assert problems == [
        f"{package}: frame 1 cannot be read "
        "(the image that is stored for it cannot be decoded; take the file from a backup)"
    ]


def test_frames_of_a_package_are_read_from_it(tmp_path, video_path, make_labels, level_of):
    (tmp_path / "copy.mp4").write_bytes(video_path.read_bytes())
    labels = make_labels([tmp_path / "copy.mp4"], user=[(0, 4, POSE), (0, 1, POSE)])
    labels.save(str(tmp_path / "labels.pkg.slp"), embed=True, verbose=False)
    (tmp_path / "copy.mp4").unlink()
    source = open_source(DataConfig(path=str(tmp_path / "labels.pkg.slp")))
    assert source.frames.tolist() == [[0, 4], [0, 1]]
    assert [level_of(source.read(*where)) for where in source.frames.tolist()] == [4, 1]
    chosen = open_source(DataConfig(path=str(tmp_path / "labels.pkg.slp"), video_index=0))
    # All frames that it holds of the video, under their original numbers.
    assert chosen.frames.tolist() == [[0, 1], [0, 4]]
    assert [level_of(chosen.read(*where)) for where in chosen.frames.tolist()] == [1, 4]
    message = refusal(tmp_path / "labels.pkg.slp", video_index=0, frames="0-1")
    assert message == (
        "data.frames: frame 0 is out of range; "
        f"video 0 of {tmp_path / 'labels.pkg.slp'} has frames 1, 4"
    )


# ---- reading


def test_a_frame_that_cannot_be_read_is_named(video_path, tmp_path):
    with pytest.raises(RunError, match=r"gray\.mp4: frame 99 cannot be read \(.+\)"):
        open_source(DataConfig(path=str(video_path))).read(0, 99)
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((5, 7, 3), dtype=np.uint8))
    (tmp_path / "1.png").write_bytes(b"broken")
    with pytest.raises(RunError) as caught:
        open_source(DataConfig(path=str(tmp_path))).read(0, 1)
    # The folder, not all its images.
    assert str(caught.value).startswith(f"{tmp_path}: frame 1 cannot be read")
    assert str(tmp_path / "1.png") in str(caught.value)


def test_how_a_recording_is_read_is_told(video_path, write_h5):
    (facts,) = open_source(DataConfig(path=str(video_path))).reading_facts()
    decoder, rate = facts.pop("decoder"), facts.pop("rate")
    assert decoder
    assert rate > 0
    assert facts == {
        "video": str(video_path),
        "frames": 6,
        "codec": "h264",
        "size": [48, 64],
        "missing": 0,
        "dropped": 0,
        "order": "by time stamps",
    }
    (facts,) = open_source(
        DataConfig(path=str(write_h5(np.zeros((2, 4, 6, 1), np.uint8))))
    ).reading_facts()
    assert facts.keys() == {"video", "decoder", "frames"}


def test_one_file_is_called_by_its_name_however_it_was_asked_for(tmp_path, video_path):
    path = tmp_path / "gray.mp4"
    path.write_bytes(video_path.read_bytes())
    for asked in (str(path), [str(path)], str(tmp_path / "*.mp4")):
        assert open_source(DataConfig(path=asked)).path == path
    other = tmp_path / "other.mp4"
    other.write_bytes(video_path.read_bytes())
    assert open_source(DataConfig(path=str(tmp_path / "*.mp4"))).path == tmp_path / "*.mp4"
    assert open_source(DataConfig(path=[str(path), str(other)])).path == Path(f"{path} and 1 more")


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"max_bad_share": 0.25}, False),
        ({"max_bad_share": 0.2}, True),
        ({"max_bad_share": 1, "on_bad_frame": "fail"}, True),
        ({"max_bad_share": 1, "on_bad_frame": "skip"}, False),
    ],
)
def test_labelled_frames_beyond_the_end_are_missing_before_the_run(
    tmp_path, video_path, make_labels, options, refused
):
    make_labels([video_path], user=[(0, frame, POSE) for frame in (0, 4, 5, 6)]).save(
        str(tmp_path / "a.slp"), verbose=False
    )
    config = DataConfig(path=str(tmp_path / "a.slp"), **options)
    said = f"{video_path} ends after frame 5: 1 of the 4 requested frames are missing."
    if refused:
        with pytest.raises(RunError) as caught:
            open_source(config)
        assert str(caught.value).startswith(
            f"data.path: {said} Copy the file again from where it was recorded"
        )
    else:
        source = open_source(config)
        assert source.notes == (said,)
        assert len(source.frames) == 4


def test_what_a_recording_lacks_is_noted_with_its_name(video_path):
    def index(path):
        return replace(
            read_index(path), empty=3, missing=2, short="it ends in the middle of a frame"
        )

    source = open_source(DataConfig(path=str(video_path), frames="0-5"), index=index)
    (note,) = source.notes
    assert note.startswith(f"{video_path} has 3 places where the recorder dropped a frame.")
    assert source.cut_short == ((video_path, "it ends in the middle of a frame"),)
    with pytest.raises(
        RunError,
        match=r"gray\.mp4 says it has 8 frames, but ends after frame 5: "
        r"2 of the 2 requested frames are missing",
    ):
        open_source(
            DataConfig(path=str(video_path), frames="6-7", on_bad_frame="fail"), index=index
        )


def test_what_pixels_mean_is_told_by_their_video_whichever_frames_are_asked_for(write_h5):
    first, second = (np.zeros((3, 4, 6, 1), np.uint16) for _ in range(2))
    first[:] = np.reshape([5000, 300, 9000], (3, 1, 1, 1))
    second[:] = np.reshape([5000, 1000, 900], (3, 1, 1, 1))
    source = open_source(
        DataConfig(path=[str(write_h5(first, "a.h5")), str(write_h5(second, "b.h5"))], frames="1-2")
    )
    assert [source.levels_of(i).brightest for i in (0, 1)] == [2**14 - 1, 2**13 - 1]


@pytest.mark.parametrize("predicting", [True, False])
def test_what_does_not_count_of_a_labels_file_is_noted_with_its_name(
    tmp_path, video_path, make_labels, predicting
):
    labels = make_labels([video_path], predicted=[(0, 0, [[1, 2], [3, 4], [5, 6]])])
    labels.skeletons.insert(0, sio.Skeleton(["other"]))
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    source = open_source(DataConfig(path=str(tmp_path / "a.slp")), predicting=predicting)
    assert source.notes == (
        f"{tmp_path / 'a.slp'}: no instance uses the skeleton with nodes other: it was left out.",
    )
    assert (source.project is None) is predicting


@pytest.mark.parametrize("predicting", [True, False])
def test_a_recording_that_is_in_a_project_twice_is_told(
    tmp_path, video_path, make_labels, predicting
):
    (tmp_path / "again.mp4").symlink_to(video_path)
    guesses = [(0, 0, POSE), (1, 1, POSE)]
    make_labels([video_path, tmp_path / "again.mp4", "gone.mp4"], predicted=guesses).save(
        str(tmp_path / "a.slp"), verbose=False
    )
    source = open_source(DataConfig(path=str(tmp_path / "a.slp")), predicting=predicting)
    (note,) = source.notes
    assert note.startswith(
        f"{tmp_path / 'a.slp'}: videos 0 and 1 are the same file, {video_path}: "
        "they count as different recordings, with tracks of their own."
    )
