"""What the `.slp` file of a run holds beside poses."""

from functools import partial

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.media.formats.slp import write_slp
from sleap_lab.media.labels import to_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import DataConfig, OutputConfig


@pytest.fixture
def source(video_path):
    return open_source(DataConfig(path=str(video_path)))


@pytest.fixture
def write(source, tmp_path):
    """Return a function that writes labels and returns what is read, and the notes."""

    def write(labels, source=source, **output):
        notes = []
        write_slp(
            labels,
            tmp_path / "p.slp",
            "0" * 32,
            notes,
            source=source,
            output=OutputConfig(**output),
            centroids=lambda: "anchor:thorax",
        )
        return sio.load_slp(str(tmp_path / "p.slp")), notes

    return write


@pytest.fixture
def labels(source):
    """Two centroids in frame 1, the first tracked, and none in frame 2."""

    def make(nodes=("centroid",)):
        points = np.tile([[[1.5, 2]], [[8, 9]]], (1, len(nodes), 1))
        poses = make_poses(
            Skeleton(nodes),
            points,
            frame=[1, 1],
            point_scores=np.ones((2, len(nodes))),
            instance_scores=[0.75, 0.5],
            tracks=[0, -1],
            track_scores=[0.25, np.nan],
            track_names=["x"],
            frames=[(0, 1), (0, 2)],
        )
        return to_labels(poses, source.videos)

    return make


@pytest.mark.parametrize(("form", "instances"), [("centroid", 0), ("both", 2)])
def test_centroids(labels, write, form, instances):
    read, notes = write(labels(), centroid_output=form)
    assert not notes
    assert [frame.frame_idx for frame in read] == [1, 2]
    assert [len(frame.instances) for frame in read] == [instances, 0]
    first, second = read[0].centroids
    assert (first.x, first.y, first.score, first.source) == (1.5, 2, 0.75, "anchor:thorax")
    assert (first.track.name, first.tracking_score) == ("x", 0.25)
    assert (second.x, second.y, second.score, second.track) == (8, 9, 0.5, None)
    assert not read[1].centroids


def test_by_default_centroids_are_instances(labels, write):
    read, notes = write(labels())
    assert not notes
    assert [len(frame.instances) for frame in read] == [2, 0]
    assert not read[0].centroids


def test_poses_of_several_nodes_are_no_centroids(labels, write):
    read, notes = write(labels(("a", "b")), centroid_output="centroid")
    assert [len(frame.instances) for frame in read] == [2, 0]
    assert notes == [
        "output.centroid_output=centroid is for centroid models alone; these predictions have "
        "several nodes and are written as instances."
    ]


def test_writing_changes_no_labels(labels, write):
    given = labels()
    write(given, centroid_output="centroid", embed=True)
    assert [len(frame.instances) for frame in given] == [2, 0]
    assert given.videos[0].filename.endswith(".mp4")


def test_images_are_those_that_the_networks_saw(labels, write, source):
    read, _ = write(labels(), embed=True)
    assert read.videos[0].backend.has_embedded_images
    for frame in (1, 2):
        np.testing.assert_array_equal(read.videos[0][frame], source.read(0, frame))


def test_auto_embeds_what_comes_from_a_package(labels, write, tmp_path):
    read, _ = write(labels(), embed="auto")
    assert not read.videos[0].backend_metadata.get("has_embedded_images")
    package, _ = write(labels(), embed=True)
    image = package.videos[0][1]
    moved = (tmp_path / "p.slp").rename(tmp_path / "in.pkg.slp")
    again = open_source(DataConfig(path=str(moved)))
    remade = partial(to_labels, again.labels, again.videos)
    for embed, holds in (("auto", "p.slp"), (False, "in.pkg.slp")):
        read, _ = write(remade(), again, embed=embed)
        assert read.videos[0].filename == str(tmp_path / holds)
        np.testing.assert_array_equal(read.videos[0][1], image)


def test_the_videos_behind_a_package_are_named_where_asked(labels, write, tmp_path, video_path):
    write(labels(), embed=True)
    moved = (tmp_path / "p.slp").rename(tmp_path / "in.pkg.slp")
    source = open_source(DataConfig(path=str(moved)))
    poses = to_labels(source.labels, source.videos)
    read, _ = write(poses, source, restore_source_videos=True)
    assert read.videos[0].filename == str(video_path)
