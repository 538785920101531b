"""Time is passed by hand: each case says what two workers do, and for how long."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sleap_lab.pipelines.profile import NETWORK, PREPROCESS, Clock, doing


@pytest.fixture
def other():
    """Return a function that calls another in a second thread, always the same."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda call, *arguments: pool.submit(call, *arguments).result()


def test_without_a_worker_frames_are_waited_for(pass_time):
    watch = Clock()
    pass_time(3)
    assert watch.split(3) == {"read": 3, "preprocess": 0, "network": 0, "peaks": 0}


def test_a_worker_says_what_it_does(pass_time):
    watch = Clock()
    pass_time(1)
    with watch.working():
        pass_time(2)
        with doing(PREPROCESS):
            pass_time(4)
        with doing(NETWORK):
            pass_time(8)
        pass_time(16)
    pass_time(32)
    assert watch.split(63) == {"read": 1 + 32, "preprocess": 4, "network": 8, "peaks": 2 + 16}


def test_what_happens_at_the_same_time_shares_it(pass_time, other):
    watch = Clock()
    mine, theirs = watch.working(), watch.working()
    network = doing(NETWORK)
    mine.__enter__()
    pass_time(2)  # peaks alone
    other(theirs.__enter__)
    other(network.__enter__)
    pass_time(4)  # half peaks, half network
    mine.__exit__(None, None, None)
    pass_time(8)  # network alone
    other(network.__exit__, None, None, None)
    other(theirs.__exit__, None, None, None)
    pass_time(16)
    assert watch.split(30) == {
        "read": 16,
        "preprocess": 0,
        "network": 4 / 2 + 8,
        "peaks": 2 + 4 / 2,
    }


def test_something_else_may_be_waited_for(pass_time):
    watch = Clock()
    with watch.meanwhile("write"):
        pass_time(1)
        with watch.working():
            pass_time(2)  # written while a worker is at it
        pass_time(4)
    pass_time(8)
    assert watch.split(15) == {"read": 8, "preprocess": 0, "network": 0, "peaks": 2, "write": 1 + 4}


def test_shares_are_of_what_is_to_be_shared_out(pass_time):
    watch = Clock()
    pass_time(1)
    with watch.working():
        pass_time(3)
    assert watch.split(8.0) == {"read": 8 / 4, "preprocess": 0, "network": 0, "peaks": 8 * 3 / 4}


def test_no_time_at_all(pass_time):
    assert sum(Clock().split(0.0).values()) == 0


def test_a_worker_that_fails_works_no_longer(pass_time):
    watch = Clock()
    # Time passes before the error, so that the block has two statements.
    with pytest.raises(KeyError), watch.working(), doing(NETWORK):  # noqa: PT012
        pass_time(1)
        raise KeyError
    pass_time(2)
    assert watch.split(3) == {"read": 2, "preprocess": 0, "network": 1, "peaks": 0}


def test_who_is_no_worker_is_not_counted(pass_time):
    watch = Clock()
    with watch.working():
        thread = threading.Thread(target=lambda: doing(NETWORK).__enter__())
        thread.start()
        thread.join()
        pass_time(1)
    assert watch.split(1)["network"] == 0
    with doing(NETWORK):
        pass_time(1)
    assert watch.split(2)["network"] == 0
