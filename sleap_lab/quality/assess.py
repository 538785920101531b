"""Quality of a result without ground truth: signs of errors, as numbers and places to look at."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.quality import signs
from sleap_lab.quality.kinds import KINDS, OPINIONS
from sleap_lab.quality.neighbours import Order, in_order
from sleap_lab.quality.opinion import Identify, second_opinion
from sleap_lab.quality.scale import body_length, expected_animals
from sleap_lab.quality.signs import Found
from sleap_lab.settings.metrics import METRICS


@dataclass(frozen=True, eq=False)
class Quality:
    """Signs of the quality of poses.

    Attributes:
        order: The poses by video and frame; findings refer to its rows.
        found: Where each sign of `KINDS` is.
        expected: Number of animals expected in each frame, per video.
        length: Body length, px; nan where it is not known.
        metrics: `quality/…` numbers; nan where one cannot be formed.
        not_looked_for: Signs of `KINDS` that need what is not there: tracks, pairs of left and
            right nodes, a second tracker.
        labelled: What few labelled frames say of the whole recording, in a sentence; empty where
            none or all are labelled.
    """

    order: Order
    found: Mapping[str, Found]
    expected: Mapping[int, int]
    length: float
    metrics: Mapping[str, float]
    not_looked_for: tuple[str, ...] = ()
    labelled: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What poses without tracks do not show; nothing where they have some."""
        if not len(self.order.poses) or "jump" not in self.not_looked_for:
            return ()
        return ("quality: jumps, flips and gaps are not looked for, since poses have no tracks",)


def assess(poses: Poses, animals: int | None = None, identify: Identify | None = None) -> Quality:
    """Look for signs of errors in poses and tracks.

    A pose of which no node was found shows no animal, and does not count.

    Args:
        poses: The result of a run; tracked or not.
        animals: Number of animals in each frame; by default what most frames of a video hold.
        identify: A second tracker whose animals are compared with the tracks; this takes longer
            than all other signs.
    """
    order = in_order(poses[poses.visible.any(axis=1)])
    length = body_length(order)
    found = {name: kind.find(order, length) for name, kind in KINDS.items() if kind.find}
    nothing = signs.whole(np.zeros(0, dtype=np.intp), np.zeros(0))
    found["swap"], found["doubt"] = (
        second_opinion(order, animals, identify) if identify else (nothing, nothing)
    )
    counts = np.diff(order.start)
    videos = np.unique(order.places[:, 0]).tolist()
    expected = {
        video: expected_animals(counts[order.places[:, 0] == video]) if animals is None else animals
        for video in videos
    }
    missing = tuple(
        name
        for name, kind in KINDS.items()
        if not kind.needs(order) or (name in OPINIONS and identify is None)
    )
    return Quality(order, found, expected, length, _metrics(order, found, expected), missing)


def _metrics(
    order: Order, found: Mapping[str, Found], expected: Mapping[int, int]
) -> dict[str, float]:
    counts = np.diff(order.start)
    wanted = np.array([expected[video] for video in order.places[:, 0].tolist()], dtype=int)
    known = order.animal >= 0
    tracks = {
        video: len(np.unique(order.animal[known & (order.poses.video == video)]))
        for video in expected
    }
    median, spread = signs.bone_spread(signs.bone_lengths(order))
    relative = (spread / median)[median > 0]
    nan = float("nan")

    def share(part: float | np.integer, whole: float | np.integer) -> float:
        return float(part / whole) if whole else nan

    rates = {
        f"quality/{kind.metric}": share(
            1000 * len(np.unique(found[name].rows)), np.count_nonzero(kind.among(order))
        )
        for name, kind in KINDS.items()
        if kind.metric
    }
    metrics = {
        "quality/expected_animals": float(max(expected.values(), default=0)),
        "quality/frames_with_fewer": share(np.count_nonzero(counts < wanted), len(counts)),
        "quality/frames_with_more": share(np.count_nonzero(counts > wanted), len(counts)),
        "quality/extra_tracks": float(
            sum(max(0, n - expected[video]) for video, n in tracks.items())
        )
        if known.any()
        else nan,
        "quality/gaps": float(len(found["gap"].rows)) if known.any() else nan,
        "quality/bone_spread": float(np.median(relative)) if len(relative) else nan,
        **rates,
    }
    order_of = {metric.name: index for index, metric in enumerate(METRICS)}
    return dict(sorted(metrics.items(), key=lambda item: order_of[item[0]]))
