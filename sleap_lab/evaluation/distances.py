"""How far predicted nodes are from the true ones."""

import numpy as np

PERCENTILES = (50, 75, 90, 95, 99)


def summarize(distances: np.ndarray) -> dict[str, float]:
    """Return the mean and percentiles (linear interpolation) of all distances that exist.

    Args:
        distances: Any shape, px; nan where there is no distance.

    Returns:
        `avg`, `p50`, `p75`, `p90`, `p95`, `p99` in px; nan where there is no distance at all.
    """
    known = distances[~np.isnan(distances)]
    names = ["avg", *(f"p{p}" for p in PERCENTILES)]
    if not len(known):
        return dict.fromkeys(names, float("nan"))
    return dict(zip(names, [known.mean(), *np.percentile(known, PERCENTILES)], strict=True))
