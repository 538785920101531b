import base64
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.report import drawing, figures
from sleap_lab.report.frame_axis import frame_axis

AXIS = frame_axis(np.array([(0, frame) for frame in range(10)]))


@pytest.fixture(autouse=True)
def style():
    with drawing.house_style():
        yield


def tick_names(figure) -> list[str]:
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def bars(figure, row: int) -> list[tuple[float, float]]:
    """(from, to) of the bars of one row of a track timeline."""
    paths = figure.axes[0].collections[row].get_paths()
    return [(float(path.vertices[:, 0].min()), float(path.vertices[:, 0].max())) for path in paths]


def test_one_video_is_laid_out_by_frame_number():
    axis = frame_axis(np.array([(3, 20), (3, 5), (3, 10)]))
    assert axis.x.tolist() == [5, 10, 20]
    assert (axis.label, axis.borders) == ("Frame", ())


def test_several_videos_follow_each_other():
    axis = frame_axis(np.array([(1, 0), (0, 7), (0, 9), (1, 1)]))
    assert axis.frames.tolist() == [[0, 7], [0, 9], [1, 0], [1, 1]]
    assert axis.x.tolist() == [0, 1, 2, 3]
    assert axis.borders == (1.5,)


def test_videos_are_named_below_their_frames_as_far_as_there_is_room():
    frames = [(0, frame) for frame in range(300)] + [(2, 0)] + [(5, frame) for frame in range(300)]
    names = ("left.mp4", "unused", "tiny.mp4", "unused", "unused", "a" * 99)
    axis = frame_axis(np.array(frames), names)
    assert axis.names == ("left.mp4", "tiny.mp4", "a" * 99)
    axes = figures.instances_per_frame(axis, np.ones(601), None).axes[0]
    left, right = axes.texts
    assert (left.get_text(), left.xy[0]) == ("left.mp4", 149.75)
    assert right.get_text().endswith("a…")
    assert len(right.get_text()) < 50
    assert frame_axis(np.array(frames)).names == ()
    assert frame_axis(np.array([(0, 1)]), names).names == ()


frame_lists = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6)), max_size=12)


@given(frame_lists, st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 9)), max_size=12))
def test_index_finds_the_frame_or_says_that_it_is_not_there(frames, wanted):
    axis = frame_axis(np.array(frames, dtype=np.int64).reshape(-1, 2))
    places = {tuple(frame): place for place, frame in enumerate(axis.frames.tolist())}
    video, frame = np.array(wanted, dtype=np.int64).reshape(-1, 2).T
    assert axis.index(video.astype(np.int32), frame).tolist() == [
        places.get(pair, -1) for pair in wanted
    ]


def test_node_errors_show_median_quartiles_and_range():
    distances = np.stack([np.arange(101.0), np.full(101, np.nan)], axis=1)
    axes = figures.node_errors(["nose", "never seen"], distances).axes[0]
    whisker, median = axes.lines
    assert whisker.get_xdata().tolist() == [5, 95]
    assert median.get_xdata().tolist() == [50]
    (box,) = axes.patches
    assert (box.get_x(), box.get_width()) == (25, 75 - 25)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["nose", "never seen"]
    assert axes.get_xlabel() == "Error (px)"


def test_pck_names_the_worst_nodes():
    shares = np.array([[0.9, 1.0], [0.1, 0.3], [0.5, 0.7]])
    axes = figures.pck_curves(
        ["good", "_bad", "middling"], np.array([1.0, 2.0]), shares, highlighted=2
    ).axes[0]
    # means over the two thresholds: 0.95, 0.2, 0.6; over all: (0.95 + 0.2 + 0.6) / 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "mean of nodes (58.3%)",
        "_bad (20.0%)",
        "middling (60.0%)",
    ]


@pytest.mark.parametrize(
    ("errors", "scale"),
    [
        ([1.0] * 50, "linear"),
        ([1.0] * 49 + [9.0], "linear"),
        ([1.0] * 49 + [500.0], "symlog"),  # one pair far off
        ([0.0] * 49 + [np.nan], "linear"),  # perfect
    ],
)
def test_errors_over_frames_stay_readable_with_outliers(errors, scale):
    figure = figures.errors_over_frames(AXIS, np.arange(50) % 10, np.array(errors))
    axes = figure.axes[0]
    assert axes.get_yscale() == scale
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > np.nanmax(errors)
    assert drawing.data_uri(figure)


def test_errors_over_many_frames_have_their_median():
    axis = frame_axis(np.array([(0, frame) for frame in range(600)]))
    rising = np.arange(600.0)
    figure = figures.errors_over_frames(axis, np.arange(600), rising)
    (line,) = figure.axes[0].lines
    # sixty stretches of ten frames, in each of which error and frame rise together
    assert len(line.get_xdata()) == 60
    assert line.get_ydata() == pytest.approx(line.get_xdata(), abs=1)


def test_histogram_counts_every_finite_value():
    groups = {
        "matched": np.array([0.1, 0.2, 0.2, np.nan]),
        "extra": np.array([0.9]),
        "none": np.array([np.nan]),
    }
    axes = figures.histogram(groups, xlabel="Score", ylabel="Instances", limits=(0, 1)).axes[0]
    assert [sum(bar.get_height() for bar in container) for container in axes.containers] == [
        3,
        1,
        0,
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "matched (3)",
        "extra (1)",
    ]
    assert axes.get_xlim() == (0, 1)


def test_histogram_of_one_kind_needs_no_legend():
    assert (
        figures.histogram({"all": np.ones(3)}, xlabel="Score", ylabel="Instances")
        .axes[0]
        .get_legend()
        is None
    )


def test_instances_per_frame_leave_frames_without_truth_open():
    labelled = np.array([2.0, np.nan, *[1.0] * 8])
    axes = figures.instances_per_frame(AXIS, np.arange(10), labelled).axes[0]
    predicted, truth = axes.lines
    assert predicted.get_ydata().tolist() == list(range(10))
    np.testing.assert_equal(truth.get_ydata(), labelled)


def test_instances_of_a_long_video_are_summed_up():
    frames = 4 * figures.MAX_COLUMNS
    axis = frame_axis(np.array([(0, frame) for frame in range(frames)]))
    found = np.tile([0, 1, 2, 3], figures.MAX_COLUMNS)
    labelled = np.where(np.arange(frames) < frames // 2, found, np.nan)
    axes = figures.instances_per_frame(axis, found, labelled).axes[0]
    predicted, truth = axes.lines
    half = figures.MAX_COLUMNS // 2
    assert predicted.get_ydata().tolist() == [(0 + 1 + 2 + 3) / 4] * 2 * half
    np.testing.assert_equal(truth.get_ydata(), [1.5] * half + [np.nan] * half)
    assert predicted.get_label() == "predicted (mean and range of 4 frames)"
    band = axes.collections[1].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0, 3)


def test_nodes_found_in_per_cent():
    axes = figures.nodes_found(["a", "b"], np.array([1.0, 0.25])).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [100, 25]


def test_track_timeline_has_one_bar_for_consecutive_frames():
    # track 0: frames 0, 1 and 4; track 2: frame 9; nobody is track 1
    index, tracks = np.array([0, 1, 4, 9, 5]), np.array([0, 0, 0, 2, -1])
    figure = figures.track_timeline(AXIS, ["a", "b", "c"], index, tracks)
    assert tick_names(figure) == ["a (3)", "c (1)"]
    assert bars(figure, 0) == [(-0.5, 1.5), (3.5, 4.5)]
    assert bars(figure, 1) == [(8.5, 9.5)]


def test_track_timeline_counts_processed_frames_as_consecutive():
    every_tenth = frame_axis(np.array([(0, 10 * frame) for frame in range(10)]))
    figure = figures.track_timeline(every_tenth, ["a"], np.array([2, 3, 4]), np.zeros(3, int))
    assert bars(figure, 0) == [(20 - 5, 40 + 5)]


def test_track_timeline_shows_single_frames_of_long_videos():
    axis = frame_axis(np.array([(0, frame) for frame in range(100_001)]))
    figure = figures.track_timeline(axis, ["a"], np.array([0]), np.array([0]))
    assert bars(figure, 0) == [(-0.5, -0.5 + 100_000 / 500)]


def test_track_timeline_keeps_the_longest_tracks():
    index = np.array([0, *range(10)])
    tracks = np.array([0, *[1] * 9, 2])
    lots = np.concatenate([tracks, np.repeat(np.arange(3, 3 + figures.MAX_TRACK_ROWS), 2)])
    names = [f"t{track}" for track in range(lots.max() + 1)]
    index = np.concatenate([index, np.tile([3, 4], figures.MAX_TRACK_ROWS)])
    shown = tick_names(figures.track_timeline(AXIS, names, index, lots))
    assert len(shown) == figures.MAX_TRACK_ROWS
    assert shown[0] == "t1 (9)"
    assert "t0 (1)" not in shown


def test_calibration_has_one_point_per_group():
    scores = np.repeat([0.9, 0.1], 50)
    errors = np.concatenate([np.full(50, 1.0), np.linspace(0, 10, 50)])
    (axes,) = figures.calibration(scores, errors, groups=2).axes
    ninety, median = axes.lines
    np.testing.assert_allclose(median.get_xdata(), [0.1, 0.9])
    np.testing.assert_allclose(median.get_ydata(), [5, 1])
    np.testing.assert_allclose(ninety.get_ydata(), [9, 1])


def test_track_timeline_marks_identity_switches():
    axis = frame_axis(np.array([(0, frame) for frame in range(10)]))
    figure = figures.track_timeline(
        axis, ["a", "b"], np.arange(10), np.repeat([0, 1], 5), [(5, "b"), (7, "not drawn")]
    )
    marks = figure.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(marks, [[5, 1]])


def test_same_figure_gives_the_same_bytes():
    first, second = (
        drawing.data_uri(figures.nodes_found(["a"], np.ones(1)), kind) for kind in ("svg", "svg")
    )
    assert first == second
    assert drawing.data_uri(figures.nodes_found(["a"], np.ones(1)), "png").startswith(
        "data:image/png;base64,"
    )


def test_names_stay_text_in_the_drawing():
    uri = drawing.data_uri(figures.nodes_found(["</text><script>", "a$b$", "耳"], np.ones(3)))
    svg = ElementTree.fromstring(base64.b64decode(uri.partition(",")[2]))
    assert {"</text><script>", "a$b$", "耳"} <= {
        element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")
    }


def test_style_ends_with_the_block_and_ignores_the_users():
    with matplotlib.rc_context({"font.size": 33, "axes.titlecolor": "red"}):
        with drawing.house_style():
            assert matplotlib.rcParams["font.size"] == drawing.STYLE["font.size"]
            assert matplotlib.rcParams["axes.titlecolor"] == "auto"
        assert matplotlib.rcParams["font.size"] == 33
