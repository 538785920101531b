from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.evaluation import evaluate
from sleap_lab.poses.record import concatenate
from sleap_lab.settings.config import EvaluatorConfig, FiltersConfig, TrackerConfig
from sleap_lab.tracking import track
from sleap_lab.tune.problem import is_better, make_problem, require, score, scores
from sleap_lab.tune.settings import TuneConfig, find_metric

BY_DISTANCE = TrackerConfig(
    tracking=True, tracking_window_size=1, features="centroids", scoring_method="euclidean_dist"
)


def plain_problem(detections, truth, videos):
    """Make the problem of tuning for AP, with all else as it is by default."""
    return make_problem(
        detections,
        truth,
        videos,
        TuneConfig(),
        find_metric("coco/ap"),
        BY_DISTANCE,
        FiltersConfig(),
        EvaluatorConfig(),
        predicted=False,
    )


def no_images(video, frame):
    raise AssertionError("nobody looks at images here")


def test_the_search_and_the_rest_share_no_frame(problem):
    made = problem(holdout=0.3, seed=1)
    seen = {block for part in made.search for block in part.blocks}
    assert len(seen) == 4
    assert len(made.held_out.blocks) == 2
    assert not seen & set(made.held_out.blocks)
    numbers = [
        number
        for part in (*made.search, made.held_out)
        for number in np.unique(part.detections.frames[:, 0]).tolist()
    ]
    assert numbers == list(range(6))  # every block is another video
    assert [len(part.blocks) for part in made.search] == [1, 1, 2]  # a quarter, a half, all


def test_every_block_is_tracked_and_scored_by_itself(problem):
    made = problem()
    found = score(made, made.search, BY_DISTANCE, FiltersConfig(), no_images)
    truth, poses = (
        concatenate([getattr(part, name) for part in made.search])
        for name in ("truth", "detections")
    )
    tracked = track(poses, BY_DISTANCE)
    expected = evaluate(
        truth, tracked, replace(made.evaluator, identity=True), videos={i: i for i in range(4)}
    )
    assert found.value == expected.identity["idf1"] == 1
    assert found.evaluation.headline() == pytest.approx(expected.headline(), nan_ok=True)
    assert found.found == 1
    assert found.frames_per_second > 0


def test_scores_grow_with_the_parts(problem):
    made = problem()
    found = list(scores(made, made.search, made.tracker, made.filters, no_images, identity=True))
    assert [len(one.evaluation.frame_pairs) for one in found] == [20, 40, 80]
    assert found[-1].value < 0.8  # oks cannot tell the animals apart


def test_tracks_and_human_labels_among_the_detections_are_forgotten(crossings):
    truth, detections = crossings(60)
    mixed = concatenate(
        [
            replace(detections, tracks=np.zeros_like(detections.tracks), track_names=("old",)),
            replace(truth, track_names=("old",)),
        ]
    )
    made = plain_problem(mixed, truth, {0: 0})
    everything = concatenate([*(part.detections for part in made.search), made.held_out.detections])
    assert len(everything) == len(detections)
    assert not everything.user.any()
    assert set(everything.tracks.tolist()) == {-1}


def test_videos_are_matched_before_they_are_cut(crossings):
    truth, detections = crossings(60)
    other = replace(truth, video=truth.video + 2, frames=truth.frames + np.array([2, 0]))
    made = plain_problem(detections, other, {0: 2})
    assert sum(len(part.truth) for part in (*made.search, made.held_out)) == len(truth)


def test_frames_without_labels_belong_to_the_blocks_around_them(crossings):
    truth, detections = crossings(120)
    sparse = replace(truth[truth.frame % 4 == 0], frames=truth.frames[truth.frames[:, 1] % 4 == 0])
    made = plain_problem(detections, sparse, {0: 0})
    (frames,) = {len(part.detections.frames) for part in [made.held_out]}
    assert frames > 3 * len(made.held_out.truth.frames)


def test_a_metric_without_a_value_is_refused(problem):
    made = problem(metric="eval/centroid_f1")
    with pytest.raises(
        RunError,
        match=r"tune.metric: eval/centroid_f1 cannot be computed here; there are: .*identity/idf1",
    ):
        require(made, score(made, made.search, BY_DISTANCE, FiltersConfig(), no_images))


def test_nan_is_never_better():
    higher, lower = find_metric("coco/ap"), find_metric("eval/dist_avg")
    assert is_better(higher, 2, 1)
    assert is_better(lower, 1, 2)
    assert not is_better(higher, 1, 1)
    assert not any(is_better(metric, float("nan"), 1) for metric in (higher, lower))


def test_filters_that_leave_nothing_are_scored_too(problem):
    made = problem()
    found = score(
        made, made.search, BY_DISTANCE, FiltersConfig(filter_min_instance_score=2.0), no_images
    )
    assert np.isnan(found.value)
    assert found.found == 0
