"""Which crops go through the network together."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from threading import Lock
from typing import TypeVar

import numpy as np

from sleap_lab.pipelines.centroid import rank_in_frame
from sleap_lab.pipelines.memory import Room, attempt
from sleap_lab.pipelines.model import FrameBatch, Model

CROPS = "crops"
"""What `FrameBatch.room` calls them."""

MIN_CROPS_PER_PASS, MAX_CROPS_PER_PASS = 6, 16
"""Crops per pass through the network on a processor; the last pass can have fewer."""

PIXELS_PER_PASS = 2**22
"""Pixels of the crops of a pass on an accelerator, as in four images of 1024x1024 px.

A number that depended on the free memory would let the last bits depend on it.
"""

log = logging.getLogger(__name__)

T = TypeVar("T")


class SpareBudget:
    """Number of crops to observe beyond those that a run needs, for runs with other settings."""

    def __init__(self, share: float) -> None:
        """Allow a share of the crops needed so far; 0 allows none, infinity all."""
        self._share = share
        self._needed = self._spent = 0
        self._lock = Lock()  # batches are observed in parallel

    def grants(self, needed: int, spare: int) -> bool:
        """Return whether a batch with `needed` crops may observe its `spare` other crops, too."""
        with self._lock:
            self._needed += needed
            granted = (
                self._share > 0
                and self._spent + spare <= self._share * self._needed + MAX_CROPS_PER_PASS
            )
            self._spent += spare if granted else 0
        return granted


def crop_passes(
    sample: np.ndarray, scores: np.ndarray, min_crops: int, max_crops: int = MAX_CROPS_PER_PASS
) -> Iterator[np.ndarray]:
    """Divide crops into passes: the best of every frame, then the second best, and so on.

    The last bits of network outputs depend on the other crops of the pass. So the division does not
    depend on which crops are needed; the caller leaves out passes without needed crops.

    Args:
        sample: (n,) frame of each crop, ascending.
        scores: (n,) confidence of its centroid.
        min_crops: A pass takes the next best crops of every frame until it has this many.
        max_crops: Most crops of a pass.

    Yields:
        Rows of the crops in a pass.
    """
    order = np.lexsort((-scores, sample))
    rank = rank_in_frame(sample[order])
    order = order[np.argsort(rank, kind="stable")]
    begin = 0
    for end in np.cumsum(np.bincount(rank)).tolist():
        if end - begin >= min_crops or end == len(order):
            yield from np.split(order[begin:end], range(max_crops, end - begin, max_crops))
            begin = end


def chosen_passes(
    sample: np.ndarray,
    scores: np.ndarray,
    needed: np.ndarray,
    model: Model,
    budget: SpareBudget,
    room: Room,
) -> list[np.ndarray]:
    """Return the passes that hold needed crops; all passes where the budget grants the others.

    Args:
        sample: (n,) frame of each crop, ascending.
        scores: (n,) confidence of its centroid.
        needed: Rows of the needed crops.
        model: Model of the crops.
        budget: Decides whether crops that are not needed are observed, too.
        room: Crops that a pass has room for, where memory ran out with more.
    """
    min_crops, max_crops = MIN_CROPS_PER_PASS, MAX_CROPS_PER_PASS
    if model.accelerator is not None and model.crop_size is not None:
        min_crops = max_crops = max(PIXELS_PER_PASS // model.crop_size**2, MAX_CROPS_PER_PASS)
    most = room.get(CROPS, len(sample))
    passes = list(crop_passes(sample, scores, min(min_crops, most), min(max_crops, most)))
    wanted = np.zeros(len(sample), dtype=bool)
    wanted[needed] = True
    chosen = [rows for rows in passes if wanted[rows].any()]
    spare = sum(map(len, passes)) - sum(map(len, chosen))
    return passes if budget.grants(len(needed), spare) else chosen


def fitting(rows: np.ndarray, see: Callable[[np.ndarray], T], batch: FrameBatch) -> Iterator[T]:
    """Yield what is seen in a pass of crops, or in smaller passes where memory runs out.

    Args:
        rows: Rows of the crops of the pass.
        see: Takes rows and returns what is seen there.
        batch: The frames. If they are not alone, or if there is no memory for a single crop, those
            who called for them free some.
    """
    if len(rows) == 1 or not batch.alone:
        yield see(rows)
        return
    seen = attempt(partial(see, rows))
    if seen is not None:
        yield seen
        return
    half = len(rows) // 2
    log.warning("not enough memory for %d crops at once, they are done in halves", len(rows))
    batch.room[CROPS] = min(half, batch.room.get(CROPS, half))
    for part in (rows[:half], rows[half:]):
        yield from fitting(part, see, batch)
