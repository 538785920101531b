"""Tags of a run in MLflow: what its folder tells, and what it was given after it ended.

The latter are kept in `tags.json` of the folder.
"""

import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sleap_lab.errors import RunError
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import read_json
from sleap_lab.runs.snapshot import config_hash, read_document
from sleap_lab.runs.summary import RunSummary

TAGS_FILE = "tags.json"

FOLDER_TAG = "sleap_lab.folder"
JOB_TAG = "sleap_lab.job"
COMMAND_TAG = "sleap_lab.command"
SWEEP_TAG = "sleap_lab.sweep"
DESCRIPTION_TAG = "mlflow.note.content"


def origin_tags(folder: Path, command: str | None) -> dict[str, str | None]:
    """Return the tags that tell where a run, or a sweep, comes from.

    Args:
        folder: Its folder.
        command: The command line, where it is known.
    """
    return {
        "mlflow.user": user(),
        "mlflow.source.name": "sleap-lab",
        "mlflow.source.type": "LOCAL",
        COMMAND_TAG: command,
        FOLDER_TAG: str(folder.absolute()),
    }


def run_tags(folder: Path, run: RunSummary, config: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the tags that tell how a run was made and how it ended.

    Args:
        folder: Run folder.
        run: Its `run.json`.
        config: Its composed config; empty if it ended before there was one.

    Returns:
        Names and values; None where there is nothing to tell.
    """
    git = read_document(folder, "git.json") or {}
    return {
        **{f"sleap_lab.cache.{stage}": outcome for stage, outcome in run.cache.items()},
        **{
            f"choice.{group}": option
            for group, option in run.choices.items()
            if not group.startswith("hydra/")
        },
        **origin_tags(folder, read_document(folder, "command.txt")),
        "mlflow.source.git.commit": git.get("commit"),
        DESCRIPTION_TAG: run.error,
        "sleap_lab.git_branch": git.get("branch"),
        "sleap_lab.git_dirty": str(git["dirty"]).lower() if git else None,
        "sleap_lab.config_hash": config_hash(config) if config else None,
        "sleap_lab.status": run.status,
        "sleap_lab.exit_code": None if run.exit_code is None else str(run.exit_code),
        "sleap_lab.run_host": run.host,
        "sleap_lab.slurm_job": run.slurm_job,
        JOB_TAG: None if run.job is None else str(run.job),
    }


def user() -> str | None:
    """Return the name of the user, None where the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def later_tags(folder: Path) -> dict[str, str]:
    """Return the tags that a run was given later; one without a value takes an earlier one away.

    Raises:
        RunError: The file is damaged.
    """
    path = folder / TAGS_FILE
    if not path.is_file():
        return {}
    try:
        found = read_json(path)
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} is damaged: it holds no names and values")
    return {str(key): str(value) for key, value in found.items()}


def add_tags(folder: Path, tags: Mapping[str, str]) -> None:
    """Give a run further tags.

    Raises:
        RunError: The file is damaged, or cannot be written.
    """
    content = json.dumps(later_tags(folder) | dict(tags), indent=1, ensure_ascii=False)
    with replacing(folder / TAGS_FILE) as temporary:
        temporary.write_text(content + "\n", encoding="utf-8")
