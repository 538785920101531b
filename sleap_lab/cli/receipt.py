"""The receipt of a reproduction: what was compared, how far it agrees, and the verdict."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleap_lab import terminal
from sleap_lab.errors import counted
from sleap_lab.evaluation.agreement import (
    LARGEST_PIXELS,
    LARGEST_SCORE,
    NUMBERS,
    PIXELS,
    Difference,
)
from sleap_lab.files.atomic import replacing
from sleap_lab.runs import summary as run_summary
from sleap_lab.runs.verify import Fact, Input

RECEIPT = "receipt.json"
MOST = 20  # differences that the terminal shows


@dataclass(frozen=True)
class Receipt:
    """How a reproduction went.

    Attributes:
        first: The first run: its folder, or its id in MLflow.
        again: The folder of the reproduction.
        inputs: Input files, all unchanged or only moved.
        facts: Differences in what the two runs were made with: versions, code, machine.
        exact: Whether no difference was allowed: both runs have the same code, versions and
            processor, and no GPU, whose rounding may vary.
        predictions: How far the poses agree; empty where the first run left none.
        metrics: How far counts and metrics agree.
        notes: What was not compared, and why.
    """

    first: str
    again: Path
    inputs: list[Input]
    facts: list[Fact]
    exact: bool
    predictions: list[Difference]
    metrics: list[Difference]
    notes: list[str]

    @property
    def differences(self) -> list[Difference]:
        """The differences that exceed the allowed size."""
        return [item for item in (*self.predictions, *self.metrics) if not item.agrees]

    @property
    def verdict(self) -> str:
        """The outcome in words."""
        if self.differences:
            return "differs"
        same = not any(item.size for item in (*self.predictions, *self.metrics))
        return "identical" if same else f"agrees within {PIXELS} px and {NUMBERS} of every metric"


def write_receipt(receipt: Receipt) -> None:
    """Write a receipt into the folder of the second run.

    Raises:
        RunError: It cannot be written.
    """
    content = {
        "verdict": receipt.verdict,
        "agrees": not receipt.differences,
        "first": receipt.first,
        "again": str(receipt.again),
        "time": run_summary.now(),
        "exact": receipt.exact,
        "tolerance": {
            "px": 0.0 if receipt.exact else PIXELS,
            "metrics": 0.0 if receipt.exact else NUMBERS,
        },
        "inputs": [item._asdict() | {"path": str(item.path)} for item in receipt.inputs],
        "made_with": [fact._asdict() for fact in receipt.facts],
        "predictions": [_plain(item) for item in receipt.predictions],
        "metrics": [_plain(item) for item in receipt.metrics],
        "notes": receipt.notes,
    }
    with replacing(receipt.again / RECEIPT) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def _plain(item: Difference) -> dict[str, Any]:
    """Return a difference for JSON; undefined and missing values are null."""
    values = item._asdict() | {"difference": item.size}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }


def show_receipt(receipt: Receipt) -> None:
    """Show a receipt: the largest differences, what was compared, the verdict."""
    worst = sorted(receipt.differences, key=lambda item: -item.size)
    if worst:
        changes = [(item.name, f"{_shown(item.then)} → {_shown(item.now)}") for item in worst]
        terminal.table([("differs", "then → now"), *changes[:MOST]])
    for note in receipt.notes:
        terminal.warn(note)
    statuses = Counter(item.status for item in receipt.inputs)
    rows = [
        ("first run", receipt.first),
        ("inputs", ", ".join(f"{count} {status}" for status, count in statuses.items())),
        *_said_of_poses(receipt.predictions),
        (
            "metrics",
            f"{counted(len(receipt.metrics), 'metric')}: "
            f"differ by up to {max((item.size for item in receipt.metrics), default=0):.3g}",
        ),
        (
            "allowed",
            "no difference, on the same machine and versions"
            if receipt.exact
            else f"{PIXELS} px and {NUMBERS} of a metric",
        ),
        ("verdict", receipt.verdict),
        ("receipt", terminal.shown(receipt.again / RECEIPT)),
    ]
    if len(worst) > MOST:
        rows.append(("", f"{len(worst) - MOST} more differences are in the receipt"))
    terminal.table(rows)


def _said_of_poses(predictions: Sequence[Difference]) -> list[tuple[str, str]]:
    """Return the row on the poses, if both runs have some."""
    if not predictions:
        return []
    now = {item.name: item.now for item in predictions}
    return [
        (
            "poses",
            f"{now['instances']:.0f} instances: differ by up to {now[LARGEST_PIXELS]:.3g} px, "
            f"scores by up to {now[LARGEST_SCORE]:.3g}",
        )
    ]


def _shown(value: float) -> str:
    return "nothing" if math.isinf(value) else "undefined" if math.isnan(value) else f"{value:.6g}"
