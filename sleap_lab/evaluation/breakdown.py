"""The same numbers for each video and each node."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation.distances import summarize
from sleap_lab.evaluation.pck import hits


class Row(NamedTuple):
    """Accuracy of one node in one video; `None` stands for all nodes or all videos.

    Attributes:
        video: Name of the video.
        node: Name of the node.
        n_matched: Matched instances.
        n_missed: True instances that nothing was matched with.
        n_distances: Nodes that are visible on both sides of a match.
        dist_avg: Mean distance, px.
        dist_p50: Median distance, px.
        dist_p90: 90th percentile of the distances, px.
        pck: Share of nodes of matched instances within 1, 2, … 10 px, averaged over the ten.
    """

    video: str | None
    node: str | None
    n_matched: int
    n_missed: int
    n_distances: int
    dist_avg: float
    dist_p50: float
    dist_p90: float
    pck: float


def breakdown(distances: np.ndarray, videos: Sequence[str], missed_videos: Sequence[str], nodes: Sequence[str]) -> tuple[Row, ...]:
    """Split the distances by video and by node; the first row is about everything.

    Args:
        distances: (pairs, nodes) px; nan where a node is missing on either side.
        videos: (pairs,) names of the videos of the matched instances.
        missed_videos: (missed,) names of the videos of the missed instances.
        nodes: Names of the nodes.
    """
    of_pair, of_missed = np.array(videos, dtype=object), np.array(missed_videos, dtype=object)
    rows = []
    for video in (None, *dict.fromkeys([*videos, *missed_videos])):
        chosen = distances if video is None else distances[of_pair == video]
        n_missed = len(of_missed) if video is None else int((of_missed == video).sum())
        for node, part in ((None, chosen), *((name, chosen[:, [i]]) for i, name in enumerate(nodes))):
            summary = summarize(part)
            rows.append(
                Row(
                    video=video,
                    node=node,
                    n_matched=len(part),
                    n_missed=n_missed,
                    n_distances=int((~np.isnan(part)).sum()),
                    dist_avg=summary["avg"],
                    dist_p50=summary["p50"],
                    dist_p90=summary["p90"],
                    pck=hits(part).mean() if part.size else float("nan"),
                )
            )
    return tuple(rows)
