"""Jobs that differ from another one in plain values only: their config without composing it anew.

Composing one takes Hydra a tenth of a second, which ten thousand jobs cannot wait for. A job with
the same groups and keys as one that was composed differs in values only, which are converted and
checked as in a composition. Where another setting refers to a value, jobs are composed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, OmegaConf

from sleap_lab.settings.application import DEMO
from sleap_lab.settings.check import check
from sleap_lab.settings.config import GROUPS, Config, keys
from sleap_lab.settings.overrides import parse_overrides

REFERENCE, CONSTANT = "${", f"${{{DEMO}:"
DECISIVE = ("model.kind", "evaluator.evaluate")
"""Keys on which depends which other settings are used."""

Plain = bool | int | float | str | None


@dataclass(frozen=True)
class Job:
    """The overrides of a job, taken apart.

    Attributes:
        shape: Its groups, and the names of its plain keys: equal where jobs differ in values only.
        values: The plain values by key.
    """

    shape: tuple[str, ...]
    values: dict[str, Plain]


def take_apart(words: Sequence[str]) -> Job:
    """Take the overrides of a job apart."""
    shape, values = [], dict[str, Plain]()
    for word in words:
        name, plain, value = _read(word)
        shape.append(name if plain else word)
        if plain:
            values[name] = value
    return Job(tuple(shape), values)


@lru_cache(maxsize=50_000)
def _read(word: str) -> tuple[str, bool, Plain]:
    """Return the key of an override, whether its value is plain, and the value."""
    (parsed,) = parse_overrides([word])
    name, value = parsed.key_or_group, parsed.value()
    if isinstance(value, (bool, int, float, str)):
        return name, _is_plain(parsed, value), value
    return name, value is None and _is_plain(parsed, value), None


def _is_plain(parsed: Override, value: Plain) -> bool:
    name = parsed.key_or_group
    return (
        parsed.type is OverrideType.CHANGE
        and name in keys()
        and name.partition(".")[0] in GROUPS
        and name not in DECISIVE
        and REFERENCE not in str(value)
    )


def is_template(node: DictConfig) -> bool:
    """Return whether other jobs can be made from a composed one: no setting refers to another."""
    plain = OmegaConf.masked_copy(node, [str(name) for name in node if name != "hydra"])
    text = OmegaConf.to_yaml(plain, resolve=False).replace(CONSTANT, "")
    return REFERENCE not in text


def alike(config: Config, job: Job) -> Config:
    """Return the checked config of a job that has the shape of a composed one.

    Args:
        config: The checked config of the composed job.
        job: The other job.

    Raises:
        ConfigError: A value is not accepted, or contradicts another.
        OmegaConfBaseException: A value has another type than its key.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, value in job.values.items():
        group, _, key = name.partition(".")
        groups.setdefault(group, {})[key] = _converted(group, key, value)
    parts = {group: replace(getattr(config, group), **found) for group, found in groups.items()}
    made = replace(config, **parts)
    check(made)
    return made


@lru_cache(maxsize=50_000, typed=True)
def _converted(group: str, key: str, value: Plain) -> Any:
    """Return a value as Hydra converts it to the type of its key."""
    node = _typed(group)
    OmegaConf.update(node, key, value)
    return node[key]


@lru_cache
def _typed(group: str) -> DictConfig:
    """Return a node that converts values of a group; what it holds is of no matter."""
    node = OmegaConf.structured(GROUPS[group])
    assert isinstance(node, DictConfig)
    return node
