"""The snapshot of a run: config, command, packages, code, inputs and device, in `snapshot/`.

A snapshot is enough to repeat a run, and to find what differs if the result changes.
"""

import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import asdict
from importlib import resources
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sleap_lab.errors import RunError
from sleap_lab.files.atomic import replacing
from sleap_lab.files.hashes import file_facts, file_stamp
from sleap_lab.files.safe_load import read_json, read_own_yaml
from sleap_lab.runs.context import RunContext
from sleap_lab.runs.slurm import job_id
from sleap_lab.settings.config import Config, keys
from sleap_lab.settings.inputs import model_files, recordings_in

if TYPE_CHECKING:
    from sleap_lab.media.source import Source

SNAPSHOT = "snapshot"

MAX_PATCH_BYTES = 5_000_000
MAX_UNTRACKED = 100
GIT_SECONDS = 20
RECORDINGS, MODELS = "data.path", "model.paths"
"""Keys of inputs that may be folders."""
DIFF_OPTIONS = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative")
"""A patch that `git apply` takes, whatever the user has configured."""

# Sections and keys that determine where results go and how they are shown, not the results.
_NOT_IN_HASH = (
    *("output", "logger", "sweep", "evaluator.save_metrics"),
    *("report", "report_figures", "verbose", "debug"),
    *("cache", "cache_dir", "cache_seeds", "cache_max_gb"),
)


def snapshot_experiment(run: RunContext, source: "Source", device: str) -> None:
    """Write the snapshot of an experiment into its run folder.

    Raises:
        RunError: A file cannot be written.
    """
    config = run.config
    inputs = {
        **_input_files(config, source),
        "evaluator.ground_truth_path": config.evaluator.ground_truth_path,
        "evaluator.calibration": config.evaluator.calibration,
        "model.backbone_ckpt_path": config.model.backbone_ckpt_path,
        "model.head_ckpt_path": config.model.head_ckpt_path,
    }
    write_snapshot(
        run.folder,
        config=asdict(config),
        overrides=run.invocation.overrides,
        command=run.invocation.command,
        inputs={name: Path(path) for name, path in inputs.items() if path is not None},
        models=[Path(path) for path in config.model.paths],
        device=device,
        videos=source.reading_facts(),
    )


def _input_files(config: Config, source: "Source") -> dict[str, str]:
    """Return the files of frames and labels by key; of images in a folder, the folder."""
    path = config.data.path
    if isinstance(path, str) and Path(path).is_dir() and len(source.videos) == 1:
        return {"data.path": path}
    named = {"data.path": path} if isinstance(path, str) and Path(path).is_file() else {}
    looks_at_images = (
        config.model.kind != "none" or config.tracker.use_flow or config.tracker.features == "image"
    )
    others = [str(file) for file in source.files if str(file) != path] if looks_at_images else []
    return named | {f"data.path[{i}]": file for i, file in enumerate(others)}


def write_snapshot(
    folder: Path,
    *,
    config: Mapping[str, Any],
    overrides: Sequence[str],
    command: Sequence[str],
    inputs: Mapping[str, Path],
    models: Sequence[Path],
    device: str,
    videos: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write `folder/snapshot/`.

    Args:
        folder: The run folder.
        config: The resolved config as plain dictionaries, lists and values.
        overrides: What the user overrode, as typed.
        command: The command line, word by word.
        inputs: Input files or folders by the key that names them; missing ones are recorded as
            missing.
        models: Model folders or single weight files.
        device: Device of the network, as in `cuda:0`.
        videos: How each video is read.

    Raises:
        RunError: A file cannot be written.
    """
    snapshot = folder / SNAPSHOT
    git, patch = git_state(*code_folders())
    if patch:
        _write(snapshot / "dirty.patch", patch)
    documents = {
        "packages.json": environment(),
        "git.json": git,
        "hashes.json": {
            "inputs": {name: _read_now(name, Path(path)) for name, path in inputs.items()},
            "models": [
                _read_now(MODELS, file) for path in models for file in model_files(Path(path))
            ],
        },
        "device.json": device_facts(device),
        "videos.json": list(videos),
    }
    for name, document in documents.items():
        _write(snapshot / name, (json.dumps(document, indent=2) + "\n").encode())
    for name, content in {"config.yaml": dict(config), "overrides.yaml": list(overrides)}.items():
        _write(
            snapshot / name, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()
        )
    _write(snapshot / "command.txt", (shlex.join(command) + "\n").encode(errors="surrogateescape"))


def _read_now(key: str, path: Path) -> dict[str, Any]:
    """Return the facts of the file or folder of a key, with its stamp from before it was read."""
    stamp = file_stamp(path, read_of(key, path))
    return file_facts(path, read_of(key, path)) | {"stamp": stamp}


def read_of(key: str, path: Path) -> list[Path] | None:
    """Return the files that are read of a folder of recordings; None for all other inputs.

    Notes, results and what file managers leave beside recordings are no input.
    """
    return recordings_in(path) if key == RECORDINGS and path.is_dir() else None


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_document(folder: Path, name: str) -> Any:
    """Read one file of a run folder's snapshot: JSON and YAML parsed, anything else as text.

    Returns:
        The content; None if there is no such file, because the run ended before its snapshot was
        written.

    Raises:
        RunError: The file is damaged.
    """
    path = folder / SNAPSHOT / name
    if not path.is_file():
        return None
    try:
        if path.suffix == ".yaml":
            return read_own_yaml(path)
        return (
            read_json(path)
            if path.suffix == ".json"
            else path.read_text(encoding="utf-8", errors="surrogateescape").strip()
        )
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


@contextmanager
def where_it_ran(folder: Path) -> Iterator[None]:
    """Go to the working directory of a run, if it is there: its labels may name files from there.

    Raises:
        RunError: The snapshot is damaged.
    """
    here = Path((read_document(folder, "packages.json") or {}).get("cwd", ""))
    with chdir(here) if here.is_absolute() and here.is_dir() else nullcontext():
        yield


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested config under dotted keys; lists stay values."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= (
            flatten(value, f"{prefix}{name}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{name}": value}
        )
    return flat


def decides(key: str) -> bool:
    """Return whether a setting can change a result; those for files and display cannot."""
    return key.split(".")[0] not in _NOT_IN_HASH and key not in _NOT_IN_HASH


def config_hash(config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the settings that can change a result.

    Only the last part of a path counts, so that an experiment has the same hash on every machine.
    """
    paths = {name for name, key in keys().items() if key.metadata["path"]}
    settings = {
        name: _last_part(value) if name in paths else value
        for name, value in flatten(config).items()
        if decides(name)
    }
    return hashlib.sha256(
        json.dumps(settings, sort_keys=True, separators=(",", ":"), default=str).encode()
    ).hexdigest()


def _last_part(value: Any) -> Any:
    if isinstance(value, list):
        return [_last_part(item) for item in value]
    return Path(value).name if isinstance(value, str) else value


def environment() -> dict[str, Any]:
    """Return versions of Python and all packages, platform, CPUs, working folder and Slurm job."""
    torch = sys.modules.get("torch")  # a run that needed no network must not pay for importing it
    packages = [item.metadata for item in distributions()]  # read and parsed at each access
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads() if torch else None,
        "cwd": str(Path.cwd()),
        "slurm_job": job_id(),
        "packages": dict(
            sorted((item["Name"], item["Version"]) for item in packages if item["Name"])
        ),
    }


def device_facts(device: str) -> dict[str, Any]:
    """Return the device and the processor.

    For a CUDA device also the card, its memory in bytes and the CUDA version.
    """
    facts: dict[str, Any] = {"device": device, "processor": processor()}
    torch = sys.modules.get("torch")
    if torch and device.startswith("cuda") and torch.cuda.is_available():
        card = torch.cuda.get_device_properties(device)
        facts |= {"name": card.name, "memory": card.total_memory, "cuda": torch.version.cuda}
    return facts


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")  # platform.processor() is empty or vague on Linux
    lines = info.read_text(errors="replace").splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def code_folders() -> tuple[Path, Path]:
    """Return the folders of this package and of its config options."""
    return Path(__file__).parents[1], Path(str(resources.files("sleap_lab.conf")))


def git_state(source: Path, *further: Path) -> tuple[dict[str, Any] | None, bytes]:
    """Describe the git checkout that holds a source folder.

    Args:
        source: Folder of the source. An installed package that only lies inside a checkout, without
            being tracked by it, does not count.
        further: Its other folders in the checkout. New files elsewhere, such as the outputs of
            runs, change nothing that runs.

    Returns:
        Commit, branch, whether tracked files or new ones of the source differ from the commit, the
        first new files, and whether the patch is whole; None without a checkout, without git or if
        git fails. And the changes to tracked files as a patch, cut after `MAX_PATCH_BYTES`; empty
        if there are none.
    """
    if not _git(source, "ls-files", ".") or not (commit := _git(source, "rev-parse", "HEAD")):
        return None, b""
    branch = _git(source, "rev-parse", "--abbrev-ref", "HEAD") or b""
    patch = _git(source, "diff", "HEAD", *DIFF_OPTIONS) or b""
    folders = [str(folder) for folder in (source, *further)]
    status = _git(source, "status", "--porcelain", "--untracked-files=all", "--", *folders) or b""
    changes = status.decode(errors="replace").splitlines()
    untracked = [line[3:] for line in changes if line.startswith("??")]
    state = {
        "commit": commit.decode().strip(),
        "branch": branch.decode(errors="replace").strip(),
        "dirty": bool(patch or untracked),
        "untracked": untracked[:MAX_UNTRACKED],
        "patch_is_whole": len(patch) <= MAX_PATCH_BYTES,
    }
    return state, patch[:MAX_PATCH_BYTES]


def _git(folder: Path, *arguments: str) -> bytes | None:
    """Return what git prints, or None if it cannot; a run must never fail because of git."""
    # GIT_DIR and the like, as set inside git hooks, would point to another checkout.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_OPTIONAL_LOCKS": "0"
    }
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(
            command, env=environ, capture_output=True, timeout=GIT_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
