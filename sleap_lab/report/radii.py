"""The table of the report about radii: how large they are, and how many true points they hold."""

from collections.abc import Iterator

import numpy as np

from sleap_lab.evaluation import Evaluation
from sleap_lab.evaluation.radii import COVERAGE, Calibration, compared_points, held, radii_of
from sleap_lab.poses.record import Poses
from sleap_lab.report.numbers import Table
from sleap_lab.report.written import px, share


def radius_tables(
    calibration: Calibration | None, poses: Poses, evaluation: Evaluation | None
) -> Iterator[Table]:
    """Yield the radii by node and, of several videos, by video; nothing without a calibration.

    Args:
        calibration: The radii.
        poses: Predictions, nodes in the order of the metrics where there are any.
        evaluation: How they compare with the ground truth.
    """
    if calibration is None:
        return
    radii = radii_of(calibration, poses)
    inside, video = np.zeros((0, radii.shape[1])), np.zeros(0, dtype=int)
    if evaluation is not None and len(evaluation.matches.pose_rows):
        matched, errors = compared_points(poses, evaluation)
        inside, video = held(radii_of(calibration, matched), errors), matched.video
    rows: list[tuple[str, ...]] = [
        (node, *_row(radii[:, i], inside[:, i])) for i, node in enumerate(poses.skeleton.nodes)
    ]
    of_videos = np.unique(poses.video).tolist()
    if len(of_videos) > 1:
        rows += [
            (f"video {i}", *_row(radii[poses.video == i], inside[video == i])) for i in of_videos
        ]
    rows.append(("all", *_row(radii, inside)))
    yield Table(
        f"Radii that hold the true point with {COVERAGE:.0%} probability",
        ("", "Median radius", "True points inside", "True points compared"),
        rows,
    )


def _row(radii: np.ndarray, inside: np.ndarray) -> tuple[str, str, str]:
    """Return the cells of some nodes: median radius, share inside, how many were compared."""
    radii, inside = radii[np.isfinite(radii)], inside[np.isfinite(inside)]
    return (
        px(float(np.median(radii))) if len(radii) else "–",
        share(float(inside.mean())) if len(inside) else "–",
        f"{len(inside):,}",
    )
