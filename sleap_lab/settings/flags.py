"""The flags of sleap-nn's commands: one table of flags and the config keys that they set.

The parser, the help, the docs and the Python API are derived from the table. A flag has the name of
its key's last part unless the table says otherwise. Its default is the key's unless the founding
page of the project, which `track` and `eval` follow, says otherwise.
"""

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.settings.config import defaults as key_defaults
from sleap_lab.settings.config import keys


@dataclass(frozen=True)
class Flag:
    """One flag of a command.

    Attributes:
        name: Its long form, with underscores and without dashes.
        key: The config key it sets.
        section: Heading it is listed under.
        short: One-letter form, if any.
        default: Value where the flag is not given; `INHERIT` for the key's own default.
        says: Its help, where it is not the key's own.
    """

    name: str
    key: str
    section: str
    short: str = ""
    default: Any = None
    says: str = ""

    @property
    def help(self) -> str:
        """One line about it."""
        return self.says or str(keys()[self.key].metadata["help"])

    @property
    def usual(self) -> Any:
        """Value where the flag is not given."""
        return key_defaults()[self.key] if self.default is INHERIT else self.default

    @property
    def kind(self) -> str:
        """Type of the value: bool, int, float, str, list or any."""
        annotation = keys()[self.key].type
        text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        text = text.removesuffix(" | None").removesuffix(" | str")
        return text.partition("[")[0].lower().removeprefix("typing.")


INHERIT = object()

PARITY: dict[str, Any] = {
    "preprocessing.crop_registration": "reference",
    "tracker.missing_nodes": "reference",
    "tracker.one_node_distance": False,
    "tracker.undecided": "reference",
}
"""Keys without a flag that `track` and `run_inference` set.

With these values results are those of sleap-nn; the defaults of the config give better ones.
"""


def _flags(section: str, group: str, names: str, **special: Mapping[str, Any]) -> tuple[Flag, ...]:
    """Return flags named like the last part of their keys; `special` has exceptions by name."""
    return tuple(
        Flag(
            **{
                "name": name,
                "key": f"{group}.{name}",
                "section": section,
                "default": INHERIT,
                **special.get(name, {}),
            }
        )
        for name in names.split()
    )


TRACK = (
    *_flags(
        "Essential",
        "data",
        "data_path model_paths output_path device batch_size max_instances tracking peak_threshold "
        "integral_refinement integral_patch_size",
        data_path={"key": "data.path", "short": "i"},
        model_paths={"key": "model.paths", "short": "m"},
        output_path={
            "key": "output.path",
            "short": "o",
            "says": "Predictions file. Default: beside the data, named after them: "
            "video.predictions.slp.",
        },
        device={"key": "runtime.device", "short": "d"},
        batch_size={"key": "runtime.batch_size", "short": "b"},
        max_instances={"key": "model.max_instances", "short": "n"},
        tracking={"key": "tracker.tracking", "short": "t"},
        peak_threshold={"key": "model.peak_threshold"},
        integral_refinement={"key": "model.integral_refinement"},
        integral_patch_size={"key": "model.integral_patch_size"},
    ),
    *_flags(
        "Model",
        "model",
        "backbone_ckpt_path head_ckpt_path max_edge_length_ratio dist_penalty_weight n_points "
        "min_instance_peaks min_line_scores",
    ),
    *_flags(
        "Image",
        "preprocessing",
        "max_height max_width input_scale ensure_rgb ensure_grayscale crop_size anchor_part",
    ),
    *_flags(
        "Frames",
        "data",
        "frames video_index video_dataset video_input_format only_labeled_frames "
        "only_suggested_frames exclude_user_labeled only_predicted_frames no_empty_frames",
        no_empty_frames={"key": "output.no_empty_frames"},
    ),
    *_flags(
        "Arrays",
        "output",
        "make_labels return_confmaps return_pafs return_paf_graph return_class_maps "
        "return_class_vectors",
    ),
    *_flags("Performance", "runtime", "queue_maxsize", queue_maxsize={"default": 8}),
    *_flags(
        "Filters",
        "filters",
        "filter_overlapping filter_overlapping_method filter_overlapping_threshold "
        "filter_min_visible_nodes filter_min_visible_node_fraction filter_min_mean_node_score "
        "filter_min_instance_score",
    ),
    *_flags(
        "Tracking",
        "tracker",
        "tracking_window_size min_new_track_points candidates_method min_match_points features "
        "scoring_method scoring_reduction robust_best_instance oks_stddev track_matching_method "
        "max_tracks use_flow of_img_scale of_window_size of_max_levels use_kalman "
        "kf_track_features kf_init_frame_count kf_node_indices kf_reset_gap_size "
        "tracking_target_instance_count tracking_pre_cull_to_target "
        "tracking_pre_cull_iou_threshold tracking_clean_instance_count "
        "tracking_clean_iou_threshold post_connect_single_breaks",
    ),
)
"""Flags of `sleap-lab track`."""

EVAL = _flags(
    "Evaluation",
    "evaluator",
    "ground_truth_path predicted_path save_metrics oks_stddev oks_scale match_threshold "
    "user_labels_only match_method anchor_part centroid_method centroid_fallback",
    ground_truth_path={"short": "g", "says": "Ground truth .slp file."},
    predicted_path={"key": "data.path", "short": "p", "says": "Predictions .slp file."},
    save_metrics={"short": "s"},
    oks_stddev={"default": 0.05},
    user_labels_only={"default": False},
)
"""Flags of `sleap-lab eval`."""


def parse(flags: Iterable[Flag], argv: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Read a command line in sleap-nn's flags.

    Underscores and hyphens are the same. Values follow after a space or `=`. Switches are given as
    `--tracking`, `--tracking true` or `--no-tracking`. `None` means none, except where a file has
    that name.

    Returns:
        The values by config key, and the `KEY=VALUE` overrides among the flags.

    Raises:
        ConfigError: A flag is unknown, lacks its value or has one it cannot take.
    """
    by_name = {flag.name: flag for flag in flags} | {
        flag.short: flag for flag in flags if flag.short
    }
    values: dict[str, Any] = {}
    overrides: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(word)
            continue
        name, text = _split(word, by_name)
        flag, negated = _find(word, name, by_name)
        if text is None:
            text = _following(flag, word, rest)
        value = _convert(flag, word.partition("=")[0], text)
        if flag.kind == "list" and value is not None:
            value = (values.get(flag.key) or []) + value
        values[flag.key] = not value if negated else value
    return values, overrides


def _split(word: str, by_name: Collection[str]) -> tuple[str, str | None]:
    """Return the name of the flag that a word gives, and the value in the same word, if any."""
    if word.startswith("--"):
        name, equals, text = word.partition("=")
        return name.lstrip("-").replace("-", "_"), text if equals else None
    if len(word) > 2 and word[1] in by_name:  # -n2
        return word[1], word[2:].removeprefix("=")
    name, equals, text = word[1:].partition("=")
    return name, text if equals else None


def _find(word: str, name: str, by_name: Mapping[str, Flag]) -> tuple[Flag, bool]:
    """Return the flag of a name, and whether it is negated (`--no-tracking`)."""
    if name in by_name and (len(name) > 1 or not word.startswith("--")):
        return by_name[name], False
    positive = by_name.get(name.removeprefix("no_")) if name.startswith("no_") else None
    if positive is not None and positive.kind == "bool":
        return positive, True
    hint = did_you_mean(f"--{name}", (f"--{f}" for f in by_name if len(f) > 1))
    raise ConfigError(f"{word}: there is no such flag.{hint}")


def _following(flag: Flag, word: str, rest: list[str]) -> str:
    """Take the value of a flag from the words that follow it; a switch needs none."""
    if flag.kind == "bool" and not (rest and rest[0].lower() in ("true", "false")):
        return "true"
    if not rest:
        raise ConfigError(f"{word}: the value is missing; it takes {_accepts(flag)}")
    return rest.pop(0)


def _accepts(flag: Flag) -> str:
    choices, words = (keys()[flag.key].metadata[name] for name in ("choices", "words"))
    if choices:
        return ", ".join(map(str, choices))
    kinds = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    return " or ".join([kinds.get(flag.kind, "a value"), *words])


def _convert(flag: Flag, word: str, text: str) -> Any:
    if text.lower() in ("none", "null"):
        named = keys()[flag.key].metadata["path"] and Path(text).exists()
        if not named:
            return None
    if flag.key in ("model.peak_threshold", "evaluator.oks_stddev"):
        numbers = [float(n) for n in _numbers(flag, word, text.strip("[]"))]
        return numbers[0] if len(numbers) == 1 else numbers
    if flag.kind == "list":
        return (
            [int(n) for n in _numbers(flag, word, text.strip("[]"))]
            if flag.name == "kf_node_indices"
            else [text]
        )
    choices = keys()[flag.key].metadata["choices"] or ()
    if text in keys()[flag.key].metadata["words"]:
        return text
    if True in choices and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if flag.kind == "bool":
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{word}: got {text!r}; it takes {_accepts(flag)}")
        return text.lower() == "true"
    if flag.kind in ("int", "float"):
        number = _numbers(flag, word, text)[0]
        if flag.kind == "int" and not number.is_integer():
            raise ConfigError(f"{word}: got {text!r}; it takes {_accepts(flag)}")
        return int(number) if flag.kind == "int" else number
    return text


def _numbers(flag: Flag, word: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{word}: got {text!r}; it takes {_accepts(flag)}") from None


def as_words(flags: Iterable[Flag], values: Mapping[str, Any]) -> list[str]:
    """Write values of keys as the words of a command line that `parse` reads.

    Keys without a flag become overrides after the flags.
    """
    from sleap_lab.settings.overrides import quote  # Hydra, which nothing else here needs

    by_key = {flag.key: flag for flag in flags}
    words: list[str] = []
    for key, value in values.items():
        if (flag := by_key.get(key)) is not None:
            words += _as_flag(flag, value)
    return words + [f"{key}={quote(value)}" for key, value in values.items() if key not in by_key]


def _as_flag(flag: Flag, value: Any) -> list[str]:
    if flag.kind == "bool":
        return [f"--{flag.name}" if value else f"--no-{flag.name}"]
    if flag.kind == "list" and isinstance(value, list) and flag.name != "kf_node_indices":
        return [word for item in value for word in (f"--{flag.name}", str(item))]
    return [f"--{flag.name}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]


def special_defaults(flags: Iterable[Flag]) -> dict[str, Any]:
    """Return, by key, the defaults of a command that differ from those of the config."""
    return {flag.key: flag.default for flag in flags if flag.default is not INHERIT}


def parity(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that `track` and `run_inference` set to give the results of sleap-nn.

    They are set in addition to the given values. Where tracking needs the number of animals, it is
    taken from `model.max_instances`.
    """
    animals = values.get("model.max_instances")
    connect = values.get("tracker.post_connect_single_breaks")
    implied: dict[str, Any] = {}
    if animals and (
        connect
        or values.get("tracker.tracking_pre_cull_to_target")
        or values.get("tracker.use_kalman")
    ):
        implied["tracker.tracking_target_instance_count"] = animals
    if animals and connect:
        implied["tracker.max_tracks"] = animals
    return PARITY | implied


def help_text(flags: Sequence[Flag]) -> str:
    """Return the list of flags, by section, with keys and defaults."""
    lines: list[str] = []
    for section in dict.fromkeys(flag.section for flag in flags):
        lines.append(f"\n{section}:")
        for flag in (flag for flag in flags if flag.section == section):
            short = f"-{flag.short}, " if flag.short else "    "
            shown = "" if flag.usual in (None, False, []) else f" [{flag.usual}]"
            lines.append(f"  {short}--{flag.name}  ({flag.key})")
            lines += textwrap.wrap(flag.help + shown, 100, initial_indent=IN, subsequent_indent=IN)
    return "\n".join(lines)


IN = " " * 10
"""Margin of the help of a flag."""


def markdown_table(flags: Sequence[Flag]) -> str:
    """Return the table flag ↔ key ↔ default of the migration page."""
    rows = ["| flag | key | default | meaning |", "| --- | --- | --- | --- |"]
    for flag in flags:
        name = f"`--{flag.name}`" + (f", `-{flag.short}`" if flag.short else "")
        rows.append(f"| {name} | `{flag.key}` | `{flag.usual}` | {flag.help} |")
    return "\n".join(rows)
