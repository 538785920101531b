"""What a run was made from, and how it went over time, in the terms of MLflow.

Inputs become datasets, identified by the hash of their content. Models become logged models,
identified by the hash of their weights. So runs can be grouped and charted by both.
"""

import csv
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sleap_lab.runs.snapshot import read_document
from sleap_lab.runs.store import Store, storable
from sleap_lab.runs.summary import RunSummary

PREDICTED, GROUND_TRUTH = "predicted", "ground truth"
TRUTH_KEY = "evaluator.ground_truth_path"
WEIGHTS = (".ckpt", ".h5")
DIGITS = 32
"""Of a hash in a dataset's digest, which MLflow limits to 36 characters."""
MOST_BINS = 50
SHA_TAG = "sleap_lab.sha256"
UNKNOWN_TO_SERVER = ("ENDPOINT_NOT_FOUND", "FEATURE_DISABLED", "NOT_IMPLEMENTED")

Series = dict[str, list[tuple[int, float]]]
"""Metric -> its (step, value)."""


@dataclass(frozen=True)
class Data:
    """An input: its name, hash, place, what it is to the run, and facts about it."""

    name: str
    digest: str
    source: str
    context: str
    profile: str | None = None


@dataclass(frozen=True)
class Model:
    """The models of a run together: their name, the hash of their weights, and their folders."""

    name: str
    digest: str
    folders: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Lineage:
    """The inputs and the models of a run."""

    data: Sequence[Data] = ()
    model: Model | None = None

    def tags(self) -> dict[str, str | None]:
        """Return the tags to group runs by."""
        videos = [each for each in self.data if each.context == PREDICTED]
        models = [self.model] if self.model is not None else []
        return {
            name: f"{found[0].name} {found[0].digest[:8]}" if found else None
            for name, found in (("sleap_lab.model", models), ("sleap_lab.data", videos))
        }


def read_lineage(folder: Path, kind: str) -> Lineage:
    """Read the inputs and the models of a run from its snapshot.

    Args:
        folder: The run folder.
        kind: Kind of the models.

    Raises:
        RunError: The snapshot is damaged.
    """
    hashes = read_document(folder, "hashes.json") or {}
    videos = {
        str(video.get("video")): video for video in read_document(folder, "videos.json") or []
    }
    data = [
        Data(
            name=Path(facts["path"]).name[:500],
            digest=facts["sha256"][:DIGITS],
            source=facts["path"],
            context=GROUND_TRUTH if key == TRUTH_KEY else PREDICTED,
            profile=json.dumps(videos[facts["path"]]) if facts["path"] in videos else None,
        )
        for key, facts in hashes.get("inputs", {}).items()
        if facts.get("sha256")
    ]
    weights = [
        facts
        for facts in hashes.get("models", [])
        if facts.get("sha256") and Path(facts["path"]).suffix in WEIGHTS
    ]
    if not weights:
        return Lineage(data)
    folders = tuple(dict.fromkeys(str(Path(facts["path"]).parent) for facts in weights))
    digest = hashlib.sha256("".join(sorted(facts["sha256"] for facts in weights)).encode())
    name = "+".join(Path(folder).name for folder in folders)
    return Lineage(data, Model(_model_name(name), digest.hexdigest(), folders, kind))


def _model_name(name: str) -> str:
    """Return a name that MLflow allows for a model."""
    return re.sub(r"[^\w +()-]", "_", storable(name))[:200] or "model"


def errors_over_time(folder: Path) -> Series:
    """Return the mean distance (px) and the share of missed instances along the labelled frames.

    A step is the first frame of a bin; with several videos, its place among all labelled frames.
    """
    path = folder / "metrics.frames.csv"
    if not path.is_file():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if len(rows) < 2:
        return {}
    several = len({row["video"] for row in rows}) > 1
    edges = np.linspace(0, len(rows), min(MOST_BINS, len(rows)) + 1).astype(int)
    found: Series = {"time/dist_avg": [], "time/missed_share": []}
    for start, stop in pairwise(edges.tolist()):
        step = start if several else int(float(rows[start]["frame"]))
        total = {
            name: sum(float(row.get(name) or 0) for row in rows[start:stop])
            for name in ("dist_sum", "n_distances", "n_missed", "n_matched")
        }
        if total["n_distances"]:
            found["time/dist_avg"].append((step, total["dist_sum"] / total["n_distances"]))
        if true := total["n_missed"] + total["n_matched"]:
            found["time/missed_share"].append((step, total["n_missed"] / true))
    return found


def speed_over_time(run: RunSummary) -> Series:
    """Return the frames per second of a prediction; a step is the number of frames done."""
    return {"time/frames_per_second": [(int(done), rate) for done, rate in run.rates]}


def log_inputs(store: Store, run_id: str, lineage: Lineage) -> str | None:
    """Log the inputs and the model of a run; a second call adds nothing.

    A server that does not know logged models keeps the run's tags.

    Returns:
        Id of the logged model, if there is one.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput
    from mlflow.exceptions import MlflowException

    datasets = [
        DatasetInput(
            Dataset(
                name=storable(each.name),
                digest=each.digest,
                source_type="local",
                source=json.dumps({"uri": storable(each.source)}),
                profile=each.profile,
            ),
            [InputTag("mlflow.data.context", each.context)],
        )
        for each in lineage.data
    ]
    if datasets:
        store.client.log_inputs(run_id, datasets=datasets)
    if lineage.model is None:
        return None
    try:
        digest = lineage.model.digest
        if digest not in store.models:
            store.models[digest] = _logged_model(store, run_id, lineage.model)
        model_id = store.models[digest]
        there = store.client.get_run(run_id).inputs.model_inputs or []
        if model_id not in {each.model_id for each in there}:
            store.client.log_inputs(run_id, models=[LoggedModelInput(model_id)])
    except MlflowException as error:
        if error.error_code not in UNKNOWN_TO_SERVER:
            raise
        return None
    return model_id


def _logged_model(store: Store, run_id: str, model: Model) -> str:
    """Return the id of the logged model with these weights; it is made where there is none."""
    known: list[Any] = store.client.search_logged_models(
        [store.experiment_id],
        f"tags.`{SHA_TAG}` = '{model.digest}'",
        max_results=1,
        order_by=[{"field_name": "creation_timestamp", "ascending": True}],
    )
    if known:
        return str(known[0].model_id)
    made = store.client.create_logged_model(
        store.experiment_id,
        name=model.name,
        source_run_id=run_id,
        tags={SHA_TAG: model.digest, "sleap_lab.folders": storable(", ".join(model.folders))},
        model_type=model.kind,
    )
    store.client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)
