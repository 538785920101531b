"""Reading the frames of a source ahead of the network, in a thread."""

import queue
import threading
from collections.abc import Generator

from sleap_lab.errors import RunError
from sleap_lab.media.images import display_path
from sleap_lab.media.readers import file_state
from sleap_lab.media.source import Frame, Source

SECONDS_BETWEEN_LOOKS = 0.1
"""How often a thread that waits for room looks whether nobody takes frames any more."""


def read_ahead(source: Source, queue_maxsize: int) -> Generator[Frame, None, None]:
    """Yield the frames of a source in order, read by a thread.

    The thread stays at most `queue_maxsize` frames ahead.

    Whatever ends the thread is raised here, after the frames that it has read.

    Raises:
        RunError: A frame cannot be read because its file is gone or has changed since reading
            began.
    """
    frames: queue.Queue[Frame | BaseException | None] = queue.Queue(maxsize=queue_maxsize)
    stop = threading.Event()

    def put(frame: Frame | BaseException | None) -> None:
        while not stop.is_set():
            try:
                return frames.put(frame, timeout=SECONDS_BETWEEN_LOOKS)
            except queue.Full:
                continue

    rows = source.frames.tolist()
    ends = {video: place for place, (video, _) in enumerate(rows)}

    def read() -> None:
        for place, (video, index) in enumerate(rows):
            if stop.is_set():
                return
            try:
                put(Frame(video, index, source.pixels(video, index)))
            except RunError as error:
                if file_state(source.videos[video].filename) != source.reader(video).state:
                    name = display_path(source.videos[video].filename)
                    raise RunError(
                        f"{name}: it has changed, or is gone, since the run began; "
                        "put it back, and run the same command again"
                    ) from error
                put(Frame(video, index, None, str(error)))
            if place == ends[video] and len(ends) > 1:
                source.reader(video).close()

    def work() -> None:
        try:
            read()
            put(None)
        except BaseException as error:  # otherwise whoever waits for a frame waits forever
            put(error)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while (frame := frames.get()) is not None:
            if isinstance(frame, BaseException):
                raise frame
            yield frame
    finally:
        stop.set()
        thread.join()
