import numpy as np
import pytest
import torch

from sleap_lab.decode.peaks import Refinement
from sleap_lab.pipelines.model import Prediction
from sleap_lab.pipelines.single_instance import decode_global_peaks, observe_global_peaks

NAN = np.nan


def run(fake, batch, maps, *, peak_threshold=0.2, refinement=None, eff=1.0, **options):
    model = fake("single_instance", lambda x: {"confmaps": maps}, **options)
    seen = observe_global_peaks(
        batch(torch.zeros(len(maps), 1, 4, 4), eff), model, refinements=[refinement]
    )
    return Prediction(
        decode_global_peaks(
            seen.content, model.config.skeleton, peak_threshold=peak_threshold, refinement=0
        ),
        seen.maps,
    )


def test_one_instance_per_frame(fake, batch, draw):
    maps = draw(
        (2, 2, 8, 9), (0, 0, 3, 2, 0.9), (0, 1, 8, 7, 0.5), (1, 0, 0, 0, 2.5), (1, 1, 4, 4, 0.25)
    )
    poses = run(fake, batch, maps).poses
    assert poses.frame.tolist() == [10, 11]
    assert poses.points.tolist() == [[[3, 2], [8, 7]], [[0, 0], [4, 4]]]
    np.testing.assert_allclose(poses.point_scores, [[0.9, 0.5], [2.5, 0.25]])
    np.testing.assert_allclose(poses.instance_scores, [0.9 + 0.5, 2.5 + 0.25])
    assert poses.tracks.tolist() == [-1, -1]
    assert not poses.user.any()


def test_a_missing_node_is_nan_and_scores_0(fake, batch, draw):
    poses = run(fake, batch, draw((1, 2, 8, 9), (0, 0, 3, 2, 0.9), (0, 1, 8, 7, 0.1))).poses
    np.testing.assert_array_equal(poses.points, [[[3, 2], [NAN, NAN]]])
    np.testing.assert_allclose(poses.point_scores, [[0.9, 0]])
    np.testing.assert_allclose(poses.instance_scores, [0.9])


@pytest.mark.parametrize(
    ("threshold", "kept"), [(0.7, True), (0.7 - 2**-10, True), (0.7 + 2**-10, False), (-1.0, True)]
)
def test_a_node_on_the_threshold_is_kept(fake, batch, draw, threshold, kept):
    # 0.7 is smaller as a float32: both sides are compared as such.
    poses = run(
        fake,
        batch,
        draw((1, 2, 8, 9), (0, 0, 3, 2, 0.9), (0, 1, 8, 7, 0.7)),
        peak_threshold=threshold,
    ).poses
    assert poses.visible.tolist() == [[True, kept]]


def test_a_frame_without_any_node_is_empty(fake, batch, draw):
    poses = run(fake, batch, draw((3, 2, 8, 9), (1, 0, 3, 2, 0.9))).poses
    assert poses.frame.tolist() == [11]
    assert poses.frames.tolist() == [[0, 10], [0, 11], [0, 12]]


@pytest.mark.parametrize(
    ("stride", "scale", "eff", "expected"),
    [
        (1, 1.0, 1.0, [3, 2]),
        (4, 1.0, 1.0, [3 * 4, 2 * 4]),
        (4, 0.5, 1.0, [3 * 4 / 0.5, 2 * 4 / 0.5]),
        (2, 0.5, 0.75, [3 * 2 / 0.5 / 0.75, 2 * 2 / 0.5 / 0.75]),
    ],
)
def test_points_are_in_pixels_of_the_frame(fake, batch, draw, stride, scale, eff, expected):
    maps = draw((1, 2, 8, 9), (0, 0, 3, 2, 0.9))
    poses = run(fake, batch, maps, stride=stride, scale=scale, eff=eff).poses
    np.testing.assert_allclose(poses.points[0, 0], expected)


def test_every_frame_has_its_own_factor(fake, batch, draw):
    maps = draw((2, 2, 8, 9), (0, 0, 3, 2, 0.9), (1, 0, 3, 2, 0.9))
    poses = run(fake, batch, maps, eff=[0.5, 2.0]).poses
    assert poses.points[:, 0].tolist() == [[6, 4], [1.5, 1]]


def test_points_are_refined_where_asked(fake, batch, draw):
    maps = draw((1, 2, 8, 9), (0, 0, 3, 2, 0.75), (0, 0, 4, 2, 0.25))
    poses = run(fake, batch, maps, refinement=Refinement(3), stride=2).poses
    np.testing.assert_allclose(poses.points[0, 0], [2 * (3 + 0.25 / (0.75 + 0.25)), 2 * 2])
    np.testing.assert_allclose(poses.point_scores[0, 0], 0.75)  # of the pixel


def test_maps_are_handed_on(fake, batch, draw):
    maps = draw((1, 2, 8, 9), (0, 0, 3, 2, 0.9))
    assert torch.equal(run(fake, batch, maps).maps["confmaps"], maps)
