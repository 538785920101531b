from dataclasses import replace

import h5py
import numpy as np
import pytest
import sleap_io as sio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sleap_lab.errors import RunError
from sleap_lab.media.labels import (
    before_corrections,
    from_skeleton,
    read_labels,
    save_labels,
    to_labels,
    to_poses,
    to_skeleton,
    video_name,
    with_suggestions,
)
from sleap_lab.media.revising import revise_labels
from sleap_lab.poses.record import COLUMNS, Skeleton, make_poses

NAN = np.nan
ABC = Skeleton(("a", "b", "c"), edges=((0, 1), (2, 1)), symmetries=((0, 2),), name="abc")


def everything():
    """Two instances with tracks in one frame, predicted and user; one without a track elsewhere.

    The third is predicted and in another video; one frame is empty.
    """
    return make_poses(
        ABC,
        [[[0, 0], [1.5, 1], [NAN, NAN]], [[4, 4], [5, 5], [6, 6.25]], [[7, 7], [NAN, NAN], [8, 8]]],
        video=[0, 0, 1],
        frame=[3, 3, 8],
        point_scores=[[0.25, 0.5, 0], [NAN, NAN, NAN], [0.75, NAN, 1]],
        instance_scores=[0.5, NAN, 0.25],
        user=[False, True, False],
        tracks=[1, 0, -1],
        track_scores=[0.125, NAN, NAN],
        track_names=["x", "y"],
        frames=[(0, 1), (0, 3), (1, 8)],
    )


def videos(*names):
    return [sio.Video(name) for name in names or ("v0.mp4", "v1.mp4")]


def assert_same(poses, expected, **tolerance):
    assert poses.skeleton == expected.skeleton
    assert poses.track_names == expected.track_names
    for name in (*COLUMNS, "frames"):
        if name == "origin":  # of a file only
            continue
        np.testing.assert_allclose(
            getattr(poses, name), getattr(expected, name), err_msg=name, **tolerance
        )


# ---- skeletons


@pytest.mark.parametrize(
    "skeleton",
    [
        ABC,
        Skeleton(("one",)),
        Skeleton(("b", "a"), edges=((1, 0),), symmetries=((0, 1),), name="ends first"),
        Skeleton(("a", "b", "c", "d"), edges=((3, 0), (0, 1)), symmetries=((0, 3), (1, 2))),
    ],
)
def test_skeletons_come_back(skeleton):
    assert to_skeleton(from_skeleton(skeleton)) == skeleton


def test_what_hdf5_cannot_write_is_one_line(tmp_path, monkeypatch):
    def fail(self, path, **options):
        raise RuntimeError(
            "Can't decrement id (file write failed: errno = 28, "
            "error message = 'No space left on device', buf = 1)"
        )

    monkeypatch.setattr(sio.Labels, "save", fail)
    with pytest.raises(
        RunError, match=r"^\S*poses\.slp: cannot be written \(No space left on device\)$"
    ):
        save_labels(sio.Labels(), tmp_path / "poses.slp")


def test_a_symmetry_has_no_direction():
    skeleton = sio.Skeleton(["a", "b"])
    skeleton.add_symmetry("b", "a")
    assert to_skeleton(skeleton).symmetries == ((0, 1),)


def test_a_skeleton_without_a_name_gets_one():
    assert to_skeleton(sio.Skeleton(["a"])).name == "skeleton"


# ---- poses to labels and back


def test_poses_become_labels():
    labels = to_labels(everything(), videos(), provenance={"made": "by hand"})
    assert [
        (labels.videos.index(frame.video), frame.frame_idx, len(frame.instances))
        for frame in labels
    ] == [
        (0, 1, 0),
        (0, 3, 2),
        (1, 8, 1),
    ]
    predicted, user = labels[1].instances
    assert isinstance(predicted, sio.PredictedInstance)
    assert type(user) is sio.Instance
    assert (predicted.score, predicted.tracking_score, predicted.track.name) == (0.5, 0.125, "y")
    assert (user.tracking_score, user.track.name) == (None, "x")
    np.testing.assert_array_equal(predicted.numpy(), [[0, 0], [1.5, 1], [NAN, NAN]])
    assert predicted.points["visible"].tolist() == [True, True, False]
    assert predicted.points["score"].tolist() == [0.25, 0.5, 0]
    assert labels[2].instances[0].track is None
    assert labels.skeletons == [predicted.skeleton] == [user.skeleton]
    assert labels.provenance == {"made": "by hand"}


def test_poses_come_back_from_labels():
    assert_same(to_poses(to_labels(everything(), videos())), everything())


def test_poses_come_back_from_a_file(tmp_path):
    save_labels(
        to_labels(everything(), videos(), provenance={"made": "by hand"}), tmp_path / "a.slp"
    )
    labels = read_labels(tmp_path / "a.slp")
    assert_same(to_poses(labels), everything())
    assert [video.filename for video in labels.videos] == ["v0.mp4", "v1.mp4"]
    assert labels.provenance["made"] == "by hand"


def test_a_record_without_instances_comes_back_from_a_file(tmp_path):
    nothing = make_poses(ABC, [], track_names=["x"], frames=[(0, 0), (1, 5)])
    save_labels(to_labels(nothing, videos()), tmp_path / "a.slp")
    assert_same(to_poses(read_labels(tmp_path / "a.slp")), nothing)


single = st.floats(-1e4, 1e4, width=32)


@st.composite
def records(draw):
    """Draw a record that a labels file can hold.

    Rows are in frame order, user instances have no scores, and scores are float32.
    """
    where = sorted(draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), max_size=5)))
    empty = draw(st.sets(st.tuples(st.integers(0, 1), st.integers(10, 19)), max_size=2))
    n = len(where)
    points = draw(arrays(np.float64, (n, 3, 2), elements=st.floats(-1e4, 1e4)))
    points[draw(arrays(np.bool_, (n, 3)))] = NAN
    user = draw(arrays(np.bool_, n))
    scores = draw(arrays(np.float64, (n, 3), elements=single))
    return make_poses(
        ABC,
        points,
        video=[video for video, _ in where],
        frame=[frame for _, frame in where],
        point_scores=np.where(user[:, None], NAN, scores),
        instance_scores=np.where(user, NAN, draw(arrays(np.float64, n, elements=single))),
        tracks=draw(arrays(np.int32, n, elements=st.integers(-1, 1))),
        track_scores=draw(arrays(np.float64, n, elements=single)),
        user=user,
        track_names=["x", "y"],
        frames=[*dict.fromkeys(where), *sorted(empty)],
    )


@settings(max_examples=30)
@given(poses=records())
def test_any_poses_come_back_from_a_file(tmp_path_factory, poses):
    path = tmp_path_factory.getbasetemp() / "any.slp"
    save_labels(to_labels(poses, videos()), path)
    assert_same(to_poses(read_labels(path)), poses, rtol=1e-7)


def test_instances_know_where_they_come_from():
    labels = to_labels(everything(), videos())
    labels[1].instances[1].from_predicted = labels[1].instances[0]
    assert to_poses(labels).origin.tolist() == [1, 2]


def test_labels_without_skeleton_are_refused():
    with pytest.raises(RunError, match="no skeleton"):
        to_poses(sio.Labels(videos=videos()))


def test_labels_with_two_skeletons_are_refused_with_both():
    labels = to_labels(everything(), videos())
    other = sio.Skeleton(["p", "q"])
    labels.skeletons.append(other)
    labels[0].instances.append(sio.Instance.from_numpy(np.zeros((2, 2)), skeleton=other))
    with pytest.raises(RunError, match=r"nodes a, b, c \(3 instances\) and p, q \(1 instances\)"):
        to_poses(labels)


# ---- files


def test_saving_replaces_a_file_whole(tmp_path):
    save_labels(to_labels(everything()[:1], videos()), tmp_path / "a.slp")
    save_labels(to_labels(everything(), videos()), tmp_path / "a.slp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.slp"]
    assert len(read_labels(tmp_path / "a.slp")) == 3


def test_saving_makes_folders(tmp_path):
    save_labels(to_labels(everything(), videos()), tmp_path / "new" / "folder" / "a.slp")
    assert (tmp_path / "new" / "folder" / "a.slp").is_file()


def test_saving_that_fails_leaves_the_old_file(tmp_path):
    save_labels(to_labels(everything(), videos()), tmp_path / "a.slp")
    before = (tmp_path / "a.slp").read_bytes()
    labels = to_labels(everything(), videos(), provenance={"cannot be written": object()})
    with pytest.raises(TypeError):
        save_labels(labels, tmp_path / "a.slp")
    assert [path.name for path in tmp_path.iterdir()] == ["a.slp"]
    assert (tmp_path / "a.slp").read_bytes() == before


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/a\.slp: cannot be written"):
        save_labels(to_labels(everything(), videos()), tmp_path / "file" / "a.slp")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RunError, match=r"missing\.slp: no such labels file"):
        read_labels(tmp_path / "missing.slp")
    with pytest.raises(RunError, match="no such labels file"):
        read_labels(tmp_path)  # a folder


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_text("no labels"),
        lambda path: path.write_bytes(b""),
        lambda path: h5py.File(path, "w").close(),  # HDF5, but no labels
        lambda path: path.write_bytes(path.read_bytes()[:-2000]),  # a copy that was cut off
    ],
)
def test_a_broken_file_is_named(tmp_path, spoil):
    path = tmp_path / "broken.slp"
    save_labels(to_labels(everything(), videos()), path)
    spoil(path)
    with pytest.raises(
        RunError, match=r"broken\.slp: not a readable SLEAP labels file \(.+\)$"
    ) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


# ---- videos


@pytest.mark.parametrize(
    "stored", ["/somewhere/else/gray.mp4", "C:\\lab\\gray.mp4", "gone/gray.mp4"]
)
def test_videos_are_found_beside_the_file(tmp_path, video_path, stored):
    (tmp_path / "gray.mp4").write_bytes(video_path.read_bytes())
    save_labels(to_labels(everything(), videos(stored, "nowhere.mp4")), tmp_path / "a.slp")
    moved, lost = read_labels(tmp_path / "a.slp").videos
    assert moved.filename == str(tmp_path / "gray.mp4")
    assert moved.shape == (6, 48, 64, 1)
    assert lost.filename == "nowhere.mp4"


def test_hdf5_videos_that_are_found_keep_the_order_of_their_axes(tmp_path, write_h5):
    # Frames, channels, width, height.
    stored = (np.arange(4 * 3 * 6 * 4) % 251).astype(np.uint8).reshape(4, 3, 6, 4)
    video = sio.load_video(str(write_h5(stored, name="gone.h5")), input_format="channels_first")
    save_labels(to_labels(everything(), [video, *videos("v1.mp4")]), tmp_path / "a.slp")
    (tmp_path / "labels").mkdir()
    for name in ("a.slp", "gone.h5"):
        (tmp_path / name).rename(tmp_path / "labels" / name)
    found = read_labels(tmp_path / "labels" / "a.slp").videos[0]
    assert found.shape == (4, 4, 6, 3)
    np.testing.assert_array_equal(found[1], stored[1].transpose(2, 1, 0))


def test_videos_stay_where_they_are(tmp_path, video_path):
    (tmp_path / "gray.mp4").write_bytes(b"another one")
    save_labels(to_labels(everything(), videos(str(video_path), "nowhere.mp4")), tmp_path / "a.slp")
    assert read_labels(tmp_path / "a.slp").videos[0].filename == str(video_path)


def test_video_names(tmp_path, video_path):
    assert video_name(sio.Video("a.mp4")) == "a.mp4"
    assert video_name(sio.Video(["dir/0.png", "dir/1.png"])) == "dir/0.png"
    poses = replace(everything()[[1]], frames=np.array([[0, 3]]))
    labels = to_labels(poses, videos(str(video_path), "v1.mp4")[:1])
    labels.save(str(tmp_path / "a.pkg.slp"), embed=True, verbose=False)
    embedded = read_labels(tmp_path / "a.pkg.slp").videos[0]
    assert embedded.filename == str(tmp_path / "a.pkg.slp")
    assert video_name(embedded) == str(video_path)


def test_suggestions_are_read_back_at_their_frames(tmp_path):
    poses = make_poses(Skeleton(("a",)), [[[1, 2]], [[3, 4]]], video=[0, 1], frame=[4, 7])
    labels = to_labels(poses, [sio.Video("a.mp4"), sio.Video("b.mp4")])
    save_labels(with_suggestions(labels, [(0, 4), (1, 9), (0, 4)]), tmp_path / "look.slp")
    read = sio.load_slp(str(tmp_path / "look.slp"))
    assert [(read.videos.index(s.video), s.frame_idx) for s in read.suggestions] == [(0, 4), (1, 9)]
    assert [(len(frame.instances), frame.frame_idx) for frame in read.labeled_frames] == [
        (1, 4),
        (1, 7),
    ]
    assert labels.suggestions == []


# ---- what counts


LINE = np.array([[0, 0], [5, 0], [10, 0]], dtype=float)


def guess(x, track=None, skeleton=None, score=0.5):
    return sio.PredictedInstance.from_numpy(
        LINE + np.array([x, 0]),
        skeleton=skeleton or sio.Skeleton(["a", "b", "c"]),
        score=score,
        track=track,
    )


def by_hand(x, skeleton=None, of=None):
    instance = sio.Instance.from_numpy(
        LINE + np.array([x, 0]), skeleton=skeleton or sio.Skeleton(["a", "b", "c"])
    )
    instance.from_predicted = of
    return instance


def entries(*frames, negative=()):
    """Labels of one video, each frame given as (frame index, instances)."""
    video = sio.Video("v.mp4")
    return sio.Labels(
        [
            sio.LabeledFrame(video, index, list(instances), is_negative=i in negative)
            for i, (index, instances) in enumerate(frames)
        ],
        videos=[video],
    )


def counted(labels):
    """Return (frame, x, whether a person placed it) of everything that counts, and what is said."""
    notes = []
    poses = to_poses(labels, notes)
    return list(
        zip(poses.frame.tolist(), poses.points[:, 0, 0].tolist(), poses.user.tolist(), strict=True)
    ), notes


def test_a_correction_hides_the_guess_it_came_from_and_no_other():
    first, second, third = guess(0), guess(20), guess(0)
    labels = entries((0, [first, second, by_hand(1, of=first)]), (1, [third, by_hand(0)]))
    assert counted(labels) == ([(0, 20, False), (0, 1, True), (1, 0, False), (1, 0, True)], [])


def test_a_correction_of_another_frame_hides_nothing():
    first = guess(0)
    assert len(counted(entries((0, [first]), (1, [by_hand(1, of=first)])))[0]) == 2


def test_a_frame_that_is_marked_as_empty_is_empty():
    labels = entries((0, [guess(0)]), (1, []), (2, [guess(0), by_hand(1)]), negative=(0, 1, 2))
    found, notes = counted(labels)
    assert found == [(2, 0, False), (2, 1, True)]  # what a person placed says more than the mark
    assert to_poses(labels).frames.tolist() == [[0, 0], [0, 1], [0, 2]]
    assert notes == ["1 predictions are in frames that a person marked as empty, and do not count."]


COPY = guess(0)
TWICE = {
    "later predictions replace earlier ones": (
        [guess(0), guess(20)],
        [guess(1), guess(21)],
        [(1, False), (21, False)],
    ),
    "an entry without predictions replaces none": ([guess(0)], [], [(0, False)]),
    "what a person placed wins over guesses, before": (
        [by_hand(0), by_hand(20)],
        [guess(1), guess(21)],
        [(0, True), (20, True)],
    ),
    "what a person placed wins over guesses, after": (
        [guess(1), guess(21)],
        [by_hand(0), by_hand(20)],
        [(0, True), (20, True)],
    ),
    "with the guesses beside it": (
        [by_hand(0), guess(20)],
        [guess(1), guess(21)],
        [(0, True), (20, False)],
    ),
    "equal poses count once": (
        [by_hand(0), by_hand(20)],
        [by_hand(20), by_hand(40)],
        [(0, True), (20, True), (40, True)],
    ),
    "a guess like what a person placed counts once": (
        [by_hand(0)],
        [by_hand(20), guess(0)],
        [(0, True), (20, True)],
    ),
    "two people corrected one animal each": (
        [COPY, guess(20), by_hand(1, of=COPY)],
        [guess(0), by_hand(21)],
        [(1, True), (21, True)],
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_a_frame_that_is_there_twice_counts_once(name):
    first, second, expected = TWICE[name]
    labels = entries((3, first), (4, [guess(0)]), (3, second))
    found, (note,) = counted(labels)
    assert found == [(3, x, user) for x, user in expected] + [(4, 0, False)]
    assert to_poses(labels).frames.tolist() == [[0, 3], [0, 4]]
    # The guess is hidden by the correction.
    lost = len(first) + len(second) - len(expected) - (COPY in first)
    assert note.startswith(
        "1 frames are there more than once (frame 3): "
        "user instances win over predictions, equal poses count once"
    )
    assert note.endswith(f"; {lost} instances were left out.")


def test_of_equal_corrections_the_one_stays_that_knows_what_it_corrected():
    origin = guess(0)
    labels = entries((3, [by_hand(1)]), (3, [origin, guess(20), by_hand(1, of=origin)]))
    poses = to_poses(labels)
    assert (poses.origin.tolist(), poses.user.tolist()) == ([2, 3], [False, True])
    (frame,) = revise_labels(labels, poses, labels.videos, tracked=False)
    assert frame.instances[-1].from_predicted is frame.instances[0] is origin


def test_poses_come_back_into_a_frame_that_was_there_twice():
    first, second, _ = TWICE["two people corrected one animal each"]
    labels = entries((3, first), (3, second))
    labels[1].bboxes.append(sio.UserBoundingBox(x1=1, y1=2, x2=5, y2=9))
    poses = to_poses(labels)
    (frame,) = revise_labels(
        labels,
        replace(poses, tracks=np.array([0, 1]), track_names=("x", "y")),
        labels.videos,
        tracked=True,
    )
    assert [(own.numpy()[0, 0], own.track.name) for own in frame] == [(0, "x"), (1, "x"), (21, "y")]
    assert frame.instances[1].from_predicted is frame.instances[0]
    assert len(frame.bboxes) == 1


def test_a_guess_in_a_frame_that_is_marked_as_empty_has_a_track_no_more(tmp_path):
    old = sio.Track("track_0")
    labels = entries((0, [guess(0, old)]), (1, [guess(0, old)]), negative=(1,))
    poses = replace(to_poses(labels), track_names=("track_0",))
    revised = revise_labels(labels, poses, labels.videos, tracked=True)
    save_labels(revised, tmp_path / "a.slp")
    assert [
        [own.track and own.track.name for own in frame] for frame in read_labels(tmp_path / "a.slp")
    ] == [["track_0"], [None]]
    assert [track.name for track in revised.tracks] == ["track_0"]
    assert revised[1].is_negative


def test_before_corrections_there_were_guesses():
    first = guess(0, skeleton=sio.Skeleton(["c", "b", "a"]), score=0.25)
    labels = entries((0, [guess(20), first, by_hand(1, of=first), by_hand(40)]))
    poses = before_corrections(labels, to_poses(labels))
    assert poses.points[:, :, 0].tolist() == [[20, 25, 30], [10, 5, 0], [40, 45, 50]]
    assert poses.user.tolist() == [False, False, True]
    assert poses.instance_scores[:2].tolist() == [0.5, 0.25]


# ---- which skeleton


def test_the_skeleton_is_the_one_that_instances_use():
    labels = entries((0, [guess(0, skeleton=(used := sio.Skeleton(["a", "b", "c"])))]))
    labels.skeletons = [sio.Skeleton(["head", "body"]), used, sio.Skeleton([])]
    found, notes = counted(labels)
    assert found == [(0, 0, False)]
    assert notes == [
        "no instance uses the skeleton with nodes head, body: it was left out.",
        "no instance uses the skeleton with nodes none: it was left out.",
    ]


def test_skeletons_with_the_same_nodes_are_one():
    skeletons = (
        sio.Skeleton(["a", "b", "c"]),
        sio.Skeleton(["a", "b", "c"]),
        sio.Skeleton(["c", "a", "b"]),
    )
    labels = entries((0, [guess(0, skeleton=skeleton) for skeleton in skeletons]))
    poses = to_poses(labels)
    assert poses.skeleton.nodes == ("a", "b", "c")
    assert poses.points[:, :, 0].tolist() == [[0, 5, 10], [0, 5, 10], [5, 10, 0]]
    revised = revise_labels(labels, poses, labels.videos, tracked=False)
    assert len(revised.skeletons) == 1
    assert [own.numpy()[:, 0].tolist() for own in revised[0]] == poses.points[:, :, 0].tolist()
    assert {id(own.skeleton) for own in revised[0]} == {id(revised.skeleton)}


def test_without_instances_the_first_skeleton_with_nodes_is_used():
    labels = entries((0, []))
    labels.skeletons = [sio.Skeleton([]), sio.Skeleton(["a"]), sio.Skeleton(["b"])]
    assert to_poses(labels).skeleton.nodes == ("a",)
