"""How well predictions agree with ground truth: poses, centroids and identities."""

from sleap_lab.evaluation.evaluator import Evaluator
from sleap_lab.evaluation.files import load_metrics, write_metrics, write_switches
from sleap_lab.evaluation.result import Evaluation
from sleap_lab.evaluation.scoring import evaluate
from sleap_lab.evaluation.switches import Switch

__all__ = [
    "Evaluation",
    "Evaluator",
    "Switch",
    "evaluate",
    "load_metrics",
    "write_metrics",
    "write_switches",
]
