"""The section `tune`: scope and duration of the search."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.settings.check import check_value, type_name
from sleap_lab.settings.compose import shipped_options
from sleap_lab.settings.config import key
from sleap_lab.settings.metrics import METRICS, Metric
from sleap_lab.settings.overrides import explain, parse_overrides, unknown_key
from sleap_lab.tune.asked import SPACE

TRACKERS = (
    "fixed_window",
    "local_queues",
    "flow",
    "kalman",
    "bytetrack",
    "ocsort",
    "global",
    "auto",
)
PREFIX = "tune."
OBJECTIVE = "tune.objective="


@dataclass
class TuneConfig:
    """Scope and duration of the search of `sleap-lab tune`."""

    metric: str = key("identity/idf1", "Metric to improve; tune.objective is the same.")
    space: list[str] | None = key(
        None,
        "Keys to search instead of trackers and filters, with their values: "
        "'model.peak_threshold=interval(0.05,0.6)', choice(…), range(…).",
    )
    trackers: list[str] | None = key(
        None,
        "Trackers to try. Default: the one that tracker= chooses, else fixed_window, local_queues "
        "and, where the number of animals is known, kalman.",
        choices=TRACKERS,
    )
    trials: int = key(100, "Settings to try, those of earlier calls included.", minimum=1)
    timeout: float | None = key(None, "Begin no new trial after this many seconds.", minimum=0)
    jobs: int = key(
        1, "Processes that try settings at the same time; hydra/launcher says where.", minimum=1
    )
    holdout: float = key(
        0.3,
        "Share of the labelled frames, in blocks, that the search does not see.",
        minimum=0.05,
        maximum=0.95,
    )
    block_frames: int | None = key(
        None, "Labelled frames of a block. Default: a twentieth of them, at least 20.", minimum=2
    )
    seed: int = key(0, "Seed of the choice of blocks and of the search.", minimum=0)
    name: str | None = key(
        None,
        "Folder below outputs/tune and name of the options. "
        "Default: a folder of its own, options called tuned.",
    )

    @property
    def option(self) -> str:
        """Name of the config options that are written."""
        return self.name or "tuned"


def split_overrides(overrides: Sequence[str]) -> tuple[TuneConfig, list[str]]:
    """Divide a command line into the checked section `tune` and the overrides of the experiment.

    Raises:
        ConfigError: A key of the section is unknown or has a value that it cannot take.
    """
    spaces = [text for text in overrides if text.startswith(f"{SPACE}=")]
    overrides = [
        f"{PREFIX}metric={text.removeprefix(OBJECTIVE)}" if text.startswith(OBJECTIVE) else text
        for text in overrides
        if text not in spaces
    ]
    parsed = parse_overrides(overrides)
    rest = [
        text
        for text, override in zip(overrides, parsed, strict=True)
        if not override.key_or_group.startswith(PREFIX)
    ]
    known = {f"{PREFIX}{field.name}": field for field in fields(TuneConfig)}
    config = OmegaConf.create({"tune": OmegaConf.structured(TuneConfig)})
    for override in parsed:
        name = override.key_or_group
        if not name.startswith(PREFIX):
            continue
        if name not in known:
            raise ConfigError(unknown_key(name, list(known)))
        if override.is_sweep_override():
            raise ConfigError(f"{name}: got several values; accepted: one")
        try:
            OmegaConf.update(config, name, override.value())
        except OmegaConfBaseException as error:
            raise ConfigError(
                f"{explain(error)}; accepted: {type_name(known[name].type)}"
            ) from error
    settings = OmegaConf.to_object(config.tune)
    assert isinstance(settings, TuneConfig)
    for name, field in known.items():
        check_value(name, getattr(settings, field.name), field)
    _check_name(settings.option)
    find_metric(settings.metric)
    settings.space = [text.removeprefix(f"{SPACE}=") for text in spaces] or None
    return settings, rest


def _check_name(name: str) -> None:
    """Refuse names that are no valid folder name, or that are options of the package."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise ConfigError(f"tune.name: got {name!r}; accepted: letters, digits, _ and -")
    if name in {option for group in ("tracker", "filters") for option in shipped_options()[group]}:
        raise ConfigError(
            f"tune.name: {name} is an option that ships with sleap_lab; choose another name"
        )


def find_metric(name: str) -> Metric:
    """Return a metric that can be improved.

    Raises:
        ConfigError: There is no such metric.
    """
    known = {metric.name: metric for metric in METRICS if metric.better}
    if name not in known:
        by_last = {full.rpartition("/")[2]: full for full in known}
        hint = (
            did_you_mean(by_last.get(name.rpartition("/")[2], name), known)
            or f" Accepted: {', '.join(known)}"
        )
        raise ConfigError(f"tune.metric: there is no metric {name!r} with a better side.{hint}")
    return known[name]
