"""The verbs of the command `sleap-lab` that are not runs of an experiment."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from sleap_lab.cli import help_pages
from sleap_lab.cli.arguments import Parser, explained_by
from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import OUTPUTS

MOST_SUGGESTED = 50

CONFIG_DIR, PLAN, BUDGET, PROOFREAD, FRAMES, NUMBER = (
    "--config-dir",
    "--plan",
    "--budget",
    "--proofread",
    "--frames",
    "--number",
)
OPTIONS: Mapping[str, Sequence[str]] = {
    "tune": (CONFIG_DIR,),
    "compare": (PLAN,),
    "review": (BUDGET, PROOFREAD, FRAMES),
    "suggest": (NUMBER,),
}
"""Verb -> its options, beside `--help`."""
STORE = "logger.tracking_uri="
TAKE_STORE = ("compare", "review", "suggest", "calibrate", "reproduce", "sync")
CACHE_VERBS = ("ls", "clear")
CACHE_DIR = "cache_dir="


@explained_by(help_pages.COMPARE)
def run_compare(arguments: list[str]) -> int:
    """Show how runs differ."""
    from datetime import datetime
    from tempfile import TemporaryDirectory

    from sleap_lab import terminal
    from sleap_lab.compare.page import write_page
    from sleap_lab.compare.runs import compare
    from sleap_lab.compare.side_by_side import as_text
    from sleap_lab.sweeps.find import find_runs

    words, uri = _store_word(arguments)
    planned = PLAN in words
    wanted = [word for word in words if planned and "/" in word.partition("=")[0] and "=" in word]
    words = [word for word in words if word != PLAN and word not in wanted]
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        found = [
            find_runs(word, Path(scratch), tracking_uri=uri, outputs_root=Path(OUTPUTS).absolute())
            for word in words
        ]
        folders = [folder for part in found for folder in part.folders]
        if planned:
            return _plan(folders, wanted)
        with terminal.unless_quick("comparing the runs"):
            comparison = compare(folders, [note for part in found for note in part.left_out])
    page = Path(OUTPUTS) / "compare" / f"{datetime.now():%Y-%m-%d-%H-%M-%S-%f}.html"
    write_page(comparison, page)
    terminal.text(as_text(comparison, terminal.width()) + "\n")
    terminal.table([("page", terminal.shown(page))])
    return 0


def _plan(folders: list[Path], wanted: list[str]) -> int:
    """Say how many labels would show a difference between two runs."""
    from sleap_lab import terminal
    from sleap_lab.compare.paired import names_of, read_run
    from sleap_lab.compare.plan import as_text, plan, wanted_of

    differences = wanted_of(wanted)
    runs = [read_run(folder, name) for folder, name in zip(folders, names_of(folders), strict=True)]
    terminal.text(as_text(plan(runs, differences)) + "\n")
    return 0


@explained_by(help_pages.REPRODUCE)
def run_reproduce(arguments: list[str]) -> int:
    """Run a snapshot again, and compare."""
    from tempfile import TemporaryDirectory

    from sleap_lab.cli.receipt import show_receipt
    from sleap_lab.cli.reproduce import reproduce
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
    outputs = Path(OUTPUTS).absolute()
    with TemporaryDirectory(prefix="sleap-lab-") as scratch:
        folder = find_run(runs[0], Path(scratch), tracking_uri=uri, outputs_root=outputs)
        receipt = reproduce(
            folder, changes, command=["sleap-lab", "reproduce", *arguments], outputs_root=outputs
        )
    show_receipt(receipt)
    return 1 if receipt.differences else 0


@explained_by(help_pages.REVIEW, needs_words=True)
def run_review(arguments: list[str]) -> int:
    """Write a page to look through a run with."""
    words, uri = _store_word(arguments)
    parser = Parser("review")
    parser.add_argument("runs", nargs="*")
    for name in OPTIONS["review"]:
        parser.add_argument(name, type=Path if name == PROOFREAD else str)
    options = parser.parse_args(words)
    if len(options.runs) != 1:
        raise ConfigError(f"review: give one run or labels file; got {shlex.join(options.runs)}")
    if options.proofread is not None and options.budget is None:
        raise ConfigError("review: --proofread is what a promise rests on; give --budget, too")
    if options.frames is not None and options.proofread is None:
        raise ConfigError("review: --frames are those of --proofread FILE; give it, too")
    from sleap_lab.settings.frames import parse_frames

    budget = None if options.budget is None else _share(options.budget)
    frames = parse_frames(options.frames, "review: --frames")
    from sleap_lab.cli.review import review_run, show

    found = review_run(
        options.runs[0],
        tracking_uri=uri,
        outputs_root=Path(OUTPUTS).absolute(),
        budget=budget,
        proofread=options.proofread and (options.proofread.absolute(), frames),
    )
    show(found)
    return 0


@explained_by(help_pages.SUGGEST, needs_words=True)
def run_suggest(arguments: list[str]) -> int:
    """Choose frames to label next."""
    words, uri = _store_word(arguments)
    parser = Parser("suggest")
    parser.add_argument("run")
    parser.add_argument("-n", NUMBER, type=int, default=MOST_SUGGESTED)
    options = parser.parse_args(words)
    if options.number < 1:
        raise ConfigError(f"suggest: -n {options.number}; accepted: how many frames, 1 or more")
    from sleap_lab.cli.review import show_suggested, suggest_run

    outputs = Path(OUTPUTS).absolute()
    show_suggested(
        suggest_run(options.run, count=options.number, tracking_uri=uri, outputs_root=outputs)
    )
    return 0


@explained_by(help_pages.CALIBRATE, needs_words=True)
def run_calibrate(arguments: list[str]) -> int:
    """Learn radii around nodes."""
    words, uri = _store_word(arguments)
    if len(words) != 1:
        raise ConfigError(f"calibrate: give one run with ground truth; got {shlex.join(words)}")
    from sleap_lab.cli.review import calibrate_run, show_calibrated

    outputs = Path(OUTPUTS).absolute()
    show_calibrated(calibrate_run(words[0], tracking_uri=uri, outputs_root=outputs))
    return 0


def _share(text: str) -> float:
    """Read a share of the frames, such as `0.5%`."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ConfigError(
            f"review: --budget {text}; accepted: a share of the frames, such as 0.5% or 0.005"
        )
    return share


@explained_by(help_pages.DOCTOR, needs_words=True)
def run_doctor(arguments: list[str]) -> int:
    """Try out what a run would use."""
    from sleap_lab import terminal
    from sleap_lab.cli.doctor import PROBLEM, examine, verdict
    from sleap_lab.settings.config import GROUPS, keys

    overrides = [
        word
        for word in arguments
        if word.partition("=")[0] in {*keys(), *GROUPS} and not Path(word).exists()
    ]
    findings = []
    for finding in examine([word for word in arguments if word not in overrides], overrides):
        findings.append(finding)
        terminal.table([(f"{finding.verdict:<8} {finding.name:<8}", finding.text)])
    print(verdict(findings))
    return 1 if any(finding.verdict == PROBLEM for finding in findings) else 0


@explained_by(help_pages.INFO, needs_words=True)
def run_info(arguments: list[str]) -> int:
    """Say what models are."""
    if unknown := next((word for word in arguments if word.startswith("-")), None):
        raise ConfigError(f"{unknown}: there is no such option; info takes model folders")
    from sleap_lab import terminal
    from sleap_lab.cli.info import rows

    for place, path in enumerate(arguments):
        if place:
            terminal.text("")
        terminal.table(rows(path))
    return 0


def _store_word(arguments: list[str]) -> tuple[list[str], str | None]:
    """Split the word that names an MLflow store from the others."""
    chosen = [word.removeprefix(STORE) for word in arguments if word.startswith(STORE)]
    words = [word for word in arguments if not word.startswith(STORE)]
    return words, chosen[-1] if chosen else None


@explained_by(help_pages.SYNC)
def run_sync(arguments: list[str]) -> int:
    """Log runs that are not logged yet."""
    from sleap_lab import terminal
    from sleap_lab.sweeps.sync import sync

    folders, uri = _store_word(arguments)
    for word in folders:
        if "=" in word and not Path(word).exists():
            raise ConfigError(
                f"sync: {word} is no folder; accepted: folders of runs, and logger.tracking_uri=URI"
            )
    with terminal.unless_quick("looking for what is not logged yet, and logging it"):
        outcomes = sync(
            [Path(folder) for folder in folders],
            outputs_root=Path(OUTPUTS).absolute(),
            tracking_uri=uri,
        )
    terminal.table([(terminal.shown(folder), outcome) for folder, outcome in outcomes.items()])
    if not outcomes:
        terminal.note("there is nothing to log; runs with logger=none are logged if you name them")
    return 1 if any(outcome.startswith("failed") for outcome in outcomes.values()) else 0


@explained_by(help_pages.CACHE)
def run_cache(arguments: list[str]) -> int:
    """List the stage cache, or empty it."""
    from sleap_lab import terminal
    from sleap_lab.cli.cache_list import as_text
    from sleap_lab.inference.cache import DEFAULT_FOLDER, clear, entries

    folder = DEFAULT_FOLDER
    words = []
    for word in arguments:
        if word.startswith(CACHE_DIR):
            folder = Path(word.removeprefix(CACHE_DIR))
        else:
            words.append(word)
    if words == ["ls"]:
        terminal.text(f"{as_text(entries(folder))} in {folder}")
    elif words[:1] == ["clear"]:
        removed, in_use = clear(folder, words[1:])
        terminal.text(f"{as_text(removed)} removed from {folder}")
        if in_use:
            print(f"{as_text(in_use)} in use and kept")
    else:
        raise ConfigError(
            f"cache: got {shlex.join(words) or 'nothing'}; "
            "accepted: ls, or clear and the beginnings of keys, and cache_dir=DIR"
        )
    return 0


def _page_of_tune() -> str:
    from dataclasses import fields

    from sleap_lab.tune.settings import PREFIX, TuneConfig

    rows = ((f"{PREFIX}{field.name}", field.default, field) for field in fields(TuneConfig))
    return help_pages.TUNE.format(keys=help_pages.key_rows(rows))


@explained_by(_page_of_tune)
def run_tune(arguments: list[str]) -> int:
    """Search settings."""
    parser = Parser("tune")
    parser.add_argument(CONFIG_DIR)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args(arguments)
    from sleap_lab.launch.searching import run_on_launcher
    from sleap_lab.tune.run import tune

    tune(options.overrides, config_dir=options.config_dir, on_launcher=run_on_launcher)
    return 0
