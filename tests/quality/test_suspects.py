from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import Quality, assess
from sleap_lab.quality.kinds import KINDS
from sleap_lab.quality.neighbours import in_order
from sleap_lab.quality.signs import Found
from sleap_lab.quality.suspects import REACH, suspects, write_suspects
from sleap_lab.tracking.offline import identify

STILL = make_poses(
    Skeleton(("a", "b")),
    np.tile([[0.0, 0], [100, 0]], (900, 1, 1)) + 300 * np.tile(np.arange(3), 300)[:, None, None],
    frame=np.repeat(np.arange(300), 3),
    tracks=np.tile(np.arange(3), 300),
    track_names=("x", "y", "z"),
)
"""Three animals that do not move, 300 frames."""


@pytest.fixture
def planted(scene):
    """Return a function that makes a quality with findings [(kind, frame, track, node)]."""

    def make(findings, n_frames=300):
        order = in_order(scene(n_frames=n_frames))
        rows = {kind: [] for kind in KINDS}
        for kind, frame, track, node in findings:
            rows[kind].append((frame * 3 + track, node))
        found = {}
        for kind, places in rows.items():
            where, nodes = np.array(places, dtype=int).reshape(-1, 2).T
            found[kind] = Found(where, nodes, np.full(len(where), 2.0))
        return Quality(order, found, {0: 3}, 100.0, {})

    return make


def test_nothing_found_is_nothing_to_look_at(scene):
    assert suspects(assess(scene())) == []


def test_the_second_tracker_has_no_doubt_about_animals_that_stay_apart(scene):
    assert suspects(assess(scene(), 3, identify)) == []


def test_the_most_doubtful_moment_comes_first(planted):
    first, second = suspects(
        planted([("gap", 20, 0, -1), ("jump", 200, 1, 5), ("double", 204, 2, -1)])
    )
    assert (first.frame, first.first, first.last) == (200, 200, 204)
    assert first.probability == pytest.approx(
        1 - (1 - KINDS["jump"].chance) * (1 - KINDS["double"].chance)
    )
    assert first.animals == ("worm 1", "worm 2")
    assert first.reason == (
        "worm 1: tail moves 2.0 body lengths in one frame; worm 2: lies on another pose (frame 204)"
    )
    assert first.nodes == (("worm 1", "tail"),)
    assert (second.frame, second.probability) == (20, pytest.approx(KINDS["gap"].chance))


def test_a_look_covers_as_much_as_it_can(planted):
    # From 60 all of it is within ten frames, from 50 and 70 two thirds of it.
    (moment,) = suspects(planted([("jump", 50, 0, -1), ("gap", 60, 1, -1), ("jump", 70, 2, -1)]))
    assert (moment.frame, moment.first, moment.last) == (60, 50, 70)


def test_a_look_goes_where_more_is_seen_if_it_misses_nearly_nothing(planted):
    # From 45 the drop at 36 would be within reach, too.
    flips = [("flip", 50, animal, node) for animal in range(3) for node in range(2)]
    (first, _) = suspects(planted([("drop", 36, 0, 1), ("gap", 45, 1, -1), *flips]))
    assert first.frame == 50


def test_a_look_between_two_findings_covers_both(planted):
    (moment,) = suspects(planted([("gap", 40, 0, -1), ("gap", 60, 1, -1)]))
    assert (moment.frame, moment.first, moment.last) == (50, 40, 60)


def test_a_finding_at_the_end_of_a_video_is_looked_at_itself(planted):
    findings = [("gap", 2, 0, -1), ("jump", 299, 1, -1)]
    assert [moment.frame for moment in suspects(planted(findings))] == [299, 2]


def test_where_more_switches_are_expected_comes_first(planted):
    """Three doubts of 30% are worth more than one of 80%, and one of 80% than a wrong pose."""
    doubts = [("doubt", 50, 0, -1), *(("doubt", 100 + 3 * i, i, -1) for i in range(3))]
    poses = [("mixed", 200, 0, -1), ("flip", 200, 1, -1), ("jump", 200, 2, -1)]
    quality = planted([*doubts, *poses])
    chances = quality.found["doubt"]._replace(values=np.array([0.8, 0.3, 0.3, 0.3]))
    moments = suspects(replace(quality, found={**quality.found, "doubt": chances}))
    assert [moment.frame for moment in moments] == [103, 50, 200]
    assert [moment.switches for moment in moments] == pytest.approx([0.9, 0.8, 0])
    assert [moment.probability for moment in moments] == pytest.approx([0.3, 0.8, 0.424])


def test_of_moments_that_are_wrong_in_any_case_the_one_with_more_wrong_comes_first(planted):
    one, three = [("swap", 50, 0, -1)], [("swap", 200 + i, i, -1) for i in range(3)]
    quality = planted([*one, *three, ("jump", 52, 0, -1), ("flip", 52, 1, -1)])
    sure = quality.found["swap"]._replace(values=np.full(4, 0.99))
    moments = suspects(replace(quality, found={**quality.found, "swap": sure}))
    assert [moment.first for moment in moments] == [200, 50]
    assert moments[1].probability > moments[0].probability


def test_a_sign_that_repeats_counts_once(planted):
    (moment,) = suspects(planted([("jump", 50, 0, 1), ("jump", 51, 0, 1), ("jump", 52, 0, 1)]))
    assert moment.probability == pytest.approx(KINDS["jump"].chance)
    assert moment.reason == "worm 0: neck moves 2.0 body lengths in one frame"
    assert (moment.first, moment.last) == (50, 52)


def test_many_reasons_are_counted(planted):
    (moment,) = suspects(planted([("jump", 50, 0, node) for node in range(5)]))
    assert moment.reason.endswith("; and 2 more")


def test_an_animal_is_named_once_and_every_kind_of_sign_is_told_first(planted):
    # Three nodes of worm 0 jump, and it lies on another pose, which is as likely an error.
    nodes = [("jump", 50, 0, node) for node in range(3)]
    (moment,) = suspects(planted([*nodes, ("double", 50, 0, -1)]))
    head, _, last = moment.reason.partition(", lies on another pose, ")
    assert head == "worm 0: head moves 2.0 body lengths in one frame"
    assert last == "neck moves 2.0 body lengths in one frame; and 1 more"


def test_a_sign_is_told_by_its_strongest_case(planted):
    # It is unsure again and again; the largest of it is told, and first.
    quality = planted([("doubt", 50, 0, -1), ("jump", 51, 1, -1), ("doubt", 52, 2, -1)])
    values = {"doubt": np.array([0.6, 0.02])}
    found = {
        kind: old._replace(values=values.get(kind, old.values))
        for kind, old in quality.found.items()
    }
    (moment,) = suspects(replace(quality, found=found))
    assert moment.reason.startswith("worm 0: could be another animal (60%)")


def test_moments_end_with_their_video(scene):
    poses = scene(n_frames=20)
    second = replace(poses, video=poses.video + 1, frames=np.add(poses.frames, [1, 0]))
    both = {
        "points": np.concatenate([poses.points, second.points]),
        "frames": np.concatenate([poses.frames, second.frames]),
    }
    record = replace(poses[np.r_[: len(poses), : len(poses)]], **both)
    record = replace(record, video=np.repeat([0, 1], len(poses)).astype(np.int32))
    points = record.points.copy()
    points[19 * 3] += 90  # the last frame of the first video
    points[20 * 3] += 90  # the first frame of the second
    found = suspects(assess(replace(record, points=points)))
    assert {(moment.video, moment.last) for moment in found} >= {(0, 19)}
    assert all(moment.first <= moment.frame <= moment.last for moment in found)


@settings(max_examples=25, deadline=None)
@given(
    frames=st.lists(st.integers(0, 299), min_size=1, max_size=40),
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=40, max_size=40),
)
def test_every_finding_is_within_reach_of_a_moment(frames, kinds):
    order = in_order(STILL)
    found = {}
    for kind in KINDS:
        rows = np.array([3 * f for f, k in zip(frames, kinds, strict=False) if k == kind], int)
        found[kind] = Found(rows, np.full(len(rows), -1), np.full(len(rows), 0.5))
    moments = suspects(Quality(order, found, {0: 3}, 100.0, {}))
    for frame in frames:
        assert any(abs(frame - m.frame) <= REACH for m in moments)
    assert all(m.first <= m.frame <= m.last for m in moments)
    assert all(m.last - m.first <= 2 * REACH for m in moments)
    assert all(0 < m.probability < 1 for m in moments)


def test_the_table(planted, tmp_path):
    moments = suspects(planted([("jump", 200, 1, 5)]))
    write_suspects(tmp_path / "suspects.csv", moments, ["a.mp4"])
    assert (tmp_path / "suspects.csv").read_text().splitlines() == [
        "rank,video,frame,first,last,animals,probability,switches,reason",
        "1,a.mp4,200,200,200,worm 1,0.1,0.0,worm 1: tail moves 2.0 body lengths in one frame",
    ]
