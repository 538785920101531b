"""The command `sleap-lab`: verbs and exit codes.

The config is composed and checked before any heavy module is imported.
"""

import argparse
import errno
import gc
import io
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

from sleap_lab import __version__
from sleap_lab.cli.eval_tracking import run_eval_tracking
from sleap_lab.cli.help_pages import help_page
from sleap_lab.cli.verbs import (
    SEE,
    refuse,
    run_cache,
    run_compare,
    run_doctor,
    run_info,
    run_reproduce,
    run_review,
    run_sync,
    run_tune,
)
from sleap_lab.errors import ConfigError, SleapLabError, did_you_mean, system_problem
from sleap_lab.interruption import interruptible
from sleap_lab.settings.config import GROUPS
from sleap_lab.settings.credentials import conceal, redact

INTERRUPTED = 130
HYDRA_ONLY = ("cfg", "info", "hydra_help", "version")
HELP = ("-h", "--help", "help")
INSTEAD = {
    "config_path": (
        "the package's own options are always needed; use --config-dir DIR, and --config-name NAME "
        "for a primary config in it"
    ),
    "shell_completion": "it stands first: sleap-lab -sc install=bash",
    "experimental_rerun": "use sleap-lab reproduce RUN",
}
"""Options of Hydra that sleap-lab does not accept, and what to use instead."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    arguments = [_as_meant(word) for word in (sys.argv[1:] if argv is None else argv)]
    # Imports and labels make many lasting objects. Garbage collections that visit them again and
    # again take an eighth of a short run.
    gc.set_threshold(100_000)
    signal.signal(signal.SIGTERM, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names may hold bytes that are no valid text.
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        with interruptible():
            code = _dispatch(arguments)
    except SleapLabError as error:
        from sleap_lab import terminal

        terminal.fail(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = INTERRUPTED
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
            f"{type(error).__name__}: {' '.join(str(error).split())} "
            "(not foreseen; debug=true tells where, please report it)"
        )
        code = 1
    # Without this, the last collections of the interpreter visit all objects once more: up to 1 s.
    gc.freeze()
    sys.exit(code)


def _as_meant(word: str) -> str:
    """Return a word without the password in it, and with the home folder for `~`."""
    word = conceal(word) if "tracking_uri=" in word else word
    if "=" not in word or "~" not in word:
        return word
    from sleap_lab.settings.overrides import expand_home  # imports Hydra

    return expand_home(word)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    verbs: dict[str, Callable[[list[str]], int]] = {
        "track": _track,
        "predict": _predict,
        "eval": _eval,
        "eval-tracking": run_eval_tracking,
        "tune": run_tune,
        "compare": run_compare,
        "review": run_review,
        "reproduce": run_reproduce,
        "info": run_info,
        "doctor": run_doctor,
        "sync": run_sync,
        "cache": run_cache,
    }
    first = arguments[0] if arguments else "--help"
    if first in HELP:
        print(help_page(*_own_folder(arguments[1:])))
        return 0 if arguments else ConfigError.exit_code
    if first in verbs:
        return verbs[first](arguments[1:])
    if first == "--version":
        print(f"sleap-lab {__version__}")
        return 0
    if first in ("-sc", "--shell-completion"):
        from sleap_lab.completion import shell_completion

        shell_completion(arguments, tuple(verbs))
        return 0
    if set(arguments) & set(HELP[:2]):
        words, own = _own_folder(arguments)
        named = words[1:] if words[0] in HELP else [word for word in words[:1] if word in GROUPS]
        print(help_page(named, own))
        return 0
    if "=" not in first and first[0:1] not in ("", "-", "+", "~"):
        raise ConfigError(
            f"{first!r} is neither a verb nor KEY=VALUE; see sleap-lab --help."
            f"{did_you_mean(first, verbs)}"
        )
    return _experiment(arguments, ["sleap-lab", *arguments])


def _own_folder(arguments: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return words without `--config-dir`, and the folder that it names.

    Raises:
        ConfigError: There is no such folder.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd", nargs="?")
    options, words = parser.parse_known_args(list(arguments))
    if options.config_dir is None:
        return words, None
    from sleap_lab.settings.compose import find_configs  # imports Hydra

    find_configs(None, options.config_dir)
    return words, Path(options.config_dir)


def _track(arguments: list[str]) -> int:
    from sleap_lab.settings import flags
    from sleap_lab.settings.inputs import predictions_path

    if "-h" in arguments or "--help" in arguments:
        print(
            "sleap-lab track FLAGS [KEY=VALUE …]: "
            "predict, and track with -t, in sleap-nn's own flags." + flags.help_text(flags.TRACK)
        )
        return 0
    values, overrides = flags.parse(flags.TRACK, arguments)
    _check_inputs("track", values, overrides)
    if values.get("output.make_labels", True) and "output.path" not in values:
        path, index = values["data.path"], values.get("data.video_index")
        video = "" if index is None else _chosen_name(path, index)
        values["output.path"] = str(predictions_path(Path(path), video))
    return _as_overrides(
        flags.parity(values) | flags.special_defaults(flags.TRACK) | values, overrides
    )


def _predict(arguments: list[str]) -> int:
    from sleap_lab import terminal
    from sleap_lab.settings import flags
    from sleap_lab.settings.predict_flags import OTHERS, PREDICT, parse_predict

    if "-h" in arguments or "--help" in arguments:
        print(
            "sleap-lab predict FLAGS [KEY=VALUE …]: the flags of sleap-nn predict."
            + flags.help_text(PREDICT)
            + f"\n\nWithout a key, see docs/reference/flags.md: --{', --'.join(OTHERS)}"
        )
        return 0
    values, overrides, as_json = parse_predict(arguments)
    _check_inputs("predict", values, overrides)
    values.setdefault("output.path", f"{values['data.path']}.slp")
    if as_json:
        terminal.show_progress_as_json()
    return _as_overrides(
        flags.parity(values) | {"tracker.one_node_distance": True} | values, overrides
    )


def _check_inputs(verb: str, values: dict[str, Any], overrides: list[str]) -> None:
    """Refuse flags without input or work; where there is no model, say so in the values."""
    if not values.get("model.paths"):
        if not values.get("tracker.tracking"):
            raise ConfigError(
                f"{verb} needs --model_paths (-m) to predict, "
                "or --tracking (-t) to track the instances of a .slp file"
            )
        values["model.kind"] = "none"
    if values.get("data.path") is None:
        raise ConfigError("--data_path (-i) is missing: a video or a .slp file")
    for word in overrides:
        if "=" not in word and Path(word).exists():
            raise ConfigError(
                f"{word}: a path too many; put a glob into quotes (-i 'clips/*.mp4'), "
                "or give a folder or a .txt file of paths"
            )


def _chosen_name(path: str, index: int) -> str:
    from sleap_lab.media.chosen import chosen_name  # slow to import

    return chosen_name(path, index)


def _eval(arguments: list[str]) -> int:
    from sleap_lab.settings import flags

    if "-h" in arguments or "--help" in arguments:
        print(
            "sleap-lab eval FLAGS [KEY=VALUE …]: compare predictions with ground truth."
            + flags.help_text(flags.EVAL)
        )
        return 0
    values, overrides = flags.parse(flags.EVAL, arguments)
    for key, name in (
        ("evaluator.ground_truth_path", "--ground_truth_path (-g)"),
        ("data.path", "--predicted_path (-p)"),
    ):
        if values.get(key) is None:
            raise ConfigError(f"{name} is missing: a .slp file")
    values = (
        flags.special_defaults(flags.EVAL)
        | values
        | {"model.kind": "none", "evaluator.evaluate": True}
    )
    return _as_overrides(values, overrides)


def _as_overrides(values: dict[str, Any], overrides: list[str]) -> int:
    """Run the experiment that the flags describe, after printing the equivalent overrides."""
    from sleap_lab.settings.overrides import as_typed, quote

    words = [f"{key}={quote(value)}" for key, value in values.items()]
    chosen = {override.partition("=")[0] for override in overrides}
    words += [
        word for word in ("logger=none", "report=none") if word.partition("=")[0] not in chosen
    ]
    words += overrides
    print(as_typed(["sleap-lab", *words]))
    return _experiment(words, ["sleap-lab", *words])


def _experiment(arguments: list[str], command: list[str]) -> int:
    """Check every job of a command line, then hand it to Hydra."""
    from hydra._internal.utils import get_args_parser

    from sleap_lab.settings.compose import (
        compose_node,
        find_configs,
        hand_to_hydra,
        hydra_application,
        options_of,
        register,
    )
    from sleap_lab.settings.jobs import check_jobs
    from sleap_lab.settings.overrides import check_overrides, fixed

    register()
    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign]  # argparse would print its whole usage
    options, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such option; {SEE}")
    for name, instead in INSTEAD.items():
        if getattr(options, name) not in (None, False):
            raise ConfigError(f"--{name.replace('_', '-')}: {instead}")
    configs = find_configs(options.config_name, options.config_dir)
    if any(getattr(options, name, None) for name in HYDRA_ONLY):
        if options.cfg or options.info:  # Hydra tells a mistake in many lines
            with hydra_application(configs) as hydra:
                check_overrides(options.overrides, options_of(hydra, configs, options.overrides))
                compose_node(hydra, configs, fixed(options.overrides))
        # Hydra's own parser loses overrides that stand on both sides of an option.
        flags = [word for word in arguments if word not in options.overrides]
        with redirect_stdout(io.StringIO()) if options.cfg else nullcontext() as shown:
            hand_to_hydra(
                [*options.overrides, *flags, "--config-name", configs.name], lambda node: None
            )
        if shown is not None:
            print(redact(shown.getvalue()), end="")
        return 0
    checked = check_jobs(options.overrides, multirun=options.multirun, configs=configs)
    from sleap_lab.sweeps.launch import launch

    return launch(checked, options.overrides, command, configs)
