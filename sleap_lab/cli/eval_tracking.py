"""The verb `eval-tracking`: who is who, in the flags and numbers of `sleap-nn eval-tracking`."""

import argparse
import math

from sleap_lab.cli.arguments import Parser, explained_by
from sleap_lab.errors import ConfigError, did_you_mean

HELP = """\
sleap-lab eval-tracking FLAGS: does every animal keep its track? Compares two .slp files

  -g, --ground_truth_path    ground truth with tracks
  -p, --predicted_path       predictions with tracks
  -s, --save_metrics         JSON file for all numbers
      --carrier              auto or pose; masks are not compared here
      --match_threshold      smallest OKS of a match [0.5]; where one side has a single node the
                             largest distance of centroids, px [50]
      --mt_threshold         share of its detections from which a track is mostly tracked [0.8]
      --ml_threshold         share below which it is mostly lost [0.2]
      --user_labels_only     leave predictions out of the ground truth
      --global_identity      a name is one animal in all videos (default: --per_video_identity)
      --oks_stddev           spread of OKS [0.025]

Exit codes: 0 done; 1 there is nothing to score; 2 the command line is wrong.
"""
TEXTS = {
    "ground_truth_path": "g",
    "predicted_path": "p",
    "save_metrics": "s",
    "carrier": "",
}
NUMBERS = {
    "match_threshold": None,
    "mt_threshold": 0.8,
    "ml_threshold": 0.2,
    "oks_stddev": 0.025,
}
SWITCHES = {
    "user_labels_only": ("user_labels_only", True),
    "no_user_labels_only": ("user_labels_only", False),
    "global_identity": ("global_identity", True),
    "per_video_identity": ("global_identity", False),
}
FLAGS = tuple(f"--{name}" for name in (*TEXTS, *NUMBERS, *SWITCHES))
CARRIERS = ("auto", "pose")


@explained_by(HELP)
def run_eval_tracking(arguments: list[str]) -> int:
    """Compare tracks, print the numbers, and write them where asked."""
    options = _parse(arguments)
    from sleap_lab import terminal
    from sleap_lab.evaluation.images import by_image
    from sleap_lab.evaluation.tracked import TrackingSettings
    from sleap_lab.evaluation.tracking_scores import as_text, score_tracking, write_scores
    from sleap_lab.evaluation.videos import compared, match_videos
    from sleap_lab.media.labels import read_labels, to_poses

    notes: list[str] = []
    truth, labels = (
        read_labels(path) for path in (options.ground_truth_path, options.predicted_path)
    )
    settings = TrackingSettings(
        options.match_threshold,
        options.mt_threshold,
        options.ml_threshold,
        options.user_labels_only,
        options.global_identity,
        options.oks_stddev,
    )
    true_poses, poses = to_poses(truth, notes), to_poses(labels, notes)
    matches = match_videos(truth, labels, mappable=False)
    scores = score_tracking(
        by_image(true_poses, truth.videos, labels.videos, matches, notes),
        poses,
        compared(matches),
        settings,
        notes,
    )
    terminal.text(as_text(scores))
    for note in scores["notes"]:
        terminal.note(note)
    if options.save_metrics is not None:
        write_scores(scores, options.save_metrics)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    """Read the flags; underscores and hyphens are the same.

    Raises:
        ConfigError: A flag is unknown, lacks its value or has one it cannot take.
    """
    parser = Parser("eval-tracking")
    for name, short in TEXTS.items():
        parser.add_argument(*([f"-{short}"] if short else []), f"--{name}")
    for name, default in NUMBERS.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    for name, (target, value) in SWITCHES.items():
        parser.add_argument(f"--{name}", dest=target, action="store_const", const=value)
    parser.set_defaults(user_labels_only=False, global_identity=False, carrier="auto")
    options, unknown = parser.parse_known_args([_underscored(word) for word in arguments])
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such flag.{did_you_mean(unknown[0], FLAGS)}")
    for name in ("ground_truth_path", "predicted_path"):
        if getattr(options, name) is None:
            raise ConfigError(f"--{name} (-{TEXTS[name]}) is missing: a .slp file")
    if options.carrier == "mask":
        raise ConfigError("--carrier mask: this is a pose tool, masks are not compared; use pose")
    if options.carrier not in CARRIERS:
        raise ConfigError(f"--carrier: got {options.carrier!r}; accepted are auto and pose")
    for name in NUMBERS:
        if not math.isfinite(getattr(options, name) or 0):
            raise ConfigError(f"--{name}: got {getattr(options, name)}; it takes a finite number")
    if options.oks_stddev <= 0:
        raise ConfigError(f"--oks_stddev: got {options.oks_stddev:g}; it takes a number above 0")
    return options


def _underscored(word: str) -> str:
    """Return a flag with underscores inside; values stay as they are."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}"
