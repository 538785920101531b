import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import RunError
from sleap_lab.media.labels import save_labels
from sleap_lab.media.open_source import open_source
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.media.readers import file_state
from sleap_lab.media.source import Source
from sleap_lab.settings.config import DataConfig

POSE = [[1, 1], [2, 2], [3, 3]]


class Recorder:
    """Reads endless black frames and counts what is read; frame 2 is broken."""

    numbers, index, gray, problem, state = range(10_000), None, True, "", None

    def __init__(self, alarm=0):
        self.were_read = []
        self.alarm, self.reached = alarm, threading.Event()

    def read(self, frame):
        self.were_read.append(frame)
        if len(self.were_read) == self.alarm:
            self.reached.set()
        if frame == 2:
            raise OSError("torn\ntape")
        return np.zeros((2, 2, 1), dtype=np.uint8)


def recorded(reader, count):
    video = sio.Video("recorder", open_backend=False)
    return Source(
        Path("recorder"),
        [video],
        np.array([(0, i) for i in range(count)]),
        None,
        readers={0: reader},
    )


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_frames_are_read_in_order(tmp_path, video_path, make_labels, level_of):
    (tmp_path / "other.mp4").write_bytes(video_path.read_bytes())
    places = [(0, 4), (1, 1), (0, 2)]
    labels = make_labels(
        [tmp_path / "other.mp4", video_path], user=[(*place, POSE) for place in places]
    )
    save_labels(labels, tmp_path / "labels.slp")
    source = open_source(DataConfig(path=str(tmp_path / "labels.slp")))
    frames = list(read_ahead(source, 2))
    assert [(frame.video, frame.index) for frame in frames] == places
    assert [level_of(frame.image) for frame in frames] == [4, 1, 2]
    assert readers() == []


def test_a_bad_frame_is_handed_on_with_the_reason():
    frames = list(read_ahead(recorded(Recorder(), 5), 3))
    assert [frame.image is None for frame in frames] == [False, False, True, False, False]
    assert frames[2].problem == "recorder: frame 2 cannot be read (torn tape)"
    assert (frames[2].video, frames[2].index) == (0, 2)
    assert frames[3].problem == ""


def test_reading_stays_only_so_far_ahead_and_ends_when_nobody_listens():
    ahead = 3
    # One taken, a full queue, and one that waits to be put into it.
    video = Recorder(alarm=1 + ahead + 1)
    frames = read_ahead(recorded(video, 10_000), ahead)
    assert video.were_read == [], "nothing is read before it is asked for"
    next(frames)
    assert video.reached.wait(timeout=60), "reads ahead"
    assert len(readers()) == 1
    frames.close()
    assert readers() == []
    assert len(video.were_read) == 1 + ahead + 1


def test_reading_ends_when_the_listener_fails():
    video = Recorder()

    def listen():
        for frame in read_ahead(recorded(video, 10_000), 2):
            _ = 1 / frame.index

    with pytest.raises(ZeroDivisionError):
        listen()
    # The generator is closed when it is collected, which happens at once.
    assert readers() == []
    assert len(video.were_read) < 10_000


@pytest.mark.parametrize("change", ["written again", "gone", "nothing"])
def test_a_video_that_changes_while_it_is_read_ends_the_run(tmp_path, change):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"before")

    class Changing(Recorder):
        state = file_state(str(path))

        def read(self, frame):
            if frame == 2 and change == "written again":
                path.write_bytes(b"and after")
            if frame == 2 and change == "gone":
                path.unlink()
            return super().read(frame)

    source = replace(recorded(Changing(), 4), videos=[sio.Video(str(path), open_backend=False)])
    if change == "nothing":
        assert [frame.image is None for frame in read_ahead(source, 1)] == [
            False,
            False,
            True,
            False,
        ]
        return
    read = []
    with pytest.raises(
        RunError, match=r"clip\.mp4: it has changed, or is gone, since the run began"
    ):
        read.extend(read_ahead(source, 1))
    assert [frame.index for frame in read] == [0, 1]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_what_ends_the_reader_reaches_whoever_waits_for_frames(end):
    class Dying(Recorder):
        def close(self):
            raise end

    source = recorded(Dying(), 2)
    source = replace(
        source,
        videos=[*source.videos, sio.Video("second", open_backend=False)],
        frames=np.array([(0, 0), (0, 1), (1, 0)]),
        readers={0: Dying(), 1: Recorder()},
    )
    read = []
    with pytest.raises(type(end)):
        read.extend(read_ahead(source, 1))
    assert [(frame.video, frame.index) for frame in read] == [(0, 0), (0, 1)]
    assert readers() == []


def test_no_frames():
    source = replace(recorded(Recorder(), 1), frames=np.zeros((0, 2), dtype=np.int64))
    assert list(read_ahead(source, 1)) == []
