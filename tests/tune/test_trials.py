import pytest

from sleap_lab.tune.settings import find_metric
from sleap_lab.tune.study import opened, run_search
from sleap_lab.tune.trials import Tried, as_good, best_of, importances, ranked


def test_of_equal_trials_the_best_changes_fewest_settings_and_then_is_the_first():
    metric = find_metric("identity/switches")
    usual = {"a": 1, "b": 2}
    values = [7, float("nan"), 5, 5, 5, 6]
    settings = [{}, {}, {"a": 2, "b": 3}, {"a": 1, "b": 3}, {"a": 2}, {}]
    trials = [Tried(i, value, 1.0, settings[i]) for i, value in enumerate(values)]
    assert [trial.number for trial in ranked(trials, metric, usual)] == [3, 4, 2, 5, 0]
    assert best_of(trials, metric, 8, usual).number == 3
    assert best_of(trials, metric, 5, usual) is None
    assert as_good(trials, 3) == [2, 4]


def test_importances_need_trials_that_differ(search):
    with opened(search(trials=12), {}) as study:
        run_search(search(trials=3), study, lambda study: None)
        assert importances(study) == {}
        run_search(search(trials=16), study, lambda study: None)
        shares = importances(study)
    assert "tracker.tracking_window_size" in shares
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert sum(shares.values()) == pytest.approx(1)
