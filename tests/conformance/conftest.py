"""Fixtures of the reference: its cases, a function that runs one, and a count of agreements."""

import os
import shlex
from pathlib import Path

import pytest
import torch
import yaml

from sleap_lab.cli import main
from sleap_lab.networks import preprocess
from sleap_lab.networks.preprocess import resize
from sleap_lab.pipelines import pipeline
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.settings.overrides import quote

REFERENCE = Path(
    os.environ.get("SLEAP_LAB_REFERENCE", Path(__file__).parents[3] / "shared" / "reference")
)

OWN_FOLDERS = {"hydra.run.dir": "run", "cache_dir": "cache"}
"""Outputs in the working directory, which is the reference: key -> folder of the test."""

# Cases of a few seconds. Together they have every model kind, every way to choose frames and every
# family of options.
QUICK = {
    "single_instance_labels",
    "topdown_pkg",
    "bottomup_pkg",
    "multi_class_bottomup_pkg",
    "multi_class_topdown_pkg",
    "centroid_only_pkg",
    "centered_instance_only_pkg",
    "no_refinement",
    "max_instances_1_topdown",
    "max_size_padded",
    "ensure_grayscale",
    "anchor_part_gt",
    "other_backbone_weights",
    "frames_list",
    "video_index",
    "legacy_bottomup",
    "legacy_topdown",
    "suggested_frames",
    "filter_visible_nodes",
    "track_frames",
    "track_user_labels",
    "track_user_noisy",
    "track_flow_levels",
    "track_local_iou_greedy",
}


QUICK_ELSEWHERE = {
    "topdown_pkg",
    "bottomup_pkg",
    "multi_class_bottomup_pkg",
    "multi_class_topdown_pkg",
    "max_size_padded",
}


def reference_cases():
    """Return name and flags of the reference's cases; none without the reference folder."""
    path = REFERENCE / "cases.yaml"
    if not path.is_file():
        return {}
    cases = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(cases) >= QUICK
    return cases


def pytest_generate_tests(metafunc):
    """Run a test that takes `case` and `flags` once per case of the reference."""
    if {"case", "flags"} <= set(metafunc.fixturenames):
        elsewhere = {"on_accelerator", "on_onnxruntime"} & set(metafunc.fixturenames)
        quick = QUICK_ELSEWHERE if elsewhere else QUICK
        cases = [
            pytest.param(name, flags, id=name, marks=() if name in quick else pytest.mark.slow)
            for name, flags in reference_cases().items()
        ]
        metafunc.parametrize(("case", "flags"), cases)


@pytest.fixture
def reference(monkeypatch):
    """The reference folder as working directory, read only.

    Its labels name their videos relative to it.
    """
    if not REFERENCE.is_dir():
        pytest.skip("no reference folder (SLEAP_LAB_REFERENCE)")
    monkeypatch.chdir(REFERENCE)
    return REFERENCE


@pytest.fixture
def on_accelerator(monkeypatch):
    """Let pipelines treat the processor as an accelerator, resizing of bytes included."""
    monkeypatch.setattr(pipeline, "accelerator_of", Accelerator)
    monkeypatch.setattr(preprocess, "resize", resize_as_there)


@pytest.fixture
def on_onnxruntime():
    for name in ("onnxruntime", "onnx"):
        pytest.importorskip(name, reason=f"{name} is not installed")


def resize_as_there(images, height, width):
    """Resize as on a device that PyTorch does not resize bytes on."""
    if images.dtype != torch.uint8:
        return resize(images, height, width)
    batch = images if images.ndim == 4 else images[None]
    resized = preprocess.resize_bytes(batch, max(height, 1), max(width, 1))
    return resized if images.ndim == 4 else resized[0]


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that runs `sleap-lab` in this process, its run folder in `tmp_path`."""

    def run(verb: str, flags: str, *more: str) -> None:
        with pytest.raises(SystemExit) as end:
            main(
                [
                    verb,
                    *shlex.split(flags),
                    *more,
                    *(f"{key}={quote(str(tmp_path / name))}" for key, name in OWN_FOLDERS.items()),
                ]
            )
        assert end.value.code == 0, capsys.readouterr().err

    return run


def pytest_terminal_summary(terminalreporter):
    """Say how many cases agree with the reference, of those that ran."""
    reports = {
        outcome: [
            report
            for report in terminalreporter.stats.get(outcome, [])
            if "parity" in dict(report.user_properties)
        ]
        for outcome in ("passed", "failed")
    }
    met, ran = len(reports["passed"]), sum(map(len, reports.values()))
    if not REFERENCE.is_dir():
        terminalreporter.write_line("parity: not run (no reference folder)")
    elif not ran:
        terminalreporter.write_line("parity: not run (no case selected)")
    else:
        terminalreporter.write_line(f"parity: {met} of {ran}")
        terminalreporter.write_line(f"not selected: {len(reference_cases()) - ran}")
