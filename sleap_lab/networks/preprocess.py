"""Image space to network space and back.

There are three spaces. *Image* is the frame as the camera delivered it. *Network* is what the
network sees: the image resized and padded to the size of training ("size-matched", factor `eff`),
then resized by `scale`, then padded to a multiple of the largest stride. *Map* is the network's
output, `stride` times smaller. Padding is at the bottom and right, so a point changes by factors
only:

    image = map * stride / scale / eff

Images stay uint8 until the network, because resizing uint8 is exact to the last bit across tools.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sleap_lab.errors import RunError

MAX_PIXELS = 2**28
"""Pixels of the largest image that is made for a network: configs may ask for any size."""
GRAY_WEIGHTS = (0.2989, 0.587, 0.114)
"""Of red, green and blue, as training has them."""


@dataclass(frozen=True)
class ImageSpec:
    """How every frame is prepared before it enters a pipeline.

    Attributes:
        max_height: Height to resize and pad to, px; None keeps the frame's own.
        max_width: Width likewise.
        ensure_rgb: Repeat a single channel three times.
        ensure_grayscale: Weigh three channels into one.
    """

    max_height: int | None = None
    max_width: int | None = None
    ensure_rgb: bool = False
    ensure_grayscale: bool = False

    def matched_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of a size-matched frame, px."""
        return self.max_height or height, self.max_width or width


def prepare(images: Tensor, spec: ImageSpec) -> tuple[Tensor, float]:
    """Size-match frames of one size and convert their channels.

    Args:
        images: (b, h, w, c) frames, image space.
        spec: Target size and channels.

    Returns:
        (b, c, height, width) tensor of the same type, size-matched, and the resize factor `eff`.
    """
    # Channels stay last in memory, which resizing needs.
    matched, eff = match_size(images.movedim(-1, -3), spec.max_height, spec.max_width)
    return convert_channels(matched, spec), eff


def match_size(
    image: Tensor, max_height: int | None, max_width: int | None
) -> tuple[Tensor, float]:
    """Resize (…, c, h, w) up or down to fit height x width, keep the aspect, and pad with zeros."""
    h, w = image.shape[-2:]
    height, width = max_height or h, max_width or w
    if (h, w) == (height, width):
        return image, 1.0
    eff = min(height / h, width / w)
    _refuse_giant(height, width)
    image = resize(image, round(h * eff), round(w * eff))
    return F.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2])), eff


def convert_channels(image: Tensor, spec: ImageSpec) -> Tensor:
    """Convert (…, c, h, w) to three channels or to one; gray values of integers are truncated."""
    if spec.ensure_rgb and image.shape[-3] != 3:
        return torch.cat([image[..., :1, :, :]] * 3, dim=-3)
    if spec.ensure_grayscale and not spec.ensure_rgb and image.shape[-3] == 3:
        return to_gray(image).to(image.dtype)
    return image


def to_gray(images: Tensor) -> Tensor:
    """Weigh the three channels of (…, 3, h, w) into one, as float (…, 1, h, w)."""
    red, green, blue = (
        weight * images[..., i : i + 1, :, :] for i, weight in enumerate(GRAY_WEIGHTS)
    )
    return red + green + blue


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """Resize (c, h, w) or (b, c, h, w) bilinearly with antialiasing; uint8 stays uint8.

    Both sides are at least 1 px.
    """
    batch = images if images.ndim == 4 else images[None]
    height, width = max(height, 1), max(width, 1)
    _refuse_giant(height, width)
    if batch.shape[-2:] == (height, width):
        return images
    if batch.dtype == torch.uint8 and batch.device.type != "cpu":
        batch = resize_bytes(batch, height, width)  # PyTorch resizes them on processors only
    elif batch.dtype == torch.uint8 and batch.shape[1] == 1:
        batch = _resize_gray_bytes(batch, height, width)
    else:
        batch = _interpolate(batch, height, width)
    return batch if images.ndim == 4 else batch[0]


def _resize_gray_bytes(images: Tensor, height: int, width: int) -> Tensor:
    """Resize (b, 1, h, w) uint8 on a processor, four images as the channels of one.

    PyTorch resizes pixels of four bytes, and takes longer than that to make such pixels of others.
    OpenCV makes them in a fifth of the time.
    """
    planes = list(images[:, 0].numpy())
    resized: list[np.ndarray] = []
    for begin in range(0, len(planes), 4):
        four = planes[begin : begin + 4]
        pixels = torch.from_numpy(cv2.merge([*four, *four[:1] * (4 - len(four))]))
        # Only `view` gives the first axis the stride by which PyTorch knows channels as last.
        small = _interpolate(pixels.view(1, *pixels.shape).movedim(-1, 1), height, width)
        resized += cv2.split(small[0].movedim(0, -1).numpy())[: len(four)]
    return torch.from_numpy(np.stack(resized))[:, None]


def _interpolate(images: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(
        images, size=(height, width), mode="bilinear", align_corners=False, antialias=True
    )


def resize_bytes(images: Tensor, height: int, width: int) -> Tensor:
    """Resize (b, c, h, w) uint8 as PyTorch does on a processor, to the last bit, on any device.

    Columns come first, then rows; each rounds to bytes.
    """
    for axis, size in ((-1, width), (-2, height)):
        if images.shape[axis] != size:
            sources, weights, bits = _fixed_point_weights(images.shape[axis], size, images.device)
            shape = (-1, 1) if axis == -2 else (-1,)
            total = torch.full((), 1 << (bits - 1), dtype=torch.int32, device=images.device)
            for source, weight in zip(sources, weights, strict=True):
                pixels = images.index_select(axis, source).int()
                total = total + pixels * weight.view(shape)
            images = (total >> bits).clamp(0, 255).to(torch.uint8)
    return images


@lru_cache
def _fixed_point_weights(
    before: int, after: int, device: torch.device
) -> tuple[Tensor, Tensor, int]:
    """Return how pixels of one axis are weighed when it is resized with antialiasing.

    The formulas are those of PyTorch's `_compute_index_ranges_int16_weights`: a triangle, in
    fixed-point numbers of 16 bits.

    Returns:
        sources (taps, after) int64, pixels that each new pixel is made from; weights (taps, after)
        int32; both on the device; number of bits behind the point.
    """
    scale = before / after
    support = max(scale, 1.0)
    taps = math.ceil(support) * 2 + 1
    centre = scale * (np.arange(after) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + support + 0.5).astype(np.int64), before) - first
    steps = np.arange(taps)[:, None]
    distance = (steps + first - centre + 0.5) / support
    weights = np.where(steps < count, np.maximum(1 - np.abs(distance), 0), 0.0)
    weights /= weights.sum(axis=0)
    bits = next(n for n in range(22, -1, -1) if n == 0 or _fits(weights.max(), n))
    rounded = np.floor(weights * (1 << bits) + 0.5).astype(np.int32)
    sources = np.minimum(steps + first, before - 1)
    return torch.from_numpy(sources).to(device), torch.from_numpy(rounded).to(device), bits


def _fits(weight: float, bits: int) -> bool:
    """Return whether a weight with some bits behind the point fits into 16 bits."""
    return int(0.5 + weight * (1 << bits)) < 1 << 15


def _refuse_giant(height: int, width: int) -> None:
    """Refuse a size that is too large for a network; the config of a model can contain any size.

    Raises:
        RunError: It is such a size.
    """
    if height * width > MAX_PIXELS:
        raise RunError(
            f"images would be resized to {height}x{width} px; accepted: up to {MAX_PIXELS} px. "
            "preprocessing.max_height, max_width and input_scale, "
            "or the training config of the model, ask for it"
        )


def scale_and_pad(images: Tensor, scale: float, stride: int) -> Tensor:
    """Resize (b, c, h, w) by `scale` (sizes truncated), pad with zeros to multiples of `stride`."""
    h, w = images.shape[-2:]
    images = resize(images, int(h * scale), int(w * scale))
    h, w = images.shape[-2:]
    right, bottom = -w % stride, -h % stride
    return F.pad(images, (0, right, 0, bottom)) if right or bottom else images


def to_float(images: Tensor) -> Tensor:
    """Return float32, 1 being white: bytes are divided by 255, fractions are so already."""
    return images.float() if images.is_floating_point() else images.float().div_(255)


def crop_corners(centroids: np.ndarray, size: int) -> np.ndarray:
    """Return the top-left corners (n, 2) float32 of square crops around centroids (n, 2).

    All are in size-matched px. A crop of n pixels spans n - 1 from the first pixel centre to the
    last, hence the half pixel.
    """
    return (centroids.astype(np.float32) - np.float32(size / 2) + np.float32(0.5)).astype(
        np.float32
    )


def crop_origins(corners: np.ndarray, size: int) -> np.ndarray:
    """Return the first pixels (n, 2) int64 of crops whose corners are (n, 2), size-matched px."""
    # Truncation toward zero after adding half a crop is the floor if the centroid is in the image.
    return np.trunc(corners + size // 2).astype(np.int64) - size // 2


def cut_crops(images: Tensor, samples: np.ndarray, corners: np.ndarray, size: int) -> Tensor:
    """Cut square crops at whole pixels, zero outside the image.

    Args:
        images: (b, c, h, w), size-matched.
        samples: (n,) index of the image each crop comes from.
        corners: (n, 2) top-left corner (x, y), size-matched px; the pixel grid starts at its
            integer part.
        size: Side of the crops, px.

    Returns:
        (n, c, size, size) crops of the same type.
    """
    crops = images.new_zeros((len(samples), images.shape[1], size, size))
    h, w = images.shape[-2:]
    for crop, sample, (x, y) in zip(crops, samples, crop_origins(corners, size), strict=True):
        top, left, bottom, right = max(y, 0), max(x, 0), min(y + size, h), min(x + size, w)
        if top < bottom and left < right:
            crop[:, top - y : bottom - y, left - x : right - x] = images[
                sample, :, top:bottom, left:right
            ]
    return crops


def crop_places(
    samples: np.ndarray, corners: np.ndarray, size: int, shape: tuple[int, int]
) -> np.ndarray:
    """Return where `gather_crops` finds crops: sample, row and column (n, 3) int64.

    Rows and columns count from a border of `size` px around the images. The first three arguments
    are those of `cut_crops`, `shape` is the height and width of the images.
    """
    origins = crop_origins(corners, size)[:, ::-1]
    places = np.clip(origins + size, 0, np.add(shape, size))  # far outside is all black, too
    return np.concatenate([np.asarray(samples, dtype=np.int64)[:, None], places], axis=1)


def gather_crops(images: Tensor, places: Tensor, size: int) -> Tensor:
    """Cut the crops of `cut_crops` with one operation, as accelerators need it.

    A processor copies slices faster.

    Args:
        images: (b, c, h, w), size-matched.
        places: (n, 3) result of `crop_places`, on the device of the images.
        size: Side of the crops, px.
    """
    windows = F.pad(images, (size,) * 4).unfold(2, size, 1).unfold(3, size, 1)
    sample, row, column = places.unbind(dim=1)
    return windows[sample, :, row, column]
