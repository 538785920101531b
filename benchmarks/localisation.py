"""Distance of keypoints from ground truth by crop registration and refinement.

Writes the table of docs/localisation.md.
"""

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.crop_models import make
from benchmarks.timing import REFERENCE, REPOSITORY, write_between
from sleap_lab.checkpoints import read_training_config
from sleap_lab.evaluation import evaluate
from sleap_lab.inference.detect import detect
from sleap_lab.media.open_source import open_source
from sleap_lab.settings.check import check
from sleap_lab.settings.config import Config, EvaluatorConfig

DEMO = REPOSITORY / "sleap_lab" / "demo"
PAGE = REPOSITORY / "docs" / "localisation.md"


class Case(NamedTuple):
    """Models and labels; `every` is the step between the labelled frames that are used."""

    name: str
    labels: Path
    models: tuple[Path, ...]
    every: int = 1
    threshold: float = 0.2


def cases(reference: Path, dots: dict[str, Path], dots_labels: Path) -> list[Case]:
    """Return the cases: the demo, the models of the reference, and sleap-nn's models of dots."""
    clip, models = DEMO / "truth.slp", DEMO / "models"
    package, theirs = reference / "labels" / "minimal_instance.pkg.slp", reference / "models"
    flies, legacy = reference / "labels" / "two_flies.slp", reference / "legacy_models"
    return [
        Case("demo, top-down", clip, (models / "centroid", models / "centered_instance"), 3),
        Case(
            "demo, top-down with classes",
            clip,
            (models / "centroid", models / "multi_class_topdown"),
            3,
        ),
        Case("demo, bottom-up", clip, (models / "bottomup",), 3),
        Case("demo, bottom-up with classes", clip, (models / "multi_class_bottomup",), 3),
        Case("demo, single instance", DEMO / "single_truth.slp", (models / "single_instance",), 3),
        *(Case(name, dots_labels, (folder,), 4) for name, folder in dots.items()),
        Case(
            "two_flies, top-down",
            flies,
            (theirs / "flies13_centroid", theirs / "flies13_centered_instance"),
            8,
        ),
        Case("two_flies, bottom-up", flies, (theirs / "flies13_bottomup",), 8, 0.1),
        Case(
            "minimal_instance, top-down",
            package,
            (theirs / "minimal_instance_centroid", theirs / "minimal_instance_centered_instance"),
        ),
        Case(
            "minimal_instance, bottom-up",
            package,
            (theirs / "minimal_instance_bottomup",),
            threshold=0.05,
        ),
        Case(
            "minimal_instance, legacy top-down",
            package,
            (
                legacy / "minimal_instance.UNet.centroid",
                legacy / "minimal_instance.UNet.centered_instance",
            ),
        ),
        Case(
            "minimal_instance, legacy bottom-up",
            package,
            (legacy / "minimal_instance.UNet.bottomup",),
        ),
    ]


def measure(case: Case, registration: str, refinement: str) -> tuple[int, float, float]:
    """Return the number of matched instances, and distances of their nodes from the truth, px.

    The distances are the median and the 90th percentile.
    """
    config = Config()
    config.data.path, config.model.paths = str(case.labels), [str(path) for path in case.models]
    config.model.peak_threshold, config.model.integral_refinement = case.threshold, refinement
    config.preprocessing.crop_registration, config.runtime.device = registration, "cpu"
    check(config)
    frames = len(open_source(config.data, predicting=True).frames)
    config.data.frames = list(range(0, frames, case.every))
    source = open_source(config.data, predicting=True)
    assert source.truth is not None, "every case has labels"
    found = detect(source, config).poses
    result = evaluate(
        source.truth, found, EvaluatorConfig(), videos={0: 0}, requested=source.frames
    ).headline()
    return int(result["eval/n_matched"]), result["eval/dist_p50"], result["eval/dist_p90"]


def run(
    reference: Path = REFERENCE,
    *,
    peer_python: Path | None = None,
    dots: Path | None = None,
    only: str = "",
) -> None:
    """Measure everything, and write the table to its page unless only some cases were measured.

    Args:
        reference: Folder with labels, videos and models.
        peer_python: Python of an environment with sleap-nn, which trains the models of the dots.
        dots: Folder to keep these models in.
        only: Part of the names of the cases to measure.
    """
    rows = [
        "| models | trained by | instances | reference | exact | exact, bounded |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        folder = dots or Path(scratch)
        trained = make(folder, peer_python) if peer_python is not None else {}
        os.chdir(reference)  # labels name their videos relative to it
        for case in cases(reference, trained, folder / "test.slp"):
            if only not in case.name:
                continue
            if DEMO in case.labels.parents:
                os.chdir(DEMO)
            last = read_training_config(case.models[-1])
            by = (
                "SLEAP 1"
                if last.legacy
                else f"sleap-nn {last.version}"
                if last.version
                else "scripts/make_demo.py"
            )
            ways = {
                way: measure(case, *way)
                for way in (("reference", "integral"), ("exact", "integral"), ("exact", "bounded"))
            }
            count = ways["reference", "integral"][0]
            cells = [f"{median:.3f}, {p90:.3f}" for _, median, p90 in ways.values()]
            rows.append(f"| {case.name} | {by} | {count} | {' | '.join(cells)} |")
            print(rows[-1], flush=True)
            os.chdir(reference)
    if only or peer_python is None:
        return
    write_between(PAGE, "localisation", "\n".join(rows))
