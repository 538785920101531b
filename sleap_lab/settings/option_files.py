"""Checks of YAML files with options, so that a mistake is found with its file and its line.

Hydra composes many files into one config, and says of a mistake in it neither which file nor which
line it is from.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sleap_lab.errors import ConfigError
from sleap_lab.settings.check import accepted_by, check_value
from sleap_lab.settings.config import GROUPS, keys
from sleap_lab.settings.overrides import FREE_FORM, GLOBAL, unknown_key

UNCHECKED = ("defaults", "hydra", "tune")
"""First parts of keys that others check."""


def check_options(
    file: str, option: str, package: str | None, node: yaml.Node | None, values: Any
) -> None:
    """Check the keys and values of a file with options.

    Args:
        file: The file, for messages.
        option: Its place among the configs: `tracker/mine`.
        package: What the file says of where its keys belong, if it does.
        node: Its content as YAML, which knows lines; None where it is empty.
        values: The same as values.

    Raises:
        ConfigError: Naming file, line, key and what is accepted.
    """
    if node is None:
        return
    group = ".".join(PurePosixPath(option).parent.parts)
    if group.split(".")[0] == "hydra":
        return
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{_place(file, node)}: this is {_called(node)}; accepted: lines of KEY: VALUE"
        )
    prefix = {None: group, "_group_": group, "_global_": ""}.get(package, package) or ""
    prefix = prefix.removeprefix("_global_.")
    if prefix and prefix.split(".")[0] not in GROUPS:
        if any(str(key.value) in GROUPS for key, _ in node.value):
            raise ConfigError(
                f"{_place(file, node)}: the keys of this file would belong to {prefix!r}; "
                f"begin the file with the line: {GLOBAL}"
            )
        return  # the keys of a user
    for name, key, value, plain in _leaves(prefix, node, values):
        _check_leaf(file, name, key, value, plain)


def _leaves(
    prefix: str, node: yaml.MappingNode, values: Any
) -> Iterator[tuple[str, yaml.Node, yaml.Node, Any]]:
    """Yield the keys in a mapping and in the groups in it, with their nodes and values."""
    for key, value in node.value:
        name = f"{prefix}.{key.value}" if prefix else str(key.value)
        if key.value not in values or (not prefix and name.split(".")[0] in UNCHECKED):
            continue
        if name == f"{prefix}.defaults":
            continue
        if not prefix and name in GROUPS and isinstance(value, yaml.MappingNode):
            yield from _leaves(name, value, values[key.value])
        else:
            yield name, key, value, values[key.value]


def _check_leaf(file: str, name: str, key: yaml.Node, value: yaml.Node, plain: Any) -> None:
    field = keys().get(name)
    if field is None:
        group = name.rpartition(".")[0]
        if key.value == group and isinstance(value, yaml.MappingNode):
            raise ConfigError(
                f"{_place(file, key)}: the keys of this file belong to {group} already; "
                f"write them without the line {group}:"
            )
        if not name.startswith(tuple(f"{free}." for free in FREE_FORM)):
            raise ConfigError(f"{_place(file, key)}: {unknown_key(name)}")
        return
    if "${" in str(plain):
        return
    group, _, last = name.rpartition(".")
    try:
        if group:
            merged: Any = OmegaConf.merge(OmegaConf.structured(GROUPS[group]), {last: plain})
            converted: Any = OmegaConf.to_container(merged)
            plain = converted[last]
        check_value(name, plain, field)
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"{_place(file, value)}: {name}: got {plain!r}; accepted: {accepted_by(field)}"
        ) from error
    except ConfigError as error:
        raise ConfigError(f"{_place(file, value)}: {error}") from error


def _place(file: str, node: yaml.Node) -> str:
    return f"{file}:{node.start_mark.line + 1}"


def _called(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else f"the text {node.value!r}"
