import shutil

import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation.truth import open_truth
from sleap_lab.media.open_source import open_source
from sleap_lab.poses.record import Skeleton
from sleap_lab.settings.config import Config, DataConfig, EvaluatorConfig, ModelConfig

TRIANGLE = [[0, 0], [5, 0], [0, 5]]
OURS = Skeleton(("a", "b", "c"))


@pytest.fixture
def case(tmp_path, video_path, make_labels):
    """Config and source of a video with ground truth of skeleton a-b-c in its own file."""
    path = tmp_path / "truth.slp"
    make_labels([video_path], user=[(0, 2, TRIANGLE)]).save(str(path), verbose=False)
    evaluator = EvaluatorConfig(evaluate=True, ground_truth_path=str(path))
    config = Config(data=DataConfig(path=str(video_path)), evaluator=evaluator)
    return config, open_source(config.data)


def test_videos_are_matched_before_there_are_predictions(case):
    truth = open_truth(*case, OURS)
    assert truth.poses.frames.tolist() == [[0, 2]]
    assert [(match.truth, match.predicted) for match in truth.videos] == [(0, 0)]


def test_without_poses_and_models_videos_are_matched_later(case):
    assert open_truth(*case, None).videos is None


@pytest.fixture
def compare_files(tmp_path, make_labels, video_path):
    """Return a function that opens the truth for poses of another file, in a video of some name."""

    def compare_files(video, pose, truths=("truth.mp4",)):
        copies = [shutil.copy(video_path, tmp_path / name) for name in truths]
        path, truth = tmp_path / "poses.slp", tmp_path / "truth.slp"
        moving = [[[x + n, y + n] for x, y in TRIANGLE] for n in range(len(copies))]
        user = [(n, 2, points) for n, points in enumerate(moving)]
        make_labels(copies, user=user).save(str(truth), verbose=False)
        (other,) = [shutil.copy(video_path, tmp_path / video)] if video not in truths else copies
        make_labels([other], predicted=[(0, 2, pose)]).save(str(path), verbose=False)
        config = Config(
            data=DataConfig(path=str(path)),
            model=ModelConfig(kind="none"),
            evaluator=EvaluatorConfig(evaluate=True, ground_truth_path=str(truth)),
        )
        return open_truth(config, open_source(config.data, predicting=False), None)

    return compare_files


@pytest.mark.parametrize(
    ("video", "pose", "reason"),
    [
        ("truth.mp4", [[1, 1], [2, 2], [3, 3]], "same file"),
        ("renamed.mp4", TRIANGLE, "same poses"),
    ],
)
def test_without_models_videos_are_known_by_name_or_poses(compare_files, video, pose, reason):
    (match,) = compare_files(video, pose).videos
    assert (match.predicted, match.truth, match.reason) == (0, 0, reason)


def test_without_models_truth_of_another_video_is_refused_before_any_work(compare_files):
    with pytest.raises(RunError, match=r"no frame in common.*truth\.mp4"):
        compare_files("other.mp4", [[1, 1], [2, 2], [3, 3]])


def test_without_models_a_video_that_could_be_several_is_refused_before_any_work(compare_files):
    with pytest.raises(ConfigError, match=r"other\.mp4 .* could be any of .*one\.mp4.*two\.mp4"):
        compare_files("other.mp4", [[1, 1], [2, 2], [3, 3]], ("one.mp4", "two.mp4"))


@pytest.mark.parametrize("nodes", [("a", "b"), ("a", "b", "c", "d")])
def test_another_skeleton_is_refused_before_any_work(case, nodes):
    with pytest.raises(ConfigError, match=r"evaluator\.nodes=common"):
        open_truth(*case, Skeleton(nodes))


@pytest.mark.parametrize(
    ("nodes", "settings"),
    [
        (("a", "b"), {"nodes": "common"}),
        (("a", "b"), {"match_method": "centroid"}),
        (("centroid",), {}),  # is compared as centroids
    ],
)
def test_another_skeleton_is_no_hindrance_where_nodes_are_not_compared(case, nodes, settings):
    config, source = case
    for name, value in settings.items():
        setattr(config.evaluator, name, value)
    assert len(open_truth(config, source, Skeleton(nodes)).poses) == 1


def test_a_video_has_no_truth_of_its_own(case):
    config, source = case
    config.evaluator.ground_truth_path = None
    with pytest.raises(RunError, match="holds no user-labelled instance; give a file with"):
        open_truth(config, source, OURS)


def labels_as_data(tmp_path, make_labels, video_path, **instances):
    path = tmp_path / "labels.slp"
    make_labels([video_path], **instances).save(str(path), verbose=False)
    config = Config(data=DataConfig(path=str(path)), evaluator=EvaluatorConfig(evaluate=True))
    return config, open_source(config.data)


def test_labels_hold_their_own_truth(tmp_path, make_labels, video_path):
    case = labels_as_data(tmp_path, make_labels, video_path, user=[(0, 2, TRIANGLE)])
    truth = open_truth(*case, OURS)
    assert truth.poses.frames.tolist() == [[0, 2]]
    assert [match.reason for match in truth.videos] == ["same labels file"]


def test_labels_without_user_instances_hold_no_truth(tmp_path, make_labels, video_path):
    case = labels_as_data(tmp_path, make_labels, video_path, predicted=[(0, 2, TRIANGLE)])
    with pytest.raises(RunError, match=r"labels\.slp holds no user-labelled instance; give a file"):
        open_truth(*case, OURS)


def test_truth_in_other_frames_than_those_asked_for_is_told_with_its_video(case):
    config, _ = case
    config.data.frames = "0,1"
    source = open_source(config.data)
    with pytest.raises(RunError) as error:
        open_truth(config, source, OURS)
    assert f"video 0 ({source.videos[0].filename})" in str(error.value)
