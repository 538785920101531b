"""Compare a run's inputs, code, package versions and machine with those of today."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from sleap_lab.errors import RunError
from sleap_lab.files.hashes import file_facts, file_stamp
from sleap_lab.files.packages import BUILDS
from sleap_lab.runs.snapshot import (
    MODELS,
    SNAPSHOT,
    code_folders,
    device_facts,
    environment,
    git_state,
    read_document,
    read_of,
)
from sleap_lab.settings.inputs import LABELS, model_files

# Packages that can change results.
PACKAGES = ("sleap-lab", "torch", "numpy", "scipy", "opencv-python", "sleap-io", "trackeval")

THREADS = "threads"

PATH_KEYS = (
    "data.path",
    "evaluator.ground_truth_path",
    "evaluator.calibration",
    "model.paths",
    "model.backbone_ckpt_path",
    "model.head_ckpt_path",
)
"""Settings that hold the paths of inputs."""
CHANGEABLE = (*PATH_KEYS, "runtime.device")
"""Settings that a reproduction may change: places of files and devices. All other settings stay."""

UNCHANGED, MOVED, CHANGED, MISSING, NEW = "unchanged", "moved", "changed", "missing", "new"
HARMLESS = (UNCHANGED, MOVED)


class Input(NamedTuple):
    """An input file of a run, as it is now.

    Attributes:
        key: The setting that names it.
        path: Where it is expected now.
        status: `unchanged`, `moved` (elsewhere, with the same content), `changed`, `missing`, or
            `new` (a file of a model that did not exist before).
    """

    key: str
    path: Path
    status: str


class Fact(NamedTuple):
    """A property of code, versions or machine that differs between a run and today."""

    name: str
    then: str
    now: str


def check_inputs(
    hashes: Mapping[str, Any], then: Mapping[str, Any], now: Mapping[str, Any]
) -> list[Input]:
    """Compare the input files of a run with its snapshot.

    Args:
        hashes: The snapshot's `hashes.json`.
        then: The settings of `PATH_KEYS` in the snapshot.
        now: The same settings for today; files of a moved folder are expected in the new one.
    """
    moves = [move for key in PATH_KEYS for move in _moves(then.get(key), now.get(key))]
    beside = Path(now["data.path"]).parent if isinstance(now.get("data.path"), str) else None
    inputs = []
    for key, facts in _recorded(hashes):
        path = _located(Path(facts["path"]), moves, beside)
        found = file_facts(path, read_of(key, path))["sha256"]
        status = MISSING if found is None else CHANGED
        if found == facts["sha256"]:
            status = UNCHANGED if path == Path(facts["path"]) else MOVED
        inputs.append(Input(key, path, status))
    known = {item.path for item in inputs}
    models = [file for path in now.get("model.paths") or [] for file in model_files(Path(path))]
    return inputs + [
        Input("model.paths", file, NEW) for file in models if file.is_file() and file not in known
    ]


def _recorded(hashes: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the facts of each input file in a `hashes.json`, with the setting that names it."""
    yield from hashes["inputs"].items()
    yield from ((MODELS, facts) for facts in hashes["models"])


class Present:
    """Input files as they are now; each is looked at once, however many runs have read it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stamp = cache(lambda key, path: file_stamp(path, read_of(key, path)))
        self._hash = cache(lambda key, path: file_facts(path, read_of(key, path))["sha256"])

    def holds(self, key: str, path: Path, facts: Mapping[str, Any]) -> bool:
        """Return whether a file or folder holds what its facts in a snapshot say.

        Args:
            key: The setting that names it.
            path: Where it is.
            facts: Its facts.
        """
        same_stamp = facts.get("stamp") == self._stamp(key, path)
        return same_stamp or bool(facts["sha256"] == self._hash(key, path))


def changed_inputs(folder: Path, present: Present) -> list[Path]:
    """Return the input files of a run that do not hold what it read, in the places that it names.

    Files whose stamp is the recorded one are not read again. A run that ended before its snapshot
    has no inputs.

    Args:
        folder: The run folder.
        present: The input files of several runs as they are now.

    Raises:
        RunError: Its snapshot is damaged.
    """
    hashes = read_document(folder, "hashes.json")
    if hashes is None:
        return []
    try:
        recorded = {Path(facts["path"]): (key, facts) for key, facts in _recorded(hashes)}
        return [
            path for path, (key, facts) in recorded.items() if not present.holds(key, path, facts)
        ]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise RunError(f"{folder}: hashes.json is not what a snapshot holds ({error})") from error


def _moves(then: Any, now: Any) -> Iterator[tuple[Path, Path]]:
    """Yield the old and the new place of each path of a setting, and of the folder around it.

    The folder matters for globs and lists of paths; for a labels file it is left out.
    """
    before, after = ([value] if isinstance(value, str) else value or [] for value in (then, now))
    if before == after or len(before) != len(after):
        return
    for old, new in zip(map(Path, before), map(Path, after), strict=True):
        yield old, new
        if old.suffix != LABELS:
            yield old.parent, new.parent


def _located(path: Path, moves: Sequence[tuple[Path, Path]], beside: Path | None) -> Path:
    """Return the present place of a recorded file.

    That is the first that exists of: where it was moved to, where it was, and the folder of the
    labels, where videos of labels may lie.
    """
    named = [new / path.relative_to(old) for old, new in moves if path.is_relative_to(old)]
    others = [path] if beside is None else [path, beside / path.name]
    return next(
        (place for place in [*named, *others] if place.exists()), named[0] if named else path
    )


def recorded_facts(folder: Path) -> dict[str, str]:
    """Return code, versions and machine of a run, by name, from its snapshot."""
    patch = folder / SNAPSHOT / "dirty.patch"
    packages, device, git = (
        read_document(folder, f"{name}.json") for name in ("packages", "device", "git")
    )
    return _facts(packages, device, git, patch.read_bytes() if patch.is_file() else b"")


def contents(folder: Path) -> dict[str, str]:
    """Return a short hash of the content of each input of a run, by its setting.

    The hashes are those of the snapshot; the files themselves are not read.
    """
    hashes = read_document(folder, "hashes.json") or {"inputs": {}, "models": []}
    found: dict[str, list[str]] = {}
    for key, facts in _recorded(hashes):
        found.setdefault(f"content of {key.partition('[')[0]}", []).append(str(facts["sha256"]))
    return {
        key: hashlib.sha256(" ".join(several).encode()).hexdigest()[:8]
        for key, several in found.items()
    }


def present_facts(device: str) -> dict[str, str]:
    """Return code, versions and machine of a run on a device today."""
    return _facts(environment(), device_facts(device), *git_state(*code_folders()))


def _facts(
    packages: Mapping[str, Any],
    device: Mapping[str, Any],
    git: Mapping[str, Any] | None,
    patch: bytes,
) -> dict[str, str]:
    versions = packages["packages"]
    facts = {
        name: next(
            (versions[build] for build in BUILDS.get(name, (name,)) if build in versions), None
        )
        for name in PACKAGES
    }
    facts |= {
        "python": packages["python"],
        "platform": packages["platform"],
        THREADS: packages["torch_threads"],
    }
    facts |= {
        "device": device["device"],
        "processor": device["processor"],
        "card": device.get("name"),
        "cuda": device.get("cuda"),
    }
    if git is not None:
        changes = f", changed ({hashlib.sha256(patch).hexdigest()[:8]})" if patch else ""
        facts["commit"] = (
            git["commit"][:12]
            + changes
            + (f", {len(git['untracked'])} new files" if git["untracked"] else "")
        )
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def changed_facts(then: Mapping[str, str], now: Mapping[str, str]) -> list[Fact]:
    """Return the facts that differ; threads of a library that is not loaded now are ignored."""
    facts = [Fact(name, value, now.get(name, "none")) for name, value in then.items()]
    return [
        fact
        for fact in facts
        if fact.then != fact.now and not (fact.name == THREADS and fact.now == "none")
    ]
