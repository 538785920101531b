import pytest

from sleap_lab.tune.settings import find_metric
from sleap_lab.tune.study import opened, run_search
from sleap_lab.tune.trials import Tried, best_of, importances


def test_the_best_trial_is_the_first_of_equals():
    metric = find_metric("identity/switches")
    trials = [Tried(i, value, 1.0, {}) for i, value in enumerate([7, float("nan"), 5, 5, 6])]
    assert best_of(trials, metric, default=8).number == 2
    assert best_of(trials, metric, default=5) is None


def test_importances_need_trials_that_differ(search):
    with opened(search(trials=12), {}) as study:
        run_search(search(trials=3), study, lambda study: None)
        assert importances(study) == {}
        run_search(search(trials=16), study, lambda study: None)
        shares = importances(study)
    assert "tracker.tracking_window_size" in shares
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) == pytest.approx(1)
