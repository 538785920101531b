"""What is looked through: poses of a run folder, with the truth that it was compared with."""

import json

import numpy as np
import pytest
import yaml

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.media.labels import read_labels
from sleap_lab.runs.subject import of_labels, of_run

TRIANGLE = [[10, 10], [20, 10], [10, 20]]
OTHER = [[11, 10], [21, 10], [11, 20]]
SWITCH = {
    "video": 1,
    "pose_video": 0,
    "frame": 4,
    "truth_track": "mouse",
    "from_track": "a",
    "to_track": "b",
    "nearest_track": "",
    "nearest_distance": None,
}


@pytest.fixture
def make_folder(tmp_path, make_labels, video_path):
    """Return a function that makes a run folder with predictions on frames 0 and 1."""

    def make(metrics=None, **config):
        folder = tmp_path / "run"
        (folder / "snapshot").mkdir(parents=True)
        usual = {"data": {"path": "video.mp4"}, "model": {"kind": "unet"}, "evaluator": {}}
        (folder / "snapshot" / "config.yaml").write_text(yaml.safe_dump(usual | config))
        if metrics is not None:
            (folder / "metrics.json").write_text(json.dumps(metrics))
        predicted = [(0, 0, TRIANGLE), (0, 1, OTHER)]
        make_labels([video_path], predicted=predicted).save(
            str(folder / "predictions.slp"), verbose=False
        )
        return folder

    return make


@pytest.fixture
def truth_path(tmp_path, make_labels, video_path):
    """Ground truth whose second video is that of the predictions."""
    other = tmp_path / "other.mp4"
    other.write_bytes(b"")
    path = tmp_path / "truth.slp"
    make_labels([other, video_path], user=[(0, 0, OTHER), (1, 0, TRIANGLE)]).save(
        str(path), verbose=False
    )
    return path


def test_a_labels_file_of_any_program(make_folder, video_path):
    subject = of_labels(make_folder() / "predictions.slp")
    assert subject.title == video_path.name
    assert len(subject.poses) == 2
    assert (subject.truth, subject.switches, subject.animals) == (None, None, None)
    assert subject.source.read(0, 0).shape == (48, 64, 1)


def test_a_run_without_ground_truth(make_folder):
    subject = of_run(make_folder(tracker={"max_tracks": 3, "unknown": 1}))
    assert subject.animals == 3
    assert (subject.truth, subject.switches) == (None, None)


def test_the_truth_has_the_videos_of_the_poses(make_folder, truth_path):
    videos = [{"predicted": None, "truth": 0}, {"predicted": 0, "truth": 1}]
    metrics = {"identity": {"pooled": {}}, "switches": [SWITCH], "videos": videos}
    folder = make_folder(metrics, evaluator={"ground_truth_path": str(truth_path)})
    subject = of_run(folder)
    assert subject.truth.video.tolist() == [0]
    np.testing.assert_array_equal(subject.truth.points[0], TRIANGLE)
    (switch,) = subject.switches
    assert (switch.pose_video, switch.frame, switch.to_track) == (0, 4, "b")
    assert np.isnan(switch.nearest_distance)


def test_without_identities_there_are_no_switches(make_folder, truth_path):
    metrics = {"identity": None, "switches": [], "videos": [{"predicted": 0, "truth": 1}]}
    subject = of_run(make_folder(metrics, evaluator={"ground_truth_path": str(truth_path)}))
    assert subject.switches is None
    assert len(subject.truth) == 1


def test_a_truth_that_is_gone_is_named(make_folder):
    metrics = {"identity": None, "switches": [], "videos": []}
    subject = of_run(make_folder(metrics, evaluator={"ground_truth_path": "gone.slp"}))
    assert subject.truth is None
    assert any("gone.slp: no such labels file" in note for note in subject.notes)


@pytest.mark.parametrize("metrics", [[], {"identity": None}, {"identity": {}, "switches": [{}]}])
def test_damaged_metrics_are_refused(make_folder, metrics):
    with pytest.raises(RunError, match=r"metrics\.json"):
        of_run(make_folder(metrics))


def test_predictions_may_lie_elsewhere(make_folder, tmp_path):
    folder = make_folder(output={"path": str(tmp_path / "poses.slp")})
    (folder / "predictions.slp").rename(tmp_path / "poses.slp")
    assert len(of_run(folder).poses) == 2


def test_a_run_that_only_evaluated_has_the_poses_it_evaluated(make_folder, tmp_path):
    folder = make_folder(data={"path": str(tmp_path / "poses.slp")}, model={"kind": "none"})
    read_labels(folder / "predictions.slp").save(str(tmp_path / "poses.slp"), verbose=False)
    (folder / "predictions.slp").unlink()
    assert len(of_run(folder).poses) == 2


def test_a_run_without_labels_is_refused(make_folder):
    folder = make_folder()
    (folder / "predictions.slp").unlink()
    with pytest.raises(ConfigError, match="left no labels file"):
        of_run(folder)


def test_the_truth_keeps_what_nobody_corrected(make_folder, make_labels, video_path, tmp_path):
    labels = make_labels([video_path], user=[(0, 0, TRIANGLE)], predicted=[(0, 0, OTHER)])
    labels.save(str(tmp_path / "half.slp"), verbose=False)
    metrics = {"identity": None, "switches": [], "videos": [{"predicted": 0, "truth": 0}]}
    folder = make_folder(metrics, evaluator={"ground_truth_path": str(tmp_path / "half.slp")})
    assert sorted(of_run(folder).truth.user.tolist()) == [False, True]
