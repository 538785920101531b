"""Which differences are marked."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from sleap_lab.compare.marks import BETTER, bars, judgeable, marked
from sleap_lab.compare.paired import Change


@pytest.mark.parametrize(
    ("name", "change", "verdict"),
    [
        ("eval/pck", Change(1, 0.5, 2, chance=0.01), "better"),
        ("eval/dist_avg", Change(1, 0.5, 2, chance=0.01), "worse"),
        ("eval/dist_avg", Change(-1, -2, -0.5, chance=0.01), "better"),
        ("eval/pck", Change(-1, -2, -0.1, chance=0.03), ""),  # may be chance among so many
        ("eval/pck", Change(1), ""),  # no interval
        ("eval/n_frame_pairs", Change(1, 0.5, 2, chance=0.01), ""),  # neither way is better
    ],
)
def test_the_verdict_follows_from_chance_and_side(name, change, verdict):
    assert marked(name, change, highest=0.02).verdict == verdict
    assert name in BETTER


@pytest.mark.parametrize(
    ("chances", "highest"),
    [
        ([0.04], 0.04),
        ([0.04, 0.5], -1),  # 0.04 > 0.05 * 1 / 2
        ([0.01, 0.03, 0.5], 0.03),  # 0.03 <= 0.05 * 2 / 3
        ([0.03, 0.04, 0.045], 0.045),  # the last passes, and all below with it
        ([], -1),
    ],
)
def test_more_differences_raise_the_bar(chances, highest):
    assert bars([[("eval/pck", Change(1, chance=chance)) for chance in chances]]) == [highest]


def test_tables_share_what_is_allowed():
    few, many = ([("eval/pck", Change(1, chance=c)) for c in chances] for chances in
                 ([0.02], [0.002, *([0.9] * 9)]))  # fmt: skip
    assert bars([few, many, []]) == [0.02, 0.002, -1]
    assert bars([few, many, few]) == [-1, -1, -1]  # 0.02 > 0.05 / 3, 0.002 > 0.05 / 3 / 10


def test_the_bar_is_that_of_scipy():
    chances = np.random.default_rng(0).beta(0.3, 2, 200)
    changes = [("eval/pck", Change(1, chance=chance)) for chance in chances]
    (highest,) = bars([changes])
    assert ((chances <= highest) == (false_discovery_control(chances) <= 0.05)).all()
    assert 0 < (chances <= highest).sum() < 200


def test_what_cannot_be_marked_does_not_count():
    changes = [("eval/pck", Change(1, chance=0.04)), ("eval/pck", Change(1))]
    changes += [("eval/n_frame_pairs", Change(1, chance=0.9))] * 10
    assert judgeable(changes) == [0.04]
    assert bars([changes]) == [0.04]
