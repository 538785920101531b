"""The trials of a study, as reports show them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from sleap_lab.settings.metrics import Metric
from sleap_lab.tune.problem import is_better
from sleap_lab.tune.space import Settings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

FEWEST_TRIALS = 10  # for importances


@dataclass(frozen=True)
class Tried:
    """A setting that was tried.

    Attributes:
        number: Number of the trial.
        value: Its metric on the searched blocks; nan for a trial that did not finish.
        frames_per_second: How fast it tracks.
        settings: Values by key.
        why: Why it did not finish or does not count; empty for one that counts.
    """

    number: int
    value: float
    frames_per_second: float
    settings: Settings
    why: str = ""


def tried(study: "Study") -> "list[FrozenTrial]":
    """Return the trials that finished, stopped early or still run, in the order of their start."""
    from optuna.trial import TrialState

    return study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    )


def finished(study: "Study") -> list[Tried]:
    """Return the trials that finished or stopped early, in the order of their start."""
    return [
        Tried(
            number=trial.number,
            value=float("nan")
            if trial.user_attrs.get("why") or trial.value is None
            else trial.value,
            frames_per_second=trial.user_attrs["frames_per_second"],
            settings=trial.user_attrs["settings"],
            why=trial.user_attrs.get("why", ""),
        )
        for trial in tried(study)
        if trial.state.is_finished()
    ]


def ranked(trials: Sequence[Tried], metric: Metric, usual: Settings) -> list[Tried]:
    """Return the trials that count, the best first.

    Of equal trials, the one that changes fewer of the usual settings comes first, then the earlier.
    """

    def key(trial: Tried) -> tuple[float, int, int]:
        changed = sum(usual.get(name) != value for name, value in trial.settings.items())
        return -trial.value if metric.better == "higher" else trial.value, changed, trial.number

    return sorted((trial for trial in trials if not (trial.why or isnan(trial.value))), key=key)


def best_of(
    trials: Sequence[Tried], metric: Metric, default: float, usual: Settings
) -> Tried | None:
    """Return the first of the ranked trials; None where none is better than the default setting."""
    best = next(iter(ranked(trials, metric, usual)), None)
    return best if best is not None and is_better(metric, best.value, default) else None


def as_good(trials: Sequence[Tried], number: int) -> list[int]:
    """Return the numbers of the other trials with the same value as one of them."""
    value = next(trial.value for trial in trials if trial.number == number)
    return [
        trial.number
        for trial in trials
        if trial.value == value and trial.number != number and not trial.why
    ]


def importances(study: "Study") -> dict[str, float]:
    """Return each searched dimension's share in what makes trials good, the largest first.

    The shares come from PED-ANOVA. Empty where there are too few trials, or all are equally good.
    """
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < FEWEST_TRIALS or len({trial.value for trial in complete}) < 2:
        return {}
    with warnings.catch_warnings():
        # The warning is about few trials, which the page mentions.
        warnings.filterwarnings("ignore", message="Some regimes for parameter")
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: float(share) for name, share in found.items()}
