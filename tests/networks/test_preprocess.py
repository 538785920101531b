import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from sleap_lab.errors import RunError
from sleap_lab.networks.preprocess import (
    ImageSpec,
    convert_channels,
    crop_corners,
    crop_places,
    cut_crops,
    gather_crops,
    match_size,
    prepare,
    resize,
    resize_bytes,
    scale_and_pad,
    to_float,
)


def image(h, w, c=1, value=100):
    return torch.full((c, h, w), value, dtype=torch.uint8)


def ramp(h, w):
    """An image whose pixel (x, y) is x + 10 y."""
    return (torch.arange(w)[None, :] + 10 * torch.arange(h)[:, None]).to(torch.uint8)[None]


# ---- size matching


@pytest.mark.parametrize(
    ("size", "target", "eff", "resized"),
    [
        ((384, 384), (384, 384), 1, (384, 384)),
        ((384, 384), (None, None), 1, (384, 384)),
        ((100, 200), (50, 50), 50 / 200, (25, 50)),  # the tighter side decides
        ((100, 200), (150, 600), 150 / 100, (150, 300)),  # small images are enlarged
        ((100, 200), (None, 50), 50 / 200, (25, 50)),  # the other side keeps the frame's own size
        ((100, 200), (None, 300), 1, (100, 200)),  # so that it can shrink but never grow
        ((100, 200), (50, None), 50 / 100, (50, 100)),
        ((5, 10), (10, 5), 5 / 10, (2, 5)),  # 5 * 1/2 = 2.5: half to even
        ((7, 10), (10, 5), 5 / 10, (4, 5)),  # 7 * 1/2 = 3.5: half to even
        ((2, 90), (9, 9), 9 / 90, (1, 9)),  # 2 * 1/10 = 0.2: no image without a pixel
    ],
)
def test_size_matching(size, target, eff, resized):
    matched, factor = match_size(image(*size), *target)
    assert factor == eff
    assert matched.shape[-2:] == (target[0] or size[0], target[1] or size[1])
    rows, columns = matched[0].nonzero(as_tuple=True)
    assert (
        int(rows.max()) + 1,
        int(columns.max()) + 1,
    ) == resized  # padding is black, at the bottom and the right
    assert (matched[0, : resized[0], : resized[1]] == 100).all()
    assert matched.dtype == torch.uint8


def test_an_image_of_the_right_size_is_left_alone():
    original = ramp(4, 6)
    matched, _ = match_size(original, 4, 6)
    assert matched is original


@given(
    h=st.integers(4, 40),
    w=st.integers(4, 40),
    height=st.none() | st.integers(4, 40),
    width=st.none() | st.integers(4, 40),
)
def test_any_size_is_matched_without_distortion(h, w, height, width):
    matched, eff = match_size(image(h, w), height, width)
    assert matched.shape == (1, height or h, width or w)
    assert eff == min((height or h) / h, (width or w) / w)


# ---- channels


@pytest.mark.parametrize(
    ("channels", "spec", "expected"),
    [
        (1, ImageSpec(), 1),
        (3, ImageSpec(), 3),
        (1, ImageSpec(ensure_rgb=True), 3),
        (3, ImageSpec(ensure_rgb=True), 3),
        (1, ImageSpec(ensure_grayscale=True), 1),
        (3, ImageSpec(ensure_grayscale=True), 1),
        (1, ImageSpec(ensure_rgb=True, ensure_grayscale=True), 3),  # colour wins
        (3, ImageSpec(ensure_rgb=True, ensure_grayscale=True), 3),
    ],
)
def test_number_of_channels(channels, spec, expected):
    converted = convert_channels(image(2, 3, channels), spec)
    assert converted.shape == (expected, 2, 3)
    assert converted.dtype == torch.uint8


def test_a_channel_is_repeated():
    converted = convert_channels(ramp(2, 3), ImageSpec(ensure_rgb=True))
    assert all(torch.equal(channel, ramp(2, 3)[0]) for channel in converted)


@pytest.mark.parametrize(
    ("colour", "gray"),
    [
        ((255, 255, 255), 254),  # 0.9999 * 255 = 254.97, truncated
        ((0, 0, 0), 0),
        ((100, 0, 0), 29),  # 29.89
        ((0, 100, 0), 58),  # 58.7
        ((0, 0, 100), 11),  # 11.4
        ((10, 20, 30), 18),  # 2.989 + 11.74 + 3.42 = 18.149
    ],
)
def test_gray_values_are_truncated(colour, gray):
    pixel = torch.tensor(colour, dtype=torch.uint8)[:, None, None]
    assert convert_channels(pixel, ImageSpec(ensure_grayscale=True)).item() == gray


def test_gray_values_of_float_images_are_not():
    pixel = torch.tensor([10.0, 20.0, 30.0])[:, None, None]
    assert convert_channels(pixel, ImageSpec(ensure_grayscale=True)).item() == pytest.approx(18.149)


def test_preparing_a_frame_matches_its_size_and_its_channels():
    frame = np.zeros((4, 8, 3), dtype=np.uint8)
    frame[:, 4:, 0] = 200  # the right half is red
    frames = torch.from_numpy(np.stack([frame, np.zeros_like(frame)]))
    prepared, eff = prepare(frames, ImageSpec(max_height=8, max_width=8, ensure_grayscale=True))
    assert (prepared.shape, eff) == ((2, 1, 8, 8), 1.0)
    assert prepared[0, 0, 0].tolist() == [0] * 4 + [59] * 4  # 0.2989 * 200 = 59.78
    assert prepared[0, 0, 4:].max() == prepared[1].max() == 0


# ---- resizing, scaling, padding


def test_resizing_takes_images_and_batches():
    one = resize(ramp(8, 12), 4, 6)
    many = resize(torch.stack([ramp(8, 12), image(8, 12)]), 4, 6)
    assert one.shape == (1, 4, 6)
    assert many.shape == (2, 1, 4, 6)
    assert torch.equal(many[0], one)
    assert one.dtype == torch.uint8


@pytest.mark.parametrize("count", [1, 3, 4, 9])
@pytest.mark.parametrize("size", [(8, 15), (1, 1), (40, 34)])
def test_gray_images_are_resized_together_as_one_by_one(count, size):
    frames = torch.randint(0, 256, (count, 21, 34, 1), dtype=torch.uint8)
    images = frames.movedim(-1, 1)
    one_by_one = [
        F.interpolate(image[None], size=size, mode="bilinear", antialias=True) for image in images
    ]
    assert torch.equal(resize(images, *size), torch.cat(one_by_one))


def test_resizing_to_half_averages_away_from_the_border():
    # Antialiased halving weighs 4 pixels 1 3 3 1. On a ramp that is the mean of the middle two,
    # x = 2i + 1/2.
    halved = resize(torch.arange(0, 160, 10, dtype=torch.float32).expand(1, 8, 16), 4, 8)
    assert halved[0, 0, 1:-1].tolist() == pytest.approx([10 * (2 * i + 0.5) for i in range(1, 7)])


@given(
    size=st.tuples(st.integers(2, 60), st.integers(2, 60)),
    target=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_other_devices_resize_bytes_as_pytorch_does_on_a_processor(size, target, channels, seed):
    values = np.random.default_rng(seed).integers(0, 256, (2, channels, *size), dtype=np.uint8)
    images = torch.from_numpy(values)
    assert torch.equal(resize_bytes(images, *target), resize(images, *target))


@pytest.mark.parametrize(("before", "after"), [(100, 1), (3000, 20), (1, 50), (20, 2000)])
@pytest.mark.parametrize("value", [1, 254, 255])
def test_even_images_stay_even_when_bytes_are_resized_far(before, after, value):
    images = torch.full((1, 1, before, before), value, dtype=torch.uint8)
    assert resize_bytes(images, after, after).unique().tolist() == [value]


@pytest.mark.parametrize(
    ("size", "scale", "stride", "expected"),
    [
        ((384, 384), 1.0, 16, (384, 384)),
        ((385, 384), 1.0, 16, (400, 384)),
        ((320, 560), 0.5, 4, (160, 280)),
        ((5, 7), 0.5, 1, (2, 3)),  # 2.5 and 3.5, truncated
        ((5, 7), 0.5, 4, (4, 4)),
        ((10, 10), 1.5, 8, (16, 16)),
        ((1, 1), 1.0, 32, (32, 32)),
        ((9, 9), 0.1, 4, (4, 4)),  # 0.9: no image without a pixel
    ],
)
def test_scaling_and_padding(size, scale, stride, expected):
    padded = scale_and_pad(image(*size)[None], scale, stride)
    assert padded.shape == (1, 1, *expected)
    h, w = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
    assert (padded[..., :h, :w] == 100).all()
    assert (padded[..., h:, :] == 0).all()
    assert (padded[..., w:] == 0).all()


# ---- numbers


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (torch.tensor([0, 51, 255], dtype=torch.uint8), [0, 0.2, 1]),
        (torch.tensor([0, 1], dtype=torch.uint8), [0, 1 / 255]),  # dark, but whole numbers
        (torch.tensor([0.0, 0.5, 1.0]), [0, 0.5, 1]),  # fractions are what they should be
        (torch.tensor([0.0, 1.5], dtype=torch.float64), [0, 1.5]),  # brighter than white
        (torch.zeros(0), []),
    ],
)
def test_to_float(values, expected):
    converted = to_float(values)
    assert converted.dtype == torch.float32
    assert converted.tolist() == pytest.approx(expected)


# ---- crops


@pytest.mark.parametrize(
    ("centroid", "size", "corner", "offset"),
    [
        (40.0, 10, 40 - 5 + 0.5, 0.5),
        (40.3, 10, 40.3 - 5 + 0.5, 0.8),
        (40.5, 10, 40.5 - 5 + 0.5, 0),
        (40.6, 10, 40.6 - 5 + 0.5, 0.1),
        (40.0, 11, 40 - 5.5 + 0.5, 0),  # an odd crop has a middle pixel
        (40.25, 11, 40.25 - 5.5 + 0.5, 0.25),
        (2.0, 10, 2 - 5 + 0.5, 0.5),  # reaches over the border
        (-0.3, 10, -0.3 - 5 + 0.5, 0.2),  # the centroid itself is outside
    ],
)
def test_pixels_are_cut_at_the_whole_part_of_the_corner(centroid, size, corner, offset):
    (found,) = crop_corners(np.array([[centroid, centroid]]), size)
    assert found.tolist() == pytest.approx([corner, corner], abs=1e-5)
    assert found.dtype == np.float32
    # The pixels of the image give their column, so the crop shows where it was cut. The 60 that is
    # added tells zeros from padding.
    x = (torch.arange(64) + 60).to(torch.uint8).expand(1, 1, 64, 64)
    (crop,) = cut_crops(x, np.array([0]), found[None], size)
    row = crop[0, size // 2]
    origin = int(row[row > 0][-1]) - 60 - (size - 1)
    assert corner - origin == pytest.approx(offset, abs=1e-5)


def test_a_crop_is_a_window_of_its_own_image():
    images = torch.stack([ramp(8, 9), ramp(8, 9) + 100])
    crops = cut_crops(images, np.array([1, 0]), np.array([[2.5, 1.5], [5.0, 4.0]]), 3)
    assert crops.shape == (2, 1, 3, 3)
    assert torch.equal(crops[0], images[1, :, 1:4, 2:5])
    assert torch.equal(crops[1], images[0, :, 4:7, 5:8])
    assert crops.dtype == torch.uint8


def test_outside_of_the_image_is_black():
    images = image(4, 4, value=7)[None]
    (crop,) = cut_crops(images, np.array([0]), np.array([[-2.0, 2.0]]), 4)
    assert crop[0].tolist() == [[0, 0, 7, 7], [0, 0, 7, 7], [0] * 4, [0] * 4]


@pytest.mark.parametrize(
    "corner", [[-50.0, 0.0], [50.0, 0.0], [0.0, -50.0], [0.0, 50.0], [1e6, 1e6]]
)
def test_a_crop_beside_the_image_is_black(corner):
    assert cut_crops(image(4, 4)[None], np.array([0]), np.array([corner]), 4).max() == 0


def test_no_crops():
    assert crop_corners(np.zeros((0, 2)), 4).shape == (0, 2)
    assert cut_crops(image(4, 4)[None], np.zeros(0, dtype=int), np.zeros((0, 2)), 4).shape == (
        0,
        1,
        4,
        4,
    )


@given(
    centroids=arrays(
        np.float64, st.tuples(st.integers(0, 4), st.just(2)), elements=st.floats(-8, 24)
    ),
    size=st.integers(1, 12),
)
def test_crops_are_windows_of_the_padded_image(centroids, size):
    picture, margin = ramp(15, 16), 40
    padded = np.pad(picture[0].numpy(), margin)
    corners = crop_corners(centroids, size)
    crops = cut_crops(picture[None], np.zeros(len(centroids), dtype=int), corners, size)
    for (x, y), crop in zip(corners, crops, strict=True):
        # Truncated, not floored, where even the first half of the crop is outside.
        left, top = (int(np.trunc(c + size // 2)) - size // 2 + margin for c in (x, y))
        np.testing.assert_array_equal(crop[0].numpy(), padded[top : top + size, left : left + size])


@pytest.mark.parametrize(
    "spec", [ImageSpec(10**6, 10**6), ImageSpec(max_height=10**9), ImageSpec(max_width=10**9)]
)
def test_images_of_gigabytes_are_refused(spec):
    with pytest.raises(
        RunError,
        match=r"images would be resized to [0-9]+x[0-9]+ px; accepted: up to 268435456 px\. "
        r"preprocessing\.max_height",
    ):
        prepare(torch.zeros((1, 4, 4, 1), dtype=torch.uint8), spec)


def test_giant_scales_are_refused():
    with pytest.raises(RunError, match="images would be resized to 4000000x4000000 px"):
        scale_and_pad(torch.zeros(1, 1, 4, 4), 1e6, 16)


# ---- there and back


@pytest.mark.parametrize("target", [(None, None), (60, 90), (45, 45), (None, 50)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.5])
def test_a_spot_is_found_where_it_was(target, scale):
    """A spot at p in the image is at p * eff * scale in the network, within half a pixel."""
    h, w, where = 60, 90, np.array([41.0, 22.0])
    y, x = np.mgrid[:h, :w]
    spot = 200 * np.exp(-((x - where[0]) ** 2 + (y - where[1]) ** 2) / (2 * 4**2))
    frames = torch.from_numpy(spot[None, ..., None].astype(np.uint8))
    prepared, eff = prepare(frames, ImageSpec(*target))
    seen = scale_and_pad(prepared, scale, 16)[0, 0].double().numpy()
    rows, columns = np.mgrid[: seen.shape[0], : seen.shape[1]]
    found = np.array([(columns * seen).sum(), (rows * seen).sum()]) / seen.sum()
    # Pixel centres are half a pixel off a factor: p becomes (p + 1/2) eff scale - 1/2. Sizes are
    # whole numbers, hence the tolerance.
    np.testing.assert_allclose(found, (where + 0.5) * eff * scale - 0.5, atol=0.3)
    np.testing.assert_allclose(
        found / scale / eff, where, atol=(0.5 * abs(1 - eff * scale) + 0.3) / (eff * scale)
    )


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 6),
    size=st.integers(1, 12),
    channels=st.sampled_from([1, 3]),
)
def test_crops_of_one_operation_are_those_cut_one_by_one(seed, count, size, channels):
    """Some of them lie partly or wholly beyond the image."""
    draw = np.random.default_rng(seed)
    images = torch.from_numpy(draw.integers(0, 256, (3, channels, 9, 14), dtype=np.uint8))
    samples, corners = draw.integers(0, 3, count), draw.uniform(-20, 25, (count, 2))
    places = torch.from_numpy(crop_places(samples, corners, size, (9, 14)))
    gathered = gather_crops(images, places, size)
    assert gathered.dtype == torch.uint8
    assert torch.equal(gathered, cut_crops(images, samples, corners, size))
