"""The flags of `sleap-nn predict` 0.3.5: those that set keys, and what becomes of all others."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sleap_lab.errors import ConfigError
from sleap_lab.settings.flags import INHERIT, TRACK, Flag, parse

ARRAYS = "Arrays"
PREDICT = (
    *(
        Flag(flag.name, flag.key, flag.section, flag.short, INHERIT)
        for flag in TRACK
        if flag.section != ARRAYS
    ),
    Flag(
        "filter_min_centroid_distance",
        "model.filter_min_centroid_distance",
        "Filters",
        default=INHERIT,
    ),
    Flag("output_format", "output.formats", "Files", default=INHERIT),
    *(
        Flag(name, f"output.{name}", "Files", default=INHERIT)
        for name in ("centroid_output", "embed", "restore_source_videos")
    ),
    *(
        Flag(name, f"tracker.{name}", "Tracking", default=INHERIT)
        for name in (
            "link_tracklets",
            "track_buffer",
            "min_hits",
            "track_high_threshold",
            "track_low_threshold",
            "new_track_threshold",
            "min_match_similarity",
        )
    ),
)
"""Flags that set keys, with the defaults of the keys."""

PREDICT_PARITY: dict[str, Any] = {"tracker.one_node_distance": True, "model.copy_labelled": False}
"""Keys without a flag that `predict` sets otherwise than `track`."""

ALIASES = {"peak_conf_threshold": "peak_threshold", "stream_to_file": "output_path"}
"""Other names of flags."""
EVERY_DETECTION_IS_SURE = {
    f"tracker.{name}": 0.0
    for name in ("track_high_threshold", "track_low_threshold", "new_track_threshold")
}
TRACKERS: dict[str, dict[str, Any]] = {
    "classic": {"tracker.method": "online"},
    "sort": {"tracker.method": "bytetrack", **EVERY_DETECTION_IS_SURE},
    "bytetrack": {"tracker.method": "bytetrack"},
    "ocsort": {"tracker.method": "ocsort"},
    "global": {"tracker.method": "global"},
    "auto": {"tracker.method": "auto"},
}
"""Values of `--tracker` -> keys that they set; SORT is ByteTrack without unsure detections."""

POSES_ONLY = "sleap-lab is a pose tool, and this flag is for masks, boxes or SAM"
NO_EMBEDDINGS = (
    "sleap-lab is a pose tool without embedding models; tracker.features=image compares appearance"
)


class Other(NamedTuple):
    """A flag that sets no key.

    Attributes:
        takes: Values that mean nothing special here; None for a switch, () for any value.
        reason: Why it changes nothing, or why other values are refused.
        refused: Whether it is always refused.
    """

    takes: tuple[str, ...] | None
    reason: str
    refused: bool = False


OTHERS = {
    "headers": Other((), "becomes the variable SLEAP_LAB_HTTP_HEADERS, which is written nowhere"),
    "stream_mode": Other((), "a file on a server is copied before it is read"),
    "runtime": Other((), "weights are read, of exported models, too; see runtime.backend"),
    "paf_workers": Other((), "grouping needs no processes of its own here"),
    "cpu_workers": Other((), "grouping needs no processes of its own here"),
    "write_interval": Other((), "predictions are kept as arrays and written once at the end"),
    "gui": Other(None, "progress goes to stdout as a line of JSON per step"),
    "save_embeddings": Other(("none",), NO_EMBEDDINGS),
    "centroid_only": Other(None, "becomes model.kind=centroid"),
    "centroid_peak_threshold": Other((), "becomes the first of two values of model.peak_threshold"),
    "tracker": Other(
        tuple(TRACKERS), "the others need an embedding model; all but classic are our own"
    ),
    "mot_param": Other((), "the parameters are keys: tracker.track_buffer=30 …", refused=True),
    **{
        name: Other((), NO_EMBEDDINGS, refused=True)
        for name in ("appearance_weight", "euclidean_scale", "appearance_threshold")
    },
    **{
        name: Other((), POSES_ONLY, refused=True)
        for name in (
            "bbox_nms_iou",
            "fg_threshold",
            "min_mask_area",
            "center_nms_kernel",
            "mask_cleanup",
            "no_mask_cleanup",
            "mask_cleanup_radius",
            "distance_gate_alpha",
            "merge_fragments",
            "no_merge_fragments",
            "merge_method",
            "merge_thresholds",
            "merge_w_valley",
            "merge_w_offset",
            "merge_dilate",
            "full_res_masks",
            "no_full_res_masks",
            "mask_output",
            "polygon_epsilon",
            "mask_backend",
            "sam_checkpoint",
            "sam_model_type",
            "sam_prompt_mode",
            "sam_anchor_ind",
            "sam_disjointify_masks",
            "sam3_model_id",
            "overlay_path",
        )
    },
}
"""Flags that set no key by themselves."""


class Parsed(NamedTuple):
    """A command line that was read.

    Attributes:
        values: Values by config key.
        overrides: The `KEY=VALUE` overrides among the flags.
        as_json: Whether progress is wanted as JSON.
        headers: Headers for http servers, as JSON.
    """

    values: dict[str, Any]
    overrides: list[str]
    as_json: bool
    headers: str


def parse_predict(argv: Sequence[str]) -> Parsed:
    """Read a command line in the flags of `sleap-nn predict`.

    Raises:
        ConfigError: A flag is unknown, lacks its value, has one it cannot take, or asks for what
            this tool does not do.
    """
    words, others = _split(argv)
    values, overrides = parse(PREDICT, words)
    for name, value in others.items():
        _check(name, value)
    if "centroid_only" in others:
        if not values.get("model.paths"):
            raise ConfigError("--centroid_only needs the centroid model: --model_paths (-m)")
        values["model.kind"] = "centroid"
    if (tracker := others.get("tracker")) is not None:
        if not values.get("tracker.tracking") and tracker != "classic":
            raise ConfigError(f"--tracker {tracker} needs --tracking (-t)")
        values = TRACKERS[tracker] | values
    if (threshold := others.get("centroid_peak_threshold")) is not None:
        values["model.peak_threshold"] = [
            _number("centroid_peak_threshold", threshold),
            values.get("model.peak_threshold", 0.2),
        ]
    return Parsed(values, overrides, "gui" in others, others.get("headers", ""))


def _split(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words without the flags that set no key, and these with their values."""
    words: list[str] = []
    others: dict[str, str] = {}
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        name = name[2:].replace("-", "_") if word.startswith("--") else ""
        if name in ALIASES:
            words.append(f"--{ALIASES[name]}{equals}{value}")
        elif name not in OTHERS:
            words.append(word)
        else:
            if OTHERS[name].refused:
                raise ConfigError(f"--{name}: {OTHERS[name].reason}")
            if OTHERS[name].takes is not None and not equals:
                if not rest:
                    raise ConfigError(f"--{name}: the value is missing")
                value = rest.pop(0)
            others[name] = value
    return words, others


def _check(name: str, value: str) -> None:
    """Refuse a value that means something this tool does not do."""
    takes, reason, _ = OTHERS[name]
    if takes and value.lower() not in takes:
        raise ConfigError(f"--{name}: got {value!r}; accepted: {', '.join(takes)} ({reason})")


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"--{name}: got {text!r}; it takes a number") from None


def others_table() -> str:
    """Return the table of flags that set no key, for the migration page."""
    rows = ["| flag | accepted | what becomes of it |", "| --- | --- | --- |"]
    for name, other in OTHERS.items():
        accepted = "no" if other.refused else ", ".join(other.takes or ()) or "yes"
        rows.append(f"| `--{name}` | {accepted} | {other.reason} |")
    rows += [f"| `--{name}` | yes | the same as `--{same}` |" for name, same in ALIASES.items()]
    return "\n".join(rows)
