"""Experiments for animal pose estimation: inference, tracking and evaluation of SLEAP models.

The public names are imported on first use, because their modules are slow to import.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleap_lab.evaluation import Evaluator, load_metrics
    from sleap_lab.experiment import run_experiment
    from sleap_lab.predict import run_inference, stream

__version__ = "0.1.0"
__all__ = ["Evaluator", "load_metrics", "run_experiment", "run_inference", "stream"]

_HOMES = {
    "run_inference": "sleap_lab.predict",
    "stream": "sleap_lab.predict",
    "run_experiment": "sleap_lab.experiment",
    "Evaluator": "sleap_lab.evaluation",
    "load_metrics": "sleap_lab.evaluation",
}

# OpenCV reads these when it is loaded. Its decoders otherwise write pages about a damaged video,
# which sleap-lab reports in one line; and it refuses an image whose header claims more than 2**28
# pixels (0.8 GB).
for _name, _value in {
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_LOG_LEVEL": "OFF",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(2**28),
}.items():
    os.environ.setdefault(_name, _value)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        from sleap_lab.errors import did_you_mean

        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}.{did_you_mean(name, __all__)}"
        )
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
