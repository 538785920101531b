"""A run as one file: packed for another machine, and unpacked there without trusting the file."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.files.atomic import replacing
from sleap_lab.runs.summary import RUN_FILE, SWEEP_FILE

SUFFIX = ".tar.zst"
LEVEL = 10
LEFT_OUT = (".lock",)
CHUNK = 1 << 20


def export_run(folder: Path, file: Path, *, outputs_root: Path) -> int:
    """Pack a run folder, or that of a sweep, into a file.

    Links are left out, and so are locks.

    Args:
        folder: The folder.
        file: The file to write, `NAME.tar.zst`.
        outputs_root: Folder of all runs; the run keeps its place below it.

    Returns:
        Size of the file, bytes.

    Raises:
        ConfigError: The file has another suffix, exists, or lies in the run folder.
        RunError: It cannot be written.
    """
    import zstandard

    if not file.name.endswith(SUFFIX):
        raise ConfigError(f"runs export: {file} must end in {SUFFIX}")
    if file.exists():
        raise ConfigError(f"runs export: {file} exists; choose another name")
    if file.absolute().is_relative_to(folder.absolute()):
        raise ConfigError(f"runs export: {file} lies in the run itself; choose another place")
    root = folder.absolute()
    name = (
        root.relative_to(outputs_root.absolute()).as_posix()
        if root.is_relative_to(outputs_root.absolute())
        else root.name
    )
    with replacing(file) as temporary, open(temporary, "wb") as raw:
        packer = zstandard.ZstdCompressor(level=LEVEL)
        with (
            packer.stream_writer(raw, closefd=False) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in sorted(root.rglob("*")):
                if path.is_file() and not path.is_symlink() and path.suffix not in LEFT_OUT:
                    place = PurePosixPath(name) / path.relative_to(root).as_posix()
                    with open(path, "rb") as content:
                        archive.addfile(_plain(path, str(place)), content)
    return file.stat().st_size


def _plain(path: Path, name: str) -> tarfile.TarInfo:
    """Return the entry of a file, without its owner and with common permissions."""
    facts, entry = path.stat(), tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = facts.st_size, int(facts.st_mtime), 0o644
    return entry


def import_run(file: Path, *, outputs_root: Path) -> Path:
    """Unpack a run below the outputs folder, and return its folder.

    Only plain files are written, all of them into a folder of its own beside the runs, which takes
    its place when it is complete. Nothing in the file is run.

    Args:
        file: Made by `export_run`, on any machine.
        outputs_root: Folder of all runs.

    Raises:
        ConfigError: There is no such file, or the run is there already.
        RunError: It is not an archive of a run, or holds anything else.
    """
    if not file.is_file():
        raise ConfigError(f"runs import: no such file: {file}")
    outputs_root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=outputs_root, prefix=".import-") as scratch, _opened(file) as tar:
        names = []
        try:
            for entry in tar:
                if entry.isdir():
                    continue
                place = _checked(entry, file)
                _write(tar, entry, Path(scratch) / place, outputs_root)
                names.append(place)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise RunError(f"{file}: cannot be unpacked ({error})") from error
        name = _run_in(names, file)
        target = outputs_root / name
        if target.exists():
            raise ConfigError(f"runs import: {target} is there already; move or remove it first")
        target.parent.mkdir(parents=True, exist_ok=True)
        (Path(scratch) / name).rename(target)
    return target


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    import zstandard

    try:
        with (
            open(file, "rb") as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as unpacked,
            tarfile.open(fileobj=io.BufferedReader(unpacked), mode="r|") as tar,
        ):
            yield tar
    except (tarfile.TarError, zstandard.ZstdError) as error:
        raise RunError(f"{file}: is no archive of a run ({error})") from error


def _checked(entry: tarfile.TarInfo, file: Path) -> PurePosixPath:
    """Return the place of a plain file within the archive; anything else is refused."""
    place = PurePosixPath(entry.name)
    if not entry.isreg():
        raise RunError(f"{file}: {entry.name!r} is a link or device; nothing is unpacked")
    parts = place.parts
    odd = any(part in ("..", "") or "\\" in part or ":" in part[1:2] for part in parts)
    if place.is_absolute() or odd or not parts:
        raise RunError(f"{file}: {entry.name!r} lies outside the run; nothing is unpacked")
    return place


def _write(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path, root: Path) -> None:
    if entry.size > shutil.disk_usage(root).free:
        raise RunError(f"{root}: there is no room for {entry.name!r} ({entry.size:,} bytes)")
    content = tar.extractfile(entry)
    assert content is not None, "plain files have content"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as written:
        shutil.copyfileobj(content, written, CHUNK)


def _run_in(names: list[PurePosixPath], file: Path) -> PurePosixPath:
    """Return the folder of the run, which holds everything else."""
    runs = [name.parent for name in names if name.name in (RUN_FILE, SWEEP_FILE)]
    top = min(runs, key=lambda place: len(place.parts), default=None)
    if top is None or not top.parts:
        raise RunError(f"{file}: holds no run (there is no {RUN_FILE})")
    if any(part.startswith(".") for part in top.parts):
        raise RunError(f"{file}: the run lies in a hidden folder, {top}")
    if stray := next((name for name in names if top not in name.parents), None):
        raise RunError(f"{file}: {str(stray)!r} lies outside the run; nothing is unpacked")
    return top
