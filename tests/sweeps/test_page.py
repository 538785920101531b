"""The page of a sweep: its figures, and what it shows of jobs and settings."""

import numpy as np
import pytest

from sleap_lab.report.drawing import house_style
from sleap_lab.sweeps.importance import importance, importances
from sleap_lab.sweeps.page import (
    FAINTEST,
    MOST_LINES,
    STRONGEST,
    BestShown,
    importance_bars,
    parallel_coordinates,
    write_sweep_page,
)

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


def test_where_no_job_is_best_the_page_says_so_first(write):
    page = write(best=None)
    assert page.index("No job is called best") < page.index("Results")
    assert "sweep.objective=counts/fragments" in page


def test_errors_stand_above_all_each_once_with_its_jobs(write):
    rows = [["0", "1", "–"], ["1", "2", "out of memory"], ["2", "3", "out of memory"]]
    page = write(columns=["job", "x", "error"], rows=rows)
    assert "<li>out of memory (job 1, 2)</li>" in page
    assert page.count("out of memory") == 1
    assert page.index("out of memory") < page.index("Best configuration")


def test_columns_are_explained(write):
    page = write(columns=["job", "identity/idf1", "counts/fragments"])
    assert "<dt>idf1</dt><dd>F1 of detections" in page
    assert "<dt>fragments</dt><dd>Unbroken stretches" in page


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


FIRST = BestShown(0, 0, "map", "map", 0.5, False, False, None, (), (), "sleap-lab x=1")


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the page of two jobs and returns it."""

    def write(**changes):
        page = {
            "title": "Sweep of <x>",
            "name": "<noon>",
            "status": "failed",
            "counts": {"jobs": 2, "jobs_failed": 1},
            "command": "sleap-lab -m x=1,2",
            "columns": ["job", "x", "map"],
            "rows": [["0", "1", "0.5"], ["1", "<2>", "0.75"]],
            "same": {"pck": "1"},
            "settings": {"x": ["1", "<2>"]},
            "metrics": {"map": [0.5, 0.75]},
            "best": BestShown(
                1, 1, "map", "map", 0.75, False, False, "job 1 by map", (), (), "sleap-lab x='<2>'"
            ),
        }
        write_sweep_page(tmp_path, **(page | changes))
        return (tmp_path / "results.html").read_text()

    return write


def test_the_page_shows_results_and_what_mattered(write, tmp_path):
    page = write()
    assert "Sweep of &lt;x&gt;<" in page
    assert "<span>&lt;noon&gt;</span><span>2 jobs, 1 failed</span>" in page
    assert '<p class="lead"><code>x=&lt;2&gt;</code></p>' in page  # the best one, at a glance
    assert "Job 1 has the largest map, 0.75." in page
    assert page.count('<tr class="best"><td data-label="job" class="">1</td>') == 1
    assert page.count('<td data-label="x" class="words">') == 2
    assert "sleap-lab x=&#39;&lt;2&gt;&#39;" in page
    assert page.count("data:image/svg+xml") == 3  # one of them for narrow screens
    assert "1 column is the same in all jobs" in page
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        "parallel_coordinates.png",
        "importance.png",
    }
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"best": None},
        {"settings": {}},
        {"settings": {"x": ["1"]}, "metrics": {"map": [0.5]}, "best": FIRST},
        {"metrics": {"map": [0.5, 0.5]}},  # nothing differs that a setting could explain
    ],
)
def test_without_something_to_compare_there_are_no_figures(write, tmp_path, changes):
    page = write(**changes)
    assert "Which settings mattered" not in page
    assert not (tmp_path / "figures").exists()


def test_ties_and_the_smallest_are_said(write):
    best = FIRST._replace(minimize=True, lowest=True, tied=(1,), tied_rows=(1,))
    best = best._replace(decided_by="the simpler setting")
    three = {"settings": {"x": ["1", "2", "3"]}, "metrics": {"map": [0.5, 0.5, 0.75]}}
    page = write(best=best, **three)
    assert "2 jobs have the smallest map, 0.5. Of these, job 0 is called best: the simpler" in page
    assert "changes fewer keys" in page
    assert "the stronger, the smaller map" in page
    assert "dashed ones have the same map" in page
    assert "dashed" not in write()  # a legend only where its marks occur


def test_the_best_line_is_that_of_the_best_job_though_others_are_as_good():
    with house_style():
        figure = parallel_coordinates({"x": ["1", "2", "3"]}, np.array([0.5, 0.75, 0.75]), 1)
    assert figure.axes[0].lines[3].get_ydata() == [0.5]  # the second of three
    assert figure.axes[0].lines[3].get_linewidth() > 2


def test_where_all_are_equal_the_next_metric_tells_them_apart(write):
    best = BestShown(1, 1, "idf1", "dist", 1.0, False, True, "job 1", (0,), (0,), "sleap-lab x=2")
    page = write(best=best, metrics={"idf1": [1.0, 1.0], "dist": [3.0, 2.0]})
    assert "All jobs are equal by idf1; dist tells them apart." in page
    assert "All 2 jobs have the same idf1, 1. Of these, job 1 is called best" in page
    assert "the stronger, the smaller dist" in page


def test_of_very_many_jobs_the_page_draws_so_many_from_the_worst_to_the_best(write):
    scores = np.random.default_rng(1).permutation(2000) / 1999
    with house_style():
        figure = parallel_coordinates({"map": scores.tolist()}, scores, int(scores.argmax()))
    drawn = [float(line.get_ydata()[0]) for line in figure.axes[0].lines[:MOST_LINES]]
    assert drawn == sorted(drawn)
    assert (drawn[0], drawn[-1]) == (0, 1)
    assert np.diff(drawn).max() == pytest.approx(5 / 1999)  # 1999 / 499 is 4.006
    page = write(
        settings={"x": [str(i) for i in range(2000)]}, metrics={"map": scores.tolist()}, left_out=7
    )
    assert "(1500 more, between these, are left out)" in page
    assert "7 more jobs are in <a href" in page
    assert "<span>9 jobs, 1 failed</span>" in page
