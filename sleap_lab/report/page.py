"""The report of one run: a single self-contained HTML page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from sleap_lab.evaluation import Evaluation
from sleap_lab.evaluation.radii import Calibration
from sleap_lab.evaluation.records import on_compared_nodes
from sleap_lab.files.atomic import replacing
from sleap_lab.poses.record import Poses, distinct
from sleap_lab.quality.assess import Quality
from sleap_lab.report import numbers
from sleap_lab.report.drawing import encoded, house_style
from sleap_lab.report.panels import Panel, accuracy_panels, content_panels, groups
from sleap_lab.report.pictures import Picture, switch_pictures, take_pictures
from sleap_lab.report.quality_figure import no_signs, quality_panels
from sleap_lab.report.radii import radius_tables
from sleap_lab.report.written import number, text

SUMMARY = (
    "title",
    "status",
    "command",
    "started",
    "device",
    "stages",
    "counts",
    "models",
    "data",
    "cache",
)
MOST_RANGES = 200
NOTHING_FOUND = (
    "No instance was found in any of the {frames:,} processed frames. "
    "Look at the pictures, then at model.peak_threshold, the filters and the preprocessing."
)


class Step(NamedTuple):
    """Something to do next: what it is for, and a file to open or a command to type."""

    what: str
    file: str = ""
    command: str = ""


class Facts(TypedDict, total=False):
    """What a run says besides its result.

    Attributes:
        notes: What a reader must know before believing a number.
        remarks: What the tracker did.
        videos: Outcome of each video, as in `run.json`; a single one that was read whole is not
            listed.
        bad_frames: Ranges of unreadable frames, as in `run.json`; the first of many are listed.
        next_steps: What a reader may do with the result.
        names: A short name of each video, by its index.
    """

    notes: Sequence[str]
    remarks: Sequence[str]
    videos: Sequence[Mapping[str, Any]]
    bad_frames: Sequence[Mapping[str, Any]]
    next_steps: Sequence[Step]
    names: Sequence[str]


def write_report(
    path: Path,
    *,
    settings: Mapping[str, Any],
    defaults: Mapping[str, Any],
    summary: Mapping[str, Any],
    poses: Poses,
    truth: Poses | None,
    evaluation: Evaluation | None,
    read_image: Callable[[int, int], np.ndarray] | None,
    quality: Quality | None = None,
    calibration: Calibration | None = None,
    empty: Sequence[Picture] = (),
    figure_files: Sequence[str] = (),
    **facts: Unpack[Facts],
) -> None:
    """Write the report of a run.

    The whole page appears under `path` at once. Equal input gives an equal page.

    Args:
        path: The HTML file to write.
        settings: Full config, dotted key to value.
        defaults: The same keys with their defaults.
        summary: What `SUMMARY` names; each may be missing. `stages` are seconds by name, `counts`
            numbers by name (`frames_per_second` becomes a headline), `cache` outcomes by stage,
            `models` and `data` a text, list or mapping.
        poses: Predictions.
        truth: Ground truth, if there is any; without an evaluation, with the video indices of the
            predictions.
        evaluation: How the predictions compare with it, if they were compared.
        read_image: (video, frame) to (h, w, c) uint8, c 1 or 3; None shows no pictures. A frame
            for which it raises is left out and named.
        quality: Signs of errors, if they were looked for.
        calibration: Radii of nodes, if the run has any.
        empty: Pictures of frames in which nothing was found.
        figure_files: Formats, `svg` or `png`, of figures as files in `figures` beside the page.
        facts: See `Facts`.

    Raises:
        RunError: The file cannot be written.
    """
    poses = replace(poses, track_names=distinct(poses.track_names))  # as switches name them
    if truth is not None and evaluation is not None:
        truth, poses = _aligned(truth, poses, evaluation)
    with house_style():
        drawn = _draw(poses, truth, evaluation, quality, read_image, facts.get("names", ()))
        for kind in figure_files:
            _write_figures(path.parent / "figures", [*drawn.accuracy, *drawn.content], kind)
    context = {
        **_compared(summary, poses, truth, evaluation, drawn),
        "tables": [*_tables(evaluation), *radius_tables(calibration, poses, evaluation)],
        **_told(facts, evaluation),
        **_set(settings, defaults),
        "empty": empty,
        "no_signs": no_signs(quality),
    }
    write_html(path, template("page.html").render(context))


def _compared(
    summary: Mapping[str, Any],
    poses: Poses,
    truth: Poses | None,
    evaluation: Evaluation | None,
    drawn: "_Drawn",
) -> dict[str, Any]:
    """Return what the page shows of the result."""
    return {
        "summary": dict.fromkeys(SUMMARY) | dict(summary),
        "nothing_found": None if len(poses) else NOTHING_FOUND.format(frames=len(poses.frames)),
        "cards": list(numbers.cards(summary, poses, evaluation)),
        "evaluation": evaluation,
        "truth": truth is not None,
        "tracked": bool((poses.tracks >= 0).any()),
        "accuracy": groups(drawn.accuracy),
        "content": groups(drawn.content),
        "drawn": drawn,
        "interval_note": numbers.interval_note(evaluation),
        "stages": numbers.stage_times(summary.get("stages") or {}),
        "text": text,
        "number": number,
    }


def _told(facts: Facts, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return what the page says of the run: notes, videos, unreadable frames, next steps."""
    videos, bad_frames = facts.get("videos", ()), facts.get("bad_frames", ())
    notes = [*facts.get("notes", ()), *(evaluation.notes if evaluation is not None else ())]
    return {
        "notes": list(dict.fromkeys(notes)),
        "remarks": facts.get("remarks", ()),
        "videos": [row for row in videos if len(videos) > 1 or row["status"] != "ok"],
        "bad_frames": list(bad_frames[:MOST_RANGES]),
        "bad_count": sum(frames["count"] for frames in bad_frames),
        "next_steps": facts.get("next_steps", ()),
    }


def _set(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of the settings."""
    return {
        "changed": _changed(settings, defaults),
        "settings": {key: text(value) for key, value in settings.items()},
    }


class _Drawn(NamedTuple):
    """The figures and pictures of a report, and one line for each frame without a picture."""

    accuracy: list[Panel]
    content: list[Panel]
    worst: list[Picture]
    even: list[Picture]
    unreadable: list[str]
    switched: list[Picture]


def _draw(
    poses: Poses,
    truth: Poses | None,
    evaluation: Evaluation | None,
    quality: Quality | None,
    read_image: Callable[[int, int], np.ndarray] | None,
    names: Sequence[str],
) -> _Drawn:
    content = list(content_panels(poses, truth, evaluation, names))
    return _Drawn(
        list(accuracy_panels(poses, evaluation, names)) if evaluation is not None else [],
        content + list(quality_panels(quality, names) if quality is not None else ()),
        *(
            take_pictures(poses, truth, evaluation, read_image, names)
            if read_image
            else ([], [], [])
        ),
        switch_pictures(poses, truth, evaluation, read_image, names)
        if read_image and truth is not None and evaluation is not None
        else [],
    )


def write_html(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        RunError: It cannot be written.
    """
    with replacing(path) as temporary:
        # Names of files may hold bytes that are not text.
        temporary.write_bytes(page.encode(errors="backslashreplace"))


def _tables(evaluation: Evaluation | None) -> list[numbers.Table]:
    if evaluation is None:
        return []
    found = numbers.tables(evaluation) if len(evaluation.matches.pose_rows) else ()
    return [*found, *numbers.video_table(evaluation)]


def _write_figures(folder: Path, panels: Sequence[Panel], kind: str) -> None:
    for panel in panels:
        with replacing(
            folder / f"{re.sub('[^a-z0-9]+', '_', panel.title.lower())}.{kind}"
        ) as temporary:
            temporary.write_bytes(encoded(panel.figure, kind))


def _aligned(truth: Poses, poses: Poses, evaluation: Evaluation) -> tuple[Poses, Poses]:
    """Give both records the same video indices and, where poses were compared, the same nodes.

    The nodes are in the same order, too. Videos of the ground truth that were not compared become
    -1.
    """
    here = {pair.truth_video: pair.pose_video for pair in evaluation.frame_pairs}
    frames = truth.frames.copy()
    frames[:, 0] = [here.get(video, -1) for video in frames[:, 0].tolist()]
    truth = replace(
        truth,
        video=np.array([here.get(video, -1) for video in truth.video.tolist()], dtype=np.int32),
        frames=frames,
    )
    if evaluation.settings.get("nodes") == "common" or sorted(truth.skeleton.nodes) == sorted(
        poses.skeleton.nodes
    ):
        return on_compared_nodes(truth, poses, "common")
    return truth, poses


def _changed(
    settings: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[tuple[str, str, str]]:
    """Return (key, value, default) of the settings that differ; a dash without a default."""
    differ = [
        key for key, value in settings.items() if key not in defaults or value != defaults[key]
    ]
    return [
        (key, text(settings[key]), text(defaults[key]) if key in defaults else "–")
        for key in differ
    ]


def template(name: str) -> Template:
    """Return a page's template; names and texts are escaped."""
    loader = PackageLoader("sleap_lab.report", "")
    return Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    ).get_template(name)
