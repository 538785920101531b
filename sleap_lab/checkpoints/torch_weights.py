"""Weights of PyTorch checkpoints, read without running anything the file contains.

A checkpoint is a zip file with one pickle and one raw file per tensor storage. The pickle is read
by an unpickler that knows tensors and plain containers. Objects of the libraries that training
stores beside the weights become inert stand-ins, and any other name is refused. Tensors that would
be larger than the file are refused, too.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sleap_lab.checkpoints.exported import complete, read_exported_weights
from sleap_lab.checkpoints.training_config import CONFIG_NAME, EXPORT_NAME, TrainingConfig
from sleap_lab.errors import RunError, brief, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.pointers import refuse_pointer
from sleap_lab.files.safe_load import check_pickle
from sleap_lab.networks import PoseNetwork, build_network

WEIGHTS_NAME = "best.ckpt"
STORAGE_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
LARGEST = {
    **dict.fromkeys(("convs_per_block", "num_fc_layers", "window_size"), 64),
    **dict.fromkeys(("max_stride", "stem_stride", "depths"), 1024),
}
"""Largest values of the keys that decide how many layers a network has; of depths, their sum.

The table of a window grows with the fourth power of the window's side.
"""
INERT_LIBRARIES = {
    "collections", "datetime", "enum", "lightning", "lightning_fabric", "numpy", "omegaconf",
    "pathlib", "pytorch_lightning", "sleap_nn", "torch", "typing",
}  # fmt: skip
INERT_NAMES = {("operator", "getitem"), ("_operator", "getitem"), ("_codecs", "encode")}
PLAIN_BUILTINS = {
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long",
    "object", "range", "set", "slice", "str", "tuple", "type", "unicode",
}  # fmt: skip


class Inert:
    """Stand-in for an object of a checkpoint that is not needed; accepts every pickle operation."""

    def __new__(cls, *args: Any, **kwargs: Any) -> "Inert":
        """Accept any constructor call."""
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """Accept any call."""
        return self

    def __hash__(self) -> int:
        return id(self)

    def append(self, item: Any) -> None:
        """Accept a list item."""

    def extend(self, items: Any) -> None:
        """Accept list items."""

    def add(self, item: Any) -> None:
        """Accept a set item."""


def _rebuild_tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _rebuild_parameter(data: Tensor, *_: Any) -> Tensor:
    return data


KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
}


class WeightsUnpickler(pickle.Unpickler):
    """Unpickler that builds tensors and plain containers only."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        content = archive.read(f"{root}/data.pkl")
        check_pickle(content)
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.archive, self.root = archive, root
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name of the pickle.

        Raises:
            pickle.UnpicklingError: Weights do not need this name.
        """
        if known := KNOWN.get((module, name)):
            return known
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        plain = module in ("builtins", "__builtin__") and name in PLAIN_BUILTINS
        if plain or module.split(".")[0] in INERT_LIBRARIES or (module, name) in INERT_NAMES:
            return Inert
        raise pickle.UnpicklingError(
            f"it asks for {module}.{name}; refused, because only tensors and plain containers "
            "are read and nothing is run"
        )

    def persistent_load(self, pid: Any) -> Tensor:
        """Return the tensor storage that ("storage", dtype, key, location, numel) names."""
        _, dtype, key, _, numel = pid
        if key not in self.storages:
            entry = f"{self.root}/data/{key}"
            size = self.archive.getinfo(entry).file_size
            if not isinstance(dtype, torch.dtype) or size != numel * dtype.itemsize:
                raise pickle.UnpicklingError(
                    f"storage {key} holds {size} bytes, not {numel} numbers of {dtype}"
                )
            data = bytearray(self.archive.read(entry))
            self.storages[key] = (
                torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            )
        return self.storages[key]


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, names as in the network.

    Raises:
        RunError: The file is missing, broken, without weights, or asks for anything but weights.
    """
    path = Path(path)
    if not path.is_file():
        raise RunError(f"{path}: no such checkpoint")
    try:
        refuse_pointer(path)
        with zipfile.ZipFile(path) as archive:
            _refuse_expansion(archive, path.stat().st_size)
            root = next(
                (
                    name.removesuffix("/data.pkl")
                    for name in archive.namelist()
                    if name.endswith("/data.pkl")
                ),
                None,
            )
            if root is None:
                raise RunError(f"{path}: a zip file, but not a PyTorch checkpoint")
            content = WeightsUnpickler(archive, root).load()
    except RunError:
        raise
    except Exception as error:  # a broken zip or pickle can raise anything
        raise_interruption(error)
        raise RunError(f"{path}: not a readable checkpoint: {one_line(error)}") from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(value, Tensor) for value in state.values()
    ):
        raise RunError(f"{path}: holds no state_dict of tensors")
    return {str(name).removeprefix("model."): value for name, value in state.items()}


def _refuse_expansion(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse an archive whose members are larger than the file: PyTorch compresses nothing."""
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("it is compressed, which checkpoints are not")
    if (claimed := sum(member.file_size for member in members)) > size:
        raise ValueError(f"it says it holds {claimed} bytes in {size}")


def load_network(
    config: TrainingConfig,
    *,
    backbone_ckpt_path: str | None = None,
    head_ckpt_path: str | None = None,
) -> PoseNetwork:
    """Build the network of a model folder and fill it with its weights, in evaluation mode.

    Args:
        config: The folder's training config.
        backbone_ckpt_path: Checkpoint whose backbone weights replace those of `best.ckpt`.
        head_ckpt_path: Checkpoint whose head weights replace those of `best.ckpt`.

    Raises:
        RunError: A checkpoint is broken or its weights do not fit the network.
    """
    checkpoint = config.folder / (EXPORT_NAME if config.exported else WEIGHTS_NAME)
    exported = read_exported_weights(config) if config.exported else None
    state = {} if exported else read_state_dict(checkpoint)
    middle_channels = [
        value.shape[0]
        for name, value in (exported.arrays if exported else state).items()
        if name.endswith("middle_contract_conv0.weight") and value.ndim == 4
    ]
    # No memory for weights: the config alone does not prove that they are as large as it says.
    with network_errors(config.folder / CONFIG_NAME), torch.device("meta"):
        for section in ("backbone_config", "head_configs"):
            refuse_giants(config.raw["model_config"][section], f"model_config.{section}")
        network = build_network(
            config.raw, middle_channels=middle_channels[0] if middle_channels else None
        )
    if exported:
        state = complete(exported, network.state_dict(), checkpoint)
    _load_weights(network, state, checkpoint, strict=True)
    for path, part in ((backbone_ckpt_path, "backbone"), (head_ckpt_path, "head_layers")):
        if path is not None:
            other = {
                name: value
                for name, value in read_state_dict(path).items()
                if name.startswith(f"{part}.")
            }
            if not other.keys() & state.keys():
                raise RunError(f"{path}: holds no {part} weights of the network in {config.folder}")
            _load_weights(network, other, Path(path), strict=False)
    return network.eval()


def refuse_giants(section: Any, where: str) -> None:
    """Refuse a section of a training config that asks for more layers than any network has.

    This runs before the layers are made.

    Raises:
        RunError: A value is too large; the key is named.
    """
    for key, value in section.items() if isinstance(section, Mapping) else ():
        numbers = [
            number
            for number in (value if isinstance(value, list) else [value])
            if isinstance(number, (int, float))
        ]
        if key in LARGEST and sum(numbers) > LARGEST[key]:
            raise RunError(f"{where}.{key}: got {brief(value)}; accepted: at most {LARGEST[key]}")
        refuse_giants(value, f"{where}.{key}")


SIZE_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of layers that are to have impossible sizes."""


@contextmanager
def network_errors(file: Path, section: str = "model_config") -> Iterator[None]:
    """Add the name of the training config to errors of building its network.

    Raises:
        RunError: The network cannot be built.
    """
    try:
        yield
    except RunError as error:
        raise RunError(f"{file}: {error}") from error
    except SIZE_ERRORS as error:
        raise RunError(
            f"{file}: {section} does not describe a network ({one_line(error)})"
        ) from error


def _load_weights(
    network: PoseNetwork, state: dict[str, Tensor], path: Path, *, strict: bool
) -> None:
    """Put weights into a network.

    Args:
        network: The network; its weights may have no memory yet.
        state: Weights by name.
        path: File of the weights, for errors.
        strict: Refuse weights that are missing or unknown; otherwise only those of `state` that the
            network has are replaced.

    Raises:
        RunError: Weights do not fit the network.
    """
    expected = network.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    if strict and (missing or unexpected):
        what = "; ".join(
            f"{word} {_first(names)}"
            for word, names in (("lacks", missing), ("has unknown", unexpected))
            if names
        )
        raise RunError(f"{path}: weights do not fit the network of training_config.yaml: {what}")
    for name in sorted(expected.keys() & state.keys()):
        if state[name].shape != expected[name].shape:
            raise RunError(
                f"{path}: {name} has shape {tuple(state[name].shape)}, "
                f"the network needs {tuple(expected[name].shape)}"
            )
        # A stride of 0 repeats a number any number of times.
        if state[name].untyped_storage().nbytes() < state[name].nbytes:
            raise RunError(
                f"{path}: {name} has shape {tuple(state[name].shape)}, but holds fewer numbers"
            )
    weights = {
        name: state[name].to(value.dtype).contiguous()
        for name, value in expected.items()
        if name in state
    }
    for name, constant in network.named_buffers():
        if name in weights and not torch.equal(weights[name], constant):
            raise RunError(
                f"{path}: {name} is a fixed table of the network, but holds other numbers"
            )
    network.load_state_dict(weights, strict=False, assign=True)


def _first(names: set[str]) -> str:
    return min(names) if len(names) == 1 else f"{min(names)} and {len(names) - 1} more"
