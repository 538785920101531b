"""`sleap-lab info`: what models are, and how their training ended."""

import csv
from collections.abc import Iterator
from pathlib import Path

from sleap_lab.checkpoints.description import describe
from sleap_lab.checkpoints.folder import read_training_configs
from sleap_lab.errors import RunError, one_line
from sleap_lab.evaluation import load_metrics

LOSSES = ("val/loss", "val_loss")
"""Columns of `training_log.csv` with the validation loss: of SLEAP-NN, and of SLEAP."""
METRICS = {
    "mOKS": ("mOKS", "mOKS"),
    "OKS mAP": ("voc_metrics", "oks_voc.mAP"),
    "mPCK": ("pck_metrics", "mPCK"),
    "mean distance px": ("distance_metrics", "avg"),
    "p90 px": ("distance_metrics", "p90"),
}
"""Name -> group and key in a metrics file."""


def rows(path: str | Path) -> list[tuple[str, str]]:
    """Return names and values that describe the models of a folder, given it or any file in it.

    Raises:
        ConfigError: The folder is missing or holds no training config.
        RunError: The config or the weights cannot be read.
    """
    return [
        row
        for config in read_training_configs(path)
        for row in (*describe(config), *_training(config.folder))
    ]


def _training(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield how training ended and its metrics, from the files that it leaves in the folder."""
    log = folder / "training_log.csv"
    if log.is_file() and (best := _best_epoch(log)) is not None:
        yield "training", f"best validation loss {best[1]:.3g} in epoch {best[0]} ({log.name})"
    for file in sorted(folder.glob("*metrics*.npz")):
        try:
            metrics = load_metrics(file)
        except RunError as error:
            yield "metrics", one_line(error)
            continue
        found = {
            name: metrics[group][key]
            for name, (group, key) in METRICS.items()
            if isinstance(metrics.get(group), dict) and key in metrics[group]
        }
        told = ", ".join(f"{name} {float(value):.3g}" for name, value in found.items())
        yield "metrics", f"{told or 'none that are known'} ({file.name})"


def _best_epoch(log: Path) -> tuple[str, float] | None:
    """Return the epoch of the smallest validation loss, and that loss; None where there is none."""
    try:
        with log.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        losses = [
            (float(row[column]), row["epoch"])
            for row in rows
            for column in LOSSES
            if row.get(column)
        ]
    except (OSError, ValueError, KeyError, csv.Error):  # a log of another program
        return None
    loss, epoch = min(losses, default=(0.0, None), key=lambda item: item[0])
    return None if epoch is None else (epoch, loss)
