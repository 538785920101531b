"""Radii around predicted nodes: made from a run with ground truth, and given to other runs."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import ConfigError, counted, listed
from sleap_lab.evaluation.radii import (
    COVERAGE,
    Calibration,
    compared_points,
    learn,
    write_calibration,
)
from sleap_lab.evaluation.records import on_compared_nodes
from sleap_lab.evaluation.scoring import evaluate
from sleap_lab.runs.context import RunContext
from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.subject import Subject

CALIBRATION = "calibration.json"
PROMISE = f"the true point with {COVERAGE:.0%} probability, on recordings like this"


class Calibrated(NamedTuple):
    """What was made of a run.

    Attributes:
        calibration: The radii.
        without: Nodes of which too little is known.
        points: Points that the errors are known of.
        files: What each file holds, and its path.
    """

    calibration: Calibration
    without: list[str]
    points: int
    files: list[tuple[str, Path]]


def calibrate(subject: Subject, folder: Path) -> Calibrated:
    """Learn radii from the errors of a run, and write them into a folder.

    Args:
        subject: A run that was compared with ground truth.
        folder: Where to.

    Raises:
        ConfigError: It was not compared with ground truth, or too few points are known.
        RunError: The file cannot be written.
    """
    if subject.truth is None or subject.evaluator is None:
        raise ConfigError(
            f"calibrate: no poses of {subject.title} were compared with ground truth; "
            "give a run with evaluator=oks (or identity) and evaluator.ground_truth_path"
            + "".join(f" ({note})" for note in subject.notes)
        )
    # A prediction that counted as truth was never measured: it may be the run's own.
    by_people = bool(subject.truth.user.any())
    config = replace(subject.evaluator, user_labels_only=by_people)
    videos = {video: video for video in np.unique(subject.poses.frames[:, 0]).tolist()}
    evaluation = evaluate(subject.truth, subject.poses, config, videos=videos, details=False)
    poses = subject.poses
    if len(poses.skeleton.nodes) > 1:
        if config.match_method == "centroid":
            raise ConfigError(
                "calibrate: the run compares centroids (evaluator.match_method=centroid); "
                "radii of nodes need a run that compares poses, as evaluator=oks does"
            )
        poses = on_compared_nodes(subject.truth, poses, config.nodes)[1]
    matched, errors = compared_points(poses, evaluation)
    nodes = learn(matched, errors)
    without = [node for node in poses.skeleton.nodes if node not in nodes]
    points = int((errors == errors).sum())
    if not nodes:
        raise ConfigError(
            f"calibrate: {counted(points, 'compared point')} of "
            f"{counted(len(evaluation.frame_pairs), 'frame')}: too few for a radius; it "
            "takes about 20 labelled frames, more where neighbouring frames are alike"
        )
    made = Calibration(nodes, subject.models, subject.title)
    write_calibration(folder / CALIBRATION, made)
    return Calibrated(made, without, points, [("calibration", folder / CALIBRATION)])


def calibration_notes(
    run: RunContext, calibration: Calibration, nodes: tuple[str, ...]
) -> list[str]:
    """Return what a reader must know of radii: nodes that have none, and other models."""
    notes = []
    if without := [node for node in nodes if node not in calibration.nodes]:
        notes.append(f"evaluator.calibration has no radius for {listed(without, 5)}")
    hashes = (read_document(run.folder, "hashes.json") or {}).get("models") or []
    here = {facts["sha256"] for facts in hashes}
    if not (here and calibration.models):
        side = "of this run" if calibration.models else "of the run that it was made from"
        notes.append(
            f"evaluator.calibration: the models {side} are not known (model=none); for others "
            "than its own, its radii may hold fewer true points than 90%"
        )
    elif here != set(calibration.models):
        notes.append(
            "evaluator.calibration was made with other models; for these, its radii may hold fewer "
            "true points than 90%"
        )
    return notes
