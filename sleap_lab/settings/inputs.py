"""Find the files that `data.path` names, without opening them.

A path names a video, a labels file, or many videos by list, glob, folder or manifest.
"""

import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from sleap_lab.errors import ConfigError, brief, counted
from sleap_lab.files.pointers import refuse_pointer
from sleap_lab.files.remote import is_url
from sleap_lab.settings.copies import copy_of

MEDIA = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts", ".mts", ".m2ts"),
    *(".mpg", ".mpeg", ".wmv", ".asf", ".flv", ".3gp", ".ogv", ".mj2", ".gif"),
)
SEQ = ".seq"
VIDEOS = (*MEDIA, SEQ)
HDF5 = (".h5", ".hdf5")
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
LABELS = ".slp"
MANIFEST = ".txt"
TABLE = ".csv"

Input = Path | tuple[Path, ...]
"""A file, or the images of one video in their order."""


def find_inputs(path: str | Sequence[str]) -> list[Input]:
    """Find the files that a path, or each path of a list, stands for.

    * An existing file or folder with exactly this name is preferred to reading the name as a glob.
    * A folder stands for its videos, or for the video that its images make up.
    * A glob stands for the videos and images among its matches.
    * A `.txt` file, where it is the only path, is a manifest: it stands for the paths in its lines,
      relative to its own folder or to the home folder, `~`. Empty lines and lines that begin with
      `#` are ignored.

    Folders and globs are read in natural order (`2.mp4` before `10.mp4`), lists and manifests as
    they are written. Consecutive images from one folder are one video. A file that is named twice
    is used once.

    Raises:
        ConfigError: A path is missing or holds no video, or the inputs cannot be combined.
    """
    if isinstance(path, str) and has_suffix(path, MANIFEST) and Path(path).is_file():
        found = _manifest(Path(path))
    else:
        found = [
            file
            for entry in ([path] if isinstance(path, str) else path)
            for file in expanded(Path(entry))
        ]
    for file in found:
        if not is_text(str(file)):
            raise ConfigError(
                f"data.path: the name {brief(str(file))} is no text in UTF-8; rename the file"
            )
    inputs = joined(dict.fromkeys(found))
    if not inputs:
        raise ConfigError("data.path: the list is empty")
    for labels in (item for item in inputs if isinstance(item, Path) and has_suffix(item, LABELS)):
        if len(inputs) > 1:
            raise ConfigError(
                f"data.path: the labels file {labels} stands beside {len(inputs) - 1} others; "
                "a .slp file is given alone"
            )
    return inputs


def is_text(name: str) -> bool:
    """Return whether a name can be written in UTF-8; OpenCV ends the program if it cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_media(path: Path) -> bool:
    """Return whether a file is read as a video container.

    That is every file, whatever its suffix, that is not HDF5, an image, a labels file or `.seq`.
    """
    return not has_suffix(path, *HDF5, *IMAGES, LABELS, SEQ)


def is_labels(inputs: Sequence[Input]) -> bool:
    """Return whether inputs are a labels file."""
    return len(inputs) == 1 and isinstance(inputs[0], Path) and has_suffix(inputs[0], LABELS)


def input_name(item: Input) -> Path:
    """Return the name of an input in messages: the file, or the folder of its images."""
    return item if isinstance(item, Path) else item[0].parent


def predictions_path(path: Path, video: str = "") -> Path:
    """Return the default file for predictions.

    It is the path with the suffix `.predictions.slp`; for a glob `predictions.slp` in the folder
    where the glob begins.

    Args:
        path: What is predicted on.
        video: Name of the only video of it that is, which becomes a part of the name.
    """
    if not path.exists() and is_glob(path):
        return _split(path)[0] / ".".join(filter(None, (video, "predictions.slp")))
    path = path if path.name else path.absolute()  # `.` has no name of its own
    return path.with_name(".".join(filter(None, (path.stem, video, "predictions.slp"))))


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths part by part as people do: by the values of the numbers in them."""
    return sorted(paths, key=lambda path: [(_words(part), part) for part in path.parts])


def _words(text: str) -> list[str | int]:
    """Split a text into words, at even indices, and numbers, at odd indices."""
    return [
        int(word) if place % 2 else word.casefold()
        for place, word in enumerate(re.split("([0-9]+)", text))
    ]


def has_suffix(path: str | Path, *suffixes: str) -> bool:
    """Return whether the name of a file ends in one of some suffixes, in any case."""
    return Path(path).suffix.lower() in suffixes


def _manifest(file: Path) -> list[Path]:
    """Return the files that the lines of a manifest stand for."""
    return [found for _, line in manifest_lines(file) for found in expanded(line)]


def manifest_lines(file: Path) -> Iterator[tuple[int, Path]]:
    """Yield the number of each line of a manifest that names something, and the path in it.

    Raises:
        ConfigError: The file cannot be read, a path does not exist, or there is none.
    """
    lines = manifest_text(file).splitlines()
    some = False
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        some = True
        try:
            path = named_in(file, line)
            expanded(path)
        except ConfigError as error:
            raise ConfigError(f"{error} (line {number} of {file})") from error
        except (OSError, ValueError) as error:  # too long, not allowed, not a name
            raise ConfigError(
                f"data.path: line {number} of {file} cannot be looked for ({brief(line)})"
            ) from error
        yield number, path
    if not some:
        raise ConfigError(f"data.path: {file} names no file; accepted: one path per line")


def named_in(file: Path, name: str, key: str = "data.path") -> Path:
    """Return the path that a list or table of recordings names; that of a copy for a URL.

    Args:
        file: The list, whose folder relative paths start from.
        name: What it names; `~` is the home folder.
        key: The key that gets the path, for messages.

    Raises:
        ConfigError: A file on a server cannot be read.
    """
    if is_url(name):
        try:
            return copy_of(name)
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from error
    return file.parent / os.path.expanduser(name)  # noqa: PTH111


def manifest_text(file: Path) -> str:
    """Return the text of a list of recordings.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        refuse_pointer(file)
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # no access, another encoding, a pointer
        raise ConfigError(
            f"data.path: {file} cannot be read as a list of paths ({error})"
        ) from error


def expanded(path: Path) -> list[Path]:
    """Return the files that one path stands for.

    Raises:
        ConfigError: There are none, or the path is that of a list of paths.
    """
    if path.is_dir():
        if not (found := _in_folder(path)):
            kinds = ", ".join((*VIDEOS, *IMAGES))
            raise ConfigError(
                f"data.path: {path} holds no video and no image ({kinds}); "
                "HDF5 videos are given by name or as a glob"
            )
        return found
    if path.exists():
        if not path.is_file():
            raise ConfigError(f"data.path: {path} is neither a file nor a folder")
        if has_suffix(path, MANIFEST):
            raise ConfigError(f"data.path: {path} is a text file; a list of paths is given alone")
        if has_suffix(path, TABLE):
            raise ConfigError(
                f"data.path: {path} is a table of recordings, each of which is a job; add -m"
            )
        return [path]
    if not is_glob(path):
        raise ConfigError(f"data.path: no such file: {path}")
    if not (found := _matching(path)):
        raise ConfigError(f"data.path: no video, image or .slp file matches {path}")
    return found


def recordings_in(folder: Path) -> list[Path]:
    """Return the videos and images of a folder; nothing else in it is ever read."""
    return natural_order(
        file
        for file in folder.iterdir()
        if has_suffix(file, *VIDEOS, *IMAGES) and file.is_file() and not file.name.startswith(".")
    )


def _in_folder(folder: Path) -> list[Path]:
    """Return the videos of a folder, or its images."""
    files = recordings_in(folder)
    videos, images = (
        [file for file in files if has_suffix(file, *kinds)] for kinds in (VIDEOS, IMAGES)
    )
    if videos and images:
        raise ConfigError(
            f"data.path: {folder} holds {counted(len(videos), 'video')} "
            f"and {counted(len(images), 'image')}; "
            f"say which: '{folder / f'*{videos[0].suffix}'}' or '{folder / f'*{images[0].suffix}'}'"
        )
    return videos or images


def _matching(pattern: Path) -> list[Path]:
    """Return the videos and images that match a glob.

    If there are none, those in matching folders; if there are none either, matching labels files.
    """
    root, below = _split(pattern)
    # Unlike `Path.glob`, this leaves out hidden files.
    names = glob.glob(below, root_dir=root, recursive=True)  # noqa: PTH207
    matches = natural_order(root / name for name in names)
    files = [match for match in matches if match.is_file()]
    return (
        [file for file in files if has_suffix(file, *VIDEOS, *HDF5, *IMAGES)]
        or [file for folder in matches if folder.is_dir() for file in _in_folder(folder)]
        or [file for file in files if has_suffix(file, LABELS)]
    )


def is_glob(path: Path) -> bool:
    """Return whether a path has characters with a meaning in globs."""
    return bool(set("*?[") & set(str(path)))


def _split(pattern: Path) -> tuple[Path, str]:
    """Split a glob into its leading folders that exist under exactly that name, and the rest."""
    parts = pattern.parts
    literal = max(i for i in range(len(parts)) if Path(*parts[:i]).is_dir())
    return Path(*parts[:literal]), str(Path(*parts[literal:]))


def joined(files: Iterable[Path]) -> list[Input]:
    """Join consecutive images from one folder into one video each.

    A single TIFF stays a file, because it may hold a video by itself.
    """
    inputs: list[Input] = []
    for folder, group in groupby(
        files, key=lambda file: file.parent if has_suffix(file, *IMAGES) else None
    ):
        members = tuple(group)
        lone_stack = len(members) == 1 and has_suffix(members[0], ".tif", ".tiff")
        inputs += members if folder is None or lone_stack else [members]
    return inputs


MODEL_FILES = (
    *("best.ckpt", "training_config.yaml", "best_model.h5", "training_config.json"),
    *("model.onnx", "model.onnx.data", "export_metadata.json"),
    *("training_config_centroid.yaml", "training_config_centered_instance.yaml"),
    "training_config_multi_class_topdown.yaml",
)


def model_files(path: Path) -> list[Path]:
    """Return the files of a model folder that determine its predictions; of a file, itself."""
    if path.is_dir():
        return [path / name for name in MODEL_FILES if (path / name).is_file()]
    return [path]
