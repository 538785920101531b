"""Frames of the ground truth that are images, by the numbers that these have in the predictions.

A frame of a list of images has its place in the list as number. Lists of the same images differ:
SLEAP sorts names as text, and a few images may have been taken out to be labelled.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sleap_lab.errors import counted
from sleap_lab.evaluation.videos import VideoMatch, compared, map_notes
from sleap_lab.poses.record import Poses

if TYPE_CHECKING:
    import sleap_io as sio

NOWHERE = -1


def by_image(
    truth: Poses,
    true_videos: Sequence["sio.Video"],
    videos: Sequence["sio.Video"],
    matches: Sequence[VideoMatch],
    notes: list[str],
) -> Poses:
    """Give each frame of the truth the number that its image has in the predictions.

    Args:
        truth: Ground truth.
        true_videos: Its videos.
        videos: Videos of the predictions.
        matches: Which videos are compared.
        notes: Gets a sentence on the images that the predictions do not have, if any, and on videos
            that are compared although their pictures differ.

    Returns:
        The truth, without frames of such images where the lists differ; as it was where images have
        the same places in both lists, or other names.
    """
    notes += map_notes(matches, videos, true_videos)
    frames, frame = truth.frames.copy(), truth.frame.copy()
    for own, other in compared(matches).items():
        numbers = _numbers(_images(true_videos[other]), _images(videos[own]))
        if numbers is None:
            continue
        for video, number in ((frames[:, 0], frames[:, 1]), (truth.video, frame)):
            there = video == other
            number[there] = [numbers.get(i, NOWHERE) for i in number[there].tolist()]
    absent = int((frames[:, 1] == NOWHERE).sum())
    if absent:
        notes.append(
            counted(
                absent,
                "labelled image is not among those of the predictions and was left out",
                "labelled images are not among those of the predictions and were left out",
            )
        )
    numbered = replace(truth, frame=frame, frames=frames[frames[:, 1] != NOWHERE])
    return numbered[frame != NOWHERE]


def _images(video: "sio.Video") -> list[str]:
    """Return the images of a video, or of the video that embedded images are from."""
    # A video of unknown length is false.
    names = (video if video.source_video is None else video.source_video).filename
    return names if isinstance(names, list) else []


def _numbers(true_images: Sequence[str], images: Sequence[str]) -> dict[int, int] | None:
    """Return by place in one list of images the place of the same image in another.

    Images are known by as much of the ends of their paths as is needed to tell them apart.

    Returns:
        None where no image changes its place, none is in both lists, or several have one name.
    """
    lists = [
        [PurePosixPath(name.replace("\\", "/")).parts for name in names]
        for names in (true_images, images)
    ]
    for length in range(1, max((len(parts) for parts in lists[1]), default=0) + 1):
        ours, theirs = (
            {parts[-length:]: i for i, parts in enumerate(several)} for several in lists
        )
        if len(ours) == len(true_images) and len(theirs) == len(images):
            found = {i: theirs[name] for name, i in ours.items() if name in theirs}
            return found if any(i != j for i, j in found.items()) else None
    return None
