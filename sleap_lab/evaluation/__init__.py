"""How well predictions agree with ground truth: poses, centroids and identities."""

from sleap_lab.evaluation.evaluator import Evaluator, evaluate
from sleap_lab.evaluation.files import load_metrics, write_metrics, write_switches
from sleap_lab.evaluation.identity import Switch
from sleap_lab.evaluation.result import Evaluation

__all__ = [
    "Evaluation",
    "Evaluator",
    "Switch",
    "evaluate",
    "load_metrics",
    "write_metrics",
    "write_switches",
]
