"""What differs between runs, on run folders made by hand."""

import json

import numpy as np
import pytest

from sleap_lab.compare.runs import COLUMNS, MEANING, compare
from sleap_lab.errors import ConfigError
from sleap_lab.runs import summary
from sleap_lab.runs.snapshot import write_snapshot
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import LoggerConfig, keys
from sleap_lab.settings.metrics import METRICS
from sleap_lab.sweeps.ledger import Plan, write_plan


def test_only_settings_that_differ_are_shown(make_run):
    settings = {"tracker.window": 5, "tracker.features": "keypoints"}
    comparison = compare(
        [
            make_run("a", settings=settings),
            make_run("b", settings=settings | {"tracker.window": 10}),
        ]
    )
    assert comparison.settings == [("tracker.window", ["5", "10"])]
    assert [line.name for line in comparison.metrics] == ["speed/frames_per_second"]
    assert [factor.name for factor in comparison.factors] == ["tracker.window"]
    assert comparison.effects == []  # of two runs, they are the changes


def test_runs_are_compared_with_the_first(make_run):
    comparison = compare([make_run("a", off=3), make_run("b", off=4), make_run("c", off=2)])
    (line,) = [line for line in comparison.metrics if line.name == "eval/dist_avg"]
    assert line.values == pytest.approx([3, 4, 2], abs=0.1)
    assert [change.verdict for change in line.changes] == ["worse", "better"]
    assert len(comparison.notes) == 1 + 1  # one basis for all, and one on marks


def test_videos_and_nodes_are_compared_where_there_are_several(make_run):
    comparison = compare([make_run("a", off=3), make_run("b", off=4)])
    assert list(comparison.parts) == ["node"]
    comparison = compare(
        [
            make_run("c", off=3, videos=list("wxyz")),
            make_run("d", off=4, videos=list("wxyz")),
        ]
    )
    assert {kind: list(parts) for kind, parts in comparison.parts.items()} == {
        "video": list("wxyz"),
        "node": list("abcd"),
    }
    line = comparison.parts["node"]["b"][0]
    assert (line.name, line.changes[0].verdict) == ("eval/dist_avg", "worse")


def test_a_run_that_comes_again_counts_once_at_its_first_place(make_run):
    a, b, c = (make_run(name) for name in "abc")
    assert [run.folder for run in compare([c, a, b, c.parent / "a" / ".." / "c"]).runs] == [c, a, b]
    with pytest.raises(ConfigError, match="two runs or more, got 1"):
        compare([a, a])


def test_the_best_run_is_named_and_those_that_are_as_good(make_run):
    scores = {"a": 0.5, "b": 0.75, "c": 0.75}
    comparison = compare(
        [make_run(name, metrics={"identity/idf1": score}) for name, score in scores.items()]
    )
    assert (comparison.best_by, comparison.best) == ("identity/idf1", [1, 2])
    assert [line.name for line in comparison.columns] == [
        "identity/idf1",
        "speed/frames_per_second",
    ]
    nothing = compare([make_run("d"), make_run("e")])
    assert (nothing.best_by, nothing.best) == (None, [])
    equal = compare([make_run(name, metrics={"identity/idf1": 0.5}) for name in "fg"])
    assert (equal.best_by, equal.best) == ("identity/idf1", [])


def test_jobs_of_a_sweep_are_best_by_its_objective(make_run, tmp_path):
    folders = [
        make_run(name, metrics={"identity/idf1": i, "eval/dist_avg": i})
        for i, name in enumerate("ab")
    ]
    assert compare(folders).best == [1]
    (sweep,) = {folder.parent for folder in folders}
    write_plan(sweep, Plan("x", LoggerConfig(), [], "eval/dist_avg"))
    assert (compare(folders).best_by, compare(folders).best) == ("eval/dist_avg", [0])


def test_measures_that_do_not_mean_the_same_are_named(make_run):
    comparison = compare(
        [make_run(str(value), settings={"evaluator.oks_stddev": value}) for value in (0.05, 0.1)]
    )
    assert comparison.warnings == [
        "not the same measure: evaluator.oks_stddev differ, "
        "so metrics that depend on it cannot be compared"
    ]
    unjudged = {"evaluator.oks_stddev": 0.2, "evaluator.evaluate": False}
    assert compare([make_run("a"), make_run("b", settings=unjudged)]).warnings == []


def test_runs_of_other_modes_are_compared_as_far_as_they_go(make_run):
    first, second = make_run("a", off=3), make_run("b", off=3)
    content = json.loads((second / "metrics.json").read_text())
    content["headline"] = {"eval/dist_avg": None}
    (second / "metrics.json").write_text(json.dumps(content))
    summary.write(second, RunSummary(status="finished"))
    lines = {line.name: line for line in compare([first, second]).metrics}
    assert np.isnan(lines["eval/dist_avg"].values[1])
    assert np.isnan(lines["speed/frames_per_second"].changes[0].difference)


def test_a_metric_that_only_some_runs_have_is_compared_where_it_is(make_run):
    scores = [{}, {}, {"identity/idf1": 0.5}, {"identity/idf1": 0.75}]
    comparison = compare(
        [make_run(str(i), metrics=found, settings={"a.x": i}) for i, found in enumerate(scores)]
    )
    (line,) = [line for line in comparison.metrics if line.name == "identity/idf1"]
    assert np.isnan([change.difference for change in line.changes]).all()
    assert comparison.best == [3]


def test_what_runs_were_made_with_is_told_where_it_differs(make_run, tmp_path):
    folders = [make_run(name) for name in "abc"]
    for folder, content in zip(folders, "xxy", strict=True):
        (folder / "labels.slp").write_text(content)
        write_snapshot(
            folder,
            config={},
            overrides=[],
            command=[],
            inputs={"data.path": folder / "labels.slp"},
            models=[],
            device="cpu",
        )
    packages = json.loads((folders[1] / "snapshot" / "packages.json").read_text())
    packages["packages"]["numpy"] = "1.0"
    (folders[1] / "snapshot" / "packages.json").write_text(json.dumps(packages))
    for folder in folders:
        (folder / "snapshot" / "git.json").write_text(
            "null"
        )  # the checkout that the tests run in may be worked on
    comparison = compare(folders)
    (numpy, versions), (data, hashes) = comparison.made_with
    assert (numpy, versions) == ("numpy", [np.__version__, "1.0", np.__version__])
    assert (data, hashes[0] == hashes[1], hashes[0] == hashes[2]) == (
        "content of data.path",
        True,
        False,
    )
    assert compare(folders[::2]).made_with == [("content of data.path", hashes[::2])]


def test_names_are_those_of_metrics_and_settings():
    assert set(COLUMNS) - {"speed/frames_per_second"} <= {metric.name for metric in METRICS}
    assert set(MEANING) <= set(keys())


@pytest.mark.parametrize(("n", "marked"), [(2, False), (4, True)])
def test_a_part_is_marked_only_where_the_whole_is(make_run, n, marked):
    # Each video by itself is worse beyond doubt, but two do not tell how others would be.
    videos = [f"{i}.mp4" for i in range(n)]
    comparison = compare(
        [make_run(name, off=off, videos=videos) for name, off in (("a", 3), ("b", 4))]
    )
    (whole,) = [line for line in comparison.metrics if line.name == "eval/dist_avg"]
    (part,) = [line for line in comparison.parts["video"]["0.mp4"] if line.name == "eval/dist_avg"]
    assert part.changes[0].low > 0
    assert (whole.changes[0].verdict, part.changes[0].verdict) == (
        ("worse",) * 2 if marked else ("", "")
    )


def test_where_all_are_equal_the_next_metric_says_which_is_best(make_run):
    given = {"identity/idf1": 1.0}
    found = compare([make_run(str(i), off=off, metrics=given) for i, off in enumerate((4, 3, 3))])
    assert found.best_by in ("eval/oks_map", "eval/dist_avg")
    assert found.best == [1, 2]


def test_a_run_without_metrics_can_be_among_them(make_run):
    evaluated = [make_run(f"run {i}", off=i) for i in (1, 2)]
    alone = make_run("alone")
    comparison = compare([*evaluated, alone])
    parts = [line for part in comparison.parts["node"].values() for line in part]
    assert parts
    assert all(np.isnan(line.values[2]) and np.isnan(line.changes[1][0]) for line in parts)


def test_the_metric_that_decides_comes_first_and_signs_of_errors_last(make_run):
    comparison = compare([make_run(f"run {i}", off=i, metrics={"quality/gaps": i}) for i in (1, 2)])
    names = [line.name for line in comparison.metrics]
    assert names[0] == comparison.best_by
    assert names[: len(comparison.columns)] == [line.name for line in comparison.columns]
    signs = [name.startswith("quality/") for name in names]
    assert signs == sorted(signs)


def test_a_run_that_does_not_differ_adds_no_note(make_run):
    equal = compare([make_run("a", off=3), make_run("b", off=4), make_run("c", off=3)])
    assert equal.notes[0].startswith("paired over the same 100 labelled frames; 95% intervals")
    assert len(equal.notes) == 1 + 1  # the other one is on marks


def test_what_holds_of_several_runs_is_noted_once(make_run):
    folders = [make_run(f"run {i}", off=i, frames=100 - 10 * (i % 2)) for i in range(5)]
    said = [note for note in compare(folders).notes if "labelled frames in common" in note]
    assert len(said) == 1
    assert said[0].startswith("run 1, run 3: paired over 90 labelled frames in common")
