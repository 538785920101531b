"""An experiment from the words KEY=VALUE of a command line, checked before Hydra runs it."""

import io
from collections.abc import Callable
from contextlib import nullcontext, redirect_stdout
from typing import NoReturn

from sleap_lab import terminal
from sleap_lab.errors import ConfigError
from sleap_lab.settings.credentials import redact

SEE = "see sleap-lab --help, and for sleap-nn's flags sleap-lab track --help"
HYDRA_ONLY = ("cfg", "info", "hydra_help", "version")
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

    from sleap_lab.settings.compose import (
        compose_node,
        find_configs,
        hand_to_hydra,
        hydra_application,
        options_of,
        register,
    )
    from sleap_lab.settings.jobs import check_jobs
    from sleap_lab.settings.overrides import check_overrides, fixed

    register()
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse would print its whole usage
    options, unknown = parser.parse_known_intermixed_args(arguments)
    if unknown:
        raise ConfigError(f"{unknown[0]}: there is no such option; {SEE}")
    for name, instead in INSTEAD.items():
        if getattr(options, name) not in (None, False):
            raise ConfigError(f"--{name.replace('_', '-')}: {instead}")
    configs = find_configs(options.config_name, options.config_dir)
    if any(getattr(options, name, None) for name in HYDRA_ONLY):
        if options.cfg or options.info:  # Hydra tells a mistake in many lines
            with hydra_application(configs) as hydra:
                check_overrides(options.overrides, options_of(hydra, configs, options.overrides))
                compose_node(hydra, configs, fixed(options.overrides))
        # Hydra's own parser loses overrides that stand on both sides of an option.
        flags = [word for word in arguments if word not in options.overrides]
        with redirect_stdout(io.StringIO()) if options.cfg else nullcontext() as shown:
            hand_to_hydra(
                [*options.overrides, *flags, "--config-name", configs.name], lambda node: None
            )
        if shown is not None:
            print(redact(shown.getvalue()), end="")
        return None
    checked = check_jobs(options.overrides, multirun=options.multirun, configs=configs)
    from sleap_lab.launch.command import launch

    return lambda command: launch(checked, options.overrides, command, configs)


def _refuse(message: str) -> NoReturn:
    raise ConfigError(f"{message}; {SEE}")
