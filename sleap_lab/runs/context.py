"""A run under way: what its parts need to know of it."""

from dataclasses import dataclass
from pathlib import Path

from sleap_lab.runs.folder import Invocation
from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import Config


@dataclass(frozen=True)
class RunContext:
    """A run under way.

    Attributes:
        config: The checked config.
        folder: The run folder.
        invocation: How the run was requested.
        summary: How it goes; filled while it runs.
    """

    config: Config
    folder: Path
    invocation: Invocation
    summary: RunSummary
