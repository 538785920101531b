"""What held-out blocks say of a setting: whether it is better by more than chance, and its cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sleap_lab.evaluation import Evaluation
from sleap_lab.evaluation.frames import on_frames
from sleap_lab.evaluation.influence import Parts, parts
from sleap_lab.evaluation.intervals import (
    UNITS,
    Difference,
    change_of,
    judged,
    leave_one_out,
    with_identity,
)
from sleap_lab.evaluation.spread import less, pooled_spread
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.problem import Score
from sleap_lab.tune.space import Settings, flat

FEWEST_BLOCKS = 6  # searched and held-out ones together, for an interval
FEWEST_HELD_OUT = 2
FEWEST_TIMES = 2  # length of a block in correlation times, for an interval
LOST = 0.002
"""Share of the true animals that a recommended setting may miss beyond those that the default does.

Many metrics rise where animals are dropped.
"""
LOST_AP = 0.005  # average precision that a recommended setting may lose
ONE_SIDED = 0.75  # net share of all animals that one setting finds and the other misses
CLEAR = 0.02  # chance of a difference as large, below which a loss is one; three share 5%


@dataclass(frozen=True, eq=False)
class Setting:
    """A setting and its scores.

    Attributes:
        tracker: Its tracker.
        filters: Its filters.
        searched: Its score on the blocks that the search sees.
        held_out: Its score on the blocks that the search does not see.
        trial: Number of its trial; None for the default setting.
        others: Values of searched keys of other sections.
    """

    tracker: TrackerConfig
    filters: FiltersConfig
    searched: Score
    held_out: Score
    trial: int | None = None
    others: Settings = field(default_factory=dict)

    def flat(self) -> Settings:
        """Return every key of the setting with its value."""
        return flat(self.tracker, self.filters) | self.others


def n_blocks(evaluation: Evaluation) -> int:
    """Return the number of blocks that an evaluation is of; each is a video of its own."""
    return 0 if evaluation.table is None else len(np.unique(evaluation.table.video))


def n_frames(evaluation: Evaluation) -> int:
    """Return the number of labelled frames that an evaluation is of."""
    return 0 if evaluation.table is None else len(evaluation.table.frame)


def why_no_interval(held_out: int, searched: int, length: int, time: float) -> str:
    """Say why held-out blocks tell nothing about chance; empty where they do.

    Args:
        held_out: Number of held-out blocks.
        searched: Number of the others.
        length: Labelled frames of a block, about.
        time: Correlation time in labelled frames.
    """
    if held_out < FEWEST_HELD_OUT or held_out + searched < FEWEST_BLOCKS:
        return (
            f"{held_out} held-out and {searched} searched blocks are too few: "
            f"{FEWEST_HELD_OUT} and {FEWEST_BLOCKS} in all are needed"
        )
    if length < FEWEST_TIMES * time:
        return (
            f"blocks of {length} labelled frames are not independent of each other, "
            f"as frames are alike over about {time:.0f}"
        )
    return ""


def differences(
    default: Setting, best: Setting, alike: np.ndarray, *, judge: bool = True
) -> dict[str, Difference]:
    """Return how much each metric changes from one setting to another on the held-out blocks.

    Each block is a video of its own, and the same for both settings, so that the difficulty of a
    block cancels out. The change is that on the held-out blocks. How far blocks scatter is learned
    from the searched ones, too: the choice of the best setting favours a large change there, not a
    small scatter.

    Args:
        default: The setting to compare with.
        best: The other one.
        alike: (blocks, blocks) how blocks vary together, by their numbers; see `split.likeness`.
        judge: Whether to add intervals.
    """
    values = [setting.held_out.evaluation.headline() for setting in (default, best)]
    change = {
        name: float(less(values[1][name], value))
        for name, value in values[0].items()
        if name in values[1]
    }
    found = {name: Difference(value) for name, value in change.items()}
    sides = [
        _both(*(score.evaluation for score in scores))
        for scores in (
            (default.held_out, best.held_out),
            (default.searched, best.searched),
        )
    ]
    if not judge or any(side is None for side in sides):
        return found
    parted = [(change_of(*side), side[0].video) for side in sides if side is not None]
    names = [name for name in change if all(name in influence for influence, _ in parted)]
    (own, video), (other, other_video) = (
        (np.stack([influence[name] for name in names], axis=1), of) for influence, of in parted
    )
    # Counts grow with the frames that they are from.
    counts = np.array([UNITS[name] == "count" for name in names])
    other = other * np.where(counts, len(video) / len(other_video), 1)
    units = np.concatenate([np.unique(video), np.unique(other_video)])
    spread = pooled_spread(own, video, other, other_video, alike[np.ix_(units, units)])
    return found | judged({name: change[name] for name in names}, spread)


def _both(first: Evaluation, second: Evaluation) -> tuple[Parts, Parts] | None:
    """Return the parts of two evaluations of the same blocks; None where there are no frames.

    Where both have identity metrics, these are among them, and blocks without are left out.
    """
    if first.table is None or second.table is None:
        return None
    tables = first.table, second.table
    counted = [
        {
            video: counts
            for (video, _), counts in zip(e.identity_by_video, e.identity_counts, strict=True)
        }
        for e in (first, second)
    ]
    if not counted[0].keys() & counted[1].keys():
        return parts(tables[0]), parts(tables[1])
    shared = sorted(counted[0].keys() & counted[1].keys())
    rows = np.flatnonzero(np.isin(first.table.video, shared))
    mine, other = (
        with_identity(
            parts(on_frames(table, rows)),
            evaluation.headline(),
            dict(zip(shared, leave_one_out([counts[video] for video in shared]), strict=False)),
        )
        for table, evaluation, counts in zip(tables, (first, second), counted, strict=True)
    )
    return mine, other


def losses(default: Setting, best: Setting, found: Mapping[str, Difference]) -> tuple[str, ...]:
    """Say what a setting loses beyond what a recommended one may.

    Animals that no prediction is matched with and animals that identity metrics miss, on all
    blocks, and average precision on the held-out ones. A loss that may well be chance does not
    count: settings whose errors are other ones, not more, lose here what they gain there.

    Args:
        default: The setting to compare with.
        best: The other one.
        found: How much each metric changes on the held-out blocks.
    """
    animals = sum(
        float(side.evaluation.headline().get(name, 0.0))
        for side in (default.searched, default.held_out)
        for name in ("eval/n_matched", "eval/n_missed")
    )
    said = []
    for name, more, what in (
        ("eval/n_missed", _missed(best) - _missed(default), "loses {:.0f} animals"),
        (
            "identity/misses",
            _without_track(best) - _without_track(default),
            "leaves {:.0f} more animals without a track",
        ),
    ):
        lost, clear = more.sum(), found.get(name, Difference(0.0)).chance < CLEAR
        if lost > LOST * animals and (clear or lost >= ONE_SIDED * np.abs(more).sum()):
            said.append(what.format(lost))
    ap = found.get("coco/ap", Difference(0.0))
    if -ap.value > LOST_AP and not ap.chance >= CLEAR:
        said.append(f"has a coco/ap that is lower by {-ap.value:.4g}")
    return tuple(said)


def _missed(setting: Setting) -> np.ndarray:
    """Return (frames,) how many animals are missed in each labelled frame."""
    tables = (side.evaluation.table for side in (setting.searched, setting.held_out))
    columns = [table.columns["n_missed"] for table in tables if table is not None]
    return np.concatenate([np.zeros(0), *columns])


def _without_track(setting: Setting) -> np.ndarray:
    """Return (blocks,) how many animals identity metrics miss in each block; none without them."""
    sides = (side.evaluation.identity_by_video for side in (setting.searched, setting.held_out))
    return np.array([metrics["misses"] for side in sides for _, metrics in side])
