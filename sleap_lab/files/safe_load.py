"""Readers of untrusted files: nothing in a file is run, and memory is bounded by its size.

A file is what it holds, not what its header says. Sizes are compared with bytes before memory is
taken for them. References are followed within a file only, and only a limited number of times.
`docs/security.md` says what is trusted and what is not.
"""

import io
import json
import math
import os
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from numpy.lib import format as npy

from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.pointers import refuse_pointer

MAX_TEXT = 100_000_000
MAX_YAML = 2_000_000
MAX_YAML_NODES = 100_000
"""Most nodes of a YAML file, with and without its references written out.

A training config has a few hundred.
"""
TOO_MANY_NODES = f"it has more than {MAX_YAML_NODES} entries, its references written out"
MAX_DEPTH = 50
"""Levels of a YAML file that are left to the loader in C, which calls itself for each."""
HDF5_RATIO = 100
HDF5_FREE = 16_000_000
"""Bytes that the arrays of an HDF5 file may always hold.

Beyond it, they may hold `HDF5_RATIO` times the bytes of the file.
"""
DEFLATE_RATIO = 1032
"""The highest compression ratio that HDF5 reaches, for an array of equal numbers."""


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is no JSON, or too large or too deep for any file of this kind.
    """
    text = _read_text(path, MAX_TEXT)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_yaml(path: Path) -> Any:
    """Read a YAML file of plain values.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is no YAML of plain values, or too large, with or without its references
            written out.
    """
    return _parsed(_read_text(path, MAX_YAML))


def read_own_yaml(path: Path) -> Any:
    """Read a YAML file as this package writes them, in a fifth of the time.

    The loader in C reads what PyYAML writes, and is asked for nothing else: a file that it refuses,
    or that is deep or has references, is read as any other.

    Raises:
        OSError: It cannot be opened.
        ValueError: What `read_yaml` refuses.
    """
    text = _read_text(path, MAX_YAML)
    with suppress(yaml.YAMLError, AttributeError, ValueError):  # it may be missing in PyYAML
        if _is_shallow(text):
            return yaml.load(text, yaml.CSafeLoader)
    return _parsed(text)


def _is_shallow(text: str) -> bool:
    """Return whether a YAML text has few levels, not too many nodes, and no references."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.CSafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or count > MAX_YAML_NODES or isinstance(event, yaml.AliasEvent):
            return False
    return True


def _parsed(text: str) -> Any:
    """Return the plain values of a YAML text."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if _size(node, {}) > MAX_YAML_NODES:
                raise ValueError(TOO_MANY_NODES)
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    # Unusual values raise unusual errors.
    except (yaml.YAMLError, TypeError, OverflowError, AttributeError, LookupError) as error:
        raise ValueError(" ".join(str(error).split())) from error


class _Loader(yaml.SafeLoader):
    """Loader of plain values that gives up on long files.

    The loader in C overflows its stack where a file is nested deeply.
    """

    count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.count += 1
        if self.count > MAX_YAML_NODES:
            raise ValueError(TOO_MANY_NODES)
        return super().compose_node(parent, index)


def _size(node: yaml.Node | None, known: dict[int, float]) -> float:
    """Return the number of nodes at and below a node.

    Shared nodes count as often as they occur. A node that contains itself has infinite size.
    """
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = math.inf  # stays if the node turns out to be its own part
        parts: Iterator[yaml.Node] = iter(())
        if isinstance(node, yaml.SequenceNode):
            parts = iter(node.value)
        elif isinstance(node, yaml.MappingNode):
            parts = (part for pair in node.value for part in pair)
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _read_text(path: Path, most: int) -> str:
    refuse_pointer(path)
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it is larger than {most // 10**6} MB")
    return content.decode("utf-8")


def read_arrays(
    file: str | Path | IO[bytes], *, read_object: Callable[[bytes], Any] | None = None
) -> dict[str, Any]:
    """Read an `.npz` file.

    Args:
        file: The file, or an open one.
        read_object: Makes a value of the pickle of an array of objects; without it, such an array
            is refused.

    Returns:
        The arrays by name.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is no such file, or what it says of itself is not true.
    """
    if isinstance(file, (str, Path)):
        refuse_pointer(Path(file))
    with zipfile.ZipFile(file) as archive:
        claimed = sum(member.file_size for member in archive.infolist())
        if claimed > memory_limit():
            raise ValueError(
                f"it says it holds {claimed / 1e9:.3g} GB, "
                "which is half of this machine's memory or more"
            )
        arrays = {}
        for member in archive.infolist():
            with archive.open(member) as opened:
                content = opened.read(member.file_size)  # the size as a limit: a stream may go on
            arrays[member.filename.removesuffix(".npy")] = _read_array(content, read_object)
        return arrays


def memory_limit() -> int:
    """Return how many bytes a file may ask for: half of the memory of this machine."""
    with suppress(AttributeError, ValueError, OSError):  # there is no such question on Windows
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 8 * 2**30


def _read_array(content: bytes, read_object: Callable[[bytes], Any] | None) -> Any:
    """Read one `.npy` file."""
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"arrays of version {version} are not read")
    try:
        shape, fortran, dtype = (
            npy.read_array_header_1_0(file)
            if version == (1, 0)
            else npy.read_array_header_2_0(file)
        )
    except Exception as error:  # a header is a Python expression, which can be wrong in any way
        raise_interruption(error)
        raise ValueError(
            f"it has no readable header ({' '.join(str(error).split()) or type(error).__name__})"
        ) from error
    start = file.tell()
    if dtype.hasobject:
        if read_object is None:
            raise ValueError("it holds objects, which are not read")
        return read_object(content[start:])
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * max(dtype.itemsize, 1) > len(content) - start:
        raise ValueError(
            f"it says it has the shape {shape}, but holds {len(content) - start} bytes"
        )
    return np.ndarray(
        shape, dtype, buffer=content, offset=start, order="F" if fortran else "C"
    ).copy(order="K")


def check_pickle(content: bytes) -> None:
    """Refuse a pickle whose numbers would make its reader take memory for what is not there.

    Raises:
        ValueError: It ends early, or numbers its parts higher than it has parts.
    """
    for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if (
            operation.name in ("PUT", "BINPUT", "LONG_BINPUT")
            and not 0 <= int(argument or 0) <= count
        ):
            raise ValueError(f"it numbers part {argument} of {count}")


def check_hdf5(path: Path, *, images: bool = False) -> None:
    """Refuse an HDF5 file that reaches beyond itself, or whose arrays cannot be held by its bytes.

    Args:
        path: The file.
        images: Whether it may hold videos, which are read frame by frame and not as a whole.

    Raises:
        OSError: It is no HDF5 file.
        ValueError: It is refused.
    """
    import h5py  # which many who read other files do without

    def fault_of_link(name: str, link: Any) -> str | None:
        return (
            None
            if isinstance(link, h5py.HardLink)
            else f"/{name} is a link; refused, because only the file itself is read"
        )

    refuse_pointer(path)
    datasets: list[Any] = []
    with h5py.File(path, "r") as file:
        if fault := file.visititems_links(fault_of_link):
            raise ValueError(fault)
        file.visititems(
            lambda _, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None
        )
        for dataset in datasets:
            check_dataset(dataset)
        total = sum(
            dataset.nbytes for dataset in datasets if not (images and holds_images(dataset))
        )
    refuse_larger(total, path.stat().st_size)


def refuse_larger(claimed: int, size: int) -> None:
    """Refuse an HDF5 file that says it holds many times its bytes.

    Raises:
        ValueError: It does.
    """
    if claimed > max(HDF5_FREE, HDF5_RATIO * size):
        raise ValueError(f"it says it holds {claimed / 1e9:.3g} GB in {size} bytes")


def holds_images(dataset: Any) -> bool:
    """Return whether an HDF5 dataset can be a video.

    A video is an array of frames, or encoded images in a dataset called "video".
    """
    return dataset.ndim == 4 or dataset.name.endswith("/video")


def check_dataset(dataset: Any) -> None:
    """Refuse an HDF5 dataset that is stored in other files or is larger than its bytes can hold.

    Raises:
        ValueError: It is refused.
    """
    if dataset.external or dataset.is_virtual:
        raise ValueError(
            f"{dataset.name} is stored in other files; "
            "refused, because only the file itself is read"
        )
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > DEFLATE_RATIO * stored:
        raise ValueError(f"{dataset.name} has the shape {dataset.shape}, but only {stored} bytes")
