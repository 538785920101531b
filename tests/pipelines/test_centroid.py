from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_lab.decode.peaks import Refinement
from sleap_lab.errors import ConfigError
from sleap_lab.pipelines.centroid import (
    choose_centroids,
    decode_centroids,
    observe_centroids,
    true_centroids,
)
from sleap_lab.pipelines.model import Prediction
from sleap_lab.poses.record import Skeleton, make_poses

NAN = np.nan
AB = Skeleton(("a", "b"))
TWO = [(0, 0, 10, 10, 0.9), (0, 0, 30, 14, 0.7)]
"""Centroids at (10, 10) and (30, 14)."""


@pytest.fixture
def centroid_model(fake):
    """The first channel of the image is the centroid map."""
    return fake("centroid", lambda x: {"confmaps": x[:, :1]}, nodes=("a", "b"))


@pytest.fixture
def trained(fake):
    """Return a function that makes the training config of a model.

    Its arguments are keys of the confidence map head.
    """
    return lambda **head: fake("centered_instance", None, **head).config


def truth(points, frame=10, skeleton=AB, **columns):
    return make_poses(
        skeleton, points, frame=frame, user=True, point_scores=NAN, instance_scores=NAN, **columns
    )


def run(batch, model, labelled=None, *, max_instances=None, refinement=None, peak_threshold=0.2):
    """Observe centroids and decode them."""
    true = None if labelled is None else true_centroids(labelled, model.config, anchor_part=None)
    seen = observe_centroids(batch, model, peak_threshold=peak_threshold, refinements=[refinement])
    poses = decode_centroids(
        seen.content, true, peak_threshold=peak_threshold, refinement=0, max_instances=max_instances
    )
    return Prediction(poses, seen.maps)


# ---- what is observed


def test_centroids_in_reading_order(batch, draw, centroid_model):
    images = draw(
        (2, 1, 20, 24), (0, 0, 15, 4, 0.5), (0, 0, 3, 4, 0.9), (0, 0, 8, 12, 0.7), (1, 0, 2, 2, 0.6)
    )
    seen = observe_centroids(batch(images), centroid_model, peak_threshold=0.2, refinements=[None])
    assert seen.content.sample.tolist() == [0, 0, 0, 1]
    assert seen.content.points[:, 0].tolist() == [[3, 4], [15, 4], [8, 12], [2, 2]]
    np.testing.assert_allclose(seen.content.values, [0.9, 0.5, 0.7, 0.6])
    assert seen.complete
    poses = run(batch(images), centroid_model).poses
    assert poses.skeleton.nodes == ("centroid",)
    assert poses.points[:, 0].tolist() == [[3, 4], [15, 4], [8, 12], [2, 2]]
    assert poses.frame.tolist() == [10, 10, 10, 11]
    np.testing.assert_allclose(poses.instance_scores, poses.point_scores[:, 0])
    assert torch.equal(seen.maps["centroid_confmaps"], images)


def test_fainter_centroids_are_observed_but_are_no_instances(batch, draw, centroid_model):
    images = batch(
        draw((1, 1, 20, 24), (0, 0, 3, 4, 0.9), (0, 0, 8, 12, 0.15), (0, 0, 15, 4, 0.05))
    )
    seen = observe_centroids(images, centroid_model, peak_threshold=0.2, refinements=[None]).content
    np.testing.assert_allclose(seen.values, [0.9, 0.15])
    assert run(images, centroid_model).poses.points[:, 0].tolist() == [[3, 4]]
    assert run(images, centroid_model, peak_threshold=0.01).poses.points[:, 0].tolist() == [
        [3, 4],
        [15, 4],
        [8, 12],
    ]


@pytest.mark.parametrize(
    ("max_instances", "columns"),
    [(None, [3, 15, 8, 2, 6]), (3, [3, 8, 15, 6, 2]), (2, [3, 8, 6, 2]), (1, [3, 6])],
)
def test_with_a_limit_the_best_of_each_frame_come_first(
    batch, draw, centroid_model, max_instances, columns
):
    images = draw(
        (2, 1, 20, 24),
        (0, 0, 15, 4, 0.5),
        (0, 0, 3, 4, 0.9),
        (0, 0, 8, 12, 0.7),
        (1, 0, 2, 2, 0.6),
        (1, 0, 6, 2, 0.8),
    )
    assert (
        run(batch(images), centroid_model, max_instances=max_instances)
        .poses.points[:, 0, 0]
        .tolist()
        == columns
    )


def test_equally_good_centroids_stay_in_reading_order():
    values = np.array([0.5, 0.9, 0.5, 0.5], dtype=np.float32)
    chosen = choose_centroids(
        np.zeros(4, dtype=int), values, np.zeros((4, 2)), peak_threshold=0.2, max_instances=3
    )
    assert chosen.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("min_distance", "max_instances", "expected"),
    [
        (0, None, [0, 1, 2, 3, 4]),
        (5, None, [0, 1, 2, 3, 4]),  # 0 and 1 are just that far from each other
        (5.1, None, [1, 2, 3, 4]),  # the worse one goes, and the others keep their order
        (8.1, None, [1, 3, 4]),  # 2 is near 1; 4 is in another frame
        (8.1, 2, [1, 4]),  # the limit comes first: 1 and 2 were the two best
    ],
)
def test_a_centroid_near_a_better_one_is_left_out(min_distance, max_instances, expected):
    chosen = choose_centroids(
        np.array([0, 0, 0, 0, 1]),
        np.array([0.5, 0.9, 0.7, 0.6, 0.3], dtype=np.float32),
        np.array([[0, 0], [3, 4], [3, 12], [90, 0], [3, 4]], dtype=float),
        peak_threshold=0.2,
        max_instances=max_instances,
        min_distance=min_distance,
    )
    assert chosen.tolist() == expected


def test_centroids_are_observed_in_size_matched_pixels_but_reported_in_the_frame(fake, batch, draw):
    maps = draw((2, 1, 8, 9), (0, 0, 3, 2, 0.9), (1, 0, 3, 2, 0.9))
    model = fake("centroid", lambda x: {"confmaps": maps}, stride=4, scale=0.5)
    images = batch(torch.zeros(2, 1, 64, 72), eff=[1.0, 0.5])
    seen = observe_centroids(images, model, peak_threshold=0.2, refinements=[None]).content
    assert seen.points[:, 0].tolist() == [[3 * 4 / 0.5, 2 * 4 / 0.5]] * 2
    assert run(images, model).poses.points[:, 0].tolist() == [[24, 16], [24 / 0.5, 16 / 0.5]]


def test_centroids_are_refined_where_asked(batch, draw, centroid_model):
    images = batch(draw((1, 1, 20, 24), (0, 0, 8, 12, 0.75), (0, 0, 9, 12, 0.25)))
    np.testing.assert_allclose(
        run(images, centroid_model, refinement=Refinement(3)).poses.points, [[[8.25, 12]]]
    )


# ---- centroids of labels


@pytest.mark.parametrize(
    ("head", "anchor_part", "expected"),
    [
        ({}, None, [[3, 2], [5, 7]]),  # centre of mass
        ({"centroid_method": "bbox_center"}, None, [[3, 2], [5, 7]]),
        ({"anchor_part": "a"}, None, [[1, 1], [5, 7]]),  # the centre of mass where it is missing
        ({"anchor_part": "a"}, "b", [[5, 3], [5, 7]]),  # an argument wins
        ({"centroid_method": "bbox_center"}, "b", [[5, 3], [5, 7]]),
        (
            {"anchor_part": None, "centroid_method": None, "centroid_fallback": None},
            None,
            [[3, 2], [5, 7]],
        ),
    ],
)
def test_centroids_of_labels_are_those_of_training(trained, head, anchor_part, expected):
    labelled = truth([[[1, 1], [5, 3]], [[NAN, NAN], [5, 7]]])
    found = true_centroids(labelled, trained(**head), anchor_part=anchor_part)
    assert found.points.tolist() == expected


def test_the_fallback_is_that_of_training(trained):
    abc = Skeleton(("a", "b", "c"))
    labelled = truth([[[NAN, NAN], [0, 0], [4, 8]], [[NAN, NAN], [1, 1], [NAN, NAN]]], skeleton=abc)
    config = trained(anchor_part="a", centroid_fallback="bbox_center")
    assert true_centroids(labelled, config, anchor_part=None).points.tolist() == [[2, 4], [1, 1]]


def test_an_anchor_that_the_labels_lack_is_refused(trained):
    with pytest.raises(ConfigError, match=r"anchor_part.*'thorax'.*a, b"):
        true_centroids(truth([[[1, 1], [5, 3]]]), trained(anchor_part="thorax"), anchor_part=None)


# ---- centroids as instances


def test_without_labels_the_centroids_are_the_result(batch, draw, centroid_model):
    poses = run(batch(draw((1, 1, 24, 40), *TWO), eff=0.5), centroid_model).poses
    assert poses.skeleton == Skeleton(("centroid",), name="centroid")
    assert poses.points.tolist() == [[[20, 20]], [[60, 28]]]
    np.testing.assert_allclose(poses.instance_scores, [0.9, 0.7])


def test_with_labels_the_nearest_instance_is_copied(batch, draw, centroid_model):
    labelled = truth([[[31, 14], [33, 16]], [[9, 9], [NAN, NAN]]])
    prediction = run(batch(draw((1, 1, 24, 40), *TWO)), centroid_model, labelled)
    poses = prediction.poses
    assert poses.skeleton == AB
    np.testing.assert_array_equal(poses.points, [[[9, 9], [NAN, NAN]], [[31, 14], [33, 16]]])
    np.testing.assert_allclose(poses.instance_scores, [0.9, 0.7])
    assert not poses.user.any()
    assert prediction.maps.keys() == {"centroid_confmaps"}


def test_copies_are_one_to_one(batch, draw, centroid_model):
    # Both centroids are nearer to the first instance; the pairing with the shortest sum decides.
    pixels = [(0, 0, 10, 10, 0.9), (0, 0, 14, 10, 0.7)]
    poses = run(
        batch(draw((1, 1, 24, 40), *pixels)),
        centroid_model,
        truth([[[11, 10]] * 2, [[25, 10]] * 2]),
    ).poses
    assert poses.points[:, 0, 0].tolist() == [11, 25]


@pytest.mark.parametrize("labels", [1, 3])
def test_what_is_beyond_the_number_of_the_other_is_left_out(batch, draw, centroid_model, labels):
    labelled = truth([[[30, 14]] * 2, [[11, 10]] * 2, [[20, 20]] * 2][:labels])
    poses = run(batch(draw((1, 1, 24, 40), *TWO)), centroid_model, labelled).poses
    assert poses.points[:, 0, 0].tolist() == [30] if labels == 1 else [11, 30]
    np.testing.assert_allclose(poses.instance_scores, [0.7] if labels == 1 else [0.9, 0.7])


def test_a_frame_without_labels_is_empty(batch, draw, centroid_model):
    drawn = draw((2, 1, 24, 40), (0, 0, 10, 10, 0.9), (1, 0, 10, 10, 0.9))
    poses = run(batch(drawn), centroid_model, truth([[[11, 10]] * 2], frame=11)).poses
    assert poses.frame.tolist() == [11]
    assert poses.frames.tolist() == [[0, 10], [0, 11]]


def test_distances_are_those_of_the_frame(batch, draw, centroid_model):
    # At half size (10, 10) is (20, 20) of the frame.
    labelled = truth([[[10, 10]] * 2, [[21, 20]] * 2])
    poses = run(
        batch(draw((1, 1, 24, 40), (0, 0, 10, 10, 0.9)), eff=0.5), centroid_model, labelled
    ).poses
    assert poses.points[:, 0].tolist() == [[21, 20]]


def test_the_limit_holds_before_copying(batch, draw, centroid_model):
    labelled = truth([[[30, 14]] * 2, [[11, 10]] * 2])
    poses = run(batch(draw((1, 1, 24, 40), *TWO)), centroid_model, labelled, max_instances=1).poses
    assert poses.points[:, 0, 0].tolist() == [11]


def test_nothing_found_and_nothing_labelled(batch, centroid_model):
    poses = run(
        batch(torch.zeros(1, 1, 24, 40)),
        centroid_model,
        replace(truth([[[1, 1]] * 2]), frame=np.array([99])),
    ).poses
    assert len(poses) == 0
    assert poses.skeleton == AB
