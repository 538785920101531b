"""The stored detections that new ones are compared with."""

import numpy as np


class Candidates:
    """For each current track its last detections, as row numbers of the pose record, newest first.

    With `fixed_window`, tracks with a detection in the last frames are current; a track without one
    is forgotten. With `local_queues` every track keeps its own last detections permanently.

    Attributes:
        ids: (t,) int, ids of the current tracks, ascending.
        rows: (t, window) int, rows of the pose record; -1 where there is none.
        opened: Number of tracks opened so far, which is also the next id.
    """

    def __init__(self, method: str, window: int) -> None:
        self.ages = method == "fixed_window"
        self.ids = np.zeros(0, dtype=np.intp)
        self.rows = np.zeros((0, window), dtype=np.intp)
        self.opened = 0

    def open(self, count: int) -> np.ndarray:
        """Open new tracks and return their ids, (count,)."""
        new = np.arange(self.opened, self.opened + count)
        if not count:
            return new
        self.opened += count
        self.ids = np.concatenate([self.ids, new])
        self.rows = np.concatenate([self.rows, np.full((count, self.rows.shape[1]), -1)])
        return new

    def age(self, frames: int) -> None:
        """Let frames pass that were not processed; matters to `fixed_window` only."""
        if not self.ages or frames <= 0:
            return
        window = self.rows.shape[1]
        aged = np.full_like(self.rows, -1)
        aged[:, frames:] = self.rows[:, : max(window - frames, 0)]
        self.rows = aged
        self._forget()

    def store(self, ids: np.ndarray, rows: np.ndarray) -> None:
        """Store the detections of one processed frame, which may be none.

        Args:
            ids: (k,) ids of current tracks, each once.
            rows: (k,) row of each in the pose record.
        """
        tracks = self.ids.searchsorted(ids)
        ageing = slice(None) if self.ages else tracks
        self.rows[ageing, 1:] = self.rows[ageing, :-1]
        self.rows[ageing, 0] = -1
        self.rows[tracks, 0] = rows
        if self.ages and len(ids) < len(self.ids):
            self._forget()

    def _forget(self) -> None:
        """Forget the tracks without any detection in the window."""
        current = (self.rows >= 0).any(axis=1)
        if not current.all():
            self.ids, self.rows = self.ids[current], self.rows[current]
