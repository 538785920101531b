import numpy as np
import pytest

from sleap_lab.quality.assess import assess
from sleap_lab.quality.kinds import KINDS, OPINIONS
from sleap_lab.settings.metrics import METRICS


def test_every_rate_of_signs_is_the_metric_of_a_kind():
    rates = {metric.key for metric in METRICS if "_per_1000" in metric.key}
    assert {kind.metric for kind in KINDS.values() if kind.metric} == rates


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_words_say_how_far_a_sign_is_from_usual(kind):
    words = kind.words.format(value=0.5)
    assert words
    assert "{" not in words


def test_only_opinions_have_no_chance_of_their_own():
    assert OPINIONS == ("swap", "doubt")
    assert {name for name, kind in KINDS.items() if kind.chance is None} == set(OPINIONS)


def test_a_rate_is_about_the_poses_in_which_a_sign_could_be(scene):
    order = assess(scene(n_frames=10, n_animals=3)).order
    counts = {name: int(np.count_nonzero(kind.among(order))) for name, kind in KINDS.items()}
    assert counts["jump"] == counts["flip"] == 9 * 3  # of the first frame nobody knows the step
    assert counts["stretched"] == counts["double"] == 10 * 3
