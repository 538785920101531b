"""The verbs `track`, `predict` and `eval`: sleap-nn's own flags as an experiment."""

import os
from pathlib import Path
from typing import Any

from sleap_lab.cli.arguments import explained_by
from sleap_lab.cli.words import run_words
from sleap_lab.errors import ConfigError


def _page_of_track() -> str:
    from sleap_lab.settings import flags

    return (
        "sleap-lab track FLAGS [KEY=VALUE …]: "
        "predict, and track with -t, in sleap-nn's own flags." + flags.help_text(flags.TRACK)
    )


@explained_by(_page_of_track)
def run_track(arguments: list[str]) -> int:
    """Predict, track, or both, in the flags of `sleap-nn track`."""
    from sleap_lab.settings import flags
    from sleap_lab.settings.check_outputs import local_name
    from sleap_lab.settings.inputs import predictions_path

    values, overrides = flags.parse(flags.TRACK, arguments)
    _check_inputs("track", values, overrides)
    if values.get("output.make_labels", True) and "output.path" not in values:
        path, index = values["data.path"], values.get("data.video_index")
        name = local_name(path)
        video = "" if index is None or name != path else _chosen_name(path, index)
        values["output.path"] = str(predictions_path(Path(name), video))
    return _as_overrides(
        flags.parity(values) | flags.special_defaults(flags.TRACK) | values, overrides
    )


def _page_of_predict() -> str:
    from sleap_lab.settings import flags
    from sleap_lab.settings.predict_flags import OTHERS, PREDICT

    return (
        "sleap-lab predict FLAGS [KEY=VALUE …]: the flags of sleap-nn predict."
        + flags.help_text(PREDICT)
        + f"\n\nWithout a key, see docs/reference/flags.md: --{', --'.join(OTHERS)}"
    )


@explained_by(_page_of_predict)
def run_predict(arguments: list[str]) -> int:
    """Predict, track, or both, in the flags of `sleap-nn predict`."""
    from sleap_lab import terminal
    from sleap_lab.files.remote import HEADERS
    from sleap_lab.settings import flags
    from sleap_lab.settings.check_outputs import local_name
    from sleap_lab.settings.predict_flags import PREDICT_PARITY, parse_predict

    values, overrides, as_json, headers = parse_predict(arguments)
    _check_inputs("predict", values, overrides)
    values.setdefault("output.path", f"{local_name(values['data.path'])}.slp")
    if headers:
        os.environ[HEADERS] = headers
    if as_json:
        terminal.show_progress_as_json()
    return _as_overrides(flags.parity(values) | PREDICT_PARITY | values, overrides)


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


def _page_of_eval() -> str:
    from sleap_lab.settings import flags

    return (
        "sleap-lab eval FLAGS [KEY=VALUE …]: compare predictions with ground truth."
        + flags.help_text(flags.EVAL)
    )


@explained_by(_page_of_eval)
def run_eval(arguments: list[str]) -> int:
    """Compare predictions with ground truth, in the flags of `sleap-nn eval`."""
    from sleap_lab.settings import flags

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
    return run_words(words, ["sleap-lab", *words])
