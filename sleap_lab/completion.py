"""Completions for the tab key: verbs, and the flags and keys of each verb.

Hydra completes config groups, options and keys.
"""

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from sleap_lab.settings import flags

TABLES = {"track": flags.TRACK, "eval": flags.EVAL}
MAY_BE_KEYS = ("track", "eval", "tune", "doctor")


def completions(line: str, verbs: Sequence[str]) -> tuple[list[str], str | None]:
    """Complete the last word of a command line.

    Args:
        line: The line up to the cursor.
        verbs: First words that are verbs.

    Returns:
        The possible words, and the line for Hydra to complete as well; None where Hydra has nothing
        to complete. Where both are empty, shells offer files.
    """
    command, *words = line.split(" ")
    first, last = words[0] if words else "", words[-1] if words else ""
    if len(words) <= 1:
        return [verb for verb in verbs if verb.startswith(last)], line
    if first not in verbs:
        return [], line
    if last.startswith("-"):
        offered = [f"--{flag.name}" for flag in TABLES.get(first, ())]
    elif first == "tune":
        offered = _keys_of_tune()
    else:
        offered = ["ls", "clear"] if first == "cache" else []
    keys = (
        first in MAY_BE_KEYS and last != "" and not last.startswith("-") and not Path(last).exists()
    )
    return [
        word for word in offered if word.startswith(last)
    ], f"{command} {last}" if keys else None


def _keys_of_tune() -> list[str]:
    from sleap_lab.tune.settings import PREFIX, TuneConfig  # takes 0.5 s; only tuning needs it

    return [f"{PREFIX}{field.name}=" for field in fields(TuneConfig)]


def complete(verbs: Sequence[str]) -> bool:
    """Answer a shell that asks for completions, and say whether Hydra answers, too.

    The line is in the environment, where Hydra looks for it as well; words that are not for Hydra
    are removed from it.

    Args:
        verbs: First words that are verbs.
    """
    line = os.environ.get("COMP_LINE", "")
    offered, rest = completions(line[: int(os.environ.get("COMP_POINT", len(line)))], verbs)
    for word in offered:
        print(word)
    if rest is not None:
        os.environ |= {"COMP_LINE": rest, "COMP_POINT": str(len(rest))}
    return rest is not None
