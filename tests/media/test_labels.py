import copy
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
    from_skeleton,
    read_labels,
    save_labels,
    to_labels,
    to_poses,
    to_skeleton,
    video_name,
    with_suggestions,
)
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
    with pytest.raises(RunError, match=r"nodes a, b, c \(3 instances\) and p, q \(1 instance\)"):
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
    embedded.source_video = sio.Video("gone.mp4")  # nothing is known of it
    assert video_name(embedded) == "gone.mp4"


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


def test_the_same_labels_give_the_same_bytes(tmp_path):
    nodes = [sio.Node(f"n{i}") for i in range(64)]
    pairs = [(nodes[i], nodes[i + 32]) for i in range(32)]
    for name, order in (("a", pairs), ("b", [pair[::-1] for pair in pairs])):
        # The order in a set depends on memory addresses; so many pairs never agree by chance.
        keep = [sio.Node(node.name) for node in nodes] if name == "b" else nodes
        index = {node.name: node for node in keep}
        symmetries = [sio.Symmetry([index[x.name], index[y.name]]) for x, y in order]
        skeleton = sio.Skeleton(nodes=keep, symmetries=symmetries, name="many")
        save_labels(sio.Labels(skeletons=[skeleton]), tmp_path / f"{name}.slp")
        assert copy.deepcopy(skeleton).symmetry_names == skeleton.symmetry_names
    assert (tmp_path / "a.slp").read_bytes() == (tmp_path / "b.slp").read_bytes()
