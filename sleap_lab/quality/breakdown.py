"""How many signs of errors there are, by video, animal and node."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.files.table import write_table
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.kinds import KINDS

QUALITY_FILE = "quality.csv"


class Part(NamedTuple):
    """The findings about one animal, or one of its nodes, in one video.

    Attributes:
        video: Name of the video.
        animal: Name of the track; empty for poses without one.
        node: Name of the node; empty for all that concerns the animal.
        poses: Number of poses.
        found: Share of them that have the node; for an animal the mean over its nodes.
        counts: Findings of each kind of `KINDS`, in its order.
    """

    video: str
    animal: str
    node: str
    poses: int
    found: float
    counts: tuple[int, ...]


def breakdown(quality: Quality, video_names: Sequence[str]) -> Iterator[Part]:
    """Yield the findings of each animal, and of each of its nodes."""
    poses, nodes = quality.order.poses, quality.order.poses.skeleton.nodes
    animals = np.stack([poses.video, poses.tracks], axis=1)
    groups, group = np.unique(animals, axis=0, return_inverse=True)
    group = group.reshape(-1)
    shape = len(groups), len(nodes) + 1
    counts = {}
    for kind in KINDS:
        found = quality.found[kind]
        # The node -1, which is none, counts in the last column.
        flat = group[found.rows] * shape[1] + found.nodes % shape[1]
        counts[kind] = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    for number, (video, track) in enumerate(groups.tolist()):
        shown = poses.visible[group == number]
        place = video_names[video], poses.track_names[track] if track >= 0 else ""
        yield Part(
            *place,
            "",
            len(shown),
            float(shown.mean()),
            tuple(int(counts[kind][number].sum()) for kind in KINDS),
        )
        for node, name in enumerate(nodes):
            of_node = tuple(int(counts[kind][number, node]) for kind in KINDS)
            yield Part(*place, name, len(shown), float(shown[:, node].mean()), of_node)


def write_breakdown(path: Path, quality: Quality, video_names: Sequence[str]) -> None:
    """Write the findings by video, animal and node as a CSV file.

    Raises:
        RunError: The file cannot be written.
    """
    header = ["video", "animal", "node", "poses", "found", *KINDS]
    rows = ([*part[:-1], *part.counts] for part in breakdown(quality, video_names))
    write_table(path, header, rows)
