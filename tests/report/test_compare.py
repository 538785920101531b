"""What differs between runs, on run folders made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from sleap_lab.config import EvaluatorConfig
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation import evaluate, write_metrics
from sleap_lab.evaluation.videos import VideoMatch
from sleap_lab.poses import Skeleton, make_poses
from sleap_lab.report.compare import as_text, compare, write_page
from sleap_lab.runs import summary
from sleap_lab.runs.summary import RunSummary

N_FRAMES = 100
SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)
TRUTH = make_poses(Skeleton(tuple("abcd")), [SQUARE] * N_FRAMES, frame=range(N_FRAMES), user=True)


@pytest.fixture
def make_run(tmp_path):
    """Return a function that writes a run folder: predictions that many px off, on these frames."""

    def make(name, off=None, frames=N_FRAMES, video="clip.mp4", **settings):
        folder = tmp_path / name
        (folder / "snapshot").mkdir(parents=True)
        (folder / "snapshot" / "config.yaml").write_text(yaml.safe_dump({"tracker": settings, "verbose": False}))
        metrics = {"speed/frames_per_second": 10.0}
        if off is not None:
            noise = np.random.default_rng(0).normal(0, 0.2, TRUTH.points.shape)
            poses = replace(TRUTH, points=TRUTH.points + noise + [off, 0], user=np.zeros(N_FRAMES, dtype=bool))
            poses = replace(poses, instance_scores=np.ones(N_FRAMES))[:frames]
            matches = [VideoMatch(0, video, 0, video, "same file")]
            result = evaluate(
                TRUTH, replace(poses, frames=TRUTH.frames[:frames]), EvaluatorConfig(),
                videos={0: 0}, video_names=[video], video_matches=matches, requested=TRUTH.frames[:frames],
            )  # fmt: skip
            write_metrics(result, folder / "metrics.npz")
            metrics |= result.headline()
        summary.write(folder, RunSummary(metrics=metrics))
        return folder

    return make


def line(comparison, name):
    return next(line for line in comparison.metrics if line.name == name)


def test_only_settings_that_differ_are_shown(make_run):
    comparison = compare([make_run("a", window=5, features="keypoints"), make_run("b", window=10, features="keypoints")])
    assert comparison.settings == [("tracker.window", ["5", "10"])]
    assert [line.name for line in comparison.metrics] == ["speed/frames_per_second"]


def test_differences_are_paired_by_frame(make_run):
    comparison = compare([make_run("a", off=3), make_run("b", off=4), make_run("c", off=3)])
    worse, same = line(comparison, "eval/dist_avg").changes
    assert worse.difference == pytest.approx(1, abs=0.01)
    # The same noise is in both, so the interval is far narrower than that of either.
    assert worse.low < worse.difference < worse.high
    assert worse.high - worse.low < 0.01
    assert (worse.verdict, same.verdict) == ("worse", "")
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert line(comparison, "eval/moks").changes[0].verdict == "worse"
    assert line(comparison, "coco/ap").changes[0].verdict == "worse"
    assert line(comparison, "coco/ap").changes[1].low == 0
    assert np.isnan(line(comparison, "eval/dist_p90").changes[0].low)  # neither a sum over frames nor formed from detections
    assert "paired over 100 labelled frames in common" in comparison.notes[0]


def test_only_common_frames_are_paired(make_run):
    comparison = compare([make_run("a", off=3), make_run("b", off=3, frames=60)])
    assert "paired over 60 labelled frames" in comparison.notes[0]
    assert line(comparison, "eval/dist_avg").changes[0].difference == 0


def test_other_videos_have_no_frame_in_common(make_run):
    comparison = compare([make_run("a", off=3), make_run("b", off=4, video="other.mp4")])
    change = line(comparison, "eval/dist_avg").changes[0]
    assert (change.difference, change.verdict) == (pytest.approx(1, abs=0.01), "")
    assert "no labelled frame in common" in comparison.notes[0]


def test_videos_and_nodes_are_compared(make_run):
    comparison = compare([make_run("a", off=3), make_run("b", off=4)])
    names = {line.name for line in comparison.parts}
    assert {"clip.mp4 dist_avg", "a dist_avg", "d pck"} <= names
    (change,) = next(line for line in comparison.parts if line.name == "b dist_avg").changes
    assert change.difference == pytest.approx(1, abs=0.05)


def test_text_and_page_show_the_same(make_run, tmp_path):
    comparison = compare([make_run("a", off=3, window="<5>"), make_run("b", off=4, window=10)])
    text = as_text(comparison)
    assert "tracker.window" in text
    shown = next(row for row in text.splitlines() if row.startswith("eval/dist_avg"))
    assert shown.endswith("worse")
    write_page(comparison, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert shown.split("  ")[-1].strip() in page
    assert "&lt;5&gt;" in page
    assert "<5>" not in page
    assert "http" not in page


def test_what_is_no_run_is_refused(make_run, tmp_path):
    with pytest.raises(ConfigError, match="two run folders or more, got 1"):
        compare([make_run("a")])
    with pytest.raises(ConfigError, match="not a run folder"):
        compare([tmp_path / "a", tmp_path])
    (tmp_path / "a" / "metrics.json").write_text("{")
    with pytest.raises(RunError, match=r"metrics\.json: not a metrics file"):
        compare([tmp_path / "a", tmp_path / "a"])


def test_runs_of_other_modes_are_compared_as_far_as_they_go(make_run, tmp_path):
    first, second = make_run("a", off=3), make_run("b", off=3)
    content = json.loads((second / "metrics.json").read_text())
    content["headline"] = {"eval/dist_avg": None}
    (second / "metrics.json").write_text(json.dumps(content))
    summary.write(second, RunSummary(metrics={}))
    (shown,) = compare([first, second]).metrics
    assert (shown.name, np.isnan(shown.values[1])) == ("eval/dist_avg", True)
