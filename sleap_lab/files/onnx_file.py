"""The arrays of an ONNX file; nothing else in it is used, and nothing is run.

An ONNX file is a message of protocol buffers. Of its fields, those named here are read
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3). Arrays may lie in a second file, which
must lie in the same folder.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

PACKAGE = "sleap_lab.onnx"
TEXT, WHOLE, NUMBER, BYTES = (
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    descriptor_pb2.FieldDescriptorProto.TYPE_FLOAT,
    descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
)
MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {
    "Model": {"graph": (7, "Graph", False)},
    "Graph": {"node": (1, "Node", True), "initializer": (5, "Tensor", True)},
    "Node": {
        "input": (1, TEXT, True),
        "output": (2, TEXT, True),
        "name": (3, TEXT, False),
        "op_type": (4, TEXT, False),
    },
    "Tensor": {
        "dims": (1, WHOLE, True),
        "data_type": (2, WHOLE, False),
        "float_data": (4, NUMBER, True),
        "name": (8, TEXT, False),
        "raw_data": (9, BYTES, False),
        "external_data": (13, "Entry", True),
        "data_location": (14, WHOLE, False),
    },
    "Entry": {"key": (1, TEXT, False), "value": (2, TEXT, False)},
}
"""Message -> field -> its number, its type, and whether it is repeated."""
DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 10: np.dtype("<f2"), 11: np.dtype("<f8")}
"""Number of a type of an array -> the type; others hold no weights and are left out."""
EXTERNAL = 1


class OnnxArrays(NamedTuple):
    """What is read of an ONNX file.

    Attributes:
        arrays: Arrays of fractions by name; equal ones may be one array under several names.
        uses: Names of nodes of the graph and of the arrays that they take, in order.
    """

    arrays: Mapping[str, np.ndarray]
    uses: Sequence[tuple[str, str]]


def read_onnx(path: Path) -> OnnxArrays:
    """Read the arrays of an ONNX file.

    Raises:
        OSError: A file cannot be read.
        ValueError: It is no ONNX file, an array is not as large as it says, or one lies outside the
            folder of the file.
    """
    model = _model_class()()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError("it is no ONNX file") from error
    graph = model.graph
    if not len(graph.initializer):
        raise ValueError("it holds no weights")
    arrays = {
        tensor.name: _array(tensor, path)
        for tensor in graph.initializer
        if tensor.data_type in DTYPES
    }
    for node in graph.node:
        if node.op_type == "Identity" and node.input[:1] and node.input[0] in arrays:
            arrays |= dict.fromkeys(node.output, arrays[node.input[0]])
    uses = [(node.name, name) for node in graph.node for name in node.input if name in arrays]
    return OnnxArrays(arrays, uses)


@cache
def _model_class() -> Any:
    """Return the class of the outermost message."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name=f"{PACKAGE}.proto", package=PACKAGE)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind, repeated) in fields.items():
            label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            added = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.Model"))


def _array(tensor: Any, path: Path) -> np.ndarray:
    """Return the values of an array."""
    dtype, shape = DTYPES[tensor.data_type], tuple(tensor.dims)
    if tensor.data_location == EXTERNAL:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        content = _outside(entries, path, prod(shape) * dtype.itemsize)
    else:
        content = tensor.raw_data
    values = (
        np.array(tensor.float_data, dtype=np.float32)
        if not content and len(tensor.float_data)
        else np.frombuffer(content, dtype=dtype)
    )
    if min(shape, default=1) < 0 or values.size != prod(shape):
        raise ValueError(f"its array {tensor.name} of {shape} holds {values.size} numbers")
    return values.reshape(shape).astype(np.float32)


def _outside(entries: Mapping[str, str], path: Path, size: int) -> bytes:
    """Return bytes of a second file, which must lie beside the first under a plain name."""
    location = entries.get("location", "")
    other = path.parent / location
    if Path(location).name != location or other.resolve().parent != path.parent.resolve():
        raise ValueError(f"it names the file {location!r}, which does not lie beside it")
    offset = int(entries.get("offset", 0))
    if offset < 0 or size < 0 or offset + size > other.stat().st_size:
        raise ValueError(f"it names bytes that {location} does not hold")
    with open(other, "rb") as file:
        file.seek(offset)
        return file.read(size)
