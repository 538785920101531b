import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sleap_lab.poses.record import COLUMNS, Gathering, Poses, Skeleton, concatenate, make_poses

NAN = np.nan
AB = Skeleton(("a", "b"), edges=((0, 1),))


def two_videos():
    """Instances 0-3 in frames (0, 5), (1, 2), (0, 5) and (0, 1); frame (0, 9) is empty."""
    return make_poses(
        AB,
        [[[0, 0], [1, 1]], [[2, 2], [NAN, NAN]], [[3, 3], [4, NAN]], [[NAN, NAN], [NAN, NAN]]],
        video=[0, 1, 0, 0],
        frame=[5, 2, 5, 1],
        instance_scores=[0.1, 0.2, 0.3, 0.4],
        frames=[(0, 1), (0, 5), (0, 9), (1, 2)],
    )


def same(first, second):
    columns = all(
        np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)
        for name in (*COLUMNS, "frames")
    )
    return columns and first.skeleton == second.skeleton and first.track_names == second.track_names


def test_scalars_are_repeated_for_every_instance():
    poses = make_poses(
        AB, [[[0, 0], [1, 1]], [[2, 2], [3, 3]]], frame=7, tracks=[1, -1], track_names=["x", "y"]
    )
    assert poses.frame.tolist() == [7, 7]
    assert poses.video.tolist() == [0, 0]
    assert poses.point_scores.tolist() == [[1, 1], [1, 1]]
    assert np.isnan(poses.track_scores).all()
    assert poses.tracks.tolist() == [1, -1]
    assert not poses.user.any()
    assert poses.track_names == ("x", "y")


def test_columns_have_the_documented_types():
    poses = make_poses(AB, [[[0, 0], [1, 1]]])
    types = {name: getattr(poses, name).dtype for name in (*COLUMNS, "frames")}
    floats = dict.fromkeys(
        ("points", "point_scores", "instance_scores", "track_scores"), np.float64
    )
    assert types == {
        "video": np.int32,
        "frame": np.int64,
        "tracks": np.int32,
        "user": np.bool_,
        "origin": np.int64,
        "frames": np.int64,
        **floats,
    }


def test_frames_are_those_with_instances_unless_given():
    poses = make_poses(AB, np.zeros((4, 2, 2)), video=[0, 1, 0, 0], frame=[5, 2, 5, 1])
    assert poses.frames.tolist() == [[0, 5], [1, 2], [0, 1]]


def test_columns_belong_to_the_record_alone():
    scores = np.array([0.5])
    poses = make_poses(AB, np.zeros((1, 2, 2)), instance_scores=scores)
    scores[0] = 9
    poses.point_scores[0, 0] = 7
    assert poses.instance_scores.tolist() == [0.5]
    assert poses.point_scores.tolist() == [[7, 1]]


@pytest.mark.parametrize("name", [*(name for name in COLUMNS if name != "points"), "frames"])
def test_a_column_of_another_length_is_refused_by_name(name):
    column = getattr(two_videos(), name)
    with pytest.raises(ValueError, match=rf"Poses\.{name} must have shape"):
        replace(two_videos(), **{name: column[:, None] if name == "frames" else column[1:]})


def test_points_must_have_a_row_per_node():
    with pytest.raises(
        ValueError, match=r"Poses\.points must have shape \(4, 2, 2\), got \(4, 3, 2\)"
    ):
        replace(two_videos(), points=np.zeros((4, 3, 2)))


def test_a_node_is_visible_only_with_both_coordinates():
    assert two_videos().visible.tolist() == [
        [True, True],
        [True, False],
        [True, False],
        [False, False],
    ]


@pytest.mark.parametrize(
    "keep",
    [
        np.array([True, False, True, False]),  # mask
        np.array([0, 2]),  # rows
        slice(0, 3, 2),
    ],
)
def test_selection_takes_all_columns_and_leaves_the_frames(keep):
    kept = two_videos()[keep]
    assert kept.instance_scores.tolist() == [0.1, 0.3]
    assert kept.frame.tolist() == [5, 5]
    assert kept.points[:, 0, 0].tolist() == [0, 3]
    assert kept.frames.tolist() == two_videos().frames.tolist()


def test_an_empty_selection_is_a_record():
    none = two_videos()[np.zeros(4, dtype=bool)]
    assert len(none) == 0
    assert none.points.shape == (0, 2, 2)
    assert [rows.tolist() for *_, rows in none.by_frame()] == [[], [], [], []]


def test_by_frame_gives_every_processed_frame_in_its_order():
    found = [(video, frame, rows.tolist()) for video, frame, rows in two_videos().by_frame()]
    assert found == [(0, 1, [3]), (0, 5, [0, 2]), (0, 9, []), (1, 2, [1])]
    backwards = replace(two_videos(), frames=two_videos().frames[::-1])
    assert [frame for _, frame, _ in backwards.by_frame()] == [2, 9, 5, 1]


def test_by_frame_of_nothing():
    assert list(make_poses(AB, []).by_frame()) == []


@given(where=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), max_size=12))
def test_by_frame_takes_every_row_once_and_rows_of_a_frame_in_order(where):
    video, frame = [v for v, _ in where], [f for _, f in where]
    poses = make_poses(AB, np.zeros((len(where), 2, 2)), video=video, frame=frame)
    seen = []
    for v, f, rows in poses.by_frame():
        assert rows.tolist() == [i for i, here in enumerate(where) if here == (v, f)]
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(where)))


@st.composite
def records(draw):
    """Draw a record of up to five instances with anything in its columns."""
    n, nodes = draw(st.integers(0, 5)), draw(st.integers(1, 3))
    floats = st.floats(width=64)
    return make_poses(
        Skeleton(
            tuple(draw(st.lists(st.text(max_size=3), min_size=nodes, max_size=nodes))),
            edges=((0, nodes - 1),),
            symmetries=((0, 0),),
        ),
        draw(arrays(np.float64, (n, nodes, 2), elements=floats)),
        video=draw(arrays(np.int32, n)),
        frame=draw(arrays(np.int64, n)),
        point_scores=draw(arrays(np.float64, (n, nodes), elements=floats)),
        instance_scores=draw(arrays(np.float64, n, elements=floats)),
        tracks=draw(arrays(np.int32, n)),
        track_scores=draw(arrays(np.float64, n, elements=floats)),
        user=draw(arrays(np.bool_, n)),
        track_names=draw(st.lists(st.text(max_size=3), max_size=2)),
        frames=draw(st.none() | arrays(np.int64, (draw(st.integers(0, 3)), 2))),
    )


@given(poses=records())
def test_save_and_load_give_the_record_back(tmp_path_factory, poses):
    path = tmp_path_factory.getbasetemp() / "record.npz"
    poses.save(path)
    loaded = Poses.load(path)
    assert same(loaded, poses)
    assert all(
        getattr(loaded, name).dtype == getattr(poses, name).dtype for name in (*COLUMNS, "frames")
    )


def test_save_keeps_the_name_it_was_given(tmp_path):
    two_videos().save(tmp_path / "poses.of.today")
    assert [path.name for path in tmp_path.iterdir()] == ["poses.of.today"]


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_load_never_unpickles(tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "poses.npz"
    two_videos().save(path)
    with np.load(path) as data:
        content = dict(data)
    bomb = np.empty(1, dtype=object)
    bomb[0] = Marker(str(ran))
    np.savez(path, **(content | {"points": bomb}))
    with pytest.raises(ValueError, match="it holds objects, which are not read"):
        Poses.load(path)
    assert not ran.exists()
    pickle.loads(pickle.dumps(Marker(str(ran)))).close()
    assert ran.exists(), "the marker does not work, so the test above shows nothing"


def test_concatenate_appends_rows_and_frames():
    first, second = (
        two_videos(),
        make_poses(AB, np.zeros((1, 2, 2)), frame=20, frames=[(0, 20), (0, 21)]),
    )
    joined = concatenate([first, second])
    assert len(joined) == 4 + 1
    assert joined.frame.tolist() == [5, 2, 5, 1, 20]
    assert joined.frames.tolist() == [[0, 1], [0, 5], [0, 9], [1, 2], [0, 20], [0, 21]]


def test_concatenate_undoes_a_split():
    poses = two_videos()
    halves = [
        replace(poses[:2], frames=poses.frames[:3]),
        replace(poses[2:], frames=poses.frames[3:]),
    ]
    assert same(concatenate(halves), poses)
    assert same(concatenate([poses]), poses)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "at least one record"),
        ([make_poses(AB, []), make_poses(Skeleton(("a", "c")), [])], "skeleton"),
        ([make_poses(AB, []), make_poses(AB, [], track_names=["x"])], "track names"),
    ],
)
def test_records_that_do_not_belong_together_are_not_joined(parts, message):
    with pytest.raises(ValueError, match=message):
        concatenate(parts)


@pytest.mark.parametrize("n", [1, 255, 256, 257, 1000])
def test_records_are_gathered_in_order(n):
    gathering = Gathering()
    for frame in range(n):
        gathering.add(
            make_poses(AB, np.full((frame % 2, 2, 2), frame), frame=frame, frames=[(0, frame)])
        )
    whole = gathering.whole()
    assert whole.frames.tolist() == [[0, frame] for frame in range(n)]
    assert whole.frame.tolist() == [frame for frame in range(n) if frame % 2]
    assert same(gathering.whole(), whole)


def test_nothing_was_gathered():
    assert Gathering().whole() is None
