"""An experiment from the words KEY=VALUE of a command line, checked before Hydra runs it."""

import io
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, NoReturn

from sleap_lab import terminal
from sleap_lab.errors import ConfigError
from sleap_lab.settings.credentials import redact

if TYPE_CHECKING:
    from sleap_lab.settings.application import Configs

SEE = "see sleap-lab --help, and for sleap-nn's flags sleap-lab track --help"
HYDRA_ONLY = ("cfg", "info", "hydra_help")
OF_CFG = ("resolve", "package")
MODES = ("run", "multirun")
INSTEAD = {
    "config_path": (
        "the package's own options are always needed; use --config-dir DIR, and --config-name NAME "
        "for a primary config in it"
    ),
    "shell_completion": "it stands first: sleap-lab -sc install=bash",
    "experimental_rerun": "use sleap-lab reproduce RUN",
}
"""Options of Hydra that sleap-lab does not accept, and what to use instead."""


def run_words(arguments: list[str], command: list[str]) -> int:
    """Check every job of a command line, then hand it to Hydra."""
    terminal.begin()
    with terminal.unless_quick("checking the settings"):
        checked = _checked(arguments)
    return 0 if checked is None else checked(command)


def _checked(arguments: list[str]) -> Callable[[list[str]], int] | None:
    """Check every job of a command line.

    Returns:
        What takes the command as it was typed and runs it; None where only Hydra was asked.
    """
    from hydra._internal.utils import get_args_parser

    from sleap_lab.settings.compose import find_configs
    from sleap_lab.settings.jobs import check_jobs

    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its whole usage
    options, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such option; {SEE}")
    for name, instead in INSTEAD.items():
        if getattr(options, name) not in (None, False):
            raise ConfigError(f"--{_typed(name)}: {instead}")
    for name in OF_CFG:
        if getattr(options, name) and not options.cfg:
            raise ConfigError(f"--{_typed(name)}: is of use with --cfg only; add --cfg job")
    configs = find_configs(options.config_name, options.config_dir)
    if any(getattr(options, name) for name in HYDRA_ONLY):
        _answer(options, parser, configs)
        return None
    checked = check_jobs(options.overrides, multirun=options.multirun, configs=configs)
    from sleap_lab.launch.command import launch

    return lambda command: launch(checked, options.overrides, command, configs)


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; {SEE}")


def _answer(options: Namespace, parser: ArgumentParser, configs: "Configs") -> None:
    """Print what only Hydra is asked for.

    Args:
        options: The options and overrides of the command line.
        parser: Their parser, which knows the help of Hydra's options.
        configs: The configs that they choose.

    Raises:
        ConfigError: Options contradict each other, or an override is wrong.
    """
    from omegaconf import OmegaConf

    from sleap_lab.settings.application import hydra_application
    from sleap_lab.settings.compose import compose_node, options_of
    from sleap_lab.settings.overrides import check_overrides, fixed

    asked = [f"--{_typed(name)}" for name in (*HYDRA_ONLY, *MODES) if getattr(options, name)]
    if len(asked) > 1:
        raise ConfigError(f"{asked[0]}: cannot be combined with {asked[1]}; leave one of them out")
    with hydra_application(configs) as hydra:
        if options.hydra_help:
            hydra.hydra_help(configs.name, parser, options)
            return
        # Hydra tells a mistake in many lines.
        check_overrides(options.overrides, options_of(hydra, configs, options.overrides))
        if several := sorted(set(options.overrides) - set(fixed(options.overrides))):
            raise ConfigError(f"{several[0]}: several values; {asked[0]} tells of one, so give one")
        node = compose_node(hydra, configs, options.overrides)
        if options.info:
            hydra.show_info(options.info, configs.name, options.overrides)
            return
        part = options.package
        if part and part != "_global_" and OmegaConf.select(node, part) is None:
            raise ConfigError(f"--package={part}: the config has no such key, or null there")
        with redirect_stdout(io.StringIO()) as shown:
            hydra.show_cfg(configs.name, options.overrides, options.cfg, part, options.resolve)
        print(redact(shown.getvalue()), end="")


def _typed(name: str) -> str:
    """Return the name of an option as it is typed."""
    return name.replace("_", "-")
