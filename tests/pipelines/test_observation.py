from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sleap_lab.decode.peaks import Refinement
from sleap_lab.pipelines import bottomup, observation
from sleap_lab.pipelines.bottomup import observe_lines
from sleap_lab.pipelines.observation import FLOOR, observe_peaks, pack, refined, unpack


@dataclass(frozen=True)
class Content:
    frames: np.ndarray
    peaks: np.ndarray


def test_what_is_packed_comes_out_part_by_part():
    parts = [
        Content(np.array([1, 2]), np.zeros((0, 2), dtype=np.float32)),
        Content(np.array([3]), np.array([[1, np.nan]], dtype=np.float32)),
        Content(np.array([], dtype=np.int64), np.arange(4, dtype=np.float32).reshape(2, 2)),
    ]
    packed = pack(parts)
    assert {name: array.shape for name, array in packed.items()} == {
        "frames": (3,),
        "peaks": (3, 2),
        "rows": (3, 2),
    }
    found = list(unpack(Content, packed))
    assert len(found) == 3
    for a, b in zip(found, parts, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.peaks, b.peaks)
        assert a.peaks.dtype == np.float32


@pytest.mark.parametrize(("threshold", "n"), [(0.5, 2), (FLOOR, 2), (0.05, 3), (-0.5, 4)])
def test_peaks_above_the_floor_are_observed_and_lower_ones_where_asked(draw, threshold, n):
    values = [0.9, 0.15, 0.07, -0.2]
    maps = (
        draw((1, 1, 3, 12), *[(0, 0, 1 + 3 * i, 1, 1 + value) for i, value in enumerate(values)])
        - 1
    )
    found = observe_peaks({"confmaps": maps}, threshold, [None])
    assert found.values.tolist() == pytest.approx(values[:n])
    assert found.complete


def test_points_are_refined_in_every_way_asked_for(draw):
    maps = {"confmaps": draw((1, 1, 5, 9), (0, 0, 4, 2, 0.75), (0, 0, 5, 2, 0.25))}
    zero = torch.zeros(1, dtype=torch.int64)
    points = refined(
        maps, zero, zero, torch.tensor([[4.0, 2.0]]), [None, Refinement(3), Refinement(1)]
    )
    assert points.tolist() == [[[4, 2], [4.25, 2], [4, 2]]]
    offsets = torch.full((1, 2, 5, 9), 0.125)
    assert refined(
        maps | {"offsets": offsets}, zero, zero, torch.tensor([[4.0, 2.0]]), [None]
    ).tolist() == [[[4.125, 2.125]]]


def test_of_too_many_peaks_only_those_above_the_threshold_are_observed(draw, monkeypatch):
    monkeypatch.setattr(observation, "MAX_PEAKS", 2)
    maps = {
        "confmaps": draw((1, 1, 3, 9), (0, 0, 1, 1, 0.9), (0, 0, 4, 1, 0.15), (0, 0, 7, 1, 0.6))
    }
    found = observe_peaks(maps, 0.5, [None])
    assert not found.truncated
    assert (found.values.tolist(), found.points[:, 0].tolist(), found.complete) == (
        pytest.approx([0.9, 0.6]),
        [[1, 1], [7, 1]],
        False,
    )
    monkeypatch.setattr(observation, "MAX_PEAKS", 3)
    found = observe_peaks(maps, 0.5, [None])
    assert (len(found.values), found.complete) == (3, True)


@pytest.mark.parametrize(
    ("threshold", "most", "expected", "truncated"),
    [
        # Three peaks of the first node are above, and the two highest are used; the second has one.
        (0.2, 2, [0.9, 0.6, 0.5], True),
        (0.55, 2, [0.9, 0.6, 0.5], False),  # the peak that is left out is below the threshold
        (0.2, 3, [0.9, 0.3, 0.6, 0.5], False),
    ],
)
def test_of_a_flood_of_peaks_the_highest_of_each_node_are_used(
    draw, threshold, most, expected, truncated
):
    peaks = [(0, 0, 1, 1, 0.9), (0, 0, 4, 1, 0.3), (0, 0, 7, 1, 0.6), (0, 1, 10, 1, 0.5)]
    found = observe_peaks({"confmaps": draw((1, 2, 3, 12), *peaks)}, threshold, [None], most)
    assert (found.values.tolist(), found.complete, found.truncated) == (
        pytest.approx(expected),
        len(expected) == len(peaks),
        truncated,
    )


@pytest.fixture
def observe_pairs(fake, batch, draw):
    """Return a function that observes two peaks of each of two nodes, with a value of the second.

    The others are 0.9, 0.8 and 0.7, the threshold 0.5.
    """

    def observed(value):
        peaks = (0, 0, 2, 2, 0.9), (0, 0, 6, 2, value), (0, 1, 2, 5, 0.8), (0, 1, 6, 5, 0.7)
        maps = {"confmaps": draw((1, 2, 8, 12), *peaks), "pafs": torch.zeros(1, 2, 8, 12)}
        model = fake("bottomup", lambda x: maps, edges=[("a", "b")])
        images = batch(torch.zeros(1, 1, 4, 4))
        return observe_lines(images, model, peak_threshold=0.5, refinements=[None], n_points=3)

    return observed


def test_of_a_flood_of_lines_the_highest_peaks_of_each_node_are_used(observe_pairs, monkeypatch):
    monkeypatch.setattr(bottomup, "MAX_LINES", 1)
    for most, peaks, truncated in [
        (2 * 2, [0.9, 0.6, 0.8, 0.7], False),
        (2 * 2 - 1, [0.9, 0.8], True),
    ]:
        monkeypatch.setattr(bottomup, "MAX_TRACED_LINES", most)
        seen = observe_pairs(0.6)
        assert (seen.content.values.tolist(), seen.truncated) == (pytest.approx(peaks), truncated)


def test_of_too_many_lines_only_those_above_the_threshold_are_observed(observe_pairs, monkeypatch):
    for most, peaks, lines, complete in [(4, 4, 2 * 2, True), (3, 3, 1 * 2, False)]:
        monkeypatch.setattr(bottomup, "MAX_LINES", most)
        seen = observe_pairs(0.15)
        assert (len(seen.content.edge), len(seen.content.values), seen.complete) == (
            lines,
            peaks,
            complete,
        )


def test_the_most_peaks_are_for_each_frame_of_a_batch(draw, monkeypatch):
    monkeypatch.setattr(observation, "MAX_PEAKS", 2)
    # Three peaks in two frames, of which one is below the threshold: all of them are observed.
    peaks = ((0, 0, 1, 1, 0.9), (0, 0, 4, 1, 0.15), (1, 0, 7, 1, 0.6))
    found = observe_peaks({"confmaps": draw((2, 1, 3, 9), *peaks)}, 0.5, [None])
    assert (len(found.values), found.complete) == (3, True)
