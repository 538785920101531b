"""What is looked through: the poses of a run folder or of a labels file, with what is known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sleap_lab.errors import ConfigError, RunError, listed
from sleap_lab.evaluation import Switch
from sleap_lab.files.safe_load import read_json
from sleap_lab.media.labels import read_labels, to_poses, video_name
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Source
from sleap_lab.poses.record import Poses
from sleap_lab.poses.videos import with_videos
from sleap_lab.runs.snapshot import read_document
from sleap_lab.settings.check_tracker import known_animals
from sleap_lab.settings.config import DataConfig, EvaluatorConfig, TrackerConfig
from sleap_lab.settings.inputs import LABELS

Group = TypeVar("Group")


@dataclass(frozen=True, eq=False)
class Subject:
    """Poses to look through.

    Attributes:
        title: What to call them.
        source: Their videos and frames.
        poses: The poses.
        animals: Number of animals in each frame, where the settings say it.
        truth: Labels that the run was evaluated with, by the videos of the poses; `evaluator` says
            which of their instances count.
        switches: Identity switches of the evaluation; None where identities were not evaluated.
        evaluator: How the run was compared with it.
        models: SHA-256 of the files of the models; empty where they are not known.
        notes: What a reader must know.
    """

    title: str
    source: Source
    poses: Poses
    animals: int | None = None
    truth: Poses | None = None
    switches: list[Switch] | None = None
    evaluator: EvaluatorConfig | None = None
    models: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """Names of the videos."""
        return [video_name(video) for video in self.source.videos]


def of_labels(path: Path) -> Subject:
    """Return the poses of a labels file.

    Raises:
        ConfigError: It is not there.
        RunError: It cannot be read.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such labels file")
    source = open_source(DataConfig(path=str(path)), predicting=False)
    assert source.labels is not None, "a labels file has poses"
    used = [video_name(source.videos[i]) for i in np.unique(source.frames[:, 0]).tolist()]
    title = listed([Path(name).name for name in used], 1)
    return Subject(title, source, source.labels, notes=source.notes)


def of_run(folder: Path) -> Subject:
    """Return the poses of a run, with the ground truth that it was compared with.

    Raises:
        ConfigError: The run left no labels file.
        RunError: A file cannot be read.
    """
    config = read_document(folder, "config.yaml") or {}
    subject = of_labels(_labels_file(folder, config))
    hashes = (read_document(folder, "hashes.json") or {}).get("models") or []
    subject = replace(
        subject,
        animals=known_animals(_group(TrackerConfig, config.get("tracker"))),
        evaluator=_group(EvaluatorConfig, config.get("evaluator")),
        models=tuple(facts["sha256"] for facts in hashes),
    )
    metrics = folder / "metrics.json"
    if not metrics.is_file():
        return subject
    try:
        content = read_json(metrics)
        switches = content["identity"] and [_switch(row) for row in content["switches"]]
        videos = {row["truth"]: row["predicted"] for row in content["videos"]}
        truth = _truth(config, videos)
    except RunError as error:
        return replace(subject, switches=switches, notes=(*subject.notes, str(error)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RunError(f"{metrics}: not a metrics file ({error})") from error
    return replace(subject, truth=truth, switches=switches)


def _group(kind: type[Group], known: Mapping[str, Any] | None) -> Group:
    """Return a config group of a run, which an earlier version may have written."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in (known or {}).items() if name in names})


def _labels_file(folder: Path, config: Mapping[str, Any]) -> Path:
    """Return the file with the poses of a run: what it wrote, or what it only evaluated."""
    data, output, model = (config.get(group) or {} for group in ("data", "output", "model"))
    places = [folder / "predictions.slp"]
    places += [Path(output["path"])] if output.get("path") else []
    if model.get("kind") == "none" and isinstance(data.get("path"), str):
        places.append(Path(data["path"]))
    labels = [place for place in places if place.suffix == LABELS and place.is_file()]
    if not labels:
        raise ConfigError(
            f"{folder}: the run left no labels file that is still there "
            f"(looked for {listed([str(place) for place in places], 3)}); give a {LABELS} file"
        )
    return labels[0]


def _switch(row: Mapping[str, Any]) -> Switch:
    nothing = {"nearest_distance": math.nan} if row["nearest_distance"] is None else {}
    return Switch(**{**row, **nothing})


def _truth(config: Mapping[str, Any], videos: Mapping[int | None, int | None]) -> Poses:
    """Return the ground truth of a run, with the video indices of its poses.

    Args:
        config: Settings of the run.
        videos: Index in the ground truth -> index in the poses; None where there is none.
    """
    path = config["evaluator"].get("ground_truth_path") or config["data"]["path"]
    ours = {video: own for video, own in videos.items() if video is not None and own is not None}
    return with_videos(to_poses(read_labels(path)), ours)
