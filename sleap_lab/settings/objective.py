"""The objective that ranks runs: a metric, and the direction in which it is better."""

from sleap_lab.errors import ConfigError, closest
from sleap_lab.settings.metrics import METRICS

MAXIMIZE, MINIMIZE = "maximize", "minimize"

# Metrics of a run that do not come from an evaluation: known names, and families whose names depend
# on the run.
SPEED = "speed/frames_per_second"
SECONDS = "speed/total_seconds"
KNOWN = [*(metric.name for metric in METRICS), SPEED, SECONDS]
BETTER = {metric.name: metric.better for metric in METRICS} | {SPEED: "higher"}
"""Metric -> its better side, `higher` or `lower`; empty where neither is."""
FAMILIES = ("counts/", "speed/", "quality/")

# Metrics that decide which run is best without `sweep.objective`: the first that any run has.
CRITERIA = ("identity/idf1", "eval/oks_map")


def check_objective(name: str, direction: str | None) -> None:
    """Refuse a metric that no run has, and one without a better direction.

    Args:
        name: `sweep.objective`.
        direction: `sweep.direction`.

    Raises:
        ConfigError: Naming the nearest spelling.
    """
    if name not in KNOWN and not name.startswith(FAMILIES):
        raise ConfigError(f"sweep.objective: there is no metric {name!r}.{nearest(name, KNOWN)}")
    if direction is None and natural_direction(name) is None:
        raise ConfigError(
            f"sweep.direction: neither side of {name} is better by itself; "
            f"accepted: {MAXIMIZE}, {MINIMIZE}"
        )


def nearest(name: str, known: list[str]) -> str:
    """Return a hint at the metric with the nearest last part or whole name; else list all."""
    by_last = {full.rpartition("/")[2]: full for full in reversed(known)}
    last = name.rpartition("/")[2]
    meant = by_last.get(last) or closest(name, known) or by_last.get(closest(last, by_last) or "")
    return f" Did you mean {meant!r}?" if meant else f" Accepted: {', '.join(known)}"


def natural_direction(name: str) -> str | None:
    """Return the direction in which a metric is better; None where neither is."""
    better = (
        "lower" if name.startswith("speed/") and name.endswith("_seconds") else BETTER.get(name, "")
    )
    return {"higher": MAXIMIZE, "lower": MINIMIZE}.get(better)
