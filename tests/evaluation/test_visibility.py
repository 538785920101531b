import numpy as np
import pytest

from sleap_lab.evaluation.visibility import visibility_metrics


def picture(*rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_counts_and_ratios():
    result = visibility_metrics(picture("###.", "##.."), picture("##.#", "##.."))
    assert [int(result[key]) for key in ("tp", "fp", "tn", "fn")] == [4, 1, 2, 1]
    assert result["precision"] == pytest.approx(4 / (4 + 1))
    assert result["recall"] == pytest.approx(4 / (4 + 1))
    assert list(result) == ["tp", "fp", "tn", "fn", "precision", "recall"]
    assert isinstance(result["tp"], np.integer)


def test_nothing_visible_leaves_the_ratios_undefined():
    result = visibility_metrics(picture(".."), picture(".."))
    assert result["tn"] == 2
    assert np.isnan(result["precision"])
    assert np.isnan(result["recall"])


def test_without_a_pair_counts_are_plain_zeros():
    result = visibility_metrics(np.zeros((0, 4), bool), np.zeros((0, 4), bool))
    assert all(type(result[key]) is int and result[key] == 0 for key in ("tp", "fp", "tn", "fn"))
    assert np.isnan(result["precision"])
    assert np.isnan(result["recall"])
