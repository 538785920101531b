import json
import logging
import re
import shutil
import signal
import time
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import matplotlib
import pytest
import sleap_io as sio

from sleap_lab import experiment, run_experiment
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.experiment import run
from sleap_lab.media.formats.write import PER_VIDEO, Format
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.runs import mlflow_log
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.context import RunContext
from sleap_lab.runs.folder import Invocation
from sleap_lab.runs.occupancy import clear_leftovers
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import Config
from sleap_lab.settings.frames import Piece

TRIANGLE = [[10, 10], [20, 10], [10, 20]]
SHIFTED = [[11, 10], [21, 10], [11, 20]]


@pytest.fixture
def labels(tmp_path, monkeypatch, video_path, make_labels):
    """Predictions of one animal on frames 0 and 1, frame 2 empty, in a fresh working directory."""
    monkeypatch.chdir(tmp_path)
    made = make_labels([video_path], predicted=[(0, 0, TRIANGLE), (0, 1, SHIFTED)], empty=[(0, 2)])
    made.save(str(tmp_path / "labels.slp"), verbose=False)
    return tmp_path / "labels.slp"


@pytest.fixture
def track(labels):
    """Return a function that tracks the labels with further overrides, in the folder `run`."""

    def track(*overrides, prepare=lambda: None):
        words = [
            "data.path=labels.slp",
            "model=none",
            "tracker=fixed_window",
            "logger=none",
            "report=none",
            *overrides,
        ]
        config, _ = compose_config(words)
        prepare()
        return run(
            config,
            Path("run"),
            Invocation(["sleap-lab", *words], words, {"tracker": "fixed_window"}),
        )

    return track


def raising(error):
    def call(*_, **__):
        raise error

    return call


# --- what a run leaves ------------------------------------------------------------------


def test_a_finished_run_is_recorded(track):
    result = track()
    record = json.loads(Path("run/run.json").read_text())
    assert (record["status"], record["exit_code"], record["error"]) == ("finished", 0, None)
    assert record["counts"] == {
        "requested_frames": 3,
        "frames": 3,
        "frames_without_instances": 1,
        "instances": 2,
        "tracks": 1,
        "fragments": 1,
        "bad_frames": 0,
    }
    assert {"open", "snapshot", "track", "write"} <= set(record["stages"])
    assert datetime.fromisoformat(record["started"]) <= datetime.fromisoformat(record["ended"])
    assert record["choices"] == {"tracker": "fixed_window"}
    assert result.summary == run_summary.read(Path("run"))
    assert result.poses.track_names == ("track_0",)
    assert sorted(path.name for path in Path("run").iterdir()) == [
        "predictions.slp",
        "run.json",
        "run.log",
        "snapshot",
    ]


@pytest.mark.parametrize("cache", ["off", "rw"])
def test_the_stages_add_up_to_the_time_that_passed(tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    summary = run_experiment(
        ["experiment=demo", "data.frames=0-29", "logger=none", f"cache={cache}"]
    ).summary
    passed = (
        datetime.fromisoformat(summary.ended) - datetime.fromisoformat(summary.started)
    ).total_seconds()
    assert sum(summary.stages.values()) == pytest.approx(passed, rel=0.05)
    predicting = ["read", "preprocess", "network", "peaks"]
    others = {
        "open",
        "load",
        "snapshot",
        "filter",
        "track",
        "write",
        "quality",
        "evaluate",
        "report",
        *(("cache",) if cache == "rw" else ()),
    }
    assert summary.stages.keys() == others | set(predicting)
    speed = summary.metrics["speed/frames_per_second"]
    assert speed == pytest.approx(30 / sum(summary.stages[name] for name in predicting), rel=0.01)


def test_every_processed_frame_is_in_the_predictions_unless_empty_ones_are_not_wanted(track):
    track()
    assert [frame.frame_idx for frame in sio.load_slp("run/predictions.slp")] == [0, 1, 2]
    track("output.no_empty_frames=true")
    assert [frame.frame_idx for frame in sio.load_slp("run/predictions.slp")] == [0, 1]


def test_predictions_go_where_they_are_wanted_in_every_format(track):
    track("output.path=out/mine.slp", "output.formats=[slp,csv,analysis_h5]")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "mine.analysis.h5",
        "mine.csv",
        "mine.slp",
    ]
    assert not Path("run/predictions.slp").exists()


def test_metrics_are_recorded_and_written(track, labels, video_path, make_labels):
    make_labels([video_path], user=[(0, 0, TRIANGLE), (0, 1, TRIANGLE)]).save(
        "truth.slp", verbose=False
    )
    result = track(
        "evaluator=oks",
        "evaluator.ground_truth_path=truth.slp",
        "evaluator.save_metrics=more/metrics.npz",
    )
    assert result.summary.metrics["eval/dist_avg"] == pytest.approx((3 * 0 + 3 * 1) / 6)
    for name in ("run/metrics.npz", "run/metrics.json", "more/metrics.npz", "more/metrics.json"):
        assert Path(name).is_file()


def test_what_was_found_is_told(track, capsys):
    track()
    out = capsys.readouterr().out.splitlines()
    heads = ("frames", "instances", "predictions", "run folder")
    assert [line.split() for line in out if line.startswith(heads)] == [
        ["frames", "3"], ["frames", "without", "instances", "1"], ["instances", "2"],
        ["predictions", "run/predictions.slp"], ["run", "folder", "run"],
    ]  # fmt: skip


def test_an_empty_result_is_told_loudly(track, capsys):
    assert track("filters.filter_min_visible_nodes=4").summary.exit_code == 0
    assert (
        "warning: No instances in any of the 3 frames: every instance was filtered out"
        in capsys.readouterr().err
    )
    assert "No instances in any of the 3 frames" in Path("run/run.log").read_text()


# --- how runs end -----------------------------------------------------------------------


def test_a_file_that_goes_missing_fails_the_run(track, labels, capsys):
    result = track(prepare=labels.unlink)
    assert (result.summary.status, result.summary.exit_code) == ("failed", 1)
    assert str(labels) in result.summary.error
    assert capsys.readouterr().err == f"error: {result.summary.error}\n"
    log = Path("run/run.log").read_text()
    assert result.summary.error in log
    assert "Traceback" in log


def test_settings_that_turn_out_not_to_fit_are_a_mistake_of_the_config(track):
    result = track("data.video_index=7")
    assert (result.summary.status, result.summary.exit_code) == ("failed", 2)
    assert result.summary.error.startswith("data.video_index: ")


def test_an_error_nobody_foresaw_is_one_line_that_names_it(track, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "open_inputs", raising(ZeroDivisionError("what\na mess")))
    result = track()
    assert (result.summary.status, result.summary.exit_code) == ("failed", 1)
    assert result.summary.error == "ZeroDivisionError: what a mess"
    assert capsys.readouterr().err == "error: ZeroDivisionError: what a mess\n"


def test_debug_prints_the_traceback(track, monkeypatch, capsys):
    monkeypatch.setattr(experiment, "open_inputs", raising(ZeroDivisionError()))
    track("debug=true")
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_is_recorded_and_passed_on(track, monkeypatch):
    monkeypatch.setattr(experiment, "open_inputs", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        track()
    record = run_summary.read(Path("run"))
    assert (record.status, record.exit_code, record.error) == (
        "interrupted",
        130,
        "interrupted by the user",
    )
    assert record.ended is not None


class Callback:
    """An object whose destruction comes with Ctrl-C; Python prints its exception and goes on."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("after", [lambda: time.sleep(30), lambda: 1 / 0])
def test_an_interruption_that_is_swallowed_is_recorded_nevertheless(
    track, monkeypatch, capfd, after
):
    def interrupted(*_, **__):
        Callback()
        return after()

    monkeypatch.setattr(experiment, "open_inputs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        track()
    assert run_summary.read(Path("run")).status == "interrupted"
    assert "Exception ignored" not in capfd.readouterr().err


def test_a_piece_takes_the_number_format_that_the_first_frames_of_the_whole_choose(
    tmp_path, monkeypatch, video_path, make_model
):
    monkeypatch.chdir(tmp_path)
    seen = []

    def choose(config, source):
        seen.append(len(source.frames))
        return replace(config, runtime=replace(config.runtime, precision="bf16")), ["chosen"]

    monkeypatch.setattr(experiment, "settled", choose)
    model = make_model("single_instance", {"confmaps": [[1, 0], [1, 0]]})
    words = [f"data.path={video_path}", f"model.paths=[{model}]", "data.frames=0-2"]
    config, _ = compose_config([*words, "runtime.precision=auto", "logger=none", "report=none"])
    result = run(config, Path("run"), Invocation(piece=Piece(1, 3)))
    facts = json.loads(Path("run/piece.json").read_text())
    assert seen == [3]
    assert (result.summary.counts["frames"], facts["precision"]) == (2, "bf16")
    assert facts["remarks"] == ["chosen"]


def test_unreadable_frames_make_a_run_partial(
    tmp_path, monkeypatch, video_path, make_model, capsys
):
    monkeypatch.chdir(tmp_path)
    model = make_model("single_instance", {"confmaps": [[1, 0], [1, 0]]})
    read = experiment.Source.pixels

    def read_but_frame_1(self, video, frame):
        if frame == 1:
            raise RunError("frame 1 is torn")
        return read(self, video, frame)

    monkeypatch.setattr(experiment.Source, "pixels", read_but_frame_1)
    config, _ = compose_config(
        [
            f"data.path={video_path}",
            f"model.paths=[{model}]",
            "data.frames=0-2",
            "logger=none",
            "report=none",
        ]
    )
    result = run(config, Path("run"), Invocation())
    assert (
        result.summary.status,
        result.summary.exit_code,
        result.summary.counts["bad_frames"],
    ) == ("partial", 3, 1)
    assert (
        "warning: 1 frame could not be read: 1. The first: frame 1 is torn"
        in capsys.readouterr().err
    )
    assert (result.summary.counts["requested_frames"], result.summary.counts["frames"]) == (3, 3)
    expected = {"video": str(video_path), "frames": "1", "count": 1, "problem": "frame 1 is torn"}
    assert json.loads(Path("run/run.json").read_text())["bad_frames"] == [expected]
    assert Path("run/bad_frames.csv").read_text().splitlines()[1:] == [
        f"{video_path},1,frame 1 is torn"
    ]
    assert [frame.frame_idx for frame in sio.load_slp("run/predictions.slp")] == [0, 1, 2]


def test_a_store_that_is_away_costs_the_mirror_and_not_the_run(track, monkeypatch, capsys):
    monkeypatch.setattr(mlflow_log, "log_run", raising(RunError("no server")))
    assert track("logger=mlflow").summary.exit_code == 0
    assert capsys.readouterr().err == "warning: no server\n"


def test_a_run_is_logged_once_it_is_over_and_never_when_the_config_was_wrong(track, monkeypatch):
    logged = []
    monkeypatch.setattr(
        mlflow_log,
        "log_run",
        lambda folder, logger, outputs_root: logged.append(run_summary.read(folder).status),
    )
    track("logger=mlflow")
    track("logger=mlflow", "data.video_index=7")
    assert logged == ["finished"]


@pytest.mark.parametrize(
    ("option", "keys"), [("fixed_window", ["data.path"]), ("flow", ["data.path", "data.path[0]"])]
)
def test_videos_are_inputs_of_tracking_where_it_looks_at_them(track, video_path, option, keys):
    track(f"tracker={option}")
    inputs = json.loads(Path("run/snapshot/hashes.json").read_text())["inputs"]
    assert list(inputs) == keys
    assert [facts["path"] for facts in inputs.values()][1:] == [str(video_path)] * (len(keys) - 1)


# --- the log file -----------------------------------------------------------------------


def test_messages_and_warnings_of_libraries_go_to_the_log_file(track, monkeypatch, capsys):
    def warn(*_, **__):
        warnings.warn("a library mumbles", stacklevel=1)
        logging.getLogger("sleap_lab.tracking").info("tracks are fine")
        raise RunError("enough")

    monkeypatch.setattr(experiment, "open_inputs", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        track()
    log = Path("run/run.log").read_text()
    assert "a library mumbles" in log
    assert "INFO tracks are fine" in log
    assert capsys.readouterr().err == "error: enough\n"


def test_verbose_shows_messages_too(track, capsys):
    track("verbose=true")
    assert "INFO track: " in capsys.readouterr().err


def test_loggers_are_left_as_they_were(track):
    loggers = [logging.getLogger("sleap_lab"), logging.getLogger("py.warnings")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    track()
    assert [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers] == before


# --- from Python ------------------------------------------------------------------------

WORDS = ("data.path=labels.slp", "model=none", "tracker=fixed_window", "logger=none", "report=none")


def test_run_experiment_makes_a_run_folder(labels):
    result = run_experiment(WORDS)
    assert result.folder.parts[0] == "outputs"
    assert (
        result.folder / "snapshot" / "command.txt"
    ).read_text() == f"sleap-lab {' '.join(WORDS)}\n"
    assert result.summary.choices["tracker"] == "fixed_window"
    assert result.summary.overrides == list(WORDS)
    assert len(result.poses) == 2


def test_run_experiment_raises_what_goes_wrong(labels, monkeypatch):
    with pytest.raises(ConfigError, match=r"tracker\.windw"):
        run_experiment([*WORDS, "tracker.windw=3"])
    assert not Path("outputs").exists()
    with pytest.raises(ConfigError, match=r"data\.video_index"):
        run_experiment([*WORDS, "data.video_index=7"], folder="wrong")
    labels.write_text("no longer a labels file")
    with pytest.raises(
        RunError, match=r"not a readable SLEAP labels file .*\(see broken/run\.log\)"
    ):
        run_experiment(WORDS, folder="broken")


# --- which video is which ---------------------------------------------------------------


def test_videos_that_cannot_be_told_apart_are_refused_until_a_map_says_which_is_which(
    track, make_labels, capsys
):
    make_labels(["a/x.mp4", "b/x.mp4"], user=[(0, 0, TRIANGLE), (1, 0, SHIFTED)]).save(
        "truth.slp", verbose=False
    )
    scored = ["data.path=found.slp", "evaluator=oks", "evaluator.ground_truth_path=truth.slp"]
    make_labels(["c/x.mp4"], predicted=[(0, 0, [[12, 10], [22, 10], [12, 20]])]).save(
        "found.slp", verbose=False
    )
    result = track(*scored)
    assert (result.summary.status, result.summary.exit_code) == ("failed", 2)
    assert result.summary.error.startswith(
        "evaluator.video_map: video 0 c/x.mp4 of the predictions could be any of these"
    )
    shifted = track(*scored, "evaluator.video_map={0:b/x.mp4}")
    assert shifted.summary.metrics["eval/dist_avg"] == pytest.approx(1)
    assert "videos: c/x.mp4 = b/x.mp4 (evaluator.video_map)" in Path("run/run.log").read_text()
    assert "not in the predictions and was left out: a/x.mp4" in capsys.readouterr().err
    rows = json.loads(Path("run/metrics.json").read_text())["videos"]
    assert [(row["predicted"], row["truth"], row["reason"]) for row in rows] == [
        (0, 1, "evaluator.video_map"), (None, 0, "no such video in the predictions"),
    ]  # fmt: skip


# --- figures and overlays ---------------------------------------------------------------


def test_figures_and_the_clip_of_the_worst_moments_are_written_where_asked(
    track, video_path, make_labels, capsys
):
    make_labels([video_path], user=[(0, 0, TRIANGLE), (0, 1, TRIANGLE)]).save(
        "truth.slp", verbose=False
    )
    scored = ["evaluator=oks", "evaluator.ground_truth_path=truth.slp"]
    track(*scored, "output.overlay_video=true", "report=html", "report_figures=svg")
    assert re.search(r"^overlay +run/overlay.mp4$", capsys.readouterr().out, re.MULTILINE)
    assert sio.load_video("run/overlay.mp4").shape[0] == 3
    assert Path("run/figures/error_over_the_frames.svg").is_file()
    track(*scored, "output.overlay_video=full")
    assert sio.load_video("run/overlay.mp4").shape[0] == 3


def test_every_video_has_an_overlay_that_the_report_names_and_another_run_replaces(
    track, video_path, make_labels, capsys
):
    other = shutil.copy(video_path, "other.mp4")
    make_labels([video_path, other], predicted=[(0, 0, TRIANGLE), (1, 1, SHIFTED)]).save(
        "labels.slp", verbose=False
    )
    result = track("output.overlay_video=full", "report=html")
    written = ["overlay.0.mp4", "overlay.1.mp4"]
    assert re.search(
        r"^overlay +run/overlay.0.mp4, run/overlay.1.mp4$", capsys.readouterr().out, re.MULTILINE
    )
    report = (result.folder / "report.html").read_text()
    assert sorted(set(re.findall(r"overlay[.0-9]*mp4", report))) == written
    assert sorted(path.name for path in Path("run").glob("overlay*")) == written
    clear_leftovers(Path("run"))
    assert not list(Path("run").glob("overlay*"))


# --- identity switches ------------------------------------------------------------------


def with_tracks(labels, tracks, path):
    """Save labels of one instance per frame, tracks given by frame."""
    made = {name: sio.Track(name) for name in tracks}
    for frame, name in zip(labels.labeled_frames, tracks, strict=True):
        frame.instances[0].track = made[name]
    labels.tracks = list(made.values())
    labels.save(str(path), verbose=False)


IDENTITY = [
    "data.path=found.slp",
    "model=none",
    "evaluator=identity",
    "evaluator.ground_truth_path=truth.slp",
    "logger=none",
    "report=none",
]


@pytest.fixture
def identity_run(tmp_path, monkeypatch, video_path, make_labels):
    """Return a function that evaluates one animal A whose track has a name per frame."""
    monkeypatch.chdir(tmp_path)

    def evaluated(tracks):
        instances = [(0, index, TRIANGLE) for index in range(4)]
        with_tracks(make_labels([video_path], user=instances), "AAAA", "truth.slp")
        with_tracks(make_labels([video_path], predicted=instances), tracks, "found.slp")
        invocation = Invocation(["sleap-lab", *IDENTITY], IDENTITY)
        return run(compose_config(IDENTITY)[0], Path("run"), invocation)

    return evaluated


def test_identity_switches_are_left_as_a_table_and_as_suggestions(identity_run):
    result = identity_run("1122")
    assert result.evaluation.identity["switches"] == 1
    table = Path("run/switches.csv").read_text().splitlines()
    assert len(table) == 2
    assert table[1].startswith("0,")
    assert table[1].endswith(",2,A,1,2,,")
    labels = sio.load_slp("run/switches.slp")
    assert [suggestion.frame_idx for suggestion in labels.suggestions] == [2]
    assert [len(frame.instances) for frame in labels.labeled_frames] == [1, 1, 1, 1]


def test_without_switches_there_is_a_table_but_nothing_to_look_at(identity_run):
    identity_run("1111")
    assert len(Path("run/switches.csv").read_text().splitlines()) == 1
    assert not Path("run/switches.slp").exists()


@pytest.mark.parametrize(("job", "label"), [(None, "predicting"), (3, "job 3: predicting")])
def test_progress_of_a_run_that_goes_on_is_that_of_all_frames(capsys, job, label):
    own = RunContext(Config(), Path("run"), Invocation(job=job), RunSummary())
    assert list(experiment._show_progress("ab", 2, run=own, requested=5)) == ["a", "b"]
    assert re.fullmatch(
        rf"{label}: 5/5 frames in \d+\.\d s, 3 of them before\n", capsys.readouterr().err
    )


def test_an_export_that_fails_takes_neither_the_others_nor_the_run_with_it(track, monkeypatch):
    def fail(poses, video, times, path):
        raise IndexError("too many")

    monkeypatch.setitem(PER_VIDEO, "nwb", Format(".nwb", fail))
    result = track("output.formats=[nwb,csv,slp]")
    assert (result.summary.status, result.summary.exit_code) == ("partial", 3)
    assert [
        note
        for note in result.summary.notes
        if note.endswith("predictions.nwb: these poses cannot be written as nwb (too many)")
    ]
    assert {path.name for path in Path("run").iterdir()} > {"predictions.slp", "predictions.csv"}
    assert result.poses is not None


def test_what_is_said_of_a_project_is_said_once(track):
    labels = sio.load_slp("labels.slp")
    labels.skeletons.insert(0, sio.Skeleton(["other"]))
    labels.save("labels.slp", verbose=False)
    assert Path("run/run.log").exists() is False
    track()
    said = Path("run/run.log").read_text()
    assert (
        said.count("labels.slp: no instance uses the skeleton with nodes other: it was left out.")
        == 1
    )


def test_a_ground_truth_with_other_nodes_is_compared_on_common_ones_if_asked_for(track, video_path):
    labels = sio.load_slp("labels.slp")
    labels.skeleton.rename_nodes({labels.skeleton.node_names[-1]: "other"})
    labels.save("truth.slp", verbose=False)
    scored = (
        "evaluator=oks",
        "evaluator.user_labels_only=false",
        "evaluator.ground_truth_path=truth.slp",
    )
    assert "evaluator.nodes=common" in track(*scored).summary.error
    assert track(*scored, "evaluator.nodes=common", "report=html").summary.metrics[
        "coco/ap"
    ] == pytest.approx(1)


def test_signs_of_errors_are_looked_for_without_ground_truth(labels, track, capsys):
    result = track("evaluator=quality")
    shown = capsys.readouterr().out
    assert ("run/quality.csv" in shown, "run/suspects.csv" in shown) == (True, True)
    assert (result.summary.status, result.evaluation) == ("finished", None)
    assert result.summary.metrics["quality/expected_animals"] == 1
    assert {"quality.csv", "suspects.csv"} <= {path.name for path in Path("run").iterdir()}
    rows = Path("run/quality.csv").read_text().splitlines()
    assert rows[1].split(",")[1:4] == ["track_0", "", "2"]
    assert not any(name.startswith("quality/") for name in track().summary.metrics)


# --- the result in Python ---------------------------------------------------------------


def test_a_result_tells_itself_and_names_the_nearest_attribute(tmp_path):
    poses = make_poses(
        Skeleton(("a", "b"), (), name="two"),
        [[[1.0, 2.0], [3.0, 4.0]]],
        frame=[5],
        tracks=[0],
        track_names=["x"],
    )
    run = run_summary.RunSummary(
        status="finished", counts={"frames": 1}, metrics={"eval/oks_map": 0.5}
    )
    result = experiment.Result(tmp_path, run, poses)
    assert repr(result) == f"Result(finished, 1 frame, {tmp_path})"
    assert "<td>eval/oks_map</td><td>0.5</td>" in result._repr_html_()
    assert result.metrics == {"eval/oks_map": 0.5}
    assert result.report is None
    table = result.to_dataframe()
    assert table.loc[0, ["frame", "track", "a.x", "a.y", "b.x", "b.y"]].tolist() == [
        5,
        "x",
        1,
        2,
        3,
        4,
    ]
    with pytest.raises(AttributeError, match=r"no attribute 'metrisc'\. Did you mean 'metrics'"):
        _ = result.metrisc


@pytest.fixture
def plots():
    """Draw into memory."""
    matplotlib.use("Agg")
    yield
    matplotlib.pyplot.close("all")


def test_a_result_draws_a_frame_on_its_image(track, plots):
    result = track()
    drawn = first, second, empty = [result.plot(frame) for frame in (None, 1, 2)]
    assert [axes.get_title() for axes in drawn] == ["frame 0", "frame 1", "frame 2"]
    assert [len(axes.images) for axes in drawn] == [1, 1, 1]
    assert second.lines[0].get_xydata().tolist() == SHIFTED
    assert len(empty.lines) == 0
    assert first.lines[0].get_color() == second.lines[0].get_color()  # the same track
    assert first.get_legend().get_texts()[0].get_text() == "track_0"
    with pytest.raises(RunError, match=r"frame 3 of video 0 was not processed; frames: 0 to 2"):
        result.plot(3)
    with pytest.raises(RunError, match=r"of video 1 was not processed; frames: none"):
        result.plot(video=1)


def test_poses_are_drawn_alone_where_their_image_is_gone(track, plots, labels, capsys):
    result = track()
    labels.unlink()
    axes = result.plot()
    assert (len(axes.images), axes.lines[0].get_xydata().tolist()) == (0, TRIANGLE)
    assert axes.yaxis_inverted()
    assert "drawn without their image" in capsys.readouterr().err


def test_a_result_without_poses_cannot_be_drawn(tmp_path):
    result = experiment.Result(tmp_path, run_summary.RunSummary())
    for show in (result.plot, result.to_dataframe):
        with pytest.raises(RunError, match="there are no poses"):
            show()


def test_names_of_the_package_are_public_and_a_wrong_one_gets_the_nearest():
    import sleap_lab

    names = ["Evaluator", "load_metrics", "run_experiment", "run_inference", "stream"]
    assert dir(sleap_lab) == names
    with pytest.raises(AttributeError, match="Did you mean 'run_inference'"):
        _ = sleap_lab.run_inferences
    with pytest.raises(ConfigError, match="accepted: a list of KEY=VALUE texts"):
        sleap_lab.run_experiment("data.path=a.mp4")
