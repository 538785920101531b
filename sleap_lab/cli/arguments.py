"""How verbs read their words: help where it is asked for, and refusals of one line."""

import argparse
from collections.abc import Callable
from functools import wraps
from typing import NoReturn

from sleap_lab.errors import ConfigError

HELP_FLAGS = ("-h", "--help")

Verb = Callable[[list[str]], int]


def explained_by(
    page: str | Callable[[], str], *, needs_words: bool = False
) -> Callable[[Verb], Verb]:
    """Let a verb print a help page where that is asked for, before anything slow is imported.

    Args:
        page: The page, or what writes it where that takes an import.
        needs_words: The verb does nothing without words: the page is printed then, too, and the
            command fails.
    """

    def explain(verb: Verb) -> Verb:
        @wraps(verb)
        def run(arguments: list[str]) -> int:
            asked = any(flag in arguments for flag in HELP_FLAGS)
            if not asked and (arguments or not needs_words):
                return verb(arguments)
            print((page if isinstance(page, str) else page()).rstrip("\n"))
            return 0 if asked else ConfigError.exit_code

        return run

    return explain


class Parser(argparse.ArgumentParser):
    """Parser of the options of a verb, which refuses in one line; argparse prints its usage, too.

    Args:
        verb: Name of the verb, for its refusals.
    """

    def __init__(self, verb: str) -> None:
        super().__init__(prog=verb, add_help=False, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the words.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"{self.prog}: {message}; see sleap-lab {self.prog} --help")
