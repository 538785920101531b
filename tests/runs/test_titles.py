"""Names of runs in MLflow."""

import pytest

from sleap_lab.runs.titles import apart, last_parts, run_title, short_name

FOLDERS = "/a/very/long/way/to"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], ""),
        (["logger.run_name=x"], ""),
        (["experiment=demo"], "demo (experiment)"),
        (["debug=true", "data.frames=0-9"], "0-9 (frames)"),
        # Where paths come first on the command line, settings do in the name.
        ([f"data.path={FOLDERS}/v.mp4", "tracker=flow"], "flow, v.mp4 (tracker, path)"),
        (["experiment=demo", "data.frames=0-9"], "0-9, demo (frames, experiment)"),
        ([f"model.paths=[{FOLDERS}/a,{FOLDERS}/b]"], "a+b (paths)"),
        (["model.paths=[models/]"], "models/ (paths)"),
        (["a.size=1", "b.size=2"], "1, 2 (a.size, b.size)"),
        (
            ["data.path=v.mp4", "evaluator=oks", "tracker=global", "model.paths=[m/a]"],
            "global, a, v.mp4, oks (tracker, paths, path, evaluator)",
        ),
    ],
)
def test_what_tells_a_run_apart_comes_first(overrides, expected):
    assert run_title(overrides) == expected


def test_paths_are_short_but_different():
    assert apart(["/d/1/v.mp4", "/d/2/v.mp4", None]) == ["1/v.mp4", "2/v.mp4", None]
    assert apart(["C:\\d\\a.mp4", "C:\\d\\b.mp4"]) == ["a.mp4", "b.mp4"]
    assert last_parts("0.5") == "0.5"


def test_short_names_stay_different():
    assert short_name("eval/oks_map", ["eval/oks_map", "seconds"]) == "oks_map"
    assert short_name("a.size", ["a.size", "b.size"]) == "a.size"
