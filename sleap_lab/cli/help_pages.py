"""What `--help` prints: a first page of one screen or two, a page per group, and one per verb."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import Field
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.settings.config import GROUPS, defaults, keys

WIDTH = 100
MISCELLANEOUS = "other"
"""Name of the page of the keys that belong to no group."""

FIRST_PAGE = """\
sleap-lab: find, track and score animal poses with trained SLEAP models

  sleap-lab KEY=VALUE …          run an experiment: predict, filter, track, evaluate, report, log
  sleap-lab -m KEY=A,B …         run one for each combination of values (a sweep)
  sleap-lab track FLAGS          the same in sleap-nn's own flags
  sleap-lab predict FLAGS        the same in the flags of sleap-nn predict
  sleap-lab eval FLAGS           compare two .slp files
  sleap-lab eval-tracking FLAGS  compare their tracks
  sleap-lab compare RUN …        how runs, or jobs of a sweep, differ in settings and metrics
  sleap-lab tune KEY=VALUE …     search tracker and filter settings against ground truth
  sleap-lab review RUN           list doubtful moments, and make a page that plays the recording
  sleap-lab suggest RUN          choose frames to label next
  sleap-lab calibrate RUN        learn from a run with ground truth how far nodes may be off
  sleap-lab reproduce RUN        repeat a run, and say whether the results are the same
  sleap-lab info MODEL …         describe models: kind, skeleton, network, input, training
  sleap-lab doctor PATH …        check videos and models before a long run
  sleap-lab sync [RUN …]         log runs that are not in MLflow yet
  sleap-lab runs ls|show|tag|rm … list, tag, remove, export and import runs
  sleap-lab cache ls|clear       list or empty the stage cache

Examples:
  sleap-lab data.path=video.mp4 model.paths=models/bottomup tracker=global
  sleap-lab data.path=video.mp4 'model.paths=[models/centroid,models/centered]' data.frames=0-99
  sleap-lab 'data.path=clips/*.mp4' model.paths=models/bottomup 'output.formats=[slp,csv]'
  sleap-lab data.path=labels.slp model=none tracker=fixed_window
  sleap-lab data.path=poses.slp model=none evaluator=oks evaluator.ground_truth_path=truth.slp
  sleap-lab -m experiment=demo tracker=fixed_window,flow tracker.tracking_window_size=3,5

Groups, chosen as GROUP=OPTION:
{groups}

Help:
  sleap-lab --help GROUP     options and keys of a group, each with its default
  sleap-lab --help {miscellaneous}     keys outside groups: cache, report, verbose, …
  sleap-lab --help all       every group
  sleap-lab VERB --help      what a verb does, and its options

Options:
  -m, --multirun             run every combination of comma-separated values
  --config-dir DIR           folder with options of your own: DIR/tracker/mine.yaml
  --cfg job                  print the composed config and stop
  --hydra-help               Hydra's own options
  --version                  the version of sleap-lab

Exit codes: 0 done; 1 the run failed; 2 the command line or config is wrong;
3 done, but some frames or jobs failed; 130 interrupted.
"""

TUNE = """\
sleap-lab tune KEY=VALUE … [--config-dir DIR]: search tracker and filter settings

Predicts once, or reads poses from a .slp file, and tries settings that score best against ground
truth. Settings given as KEY=VALUE are kept. Writes the settings found, as an option file and as
sleap-nn's flags, and a report to outputs/tune. After an interruption, the same command goes on.

Examples:
  sleap-lab tune data.path=video.mp4 model.paths=models/bottomup \\
      evaluator.ground_truth_path=truth.slp
  sleap-lab tune data.path=predictions.slp model=none evaluator.ground_truth_path=truth.slp \\
      tune.trials=200 tune.jobs=4

Keys, beside those of sleap-lab --help:
{keys}
"""

COMPARE = """\
sleap-lab compare RUN RUN …: how runs differ from the first

Compares settings and metrics, frame by frame. RUN is a run folder, the folder of a sweep (all its
jobs; one sweep is enough), or the id of a run in MLflow. Prints a table, and writes a page with
all details into outputs/compare.

  --plan [METRIC=X …]       how many labelled frames or videos are needed to show a difference of
                            X between two runs (default: the difference found)
  logger.tracking_uri=URI   the MLflow store of the ids (default: that of outputs/)
"""

REVIEW = """\
sleap-lab review RUN [--budget 0.5%]: list moments that look wrong, without ground truth, and make
a page that plays them

RUN is a run folder, the id of a run in MLflow, or a .slp file of any program.
Writes into the run folder (for a .slp file into outputs/review):

  review.html    the video with poses, a timeline and the moments, for any browser; ? lists keys
  suspects.csv   the moments, the most doubtful first
  suspects.slp   the predictions with these frames as suggestions, for the SLEAP GUI

  --budget SHARE            list moments in this share of the frames (0.5% or 0.005), and say how
                            many identity switches at most remain once they are corrected, with
                            95% confidence
  --proofread FILE          a .slp file whose tracks you have proofread: that number then rests on
                            the switches in its frames, which are not listed
  --frames 0-2999,…         the frames of FILE that were proofread (default: all)
  logger.tracking_uri=URI   the MLflow store of the id (default: that of outputs/)
"""

SUGGEST = """\
sleap-lab suggest RUN [-n 50]: choose frames to label next, without ground truth

RUN is a run folder, the id of a run in MLflow, or a .slp file of any program.
Chooses frames with doubtful poses that look unlike one another, from all videos in turn, and none
that a person has labelled. Writes into the run folder (for a .slp file into outputs/suggest):

  suggested.slp   the predictions with these frames as suggestions, for the SLEAP GUI
  suggested.csv   the frames, the most valuable first, and what is doubtful there

  -n, --number N            how many frames (default: 50)
  logger.tracking_uri=URI   the MLflow store of the id (default: that of outputs/)
"""

CALIBRATE = """\
sleap-lab calibrate RUN: learn from a run with ground truth how far predicted nodes may be off

RUN is a run folder, or the id of a run in MLflow, with evaluator=oks or identity. Writes
calibration.json into the run folder. With evaluator.calibration=FILE, later runs give every
predicted node a radius that contains the true point with 90% probability, in CSV and analysis
HDF5 files, in the overlay video, and in the report.

  logger.tracking_uri=URI   the MLflow store of the id (default: that of outputs/)
"""

REPRODUCE = """\
sleap-lab reproduce RUN [KEY=VALUE …]: repeat a run from its snapshot, and compare the results

RUN is a run folder, or the id of a run in MLflow. Inputs must be unchanged. If one has moved, give
its new place by key:

  data.path=PATH  evaluator.ground_truth_path=PATH  'model.paths=[PATH,PATH]'
  model.backbone_ckpt_path=PATH  model.head_ckpt_path=PATH
  runtime.device=DEVICE     if the device of the first run is not available
  logger.tracking_uri=URI   the MLflow store of the id (default: that of outputs/)

Exit codes: 0 the results are the same; 1 they differ, inputs have changed, or the run failed;
2 there is nothing to repeat.
"""

DOCTOR = """\
sleap-lab doctor PATH … [KEY=VALUE …]: check what a run would use, in a minute at most

PATHs are videos, folders, labels files and model folders, in any order; KEY=VALUE are settings of
the run. Leaves nothing behind. The last line says go, or what to fix first.

Exit codes: 0 go; 1 something is to be fixed; 2 the command line is wrong.
"""

INFO = """\
sleap-lab info MODEL …: describe models

MODEL is a model folder or a file in it. Prints the kind, the program that trained it, the network
and its receptive field, how frames are prepared, the metrics that training left in the folder,
what a run needs beside the model, and the skeleton.
"""

SYNC = """\
sleap-lab sync [RUN …] [KEY=VALUE]: log runs that are not in MLflow yet

Each run is logged to the store that its settings name. RUN is a run folder, the folder of a sweep,
or any folder that contains runs (default: outputs).

  logger.tracking_uri=URI   log to this store instead, for example if a server has moved
"""

CACHE = """\
sleap-lab cache ls [cache_dir=DIR]: list the stage cache, the last used first
sleap-lab cache clear [KEY …] [cache_dir=DIR]: remove all, or entries whose keys begin with KEY

Entries in use stay.
"""


def help_page(words: Sequence[str] = (), own: Path | None = None) -> str:
    """Return the first page, or those of groups and keys.

    Args:
        words: Names of groups, or of keys, for their groups; `all` for every group.
        own: Folder with options of the user.

    Raises:
        ConfigError: There is no such group.
    """
    pages = [_page_of(name, own) for word in words for name in _groups_of(word, own)]
    return "\n".join(pages) if pages else _first_page(own)


def options_of_group(group: str, own: Path | None = None) -> dict[str, str]:
    """Return the options of a group, each with its first comment.

    Args:
        group: Name of the group.
        own: Folder with options of the user, beside those that ship with the package.
    """
    return {
        name: _first_comment(file.read_text(encoding="utf-8"))
        for name, file in _option_files(group, own).items()
    }


def _option_files(group: str, own: Path | None) -> dict[str, Traversable]:
    """Return the files of a group's options by name; those of the user replace shipped ones."""
    shipped = resources.files("sleap_lab.conf").joinpath(group)
    places: list[Traversable] = [shipped] if own is None else [shipped, own / group]
    files = {
        file.name.removesuffix(".yaml"): file
        for place in places
        if place.is_dir()
        for file in place.iterdir()
        if file.name.endswith(".yaml")
    }
    return dict(sorted(files.items()))


def _own_groups(own: Path | None) -> list[str]:
    """Return the groups that only the user has, which are put in with `+GROUP=OPTION`."""
    folders = [] if own is None else sorted(folder for folder in own.iterdir() if folder.is_dir())
    taken = {*GROUPS, "experiment", "hydra"}
    return [
        folder.name
        for folder in folders
        if folder.name not in taken and _option_files(folder.name, own)
    ]


def key_rows(rows: Iterable[tuple[str, Any, "Field[Any]"]]) -> str:
    """Return keys with their defaults, each above its help."""
    from sleap_lab.settings.check import shown

    return "\n".join(
        line
        for name, default, field in rows
        for line in (f"  {name}={shown(default)}", *_wrapped(field.metadata["help"], 6))
    )


def _first_page(own: Path | None) -> str:
    named = [(group, group) for group in (*GROUPS, "experiment")]
    named += [(group, f"+{group}") for group in _own_groups(own)]
    groups = [
        line
        for group, shown in named
        for line in textwrap.wrap(
            ", ".join(_option_files(group, own)),
            WIDTH,
            initial_indent=f"  {shown:<15}",
            subsequent_indent=" " * 17,
        )
    ]
    return FIRST_PAGE.format(groups="\n".join(groups), miscellaneous=MISCELLANEOUS).rstrip("\n")


def _others() -> list[str]:
    return [name for name in keys() if "." not in name]


def _groups_of(word: str, own: Path | None) -> Iterator[str]:
    known = [*GROUPS, "experiment", *_own_groups(own), MISCELLANEOUS]
    if word == "all":
        yield from known
    elif word in keys():
        yield word.split(".")[0] if "." in word else MISCELLANEOUS
    elif word in known:
        yield word
    else:
        raise ConfigError(
            f"--help {word}: there is no such group; accepted: all, {', '.join(known)}."
            f"{did_you_mean(word, [*known, *keys()])}"
        )


def _page_of(group: str, own: Path | None) -> str:
    """Return the options and keys of a group."""
    names = (
        _others()
        if group == MISCELLANEOUS
        else [name for name in keys() if name.startswith(f"{group}.")]
    )
    lines = [f"{group}:"]
    if group != MISCELLANEOUS:
        for name, comment in options_of_group(group, own).items():
            lines += [f"  {'+' * (group in _own_groups(own))}{group}={name}", *_wrapped(comment, 6)]
        lines.append("")
    return "\n".join([*lines, key_rows((name, defaults()[name], keys()[name]) for name in names)])


def _first_comment(text: str) -> str:
    """Return the first comment of a config file that is not for Hydra."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return lines[0] if lines else ""


def _wrapped(text: str, indent: int) -> list[str]:
    margin = " " * indent
    return textwrap.wrap(text, WIDTH, initial_indent=margin, subsequent_indent=margin)
