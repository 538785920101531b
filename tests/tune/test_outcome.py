import re
from types import SimpleNamespace

import numpy as np
import pytest

from sleap_lab.evaluation.intervals import Difference
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.evidence import Setting
from sleap_lab.tune.outcome import Outcome, conclude, pareto_front
from sleap_lab.tune.settings import find_metric

IDF1, SWITCHES = find_metric("identity/idf1"), find_metric("identity/switches")


def setting(searched, held_out, trial=None):
    """A setting that is known by its scores only."""
    nothing = SimpleNamespace(table=None)
    scores = [
        SimpleNamespace(value=value, frames_per_second=100.0, evaluation=nothing)
        for value in (searched, held_out)
    ]
    return Setting(TrackerConfig(), FiltersConfig(), *scores, trial)


def outcome(default, best, ends=(), *, metric=IDF1, n_blocks=6, losses=(), why=""):
    change = best and Difference(best.held_out.value - default.held_out.value, *ends)
    changes = {metric.name: change} if change else {}
    return Outcome(metric, default, best, changes, losses, n_blocks, 400, why)


# --- which setting to use ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "recommended", "said"),
    [
        (
            outcome(setting(0.8, 0.8), None),
            "default",
            "Keep the default setting: none that was tried has a better identity/idf1",
        ),
        (
            outcome(setting(0.8, 0.8), setting(0.9, 0.7), (-0.2, 0.01)),
            "default",
            r"Keep the default setting: on the 6 held-out blocks .* 0.7, the default 0.8; "
            r"the difference is -0.1, 95% interval -0.2 to 0.01, so it may be chance",
        ),
        # worse by more than chance is not better
        (outcome(setting(0.8, 0.8), setting(0.9, 0.7), (-0.2, -0.1)), "default", "Keep"),
        (outcome(setting(0.8, 0.8), setting(0.9, float("nan"))), "default", "Keep"),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), (0.1, 0.3)),
            "best",
            r"^Use the setting found: .* is 0.9, .* 0.7; the difference is 0.2, "
            r"95% interval 0.1 to 0.3\.$",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), (-0.1, 0.5)),
            "default",
            "may be chance. With these 400 labelled frames, improvements of identity/idf1 "
            "below 0.3 cannot be told from chance.",
        ),
        # 0 itself is no improvement
        (outcome(setting(0.8, 0.7), setting(0.9, 0.9), (0, 0.4)), "default", "may be chance"),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), (0.1, 0.3), losses=("loses 6 animals",)),
            "default",
            r"^Keep the default setting: .* 0.1 to 0.3\), but it loses 6 animals\.$",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9), n_blocks=1, why="too few blocks"),
            "default",
            r"1 held-out block .* which may be chance; there is no interval \(too few blocks\)",
        ),
        (
            outcome(setting(0.8, 0.7), setting(0.9, 0.9)),
            "default",
            r"no interval \(it does not differ between blocks\)",
        ),
        (
            outcome(setting(9, 9), setting(2, 3), (-8, -2), metric=SWITCHES),
            "best",
            r"is 3, .* 9; .* interval -8 to -2\.$",
        ),
        (
            outcome(setting(9, 9), setting(2, 10), (-8, 9), metric=SWITCHES),
            "default",
            "Keep the default setting",
        ),
    ],
)
def test_verdict(found, recommended, said):
    assert found.recommended is getattr(found, recommended)
    assert re.search(said, found.verdict())


def test_nothing_is_compared_without_a_better_setting():
    found = conclude(IDF1, setting(0.8, 0.8), None, length=20, time=0, alike=np.eye(0))
    assert (found.differences, found.losses) == ({}, ())


# --- quality and speed ------------------------------------------------------------------


def test_on_the_front_nobody_is_better_and_faster():
    #          slow and best, fast and poor, beaten by the first, unknown, between
    values = [0.9, 0.5, 0.8, float("nan"), 0.7]
    speeds = [10, 100, 5, 1000, 50]
    assert pareto_front(IDF1, values, speeds) == [1, 4, 0]
    assert pareto_front(SWITCHES, [9, 1, 5], [10, 10, 50]) == [2, 1]


def test_of_equally_fast_settings_the_best_is_on_the_front():
    assert pareto_front(IDF1, [0.1, 0.2], [7, 7]) == [1]
