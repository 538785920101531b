"""Runs, and their metrics paired by frame."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sleap_lab.compare.paired import Pairs, Part, names_of, read_run
from sleap_lab.errors import ConfigError, RunError


@pytest.fixture
def samples(make_run):
    """Return a function that writes runs, one per dictionary, and pairs them."""

    def samples(*runs):
        return Pairs(
            [read_run(make_run(str(i), **options), str(i)) for i, options in enumerate(runs)]
        )

    return samples


def test_a_run_is_read_from_its_folder(make_run):
    run = read_run(
        make_run(
            "a", off=3, videos=["x.mp4", "y.mp4"], settings={"tracker.features": "keypoints"}, job=7
        ),
        "a",
    )
    assert (run.name, run.settings, run.summary.job) == ("a", {"tracker.features": "keypoints"}, 7)
    assert run.metrics["eval/dist_avg"] == pytest.approx(3, abs=0.1)
    assert run.places == [(video, frame) for video in ("x.mp4", "y.mp4") for frame in range(100)]
    assert run.nodes == list("abcd")
    assert run.parts[Part("video", "y.mp4", "eval/n_missed")] == 0
    assert run.parts[Part("node", "b", "eval/dist_p50")] == pytest.approx(3, abs=0.1)
    assert Part("node", "b", "eval/n_missed") not in run.parts


def test_identity_of_each_video_is_read(make_run):
    folder = make_run("a", off=3)
    content = json.loads((folder / "metrics.json").read_text())
    content["identity"] = {
        "pooled": {},
        "videos": [{"video": 0, "name": "clip.mp4", "idf1": 0.5, "switches": 2.0, "mota": None}],
    }
    (folder / "metrics.json").write_text(json.dumps(content))
    parts = read_run(folder, "a").parts
    assert (
        parts["video", "clip.mp4", "identity/idf1"],
        parts["video", "clip.mp4", "identity/switches"],
    ) == (0.5, 2)


def test_what_is_no_run_or_damaged_is_named(make_run, tmp_path):
    with pytest.raises(ConfigError, match="not a run folder"):
        read_run(tmp_path, "x")
    folder = make_run("a", off=3)
    for content in ("{", "{}", '{"headline": {}, "breakdown": [{}]}'):
        (folder / "metrics.json").write_text(content)
        with pytest.raises(RunError, match=r"metrics\.json: not a metrics file"):
            read_run(folder, "a")


def test_differences_are_paired_by_frame(samples):
    runs = samples({"off": 3}, {"off": 4}, {"off": 3})
    worse, same = runs.changes(0, 1), runs.changes(0, 2)
    change = worse["eval/dist_avg"]
    assert change.difference == pytest.approx(1, abs=0.01)
    # The same noise is in both, so the interval is far narrower than that of either.
    assert change.low < change.difference < change.high < change.low + 0.01
    assert change.chance < 1e-6
    for name in ("eval/dist_avg", "eval/dist_p90", "eval/moks", "eval/oks_map", "coco/ap"):
        assert worse[name].chance < 0.001, name
        assert same[name].difference == 0, name
        assert np.isnan(same[name].low), name  # frames that all agree show no spread
        assert np.isnan(same[name].chance), name
    assert worse["speed/frames_per_second"].difference == 0
    assert np.isnan(worse["speed/frames_per_second"].low)
    assert runs.note(0, 1) == (
        "paired over the same 100 labelled frames; "
        "95% intervals from 100 labelled frames of one video, for this video only"
    )


def test_equal_runs_do_not_differ(samples):
    runs = samples({"off": 3}, {"off": 4}, {"off": 3}, {"off": 3, "videos": ["other.mp4"]})
    assert [runs.differ(0, other) for other in (1, 2, 3)] == [True, False, True]


def test_only_common_frames_are_paired(samples):
    runs = samples({"off": 3}, {"off": 3, "frames": 60})
    assert "paired over 60 labelled frames in common (of 100 and 60)" in runs.note(0, 1)
    assert runs.changes(0, 1)["eval/dist_avg"].difference == 0
    assert runs.changes(1, 0)["eval/dist_avg"].difference == 0


def test_what_common_frames_do_not_tell_has_no_difference(samples):
    """Instead it was the difference of other frames, under the same heading."""
    runs = samples({"off": 3}, {"off": 5, "frames": 60})
    # The first run found animals in the frames only that the second one lacks.
    table = runs.runs[0].table
    blind = np.isin(table.frame, np.arange(60))
    lost = blind[table.pairs.frame]
    columns = {
        name: np.where(blind, column[0] if name == "n_true" else 0, column)
        for name, column in table.columns.items()
    }
    columns["n_missed"] = np.where(blind, 1, columns["n_missed"])
    kept = table._replace(
        columns=columns,
        distances=table.distances[~lost],
        pairs=table.pairs._replace(
            frame=table.pairs.frame[~lost],
            scores=table.pairs.scores[~lost],
            hits=table.pairs.hits[:, ~lost],
        ),
    )
    runs.runs[0] = runs.runs[0]._replace(table=kept)
    found = runs.changes(0, 1)
    assert found["eval/n_missed"].difference == -60
    for name in ("eval/dist_avg", "eval/dist_p50", "eval/pck"):
        assert not np.isnan(runs.runs[0].metrics[name] + runs.runs[1].metrics[name])
        assert np.isnan(found[name].difference), name


def test_identities_of_other_frames_are_said(samples):
    identity = {"metrics": {"identity/idf1": 0.9}}
    runs = samples({"off": 3} | identity, {"off": 4, "frames": 60} | identity, {"off": 3})
    said = "in common (of 100 and 60), but for identity metrics, which are of all frames of each"
    assert said in runs.note(0, 1)
    assert "identity" not in runs.note(1, 2)


def test_other_videos_have_no_frame_in_common(samples):
    runs = samples({"off": 3}, {"off": 4, "videos": ["other.mp4"]})
    unknown = pytest.approx(np.nan, nan_ok=True)
    expected = (pytest.approx(1, abs=0.01), unknown, unknown, "", unknown)
    assert runs.changes(0, 1)["eval/dist_avg"] == expected
    assert "no labelled frame in common" in runs.note(0, 1)


def test_few_frames_give_no_interval(samples):
    runs = samples({"off": 3, "frames": 4}, {"off": 4, "frames": 4})
    assert np.isnan(runs.changes(0, 1)["eval/dist_avg"].low)
    assert (
        runs.note(0, 1) == "paired over the same 4 labelled frames; "
        "no intervals from fewer than 20 labelled frames"
    )


@pytest.mark.parametrize(("n", "has"), [(3, False), (4, True)])
def test_several_videos_are_the_units(samples, n, has):
    videos = [f"{i}.mp4" for i in range(n)]
    runs = samples({"off": 3, "videos": videos}, {"off": 4, "videos": videos})
    assert np.isnan(runs.changes(0, 1)["eval/dist_avg"].low) == (not has)
    expected = (
        "95% intervals from how much 4 videos differ"
        if has
        else "no intervals: 3 videos do not tell how much videos differ, 4 or more do"
    )
    assert runs.note(0, 1).endswith(f"; {expected}")
    # A single video is judged by its frames.
    assert not np.isnan(runs.changes(0, 1, ("video", "0.mp4"))["eval/dist_avg"].low)


def test_identity_has_intervals_over_videos(make_run):
    videos = [f"{i}.mp4" for i in range(4)]
    runs = []
    for name, switches in {"a": [1, 2, 3, 4], "b": [0, 0, 1, 1]}.items():
        folder = make_run(
            name, off=3, videos=videos, metrics={"identity/switches": float(sum(switches))}
        )
        content = json.loads((folder / "metrics.json").read_text())
        rows = [
            {"name": video, "without": {"switches": float(sum(switches) - count)}}
            for video, count in zip(videos, switches, strict=True)
        ]
        content["identity"] = {"pooled": {}, "videos": rows}
        (folder / "metrics.json").write_text(json.dumps(content))
        runs.append(read_run(folder, name))
    change = Pairs(runs).changes(0, 1)["identity/switches"]
    fewer = np.array([-1, -2, -2, -3])
    error = 4 * fewer.std(ddof=1) / 2  # four times that of the mean of four
    assert change.difference == -8
    assert (change.high - change.low) / 2 == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert change.chance == pytest.approx(stats.ttest_1samp(fewer, 0).pvalue, abs=1e-9)


def test_a_run_without_evaluation_has_nothing_to_pair(samples):
    runs = samples({"off": 3}, {})
    assert runs.pair(0, 1) is None
    assert runs.note(0, 1) == ""
    assert np.isnan(runs.changes(0, 1)["eval/dist_avg"].difference)
    assert runs.changes(0, 1)["speed/frames_per_second"].difference == 0


def test_videos_and_nodes_are_paired(samples):
    videos = ["w.mp4", "x.mp4", "y.mp4", "z.mp4"]
    runs = samples(
        {"off": 3, "videos": videos}, {"off": [3, 3, 3, 5], "videos": [*videos[1:], videos[0]]}
    )
    for part, expected in {
        ("node", "a"): 0,
        ("node", "d"): 2,
        ("video", "x.mp4"): 2 / 4,
        ("video", "y.mp4"): 2 / 4,
    }.items():
        change = runs.changes(0, 1, part)["eval/dist_avg"]
        # The noise of the second run is that of another video, so nothing cancels out.
        assert change.difference == pytest.approx(expected, abs=0.1), part
        assert change.low < change.difference < change.high, part
    assert runs.changes(0, 1, ("node", "d"))["eval/dist_p90"].chance < 0.001
    assert runs.pair(0, 1, ("node", "tail")) is None
    assert runs.pair(0, 1, ("video", "v.mp4")) is None


def test_a_video_that_only_one_run_has_is_not_paired(samples):
    runs = samples({"off": 3, "videos": ["x.mp4", "y.mp4"]}, {"off": 4, "videos": ["x.mp4"]})
    assert runs.pair(0, 1, ("video", "y.mp4")) is None
    assert np.isnan(runs.changes(0, 1, ("video", "y.mp4"))["eval/dist_avg"].difference)
    assert runs.changes(0, 1)["eval/dist_avg"].difference == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["outputs/multirun/2026/10-00/0", "outputs/multirun/2026/10-00/10"], ["job 0", "job 10"]),
        (["o/2026-11-22/10-00", "o/2026-11-21/10-00"], ["2026-11-22/10-00", "2026-11-21/10-00"]),
        (["o/10-00", "o/10-00/1"], ["10-00", "10-00/1"]),  # one lies in the other
        (["o/10-00"], ["10-00"]),
        (
            ["o/2026/10-00", "/tmp/x/0123456789abcdef0123456789abcdef"],
            ["10-00", "01234567"],
        ),  # from MLflow
    ],
)
def test_runs_are_called_by_what_their_paths_do_not_share(folders, names):
    assert names_of([Path(folder) for folder in folders]) == names
