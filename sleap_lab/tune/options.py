"""A setting in usable forms: config options, the command line with them, and sleap-nn's flags."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from sleap_lab.files.atomic import replacing
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import FiltersConfig, TrackerConfig, defaults
from sleap_lab.settings.flags import PARITY, TRACK, as_words
from sleap_lab.settings.overrides import parse_overrides, quote
from sleap_lab.tune.space import Settings, flat

OPTIONS = "conf"


def unusual(tracker: TrackerConfig, filters: FiltersConfig) -> Settings:
    """Return the keys of the two sections that differ from the defaults."""
    return {key: value for key, value in flat(tracker, filters).items() if value != defaults()[key]}


def write_options(
    folder: Path, name: str, tracker: TrackerConfig, filters: FiltersConfig, comments: Sequence[str]
) -> list[Path]:
    """Write config options for a setting, and return their files.

    Args:
        folder: A folder that `--config-dir` takes.
        name: Name of the options.
        tracker: The tracker.
        filters: The filters.
        comments: Lines that say where they come from.

    Raises:
        RunError: A file cannot be written.
    """
    written = []
    for group in ("tracker", "filters"):
        values = {
            key.partition(".")[2]: value
            for key, value in unusual(tracker, filters).items()
            if key.startswith(f"{group}.")
        }
        path = folder / group / f"{name}.yaml"
        with replacing(path) as temporary:
            lines = [
                *(f"# {' '.join(comment.split())}" for comment in comments),
                yaml.safe_dump(values, sort_keys=False),
            ]
            temporary.write_text("\n".join(lines), encoding="utf-8")
        written.append(path)
    return written


def run_command(
    overrides: Sequence[str],
    folder: Path,
    name: str,
    tracker: TrackerConfig,
    filters: FiltersConfig,
    config_dir: str | None,
    others: Settings,
) -> list[str]:
    """Return the command line that runs an experiment with a setting, word by word.

    Args:
        overrides: The experiment, as the user gave it; its tracker and filter settings are
            replaced.
        folder: Where `write_options` wrote the options.
        name: Name of the options.
        tracker: The tracker.
        filters: The filters.
        config_dir: Folder with options of the user, if there is one.
        others: Values of keys of other sections.
    """
    groups = ("tracker", "filters")
    kept = [
        text
        for text, o in zip(overrides, parse_overrides(overrides), strict=True)
        if o.key_or_group.partition(".")[0] not in groups and o.key_or_group not in others
    ]
    kept += [f"{key}={quote(value)}" for key, value in others.items()]
    words = [*kept, *(f"{group}={name}" for group in groups)]
    search = (
        [
            "hydra.searchpath="
            f"{quote([f'file://{Path(folder).absolute()}' for folder in (config_dir, folder)])}"
        ]
        if config_dir
        else []
    )
    config, _ = compose_config([*words, *search], config_dir=None if config_dir else str(folder))
    # A preset may set more of the tracker than its kind, and takes precedence.
    composed = flat(config.tracker, config.filters)
    words += [
        f"{key}={quote(value)}"
        for key, value in flat(tracker, filters).items()
        if composed[key] != value
    ]
    return ["sleap-lab", *words, *(search or ["--config-dir", str(folder)])]


def track_flags(tracker: TrackerConfig, filters: FiltersConfig, others: Settings) -> list[str]:
    """Return the words that give `sleap-lab track` a setting.

    These are flags, and overrides for keys without a flag.
    """
    usual = defaults() | PARITY
    return as_words(
        TRACK,
        {
            key: value
            for key, value in (flat(tracker, filters) | others).items()
            if value != usual[key]
        },
    )
