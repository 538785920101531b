import pytest

from sleap_lab.tracking.watch import onwards, unwatched, within


@pytest.fixture
def told():
    """What was told, and a watch that is told it."""
    found = []
    return found, lambda done, total, step="": found.append((done, total, step))


def test_a_part_names_its_steps(told):
    found, watch = told
    within(watch, "part")(1, 3, "step")
    within(watch, "part")(2, 3)
    within(watch, "")(3, 3, "step")
    within(watch, "")(4, 4)
    assert found == [(1, 3, "part, step"), (2, 3, "part"), (3, 3, "step"), (4, 4, "")]


def test_frames_of_a_video_follow_those_of_the_videos_before_it(told):
    found, watch = told
    second = onwards(watch, 10, 30, "video 2 of 3")
    second(4, 5)
    second(1, 2, "step")
    assert found == [(10 + 4, 30, ""), (1, 2, "video 2 of 3, step")]


def test_nobody_needs_to_watch():
    unwatched(1, 2, "step")
