"""The whole of a search in this process, on the crossings."""

import json
import re
import shlex
import sys

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media.labels import read_labels, save_labels
from sleap_lab.settings.compose import compose_config
from sleap_lab.tune.run import tune

POOR = "tracker.undecided=reference"  # a setting from which there is a better one


def folder_of(tmp_path):
    (folder,) = (tmp_path / "outputs" / "tune").iterdir()
    return folder


@pytest.fixture(scope="module")
def tuned(write_files, tmp_path_factory):
    """A search that finds a better setting, the folder that it leaves, and what it says."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = tune([*write_files(folder), POOR, "tune.trials=14"])
    return outcome, folder_of(folder), json.loads((folder_of(folder) / "tune.json").read_text())


def test_a_better_window_and_comparison_are_found(tuned):
    outcome, folder, facts = tuned
    assert re.fullmatch("found-[0-9a-f]{8}", folder.name)
    assert outcome.recommended is outcome.best
    assert outcome.best.held_out.value == 1
    assert outcome.default.held_out.value < 0.7  # as likely right as wrong
    assert facts["recommended"] == "best"
    assert facts["best"]["held_out"]["identity/switches"] == 0
    difference, low, high = facts["difference"]
    assert difference == pytest.approx(1 - outcome.default.held_out.value)
    assert 0 < low < difference < high
    assert facts["losses"] == []
    assert facts["power"].startswith(
        "With these 120 labelled frames, improvements of identity/idf1"
    )
    assert facts["verdict"].startswith("Use the setting found")


def test_the_options_reproduce_the_setting(tuned, monkeypatch):
    outcome, folder, facts = tuned
    monkeypatch.chdir(folder.parents[2])
    command = shlex.split(facts["use"])
    assert command[-4:] == [
        "tracker=tuned",
        "filters=tuned",
        "--config-dir",
        f"outputs/tune/{folder.name}/conf",
    ]
    config, _ = compose_config(command[1:-2], config_dir=command[-1])
    assert (config.tracker, config.filters) == (outcome.best.tracker, outcome.best.filters)


def test_the_folder_holds_what_is_documented(tuned):
    _, folder, _ = tuned
    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in left if not name.endswith(".lock")} == {
        "conf/filters/tuned.yaml", "conf/tracker/tuned.yaml",
        "journal.log", "report.html", "tune.json", "tune.log",
    }  # fmt: skip


def test_the_page_tells_the_outcome_and_needs_nothing_else(tuned):
    outcome, folder, _ = tuned
    page = (folder / "report.html").read_text()
    assert outcome.verdict() in page
    assert "of 6 blocks of consecutive time" in page
    assert all(
        heading in page for heading in ("Quality and speed", "What matters", "All 14 settings")
    )
    assert "--scoring_method" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_the_command_is_shown_as_it_is_to_be_typed(files, tmp_path, capsys):
    tune([*files[:3], "evaluator.oks_stddev=[0.1,0.2]", "tune.trials=1"])
    use = json.loads((folder_of(tmp_path) / "tune.json").read_text())["use"]
    assert "'evaluator.oks_stddev=[0.1,0.2]'" in use
    assert use in capsys.readouterr().out


def test_optuna_is_asked_for_where_it_is_missing(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        RunError, match=r"sleap-lab tune needs Optuna: pip install 'sleap-lab\[tune\]'"
    ):
        tune(files)


def test_the_same_command_goes_on_in_the_same_folder(files, tmp_path, capsys):
    tune([*files, "tune.trials=3"])
    tune([*files, "tune.trials=5"])
    assert "3 settings tried before" in capsys.readouterr().err
    assert "All 5 settings" in (folder_of(tmp_path) / "report.html").read_text()


def test_other_images_make_another_study_where_a_tracker_looks_at_them(files, tmp_path, capsys):
    for gray in (80, 160):
        frames = [np.full((320, 640, 3), gray, dtype=np.uint8)] * 120
        sio.save_video(frames, str(tmp_path / "away.mp4"))
        tune([*files, "tune.trackers=[flow]", "tracker.of_img_scale=0.1", "tune.trials=1"])
        assert "settings tried before" not in capsys.readouterr().err
    assert len(list((tmp_path / "outputs" / "tune").iterdir())) == 2


def test_where_the_default_wins_it_says_so(files, tmp_path, capsys):
    perfect = [
        "tracker.features=centroids",
        "tracker.scoring_method=euclidean_dist",
        "tracker.tracking_window_size=1",
    ]
    outcome = tune([*files, *perfect, "tune.trials=4", "tune.name=mice"])
    assert outcome.best is None
    folder = tmp_path / "outputs" / "tune" / "mice"
    out = capsys.readouterr().out
    assert "Keep the default setting" in out
    assert "The default setting, written out:" in out
    assert "Use it:" not in out
    assert "Keep the default setting" in (folder / "report.html").read_text()
    # The options hold the recommended setting.
    assert "features: centroids" in (folder / "conf" / "tracker" / "mice.yaml").read_text()


def test_what_is_typed_stays(files, tmp_path):
    outcome = tune([*files, "tracker=local_queues", "tracker.oks_stddev=0.3", "tune.trials=6"])
    journal = (folder_of(tmp_path) / "journal.log").read_text()
    assert "fixed_window" not in journal
    assert '"param_name":"tracker.scoring_reduction"' in journal
    assert '"param_name":"tracker.oks_stddev"' not in journal
    assert outcome.default.tracker.candidates_method == "local_queues"


def test_a_metric_of_poses_is_tuned_by_filters(files, tmp_path):
    labels = read_labels("found.slp")
    # Every other frame has a second prediction of an animal, with a low score.
    for frame in labels.labeled_frames[::2]:
        first = frame.instances[0]
        frame.instances.append(
            sio.PredictedInstance.from_numpy(
                first.numpy() + 1, skeleton=labels.skeleton, point_scores=[0.2, 0.2], score=0.2
            )
        )
    save_labels(labels, tmp_path / "doubled.slp")
    outcome = tune(
        [
            "data.path=doubled.slp",
            *files[1:],
            "tune.metric=coco/precision_50",
            "tracker=fixed_window",
            "tune.trials=14",
        ]
    )
    assert outcome.default.held_out.value == pytest.approx(4 / 5)  # five predictions in two frames
    assert outcome.best.held_out.value == 1
    assert outcome.best.held_out.found == 1


def test_lower_is_better_for_switches(files):
    outcome = tune([*files, POOR, "tune.metric=identity/switches", "tune.trials=14"])
    assert outcome.best.held_out.value < outcome.default.held_out.value
    assert outcome.difference.value < 0


def test_ctrl_c_keeps_what_was_found(files, tmp_path, monkeypatch):
    from sleap_lab.tune import run as module

    def interrupted(search, study, default):
        def watch(study):
            if len(module.finished(study)) == 13:
                raise KeyboardInterrupt

        return watch

    monkeypatch.setattr(module, "_progress", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune([*files, POOR, "tune.trials=50"])
    facts = json.loads((folder_of(tmp_path) / "tune.json").read_text())
    assert facts["recommended"] == "best"


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (
            ["tune.trackers=[kalman]"],
            ConfigError,
            "tune.trackers: kalman needs the number of animals",
        ),
        (
            ["evaluator=none"],
            ConfigError,
            "evaluator.ground_truth_path is given, but nothing is evaluated",
        ),
        (
            ["tune.trackers=[fixed_window]", "tracker.max_tracks=2"],
            ConfigError,
            "tune.trackers: none of fixed_window goes with",
        ),
        (
            ["tune.metric=eval/centroid_f1"],
            RunError,
            "tune.metric: eval/centroid_f1 cannot be computed here",
        ),
        (["tune.block_frames=1000"], RunError, "120 labelled frames make 1 block"),
        (
            ["tracker.tracking_window_size=2,3"],
            ConfigError,
            "tracker.tracking_window_size: 2,3 are several values",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused(files, words, error, message):
    with pytest.raises(error, match=re.escape(message)):
        tune([*files, *words, "tune.trials=1"])
