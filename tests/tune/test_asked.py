"""The space that `tune.space` asks for."""

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import Config
from sleap_lab.tune.asked import asked_space, defaults_of, predicts
from sleap_lab.tune.settings import split_overrides
from sleap_lab.tune.space import Choice, Range, one_of


def options(dimension):
    return [option[dimension.name] for option in dimension.options.values()]


def test_an_interval_a_choice_and_a_range_become_dimensions():
    interval, choice, numbers, log = asked_space(
        [
            "model.peak_threshold=interval(0.05,0.6)",
            "[preprocessing.input_scale=choice(0.5,1.0), tracker.max_tracks=range(2,5)]",
            "'tracker.oks_stddev=tag(log,interval(0.01,0.5))'",
        ]
    )
    assert interval == Range("model.peak_threshold", 0.05, 0.6)
    assert (type(choice), choice.name, options(choice)) == (
        Choice,
        "preprocessing.input_scale",
        [0.5, 1.0],
    )
    assert options(numbers) == [2, 3, 4]
    assert log == Range("tracker.oks_stddev", 0.01, 0.5, log=True)
    (words,) = asked_space(["tracker.scoring_method=oks,'iou'"])
    assert options(words) == ["oks", "iou"]
    (whole,) = asked_space(["tracker.tracking_window_size=interval(2,9)"])
    assert isinstance(whole.low, int)
    assert isinstance(whole.high, int)
    assert asked_space([]) == []


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (
            "model.peak_treshold=interval(0,1)",
            "tune.space: model.peak_treshold: there is no such key. Did you mean "
            "'model.peak_threshold'?",
        ),
        ("evaluator.oks_stddev=interval(0.01,1)", "tune.space: evaluator.oks_stddev says what"),
        ("data.frames=choice(1,2)", "tune.space: data.frames says what is compared"),
        ("model.peak_threshold=0.5", "tune.space: model.peak_threshold has one value, 0.5"),
        ("model.peak_threshold=interval(1,1)", "has an empty interval"),
        ("tracker.scoring_method=oks,oko", "tracker.scoring_method: got 'oko'; accepted:"),
        ("tracker.max_tracks=interval(0,4)", "tracker.max_tracks: got"),
        (
            "[model.peak_threshold=interval(0,1),model.peak_threshold=choice(0,1)]",
            "tune.space: model.peak_threshold is given twice",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(word, told):
    with pytest.raises(ConfigError) as caught:
        asked_space([word])
    assert str(caught.value).startswith(told) or told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_keys_that_predict_anew_have_a_default_of_their_own():
    space = [one_of("tracker.max_tracks", [1, 2]), Range("model.peak_threshold", 0.1, 0.6)]
    assert defaults_of(space, Config()) == {"model.peak_threshold": 0.2}
    assert [predicts(dimension.name) for dimension in space] == [False, True]


def test_the_words_of_a_command_line():
    settings, rest = split_overrides(
        [
            "tracker=flow",
            "tune.space=model.peak_threshold=interval(0.05,0.6)",
            "tune.objective=eval/oks_map",
            "tune.space=tracker.max_tracks=range(2,5)",
        ]
    )
    assert rest == ["tracker=flow"]
    assert settings.metric == "eval/oks_map"
    assert [dimension.name for dimension in asked_space(settings.space or [])] == [
        "model.peak_threshold",
        "tracker.max_tracks",
    ]
