from dataclasses import dataclass

import numpy as np
import pytest

from sleap_lab.inference import observations
from sleap_lab.inference.observations import Observations
from sleap_lab.pipelines.observation import unpack


@dataclass(frozen=True)
class Content:
    points: np.ndarray


BATCHES = [Content(np.arange(n, dtype=np.float64)) for n in (1, 0, 3, 2)]
"""6 numbers, 48 bytes."""


def gathered(batches, **options):
    found = Observations(**options)
    for batch in batches:
        found.add(None if batch is None else [batch])
    return found.whole()


@pytest.mark.parametrize("at_once", [1, 2, 3, 512])
def test_every_batch_comes_back_in_order(monkeypatch, at_once):
    monkeypatch.setattr(observations, "PACKED_AT_ONCE", at_once)
    result = gathered(BATCHES)
    assert result.complete
    assert [content.points.tolist() for content in unpack(Content, result.arrays)] == [
        [0],
        [],
        [0, 1, 2],
        [0, 1],
    ]


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("at_once", [1, 512])
def test_one_batch_without_observations_drops_all(monkeypatch, at_once, place):
    monkeypatch.setattr(observations, "PACKED_AT_ONCE", at_once)
    result = gathered([*BATCHES[:place], None, *BATCHES[place:]])
    assert (result.complete, result.arrays) == (False, {})


def test_observations_of_which_some_are_missing_from_the_start_are_not_complete():
    result = gathered(BATCHES, complete=False)
    assert (result.complete, result.arrays) == (False, {})


@pytest.mark.parametrize(("most", "complete"), [(48, True), (47, False)])
def test_observations_that_are_too_large_are_dropped(monkeypatch, most, complete):
    monkeypatch.setattr(observations, "MAX_BYTES", most)
    assert gathered(BATCHES).complete is complete
