"""Appearance: what the image shows around each detection, turned the way the animal is turned."""

from collections.abc import Callable

import cv2
import numpy as np

from sleap_lab.poses.boxes import bounding_boxes

SIDE = 16  # px, side of a patch for animals of any size
SMALLEST = 32.0  # px of the image, smallest side that a patch covers
# The border of a patch often shows background or another animal.
HANN = np.hanning(SIDE + 2)[1:-1]
WINDOW = np.outer(HANN, HANN)[..., None]


class Appearance:
    """Patches of the image around detections; keeps those of the last request.

    Patches of all poses are turned alike, so that an animal looks the same in every direction of
    movement. They are as large as the median pose.

    Args:
        read_image: Takes a frame index, returns the image, (h, w, c) uint8.
        points: (n, nodes, 2) px, image space, all poses of a video; nan where a node was not found.
        frame: (n,) frame index of each.
    """

    def __init__(
        self, read_image: Callable[[int], np.ndarray], points: np.ndarray, frame: np.ndarray
    ) -> None:
        self.read_image = read_image
        self.frame = frame
        self.centers, self.turns = placed(points)
        boxes = bounding_boxes(points)
        diagonals = np.hypot(*(boxes[:, 2:] - boxes[:, :2]).T)
        known = diagonals[~np.isnan(diagonals)]
        self.extent = max(SMALLEST, float(np.median(known)) if len(known) else 0.0)
        self.patches: dict[int, np.ndarray] = {}

    def describe(self, rows: np.ndarray) -> np.ndarray:
        """Return the patches of detections.

        Args:
            rows: (...) rows of the poses; -1 for none.

        Returns:
            (..., d) grey levels or colours without their mean, of length 1; nan for none, for a
            pose without a visible node and where the image is of one colour.
        """
        wanted = np.unique(rows[rows >= 0])
        self.patches = {row: self.patches[row] for row in wanted.tolist() if row in self.patches}
        missing = np.array(
            [row for row in wanted.tolist() if row not in self.patches], dtype=np.intp
        )
        for frame in np.unique(self.frame[missing]).tolist():
            image = np.asarray(self.read_image(frame))
            for row in missing[self.frame[missing] == frame].tolist():
                self.patches[row] = self._patch(image, row)
        size = len(next(iter(self.patches.values())))
        table = np.stack([*self.patches.values(), np.full(size, np.nan, dtype=np.float32)])
        place = {row: i for i, row in enumerate(self.patches)} | {-1: len(self.patches)}
        return table[[place[row] for row in rows.ravel().tolist()]].reshape(*rows.shape, size)

    def _patch(self, image: np.ndarray, row: int) -> np.ndarray:
        """Cut one patch, (SIDE² c,)."""
        channels = image.shape[2]
        if np.isnan(self.centers[row]).any():
            return np.full(SIDE * SIDE * channels, np.nan, dtype=np.float32)
        side = round(self.extent)
        turn = self.turns[row]
        corner = self.centers[row] - turn @ np.full(2, (side - 1) / 2)
        matrix = np.column_stack([turn, corner])
        patch = cv2.warpAffine(
            image,
            matrix,
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        patch = (
            cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            .reshape(SIDE, SIDE, channels)
            .astype(np.float32)
        )
        patch = ((patch - (patch * WINDOW).sum(axis=(0, 1)) / WINDOW.sum()) * WINDOW).ravel()
        length = np.linalg.norm(patch)
        return (patch / length if length > 0 else np.full_like(patch, np.nan)).astype(np.float32)


def placed(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return centres and orientations of poses, relative to the model pose.

    The model pose is the first of those with most visible nodes.

    Args:
        points: (n, nodes, 2) px; nan where a node was not found.

    Returns:
        (n, 2) centres, nan for a pose without a visible node; and (n, 2, 2) rotations from the
        model pose to each pose, the least-squares ones over the nodes visible in both (Kabsch).
    """
    visible = ~np.isnan(points).any(axis=-1)
    count = visible.sum(axis=1)
    filled = np.where(visible[..., None], points, 0.0)
    centers = filled.sum(axis=1) / np.where(count, count, np.nan)[:, None]
    if not len(points):
        return centers, np.zeros((0, 2, 2))
    model = points[np.argmax(count)]
    shared = (visible & ~np.isnan(model).any(axis=-1))[..., None]
    number = np.maximum(shared.sum(axis=1, keepdims=True), 1)
    a, b = np.where(shared, model, 0.0), np.where(shared, points, 0.0)
    a = np.where(shared, a - a.sum(axis=1, keepdims=True) / number, 0.0)
    b = np.where(shared, b - b.sum(axis=1, keepdims=True) / number, 0.0)
    angle = np.arctan2(
        (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]).sum(axis=1), (a * b).sum(axis=(1, 2))
    )
    cos, sin = np.cos(angle), np.sin(angle)
    return centers, np.stack(
        [np.stack([cos, -sin], axis=-1), np.stack([sin, cos], axis=-1)], axis=-2
    )
