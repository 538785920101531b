"""The stage cache: a result that was computed once is never computed again.

An entry is a pose record and a JSON file of plain facts, named by the fingerprint of what it depends on. Nothing in
it can run code. Several processes that need the same entry compute it once: the others wait and read.
"""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from sleap_lab.atomic import replacing
from sleap_lab.poses import Poses

log = logging.getLogger(__name__)

Facts = dict[str, Any]


def remember(folder: Path, key: str, mode: str, compute: Callable[[], tuple[Poses, Facts]]) -> tuple[Poses, Facts, bool]:
    """Return a stored result, or compute and store it.

    Args:
        folder: The cache.
        key: Fingerprint of the result.
        mode: `rw` reads and stores, `read` only reads, `off` does neither.
        compute: Makes the poses and plain facts about them; facts with `"incomplete": true` are not stored.

    Returns:
        Poses, facts, and whether they were stored already.
    """
    if mode == "off":
        return *compute(), False
    if mode == "read":
        found = _load(folder, key)
        return (*found, True) if found is not None else (*compute(), False)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{key}.lock"):
        if (found := _load(folder, key)) is not None:
            return *found, True
        poses, facts = compute()
        if not facts.get("incomplete"):
            with replacing(folder / f"{key}.npz") as temporary:
                poses.save(temporary)
            with replacing(folder / f"{key}.json") as temporary:  # last, because it says that the entry is complete
                temporary.write_text(json.dumps(facts), encoding="utf-8")
        return poses, facts, False


def _load(folder: Path, key: str) -> tuple[Poses, Facts] | None:
    """Return a stored entry; None where there is none that can be read."""
    try:
        facts = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        return Poses.load(folder / f"{key}.npz"), facts
    except FileNotFoundError:
        return None
    except Exception as error:  # damaged: computing again is always right
        log.warning("cache entry %s cannot be read (%s) and is computed again", key, error)
        return None
