"""Every format is read back with sleap-io and compared pose by pose."""

import json
from dataclasses import replace
from itertools import count
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import RunError
from sleap_lab.media.formats import arrays, csv
from sleap_lab.media.formats.write import PER_VIDEO, write_formats
from sleap_lab.media.labels import to_labels, to_poses
from sleap_lab.poses.record import Skeleton, make_poses

NAN = np.nan
# Tables sort the nodes alphabetically; these are in another order.
BAC = Skeleton(("b", "a", "c"), edges=((0, 1), (1, 2)), name="bac")
LENGTH = 6


@pytest.fixture
def tracked():
    """Two tracked animals in frames 1 and 4 of a video of 6 frames, the second with a missing node.

    Frame 4 has one more animal without a track. Frame 2 is processed and empty; the other frames
    are not processed.
    """
    return make_poses(
        BAC,
        [
            [[1, 2], [3, 4], [5, 6]],
            [[9, 8], [7, 6], [NAN, NAN]],
            [[2, 2], [4, 4], [6, 6.5]],
            [[30, 30], [31, 31], [32, 32]],
        ],
        frame=[1, 1, 4, 4],
        point_scores=[[0.1, 0.2, 0.3], [0.4, 0.5, 0], [0.7, 0.8, 0.9], [1, 1, 1]],
        instance_scores=[0.25, 0.5, 0.75, 1],
        tracks=[0, 1, 0, -1],
        track_scores=[1, 1, 0.5, NAN],
        track_names=["x", "y"],
        frames=[(0, 1), (0, 2), (0, 4)],
    )


@pytest.fixture
def write(tmp_path, video_path):
    """Return a function that writes poses in one format and returns the files and the notes."""
    numbers = count()

    def write(poses, name, videos=None, times=None):
        folder = tmp_path / f"out{next(numbers)}"
        labels = to_labels(poses, videos or [sio.Video(str(video_path))])
        files, notes, failed = write_formats(labels, folder / "p.slp", [name], lambda: times or {})
        assert not failed
        assert (
            sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in files)
            if files
            else not folder.exists()
        )
        return files, notes

    return write


@pytest.fixture
def read_nwb(monkeypatch):
    """sleap-io's reader, which adds a number that it never set to the times, here always 0."""
    from sleap_io.io import nwb_predictions

    monkeypatch.setattr(nwb_predictions.np, "empty", np.zeros)
    return lambda path: sio.load_nwb(str(path))


def poses_of(labels):
    """Return {(frame, track or ''): points by node name} of labels of one video."""
    found = {}
    for frame in labels:
        for i, instance in enumerate(frame.instances):
            points = dict(zip(instance.skeleton.node_names, instance.numpy().tolist(), strict=True))
            found[frame.frame_idx, instance.track.name if instance.track else f"untracked_{i}"] = (
                points
            )
    return found


def expected(poses, *, rename=lambda row, name: name, keep=lambda row: True):
    """Return the same of a record."""
    found = {}
    for _, frame, rows in poses.by_frame():
        for i, row in enumerate(rows):
            name = (
                poses.track_names[poses.tracks[row]] if poses.tracks[row] >= 0 else f"untracked_{i}"
            )
            if keep(row):
                found[frame, rename(row, name)] = dict(
                    zip(poses.skeleton.nodes, poses.points[row].tolist(), strict=True)
                )
    return found


def assert_same(found, wanted, **tolerance):
    assert found.keys() == wanted.keys()
    for where, points in wanted.items():
        assert found[where].keys() == points.keys()
        for node, point in points.items():
            np.testing.assert_allclose(
                found[where][node], point, err_msg=f"{where} {node}", **tolerance
            )


# ---- one video


def test_slp(write, tracked):
    (file,), notes = write(tracked, "slp")
    labels = sio.load_slp(str(file))
    assert [frame.frame_idx for frame in labels] == [1, 2, 4]
    assert_same(poses_of(labels), expected(tracked))
    assert notes == []


def test_csv_has_a_row_for_every_instance_and_for_every_empty_frame(write, tracked):
    (file,), notes = write(tracked, "csv")
    assert file.name == "p.csv"
    header, *rows = [line.split(",") for line in file.read_text().splitlines()]
    assert header[:3] == ["track", "frame_idx", "instance.score"]
    assert [(row[0], row[1]) for row in rows] == [
        ("", "0"), ("x", "1"), ("y", "1"), ("", "2"), ("", "3"), ("x", "4"), ("", "4"), ("", "5"),
    ]  # fmt: skip
    assert all(cell == "" for row in rows if row[1] in "0235" for cell in row[2:])
    labels = sio.load_csv(str(file), video="gray.mp4")
    filled = {where: points for where, points in poses_of(labels).items() if where[0] in (1, 4)}
    assert_same(filled, expected(tracked))
    assert [
        instance.score
        for frame in labels
        for instance in frame.instances
        if frame.frame_idx in (1, 4)
    ] == [0.25, 0.5, 0.75, 1]
    assert notes == []


def test_analysis_h5_spans_the_video_and_says_what_it_cannot_hold(write, tracked):
    (file,), notes = write(tracked, "analysis_h5")
    assert file.name == "p.analysis.h5"
    with h5py.File(file) as opened:
        assert opened["tracks"].shape == (2, 2, 3, LENGTH)
        assert opened["track_occupancy"][()].tolist() == [
            [0, 0],
            [1, 1],
            [0, 0],
            [0, 0],
            [1, 0],
            [0, 0],
        ]
        assert opened["video_path"][()].decode().endswith("gray.mp4")
    labels = sio.load_analysis_h5(str(file))
    assert labels.skeletons[0].node_names == ["b", "a", "c"]
    assert_same(poses_of(labels), expected(tracked, keep=lambda row: tracked.tracks[row] >= 0))
    assert notes == ["p.analysis.h5 holds tracks only: 1 instance without a track is not in it."]


@pytest.mark.parametrize("name", ["analysis_h5", "nwb"])
def test_instances_of_a_track_beyond_one_in_a_frame_are_told(write, tracked, name):
    poses = replace(
        tracked, tracks=np.array([0, 1, 0, 0], np.int32), user=np.array([0, 0, 1, 0], bool)
    )
    (file,), notes = write(poses, name)
    assert notes == [
        f"{file.name} holds one instance of a track in a frame: 1 more are not in it, the first in "
        "frame 4 of track x."
    ]
    if name == "analysis_h5":
        with h5py.File(file) as opened:
            held = opened["tracks"][0, :, :, 4].T
    else:
        with h5py.File(file) as opened:
            behaviour = next(iter(opened["processing"].values()))
            held = [behaviour["track=x"][node]["data"][4] for node in "bac"]
    assert np.array_equal(held, [[2, 2], [4, 4], [6, 6.5]])  # the one that a person placed


def test_analysis_h5_without_tracks_numbers_the_instances_of_each_frame(write, tracked):
    poses = replace(tracked, tracks=np.full(4, -1, dtype=np.int32), track_names=())
    (file,), notes = write(poses, "analysis_h5")
    assert_same(
        poses_of(sio.load_analysis_h5(str(file))),
        expected(poses, rename=lambda row, name: name.replace("untracked", "track")),
    )
    assert notes == []


def test_nwb_spans_the_video(write, tracked, read_nwb):
    (file,), notes = write(tracked, "nwb")
    assert file.name == "p.nwb"
    with h5py.File(file) as opened:
        module = opened["processing/SLEAP_VIDEO_000_gray"]
        assert sorted(module) == ["track=untracked_1", "track=x", "track=y"] or sorted(module) == [
            "track=untracked_0",
            "track=x",
            "track=y",
        ]
        data = module["track=x/b/data"][()]
        np.testing.assert_array_equal(data[:, 0], [NAN, 1, NAN, NAN, 2, NAN])
        np.testing.assert_array_equal(
            module["track=x/b/confidence"][()], [NAN, 0.1, NAN, NAN, 0.7, NAN]
        )
        start = module["track=x/b/starting_time"]
        assert (start[()], start.attrs["rate"]) == (0.0, 30.0)
    labels = read_nwb(file)
    assert labels.skeletons[0].node_names == ["b", "a", "c"]
    # The reader forgets tracks; those of a frame come in the order of their names in the file.
    found = [[instance.numpy().tolist() for instance in frame.instances] for frame in labels]
    assert [frame.frame_idx for frame in labels] == [1, 4]
    for frame, rows in zip(found, ([0, 1], [3, 2]), strict=True):
        np.testing.assert_allclose(frame, tracked.points[rows], rtol=1e-6)
    assert notes == []


def test_what_a_person_labelled_is_certain_in_nwb(write):
    poses = make_poses(
        BAC,
        [[[1, 2], [3, 4], [NAN, NAN]]],
        frame=2,
        user=True,
        point_scores=NAN,
        instance_scores=NAN,
    )
    (file,), _ = write(poses, "nwb")
    with h5py.File(file) as opened:
        track = opened["processing/SLEAP_VIDEO_000_gray/track=untracked_0"]
        assert [track[f"{node}/confidence"][2] for node in "ba"] == [1, 1]
        assert np.isnan(track["c/confidence"][2])
        assert track["a/data"][2].tolist() == [3, 4]


def test_coco_lists_every_processed_frame_and_keeps_scores(write, tracked, tmp_path):
    (file,), notes = write(tracked, "coco")
    assert file.name == "p.coco.json"
    coco = json.loads(file.read_text())
    assert [(image["file_name"], image["width"], image["height"]) for image in coco["images"]] == [
        (f"gray_frame_{frame:06d}.png", 64, 48) for frame in (1, 2, 4)
    ]
    assert [annotation["score"] for annotation in coco["annotations"]] == [0.25, 0.5, 0.75, 1]
    assert coco["categories"][0]["keypoints"] == ["b", "a", "c"]
    for image in coco["images"]:  # which the reader looks for
        (file.parent / image["file_name"]).touch()
    labels = sio.load_coco(str(file))
    assert [len(frame.instances) for frame in labels] == [2, 0, 2]
    names = {"track_1": "x", "track_2": "y"}
    found = {
        ((1, 2, 4)[frame], names.get(track, track)): points
        for (frame, track), points in poses_of(labels).items()
    }
    assert_same(found, expected(tracked), rtol=1e-6)
    assert notes == []


@pytest.mark.parametrize("folder", ["C:\\data", "C:/data", "\\\\server\\share"])
def test_coco_of_images_of_windows_calls_them_as_the_labels_do(write, tracked, folder):
    separator = "\\" if "\\" in folder else "/"
    names = [f"{folder}{separator}{i}.png" for i in range(LENGTH)]
    video = sio.Video(names, backend_metadata={"shape": (LENGTH, 4, 6, 1)}, open_backend=False)
    (file,), _ = write(tracked, "coco", [video])
    assert [image["file_name"] for image in json.loads(file.read_text())["images"]] == [
        names[i] for i in (1, 2, 4)
    ]


def test_a_video_of_windows_is_called_as_in_the_labels(write, tracked):
    video = sio.Video(
        r"C:\data\day.1.mp4", backend_metadata={"shape": (LENGTH, 4, 6, 1)}, open_backend=False
    )
    (file,), _ = write(tracked, "coco", [video])
    assert [image["file_name"] for image in json.loads(file.read_text())["images"]] == [
        f"day.1_frame_{i:06d}.png" for i in (1, 2, 4)
    ]


def test_coco_of_images_names_them(write, tracked, tmp_path):
    import cv2

    images = [tmp_path / "shots" / f"{i}.png" for i in range(LENGTH)]
    images[0].parent.mkdir()
    for image in images:
        cv2.imwrite(str(image), np.zeros((5, 7), dtype=np.uint8))
    (file,), _ = write(tracked, "coco", [sio.Video([str(image) for image in images])])
    labels = sio.load_coco(str(file))
    assert labels.videos[0].filename == [str(images[frame]) for frame in (1, 2, 4)]
    assert [len(frame.instances) for frame in labels] == [2, 0, 2]


@pytest.mark.parametrize("name", ["csv", "analysis_h5", "nwb"])
def test_videos_of_images_are_named_by_their_folder(write, tracked, name, read_nwb):
    video = sio.Video(
        [f"/shots/{i}.png" for i in range(9)],
        backend_metadata={"shape": (9, 5, 7, 1)},
        open_backend=False,
    )
    (file,), _ = write(tracked, name, [video])
    if name == "csv":
        assert file.read_text().splitlines()[-1].startswith(",8,")
    elif name == "analysis_h5":
        assert sio.load_analysis_h5(str(file)).video.filename == "/shots"
    else:
        assert read_nwb(file).video.filename == "/shots"


# ---- as sleap-io writes them


@pytest.fixture
def mixed():
    """Sixty user and predicted instances in forty frames in no order, with and without tracks.

    Some are of one track in one frame.
    """
    random = np.random.default_rng(0)
    points = random.normal(50, 30, (60, 3, 2))
    points[random.random((60, 3)) < 0.3] = NAN
    user = random.random(60) < 0.4
    frame = random.integers(0, 40, 60)
    return make_poses(
        Skeleton(("b", "a,x", "c"), edges=((0, 1), (1, 2)), symmetries=((0, 2),)),
        points,
        frame=frame,
        point_scores=np.where(user[:, None], NAN, random.random((60, 3))),
        instance_scores=np.where(user, NAN, random.random(60)),
        tracks=random.integers(-1, 3, 60),
        track_scores=np.where(random.random(60) < 0.5, NAN, 1.5),
        user=user,
        track_names=["never", 'q"1', "é"],
        frames=[
            (0, i) for i in dict.fromkeys([*random.permutation(45)[:40].tolist(), *frame.tolist()])
        ],
    )


@pytest.fixture(params=[True, False], ids=["tracked", "trackless"])
def either(request, mixed):
    mixed.tracks[mixed.tracks == 0] = -1
    return (
        mixed
        if request.param
        else replace(mixed, tracks=np.full_like(mixed.tracks, -1), track_names=())
    )


MADE_UP = {"backend_metadata": {"shape": (50, 48, 64, 1), "fps": 25.0}, "open_backend": False}


def test_a_table_is_that_of_sleap_io_byte_by_byte(write, either, tmp_path):
    video = sio.Video("v.mp4", **MADE_UP)
    labels = to_labels(either, [video])
    labels.labeled_frames = [frame for frame in labels.labeled_frames if len(frame.instances)]
    sio.save_csv(labels, tmp_path / "theirs.csv", include_empty=True)
    (file,), _ = write(either, "csv", [video])
    assert file.read_bytes() == (tmp_path / "theirs.csv").read_bytes()


@pytest.mark.parametrize("block", [7, 4096])
def test_arrays_are_those_of_sleap_io(write, either, tmp_path, monkeypatch, block):
    monkeypatch.setattr(arrays, "BLOCK", block)
    video = sio.Video("v.mp4", **MADE_UP)
    sio.save_analysis_h5(to_labels(either, [video]), tmp_path / "theirs.h5")
    (file,), _ = write(either, "analysis_h5", [video])
    with h5py.File(file) as ours, h5py.File(tmp_path / "theirs.h5") as theirs:
        assert set(ours) == set(theirs)
        for name, array in theirs.items():
            assert ours[name].dtype == array.dtype
            np.testing.assert_array_equal(ours[name][()], array[()], err_msg=name)
            assert dict(ours[name].attrs) == dict(array.attrs)
        assert [
            set(json.loads(file.attrs["skeleton_symmetries"])[0]) for file in (ours, theirs)
        ] == [{"b", "c"}] * 2
        named = [
            {name: value for name, value in file.attrs.items() if name != "skeleton_symmetries"}
            for file in (ours, theirs)
        ]
        assert named[0] == named[1]


def test_nwb_is_the_same_in_blocks_of_any_size(write, either, monkeypatch):
    def contents():
        found = {}
        (file,), _ = write(either, "nwb", [sio.Video("v.mp4", **MADE_UP)])
        with h5py.File(file) as opened:
            module = opened["processing/SLEAP_VIDEO_000_v"]
            module.visititems(
                lambda name, item: (
                    found.update({name: item[()]})
                    if name.endswith(("data", "confidence"))
                    else None
                )
            )
        return found

    at_once = contents()
    monkeypatch.setattr(arrays, "BLOCK", 7)
    in_parts = contents()
    assert at_once.keys() == in_parts.keys()
    for name, array in at_once.items():
        assert len(array) == 50
        np.testing.assert_array_equal(in_parts[name], array)


# ---- mostly nothing


def test_a_table_that_would_be_mostly_nothing_has_the_processed_frames(write, tracked):
    long = {"backend_metadata": {"shape": (11_000_000, 48, 64, 1)}, "open_backend": False}
    (file,), notes = write(tracked, "csv", [sio.Video("long.mp4", **long)])
    rows = [line.split(",")[:2] for line in file.read_text().splitlines()[1:]]
    assert rows == [["x", "1"], ["y", "1"], ["", "2"], ["x", "4"], ["", "4"]]
    assert notes == [
        "p.csv has the 3 frames that were processed, "
        "and no rows for the other 10,999,997 of the video."
    ]


def test_frames_that_were_processed_are_in_the_table_however_many_are_empty(
    write, tracked, monkeypatch
):
    monkeypatch.setattr(csv, "MOST_EMPTY_ROWS", 3)  # frames 0, 3 and 5
    (file,), notes = write(tracked, "csv")
    assert (len(file.read_text().splitlines()), notes) == (1 + 8, [])
    monkeypatch.setattr(csv, "MOST_EMPTY_ROWS", 2)
    (file,), notes = write(tracked, "csv")
    assert (len(file.read_text().splitlines()), len(notes)) == (1 + 5, 1)


def test_arrays_take_space_only_where_there_are_poses(write, tracked):
    long = {
        "backend_metadata": {"shape": (3_000_000, 48, 64, 1), "fps": 25.0},
        "open_backend": False,
    }
    for name, array in (
        ("analysis_h5", "tracks"),
        ("nwb", "processing/SLEAP_VIDEO_000_long/track=x/b/data"),
    ):
        (file,), _ = write(tracked, name, [sio.Video("long.mp4", **long)])
        file.rename(file.parent.parent / file.name)
        with h5py.File(file.parent.parent / file.name) as opened:
            assert 3_000_000 in opened[array].shape
        assert (file.parent.parent / file.name).stat().st_size < 2_000_000
        (file.parent).rmdir()


@pytest.mark.parametrize("name", ["analysis_h5", "nwb"])
def test_arrays_of_mostly_nothing_are_not_written_and_the_rest_is(tmp_path, name):
    n = 8000  # every instance a track of its own: 8000 x 8000 places of three numbers for each node
    poses = make_poses(
        BAC,
        np.zeros((n, 3, 2)),
        frame=range(n),
        tracks=range(n),
        track_names=[f"t{i}" for i in range(n)],
    )
    files, notes, failed = write_formats(
        to_labels(poses, [sio.Video("/no/such.mp4")]), tmp_path / "p.slp", [name, "csv"]
    )
    assert [file.name for file in files] == ["p.csv"]
    assert notes == []
    assert len(failed) == 1
    assert (
        "was not written: 8,000 frames x 8,000 tracks x 3 nodes "
        f"take {n * n * 3 * 3 * 8 / 2**30:.1f} GB"
    ) in failed[0]


# ---- how long a video is


def lengths(write, poses, videos):
    (file,), _ = write(poses, "analysis_h5", videos)
    with h5py.File(file) as opened:
        return opened["tracks"].shape[-1]


def test_a_video_that_is_not_there_ends_with_the_last_processed_frame(write, tracked):
    later = replace(tracked, frames=np.array([(0, 1), (0, 4), (0, 7)]))
    assert lengths(write, later, [sio.Video("/no/such.mp4")]) == 8


def test_a_package_spans_the_video_that_its_frames_are_from(write, tracked, tmp_path, video_path):
    (tmp_path / "copy.mp4").write_bytes(video_path.read_bytes())
    labels = to_labels(tracked, [sio.Video(str(tmp_path / "copy.mp4"))])
    labels.save(str(tmp_path / "a.pkg.slp"), embed=True, verbose=False)
    (tmp_path / "copy.mp4").unlink()
    package = sio.load_slp(str(tmp_path / "a.pkg.slp"))
    assert lengths(write, to_poses(package), package.videos) == LENGTH
    (file,), _ = write(to_poses(package), "analysis_h5", package.videos)
    assert sio.load_analysis_h5(str(file)).video.filename == str(tmp_path / "copy.mp4")


# ---- several videos


@pytest.fixture
def two(tracked, tmp_path, video_path):
    """The same poses in two videos of one name, and a third of which nothing was processed."""
    videos = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "gray.mp4").write_bytes(video_path.read_bytes())
        videos.append(sio.Video(str(tmp_path / folder / "gray.mp4")))
    twice = np.concatenate([tracked.frames, tracked.frames + np.array([1, 0])])
    poses = tracked[np.array([0, 1, 2, 3, 0, 1, 2, 3])]
    return replace(poses, video=np.repeat([0, 1], 4).astype(np.int32), frames=twice), [
        *videos,
        sio.Video("third.mp4"),
    ]


@pytest.mark.parametrize(
    ("name", "suffix"), [("csv", ".csv"), ("analysis_h5", ".analysis.h5"), ("nwb", ".nwb")]
)
def test_formats_of_one_video_are_a_file_for_each(write, two, tracked, name, suffix, read_nwb):
    files, _ = write(two[0], name, two[1])
    assert [file.name for file in files] == [f"p.000_gray{suffix}", f"p.001_gray{suffix}"]
    for file in files:
        loaded = {
            "csv": lambda path: sio.load_csv(str(path), video="v.mp4"),
            "analysis_h5": sio.load_analysis_h5,
            "nwb": read_nwb,
        }[name](file)
        found = [
            instance.numpy()
            for frame in loaded
            for instance in frame.instances
            if not np.isnan(instance.numpy()).all()
        ]
        assert len(found) == (3 if name == "analysis_h5" else 4)
    if name == "analysis_h5":
        assert [
            Path(sio.load_analysis_h5(str(file)).video.filename).parent.name for file in files
        ] == ["one", "two"]


def test_formats_of_many_videos_are_one_file_for_all(write, two, tracked):
    (file,), _ = write(two[0], "coco", two[1])
    images = [image["file_name"] for image in json.loads(file.read_text())["images"]]
    # The names differ.
    assert images == [
        f"{video:03}_gray_frame_{frame:06d}.png" for video in (0, 1) for frame in (1, 2, 4)
    ]
    (file,), *_ = write_formats(to_labels(*two), file.parent / "all.slp", ["slp"])
    assert len(sio.load_slp(str(file)).videos) == 3


# ---- nothing to write


@pytest.mark.parametrize(
    ("name", "count"), [("slp", 1), ("csv", 1), ("analysis_h5", 1), ("nwb", 0), ("coco", 1)]
)
def test_frames_without_any_pose(write, name, count):
    empty = make_poses(BAC, [], frames=[(0, 0), (0, 3)])
    files, notes = write(empty, name)
    assert len(files) == count
    assert len(notes) == 1 - count
    if name == "csv":
        header, *rows = files[0].read_text().splitlines()
        assert "a.x" in header
        assert [row.split(",")[1] for row in rows] == [str(frame) for frame in range(LENGTH)]
    elif name == "analysis_h5":
        with h5py.File(files[0]) as opened:
            assert opened["tracks"].shape == (0, 2, 3, LENGTH)
    elif name == "nwb":
        assert notes[0].endswith(
            "gray.mp4 has no poses, and NWB cannot say so: p.nwb was not written."
        )
    elif name == "coco":
        assert len(json.loads(files[0].read_text())["images"]) == 2


@pytest.mark.parametrize("name", ["slp", "csv", "analysis_h5", "nwb", "coco"])
def test_a_skeleton_of_one_node(write, name):
    files, _ = write(make_poses(Skeleton(("only",)), [[[1, 2]]], frame=3), name)
    assert len(files) == 1


# ---- files


def test_formats_are_written_beside_each_other_and_named_in_order(tmp_path, tracked, video_path):
    labels = to_labels(tracked, [sio.Video(str(video_path))])
    files, *_ = write_formats(labels, tmp_path / "a.predictions.slp", ["csv", "slp", "coco"])
    assert [file.name for file in files] == [
        "a.predictions.slp",
        "a.predictions.csv",
        "a.predictions.coco.json",
    ]
    assert all(file.is_file() for file in files)


def test_a_format_that_cannot_be_written_is_named_and_the_others_are_written(
    tmp_path, monkeypatch, tracked
):
    def fail(poses, video, times, path):
        raise IndexError("frame 3 is\nout of bounds")

    monkeypatch.setitem(PER_VIDEO, "nwb", PER_VIDEO["nwb"]._replace(write=fail))
    files, _, failed = write_formats(
        to_labels(tracked, [sio.Video("v.mp4")]), tmp_path / "p.slp", ["nwb", "csv", "slp"]
    )
    assert failed == [
        f"{tmp_path / 'p.nwb'}: these poses cannot be written as nwb (frame 3 is out of bounds)"
    ]
    assert [file.name for file in files] == ["p.slp", "p.csv"]
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_video_that_cannot_be_read_takes_times_along_and_nothing_else(tmp_path, tracked):
    def times():
        raise RunError("v.mp4: gone")

    files, notes, failed = write_formats(
        to_labels(tracked, [sio.Video("v.mp4")]), tmp_path / "p.slp", ["csv"], times
    )
    assert (len(files), failed) == (1, [])
    assert "times of frames are left out, because a video cannot be read: v.mp4: gone" in notes


def test_names_that_nwb_refuses_are_changed(tmp_path, tracked):
    poses = replace(tracked, track_names=("x/1", "y:2"))
    (file,), (note,), _ = write_formats(
        to_labels(poses, [sio.Video("10:20:30.mp4")]), tmp_path / "p.slp", ["nwb"]
    )
    with h5py.File(file) as opened:
        assert {"track=x_1", "track=y_2"} < set(opened["processing/SLEAP_VIDEO_000_10_20_30"])
    assert note == (
        "names that p.nwb cannot hold or tell apart were replaced there: "
        "track 0 'x/1' is x_1, track 1 'y:2' is y_2."
    )


def test_every_format_of_the_config_can_be_written():
    from sleap_lab.settings.config import keys

    assert set(keys()["output.formats"].metadata["choices"]) == {"slp", "coco", *PER_VIDEO}


# ---- time

UNEVEN = np.array([0, 0.04, 0.08, 1.08, 1.12, NAN])


def test_csv_has_the_time_of_each_row_where_frames_are_not_evenly_spaced(tracked, write):
    (file,), _ = write(tracked, "csv", times={0: UNEVEN})
    table = [line.split(",") for line in file.read_text().splitlines()]
    assert table[0][-1] == "time_s"
    assert [(int(row[1]), row[-1]) for row in table[1:]] == [
        *[
            (0, "0.0"),
            (1, "0.04"),
            (1, "0.04"),
            (2, "0.08"),
            (3, "1.08"),
            (4, "1.12"),
            (4, "1.12"),
            (5, ""),
        ]
    ]
    read = to_poses(sio.load_file(str(file)))
    assert read.visible.any(axis=1).sum() == len(tracked)
    assert set(read.skeleton.nodes) == set(BAC.nodes)


def test_analysis_hdf5_has_the_time_of_each_frame(tracked, write):
    (file,), _ = write(tracked, "analysis_h5", times={0: UNEVEN})
    with h5py.File(file) as opened:
        np.testing.assert_array_equal(opened["time_s"], UNEVEN)
        assert json.loads(opened["time_s"].attrs["dims"]) == ["frame"]
    assert len(sio.load_analysis_h5(str(file)).labeled_frames) > 0


def test_nwb_has_times_instead_of_a_rate(tracked, write, read_nwb):
    times = np.where(np.isnan(UNEVEN), 1.16, UNEVEN)
    (file,), _ = write(tracked, "nwb", times={0: times})
    with h5py.File(file) as opened:
        found = []
        opened.visititems(
            lambda name, item: found.append(item[()]) if name.endswith("/timestamps") else None
        )
    assert len(found) == 9  # three lanes of three nodes
    for own in found:
        np.testing.assert_array_equal(own, times)
    assert sorted(frame.frame_idx for frame in read_nwb(file) if len(frame.instances)) == [1, 4]


def test_where_frames_are_evenly_spaced_no_times_are_written(tracked, write):
    (file,), _ = write(tracked, "csv")
    assert "time_s" not in file.read_text()


# ---- names

AWKWARD = [
    "mouse",
    "mouse",
    "",
    "a/b",
    "a:b",
    "a_b",
    "Mäuse 🐭",
    "n" * 300,
    "..",
    "untracked_0",
    "mouse_2",
]


@pytest.fixture
def awkward():
    """An animal for each of many names, and one without a track, in two frames.

    Two nodes would have the same name.
    """
    n = len(AWKWARD)
    places = np.tile(np.arange(n + 1), 2)
    points = np.stack([places * 10, places * 10 + 1], axis=1)[:, None] + np.array(
        [[0, 0], [1, 1], [2, 2]]
    )
    return make_poses(
        Skeleton(("x/y", "x_y", "."), edges=((0, 1),), name="a/b:c"),
        points,
        frame=np.repeat([0, 1], n + 1),
        tracks=np.where(places < n, places, -1),
        track_names=AWKWARD,
    )


def test_no_name_of_a_track_or_node_loses_an_animal_in_csv(write, awkward):
    (file,), (note,) = write(awkward, "csv")
    assert note.endswith(
        "cannot hold or tell apart were replaced there: "
        "track 1 'mouse' is mouse_3, track 2 '' is track."
    )
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    tracks = [row[0] for row in rows if row[1] == "0"]
    assert len(set(tracks)) == len(AWKWARD) + 1  # one without a track
    assert {"Mäuse 🐭", "a/b", "n" * 300, ""} < set(tracks)


def test_no_name_of_a_track_or_node_loses_an_animal_in_nwb(write, awkward, read_nwb):
    (file,), notes = write(awkward, "nwb")
    labels = read_nwb(file)
    assert sorted(to_poses(labels).points[:, 0, 0].tolist()) == sorted(
        awkward.points[:, 0, 0].tolist()
    )
    assert len(set(labels.skeleton.node_names)) == 3
    assert "track 3 'a/b' is a_b_2, track 4 'a:b' is a_b_3" in notes[1]
    with h5py.File(file) as opened:
        (group,) = [
            group for name, group in opened["processing"].items() if name.startswith("SLEAP")
        ]
        assert sum(name.startswith("track=") for name in group) == len(AWKWARD) + 1
        assert group["track=a_b_2/description"][()] == b"Poses of a/b"


def test_no_name_of_a_track_or_node_loses_an_animal_in_analysis_h5(write, awkward):
    (file,), _ = write(awkward, "analysis_h5")
    labels = sio.load_analysis_h5(str(file))
    assert sorted(to_poses(labels).points[:, 0, 0].tolist()) == sorted(
        awkward.points[awkward.tracks >= 0, 0, 0].tolist()
    )
    assert len({track.name for track in labels.tracks}) == len(AWKWARD)


def test_names_come_back_from_slp(write, awkward):
    (file,), _ = write(awkward, "slp")
    assert to_poses(sio.load_slp(str(file))).track_names == tuple(AWKWARD)


def test_a_long_name_of_a_video_fits_into_the_name_of_a_file(tmp_path, tracked):
    two = replace(
        tracked, video=np.array([0, 1, 0, 1]), frames=np.array([(0, 1), (1, 1), (0, 4), (1, 4)])
    )
    videos = [sio.Video("ü" * 120 + ".mp4"), sio.Video("b.mp4")]
    files, _, failed = write_formats(to_labels(two, videos), tmp_path / "p.slp", ["csv"])
    assert (len(files), failed) == (2, [])
