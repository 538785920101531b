from dataclasses import replace

import numpy as np
import pytest
import torch


def test_images_are_scaled_padded_and_turned_into_fractions(fake):
    seen = []
    model = fake("centroid", lambda x: seen.append(x) or {"confmaps": x}, scale=0.5)
    model = replace(model, config=replace(model.config, max_stride=8))
    maps = model(torch.full((2, 1, 20, 40), 51, dtype=torch.uint8))
    (x,) = seen
    assert x.shape == (2, 1, 16, 24)  # 10 x 20, padded to multiples of 8
    assert x.dtype == torch.float32
    assert x[..., :10, :20].unique().tolist() == pytest.approx([51 / 255])
    assert x[..., 10:, :].max() == 0
    assert maps["confmaps"].shape == x.shape


def test_maps_need_no_gradient(fake):
    weight = torch.ones(1, requires_grad=True)
    model = fake(
        "centroid",
        lambda x: {"confmaps": x * weight, "class_vectors": x.mean(dim=(-2, -1)) * weight},
    )
    assert not any(value.requires_grad for value in model(torch.rand(1, 1, 4, 4)).values())


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_maps_are_float32_in_any_precision(fake, precision):
    convolution = torch.nn.Conv2d(1, 1, 1)
    seen = []
    model = replace(
        fake("centroid", lambda x: {"confmaps": seen.append(convolution(x)) or convolution(x)}),
        precision=precision,
    )
    assert model(torch.rand(1, 1, 4, 4))["confmaps"].dtype == torch.float32
    assert seen[0].dtype == {"32": torch.float32, "bf16": torch.bfloat16}[precision]


@pytest.mark.parametrize(
    ("stride", "scale", "expected"),
    [(1, 1.0, [3, 5]), (4, 1.0, [12, 20]), (4, 0.5, [24, 40]), (2, 2.0, [3, 5])],
)
def test_points_of_a_map_in_pixels_of_the_image(fake, stride, scale, expected):
    model = fake("centroid", None, stride=stride, scale=scale)
    assert model.to_image(np.array([3.0, 5.0]), "confmaps").tolist() == expected
