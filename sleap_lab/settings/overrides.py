"""The words of a command line: how Hydra reads and writes them, and whether what they name exists.

Each mistake becomes one line that names the override and the nearest spelling.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncherConf
from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    ConfigKeyError,
    InterpolationResolutionError,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
    ValidationError,
)

from sleap_lab.errors import ConfigError, closest, did_you_mean
from sleap_lab.settings.check import accepted_by
from sleap_lab.settings.config import GROUPS, keys
from sleap_lab.settings.credentials import HIDDEN
from sleap_lab.settings.words import WordsParser

ONLY_BASIC = (
    "all jobs are known before the first one runs, so only basic can be used: "
    "-m KEY=A,B runs every combination, and sleap-lab tune searches (sleap-lab tune --help)"
)
GLOBAL = "# @package _global_"
PACKAGE = "sleap_lab"
FREE_FORM = ("logger.tags",)
IN_PROCESS = ("hydra/launcher", "basic")
BASIC_LAUNCHER = BasicLauncherConf()._target_
LAUNCHING = ("hydra/launcher", "hydra/sweeper")
EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}
"""The extra of the package that installs a launcher."""

HOME = re.compile(r"(?<=[=,\[])~(?:/[^,\[\]]*)?(?=[,\]]|$)")
"""A path of the home folder where a value begins; shells leave it as it is after `KEY=`."""

Options = Callable[[str], list[str]]
"""Returns the options of a group; none for a name that is not a group."""


def expand_home(word: str) -> str:
    """Return a word of a command line with `~` as the home folder, also in lists and sweeps.

    Hydra's grammar has no `~` in values. One in quotes is text, which paths expand later.
    """
    return HOME.sub(lambda found: quote(str(Path(found[0]).expanduser())), word)


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse overrides by Hydra's grammar, with text kept as text.

    Raises:
        ConfigError: One of them cannot be parsed.
    """
    parsed = []
    for text in overrides:
        try:
            parsed.append(WordsParser.create().parse_override(text))
        except HydraException as error:
            raise ConfigError(_quoting_hint(text, error)) from error
    return parsed


def _quoting_hint(text: str, error: Exception) -> str:
    name, separator, value = text.partition("=")
    if not separator:
        return f"{text!r} is neither a verb nor KEY=VALUE; see sleap-lab --help"
    quoted = as_typed([f"{name}={quote(value)}"])
    return (
        f"{name}: the value {value!r} has characters with a meaning in overrides; "
        f"quote it: {quoted}"
    )


def split_overrides(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split overrides into those of the experiment and those of Hydra's own settings."""
    hydras = [text for text in overrides if text.lstrip("+~").startswith(("hydra.", "hydra/"))]
    return [text for text in overrides if text not in hydras], hydras


def fixed(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that have one value."""
    return [
        text
        for text, parsed in zip(overrides, parse_overrides(overrides), strict=True)
        if not parsed.is_sweep_override()
    ]


def refuse_launcher(overrides: Sequence[str], settings: DictConfig, why: str) -> None:
    """Refuse a launcher where nothing is handed to one, be it typed or chosen in a config file.

    Args:
        overrides: As on the command line.
        settings: What Hydra composes of them.
        why: What there is instead, and what to type.

    Raises:
        ConfigError: Naming the override or the option.
    """
    for text in split_overrides(overrides)[1]:
        name, _, value = text.lstrip("+~").partition("=")
        if name.startswith(("hydra/launcher", "hydra.launcher")) and (name, value) != IN_PROCESS:
            raise ConfigError(f"{text.lstrip('+~')}: {why}")
    if settings.hydra.launcher["_target_"] != BASIC_LAUNCHER:
        chosen = settings.hydra.runtime.choices["hydra/launcher"]
        raise ConfigError(
            f"hydra/launcher={chosen}, as a config file says: {why}, or {'='.join(IN_PROCESS)}"
        )


def launcher_kind(launcher: DictConfig) -> str:
    """Return the class of Hydra's launcher that its settings choose, as `JoblibLauncher`."""
    return str(launcher["_target_"]).rpartition(".")[2]


def refuse_sweeps(overrides: Sequence[str]) -> None:
    """Refuse a key with several values where one experiment is asked for.

    Raises:
        ConfigError: Naming the key, and what to type instead.
    """
    for override in parse_overrides(overrides):
        if override.is_sweep_override():
            name, value = override.key_or_group, override.get_value_string()
            quoted = as_typed([f"{name}={quote(value)}"])
            raise ConfigError(
                f"{name}: {value} are several values; add -m to run each, or quote it: {quoted}"
            )


def as_typed(words: Sequence[str]) -> str:
    """Write words as a line for a shell.

    A word with single quotes is put in double quotes where that is enough, which is easier to read
    than the escapes of `shlex`.
    """
    return " ".join(
        f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word)
        for word in words
    )


def quote(value: Any) -> str:
    """Write a value, with any characters, so that Hydra's grammar reads it back unchanged."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{','.join(quote(item) for item in value)}]"
    text = str(value)
    if (
        text
        and all((c.isalnum() and c.isascii()) or c in "_/.-" for c in text)
        and text.lower() not in ("null", "true", "false", "nan", "inf")
    ):
        try:
            float(text)
        except ValueError:
            return text
    # Backslashes matter to the grammar only before a quote or an interpolation, or at the end.
    escaped, pending = [], ""
    for i, c in enumerate(text):
        if c == "\\":
            pending += c
            continue
        special = c == "'" or text.startswith("${", i)
        escaped.append(pending * 2 + "\\" + c if special else pending + c)
        pending = ""
    return "'" + "".join(escaped) + pending * 2 + "'"


def unquote(value: str) -> str:
    """Return the text that `quote` wrote; a value without quotes as it is."""
    if len(value) < 2 or value[0] + value[-1] != "''":
        return value
    return re.sub(r"\\+(?='|\$\{|$)", lambda found: found[0][: len(found[0]) // 2], value[1:-1])


def hiding(uri: str | None, overrides: Sequence[str]) -> list[str]:
    """Return an override that keeps the password of a preset out of the files that Hydra writes.

    Args:
        uri: `logger.tracking_uri` of the checked config, without its password.
        overrides: The other overrides.

    Returns:
        One override; none if there is no password, or the address is overridden already.
    """
    named = any(word.startswith("logger.tracking_uri=") for word in overrides)
    return [f"logger.tracking_uri={quote(uri)}"] if uri and HIDDEN in uri and not named else []


def check_overrides(overrides: Sequence[str], options_of: Options) -> None:
    """Refuse overrides of groups, options and keys that do not exist.

    Args:
        overrides: As on the command line.
        options_of: Function that lists the options of a group.

    Raises:
        ConfigError: Naming the override and the nearest spelling.
    """
    for override in parse_overrides(overrides):
        name = override.key_or_group
        if name in LAUNCHING:
            check_launching(name, override.value(), options_of(name))
        if name.startswith("hydra/") or name.startswith(tuple(f"{free}." for free in FREE_FORM)):
            continue
        if name.split(".")[0] == "hydra":
            _check_hydra_key(name)
        elif name not in keys():
            options = options_of(name)
            _refuse_stored(override, options)
            if not options:
                raise ConfigError(unknown_key(name))
            _check_option(override, options)


def _refuse_stored(override: Override, options: Sequence[str]) -> None:
    """Refuse an option that only Hydra's `ConfigStore` has, and say where it is seen."""
    name, value = override.key_or_group, override.value()
    stored = ConfigStore.instance().repo.get(name)
    if isinstance(stored, dict) and f"{value}.yaml" in stored and value not in options:
        raise ConfigError(
            f"{name}={value}: options in Hydra's ConfigStore are not seen, as other applications "
            f"share it; write {name}/{value}.yaml into a folder for --config-dir (in Python: "
            "config_dir)"
        )


def _check_option(override: Override, options: Sequence[str]) -> None:
    """Refuse an option that a group does not have."""
    name, value = override.key_or_group, override.value()
    if override.value_type is None:  # the group is removed
        return
    if value is None:
        raise ConfigError(f"{name}: got null; accepted: {', '.join(options)}; or leave it out")
    if isinstance(value, str) and value not in options:
        raise ConfigError(
            f"{name}={value}: there is no such option; "
            f"accepted: {', '.join(options)}.{did_you_mean(value, options)}"
        )


def check_launching(group: str, value: Any, options: Sequence[str], key: str | None = None) -> None:
    """Refuse a launcher or sweeper that is not installed, and say what to install or to use.

    Args:
        group: The group.
        value: The chosen option.
        options: Options that there are.
        key: The key that chooses it, where that is not the group.

    Raises:
        ConfigError: There is no such option.
    """
    if group == "hydra/sweeper" and value != "basic":
        raise ConfigError(f"{group}={value}: {ONLY_BASIC}")
    if value not in options:
        how = (
            f" {value} comes with pip install 'sleap-lab[{EXTRAS[value]}]'"
            if value in EXTRAS
            else did_you_mean(str(value), options)
        )
        raise ConfigError(
            f"{key or group}={value}: there is no such option; accepted: {', '.join(options)}.{how}"
        )


def _check_hydra_key(name: str) -> None:
    """Refuse a key below `hydra.` that Hydra does not know; keys of plugins are not checked."""
    schema: Any = HydraConf
    path = "hydra"
    for part in name.split(".")[1:]:
        if not is_dataclass(schema):
            return
        known = {f.name: f.type for f in fields(schema)}
        if part not in known:
            raise ConfigError(unknown_key(f"{path}.{part}", [f"{path}.{k}" for k in known]))
        schema, path = known[part], f"{path}.{part}"


def unknown_key(name: str, known: Sequence[str] | None = None) -> str:
    """Return the message for a key that does not exist."""
    if known is None and name.partition(".")[0] == "tune":
        return f"{name}: there is such a key for tuning only: sleap-lab tune …"
    known = known or [*keys(), *GROUPS, "experiment"]
    return f"{name}: there is no such key.{_closest(name, known)}"


def _closest(name: str, known: Sequence[str]) -> str:
    """Return a hint at the nearest key.

    Compared are, in this order, whole names, the words of the keys of the same group, and the last
    parts of all keys.
    """
    group, _, last = name.rpartition(".")
    siblings = [key for key in known if key.rpartition(".")[0] == group]
    by_word = {
        word: key for key in reversed(siblings) for word in key.rpartition(".")[2].split("_")
    }
    by_last = {key.rpartition(".")[2]: key for key in reversed(known)}
    found = (
        closest(name, known, cutoff=0.8)
        or by_word.get(closest(last, by_word) or "")
        or by_last.get(closest(last, by_last) or "")
    )
    if found:
        return f" Did you mean {found!r}?"
    return f" Accepted: {', '.join(siblings)}" if siblings else f" Groups: {', '.join(GROUPS)}"


def explain(error: BaseException) -> str:
    """Return one line that says what is wrong with a composition."""
    file = re.match(r"In '(.+?)': ", str(error))
    where = f"{file[1]}: " if file is not None else ""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException) and cause.full_key:
            name = str(cause.full_key).partition("[")[0]
            if name.startswith(tuple(f"{free}." for free in FREE_FORM)) and not isinstance(
                cause, ValidationError
            ):
                return f"{name}: entries are added one by one: +{name}=VALUE"
            if file is not None and isinstance(cause, ConfigKeyError):
                own_group = file[1].startswith(f"{name}/")
                return where + (
                    f"begin the file with the line: {GLOBAL}" if own_group else unknown_key(name)
                )
            field = keys().get(name)
            is_value = not isinstance(cause, InterpolationResolutionError)
            accepted = f"; accepted: {accepted_by(field)}" if field is not None and is_value else ""
            return f"{where}{cause.full_key}: {_reason(cause)}{accepted}"
        cause = cause.__cause__ or cause.__context__
    if "hydra/sweeper" in str(error):
        return f"{first_line(error)}; {ONLY_BASIC}"
    return _reason(error)


def _reason(error: BaseException) -> str:
    """Return what an error says; of a resolver that does not exist, also how ours is called."""
    said = first_line(getattr(error, "msg", None) or error).rstrip(".")
    if not isinstance(error, UnsupportedInterpolationType):
        return said
    name = said.split()[-1]
    ours = f"{PACKAGE}.{name}"
    hint = f"; the one of this package is {ours}" if OmegaConf.has_resolver(ours) else ""
    return f"there is no resolver {name!r}, as in ${{{name}:…}}{hint}"


def first_line(error: Any) -> str:
    """Return the first line of a message that is not empty."""
    return next(
        (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
    )
