from dataclasses import replace

import numpy as np
import pytest
import torch

from sleap_lab.decode.paf import GroupingOptions
from sleap_lab.decode.peaks import Refinement
from sleap_lab.pipelines.bottomup import (
    decode_classes,
    decode_lines,
    edges_of,
    graphs,
    observe_classes,
    observe_lines,
)
from sleap_lab.pipelines.model import Prediction

NAN = np.nan
OPTIONS = GroupingOptions(
    max_edge_length_ratio=1.0, dist_penalty_weight=1.0, min_instance_peaks=0, min_line_scores=0.25
)
ROWS = (2, 8)
"""Rows of the two animals: the field points to the right, along the second half as strong."""


def fields(b, h=12, w=16, strengths=(1.0, 0.5)):
    drawn = torch.zeros(b, 2, h, w)
    for row, strength in zip(ROWS, strengths, strict=True):
        drawn[:, 0, row - 1 : row + 2] = strength
    return drawn


def animals():
    """Node a at x = 3, node b at x = 9 of both animals, in the first sample."""
    return [(0, 0, 3, 2, 0.9), (0, 1, 9, 2, 0.8), (0, 0, 3, 8, 0.7), (0, 1, 9, 8, 0.6)]


def run(
    fake,
    batch,
    confmaps,
    pafs,
    *,
    eff=1.0,
    max_instances=None,
    peak_threshold=0.2,
    refinement=None,
    grouping=OPTIONS,
    **options,
):
    model = fake(
        "bottomup", lambda x: {"confmaps": confmaps, "pafs": pafs}, edges=[("a", "b")], **options
    )
    images = batch(torch.zeros(len(confmaps), 1, 4, 4), eff)
    return group(
        model,
        images,
        peak_threshold=peak_threshold,
        refinement=refinement,
        grouping=grouping,
        max_instances=max_instances,
    )


def group(
    model, images, *, peak_threshold=0.2, refinement=None, grouping=OPTIONS, max_instances=None
):
    """Observe lines and decode them."""
    seen = observe_lines(
        images, model, peak_threshold=peak_threshold, refinements=[refinement], n_points=5
    )
    chosen = {"peak_threshold": peak_threshold, "grouping": grouping}
    poses = decode_lines(
        seen.content,
        model.config.skeleton,
        edges_of(model.config),
        max_instances=max_instances,
        **chosen,
    )
    return Prediction(
        poses, seen.maps, seen.pixel_sizes, graphs=tuple(graphs(seen.content, **chosen))
    )


def test_peaks_are_grouped(fake, batch, draw):
    poses = run(fake, batch, draw((1, 2, 12, 16), *animals()), fields(1)).poses
    assert poses.points.tolist() == [[[3, 2], [9, 2]], [[3, 8], [9, 8]]]
    np.testing.assert_allclose(poses.point_scores, [[0.9, 0.8], [0.7, 0.6]])
    np.testing.assert_allclose(poses.instance_scores, [1.0, 0.5])
    assert poses.frame.tolist() == [10, 10]


def test_frames_do_not_mix(fake, batch, draw):
    # The second frame is empty; the third holds the lower animal and half of the upper one.
    pixels = [*animals(), (2, 0, 4, 8, 0.9), (2, 1, 8, 8, 0.9), (2, 0, 4, 2, 0.9)]
    poses = run(fake, batch, draw((3, 2, 12, 16), *pixels), fields(3)).poses
    assert poses.frames.tolist() == [[0, 10], [0, 11], [0, 12]]
    assert [rows.tolist() for *_, rows in poses.by_frame()] == [[0, 1], [], [2]]
    assert poses.points[2].tolist() == [[4, 8], [8, 8]]
    np.testing.assert_allclose(poses.instance_scores[2], 0.5)


def test_a_missing_node_is_nan_and_has_no_score(fake, batch, draw):
    pixels = [
        (0, 0, 3, 2, 0.9),
        (0, 1, 9, 2, 0.8),
        (0, 2, 14, 11, 0.7),
    ]  # c is too far off the field
    model = fake(
        "bottomup",
        lambda x: {
            "confmaps": draw((1, 3, 12, 16), *pixels),
            "pafs": torch.cat([fields(1), torch.zeros(1, 2, 12, 16)], dim=1),
        },
        nodes=("a", "b", "c"),
        edges=[("a", "b"), ("b", "c")],
    )
    poses = group(model, batch(torch.zeros(1, 1, 4, 4))).poses
    np.testing.assert_array_equal(poses.points, [[[3, 2], [9, 2], [NAN, NAN]]])
    np.testing.assert_allclose(poses.point_scores, [[0.9, 0.8, NAN]])


def test_edges_are_named_by_parts(fake, batch, draw):
    """Channel i is node i of the skeleton, whatever the names of the parts; edges pair parts."""
    model = fake(
        "bottomup",
        lambda x: {"confmaps": draw((1, 2, 12, 16), *animals()), "pafs": -fields(1)},
        edges=[("second", "first")],  # from node 1 to node 0
        part_names=["first", "second"],
    )
    poses = group(model, batch(torch.zeros(1, 1, 4, 4))).poses
    assert poses.skeleton.nodes == ("a", "b")
    assert poses.points.tolist() == [[[3, 2], [9, 2]], [[3, 8], [9, 8]]]


@pytest.mark.parametrize(
    ("max_instances", "rows"), [(None, [2, 8]), (1, [8]), (2, [8, 2]), (3, [8, 2])]
)
def test_the_best_instances_come_first_where_there_is_a_limit(
    fake, batch, draw, max_instances, rows
):
    poses = run(
        fake,
        batch,
        draw((1, 2, 12, 16), *animals()),
        fields(1, strengths=(0.5, 1.0)),
        max_instances=max_instances,
    ).poses
    assert poses.points[:, 0, 1].tolist() == rows


@pytest.mark.parametrize(("least", "rows"), [(0, [2, 8]), (2, [2, 8]), (3, []), (0.5, [2, 8])])
def test_small_instances_are_dropped(fake, batch, draw, least, rows):
    poses = run(
        fake,
        batch,
        draw((1, 2, 12, 16), *animals()),
        fields(1),
        grouping=replace(OPTIONS, min_instance_peaks=least),
    ).poses
    assert poses.points[:, 0, 1].tolist() == rows


@pytest.mark.parametrize(
    ("stride", "scale", "eff"), [(1, 1.0, 1.0), (2, 1.0, 1.0), (2, 0.5, 1.0), (2, 0.5, 0.25)]
)
def test_points_are_in_pixels_of_the_frame(fake, batch, draw, stride, scale, eff):
    poses = run(
        fake,
        batch,
        draw((1, 2, 12, 16), *animals()),
        fields(1),
        stride=stride,
        scale=scale,
        eff=eff,
    ).poses
    np.testing.assert_allclose(poses.points[0], np.array([[3, 2], [9, 2]]) * stride / scale / eff)
    np.testing.assert_allclose(poses.instance_scores[0], 1.0)


def test_fields_may_have_another_stride(fake, batch, draw):
    # Confidence maps of stride 2, fields of stride 4: peak row 2 is network row 4 and field row 1.
    pafs = torch.zeros(1, 2, 6, 8)
    pafs[0, 0, 1] = 1
    poses = run(
        fake, batch, draw((1, 2, 12, 16), *animals()), pafs, strides={"confmaps": 2, "pafs": 4}
    ).poses
    assert poses.points.tolist() == [[[6, 4], [18, 4]]]


def test_points_are_refined_where_asked(fake, batch, draw):
    pixels = [*animals()[:2], (0, 0, 4, 2, 0.3)]
    poses = run(
        fake, batch, draw((1, 2, 12, 16), *pixels), fields(1), refinement=Refinement(3)
    ).poses
    np.testing.assert_allclose(poses.points, [[[3 + 0.3 / 1.2, 2], [9, 2]]])


def test_a_peak_at_the_threshold_is_none(fake, batch, draw):
    pixels = [(0, 0, 3, 2, 0.5), (0, 1, 9, 2, 0.75), (0, 0, 3, 8, 0.75), (0, 1, 9, 8, 0.75)]
    prediction = run(fake, batch, draw((1, 2, 12, 16), *pixels), fields(1), peak_threshold=0.5)
    assert prediction.poses.points.tolist() == [[[3, 8], [9, 8]]]
    assert len(prediction.graphs[0].points) == 3


def test_no_peaks(fake, batch):
    prediction = run(fake, batch, torch.zeros(2, 2, 12, 16), fields(2))
    assert len(prediction.poses) == 0
    assert prediction.poses.frames.tolist() == [[0, 10], [0, 11]]
    assert prediction.maps.keys() == {"confmaps", "pafs"}


def test_what_instances_were_assembled_from(fake, batch, draw):
    # Frame 10 has the two animals and one peak more; frame 11 has one peak.
    pixels = [*animals(), (0, 0, 14, 10, 0.4), (1, 1, 5, 5, 0.3)]
    prediction = run(fake, batch, draw((2, 2, 12, 16), *pixels), fields(2), stride=2, eff=0.5)
    first, second = prediction.graphs
    assert len(first.points) == len(animals()) + 1
    assert len(second.points) == 1
    np.testing.assert_allclose(second.points, [[5 * 2 / 0.5, 5 * 2 / 0.5]])
    assert second.nodes.tolist() == [1]
    np.testing.assert_allclose(second.scores, [0.3])
    assert not len(second.candidates.edge)
    edges = first.candidates
    assert first.nodes[edges.source].tolist() == [0] * len(edges.edge)
    assert first.nodes[edges.destination].tolist() == [1] * len(edges.edge)
    assert len(edges.edge) == (first.nodes == 0).sum() * (first.nodes == 1).sum()
    assert prediction.pixel_sizes == {"confmaps": 2, "pafs": 2}


# ---- by class


def run_classes(
    fake,
    batch,
    confmaps,
    class_maps,
    *,
    eff=1.0,
    max_instances=None,
    peak_threshold=0.2,
    refinement=None,
    **options,
):
    model = fake(
        "multi_class_bottomup",
        lambda x: {"confmaps": confmaps, "class_maps": class_maps},
        classes=("x", "y"),
        **options,
    )
    images = batch(torch.zeros(len(confmaps), 1, 4, 4), eff)
    seen = observe_classes(images, model, peak_threshold=peak_threshold, refinements=[refinement])
    config = model.config
    poses = decode_classes(
        seen.content,
        config.skeleton,
        config.classes,
        peak_threshold=peak_threshold,
        max_instances=max_instances,
    )
    return Prediction(poses, seen.maps)


def chances(b=1, *, upper=0.2, lower=0.9, h=12, w=16):
    """Probability of the first class above and below the middle; the second has the rest."""
    first = torch.full((b, h, w), upper)
    first[:, h // 2 :] = lower
    return torch.stack([first, 1 - first], dim=1)


def test_peaks_are_grouped_by_class(fake, batch, draw):
    poses = run_classes(fake, batch, draw((1, 2, 12, 16), *animals()), chances()).poses
    assert poses.track_names == ("x", "y")
    assert poses.tracks.tolist() == [0, 1]  # in the order of classes
    assert poses.points.tolist() == [[[3, 8], [9, 8]], [[3, 2], [9, 2]]]
    np.testing.assert_allclose(poses.point_scores, [[0.7, 0.6], [0.9, 0.8]])
    np.testing.assert_allclose(poses.instance_scores, [(0.7 + 0.6) / 2, (0.9 + 0.8) / 2])
    np.testing.assert_allclose(poses.track_scores, [0.9, 1 - 0.2])


def test_scores_are_means_over_the_nodes_found(fake, batch, draw):
    poses = run_classes(fake, batch, draw((1, 2, 12, 16), (0, 0, 3, 2, 0.9)), chances()).poses
    np.testing.assert_array_equal(poses.points, [[[3, 2], [NAN, NAN]]])
    np.testing.assert_allclose(poses.point_scores, [[0.9, NAN]])
    np.testing.assert_allclose(poses.instance_scores, [0.9])
    np.testing.assert_allclose(poses.track_scores, [0.8])


def test_an_animal_that_is_not_seen_is_not_there(fake, batch, draw):
    poses = run_classes(fake, batch, draw((2, 2, 12, 16), (1, 0, 3, 2, 0.9)), chances(2)).poses
    assert poses.frame.tolist() == [11]
    assert poses.tracks.tolist() == [1]
    assert poses.frames.tolist() == [[0, 10], [0, 11]]


@pytest.mark.parametrize(("max_instances", "tracks"), [(None, [0, 1]), (1, [1]), (2, [1, 0])])
def test_the_best_animals_come_first_where_there_is_a_limit(
    fake, batch, draw, max_instances, tracks
):
    poses = run_classes(
        fake, batch, draw((1, 2, 12, 16), *animals()), chances(), max_instances=max_instances
    ).poses
    assert poses.tracks.tolist() == tracks


def test_class_maps_may_have_another_stride(fake, batch, draw):
    # Rows 5 and 8 of stride 2 are rows 2.5, rounded to even, and 4 of stride 4, whose middle is
    # row 3. Column 15 is 7.5, rounded to 8, which is beyond the last and thus clipped.
    pixels = [(0, 0, 15, 5, 0.9), (0, 0, 15, 8, 0.8)]
    poses = run_classes(
        fake,
        batch,
        draw((1, 2, 12, 16), *pixels),
        chances(h=6, w=8),
        strides={"confmaps": 2, "class_maps": 4},
    ).poses
    assert poses.tracks.tolist() == [0, 1]
    np.testing.assert_allclose(poses.points[:, 0], [[30, 16], [30, 10]])
    # Row 3 is 1.5, rounded to even, too: 2.
    first = torch.ones(1, 6, 8)
    first[:, :2] = 0
    (track,) = run_classes(
        fake,
        batch,
        draw((1, 2, 12, 16), (0, 0, 8, 3, 0.9)),
        torch.stack([first, 1 - first], 1),
        strides={"confmaps": 2, "class_maps": 4},
    ).poses.tracks
    assert track == 0


def test_classes_are_read_at_the_border_where_a_point_lies_beyond(fake, batch, draw):
    # With stride 2 beside 4 row 11 is row 5.5, rounded to 6, which is beyond the last of 6.
    maps = chances(h=6, w=8, upper=0.9, lower=0.2)
    poses = run_classes(
        fake,
        batch,
        draw((1, 2, 12, 16), (0, 0, 3, 11, 0.9)),
        maps,
        strides={"confmaps": 2, "class_maps": 4},
    ).poses
    assert poses.tracks.tolist() == [1]
    # A fainter negative neighbour moves the refined point away from it, by 0.6 / (1 - 0.6) = 1.5 px
    # to -1.5.
    by_row = torch.zeros(1, 2, 12, 16)
    by_row[:, 0], by_row[:, 1, 1:] = 0.5, 1.0
    for maps, pixel in ((by_row, (3, 0)), (by_row.transpose(2, 3), (0, 3))):
        x, y = pixel
        drawn = draw(
            (1, 2, *maps.shape[2:]), (0, 0, x, y, 1.0), (0, 0, x + (x == 0), y + (y == 0), -0.6)
        )
        poses = run_classes(fake, batch, drawn, maps, refinement=Refinement(3)).poses
        np.testing.assert_allclose(
            poses.points[:, 0], [[x - 1.5 * (x == 0), y - 1.5 * (y == 0)]], rtol=1e-5
        )
        assert poses.tracks.tolist() == [0]


def test_a_peak_at_the_threshold_is_of_no_animal(fake, batch, draw):
    pixels = [(0, 0, 3, 2, 0.5), (0, 0, 3, 8, 0.75)]
    poses = run_classes(
        fake, batch, draw((1, 2, 12, 16), *pixels), chances(), peak_threshold=0.5
    ).poses
    assert poses.points[:, 0].tolist() == [[3, 8]]


def test_animals_know_their_video(fake, batch, draw):
    model = fake(
        "multi_class_bottomup",
        lambda x: {"confmaps": draw((1, 2, 12, 16), *animals()), "class_maps": chances()},
        classes=("x", "y"),
    )
    seen = observe_classes(
        batch(torch.zeros(1, 1, 4, 4), where=[(3, 7)]),
        model,
        peak_threshold=0.2,
        refinements=[None],
    )
    poses = decode_classes(
        seen.content, model.config.skeleton, ("x", "y"), peak_threshold=0.2, max_instances=None
    )
    assert poses.video.tolist() == [3, 3]
    assert poses.frame.tolist() == [7, 7]


def test_points_of_animals_are_in_pixels_of_the_frame(fake, batch, draw):
    poses = run_classes(
        fake,
        batch,
        draw((1, 2, 12, 16), (0, 0, 3, 2, 0.9)),
        chances(),
        stride=2,
        scale=0.5,
        eff=0.75,
    ).poses
    np.testing.assert_allclose(poses.points[0, 0], [3 * 2 / 0.5 / 0.75, 2 * 2 / 0.5 / 0.75])
