"""Experiments for animal pose estimation: inference, tracking and evaluation of SLEAP models.

The public names are imported on first use, because what stands behind them is slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleap_lab.api import run_inference
    from sleap_lab.evaluation import Evaluator, load_metrics
    from sleap_lab.experiment import run_experiment

__version__ = "0.1.0"
__all__ = ["Evaluator", "load_metrics", "run_experiment", "run_inference"]

_HOMES = {
    "run_inference": "sleap_lab.api",
    "run_experiment": "sleap_lab.experiment",
    "Evaluator": "sleap_lab.evaluation",
    "load_metrics": "sleap_lab.evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
