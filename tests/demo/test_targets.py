import numpy as np
import torch

from scripts.demo.targets import class_maps, confidence_maps, grid, part_affinity_fields

NAN = float("nan")
ABSENT = [[NAN, NAN], [NAN, NAN]]


def test_grid_has_no_half_pixel() -> None:
    assert grid((4, 6), 2).tolist() == [[[0, 0], [2, 0], [4, 0]], [[0, 2], [2, 2], [4, 2]]]


def test_confidence_maps_take_the_nearer_animal_and_ignore_absent_ones() -> None:
    points = torch.tensor([[[[4.0, 2.0], [NAN, NAN]], [[10.0, 2.0], [0.0, 0.0]], ABSENT]])
    maps = confidence_maps(points, (4, 16), stride=2, sigma=2.0)
    assert maps.shape == (1, 2, 2, 8)
    np.testing.assert_allclose(
        maps[0, 0, 1, :6], np.exp(-(np.array([4, 2, 0, 2, 2, 0]) ** 2) / (2 * 2**2)), rtol=1e-6
    )
    assert maps[0, 1, 0, 0] == 1


def test_confidence_maps_without_animals_are_empty() -> None:
    assert (confidence_maps(torch.tensor([[ABSENT]]), (4, 4), 1, 1.0) == 0).all()


def test_part_affinity_fields_point_along_the_nearest_edge() -> None:
    points = torch.tensor([[[[0.0, 0.0], [8.0, 0.0]], [[8.0, 8.0], [0.0, 8.0]], ABSENT]])
    fields = part_affinity_fields(points, torch.tensor([[0, 1]]), (10, 12), stride=2, reach=2.0)
    assert fields.shape == (1, 2, 5, 6)
    assert fields[0, 0, :, 0].tolist() == [
        1,
        1,
        0,
        -1,
        -1,
    ]  # y = 0, 2 near the first edge, 6, 8 near the second
    assert fields[0, 0, 0].tolist() == [1, 1, 1, 1, 1, 1]  # x = 10 is 2 px past the end
    assert (fields[0, 1] == 0).all()


def test_class_maps_belong_to_the_nearest_node() -> None:
    points = torch.tensor([[[[0.0, 0.0], [NAN, NAN]], [[6.0, 0.0], [6.0, 2.0]], ABSENT]])
    maps = class_maps(points, torch.tensor([[2, 0, 0]]), 3, (4, 12), stride=2, reach=2.0)
    assert maps.shape == (1, 3, 2, 6)
    assert maps[0, :, 0].tolist() == [[0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]
