"""The command `sleap-lab`: verbs and exit codes.

The config is composed and checked before any heavy module is imported.
"""

import errno
import gc
import io
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from sleap_lab.cli.help_pages import help_page
from sleap_lab.errors import ConfigError, SleapLabError, did_you_mean, system_problem
from sleap_lab.errors.interruption import EXIT_CODE, interruptible
from sleap_lab.settings.config import GROUPS
from sleap_lab.settings.credentials import conceal_all, redact

HELP = ("-h", "--help", "help")

OF_SLEAP_NN = {
    "train": "sleap-lab does not train; sleap-nn train does, and its models are read here",
    "config": "sleap-lab does not train; sleap-nn config writes training configs",
    "export": "sleap-lab does not export; what sleap-nn export writes is a model folder here",
    "system": "see sleap-lab doctor",
    "stream": "it is a function of Python: from sleap_lab import stream",
}
"""Words that users of sleap-nn try as verbs -> what to use instead."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    # Imports and labels make many lasting objects. Garbage collections that visit them again and
    # again take an eighth of a short run.
    gc.set_threshold(100_000)
    signal.signal(signal.SIGTERM, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may hold bytes that are no valid text.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        with interruptible():
            arguments = [_as_meant(word) for word in conceal_all(arguments)]
            code = _dispatch(arguments)
    except SleapLabError as error:
        from sleap_lab import terminal

        terminal.fail(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_CODE
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    except OSError as error:  # a disk that is full, a folder that may not be written to
        from sleap_lab import terminal

        denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        terminal.fail(
            system_problem(error)
            + ("; run the command from a folder that you may write to" if denied else "")
        )
        code = 1
    except Exception as error:  # unexpected errors are also reported in one line
        import traceback

        from sleap_lab import terminal

        if "debug=true" in arguments:
            traceback.print_exception(error)
        terminal.fail(
            f"{type(error).__name__}: {redact(' '.join(str(error).split()))} "
            "(unexpected; debug=true shows where; please report it)"
        )
        code = 1
    # Without this, the last collections of the interpreter visit all objects once more: up to 1 s.
    gc.freeze()
    sys.exit(code)


def _as_meant(word: str) -> str:
    """Return a word with the home folder for `~`."""
    if "=" not in word or "~" not in word:
        return word
    from sleap_lab.settings.overrides import expand_home  # imports Hydra

    return expand_home(word)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _verbs() -> dict[str, Callable[[list[str]], int]]:
    """Return the verbs; the first help page does without their modules."""
    from sleap_lab.cli.eval_tracking import run_eval_tracking
    from sleap_lab.cli.flag_verbs import run_eval, run_predict, run_track
    from sleap_lab.cli.runs import run_runs
    from sleap_lab.cli.verbs import (
        run_cache,
        run_calibrate,
        run_compare,
        run_doctor,
        run_info,
        run_reproduce,
        run_review,
        run_suggest,
        run_sync,
        run_tune,
    )

    return {
        "track": run_track,
        "predict": run_predict,
        "eval": run_eval,
        "eval-tracking": run_eval_tracking,
        "tune": run_tune,
        "compare": run_compare,
        "review": run_review,
        "suggest": run_suggest,
        "calibrate": run_calibrate,
        "reproduce": run_reproduce,
        "info": run_info,
        "doctor": run_doctor,
        "sync": run_sync,
        "cache": run_cache,
        "runs": run_runs,
    }


def _dispatch(arguments: list[str]) -> int:
    first = arguments[0] if arguments else "--help"
    if first in HELP:
        print(help_page(*_own_folder(arguments[1:])))
        return 0 if arguments else ConfigError.exit_code
    verbs = _verbs()
    if first in verbs:
        return verbs[first](arguments[1:])
    if first == "--version":
        from sleap_lab.files.packages import package_version

        print(f"sleap-lab {package_version('sleap-lab')}")
        return 0
    if first in ("-sc", "--shell-completion"):
        from sleap_lab.cli.completion import shell_completion

        shell_completion(arguments, tuple(verbs))
        return 0
    if set(arguments) & set(HELP[:2]):
        words, own = _own_folder(arguments)
        named = words[1:] if words[0] in HELP else [word for word in words[:1] if word in GROUPS]
        print(help_page(named, own))
        return 0
    if first in OF_SLEAP_NN:
        raise ConfigError(f"{first}: {OF_SLEAP_NN[first]}")
    if "=" not in first and first[0:1] not in ("", "-", "+", "~"):
        raise ConfigError(
            f"{first!r} is neither a verb nor KEY=VALUE; see sleap-lab --help."
            f"{did_you_mean(first, verbs)}"
        )
    from sleap_lab.cli.words import run_words

    return run_words(arguments, ["sleap-lab", *arguments])


def _own_folder(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return words without `--config-dir`, and the folder that it names.

    Raises:
        ConfigError: There is no such folder.
    """
    if not arguments:
        return [], None
    import argparse

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", nargs="?")
    options, words = parser.parse_known_args(list(arguments))
    if options.config_dir is None:
        return words, None
    from sleap_lab.settings.compose import find_configs  # imports Hydra

    find_configs(None, options.config_dir)
    return words, Path(options.config_dir)
