"""Tags that a run was given after it ended, in `tags.json` of its folder."""

import json
from collections.abc import Mapping
from pathlib import Path

from sleap_lab.errors import RunError
from sleap_lab.files.atomic import replacing
from sleap_lab.files.safe_load import read_json

TAGS_FILE = "tags.json"


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
