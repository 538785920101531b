"""Models whose maps and fields differ in stride group as sleap-nn does.

`make_stride_cases.py` makes the models and the results of sleap-nn.
"""

import gzip
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from sleap_lab.cli import main

spec = importlib.util.spec_from_file_location(
    "make_stride_cases", Path(__file__).parent / "make_stride_cases.py"
)
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)

ANSWERS = json.loads(gzip.decompress(cases.ANSWERS.read_bytes()))


def as_arrays(frame):
    """Return the instances of a frame, ordered by their coordinates.

    Returns:
        scores (n,) and coordinates (n, 2 * nodes).
    """
    rows = np.array([[score, *points] for score, points in frame], dtype=float).reshape(
        len(frame), 1 + 2 * len(cases.NODES)
    )
    rows = rows[np.lexsort(np.nan_to_num(np.round(rows[:, 1:], 1), nan=-1).T)]
    return rows[:, 0], rows[:, 1:]


@pytest.mark.parametrize("strides", cases.STRIDES, ids=str)
@pytest.mark.parametrize("refinement", cases.REFINEMENTS)
def test_groups_and_line_scores_are_those_of_sleap_nn(strides, refinement, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels, out = cases.make_labels(tmp_path), tmp_path / "out.slp"
    cases.make_model(tmp_path / "model", *strides)
    words = ["track", "-i", str(labels), "-m", str(tmp_path / "model"), "-o", str(out), "-d", "cpu"]
    with pytest.raises(SystemExit) as end:
        main([*words, *cases.flags(cases.REFINEMENTS[refinement])])
    assert end.value.code == 0
    expected = ANSWERS[f"{strides[0]}-{strides[1]}-{refinement}"]
    assert sum(map(len, expected)) >= 20
    for ours, theirs in zip(cases.groups(out), expected, strict=True):
        assert len(ours) == len(theirs)
        (scores, points), (their_scores, their_points) = as_arrays(ours), as_arrays(theirs)
        np.testing.assert_allclose(points, their_points, atol=1e-3)
        np.testing.assert_allclose(scores, their_scores, atol=1e-4)
