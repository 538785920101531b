"""The factors between runs and their effects."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import t

from sleap_lab.compare.effects import effects, factors
from sleap_lab.compare.paired import Pairs, read_run

METRICS = ["eval/dist_avg", "identity/idf1"]


def runs_with(*rows):
    """Return runs with settings and choices only."""
    return [
        SimpleNamespace(settings=settings, summary=SimpleNamespace(choices=choices))
        for settings, choices in rows
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # one key
        (
            [({"tracker.window": 3}, {}), ({"tracker.window": 5}, {})],
            {"tracker.window": ("3", "5")},
        ),
        # the same everywhere, or of no consequence
        ([({"data.path": "a", "output.path": path, "report": path}, {}) for path in "xy"], {}),
        # two keys, crossed
        (
            [({"a.x": x, "a.y": y}, {}) for x in (1, 2) for y in (1, 2)],
            {"a.x": ("1", "1", "2", "2"), "a.y": ("1", "2", "1", "2")},
        ),
        # two keys in step
        ([({"a.x": i, "a.y": i}, {}) for i in (1, 2)], {"a.x, a.y": ("1", "2")}),
        # an option and the keys that follow from it
        (
            [
                (
                    {
                        "tracker.use_flow": flow,
                        "tracker.use_kalman": kalman,
                        "tracker.window": window,
                    },
                    {"tracker": option, "logger": "none"},
                )
                for option, flow, kalman in
                (("none", False, False), ("flow", True, False), ("kalman", False, True))
                for window in (3, 5)
            ],
            {
                "tracker": ("none", "none", "flow", "flow", "kalman", "kalman"),
                "tracker.window": ("3", "5") * 3,
            },
        ),
        # an option that decides nothing that counts
        (
            [
                ({"logger.mlflow": True}, {"logger": "mlflow"}),
                ({"logger.mlflow": False}, {"logger": "none"}),
            ],
            {},
        ),
        # a preset brings options of other groups with it
        (
            [({"tracker.use_flow": flow}, {"experiment": preset, "tracker": tracker})
             for preset, tracker, flow in
             (("a", "none", False), ("b", "flow", True), ("c", "flow", True))],
            {"experiment": ("a", "b", "c")},
        ),
    ],
)  # fmt: skip
def test_what_varies(rows, expected):
    assert {factor.name: factor.levels for factor in factors(runs_with(*rows))} == expected


def test_many_keys_in_step_have_a_short_name():
    (factor,) = factors(runs_with(*(({f"a.{name}": i for name in "wxyz"}, {}) for i in (1, 2))))
    assert (factor.name, factor.names) == ("a.w, a.x and 2 more", ("a.w", "a.x", "a.y", "a.z"))


@pytest.fixture
def effects_of(make_run):
    """Return a function that writes a run per row and returns the effects by step.

    A row is (px off, IDF1, settings).
    """

    def effects_of(*rows, **options):
        runs = []
        for i, (off, idf1, settings) in enumerate(rows):
            folder = make_run(
                str(i), off=off, metrics={"identity/idf1": idf1}, settings=settings, **options
            )
            runs.append(read_run(folder, str(i)))
        found = effects(factors(runs), Pairs(runs), METRICS)
        return {(effect.factor.name, effect.first, effect.level): effect for effect in found}

    return effects_of


def test_an_effect_is_the_mean_over_runs_that_differ_in_nothing_else(effects_of):
    grid = [(x, y) for x in (0, 1) for y in (0, 1, 2)]
    found = effects_of(
        *((3 + 2 * x, 0.5 + 0.1 * y + 0.05 * x * y, {"a.x": x, "a.y": y}) for x, y in grid)
    )
    assert list(found) == [
        ("a.x", "0", "1"),
        ("a.y", "0", "2"),
        ("a.y", "0", "1"),
    ]  # the largest on the first metric first, then the next
    assert [effect.n_pairs for effect in found.values()] == [3, 2, 2]
    first = found["a.x", "0", "1"]
    distance = first.changes["eval/dist_avg"]
    assert distance.difference == pytest.approx(2, abs=0.02)
    assert distance.low < distance.difference < distance.high < distance.low + 0.02
    assert distance.chance < 1e-6
    identity = first.changes["identity/idf1"]
    assert identity.difference == pytest.approx((0 + 0.05 + 2 * 0.05) / 3)
    assert np.isnan(identity.low)
    assert first.spread["identity/idf1"] == pytest.approx((0, 2 * 0.05))
    none = found["a.y", "0", "1"]
    assert none.changes["eval/dist_avg"].difference == 0
    assert np.isnan(none.changes["eval/dist_avg"].low)  # all frames agree
    assert none.changes["identity/idf1"].difference == pytest.approx((0.1 + 0.15) / 2)


def test_replicates_are_pooled(effects_of):
    rows = [
        (3, 0.5, {"a.x": 0}),
        (3.2, 0.7, {"a.x": 0}),
        (4, 0.9, {"a.x": 1}),
        (4.2, 0.9, {"a.x": 1}),
        (4.4, 0.9, {"a.x": 1}),
    ]
    (effect,) = effects_of(*rows).values()
    assert effect.n_pairs == 2 * 3
    assert effect.changes["eval/dist_avg"].difference == pytest.approx(4.2 - 3.1, abs=0.02)
    assert effect.changes["identity/idf1"].difference == pytest.approx(0.9 - 0.6)


def test_every_cell_counts_the_same_whatever_its_replicates(effects_of):
    rows = [
        (3, 0.5, {"a.x": 0, "a.y": 0}),
        (3, 0.6, {"a.x": 1, "a.y": 0}),
        (3, 0.5, {"a.x": 0, "a.y": 1}),
    ]
    rows += [(3, 0.8, {"a.x": 1, "a.y": 1})] * 3
    assert effects_of(*rows)["a.x", "0", "1"].changes["identity/idf1"].difference == pytest.approx(
        (0.1 + 0.3) / 2
    )


def test_runs_that_differ_in_more_make_no_effect(effects_of):
    rows = [
        (3, 0.5, {"a.x": 0, "a.y": 0}),
        (4, 0.6, {"a.x": 1, "a.y": 1}),
        (5, 0.7, {"a.x": 2, "a.y": 1}),
    ]
    assert effects_of(*rows) == {}


def test_one_real_effect_among_many_settings_is_ranked_first(effects_of):
    random = np.random.default_rng(1)
    rows = [
        (
            3 + (0.5 if values[2] else 0),
            0.5,
            {f"t.{name}": value for name, value in zip("abcd", values, strict=True)},
        )
        for values in product((0, 1), repeat=4)
    ]
    found = effects_of(*(rows[i] for i in random.permutation(len(rows))), noise=1)
    assert next(iter(found))[0] == "t.c"
    chances = {name: effect.changes["eval/dist_avg"].chance for (name, *_), effect in found.items()}
    assert chances.pop("t.c") < 1e-6
    assert np.isnan(list(chances.values())).all()


@pytest.mark.parametrize("n", [2, 4])
def test_videos_are_units_of_an_effect(make_run, n):
    # The effect is that of each video, and is larger in some.
    runs = []
    for i in range(n):
        for x in (0, 1):
            settings = {"a.x": x, "data.path": f"{i}.mp4"}
            folder = make_run(
                f"{i}-{x}", off=3 + x * (1 + i), videos=[f"{i}.mp4"], settings=settings
            )
            runs.append(read_run(folder, f"{i}-{x}"))
    found = {
        effect.factor.name: effect for effect in effects(factors(runs), Pairs(runs), METRICS[:1])
    }
    change, rises = found["a.x"].changes["eval/dist_avg"], np.arange(1, n + 1)
    assert change.difference == pytest.approx(rises.mean(), abs=0.02)
    half = t.ppf(0.975, n - 1) * rises.std(ddof=1) / np.sqrt(n) if n == 4 else np.nan
    assert (change.high - change.low) / 2 == pytest.approx(half, rel=0.05, nan_ok=True)
    other = found["data.path"].changes["eval/dist_avg"]
    assert np.isnan(other.low)  # no frame in common
