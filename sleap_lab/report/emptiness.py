"""Pictures of frames in which nothing was found, with what the networks see there."""

from collections.abc import Callable, Sequence

import numpy as np

from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.poses.emptiness import Emptiness
from sleap_lab.poses.record import Poses
from sleap_lab.report import drawing, still
from sleap_lab.report.pictures import Picture, place_name

SMALLEST = 1e-6  # where both threshold and map are 0


def empty_pictures(
    empty: Emptiness,
    poses: Poses,
    read_image: Callable[[int, int], np.ndarray],
    names: Sequence[str] = (),
) -> list[Picture]:
    """Draw the maps of empty frames over their images; an unreadable frame is left out.

    Args:
        empty: The frames.
        poses: The result, for skeleton and videos.
        read_image: (video, frame) to (h, w, c) uint8.
        names: Names of the videos, if they have any.
    """
    pictures = []
    for item in empty.frames:
        try:
            image = read_image(item.video, item.frame)
        except Exception as error:  # the report names unreadable frames in a place of its own
            raise_interruption(error)
            continue
        figure = still.draw(image, poses[:0])
        white = max(empty.threshold, item.highest, SMALLEST)
        height, width = item.confidence.shape
        low, right, bottom = -0.5 * item.pixel, width - 0.5, height - 0.5
        figure.axes[0].imshow(
            item.confidence,
            cmap="inferno",
            vmin=0,
            vmax=white,
            alpha=(item.confidence / white).clip(0, 0.8),
            extent=(low, right * item.pixel, bottom * item.pixel, low),
            interpolation="bilinear",
            zorder=2,
        )
        title = place_name(poses, names, item.video, item.frame)
        caption = f"highest confidence {item.highest:.2f}, threshold {empty.threshold:g}"
        pictures.append(
            Picture(
                title=title,
                caption=caption,
                alt=f"{title} with the confidence map over the image: {caption}",
                image=drawing.data_uri(figure, "png"),
                legend=(),
            )
        )
    return pictures
