"""Image space to network space and back.

There are three spaces. *Image* is the frame as the camera delivered it. *Network* is what the
network sees: the image resized and padded to the size of training ("size-matched", factor `eff`),
then resized by `scale`, then padded to a multiple of the largest stride. *Map* is the network's
output, `stride` times smaller. Padding is at the bottom and right, so a point changes by factors
only:

    image = map * stride / scale / eff

Images stay uint8 until the network, because resizing uint8 is exact to the last bit across tools.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from sleap_lab.errors import RunError

MAX_PIXELS = 2**28
GRAY_WEIGHTS = (0.2989, 0.587, 0.114)


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


def prepare(image: np.ndarray, spec: ImageSpec) -> tuple[Tensor, float]:
    """Size-match a frame and convert its channels.

    Args:
        image: (h, w, c) frame, image space.
        spec: Target size and channels.

    Returns:
        (c, height, width) tensor of the same type, size-matched, and the resize factor `eff`.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)
    tensor, eff = match_size(tensor, spec.max_height, spec.max_width)
    return convert_channels(tensor, spec), eff


def match_size(
    image: Tensor, max_height: int | None, max_width: int | None
) -> tuple[Tensor, float]:
    """Resize (c, h, w) up or down to fit height x width, keep the aspect, and pad with zeros."""
    h, w = image.shape[-2:]
    height, width = max_height or h, max_width or w
    if (h, w) == (height, width):
        return image, 1.0
    eff = min(height / h, width / w)
    _refuse_giant(height, width)
    image = resize(image, round(h * eff), round(w * eff))
    return F.pad(image, (0, width - image.shape[-1], 0, height - image.shape[-2])), eff


def convert_channels(image: Tensor, spec: ImageSpec) -> Tensor:
    """Convert (c, h, w) to three channels or to one; gray values of integers are truncated."""
    if spec.ensure_rgb and image.shape[0] != 3:
        return image[:1].repeat(3, 1, 1)
    if spec.ensure_grayscale and not spec.ensure_rgb and image.shape[0] == 3:
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
    if batch.shape[-2:] != (height, width):
        batch = F.interpolate(
            batch, size=(height, width), mode="bilinear", align_corners=False, antialias=True
        )
    return batch if images.ndim == 4 else batch[0]


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
    return F.pad(images, (0, -w % stride, 0, -h % stride))


def to_float(images: Tensor) -> Tensor:
    """Return float32, 1 being white: bytes are divided by 255, fractions are so already."""
    return images.float() if images.is_floating_point() else images.float() / 255


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
