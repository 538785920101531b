"""Completions for the tab key: verbs, their flags, keys, options, and files where a key takes one.

Hydra lists groups, options (also those in a folder of the user) and the names of keys.
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from sleap_lab.cli import eval_tracking, runs
from sleap_lab.cli.verbs import CACHE_DIR, CACHE_VERBS, OPTIONS, STORE, TAKE_STORE
from sleap_lab.errors import ConfigError, SleapLabError
from sleap_lab.settings import flags
from sleap_lab.settings.config import keys
from sleap_lab.settings.predict_flags import PREDICT

if TYPE_CHECKING:
    from sleap_lab.settings.application import Configs

TABLES = {"track": flags.TRACK, "predict": PREDICT, "eval": flags.EVAL}
SMALLER: Mapping[str, Iterable[str]] = {"cache": CACHE_VERBS, "runs": runs.VERBS}
"""Verb -> the verbs that follow it."""
TAKE_KEYS = ("track", "predict", "eval", "tune", "doctor")
FOLDERS = ("hydra.run.dir", "hydra.sweep.dir", "--config-dir", "-cd")
MEANINGFUL = re.compile(r"[^\w@%+=:,./~-]", re.ASCII)
"""Characters that bash reads as something else than themselves."""

SHELLS = {
    "bash": """\
_sleap_lab() {
    local IFS=$'\\n' line="${COMP_LINE:0:COMP_POINT}"
    COMPREPLY=($(COMP_LINE="$line" COMP_WORD="$2" "$1" -sc query=bash 2>/dev/null))
}
complete -o nospace -o default -F _sleap_lab sleap-lab
""",
    "zsh": """\
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
_sleap_lab() {
    local line="${(j: :)words[1,CURRENT-1]} $QIPREFIX$PREFIX"
    local found=(${(f)"$(COMP_LINE="$line" ${~words[1]} -sc query=zsh 2>/dev/null)"})
    (( $#found )) && compadd -S '' -- $found || _files
}
compdef _sleap_lab sleap-lab
""",
    "fish": """\
function _sleap_lab
    set -l words (commandline -opc)
    set -l found (COMP_LINE=(commandline -cp) $words[1] -sc query=fish 2>/dev/null)
    test -n "$found"; and printf '%s\\n' $found; or __fish_complete_path (commandline -ct)
end
complete -c sleap-lab -f -a '(_sleap_lab)'
""",
}
"""What makes each shell ask `sleap-lab` when the tab key is pressed."""


def shell_completion(arguments: Sequence[str], verbs: Sequence[str]) -> None:
    """Answer `-sc install=SHELL`, which is sourced, or `-sc query=SHELL`, which that code asks.

    The line up to the cursor is in the variable `COMP_LINE`; of bash, the part of the last word
    that it replaces is in `COMP_WORD`.

    Raises:
        ConfigError: The word is neither.
    """
    asked, _, shell = arguments[-1].partition("=")
    if shell not in SHELLS or asked not in ("install", "query"):
        accepted = ", ".join(f"install={name}" for name in SHELLS)
        raise ConfigError(f"-sc: got {arguments[-1]}; accepted: {accepted}")
    if asked == "install":
        print(SHELLS[shell], end="")
        return
    words, quoted = split(os.environ.get("COMP_LINE", ""))
    found = completions(words, verbs)
    if quoted and len(found) == 1 and found[0].endswith(("=", ".", "/")):
        # Of a single word bash would close the quote, so what can follow is offered as well.
        found += completions([*words[:-1], found[0]], verbs)
    for word in found:
        print(_for_bash(word, words[-1], quoted) if shell == "bash" else word)


def split(line: str) -> tuple[list[str], bool]:
    """Split an unfinished line as shells do.

    Returns:
        The words without their quotes, the last of which is empty behind a space; and whether the
        last is within quotes.
    """
    for quote in ("", "'", '"'):
        try:
            # A last word that is empty stays one.
            words = shlex.split(f"{line}{quote or '|'}")
        except ValueError:
            continue
        return (words if quote else [*words[:-1], words[-1][:-1]]), quote != ""
    return line.split(" "), False  # a backslash at the end


def completions(words: Sequence[str], verbs: Sequence[str]) -> list[str]:
    """Complete the last word of a command line.

    Args:
        words: The words up to the cursor, the command included.
        verbs: First words that are verbs.

    Returns:
        The possible words; none where shells are to offer files.
    """
    _, *before, last = words if len(words) > 1 else (*words, "")
    first = before[0] if before else ""
    offered: list[str] = []
    if before and before[-1] in FOLDERS:
        return []
    if not before:
        offered = list(verbs)
    elif last.startswith("-"):
        offered = [*_flags(first, before[1:]), *["--help"] * (first in verbs)]
    elif first in SMALLER and len(before) == 1:
        offered = list(SMALLER[first])
    elif first == "tune":
        offered = _keys_of_tune()
    elif last:  # without a letter, shells are to offer files
        offered = [STORE] * (first in TAKE_STORE) + [CACHE_DIR] * (first == "cache")
        offered += _keys_of_reproduce() if first == "reproduce" else []
    found = [word for word in offered if word.startswith(last)]
    if first in verbs and (last == "" or Path(last).exists() or not _takes(first, last)):
        return found
    return list(dict.fromkeys([*found, *_settings(last, before)]))


def _takes(verb: str, word: str) -> bool:
    """Return whether a verb takes settings that begin so; of few keys, it is asked their values."""
    few, (key, separator, _) = verb == "reproduce", word.partition("=")
    return f"{key}{separator}" in _keys_of_reproduce() if few else verb in TAKE_KEYS


def _flags(verb: str, words: Sequence[str]) -> Sequence[str]:
    """Return the flags of a verb, from the tables that read them."""
    if verb == "runs":
        return runs.VERBS[words[0]][1] if words and words[0] in runs.VERBS else ()
    if verb in TABLES:
        return [f"--{flag.name}" for flag in TABLES[verb]]
    return eval_tracking.FLAGS if verb == "eval-tracking" else OPTIONS.get(verb, ())


def _keys_of_tune() -> list[str]:
    from sleap_lab.tune.settings import PREFIX, TuneConfig  # takes 0.5 s; only tuning needs it

    return [f"{PREFIX}{field.name}=" for field in fields(TuneConfig)]


def _keys_of_reproduce() -> list[str]:
    from sleap_lab.runs.verify import CHANGEABLE  # takes 0.1 s

    return [f"{key}=" for key in CHANGEABLE]


def _settings(word: str, before: Sequence[str]) -> Iterator[str]:
    """Yield what begins with a word that is to become `KEY=VALUE`."""
    name, separator, value = word.partition("=")
    start = re.match(r"(?:.*[,\[])?", value, re.DOTALL)  # of a list or a sweep, the last
    assert start is not None
    given, last = f"{name}{separator}{start[0]}", value[start.end() :]
    field = keys().get(name)
    if separator and (name in FOLDERS or (field is not None and field.metadata["path"])):
        yield from (f"{given}{path}" for path in _files(last))
    elif separator and field is not None:
        choices = field.metadata["choices"] or (("true", "false") if field.type is bool else ())
        yield from (f"{given}{choice}" for choice in choices if str(choice).startswith(last))
    elif not word.startswith("-"):
        for found in _from_hydra(f"{name}{separator}{last}", before):
            if found.endswith(".") and found[:-1] in keys():  # a list; Hydra offers its indices
                found = f"{found[:-1]}="
            yield given + found.removeprefix(f"{name}=") if separator else found


def _files(begun: str) -> Iterator[str]:
    """Yield the files and folders whose path begins so, folders with a slash at their end."""
    folder, slash, name = begun.rpartition("/")
    try:
        found = sorted(Path(os.path.expanduser(f"{folder}{slash}") or ".").iterdir())  # noqa: PTH111
    except OSError:
        return
    for path in found:
        if path.name.startswith(name) and (name or not path.name.startswith(".")):
            yield f"{folder}{slash}{path.name}{'/' if path.is_dir() else ''}"


def _from_hydra(word: str, before: Sequence[str]) -> list[str]:
    """Return the groups, options and keys that begin so."""
    from hydra.plugins.completion_plugin import DefaultCompletionPlugin

    from sleap_lab.settings.application import hydra_application

    searched = [text for text in before if text.startswith("hydra.searchpath=")]
    try:
        with hydra_application(configs := _configs(before)) as hydra:
            plugin = DefaultCompletionPlugin(hydra.config_loader)
            return plugin._query(config_name=configs.name, line=" ".join([*searched, word]))
    except SleapLabError:  # the words before are wrong, which running the line will say
        return []


def _configs(before: Sequence[str]) -> "Configs":
    """Return the configs that the words before ask for."""
    from sleap_lab.settings.compose import find_configs

    options = {}
    for word, following in pairwise([*before, ""]):
        name, separator, value = word.partition("=")
        options[name] = value if separator else following
    return find_configs(
        options.get("--config-name", options.get("-cn")),
        options.get("--config-dir", options.get("-cd")),
    )


def _for_bash(word: str, typed: str, quoted: bool) -> str:
    """Return the part of a word that bash puts in place of `COMP_WORD`.

    Args:
        word: The word.
        typed: What was typed of it, without quotes.
        quoted: Whether it is within quotes.
    """
    replaced = os.environ.get("COMP_WORD", typed)
    if not quoted:
        replaced = split(replaced)[0][-1] if replaced else ""
    rest = word[len(typed) - len(replaced) :] if typed.endswith(replaced) else word
    return rest if quoted else MEANINGFUL.sub(r"\\\g<0>", rest)
