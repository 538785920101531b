"""Which settings mattered, by themselves and two together."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from sleap_lab.sweeps.importance import _chance, _columns, importance, importances, verdict

NAN = float("nan")
NOTHING = "No setting explains what differs beyond chance, by itself or together with another."


@pytest.mark.parametrize(
    ("values", "scores", "share", "correlation"),
    [
        # Ranks 1 2 | 3 4: sums of squares are 0.5 + 0.5 within groups and
        # 2.25 + 0.25 + 0.25 + 2.25 in all, for 4 jobs and 2 values.
        (["a", "a", "b", "b"], [0.1, 0.2, 0.3, 0.4], 1 - (1 / 2) / (5 / 3), NAN),
        # Numbers also have a correlation.
        (["1", "1", "5", "5"], [0.1, 0.2, 0.3, 0.4], 1 - (1 / 2) / (5 / 3), math.sqrt(4 / 5)),
        (["a", "b", "a", "b"], [0.1, 0.2, 0.2, 0.1], 0.0, NAN),  # less than chance is no share
        (["a", "a", "b", "b"], [0.5, 0.5, 0.5, 0.5], 0.0, NAN),  # nothing to explain
        # A different number in each job: the share is that of a line, and 9 is less than 10.
        (["10", "9", "8"], [0.1, 0.2, 0.3], 1.0, -1.0),
        (["a", "b", "c"], [0.1, 0.2, 0.3], NAN, NAN),  # a name for each job explains anything
        (["1", "2"], [0.1, 0.2], NAN, 1.0),  # so does a line through two
        ([None, "1", None, "1"], [0.1, 0.4, 0.1, 0.4], 1.0, NAN),  # left out by some jobs
    ],
)
def test_how_much_a_setting_mattered(values, scores, share, correlation):
    found = importance("x", values, np.array(scores))
    assert found.setting == "x"
    assert found[1:3] == pytest.approx((share, correlation), nan_ok=True)


def test_only_ranks_matter():
    values, scores = ["a", "a", "b", "b", "c", "c"], np.array([0.1, 0.3, 0.2, 0.5, 0.6, 0.9])
    assert importance("x", values, scores)[1:3] == pytest.approx(
        importance("x", values, np.exp(9 * scores))[1:3], nan_ok=True
    )


def test_the_one_setting_that_matters_is_found_among_others():
    random = np.random.default_rng(0)
    settings = {name: random.choice(["1", "2", "3"], 60).tolist() for name in "abcde"}
    scores = 0.1 * np.array(settings["c"], dtype=float) + random.normal(0, 0.05, 60)
    shares = {name: importance(name, values, scores).share for name, values in settings.items()}
    assert max(shares, key=shares.get) == "c"
    assert shares["c"] > 0.5
    assert sorted(shares.values())[-2] < 0.1


def test_by_chance_a_setting_explains_nothing_on_average():
    random = np.random.default_rng(0)
    values = ["a", "b", "c", "d"] * 5
    shares = [importance("x", values, random.normal(size=20)).share for _ in range(300)]
    assert np.mean(shares) < 0.08  # not 0, because what is below 0 is cut off
    assert np.median(shares) == pytest.approx(0, abs=0.05)


# --- two together -----------------------------------------------------------------------


def grid(**values):
    """Return the values of each job of a sweep over all combinations, by setting."""
    return dict(zip(values, zip(*product(*values.values()), strict=True), strict=True))


def test_two_settings_that_decide_everything_together_are_said():
    settings = grid(a="12", b="xy")
    found = importances(settings, np.array([0.0, 1, 1, 0]))
    assert [(each.share, dict(each.together)) for each in found] == [
        (0, {"b": 1.0}),
        (0, {"a": 1.0}),
    ]
    assert verdict(found) == (
        "a may matter together with b (100%), or that is chance: each pair of their values was "
        "tried once."
    )


def test_a_third_setting_without_effect_changes_nothing():
    settings = grid(c="pqr", a="12", b="xy")
    found = importances(settings, np.array([0.0, 1, 1, 0] * 3))
    assert [each.setting for each in found] == ["a", "b", "c"]
    assert found[2].largest == 0
    assert verdict(found) == "a matters together with b (100%)."


def test_effects_that_add_up_are_none_together():
    settings = grid(c="pqr", a="12", b="xy")
    scores = np.array(
        [3.0 * (a == "2") + (b == "y") for a, b in zip(settings["a"], settings["b"], strict=True)]
    )
    found = importances(settings, scores)
    assert all(not each.together for each in found)
    assert "by themselves" in verdict(found)
    # Ranks alone would see the two together here: 3 trackers, windows from 0.03 to 0.2.
    settings = grid(tracker="abc", window=("3", "5", "10", "20"), model="xy")
    scores = [
        "abc".index(tracker) / 10 + int(window) / 100
        for tracker, window in zip(settings["tracker"], settings["window"], strict=True)
    ]
    assert all(not each.together for each in importances(settings, np.array(scores)))
    # The same without a third setting, where each pair of values comes once.
    assert all(
        not each.together for each in importances(grid(a="12", b="xy"), np.array([0.0, 1, 3, 4]))
    )


def test_where_nothing_differs_nothing_matters():
    found = importances(grid(a="12", b="xy"), np.ones(4))
    assert [each.largest for each in found] == [0, 0]
    assert verdict(found) == NOTHING


def test_by_chance_two_settings_explain_little_together():
    random = np.random.default_rng(0)
    settings = grid(c="pqr", a="12", b="xy", d="st")
    shares = [
        sum(importances(settings, random.normal(size=24))[0].together.values()) for _ in range(100)
    ]
    assert np.median(shares) < 0.2


def test_settings_of_a_list_that_is_no_grid_are_not_said_to_act_together():
    settings = {"a": ["1", "2", "3", "4"], "b": ["w", "x", "y", "z"]}
    assert all(not each.together for each in importances(settings, np.array([0.0, 2, 1, 3])))


# --- beyond chance ----------------------------------------------------------------------


def test_the_chance_of_a_share_is_that_of_scipy():
    values = ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    scores = np.array([1.0, 4, 2, 8, 5, 7, 3, 9, 6, 12, 10, 11])  # ranks are the scores
    expected = stats.f_oneway(*scores.reshape(3, 4)).pvalue
    # Means 3.75, 6 and 9.75 of 6.5: 73.5 of 143 squares.
    assert expected == pytest.approx(stats.f.sf((73.5 / 2) / (69.5 / 9), 2, 9))
    found = importances({"x": values}, scores)
    assert _chance([_columns(values)], [], scores) == pytest.approx(expected)
    assert found[0].beyond_chance == (expected <= 0.05 / 2)


@pytest.mark.parametrize("levels", [(2, 3), (2, 2, 3), (3, 3, 3), (12,)])
def test_where_all_is_chance_hardly_a_sweep_names_a_setting(levels):
    """Until chance was asked, three in five to all of these sweeps were said to show something."""
    settings = grid(**{name: "123456789abc"[:n] for name, n in zip("stu", levels, strict=False)})
    jobs = int(np.prod(levels))
    random = np.random.default_rng(0)
    said = [verdict(importances(settings, random.normal(size=jobs))) for _ in range(100)]
    assert sum(" matter" in each.replace("may matter", "") for each in said) <= 9


def test_settings_that_add_up_are_found_beside_each_other():
    settings = grid(a="123", b="1234", c="xy")
    random = np.random.default_rng(0)
    a, b = (np.array(settings[key], dtype=float) for key in "ab")
    found = importances(settings, 2 * a + b + random.normal(0, 0.5, 24))
    # b explains a third by itself, which a third of all sweeps would by chance, but for a.
    assert [each.setting for each in found if each.beyond_chance] == ["a", "b"]


def test_a_setting_with_another_name_in_each_job_is_never_beyond_chance():
    found = importances({"x": ["p", "q", "r", "s"]}, np.arange(4.0))
    assert not found[0].beyond_chance
    assert verdict(found) == NOTHING
