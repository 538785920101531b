import numpy as np

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tracking.bodies import describe_bodies
from sleap_lab.tracking.population import count_animals, second_detections
from sleap_lab.tracking.runs import joined


def linked(time, links):
    return joined(len(time), *np.array(links, dtype=int).reshape(-1, 2).T)


def test_animals_are_counted_by_what_is_linked():
    # Two animals in ten frames, and a ghost in six of them.
    time = np.concatenate([np.repeat(np.arange(10), 2), np.arange(6)])
    runs = linked(time, [(row, row + 2) for row in range(18)])
    assert count_animals(time, runs) == (2, True)


def test_animals_that_are_rarely_there_together_may_come_and_go():
    # Four animals in two of twenty frames, else one: 26 / 20 is less than 0.7 * 4.
    time = np.concatenate([np.arange(20), [5, 5, 5, 6, 6, 6]])
    assert count_animals(time, linked(time, [])) == (4, False)


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


def test_a_run_that_begins_with_the_first_detection_is_one():
    # Two animals in frames 0 and 1, and something that is linked with nothing in each.
    time = np.array([0, 0, 0, 1, 1, 1])
    assert count_animals(time, linked(time, [(0, 3), (1, 4)])) == (2, True)
