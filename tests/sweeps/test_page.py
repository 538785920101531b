"""The page of a sweep: what it shows of jobs and settings."""

import numpy as np
import pytest

from sleap_lab.report.drawing import house_style
from sleap_lab.sweeps.figures import MOST_LINES, parallel_coordinates
from sleap_lab.sweeps.page import BestShown, write_sweep_page


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


FIRST = BestShown(0, 0, "map", "map", 0.5, False, False, None, (), (), (), "sleap-lab x=1")


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
                1,
                1,
                "map",
                "map",
                0.75,
                False,
                False,
                "job 1 by map",
                (),
                (),
                (),
                "sleap-lab x='<2>'",
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
    best = FIRST._replace(minimize=True, lowest=True, tied=(1,), as_good=(1,), as_good_rows=(1,))
    best = best._replace(decided_by="the simpler setting")
    three = {"settings": {"x": ["1", "2", "3"]}, "metrics": {"map": [0.5, 0.5, 0.75]}}
    page = write(best=best, **three)
    assert "2 jobs have the smallest map, 0.5. Of these, job 0 is called best: the simpler" in page
    assert "changes fewer keys" in page
    assert "the stronger, the smaller map" in page
    assert "dashed ones are as good" in page
    assert "dashed" not in write()  # a legend only where its marks occur


def test_where_all_are_equal_the_next_metric_tells_them_apart(write):
    best = BestShown(1, 1, "idf1", "dist", 1.0, False, True, "job 1", (0,), (), (), "sleap-lab x=2")
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
