"""Interruptions at places where Python or compiled code swallows them.

`signal.raise_signal` stands for Ctrl-C at that moment.
"""

import signal
import sys
import threading
import time
from contextlib import suppress
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from sleap_lab.errors import interruption
from sleap_lab.errors.interruption import interruptible

FOREVER = 30.0
"""Seconds to wait for an interruption."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(interruption, "SECONDS_BETWEEN_REPEATS", 0.01)


class Destroyed:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


class Looked(type):
    """Type of things that NumPy asks for attributes."""

    def __getattr__(cls, name):
        signal.raise_signal(signal.SIGINT)
        raise AttributeError(name)


def in_a_destructor(tmp_path):
    Destroyed()


def in_numpy(tmp_path):
    assert (np.zeros(1) == Looked("Thing", (), {})()) == np.array([False])


def in_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("a/b")

        def visit(name):
            signal.raise_signal(signal.SIGINT)

        try:
            file.visit(visit)
        except Exception as error:
            raise ValueError("this file cannot be read") from error


def run(work, *arguments):
    with interruptible():
        work(*arguments)


@pytest.mark.parametrize("swallow", [in_a_destructor, in_numpy, in_hdf5])
def test_an_interruption_is_not_lost(swallow, tmp_path, capfd):
    def work():
        swallow(tmp_path)
        time.sleep(FOREVER)
        pytest.fail("it was lost")

    with pytest.raises(KeyboardInterrupt):
        run(work)
    assert capfd.readouterr() == ("", "")


def test_one_that_comes_out_as_another_error_counts_as_an_interruption():
    def work():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("cannot read") from None

    with pytest.raises(KeyboardInterrupt):
        run(work)


def test_one_that_nothing_comes_of_ends_the_block_at_its_end():
    def work():
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(work)


def test_it_is_not_repeated_while_it_is_dealt_with():
    closed = []

    def frames():
        try:
            yield 0
        finally:
            time.sleep(0.1)
            closed.append("frames")

    def work():
        generator = frames()
        try:
            next(generator)
            signal.raise_signal(signal.SIGINT)
        finally:
            generator.close()
            time.sleep(0.1)
            closed.append("file")

    with pytest.raises(KeyboardInterrupt):
        run(work)
    assert closed == ["frames", "file"]


def test_another_ctrl_c_interrupts_what_deals_with_the_first():
    def work():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it was lost")

    with pytest.raises(KeyboardInterrupt):
        run(work)


def test_nothing_is_left_of_it_after_the_block():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), sys.unraisablehook
    threads = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        run(signal.raise_signal, signal.SIGINT)
    time.sleep(0.1)
    assert (
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGTERM),
        sys.unraisablehook,
    ) == before
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("ignored", [signal.SIG_IGN, lambda *_: None])
def test_a_signal_that_is_to_be_ignored_is(ignored):
    before = signal.signal(signal.SIGINT, ignored)
    try:
        with interruptible():
            Destroyed()
            time.sleep(0.1)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_errors_stay_what_they_are(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    def work():
        sys.unraisablehook(SimpleNamespace(exc_type=ValueError))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(work)
    assert [lost.exc_type for lost in told] == [ValueError]


def test_another_thread_is_left_alone():
    ended = []

    def work():
        with interruptible():
            ended.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [signal.getsignal(signal.SIGINT)]


def lost_in_a_block():
    with interruptible():
        in_a_destructor(None)
        raise ValueError("this file cannot be read")


def test_a_block_within_another_delivers_once(quick):
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            lost_in_a_block()
        time.sleep(0.1)  # the outer block repeats what was delivered no more
        with interruptible():
            pass
    with pytest.raises(KeyboardInterrupt), interruptible():
        in_a_destructor(None)


def read_by_labels(path):
    from sleap_lab.media.labels import read_labels

    read_labels(path)


def read_by_what_lies_there(path):
    from sleap_lab.files.earlier import what_is

    what_is(path)


@pytest.mark.parametrize("read", [read_by_labels, read_by_what_lies_there])
def test_an_interruption_in_a_callback_of_hdf5_is_no_broken_file(read, tmp_path, monkeypatch):
    path = tmp_path / "a.slp"
    with h5py.File(path, "w") as file:
        file["instances"] = np.zeros(3)

    def broken(*_, **__):
        in_a_destructor(None)
        raise RuntimeError("Unable to synchronously open object")

    monkeypatch.setattr(h5py.File, "__init__", broken)
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            read(path)
        with suppress(KeyboardInterrupt), interruptible():
            pass


def test_an_error_of_an_interruption_is_one_without_a_block(tmp_path):
    broken = RuntimeError("this file cannot be read")
    broken.__context__ = ValueError("no")
    interruption.raise_interruption(broken)
    broken.__context__.__context__ = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        interruption.raise_interruption(broken)
    interruption.raise_interruption(ValueError("broken"))
