from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.quality.assess import assess
from sleap_lab.quality.breakdown import breakdown, write_breakdown
from sleap_lab.quality.kinds import KINDS


@pytest.fixture
def quality(scene, changed):
    """Three worms; the tail of the second jumps away and back, and its head is missing once."""
    poses = scene(n_frames=100)
    points = poses.points.copy()
    tail = int(np.flatnonzero((poses.frame == 40) & (poses.tracks == 1))[0])
    points[tail, 5] += [0, 70]
    points[tail + 30, 0] = np.nan
    return assess(replace(poses, points=points))


def test_findings_are_those_of_an_animal_and_its_nodes(quality):
    parts = {(part.animal, part.node): part for part in breakdown(quality, ["a.mp4"])}
    assert len(parts) == 3 * 7
    jumps = list(KINDS).index("jump")
    assert {name: part.counts[jumps] for name, part in parts.items() if part.counts[jumps]} == {
        ("worm 1", ""): 2,
        ("worm 1", "tail"): 2,
    }
    assert parts["worm 1", "head"].found == pytest.approx(0.99)
    assert parts["worm 1", ""].found == pytest.approx(1 - 0.01 / 6)
    assert {part.video for part in parts.values()} == {"a.mp4"}


def test_poses_without_a_track_have_no_animal(quality):
    poses = replace(quality.order.poses, tracks=np.full(300, -1))
    parts = list(breakdown(assess(poses), ["a.mp4"]))
    assert {part.animal for part in parts} == {""}
    assert parts[0].poses == 300


def test_the_table(quality, tmp_path):
    write_breakdown(tmp_path / "quality.csv", quality, ["a, b.mp4"])
    header, first, *rows = (tmp_path / "quality.csv").read_text().splitlines()
    assert header.startswith("video,animal,node,poses,found,jump,flip,")
    assert header.split(",")[5:] == list(KINDS)
    assert first == '"a, b.mp4",worm 0,,100,1.0' + ",0" * len(KINDS)
    assert len(rows) == 3 * 7 - 1
