"""`sleap-lab track` gives the reference's answers to the reference's cases."""

import io
import json
import runpy
import shlex
import sys
from contextlib import redirect_stdout

import pytest

pytestmark = pytest.mark.conformance


def test_track_agrees_with_the_reference(
    case, flags, reference, run, tmp_path, monkeypatch, record_property
):
    record_property("parity", case)
    predictions = tmp_path / "predictions.slp"
    run("track", flags, "-o", str(predictions))
    verdict = compared(
        monkeypatch,
        reference / "compare_labels.py",
        reference / "golden" / f"{case}.slp",
        predictions,
        tracks="-t" in shlex.split(flags),
    )
    assert verdict["agrees"], verdict


def test_the_path_of_accelerators_agrees_with_the_reference(
    case, flags, on_accelerator, reference, run, tmp_path, monkeypatch
):
    predictions = tmp_path / "predictions.slp"
    run("track", flags, "-o", str(predictions))
    verdict = compared(
        monkeypatch,
        reference / "compare_labels.py",
        reference / "golden" / f"{case}.slp",
        predictions,
        tracks="-t" in shlex.split(flags),
    )
    assert verdict["agrees"], verdict


def test_onnxruntime_agrees_with_the_reference(
    case, flags, on_onnxruntime, reference, run, tmp_path, monkeypatch
):
    predictions = tmp_path / "predictions.slp"
    run("track", flags, "-o", str(predictions), "runtime.backend=onnxruntime")
    verdict = compared(
        monkeypatch,
        reference / "compare_labels.py",
        reference / "golden" / f"{case}.slp",
        predictions,
        tracks="-t" in shlex.split(flags),
    )
    assert verdict["agrees"], verdict


def compared(monkeypatch, script, expected, actual, *, tracks):
    """Return what the reference's own comparison prints."""
    monkeypatch.setattr(
        sys, "argv", [str(script), str(expected), str(actual), *(["--tracks"] if tracks else [])]
    )
    printed = io.StringIO()
    with redirect_stdout(printed), pytest.raises(SystemExit):
        runpy.run_path(str(script), run_name="__main__")
    return json.loads(printed.getvalue())
