"""The page of a sweep: which settings mattered, and what it shows of them."""

import math

import numpy as np
import pytest

from sleap_lab.report.figures import house_style
from sleap_lab.sweeps.page import (
    BestShown,
    importance,
    importance_bars,
    parallel_coordinates,
    write_sweep_page,
)

NAN = float("nan")


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
    assert found[1:] == pytest.approx((share, correlation), nan_ok=True)


def test_only_ranks_matter():
    values, scores = ["a", "a", "b", "b", "c", "c"], np.array([0.1, 0.3, 0.2, 0.5, 0.6, 0.9])
    assert importance("x", values, scores) == pytest.approx(
        importance("x", values, np.exp(9 * scores)), nan_ok=True
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


# --- figures ----------------------------------------------------------------------------


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
    assert labels(figure) == ["0", "29"]


def test_metrics_that_are_all_the_same_are_drawn():
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2"], "map": [1.0, 1.0]}, np.array([1.0, 1.0]), 0)
    assert figure.axes[0].lines[0].get_ydata()[1] == 0.5


def test_bars_show_shares():
    found = [
        importance("x", values, np.arange(4.0))
        for values in (["a", "a", "b", "b"], ["a", "b", "c", "d"])
    ]
    with house_style():
        figure = importance_bars(found, "map")
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([70, 0])


# --- the page ---------------------------------------------------------------------------


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the page of two jobs and returns it."""

    def write(**changes):
        page = {
            "title": "Sweep <noon>",
            "status": "finished",
            "command": "sleap-lab -m x=1,2",
            "columns": ["job", "x", "map"],
            "rows": [["0", "1", "0.5"], ["1", "<2>", "0.75"]],
            "settings": {"x": ["1", "<2>"]},
            "metrics": {"map": [0.5, 0.75]},
            "best": BestShown(1, 1, "map", 0.75, False, "job 1 by map", (), "sleap-lab x='<2>'"),
        }
        write_sweep_page(tmp_path, **(page | changes))
        return (tmp_path / "results.html").read_text()

    return write


def test_the_page_shows_results_and_what_mattered(write, tmp_path):
    page = write()
    assert "Sweep &lt;noon&gt;" in page
    assert page.count('<td class="better">') == 3  # the row of the best job
    assert "sleap-lab x=&#39;&lt;2&gt;&#39;" in page
    assert page.count("data:image/svg+xml") == 2
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "parallel_coordinates.png",
        "importance.png",
    }
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    "changes",
    [{"best": None}, {"settings": {}}, {"settings": {"x": ["1"]}, "metrics": {"map": [0.5]}}],
)
def test_without_something_to_compare_there_are_no_figures(write, tmp_path, changes):
    page = write(**changes)
    assert "Which settings mattered" not in page
    assert not (tmp_path / "figures").exists()


def test_ties_and_the_smallest_are_said(write):
    page = write(
        best=BestShown(
            0,
            0,
            "map",
            0.5,
            True,
            "job 0 by map, tied with job 1; the simpler setting decides",
            (1,),
            "sleap-lab x=1",
        )
    )
    assert "The smallest map, 0.5, is that of 2 jobs: best is job 0 by map, tied with job 1" in page
    assert "the lighter, the smaller map" in page


def test_the_best_line_is_that_of_the_best_job_though_others_are_as_good():
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2", "3"]}, np.array([0.5, 0.75, 0.75]), 1)
    assert figure.axes[0].lines[3].get_ydata() == [0.5]  # the second of three
    assert figure.axes[0].lines[3].get_linewidth() > 2
