"""The files and the closing message of a search."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sleap_lab import terminal
from sleap_lab.errors import counted, listed
from sleap_lab.files.atomic import replacing
from sleap_lab.tune.evidence import Setting
from sleap_lab.tune.options import OPTIONS, run_command, track_flags, unusual, write_options
from sleap_lab.tune.outcome import Outcome, number
from sleap_lab.tune.page import write_page
from sleap_lab.tune.problem import Problem
from sleap_lab.tune.study import Search
from sleap_lab.tune.trials import as_good, finished, importances

if TYPE_CHECKING:
    from optuna import Study


def write(
    search: Search,
    study: "Study",
    outcome: Outcome,
    words: Sequence[str],
    command: Sequence[str],
    config_dir: str | None,
) -> None:
    """Write options, report and numbers into the folder of the study, and show the outcome.

    Args:
        search: What was searched.
        study: Its study.
        outcome: What it found.
        words: Overrides of the experiment.
        command: The command line of the search.
        config_dir: Folder with options of the user, if there is one.

    Raises:
        RunError: A file cannot be written.
    """
    folder, option, setting = search.folder, search.settings.option, outcome.recommended
    made_by, blocks = shlex.join(command), _blocks(search.problem)
    files = write_options(
        folder / OPTIONS,
        option,
        setting.tracker,
        setting.filters,
        [outcome.verdict(), f"Made by: {made_by}"],
    )
    use, flags = _commands(setting, words, folder / OPTIONS, option, config_dir)
    facts = {"command": made_by, "use": use, "flags": flags, "blocks": blocks, **_numbers(outcome)}
    with replacing(folder / "tune.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    write_page(
        folder / "report.html",
        title=folder.name,
        outcome=outcome,
        trials=finished(study),
        importances=importances(study),
        blocks=blocks,
        options=[terminal.shown(file) for file in files],
        use=use,
        flags=flags,
        command=made_by,
    )
    terminal.table(
        [
            *_values(outcome, study),
            ("held out", blocks),
            ("options", " ".join(map(terminal.shown, files))),
            ("report", terminal.shown(folder / "report.html")),
        ]
    )
    how = "Use it" if setting is outcome.best else "The default setting, written out"
    print(f"\n{outcome.verdict()}\n\n{how}:\n  {use}\nor in flags:\n  sleap-lab track … {flags}")


def _commands(
    setting: Setting, words: Sequence[str], folder: Path, option: str, config_dir: str | None
) -> tuple[str, str]:
    """Return the lines that run a setting, and its flags of `track`."""
    tracker, filters, others = setting.tracker, setting.filters, setting.others
    command = run_command(words, folder, option, tracker, filters, config_dir, others)
    return shlex.join(command), shlex.join(track_flags(tracker, filters, others))


def _values(outcome: Outcome, study: "Study") -> list[tuple[str, str]]:
    """Return rows for the terminal: the metric of the default and of the best setting."""
    name, best = outcome.metric.name, outcome.best
    rows = [(f"{name}, default setting", number(outcome.default.held_out.value))]
    if best is None:
        return rows
    equal = as_good(finished(study), best.trial) if best.trial is not None else []
    others = (
        f"; as good where it was searched: {listed(list(map(str, equal)), 8)}; "
        "the simpler setting decides"
        if equal
        else ""
    )
    value = f"{number(best.held_out.value)} (trial {best.trial}{others})"
    return [*rows, (f"{name}, best found", value)]


def _blocks(problem: Problem) -> str:
    """Say how the labelled frames were divided."""
    kept = problem.held_out.blocks
    videos = {block.video for part in (*problem.search, problem.held_out) for block in part.blocks}
    shown = ", ".join(
        f"{f'video {block.video}: ' if len(videos) > 1 else ''}{block.first}-{block.last}"
        for block in kept[:12]
    )
    more = f" and {len(kept) - 12} more" if len(kept) > 12 else ""
    n_search = sum(len(part.blocks) for part in problem.search)
    gap = (
        f"but nothing within {counted(problem.gap, 'labelled frame')} of these"
        if problem.gap
        else "with no gap between them and these"
    )
    return (
        f"{len(kept)} of {n_search + len(kept)} blocks of consecutive time, "
        f"about {problem.length} labelled frames each: "
        f"frames {shown}{more}. The search sees the others, {gap}; "
        "every block is tracked by itself."
    )


def _numbers(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as JSON can hold it; null for nan."""

    def known(value: float) -> float | None:
        return None if np.isnan(value) else value

    def told(setting: Setting) -> dict[str, Any]:
        return {
            "trial": setting.trial,
            "searched": known(setting.searched.value),
            "held_out": {
                name: known(value) for name, value in setting.held_out.evaluation.headline().items()
            },
            "frames_per_second": setting.searched.frames_per_second,
            "settings": unusual(setting.tracker, setting.filters) | setting.others,
        }

    return {
        "metric": outcome.metric.name,
        "verdict": outcome.verdict(),
        "recommended": "default" if outcome.recommended is outcome.default else "best",
        "default": told(outcome.default),
        "best": None if outcome.best is None else told(outcome.best),
        "difference": list(map(known, outcome.difference[:3])),
        "losses": list(outcome.losses),
        "power": outcome.power(),
    }
