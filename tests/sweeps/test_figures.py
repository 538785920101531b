"""The figures of the page of a sweep."""

import numpy as np
import pytest

from sleap_lab.report.drawing import house_style
from sleap_lab.sweeps.figures import (
    FAINTEST,
    STRONGEST,
    importance_bars,
    parallel_coordinates,
)
from sleap_lab.sweeps.importance import importance, importances


def labels(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_lines_run_through_settings_and_metrics():
    axes_of = {"size": ["10", "9", "9"], "kind": ["a", "b", None], "map": [0.5, 0.75, 0.75]}
    with house_style():
        figure = parallel_coordinates(axes_of, np.array([0.5, 0.75, 0.7]), 1)
    lines = [list(line.get_ydata()) for line in figure.axes[0].lines]
    # Jobs from worst to best, then the best once more on top. Axes: sizes in order, kinds in order
    # of appearance, metrics to scale.
    assert lines[:4] == [[1, 0, 0], [0, 1, 1], [0, 0.5, 1], [0, 0.5, 1]]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == list(axes_of)
    assert sorted(labels(figure)) == sorted(["9", "10", "a", "b", "–", "0.5", "0.75"])


def test_an_axis_of_many_values_names_its_ends():
    with house_style():
        figure = parallel_coordinates({"size": [str(i) for i in range(30)]}, np.arange(30.0), 29)
    assert sorted(labels(figure)) == ["0", "29"]


def test_metrics_that_are_all_the_same_are_drawn():
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2"], "map": [1.0, 1.0]}, np.array([1.0, 1.0]), 0)
    assert figure.axes[0].lines[0].get_ydata()[1] == 0.5


def test_what_is_as_good_is_dashed_and_the_best_line_on_top():
    scores = np.array([0.5, 0.75, 0.75])
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2", "3"]}, scores, 2, [1])
    lines = figure.axes[0].lines[:4]  # from the worst to the best, and the best one again
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-", "-"]
    assert lines[3].get_ydata() == [1.0]


def test_the_better_the_stronger_a_line():
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2"]}, np.array([0.5, 0.75]), 1)
    assert [line.get_alpha() for line in figure.axes[0].lines[:2]] == [FAINTEST, STRONGEST]


def test_numbers_are_rounded_and_long_names_wrapped():
    with house_style():
        figure = parallel_coordinates(
            {"a_rather_long_name_of_a_setting": ["0.123456789", "1"], "b": ["x", "y"]},
            np.array([0.0, 1.0]),
            1,
            width=2.0,
        )
    assert "0.1235" in labels(figure)
    assert figure.axes[0].get_xticklabels()[0].get_text().count("\n") > 0


def test_bars_show_what_two_settings_explain_together():
    settings = {"a": ["1", "1", "2", "2"], "b": ["x", "y", "x", "y"]}
    with house_style():
        figure = importance_bars(importances(settings, np.array([0.0, 1, 1, 0])), "map")
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([0, 0, 100])
    assert figure.axes[0].get_yticklabels()[2].get_text() == "a with b"


def test_bars_show_shares():
    found = [
        importance("x", values, np.arange(4.0))
        for values in (["a", "a", "b", "b"], ["a", "b", "c", "d"])
    ]
    with house_style():
        figure = importance_bars(found, "map")
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([70, 0])


def test_of_values_that_lie_close_together_one_is_named():
    axes_of = {"map": [0.9455, 0.9383, 0.5, 0.0]}
    with house_style():
        figure = parallel_coordinates(axes_of, np.array(axes_of["map"]), 0)
    assert labels(figure) == ["0.9455", "0", "0.5"]


# --- the page ---------------------------------------------------------------------------


def test_the_best_line_is_that_of_the_best_job_though_others_are_as_good():
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2", "3"]}, np.array([0.5, 0.75, 0.75]), 1)
    assert figure.axes[0].lines[3].get_ydata() == [0.5]  # the second of three
    assert figure.axes[0].lines[3].get_linewidth() > 2


def test_axes_on_which_lower_is_better_say_so():
    axes_of = {"map": [0.5, 0.75], "dist": [2.0, 1.0]}
    with house_style():
        figure = parallel_coordinates(axes_of, np.array([0.5, 0.75]), 1, lower=["dist"])
    names = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert names == ["map", "dist\nlower is\nbetter"]
