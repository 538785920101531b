"""The figure of signs of errors: what was found, and nothing blank where nothing was."""

from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import assess
from sleap_lab.quality.kinds import KINDS
from sleap_lab.report.quality_figure import no_signs, quality_panels


@pytest.fixture(scope="module")
def calm():
    """An animal that goes one pixel per frame, and nothing else."""
    shape = np.array([[0.0, 0.0], [10.0, 0.0]])
    return make_poses(
        Skeleton(("a", "b"), ((0, 1),)),
        [shape + frame for frame in range(60)],
        frame=range(60),
        instance_scores=0.9,
        tracks=[0] * 60,
        track_names=["one"],
        frames=[(0, frame) for frame in range(60)],
    )


def test_nothing_found_is_said_and_nothing_is_drawn(calm):
    quality = assess(calm)
    assert list(quality_panels(quality)) == []
    nothing = ", ".join(kind for kind in KINDS if kind not in ("flip", "swap", "doubt"))
    assert no_signs(quality) == (
        f"Signs of errors. Not found: {nothing}; not looked for: flip, swap, doubt."
    )


def test_what_was_found_has_a_row_and_the_rest_is_named(calm):
    points = calm.points.copy()
    points[30] += 100
    quality = assess(replace(calm, points=points))
    (panel,) = quality_panels(quality)
    rows = [label.get_text() for label in panel.figure.axes[0].get_yticklabels()]
    kinds = [row.partition(" ")[0] for row in rows]
    assert "jump" in kinds
    nothing = ", ".join(kind for kind in KINDS if kind not in ("jump", "flip", "swap", "doubt"))
    assert f"Not found: {nothing}; not looked for: flip" in panel.caption
    assert no_signs(quality) == ""


def test_without_poses_there_is_nothing_to_say(calm):
    empty = assess(calm[:0])
    assert (list(quality_panels(empty)), no_signs(empty), no_signs(None)) == ([], "", "")
