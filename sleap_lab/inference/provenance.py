"""The plain facts that a predictions file carries about how it was made.

Nothing that differs between two equal runs is in here, so that equal runs write equal files; times
and machines stand in the run folder.
"""

from dataclasses import asdict
from typing import Any

from sleap_lab.files.packages import package_version
from sleap_lab.inference.detect import Inference
from sleap_lab.settings.config import Config


def provenance(config: Config, inference: Inference) -> dict[str, Any]:
    """Return versions, models, source and the settings that were not null."""

    def given(section: Any) -> dict[str, Any]:
        return {name: value for name, value in asdict(section).items() if value is not None}

    facts: dict[str, Any] = {
        "generator": "sleap_lab",
        "sleap_lab_version": package_version("sleap-lab"),
        "sleap_io_version": package_version("sleap-io"),
        "source_file": config.data.path,
        "frames_processed": len(inference.poses.frames),
        "data_config": given(config.data),
        "filter_config": given(config.filters),
    }
    if inference.kind != "none":  # poses that are read have theirs in their file
        facts |= {
            "model_paths": list(config.model.paths),
            "model_type": inference.kind,
            "device": inference.device,
            "inference_config": {**given(config.model), **given(config.preprocessing)},
        }
    if config.tracker.tracking:
        facts["tracking_config"] = given(config.tracker)
    return facts
