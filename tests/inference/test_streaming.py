import sys

import matplotlib
import numpy as np
import pytest
import sleap_io as sio

import sleap_lab
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.inference import streaming
from sleap_lab.inference.streaming import PoseBatch, tidy
from sleap_lab.pipelines import precision
from sleap_lab.poses.record import Skeleton, make_poses

RED, GREEN, BLUE = [1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]
N = 5
OPTIONS = {"integral_refinement": None, "device": "cpu"}


def image(i):
    """A frame of 16 x 24 pixels: node a at (4 + 2 i, 6), node b below it."""
    pixels = np.zeros((16, 24, 3), dtype=np.uint8)
    pixels[6, 4 + 2 * i, 1] = pixels[10, 4 + 2 * i, 2] = 255
    return pixels


@pytest.fixture
def single(make_model):
    return make_model("single_instance", {"confmaps": [GREEN, BLUE]})


def points(batches):
    return np.concatenate([batch.poses.points for batch in batches])


EXPECTED = [[[4 + 2 * i, 6], [4 + 2 * i, 10]] for i in range(N)]


def test_a_file_a_video_an_array_and_a_camera_give_the_same(single, write_h5):
    frames = np.stack([image(i) for i in range(N)])
    path = write_h5(frames)
    for video in (str(path), path, sio.load_video(str(path)), frames, (f for f in frames)):
        batches = list(sleap_lab.stream(video, single, batch_size=2, **OPTIONS))
        assert [len(batch) for batch in batches] == [2, 2, 1]
        np.testing.assert_array_equal(points(batches), EXPECTED)
        np.testing.assert_array_equal(batches[1].images[1], image(3))


def test_the_poses_are_those_of_run_inference(single, write_h5):
    path = write_h5([image(i) for i in range(N)])
    labels = sleap_lab.run_inference(data_path=path, model_paths=single, **OPTIONS)
    expected = [instance.numpy() for frame in labels for instance in frame.instances]
    np.testing.assert_array_equal(points(sleap_lab.stream(path, single, **OPTIONS)), expected)


def test_poses_come_before_the_next_batch_is_taken(single):
    taken = []

    def camera():
        for i in range(N):
            taken.append(i)
            yield image(i)

    seen = []
    for batch in sleap_lab.stream(camera(), single, batch_size=2, **OPTIONS):
        seen.append((list(batch.poses.frames[:, 1]), len(taken)))
    assert seen == [([0, 1], 2), ([2, 3], 4), ([4], 5)]


def faster(monkeypatch, shift):
    """Let the device have a faster format that moves points by some px; return what is loaded."""
    monkeypatch.setattr(precision, "fast_precision", lambda device: "bf16")
    monkeypatch.setattr(precision, "largest_shift", lambda exact, other: shift)
    loaded, load = [], streaming.load_models

    def noted(truth, config):
        loaded.append(config.runtime.precision)
        return load(truth, config)

    monkeypatch.setattr(streaming, "load_models", noted)
    return loaded


@pytest.mark.parametrize("shift", [0.05, 0.2])
def test_the_first_batch_decides_on_a_faster_format(single, write_h5, monkeypatch, shift):
    loaded = faster(monkeypatch, shift)
    frames = np.stack([image(i) for i in range(N)])
    options = OPTIONS | {"precision": "auto", "batch_size": 2}
    for video in (str(write_h5(frames)), frames, (f for f in frames)):
        batches = list(sleap_lab.stream(video, single, **options))
        assert [len(batch) for batch in batches] == [2, 2, 1]
        np.testing.assert_array_equal(points(batches), EXPECTED)
    assert loaded == ["bf16" if shift < 0.1 else "32"] * 3


def test_deciding_takes_no_more_than_the_first_batch(single, monkeypatch):
    faster(monkeypatch, 0.0)
    taken = []

    def camera():
        for i in range(N):
            taken.append(i)
            yield image(i)

    stream = sleap_lab.stream(camera(), single, batch_size=2, precision="auto", **OPTIONS)
    assert (list(next(stream).poses.frames[:, 1]), taken) == ([0, 1], [0, 1])


def test_the_size_of_batches_can_be_chosen(single, write_h5, monkeypatch):
    frames = np.stack([image(i) for i in range(N)])
    for video in (str(write_h5(frames)), (f for f in frames)):
        batches = list(sleap_lab.stream(video, single, batch_size="auto", **OPTIONS))
        assert [len(batch) for batch in batches] == [4, 1]
        np.testing.assert_array_equal(points(batches), EXPECTED)


def test_frames_that_decide_are_taken_once_and_no_more_than_needed(single, monkeypatch):
    """Whatever asks for them: here for two, then for three, and those come first."""
    asked = []

    def settled_for(config, truth, first, frames):
        asked.extend([int(f.index) for f in first(n)] for n in (2, 3, 1))
        return config, []

    monkeypatch.setattr(streaming, "settled_for", settled_for)
    frames = [image(i) for i in range(N)]
    batches = list(sleap_lab.stream(iter(frames), single, batch_size=2, **OPTIONS))
    assert asked == [[0, 1], [0, 1, 2], [0]]
    assert [len(batch) for batch in batches] == [2, 2, 1]
    np.testing.assert_array_equal(points(batches), EXPECTED)


def test_a_camera_without_frames_decides_nothing(single, monkeypatch):
    loaded = faster(monkeypatch, 0.0)
    assert list(sleap_lab.stream(iter(()), single, precision="auto", **OPTIONS)) == []
    assert loaded == ["32"]


def test_leaving_early_ends_the_camera(single):
    ended = []

    def camera():
        try:
            for i in range(N):
                yield image(i)
        finally:
            ended.append(True)

    stream = sleap_lab.stream(camera(), single, batch_size=1, **OPTIONS)
    assert len(next(stream)) == 1
    stream.close()
    assert ended == [True]


def test_filters_apply(single, write_h5):
    path = write_h5([image(i) for i in range(N)])
    (batch,) = sleap_lab.stream(
        path, single, filter_min_instance_score=9.0, batch_size=N, **OPTIONS
    )
    assert len(batch.poses) == 0
    assert repr(batch) == "PoseBatch(frames 0-4, 0 instances of 2 nodes, 0 points)"


@pytest.mark.parametrize(
    ("video", "options", "message"),
    [
        (5, {}, "got int; accepted: a path"),
        (np.zeros((4, 4, 2, 7, 3)), {}, r"shape \(4, 4, 2, 7, 3\); accepted: \(frames, h, w\)"),
        (np.zeros((3, 8, 8), dtype=bool), {}, "an array of bool; accepted"),
        (None, {"precision": "64"}, r"runtime\.precision: got '?64'?"),
        ([5], {}, "^stream: data_path is int; accepted: a path"),
        (None, {"peak_treshold": 0.1}, "^stream has no argument 'peak_treshold'. Did you mean"),
        (None, {"tracking": True}, "no argument tracking; run_inference takes it"),
        (None, {"max_tracks": 2}, "no argument max_tracks"),
        (None, {"return_confmaps": True}, "no argument return_confmaps"),
        (None, {"output_path": "a.slp"}, "no argument output_path"),
    ],
)
def test_what_a_stream_does_not_take_is_refused_at_once(single, video, options, message):
    data = iter(()) if video is None else video
    with pytest.raises(ConfigError, match=message):
        sleap_lab.stream(data, single, **options)


def test_a_stream_needs_models():
    with pytest.raises(ConfigError, match="model_paths is empty"):
        sleap_lab.stream("clip.mp4", [])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"frame 0 is an array of uint8 of the shape \(4, 4, 2\)"),
        (np.zeros((0, 4), np.uint8), r"frame 0 has no pixels: its shape is \(0, 4, 1\)"),
        (np.zeros((0, 5, 3), np.uint8), r"frame 0 has no pixels: its shape is \(0, 5, 3\)"),
        (np.zeros((4, 4), np.uint16), "frame 0 is of uint16; accepted: uint8, or fractions"),
        ("text", "frame 0 is an array of <U4"),
    ],
)
def test_a_frame_that_is_none_is_refused(single, frame, message):
    with pytest.raises(RunError, match=message):
        next(sleap_lab.stream(iter([frame]), single, **OPTIONS))


def test_fractions_are_bright_as_bytes(make_model):
    gray = make_model("single_instance", {"confmaps": [[1.0, 0], [1.0, 0]]})
    frames = [image(i)[..., 1] for i in range(2)]
    whole = list(sleap_lab.stream(iter(frames), gray, **OPTIONS))
    parts = list(sleap_lab.stream(iter([f / 255 for f in frames]), gray, **OPTIONS))
    np.testing.assert_array_equal(points(whole), points(parts))


POSES = make_poses(
    Skeleton(("a", "b"), edges=((0, 1),)),
    [[[1, 2], [3, 4]], [[5, 6], [np.nan, np.nan]]],
    frame=[7, 7],
    tracks=[0, -1],
    track_names=["x"],
    point_scores=[[0.5, 0.25], [0.75, 0]],
    instance_scores=[0.5, 0.75],
    frames=[[0, 7], [0, 8]],
)


def test_a_tidy_table_has_a_row_per_node():
    table = {name: list(column) for name, column in tidy(POSES).items()}
    assert table["frame"] == [7] * 4
    assert table["instance"] == [0, 0, 1, 1]
    assert table["track"] == ["x", "x", None, None]
    assert table["node"] == ["a", "b"] * 2
    assert table["x"][:3] == [1, 3, 5]
    assert np.isnan(table["y"][3])
    assert table["score"] == [0.5, 0.25, 0.75, 0]
    assert table["instance_score"] == [0.5, 0.5, 0.75, 0.75]


def test_a_table_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RunError, match="pip install pandas"):
        PoseBatch(POSES, (None, None)).to_dataframe()


def test_a_table_is_one_of_pandas():
    pytest.importorskip("pandas")
    table = PoseBatch(POSES, (None, None)).to_dataframe()
    assert table.groupby("instance").x.count().tolist() == [2, 1]


def test_a_plot_shows_image_points_and_edges():
    matplotlib.use("Agg")
    axes = PoseBatch(POSES, (np.zeros((9, 9, 1), np.uint8), None)).plot()
    assert axes.get_title() == "frame 7"
    assert len(axes.images) == 1
    assert axes.lines[0].get_xydata().tolist() == [[1, 2], [3, 4]]
    assert len(axes.lines) == 4
    empty = PoseBatch(POSES, (None, None)).plot(1, axes.figure.add_subplot())
    assert (len(empty.images), len(empty.lines)) == (0, 0)
    matplotlib.pyplot.close("all")
