"""Observations of the networks, gathered batch by batch to be stored in the stage cache."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sleap_lab.inference.cache import StageResult
from sleap_lab.pipelines.observation import pack

MAX_BYTES = 100_000_000
"""Largest size of stored observations, so that a long video does not fill the memory."""

PACKED_AT_ONCE = 512
"""Observations of this many batches are joined while the next are made."""


class Observations:
    """The observations of a run; they are dropped when it turns out that they cannot be stored."""

    def __init__(self, *, complete: bool = True) -> None:
        """Start with no observations; `complete` is false if some are missing from the start."""
        self._complete = complete
        self._bytes = 0
        self._packed: list[dict[str, np.ndarray]] = []
        self._loose: list[Any] = []

    def add(self, contents: Sequence[Any] | None) -> None:
        """Add the contents of the next batch; None if they are not enough for other settings."""
        self._bytes += sum(
            array.nbytes for content in contents or () for array in vars(content).values()
        )
        self._complete = self._complete and contents is not None and self._bytes <= MAX_BYTES
        self._loose.extend(contents or ())
        # Thousands of small arrays take several times the memory.
        if len(self._loose) >= PACKED_AT_ONCE:
            self._pack()
        if not self._complete:
            self._packed.clear()
            self._loose.clear()

    def whole(self) -> StageResult:
        """Return all observations as one result, which is not complete if some are missing."""
        if not self._complete:
            return StageResult({}, complete=False)
        if self._loose:
            self._pack()
        names = self._packed[0]
        return StageResult(
            {name: np.concatenate([part[name] for part in self._packed]) for name in names}
        )

    def _pack(self) -> None:
        self._packed.append(pack(self._loose))
        self._loose.clear()
