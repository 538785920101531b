"""The command `sleap-lab`: verbs and exit codes.

The config is composed and checked before any heavy module is imported.
"""

import argparse
import gc
import io
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import Field
from pathlib import Path
from typing import Any, NoReturn

from sleap_lab.errors import ConfigError, SleapLabError, system_problem
from sleap_lab.settings.credentials import conceal, redact

INTERRUPTED = 130
SEE = "see sleap-lab --help, and for sleap-nn's flags sleap-lab track --help"
HYDRA_ONLY = ("cfg", "info", "hydra_help", "version")
INSTEAD = {
    "config_path": (
        "the package's own options are always needed; use --config-dir DIR, and --config-name NAME "
        "for a primary config in it"
    ),
    "shell_completion": "it stands first: sleap-lab -sc install=bash",
    "experimental_rerun": "use sleap-lab reproduce RUN",
}
"""Options of Hydra that sleap-lab does not accept, and what to use instead."""

TUNE_HELP = """\
sleap-lab tune KEY=VALUE … [--config-dir DIR]: search tracker and filter settings on detections \
that are made once, or that a .slp
file holds, scored against ground truth. Writes config options, a report and sleap-nn's flags into \
outputs/tune; what KEY=VALUE
says of tracker and filters stays as it is. The same command goes on where it was interrupted.

Examples:
  sleap-lab tune data.path=video.mp4 'model.paths=[models/bottomup]' \
evaluator.ground_truth_path=truth.slp
  sleap-lab tune data.path=predictions.slp model=none evaluator.ground_truth_path=truth.slp \
tune.trials=200 tune.jobs=4

Keys, beside those of sleap-lab --help:
{keys}
"""

HELP = """\
sleap-lab: experiments for animal pose estimation

  sleap-lab KEY=VALUE …              run one experiment: \
frames → predict → filter → track → evaluate → report → log
  sleap-lab -m KEY=A,B …             run one experiment per combination
  sleap-lab track FLAGS              the same in sleap-nn's own flags (sleap-lab track --help)
  sleap-lab eval FLAGS               compare two .slp files (sleap-lab eval --help)
  sleap-lab compare RUN RUN …        \
which settings and metrics differ between runs, or the jobs of a sweep
  sleap-lab tune KEY=VALUE …         \
search tracker and filter settings against ground truth (sleap-lab tune --help)
  sleap-lab reproduce RUN            \
run the snapshot of a run again and say whether the answer is the same
  sleap-lab doctor PATH …            \
try out videos and models before a long run: what works, how long, how much memory
  sleap-lab sync [RUN …]             log run folders to MLflow that are not there yet
  sleap-lab cache ls|clear           \
what the stage cache holds, and how to empty it (sleap-lab cache --help)

Examples:
  sleap-lab data.path=video.mp4 'model.paths=[models/centroid,models/centered]' tracker=local_queues
  sleap-lab data.path=video.mp4 'model.paths=[models/bottomup]' 'data.frames="0-100,200-300"' \
model.peak_threshold=0.1
  sleap-lab 'data.path=clips/*.mp4' 'model.paths=[models/bottomup]' output.formats=[slp,analysis_h5]
  sleap-lab data.path=labels.slp model=none tracker=fixed_window
  sleap-lab data.path=predictions.slp model=none evaluator=oks evaluator.ground_truth_path=truth.slp
  sleap-lab -m experiment=demo tracker=fixed_window,local_queues tracker.tracking_window_size=3,5

Config groups, chosen as GROUP=OPTION; every key below can be overridden as KEY=VALUE:
{groups}

Keys:
{keys}

Options:
  -m, --multirun       run every combination of comma-separated values
  --config-dir DIR     folder with config options of your own
  --cfg job            print the composed config and stop
  --hydra-help         Hydra's own options
  -h, --help           this page

Exit codes: 0 done; 1 the run failed; 2 the command line or config is wrong; \
3 done, but some frames or jobs failed;
130 interrupted.
"""


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

        terminal.fail(system_problem(error))
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
        "eval": _eval,
        "tune": _tune,
        "compare": _compare,
        "reproduce": _reproduce,
        "doctor": _doctor,
        "sync": _sync,
        "cache": _cache,
    }
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_page())
        return 0 if arguments else ConfigError.exit_code
    if arguments[0] in verbs:
        return verbs[arguments[0]](arguments[1:])
    if arguments[0] in ("-sc", "--shell-completion"):
        from sleap_lab.completion import shell_completion

        shell_completion(arguments, tuple(verbs))
        return 0
    if "-h" in arguments or "--help" in arguments:
        print(help_page())
        return 0
    return _experiment(arguments, ["sleap-lab", *arguments])


def help_page() -> str:
    """Return the help page: groups, keys, options, examples."""
    from importlib import resources

    from sleap_lab.settings.config import GROUPS, defaults, keys

    lines = []
    for group in [*GROUPS, "experiment"]:
        files = resources.files("sleap_lab.conf").joinpath(group).iterdir()
        options = sorted(
            file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml")
        )
        lines.append(f"  {group:<15}{', '.join(options)}")
    rows = [_key_row(name, defaults()[name], field) for name, field in keys().items()]
    return HELP.format(groups="\n".join(lines), keys="\n".join(rows))


def _key_row(name: str, default: Any, field: "Field[Any]") -> str:
    from sleap_lab.settings.check import shown

    return f"  {name + '=' + shown(default):<48} {field.metadata['help']}"


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
    if not values.get("model.paths"):
        if not values.get("tracker.tracking"):
            raise ConfigError(
                "track needs --model_paths (-m) to predict, "
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
    if values.get("output.make_labels", True) and "output.path" not in values:
        path, index = values["data.path"], values.get("data.video_index")
        video = "" if index is None else _chosen_name(path, index)
        values["output.path"] = str(predictions_path(Path(path), video))
    return _as_overrides(
        flags.parity(values) | flags.special_defaults(flags.TRACK) | values, overrides
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


COMPARE = """\
sleap-lab compare RUN RUN …: how runs differ from the first: \
settings, what each of them does, and metrics, paired by frame.

RUN is a run folder, the folder of a sweep (all its jobs), or the id of a run in MLflow. \
One sweep is enough.
Prints a table and writes a page with everything into outputs/compare.

  logger.tracking_uri=URI   the MLflow store of the ids (default: that of outputs/)
"""


def _compare(arguments: list[str]) -> int:
    from datetime import datetime
    from tempfile import TemporaryDirectory

    if "-h" in arguments or "--help" in arguments:
        print(COMPARE, end="")
        return 0
    from sleap_lab import terminal
    from sleap_lab.compare.runs import compare
    from sleap_lab.compare.side_by_side import as_text, write_page
    from sleap_lab.sweeps.find import find_runs

    words, uri = _store_word(arguments)
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        found = [
            find_runs(
                word, Path(scratch), tracking_uri=uri, outputs_root=Path("outputs").absolute()
            )
            for word in words
        ]
        comparison = compare(
            [folder for part in found for folder in part.folders],
            [note for part in found for note in part.left_out],
        )
    page = Path("outputs") / "compare" / f"{datetime.now():%Y-%m-%d-%H-%M-%S-%f}.html"
    write_page(comparison, page)
    terminal.text(as_text(comparison) + "\n")
    terminal.table([("page", terminal.shown(page))])
    return 0


REPRODUCE = """\
sleap-lab reproduce RUN [KEY=VALUE …]: \
run the snapshot of a run again and compare poses and metrics with the first answer.

RUN is a run folder, or the id of a run in MLflow. \
Inputs must be what they were; one that moved is named by its key:

  data.path=PATH  evaluator.ground_truth_path=PATH  'model.paths=[PATH,PATH]'  \
model.backbone_ckpt_path=PATH  model.head_ckpt_path=PATH
  runtime.device=DEVICE     where the first device is not there
  logger.tracking_uri=URI   the MLflow store of the id (default: that of outputs/)

Exit codes: 0 the answer is the same; 1 it is not, inputs changed, or the run failed; \
2 there is nothing to repeat.
"""


def _reproduce(arguments: list[str]) -> int:
    from tempfile import TemporaryDirectory

    if "-h" in arguments or "--help" in arguments:
        print(REPRODUCE, end="")
        return 0
    from sleap_lab.reproduce import reproduce, show
    from sleap_lab.settings.config import keys
    from sleap_lab.settings.overrides import parse_overrides
    from sleap_lab.sweeps.find import find_run

    words, uri = _store_word(arguments)
    overrides = [word for word in words if word.partition("=")[0] in keys()]
    runs = [word for word in words if word not in overrides]
    if len(runs) != 1:
        raise ConfigError(
            "reproduce: give one run and, where inputs moved, KEY=PATH; "
            f"got {shlex.join(words) or 'nothing'}"
        )
    changes = {parsed.key_or_group: parsed.value() for parsed in parse_overrides(overrides)}
    outputs = Path("outputs").absolute()
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        folder = find_run(runs[0], Path(scratch), tracking_uri=uri, outputs_root=outputs)
        receipt = reproduce(
            folder, changes, command=["sleap-lab", "reproduce", *arguments], outputs_root=outputs
        )
    show(receipt)
    return 1 if receipt.differences else 0


DOCTOR = """\
sleap-lab doctor PATH … [KEY=VALUE …]: \
try out what a run would use, for a minute at most, and leave nothing behind.

PATHs are videos, folders, labels files and model folders, in any order; \
KEY=VALUE are settings of the run.
The last line says go, or what to fix first. \
Exit codes: 0 go; 1 something is to be fixed; 2 the command line is wrong.
"""


def _doctor(arguments: list[str]) -> int:
    if not arguments or "-h" in arguments or "--help" in arguments:
        print(DOCTOR, end="")
        return 0 if arguments else ConfigError.exit_code
    from sleap_lab import terminal
    from sleap_lab.doctor import PROBLEM, examine, verdict
    from sleap_lab.inference.interruption import interruptible
    from sleap_lab.settings.config import GROUPS, keys

    overrides = [
        word
        for word in arguments
        if word.partition("=")[0] in {*keys(), *GROUPS} and not Path(word).exists()
    ]
    findings = []
    with interruptible():
        for finding in examine([word for word in arguments if word not in overrides], overrides):
            findings.append(finding)
            terminal.table([(f"{finding.verdict:<8} {finding.name:<8}", finding.text)])
    print(verdict(findings))
    return 1 if any(finding.verdict == PROBLEM for finding in findings) else 0


def _store_word(arguments: list[str]) -> tuple[list[str], str | None]:
    """Split the word that names an MLflow store from the others."""
    key = "logger.tracking_uri="
    chosen = [word.removeprefix(key) for word in arguments if word.startswith(key)]
    return [word for word in arguments if not word.startswith(key)], chosen[-1] if chosen else None


SYNC = """\
sleap-lab sync [RUN …] [KEY=VALUE]: \
log runs to MLflow that are not there yet, where each was to be logged.

RUN is a run folder, the folder of a sweep, or any folder that holds some (default: outputs).

  logger.tracking_uri=URI   log them there instead, as after a server has moved
"""


def _sync(arguments: list[str]) -> int:
    if "-h" in arguments or "--help" in arguments:
        print(SYNC, end="")
        return 0
    from sleap_lab import terminal
    from sleap_lab.sweeps.sync import sync

    folders, uri = _store_word(arguments)
    for word in folders:
        if "=" in word and not Path(word).exists():
            raise ConfigError(
                f"sync: {word} is no folder; accepted: folders of runs, and logger.tracking_uri=URI"
            )
    outcomes = sync(
        [Path(folder) for folder in folders],
        outputs_root=Path("outputs").absolute(),
        tracking_uri=uri,
    )
    terminal.table([(terminal.shown(folder), outcome) for folder, outcome in outcomes.items()])
    return 1 if any(outcome.startswith("failed") for outcome in outcomes.values()) else 0


def _cache(arguments: list[str]) -> int:
    if "-h" in arguments or "--help" in arguments:
        print(
            "sleap-lab cache ls [cache_dir=DIR]: what the stage cache holds, the last used first.\n"
            "sleap-lab cache clear [KEY …] [cache_dir=DIR]: "
            "remove it, or the entries whose keys begin so; what is in use stays."
        )
        return 0
    from sleap_lab import terminal
    from sleap_lab.inference import cache

    folder = cache.DEFAULT_FOLDER
    words = []
    for word in arguments:
        if word.startswith("cache_dir="):
            folder = Path(word.partition("=")[2])
        else:
            words.append(word)
    if words == ["ls"]:
        terminal.text(f"{cache.as_text(cache.entries(folder))} in {folder}")
    elif words[:1] == ["clear"]:
        removed, in_use = cache.clear(folder, words[1:])
        terminal.text(f"{cache.as_text(removed)} removed from {folder}")
        if in_use:
            print(f"{cache.as_text(in_use)} in use and kept")
    else:
        raise ConfigError(
            f"cache: got {shlex.join(words) or 'nothing'}; "
            "accepted: ls, or clear and the beginnings of keys, and cache_dir=DIR"
        )
    return 0


def _tune(arguments: list[str]) -> int:
    from dataclasses import fields

    from sleap_lab.tune.settings import PREFIX, TuneConfig

    if "-h" in arguments or "--help" in arguments:
        print(
            TUNE_HELP.format(
                keys="\n".join(
                    _key_row(f"{PREFIX}{field.name}", field.default, field)
                    for field in fields(TuneConfig)
                )
            )
        )
        return 0
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its usage
    parser.add_argument("--config-dir")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args(arguments)
    from sleap_lab.tune.run import tune

    tune(options.overrides, config_dir=options.config_dir)
    return 0


def _experiment(arguments: list[str], command: list[str]) -> int:
    """Check every job of a command line, then hand it to Hydra."""
    from hydra._internal.utils import get_args_parser

    from sleap_lab.settings.compose import find_configs, hand_to_hydra, register
    from sleap_lab.settings.jobs import check_jobs

    register()
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its whole usage
    options, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such option; {SEE}")
    for name, instead in INSTEAD.items():
        if getattr(options, name) not in (None, False):
            raise ConfigError(f"--{name.replace('_', '-')}: {instead}")
    configs = find_configs(options.config_name, options.config_dir)
    if any(getattr(options, name, None) for name in HYDRA_ONLY):
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


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; {SEE}")
