"""The description of a sweep in MLflow."""

from sleap_lab.sweeps.best import Best, Job
from sleap_lab.sweeps.description import MOST_CHARACTERS, SPACE, description, plain

METRIC = "eval/oks_map"


def described(rows, best=None):
    return description(
        rows,
        best,
        error=None,
        command="sleap-lab x=1",
        experiment_id="7",
        run_id="parent",
        run_ids={row["job"]: f"run{row['job']}" for row in rows},
    )


def row(job, value, best=None, **settings):
    return {"job": job, "status": "finished", "best": best, **settings, METRIC: value, "same": 1.0}


def test_the_best_job_comes_first_and_constant_metrics_have_no_column(tmp_path):
    rows = [row(0, 0.5, x="1"), row(1, 0.75, x="2"), row(2, 0.75, "best", x="<b>|")]
    best = Best(Job(2, tmp_path, ()), METRIC, 0.75, False)
    said = described(rows, best).splitlines()
    table = [line.replace(SPACE, "") for line in said if line.startswith("|")]
    assert not SPACE[-1].isspace()  # Markdown and browsers drop space at the end of a cell
    assert table[0] == "| job | best | x | oks\\_map |"
    assert [line.partition("]")[0] for line in table[2:]] == ["| [2", "| [1", "| [0"]
    assert table[2].endswith("| best | \\<b\\>\\| | 0.75 |")  # nothing of a name is markup
    assert "The same in all jobs: status finished, same 1." in said
    assert "compare-runs?runs=%5B%22run2%22%2C%22run1%22%2C%22run0%22%5D" in said[-1]


def test_it_fits_into_a_tag_however_many_jobs_there_are():
    rows = [row(i, i / 900, x="y" * 200) for i in range(900)]
    said = described(rows)
    assert len(said) <= MOST_CHARACTERS
    assert "more jobs are on the page." in said
    assert "artifacts/results.html" in said


def test_nothing_in_a_name_is_markup():
    assert plain("a_b*[c](d)\n<script>") == "a\\_b\\*\\[c\\](d) \\<script\\>"
