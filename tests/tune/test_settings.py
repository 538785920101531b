import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.tune.settings import TuneConfig, find_metric, split_overrides


def test_the_section_is_taken_out_of_the_overrides():
    settings, rest = split_overrides(
        [
            "data.path=a.slp",
            "tune.trials=7",
            "tracker=flow",
            "tune.trackers=[flow,kalman]",
            "tune.timeout=null",
        ]
    )
    assert rest == ["data.path=a.slp", "tracker=flow"]
    assert settings == TuneConfig(trials=7, trackers=["flow", "kalman"])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tune.trails=7", "tune.trails: there is no such key. Did you mean 'tune.trials'?"),
        ("+tune.window=7", "tune.window: there is no such key."),
        ("tune.trials=many", "tune.trials: .* accepted: int"),
        ("tune.trials=0", "tune.trials: got 0; accepted: at least 1"),
        ("tune.trials=1,2", "tune.trials: got several values"),
        ("tune.holdout=1", "tune.holdout: got 1.0; accepted: at least 0.05 and at most 0.95"),
        ("tune.trackers=[flaw]", "tune.trackers: got 'flaw'; .* Did you mean 'flow'?"),
        (
            "tune.metric=idf1",
            "tune.metric: there is no metric 'idf1' .* Did you mean 'identity/idf1'?",
        ),
        (
            "tune.metric=eval/n_frame_pairs",
            "tune.metric: there is no metric 'eval/n_frame_pairs' with a better side",
        ),
        ("tune.name=a/b", "tune.name: got 'a/b'; accepted: letters"),
        ("tune.name=kalman", "tune.name: kalman is an option that ships with sleap_lab"),
    ],
)
def test_mistakes_are_named(word, message):
    with pytest.raises(ConfigError, match=message):
        split_overrides([word])


def test_a_metric_knows_its_better_side():
    assert (find_metric("identity/hota").better, find_metric("identity/switches").better) == (
        "higher",
        "lower",
    )


def test_options_are_called_after_the_study():
    assert (TuneConfig().option, TuneConfig(name="mice").option) == ("tuned", "mice")
