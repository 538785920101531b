"""Optical flow: where the poses of earlier frames have moved to in the current image."""

from collections.abc import Callable

import cv2
import numpy as np

from sleap_lab.errors import RunError
from sleap_lab.settings.config import TrackerConfig

STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.01)


class Flow:
    """Moves poses along the video; holds the images of the frames that it still needs.

    Args:
        read_image: Takes (video, frame), returns the image, (h, w, c) uint8.
        video: Index of the video.
        config: Tracker settings.
    """

    def __init__(
        self, read_image: Callable[[int, int], np.ndarray], video: int, config: TrackerConfig
    ) -> None:
        self.read_image = read_image
        self.video = video
        self.scale = config.of_img_scale
        self.window = (config.of_window_size, config.of_window_size)
        self.levels = config.of_max_levels
        self.images: dict[int, np.ndarray] = {}
        self.shape: tuple[int, ...] = ()

    def move(self, points: np.ndarray, sources: np.ndarray, frame: int) -> np.ndarray:
        """Move poses from the frames they were found in, each in one step, to the current frame.

        Args:
            points: (..., nodes, 2) px, image space; nan where a node was not found.
            sources: (...) frame in which each pose was found; -1 for a pose to leave out.
            frame: Current frame; all sources are earlier.

        Returns:
            (..., nodes, 2) px, image space; nan where a node was not found or got lost.

        Raises:
            RunError: The images differ in size.
        """
        earlier = np.unique(sources[sources >= 0])
        self.images = {index: self._image(index) for index in (*earlier.tolist(), frame)}
        chosen = (~np.isnan(points).any(axis=-1) & (sources >= 0)[..., None]).nonzero()
        origin = sources[chosen[:-1]]
        order = np.argsort(origin, kind="stable")
        start = (points[chosen][order] * self.scale).astype(np.float32)
        ends = np.searchsorted(origin[order], earlier, side="right").tolist()
        found = np.full(start.shape, np.nan)
        for source, first, last in zip(earlier.tolist(), [0, *ends], ends, strict=False):
            if last > first:
                found[first:last] = self._follow(
                    start[first:last], self.images[source], self.images[frame]
                )
        moved = np.full(points.shape, np.nan)
        moved[tuple(index[order] for index in chosen)] = found
        return moved

    def _image(self, frame: int) -> np.ndarray:
        if frame in self.images:
            return self.images[frame]
        image = np.ascontiguousarray(self.read_image(self.video, frame))
        self.shape = self.shape or image.shape
        if image.shape != self.shape:
            raise RunError(
                "tracker.use_flow=true needs images of one size (height, width, channels), "
                f"but in video {self.video} frame {frame} is {image.shape} after {self.shape}"
            )
        if self.scale == 1:
            return image
        return cv2.resize(image, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_LINEAR)

    def _follow(self, start: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Follow points from one scaled image to the next by pyramidal Lucas-Kanade (OpenCV).

        Args:
            start: (n, 2) float32 px of the scaled image.
            before: Scaled image with the points.
            after: Scaled image to find them in.

        Returns:
            (n, 2) px of the unscaled image; nan where a point gets lost.
        """
        end, status, _ = cv2.calcOpticalFlowPyrLK(
            before,
            after,
            start,
            np.empty_like(start),
            winSize=self.window,
            maxLevel=self.levels,
            criteria=STOP,
        )
        return np.where(status == 1, end / np.float32(self.scale), np.nan)
