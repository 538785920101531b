"""The files to look through a result with: doubtful moments, and the page that plays them."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation import evaluate
from sleap_lab.media.labels import save_labels, with_suggestions
from sleap_lab.poses.record import Poses
from sleap_lab.quality.assess import Quality, assess
from sleap_lab.quality.budget import Proofread, promise
from sleap_lab.quality.opinion import Identify
from sleap_lab.quality.suspects import (
    SUSPECTS_FILE,
    SUSPECTS_LABELS,
    Suspect,
    suspects,
    write_suspects,
)
from sleap_lab.report.review.page import Content, write_review
from sleap_lab.runs.proofread import proofread
from sleap_lab.runs.subject import Subject
from sleap_lab.runs.whole_recording import with_labels

REVIEW = "review.html"
NO_POSES = "no frame has a pose, so there is nothing to look through"


class Review(NamedTuple):
    """What was found and written.

    Attributes:
        videos: Names of the videos.
        moments: Doubtful moments, the most doubtful first.
        files: What each file holds, and its path.
        promise: What remains after a budget of moments, in words; empty without a budget.
        labelled: What few labels say of the whole recording, in words, or how to learn it; empty
            where they say nothing, or all frames are labelled.
        notes: What was left out, and what was not looked for.
    """

    videos: list[str]
    moments: list[Suspect]
    files: list[tuple[str, Path]]
    promise: str = ""
    labelled: str = ""
    notes: tuple[str, ...] = ()


def review(
    subject: Subject,
    folder: Path,
    identify: Identify,
    *,
    budget: float | None = None,
    checked: Poses | None = None,
) -> Review:
    """Look for doubtful moments, and write them and the page into a folder.

    Args:
        subject: What to look through.
        folder: Where to.
        identify: The second tracker.
        budget: Share of the frames that a person will look at; only so many moments are written.
        checked: Poses of frames whose tracks a person has proofread; by default the ground truth
            of the run, if it has tracks.

    Raises:
        ConfigError: Every frame was proofread.
        RunError: A file cannot be written.
    """
    source = subject.source
    quality = _assessed(subject, identify)
    moments, promised = suspects(quality), ""
    if budget is not None:
        own = _proofread(subject, quality, checked)
        moments, _, promised = promise(quality, moments, budget, own)
    write_suspects(folder / SUSPECTS_FILE, moments, subject.names)
    files = [("moments", folder / SUSPECTS_FILE)]
    if moments and source.project is not None:
        suggested = with_suggestions(source.project, ((m.video, m.frame) for m in moments))
        save_labels(suggested, folder / SUSPECTS_LABELS)
        files.append(("for the SLEAP GUI", folder / SUSPECTS_LABELS))
    used = np.unique(source.frames[:, 0]).tolist()
    problems = {i: source.reader(i).problem for i in used if source.reader(i).problem}
    content = Content(
        title=subject.title,
        videos=subject.names,
        quality=quality,
        moments=moments,
        read=source.read,
        rates={i: rate for i in used if i not in problems and (rate := _rate(subject, i))},
        problems=problems,
        sizes={i: shape[1:3] for i in problems if (shape := source.videos[i].shape)},
        truth=_counted(subject),
        switches=subject.switches,
        notes=[
            *([] if len(quality.order.poses) else [NO_POSES]),
            *filter(None, [promised, quality.labelled]),
            *subject.notes,
            *quality.notes,
        ],
    )
    write_review(folder / REVIEW, content)
    labelled = quality.labelled or _unlabelled(subject, folder, quality)
    files.append(("page", folder / REVIEW))
    notes = (*subject.notes, *quality.notes)
    return Review(subject.names, moments, files, promised, labelled, notes)


def _counted(subject: Subject) -> Poses | None:
    """Return the instances that counted as ground truth."""
    truth, how = subject.truth, subject.evaluator
    return truth[truth.user] if truth is not None and how and how.user_labels_only else truth


def _unlabelled(subject: Subject, folder: Path, quality: Quality) -> str:
    """Say how to learn how wrong the whole recording is, where it has no ground truth."""
    if subject.truth is not None:
        return ""
    if not len(quality.order.poses):
        return NO_POSES
    own = subject.source.path
    stays = subject.evaluator is None or own.parent == folder  # what came from MLflow does not
    path = shlex.quote(f"data.path={own if stays else own.name}")
    return (
        "the error of the whole recording is not known; to estimate it, label about 50 frames all "
        "over it, run "
        f"sleap-lab {path} model=none evaluator=oks evaluator.ground_truth_path=LABELS.slp, and "
        "review that run"
    )


def _proofread(subject: Subject, quality: Quality, checked: Poses | None) -> Proofread | None:
    """Return what was found in frames that a person has proofread, where there are such."""
    if (quality.order.poses.tracks < 0).all():
        return None
    if checked is not None:
        own = proofread(quality.order, checked)
        if own is None:
            raise ConfigError(
                f"review: the proofread frames of {subject.title} cannot be used; "
                "accepted: frames that follow one another, with tracks"
            )
        if own.checked.all():
            raise ConfigError(
                f"review: every frame of {subject.title} is among the proofread ones; "
                "name those that were proofread with --frames, such as --frames 0-2999"
            )
        return own
    if subject.truth is None or subject.evaluator is None:
        return None
    try:
        own = proofread(quality.order, subject.truth, subject.evaluator)
    except (ConfigError, RunError):  # nothing of it can be compared any more
        return None
    return None if own is None or own.checked.all() else own


def _assessed(subject: Subject, identify: Identify) -> Quality:
    """Look for signs of errors, and add what labels say of the whole where there are any."""
    quality = assess(subject.poses, subject.animals, identify)
    if subject.truth is None or subject.evaluator is None or not len(subject.truth):
        return quality
    same = {video: video for video in np.unique(subject.poses.frames[:, 0]).tolist()}
    scored = replace(subject.evaluator, identity=False)
    try:
        evaluation = evaluate(subject.truth, subject.poses, scored, videos=same, details=False)
    except (ConfigError, RunError):  # nothing of it can be compared any more
        return quality
    return with_labels(quality, evaluation)


def _rate(subject: Subject, video: int) -> float | None:
    """Return the frames per second of a video, where they are known."""
    index = subject.source.reader(video).index
    rate = subject.source.videos[video].fps if index is None else index.rate
    return float(rate) if rate is not None and np.isfinite(rate) and rate > 0 else None
