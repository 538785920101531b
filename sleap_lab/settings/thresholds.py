"""Thresholds that a setting gives in several forms: one number, or one for each of several."""

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import EvaluatorConfig, ModelConfig


def peak_thresholds(config: ModelConfig) -> tuple[float, float]:
    """Return the peak thresholds of centroids and of keypoints.

    Raises:
        ConfigError: `model.peak_threshold` is neither a number nor a pair of numbers.
    """
    value = config.peak_threshold
    values = list(value) if isinstance(value, (list, tuple)) else [value, value]
    if len(values) != 2 or not all(map(_is_number, values)):
        raise ConfigError(
            f"model.peak_threshold: got {value!r}; "
            "accepted: a number, or for top-down [centroid, keypoint]"
        )
    return float(values[0]), float(values[1])


def oks_stddevs(config: EvaluatorConfig, n_nodes: int | None = None) -> float | list[float]:
    """Return the spread of the OKS kernel, one number or one per node.

    Args:
        config: The config.
        n_nodes: Number of nodes that a list must have, where it is known.

    Raises:
        ConfigError: `evaluator.oks_stddev` is not a positive number or a list of them, or it has
            another length than `n_nodes`.
    """
    value = config.oks_stddev
    values = value if isinstance(value, list) else [value]
    if not values or not all(_is_number(v) and v >= 1e-9 for v in values):
        raise ConfigError(
            f"evaluator.oks_stddev: got {value!r}; accepted: a number of at least 1e-09, "
            "or a list of one per node"
        )
    if isinstance(value, list) and n_nodes not in (None, len(value)):
        raise ConfigError(
            f"evaluator.oks_stddev: got {len(value)} numbers; "
            f"accepted: one number, or one for each of the {n_nodes} nodes"
        )
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
