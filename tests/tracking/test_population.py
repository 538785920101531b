from itertools import pairwise

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking import population
from sleap_lab.tracking.bodies import describe_bodies
from sleap_lab.tracking.population import (
    animals_stay,
    count_animals,
    count_paths,
    second_detections,
)
from sleap_lab.tracking.stretches import joined


def linked(time, links):
    return joined(len(time), *np.array(links, dtype=int).reshape(-1, 2).T)


def test_animals_are_counted_by_what_is_linked():
    # Two animals in ten frames, and a ghost in six of them.
    time = np.concatenate([np.repeat(np.arange(10), 2), np.arange(6)])
    stretches = linked(time, [(row, row + 2) for row in range(18)])
    assert count_animals(time, stretches) == (2, 1.0)


def test_how_often_all_animals_are_seen():
    # Four animals in four of a hundred frames, else one.
    time = np.concatenate([np.arange(100), np.repeat([50, 51, 52, 53], 3)])
    assert count_animals(time, linked(time, [])) == (4, 0.04)


def visits(*spans):
    """Times of animals that are seen in all frames of each span, and the paths that join them."""
    time = np.concatenate([np.arange(first, last + 1) for first, last in spans])
    own = np.repeat(np.arange(len(spans)), [last + 1 - first for first, last in spans])
    order = np.lexsort((own, time))
    rows = [np.flatnonzero(own[order] == k) for k in range(len(spans))]
    return time[order], linked(time, [pair for row in rows for pair in pairwise(row)])


def test_animals_of_which_all_are_there_in_a_third_of_the_frames_stay():
    # One animal in each of twelve frames; a second one in frames 2 and 5, which are joined;
    # something that is joined with nothing in frame 8.
    time = np.concatenate([np.arange(12), [2, 5, 8]])
    paths = linked(time, [*((row, row + 1) for row in range(11)), (12, 13)])
    assert animals_stay(time, paths, 2, np.zeros(len(time)))  # frames 2 to 5 of 12


def test_who_comes_back_where_somebody_is_missing_stays():
    # Two animals hide by turns for eight frames, and are there together in every fifth frame. At
    # each of the nine comings one is there, and 2 - 118 / 100 are hidden in the mean: the odds are
    # 9 log(1 / 0.82) = 1.8 against log(9) / 2 = 1.1.
    time, paths = visits(*((10 * k, 10 * k + 11) for k in range(9)), (90, 99))
    assert animals_stay(time, paths, 2, np.zeros(len(time)))


def test_who_comes_however_many_are_there_does_not_stay():
    # Shoals of four: as often as one comes where none is there, one comes where three are.
    spans = [(40 * shoal + 3 * k, 40 * shoal + 3 * k + 9) for shoal in range(7) for k in range(4)]
    time, paths = visits(*spans)
    assert not animals_stay(time, paths, 4, np.zeros(len(time)))


def test_where_there_are_often_more_nobody_stays():
    # Shoals of seven: of 70 frames, three are there for ten, fewer for 25, and more for 35.
    spans = [(70 * shoal + 5 * k, 70 * shoal + 5 * k + 34) for shoal in range(7) for k in range(7)]
    time, paths = visits(*spans)
    assert not animals_stay(time, paths, 3, np.zeros(len(time)))


def test_somebody_who_comes_late_stays():
    time, paths = visits((0, 99), (80, 99))
    assert animals_stay(time, paths, 2, np.zeros(len(time)))


@pytest.mark.parametrize("turn", [1, 1j, -1])
@pytest.mark.parametrize("inside", [True, False])
def test_who_comes_and_goes_inside_what_is_seen_hides(inside, turn):
    # At the four comings three, none, one and two are there, and 2.1 of four are hidden in the
    # mean: the odds are log(1 * 4 * 3 * 2 / 2.1^4) = 0.2 against log(4) / 2 + log(2) = 1.4. With
    # those of places, log(10), it is the other way round. A visit begins and ends in the middle and
    # leads to one side, or the other way round.
    spans = [(0, 29), (0, 29), (0, 29), (20, 39), (50, 79), (60, 79), (70, 99)]
    time, paths = visits(*spans)
    first, last = paths.first(), paths.last()
    middle = (time - time[first]) * (time[last] - time) < 60
    side = np.array([1, 1j, -1, -1j])[np.arange(len(time)) % 4] * (1 + np.arange(len(time)) / 1e3)
    places = turn * np.where(middle == inside, 0.1 * side, side)
    assert animals_stay(time, paths, 5, places) == inside


def test_animals_that_are_rarely_seen_are_counted_by_their_paths():
    # Three animals, each in every third frame in turn, and five ghosts that are joined with others
    # of 20 frames later.
    time = np.concatenate([np.arange(90), np.repeat([30, 50], 5)])
    links = [(row, row + 3) for row in range(87)] + [(row, row + 5) for row in range(90, 95)]
    paths = linked(time, links)
    assert count_animals(time, paths)[0] == 1
    assert count_paths(time, paths) == 3


def test_what_is_seen_in_three_of_a_hundred_frames_is_counted():
    for extra, animals in ((3, 2), (2, 1)):
        time = np.concatenate([np.arange(100), np.arange(extra)])
        assert count_animals(time, linked(time, []))[0] == animals


def test_a_second_detection_is_the_worse_one_of_two_that_are_close():
    # Two animals 50 px apart; in frames 3 and 7 the first is found twice, 1 px apart.
    xs = [(frame, x, 0.9) for frame in range(10) for x in (0, 50)]
    xs += [(3, 1, 0.4), (7, 1, 0.95)]
    points = [[[x, 0], [x + 10, 0]] for _, x, _ in xs]
    frame, worth = np.array([row[0] for row in xs]), np.array([row[2] for row in xs])
    poses = make_poses(Skeleton(("a", "b")), points, frame=frame)
    second = second_detections(describe_bodies(poses), frame, worth, 2)
    assert np.flatnonzero(second).tolist() == [14, 20]


def test_without_frames_that_are_too_full_nothing_is_a_second_detection():
    points = [[[x, 0], [x + 10, 0]] for x in (0, 1) * 5]
    frame = np.repeat(np.arange(5), 2)
    poses = make_poses(Skeleton(("a", "b")), points, frame=frame)
    assert not second_detections(describe_bodies(poses), frame, np.ones(10), 2).any()


def test_a_stretch_that_begins_with_the_first_detection_is_one():
    # Two animals in frames 0 and 1, and something that is linked with nothing in each.
    time = np.array([0, 0, 0, 1, 1, 1])
    assert count_animals(time, linked(time, [(0, 3), (1, 4)])) == (2, 1.0)


def places(*frames):
    """Single nodes at the x of each frame, as poses and frame numbers."""
    rows = [(frame, x) for frame, xs in enumerate(frames) for x in xs]
    frame = np.array([frame for frame, _ in rows])
    return make_poses(Skeleton(("a",)), [[[x, 0]] for _, x in rows], frame=frame), frame


def test_that_most_frames_have_one_animal_does_not_make_another_a_second_detection():
    # Two animals, of which one is hidden in three of five frames.
    poses, frame = places(*([0, 9 + t % 7] if t % 5 < 2 else [0] for t in range(50)))
    assert not second_detections(describe_bodies(poses), frame, np.ones(len(frame)), None).any()


def test_second_detections_are_found_beside_missing_animals():
    # Three animals, of which one is missing in most frames, and a duplicate in each seventh.
    frames = [
        [0, 50, *([90] if t % 3 == 0 else []), *([0.1] if t % 7 == 0 else [])] for t in range(90)
    ]
    poses, frame = places(*frames)
    second = second_detections(describe_bodies(poses), frame, np.arange(len(frame))[::-1], None)
    # Not in the first frame: beside it there are not two that tell.
    assert frame[second].tolist() == list(range(7, 90, 7))
    assert poses.points[second, 0, 0].tolist() == [0.1] * 12


def test_the_number_that_many_frames_tell_is_taken_before_one_that_a_single_frame_tells():
    # Eighty frames with two animals 10 apart, twenty with a duplicate at 0.1, one with two ghosts.
    counts, nearest = np.repeat([2, 3, 4], [80, 20, 1]), np.repeat([10, 0.1, 5], [80, 20, 1])
    # All 21 fuller frames have a nearer pair than any other, less what chance does in so many.
    told = 1 - 1 / np.sqrt(21)
    assert population._likeliest(nearest, counts, twice=0.25) == pytest.approx((told, 2, 0.4))


def test_of_few_frames_two_show_how_many_animals_there_are():
    for time, animals in (([0, 0, 1, 1, 2, 3], 2), ([0, 0, 1, 2, 3], 1), ([0, 0], 2)):
        assert count_animals(np.array(time), linked(time, []))[0] == animals


@pytest.mark.parametrize("animals", [None, 2])
def test_places_without_extent_are_second_detections_in_frames_that_are_too_full_only(animals):
    # Two animals on the same spot in frame 60; the first is found twice in every tenth frame.
    frames = [[0, 50, 0.1] if t % 10 == 0 else [0, 50] for t in range(60)]
    poses, frame = places(*frames, [0, 0.1])
    worth = np.arange(len(frame))[::-1]
    second = second_detections(describe_bodies(poses), frame, worth, animals)
    assert frame[second].tolist() == list(range(0, 60, 10))


def test_where_the_number_is_known_most_frames_may_be_too_full():
    frames = [[0, 50, 0.1] if t % 5 else [0, 50] for t in range(40)]
    poses, frame = places(*frames)
    bodies, worth = describe_bodies(poses), np.arange(len(frame))[::-1]
    second = second_detections(bodies, frame, worth, 2)
    assert poses.points[second, 0, 0].tolist() == [0.1] * 32
    assert not second_detections(bodies, frame, worth, None).any()


def test_a_single_animal_is_told_from_its_duplicates_by_its_extent():
    xs = [(frame, 0) for frame in range(40)] + [(frame, 1) for frame in range(0, 40, 8)]
    frame = np.array([frame for frame, _ in xs])
    poses = make_poses(Skeleton(("a", "b")), [[[x, 0], [x + 20, 0]] for _, x in xs], frame=frame)
    second = second_detections(describe_bodies(poses), frame, np.arange(45)[::-1], None)
    assert np.flatnonzero(second).tolist() == list(range(40, 45))


@pytest.mark.parametrize(("apart", "duplicates"), [(1, True), (30, False)])
def test_an_animal_found_twice_in_two_of_five_frames_is_one(apart, duplicates):
    xs = [(t, 0) for t in range(40)] + [(t, apart) for t in range(40) if t % 5 in (1, 3)]
    frame = np.array([t for t, _ in xs])
    poses = make_poses(Skeleton(("a", "b")), [[[x, 0], [x + 20, 0]] for _, x in xs], frame=frame)
    second = second_detections(describe_bodies(poses), frame, np.arange(56)[::-1], None)
    assert np.flatnonzero(second).tolist() == (list(range(40, 56)) if duplicates else [])


def in_one_place(way, often):
    """A place that goes round, and for 200 frames, in some of them, another one some way off."""
    rng = np.random.default_rng(0)
    at = 100 * np.exp(1j * np.arange(200) / 7)
    twice = np.flatnonzero(rng.random(200) < often)
    errors = np.exp(2j * np.pi * rng.random(200))
    own = np.concatenate([at, (at + way + errors)[twice]])
    frame = np.concatenate([np.arange(200), twice])
    points = np.stack([own.real, own.imag], axis=-1)[:, None]
    return make_poses(Skeleton(("n",)), points, frame=frame), twice


@pytest.mark.parametrize(
    ("way", "often", "one"),
    [
        (0, 0.4, True),  # errors of a px about a single animal
        (6, 0.4, False),  # another animal that stays beside it
        (0, 0.6, False),  # more often than one animal is found twice
    ],
)
def test_places_that_err_about_one_another_are_one_animal(way, often, one):
    poses, twice = in_one_place(way, often)
    worth = np.arange(len(poses))[::-1]
    second = second_detections(describe_bodies(poses), poses.frame, worth, None)
    assert np.flatnonzero(second).tolist() == (list(range(200, 200 + len(twice))) if one else [])


def test_two_animals_that_lie_on_each_other_are_two():
    xs = [(t, x) for t in range(40) for x in (0, 1)]
    frame = np.array([t for t, _ in xs])
    poses = make_poses(Skeleton(("a", "b")), [[[x, 0], [x + 20, 0]] for _, x in xs], frame=frame)
    assert not second_detections(describe_bodies(poses), frame, np.ones(80), None).any()


def test_a_single_frame_that_is_too_full_tells_of_a_duplicate():
    frames = [[0, 50 + t % 9] for t in range(20)] + [[0, 50, 0.1]]
    poses, frame = places(*frames)
    second = second_detections(describe_bodies(poses), frame, np.arange(43)[::-1], None)
    assert np.flatnonzero(second).tolist() == [42]


def test_where_animals_come_and_go_a_second_detection_is_told_by_the_frames_beside_it():
    # One to four animals 50 px apart, so that no frame is too full; the first is found twice in
    # every ninth frame. For frames 41 to 45 two of them lie 3 px apart.
    frames = []
    for t in range(81):
        xs = [50 * k for k in range(1 + (t // 10) % 4)]
        frames.append(xs + ([0.5] if t % 9 == 4 else []) + ([3] if 41 <= t <= 45 else []))
    poses, frame = places(*frames)
    second = second_detections(describe_bodies(poses), frame, np.arange(len(frame))[::-1], None)
    assert frame[second].tolist() == list(range(4, 81, 9))
