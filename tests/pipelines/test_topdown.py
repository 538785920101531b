from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_lab.checkpoints import CropRule
from sleap_lab.decode.peaks import Refinement
from sleap_lab.pipelines.centroid import observe_centroids, true_centroids
from sleap_lab.pipelines.crop_passes import MAX_CROPS_PER_PASS, SpareBudget
from sleap_lab.pipelines.model import Prediction
from sleap_lab.pipelines.topdown import (
    covers,
    crops_of_instances,
    decode_crops,
    observe_crops,
)
from sleap_lab.poses.record import Skeleton, make_poses

NAN = np.nan
AB = Skeleton(("a", "b"))


@pytest.fixture
def centroid_model(fake):
    """The first channel of the image is the centroid map."""
    return fake("centroid", lambda x: {"confmaps": x[:, :1]}, nodes=("a", "b"))


@pytest.fixture
def instance_model(fake):
    """The second and third channel of a crop are the maps of its nodes."""
    return lambda size, **options: fake(
        "centered_instance", lambda x: {"confmaps": x[:, 1:3]}, crop_size=size, **options
    )


# ---- crops


def observe(
    batch,
    centroid_model,
    instance_model,
    *,
    truth=None,
    threshold=0.2,
    max_instances=None,
    refinement=None,
    share=0.0,
):
    return observe_crops(
        batch,
        centroid_model,
        instance_model,
        truth,
        centroid_threshold=threshold,
        max_instances=max_instances,
        refinements=[refinement],
        budget=SpareBudget(share),
        keep_maps=True,
    )


def decode(seen, model, *, threshold=0.2, keypoint_threshold=0.2, max_instances=None):
    """Decode an observation, with the crops of the instances."""
    chosen = {
        "centroid_threshold": threshold,
        "keypoint_threshold": keypoint_threshold,
        "refinement": 0,
        "max_instances": max_instances,
    }
    poses = decode_crops(seen.content, model.config.skeleton, model.config.classes, **chosen)
    return Prediction(poses, seen.maps, seen.pixel_sizes, crops_of_instances(seen, **chosen))


def run(batch, centroid_model, instance_model, *, max_instances=None, **options):
    """Observe crops and decode them."""
    seen = observe(batch, centroid_model, instance_model, max_instances=max_instances, **options)
    return decode(seen, instance_model, max_instances=max_instances)


def two_animals():
    """Return pixels of two animals.

    Centroids are at (10, 10) and (30, 14); nodes a at (8, 9) and (28, 15), b at (13, 12) and,
    fainter, (32, 13).
    """
    return [
        (0, 0, 10, 10, 0.9),
        (0, 0, 30, 14, 0.7),
        (0, 1, 8, 9, 0.8),
        (0, 1, 28, 15, 0.6),
        (0, 2, 13, 12, 0.5),
        (0, 2, 32, 13, 0.4),
    ]


@pytest.mark.parametrize(
    ("size", "offset"),
    [
        (9, 0.0),  # the corner of an odd crop around a whole pixel is a whole pixel
        (8, 0.5),  # that of an even one is not, and points land at its fraction
    ],
)
def test_nodes_are_found_around_their_centroid(
    batch, draw, centroid_model, instance_model, size, offset
):
    poses = run(
        batch(draw((1, 3, 24, 40), *two_animals())), centroid_model, instance_model(size)
    ).poses
    expected = np.array([[[8, 9], [13, 12]], [[28, 15], [32, 13]]]) + offset
    np.testing.assert_allclose(poses.points, expected)
    np.testing.assert_allclose(poses.point_scores, [[0.8, 0.5], [0.6, 0.4]])
    np.testing.assert_allclose(poses.instance_scores, [0.9, 0.7])  # of the centroids
    assert poses.frame.tolist() == [10, 10]
    assert poses.tracks.tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("pixel", "centroid", "offset"), [(0.25, 10.25, 0.75), (0.75, 10.75, 0.25)]
)
def test_the_fraction_of_the_corner_is_added(
    batch, draw, centroid_model, instance_model, pixel, centroid, offset
):
    """A crop of 8 pixels around 10.25 begins at 6.75 and is cut at 6.

    What is seen at 8 is reported at 8.75.
    """
    drawn = draw(
        (1, 3, 24, 40), (0, 0, 10, 10, 1 - pixel), (0, 0, 11, 10, pixel), (0, 1, 8, 9, 0.8)
    )
    found = observe_centroids(
        batch(drawn), centroid_model, peak_threshold=0.2, refinements=[Refinement(3)]
    ).content
    np.testing.assert_allclose(found.points[:, 0], [[centroid, 10]])
    poses = run(batch(drawn), centroid_model, instance_model(8), refinement=Refinement(3)).poses
    np.testing.assert_allclose(poses.points[0, 0], [8 + offset, 9 + 0.5])


@pytest.mark.parametrize("pixel", [0.0, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("size", [8, 9])
def test_exact_points_do_not_move_with_the_centroid(
    batch, draw, centroid_model, instance_model, pixel, size
):
    drawn = draw(
        (1, 3, 24, 40), (0, 0, 10, 10, 1 - pixel), (0, 0, 11, 10, pixel), (0, 1, 9, 9, 0.8)
    )
    model = replace(instance_model(size), crop_rule=CropRule(0.0))
    poses = run(batch(drawn), centroid_model, model, refinement=Refinement(3)).poses
    np.testing.assert_allclose(poses.points[0, 0], [9, 9], rtol=1e-6)


def test_exact_points_follow_the_rule_of_training(batch, draw, centroid_model, instance_model):
    # A crop of 9 around (10, 10) begins at (6, 6) and has its middle at (4, 4); the node is seen at
    # (2, 3) and (7, 6) in it.
    model = replace(instance_model(9), crop_rule=CropRule(shift=0.5, gain=0.1))
    poses = run(
        batch(draw((1, 3, 24, 40), *two_animals()[::2]), eff=0.5), centroid_model, model
    ).poses
    expected = [(6 + 2 + 0.5 + 0.1 * (2 - 4)) / 0.5, (6 + 3 + 0.5 + 0.1 * (3 - 4)) / 0.5]
    np.testing.assert_allclose(poses.points[0, 0], expected)


def test_exact_points_of_a_scaled_crop_are_moved_by_pixels_of_the_image(fake, batch, draw):
    first_maps, second_maps = (
        draw((1, 1, 64, 72), (0, 0, 24, 16, 0.9)),
        draw((1, 2, 9, 9), (0, 0, 1, 2, 0.8)),
    )
    first = fake("centroid", lambda x: {"confmaps": first_maps})
    second = fake(
        "centered_instance", lambda x: {"confmaps": second_maps}, stride=2, scale=0.5, crop_size=9
    )
    poses = run(
        batch(torch.zeros(1, 1, 64, 72)), first, replace(second, crop_rule=CropRule(1.0))
    ).poses
    np.testing.assert_allclose(poses.points[0, 0], [20 + 1 * 2 / 0.5 + 1, 12 + 2 * 2 / 0.5 + 1])


def test_a_node_beyond_the_crop_is_not_seen(batch, draw, centroid_model, instance_model):
    poses = run(
        batch(draw((1, 3, 24, 40), *two_animals())), centroid_model, instance_model(5)
    ).poses
    np.testing.assert_array_equal(poses.points, [[[8, 9], [NAN, NAN]], [[28, 15], [32, 13]]])
    np.testing.assert_allclose(poses.point_scores, [[0.8, 0], [0.6, 0.4]])


def test_instances_without_any_node_are_dropped(batch, draw, centroid_model, instance_model):
    pixels = [(0, 0, 10, 10, 0.9), (0, 0, 30, 14, 0.7), (0, 1, 28, 15, 0.6)]
    poses = run(batch(draw((1, 3, 24, 40), *pixels)), centroid_model, instance_model(9)).poses
    np.testing.assert_array_equal(poses.points, [[[28, 15], [NAN, NAN]]])
    assert poses.frames.tolist() == [[0, 10]]


def test_frames_do_not_mix(batch, draw, centroid_model, instance_model):
    drawn = draw((3, 3, 24, 40), *two_animals(), (2, 0, 10, 10, 0.5), (2, 1, 12, 12, 0.5))
    poses = run(batch(drawn), centroid_model, instance_model(9)).poses
    assert [rows.tolist() for *_, rows in poses.by_frame()] == [[0, 1], [], [2]]
    np.testing.assert_array_equal(poses.points[2], [[12, 12], [NAN, NAN]])


def test_no_centroids(batch, centroid_model, instance_model):
    prediction = run(batch(torch.zeros(2, 3, 24, 40)), centroid_model, instance_model(9))
    assert len(prediction.poses) == 0
    assert prediction.poses.skeleton == AB
    assert prediction.poses.frames.tolist() == [[0, 10], [0, 11]]
    assert prediction.maps.keys() == {"centroid_confmaps"}


@pytest.mark.parametrize(
    ("rule", "start"),
    [
        (
            None,
            [30 - 4 + 0.5, 14 - 4 + 0.5],
        ),  # a crop of 8 around (30, 14) is counted from its corner
        (CropRule(0.0), [26, 10]),  # or from where it is cut
        (
            CropRule(0.5, gain=1 / 7),
            [26 + 0.5 - 3.5 / 7, 10 + 0.5 - 3.5 / 7],
        ),  # its first pixel is 3.5 from the middle
    ],
)
def test_instances_come_with_their_crops(batch, draw, centroid_model, instance_model, rule, start):
    # The first animal has no node, so its crop is left out.
    pixels = [(0, 0, 10, 10, 0.9), (0, 0, 30, 14, 0.7), (0, 1, 28, 15, 0.6)]
    model = replace(instance_model(8), crop_rule=rule)
    prediction = run(batch(draw((1, 3, 24, 40), *pixels), eff=0.5), centroid_model, model)
    crops = prediction.crops
    assert len(prediction.poses) == 1
    np.testing.assert_allclose(crops.centroids, [[30 / 0.5, 14 / 0.5]])
    np.testing.assert_allclose(crops.scores, [0.7])
    size = 7 if rule is None else 7 * (1 + rule.gain)
    np.testing.assert_allclose(
        crops.boxes, np.array([[start, [start[0] + size, start[1] + size]]]) / 0.5
    )
    assert crops.maps["confmaps"].shape == (1, 2, 8, 8)
    row, column = divmod(int(crops.maps["confmaps"][0, 0].argmax()), 8)
    first, last = crops.boxes[0]
    np.testing.assert_allclose(
        first + (last - first) * [column / 7, row / 7], prediction.poses.points[0, 0]
    )
    step = prediction.pixel_sizes["confmaps"] / 0.5
    np.testing.assert_allclose(
        first + step * np.array([column, row]), prediction.poses.points[0, 0]
    )
    assert prediction.pixel_sizes["centroid_confmaps"] == 1


def test_more_crops_than_fit_into_one_pass(batch, draw, centroid_model, instance_model):
    n = 2 * MAX_CROPS_PER_PASS + 3
    places = [(4 + 6 * (i % 7), 4 + 6 * (i // 7)) for i in range(n)]
    pixels = [pixel for x, y in places for pixel in ((0, 0, x, y, 0.9), (0, 1, x + 1, y - 1, 0.8))]
    prediction = run(batch(draw((1, 3, 60, 60), *pixels)), centroid_model, instance_model(5))
    assert prediction.poses.points[:, 0].tolist() == [[x + 1, y - 1] for x, y in places]
    assert prediction.crops.maps["confmaps"].shape == (n, 2, 5, 5)
    assert prediction.maps["centroid_confmaps"].shape == (1, 1, 60, 60)


@pytest.mark.parametrize(("max_instances", "expected"), [(None, [28, 8]), (1, [8]), (2, [8, 28])])
def test_the_best_centroids_come_first_where_there_is_a_limit(
    batch, draw, centroid_model, instance_model, max_instances, expected
):
    pixels = [(0, 0, 10, 10, 0.9), (0, 0, 30, 4, 0.7), (0, 1, 8, 9, 0.8), (0, 1, 28, 5, 0.6)]
    poses = run(
        batch(draw((1, 3, 24, 40), *pixels)),
        centroid_model,
        instance_model(9),
        max_instances=max_instances,
    ).poses
    assert poses.points[:, 0, 0].tolist() == expected


def test_every_stage_has_its_own_stride_and_scale(fake, batch, draw):
    """(3, 2) of stride 4 at scale 1/2 is (24, 16), whose crop of 9 begins at (20, 12).

    In this crop, (1, 2) of stride 2 at scale 2 is found.
    """
    first_maps, second_maps = (
        draw((1, 1, 8, 9), (0, 0, 3, 2, 0.9)),
        draw((1, 2, 9, 9), (0, 0, 1, 2, 0.8)),
    )
    first = fake("centroid", lambda x: {"confmaps": first_maps}, stride=4, scale=0.5)
    second = fake(
        "centered_instance", lambda x: {"confmaps": second_maps}, stride=2, scale=2.0, crop_size=9
    )
    poses = run(batch(torch.zeros(1, 1, 64, 72), eff=0.8), first, second).poses
    np.testing.assert_allclose(poses.points[0, 0], [(20 + 1 * 2 / 2) / 0.8, (12 + 2 * 2 / 2) / 0.8])


def test_crops_are_those_of_the_instances_where_a_point_is_not_a_number(
    batch, draw, centroid_model, instance_model
):
    model = instance_model(9)
    seen = observe(batch(draw((1, 3, 24, 40), *two_animals())), centroid_model, model)
    points = seen.content.points.copy()
    points[0] = NAN
    prediction = decode(replace(seen, content=replace(seen.content, points=points)), model)
    np.testing.assert_allclose(prediction.poses.points, [[[28, 15], [32, 13]]])
    np.testing.assert_allclose(prediction.crops.centroids, [[30, 14]])
    assert len(prediction.crops.maps["confmaps"]) == 1


def test_a_node_at_the_threshold_counts_and_a_centroid_at_it_does_not(
    batch, draw, centroid_model, instance_model
):
    model = instance_model(9)
    pixels = [(0, 0, 10, 10, 0.5), (0, 1, 8, 9, 0.25), (0, 0, 30, 14, 0.75), (0, 1, 28, 15, 0.25)]
    seen = observe(batch(draw((1, 3, 24, 40), *pixels)), centroid_model, model, threshold=0.25)
    prediction = decode(seen, model, threshold=0.5, keypoint_threshold=0.25)
    np.testing.assert_array_equal(prediction.poses.points, [[[28, 15], [NAN, NAN]]])
    np.testing.assert_allclose(prediction.crops.centroids, [[30, 14]])


# ---- classes


@pytest.fixture
def class_model(fake):
    """The largest values of the fourth and fifth channel of a crop are its class vector."""
    return lambda size: fake(
        "multi_class_topdown",
        lambda x: {"confmaps": x[:, 1:3], "class_vectors": x[:, 3:5].amax(dim=(-2, -1))},
        crop_size=size,
        classes=("x", "y"),
    )


def test_every_crop_gets_a_class_of_its_own(batch, draw, centroid_model, class_model):
    # Both look like the first animal, the second one more so.
    classes = [(0, 3, 10, 10, 0.6), (0, 4, 10, 10, 0.4), (0, 3, 30, 14, 0.9), (0, 4, 30, 14, 0.1)]
    poses = run(
        batch(draw((1, 5, 24, 40), *two_animals(), *classes)), centroid_model, class_model(9)
    ).poses
    assert poses.track_names == ("x", "y")
    assert poses.tracks.tolist() == [1, 0]
    np.testing.assert_allclose(poses.track_scores, [0.4, 0.9])
    np.testing.assert_allclose(poses.instance_scores, [0.9, 0.7])


def test_classes_are_given_frame_by_frame_and_not_beyond_their_number(
    batch, draw, centroid_model, class_model
):
    pixels = [
        (0, c, x, y, value)
        for x, y, p in ((4, 4, 0.5), (14, 4, 0.9), (24, 4, 0.2))
        for c, value in ((0, 0.9), (1, 0.9), (3, p), (4, 1 - p))
    ]
    pixels += [(1, c, 4, 4, value) for c, value in ((0, 0.9), (1, 0.9), (3, 0.3), (4, 0.7))]
    poses = run(batch(draw((2, 5, 9, 30), *pixels)), centroid_model, class_model(5)).poses
    assert poses.tracks.tolist() == [-1, 0, 1, 1]
    np.testing.assert_allclose(poses.track_scores, [NAN, 0.9, 0.8, 0.7])


def test_known_animals_are_named_in_an_empty_batch_too(batch, centroid_model, class_model):
    assert run(
        batch(torch.zeros(1, 5, 9, 30)), centroid_model, class_model(5)
    ).poses.track_names == ("x", "y")


# ---- labelled centroids


def truth(points, frame=10, skeleton=AB, **columns):
    return make_poses(
        skeleton, points, frame=frame, user=True, point_scores=NAN, instance_scores=NAN, **columns
    )


def test_crops_around_labelled_instances(batch, draw, instance_model):
    labelled = truth(
        [
            [[10, 10], [10, 10]],
            [[30, 14], [NAN, NAN]],
            [[NAN, NAN], [NAN, NAN]],
            [[10, 10], [10, 10]],
        ],
        frame=[10, 10, 10, 12],
    )
    true = true_centroids(labelled, instance_model(9).config, anchor_part=None)
    drawn = draw((3, 3, 24, 40), *two_animals(), (2, 1, 9, 9, 0.75))
    prediction = run(batch(drawn), None, instance_model(9), truth=true)
    poses = prediction.poses
    np.testing.assert_array_equal(
        poses.points, [[[8, 9], [13, 12]], [[28, 15], [32, 13]], [[9, 9], [NAN, NAN]]]
    )
    assert poses.instance_scores.tolist() == [1, 1, 1]
    assert poses.frame.tolist() == [10, 10, 12]
    assert poses.frames.tolist() == [[0, 10], [0, 11], [0, 12]]
    assert not poses.user.any()
    assert prediction.maps == {}
    assert prediction.crops.maps["confmaps"].shape == (3, 2, 9, 9)
    assert prediction.crops.scores.tolist() == [1, 1, 1]


def test_labelled_instances_of_another_video_do_not_count(batch, draw, instance_model):
    labelled = truth([[[10, 10], [10, 10]]], video=1)
    true = true_centroids(labelled, instance_model(9).config, anchor_part=None)
    assert (
        len(
            run(
                batch(draw((1, 3, 24, 40), *two_animals())), None, instance_model(9), truth=true
            ).poses
        )
        == 0
    )


def test_labelled_centroids_are_scaled_with_the_frame(batch, draw, instance_model):
    true = true_centroids(truth([[[20, 20], [20, 20]]]), instance_model(9).config, anchor_part=None)
    poses = run(
        batch(draw((1, 3, 24, 40), *two_animals()), eff=0.5), None, instance_model(9), truth=true
    ).poses
    np.testing.assert_allclose(poses.points, [[[8 / 0.5, 9 / 0.5], [13 / 0.5, 12 / 0.5]]])


def test_labelled_instances_get_classes_too(batch, draw, class_model):
    true = true_centroids(truth([[[10, 10], [10, 10]]]), class_model(9).config, anchor_part=None)
    poses = run(
        batch(draw((1, 5, 24, 40), *two_animals(), (0, 4, 10, 10, 0.75))),
        None,
        class_model(9),
        truth=true,
    ).poses
    assert poses.tracks.tolist() == [1]


# ---- which crops are looked at


def crowd(n=3 * MAX_CROPS_PER_PASS, frames=1):
    """Return pixels of centroids with decreasing values, from 0.9 to above 0.1.

    Each has its node a one pixel to the right and above.
    """
    places = [(4 + 6 * (i % 7), 4 + 6 * (i // 7)) for i in range(n)]
    scores = np.linspace(0.9, 0.11, n)
    return [
        pixel
        for b in range(frames)
        for (x, y), score in zip(places, scores, strict=True)
        for pixel in ((b, 0, x, y, score), (b, 1, x + 1, y - 1, 0.8))
    ]


def counted(model):
    """The model, and a list of how many crops it sees in each pass."""
    passes = []
    return replace(model, network=lambda x: passes.append(len(x)) or model.network(x)), passes


def test_passes_without_a_needed_crop_are_left_out(batch, draw, centroid_model, instance_model):
    model, passes = counted(instance_model(5))
    images = batch(draw((1, 3, 60, 60), *crowd()))
    everything = observe(images, centroid_model, model, share=np.inf).content
    assert (len(everything.seen), sum(passes)) == (48, 48)
    assert everything.seen.all()
    size = passes[0]
    passes.clear()
    best = observe(images, centroid_model, model, threshold=0.89).content
    assert passes == [size]
    assert best.seen.sum() == size
    assert np.isnan(best.points[~best.seen]).all()
    np.testing.assert_array_equal(best.points[best.seen], everything.points[best.seen])
    passes.clear()
    observe(images, centroid_model, model, max_instances=size + 1)
    assert passes == [size, size]


def test_a_share_of_those_that_are_needed_is_looked_at_too(
    batch, draw, centroid_model, instance_model
):
    model, _ = counted(instance_model(5))
    images = batch(draw((1, 3, 60, 60), *crowd()))
    for share, threshold, everything in [
        (0, 0.3, False),
        (0.1, 0.3, True),
        (0.1, 0.6, False),
        (1.0, 0.6, True),
        (np.inf, 0.89, True),
    ]:
        seen = observe(images, centroid_model, model, threshold=threshold, share=share).content.seen
        assert seen.all() == everything, (share, threshold)


@pytest.mark.parametrize(
    ("threshold", "max_instances"), [(0.2, None), (0.5, None), (0.7, 3), (0.1, 2), (0.95, None)]
)
def test_what_was_observed_once_is_decoded_as_if_it_was_observed_for_it(
    batch, draw, centroid_model, instance_model, threshold, max_instances
):
    model = instance_model(5)
    images = batch(draw((2, 3, 60, 60), *crowd(frames=2)))
    everything = observe(images, centroid_model, model, share=np.inf)
    fresh = observe(images, centroid_model, model, threshold=threshold, max_instances=max_instances)
    decoded = [
        decode(seen, model, threshold=threshold, max_instances=max_instances)
        for seen in (everything, fresh)
    ]
    np.testing.assert_array_equal(decoded[0].poses.points, decoded[1].poses.points)
    np.testing.assert_array_equal(decoded[0].crops.boxes, decoded[1].crops.boxes)


def test_what_is_not_enough_is_known(batch, draw, centroid_model, instance_model):
    images = batch(draw((1, 3, 60, 60), *crowd()))
    seen = observe(images, centroid_model, instance_model(5), threshold=0.5).content
    assert covers(seen, centroid_threshold=0.5, max_instances=None)
    assert covers(seen, centroid_threshold=0.7, max_instances=None)
    assert covers(seen, centroid_threshold=0.2, max_instances=1)
    assert not covers(seen, centroid_threshold=0.2, max_instances=None)


def test_maps_are_those_of_the_crops_that_are_needed_in_their_order(
    batch, draw, centroid_model, instance_model
):
    images = batch(draw((1, 3, 60, 60), *crowd()))
    few = observe(images, centroid_model, instance_model(5), max_instances=3)
    everything = observe(images, centroid_model, instance_model(5), threshold=0.05)
    best = np.argsort(-everything.content.scores, kind="stable")[:3]
    assert torch.equal(few.crop_maps["confmaps"], everything.crop_maps["confmaps"][best])
