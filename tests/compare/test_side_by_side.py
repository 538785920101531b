"""A comparison in the terminal and as a page."""

from itertools import product
from pathlib import Path

import pytest

from sleap_lab.compare.page import cells, write_page
from sleap_lab.compare.paired import Change
from sleap_lab.compare.runs import Line, compare
from sleap_lab.compare.side_by_side import as_text, brief


@pytest.fixture(scope="module")
def sweep(write_run, tmp_path_factory):
    """Compare 24 runs: 3 trackers x 4 windows x 2 models in a deep folder.

    The tracker matters, and the window for identity.
    """
    folders: list[Path] = []
    root = tmp_path_factory.mktemp("sweep")
    grid = product(
        ("model_a", "model_b"), enumerate(("fixed_window", "local_queues", "flow")), (3, 5, 10, 20)
    )
    for job, (model, (i, tracker), window) in enumerate(grid):
        settings = {
            "model.paths": [f"/data/models/a/long/way/down/{model}"],
            "tracker.use_flow": tracker == "flow", "tracker.method": tracker,
            "tracker.window": window,
        }  # fmt: skip
        scores = {
            "identity/idf1": 0.5 + i / 10 + window / 100,
            "identity/hota": 0.5 + window / 1000,
            "identity/switches": 7.0,
        }
        folder = f"outputs/multirun/2026-11-22/17-00-44-793184/{job}"
        folders.append(
            write_run(
                root / folder,
                off=3 - i / 10,
                settings=settings,
                choices={"tracker": tracker},
                metrics=scores,
                job=job,
            )
        )
    return compare(folders)


def test_text_and_page_show_the_same(make_run, tmp_path):
    comparison = compare(
        [make_run("a", off=3, settings={"t.w": "<5>"}), make_run("b", off=4, settings={"t.w": 10})]
    )
    text = as_text(comparison)
    assert "t.w" in text
    shown = next(row for row in text.splitlines() if row.startswith("eval/dist_avg"))
    assert shown.endswith("worse")
    write_page(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert shown.split("  ")[-1].strip() in page
    assert "&lt;5&gt;" in page
    assert "<5>" not in page
    assert "http" not in page


def test_videos_and_nodes_that_changed_are_told(make_run):
    text = as_text(
        compare([make_run("a", off=3), make_run("b", off=[3, 3, 3, 5]), make_run("c", off=3)])
    )
    rows = [line.split("  ")[0] for line in text.split("video or node")[1].splitlines()[1:5]]
    assert rows == ["d: dist_avg", "d: dist_p50", "d: dist_p90", "d: pck"]
    assert "a: dist_avg" not in text
    assert "no single node changed by more than chance" in as_text(
        compare([make_run("d", off=3), make_run("e", off=3)])
    )
    text = as_text(compare([make_run("f", off=3), make_run("g", off=4)]))
    assert "4 more are on the page" in text  # of 4 nodes x 4 metrics, 12 are shown


def test_many_runs_are_a_line_each(sweep):
    text = as_text(sweep)
    runs, said, effects, notes = (part.splitlines() for part in text.split("\n\n"))
    assert max(map(len, text.splitlines())) <= 140
    assert runs[0].split() == [
        "run",
        "tracker",
        "paths",
        "window",
        "idf1",
        "ap",
        "oks_map",
        "pck",
        "dist_avg",
        "dist_p90",
    ]
    assert len(runs) == 1 + 24
    assert runs[1].split()[1:6] == ["0", "fixed_window", "…model_a]", "3", "0.5300"]
    assert runs[24].split()[1:7] == ["23", "=", "flow", "…model_b]", "20", "0.9000"]
    assert [line.count("▲") for line in (runs[1], runs[24])] == [0, 5]
    assert said == [
        "▲ ▼ better or worse than job 0 by more than chance",
        "without an interval, which takes four videos: idf1",
        "* best by identity/idf1",
        "= as good by it; the simpler setting decides",
        "the same in all runs: n_missed 0, switches 7, frames_per_second 10",
        "on the page only: hota",
        "idf1: tracker (58%) and window (27%) matter by themselves.",
    ]
    assert [line.split()[:6] for line in effects[:3]] == [
        ["effect", "of", "pairs", "idf1", "ap", "oks_map"],
        ["tracker", "fixed_window", "→", "flow", "8", "+0.2000"],
        ["window", "3", "→", "20", "6", "+0.1700"],
    ]
    assert len(notes) == 1 + 1


def test_of_very_many_runs_the_first_and_the_best_have_a_line(sweep, monkeypatch):
    monkeypatch.setattr("sleap_lab.compare.side_by_side.MOST_RUNS", 3)
    runs = as_text(sweep).split("\n\n")[0].splitlines()
    assert runs[-1] == "21 more runs are on the page"
    assert [line.split()[1] for line in runs[1:-1]] == ["0", "11", "23"]


def test_of_very_many_runs_that_are_left_out_some_are_named(sweep, tmp_path):
    told = sweep._replace(warnings=[f"job {i} is left out: too dark" for i in range(40)])
    said = as_text(told).splitlines()
    assert sum("is left out" in line for line in said) == 12
    assert "28 more warnings on the page" in said
    write_page(told, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count("is left out: too dark") == 40


@pytest.mark.parametrize("width", [60, 80, 100])
def test_tables_fit_a_terminal(sweep, width):
    said = as_text(sweep, width)
    of_runs, _, of_effects, _ = said.split("\n\n")
    columns = of_runs.splitlines()[0].split()[4:]
    assert 1 <= len(columns) < 6
    assert columns == of_effects.splitlines()[0].split()[3:]
    assert len(columns) == 1 or max(map(len, f"{of_runs}\n{of_effects}".splitlines())) <= width
    assert "on the page only: " in said


def test_the_page_has_every_run_and_metric(sweep, tmp_path):
    write_page(sweep, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    sections = [section.split('"')[0] for section in page.split('<section id="')[1:]]
    assert sections == ["best", "effects", "runs", "settings", "metrics", "meanings", "nodes"]
    runs = page.split('<section id="runs">')[1].split("</section>")[0]
    assert runs.count("<tr") == 1 + 24
    assert runs.count('class="best"') == runs.count(">best<") == runs.count(">tied<") == 1
    best = page.split('<section id="best">')[1].split("</section>")[0]
    assert "is best by identity/idf1, 0.9000. As good: job 23; the simpler setting" in best
    assert all(f"{name}=" in best for name in ("tracker", "paths", "window"))
    assert "identity/hota" in runs
    assert runs.count("no interval") == 2  # beside IDF1 and HOTA, and nowhere else
    assert "/data/models/a/long/way/down/model_b" in runs
    metrics = page.split('<section id="metrics">')[1].split("</section>")[0]
    assert len(sweep.metrics) > 30
    assert all(line.name in metrics for line in sweep.metrics)
    assert 0 < metrics.count('scope="row"') < len(sweep.metrics)  # the others are the same


def test_warnings_stand_above_all(make_run, tmp_path):
    comparison = compare(
        [make_run(str(value), settings={"evaluator.oks_stddev": value}) for value in (0.05, 0.1)]
    )
    assert comparison.warnings[0] in as_text(comparison)
    write_page(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index(comparison.warnings[0]) < page.index("<section")


def test_runs_that_are_alike_are_told_so(make_run, tmp_path):
    folders = [
        make_run(
            str(i),
            settings={"a.x": i},
            metrics={"eval/pck": 0.5} | ({"eval/dist_avg": 1.0} if i == 2 else {}),
        )
        for i in range(4)
    ]
    comparison = compare(folders)
    assert as_text(comparison) == (
        "run    x\njob 0  0\njob 1  1\njob 2  2\njob 3  3\n\n"
        "the same in all runs: pck 0.5000, frames_per_second 10"
    )
    write_page(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "The same in all runs: eval/pck (0.5000), speed/frames_per_second (10)." in page
    assert 'id="effects"' not in page


def test_a_legend_stands_only_where_its_marks_do(make_run, tmp_path):
    """Runs that no setting moves by more than chance, and without an identity."""
    folders = [make_run(str(i), off=3, settings={"a.x": i}) for i in range(4)]
    comparison = compare(folders)
    assert "▲ ▼" not in as_text(comparison)
    assert "without an interval" not in as_text(comparison)
    write_page(comparison, tmp_path / "page.html")
    assert "no interval" not in (tmp_path / "page.html").read_text()


def test_two_settings_that_decide_together_are_said(make_run, tmp_path):
    folders = [
        make_run(
            f"{x}{y}",
            settings={"a.x": x, "b.y": y},
            metrics={"identity/idf1": 1.0 - ((x + y) % 2) / 2},
        )
        for x, y in product((0, 1), (0, 1))
    ]
    comparison = compare(folders)
    said = (
        "idf1: x may matter together with y (100%), or that is chance: each pair of their values "
    )
    assert said in " ".join(as_text(comparison).split())
    write_page(comparison, tmp_path / "page.html")
    assert said in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("n", "says"),
    [
        (2, "made with  job 0  job 1\nnumpy      1      2"),
        (4, "not made alike (see the page): numpy"),
    ],
)
def test_versions_that_differ_are_told(make_run, tmp_path, n, says):
    comparison = compare([make_run(str(i)) for i in range(n)])._replace(
        made_with=[("numpy", list("1234"[:n]))]
    )
    assert says in as_text(comparison)
    write_page(comparison, tmp_path / "page.html")
    section = (
        (tmp_path / "page.html")
        .read_text()
        .split('<section id="made_with">')[1]
        .split("</section>")[0]
    )
    assert section.count("<code>") == 1 + n


@pytest.mark.parametrize(
    ("values", "short"),
    [
        (["3", "10"], ["3", "10"]),
        (
            ["/data/models/here/a", "/data/models/here/b"],
            ["/data/models/here/a", "/data/models/here/b"],
        ),  # not long
        (["/data/models/right/here/a", "/data/models/right/here/b"], ["…a", "…b"]),
        (["/data/models/right/here/a"] * 2, ["…" + "/data/models/right/here/a"[-23:]] * 2),
        (["x" * 30 + "a", "x" * 30 + "b"], ["…" + "x" * 22 + "a", "…" + "x" * 22 + "b"]),
        (["null", "/data/models/right/here/b"], ["null", "…" + "/data/models/right/here/b"[-23:]]),
    ],
)
def test_long_values_are_shortened_to_where_they_differ(values, short):
    assert brief(values) == short


def test_a_strip_shows_where_a_change_lies():
    line = Line(
        "eval/pck",
        [0.5, 0.6, 0.5, 0.5],
        [Change(0.1, 0, 0.2), Change(-0.2, -0.2, -0.1, "worse"), Change(0, 0, 0)],
    )
    first, unsure, worse, same = cells(line)
    assert (first.value, first.change, first.strip) == ("0.5000", "", None)
    assert (unsure.change, unsure.strip) == ("+0.1000 [0, 0.2000]", pytest.approx((75, 50, 100)))
    assert (worse.change, worse.verdict, worse.strip) == (
        "-0.2000 [-0.2000, -0.1000] worse",
        "worse",
        pytest.approx((0, 0, 25)),
    )
    assert (same.change, same.strip) == ("0", None)
