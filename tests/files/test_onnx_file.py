import numpy as np
import pytest

from sleap_lab.files.onnx_file import _model_class, read_onnx


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an ONNX file: tensors by name, and (node, type, in, out)."""

    def write(tensors, nodes=()):
        model = _model_class()()
        for name, fields in tensors.items():
            model.graph.initializer.add(name=name, **fields)
        for name, kind, taken, given in nodes:
            model.graph.node.add(name=name, op_type=kind, input=taken, output=given)
        path = tmp_path / "folder" / "model.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(model.SerializeToString())
        return path

    return write


def raw(values, dtype="<f4", number=1):
    array = np.asarray(values, dtype=dtype)
    return {"dims": array.shape, "data_type": number, "raw_data": array.tobytes()}


def outside(location, offset=0):
    return {
        "dims": [2],
        "data_type": 1,
        "data_location": 1,
        "external_data": [
            {"key": "location", "value": location},
            {"key": "offset", "value": str(offset)},
        ],
    }


def test_arrays_are_read_in_all_their_forms(write):
    path = write(
        {
            "raw": raw([[1, 2], [3, 4]]),
            "half": raw([0.5], "<f2", 10),
            "double": raw([0.25], "<f8", 11),
            "listed": {"dims": [2], "data_type": 1, "float_data": [5, 6]},
            "whole": raw([7], "<i8", 7),
        }
    )
    arrays = read_onnx(path).arrays
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "raw": [[1, 2], [3, 4]],
        "half": [0.5],
        "double": [0.25],
        "listed": [5, 6],
    }
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}


def test_nodes_tell_what_they_take_and_which_arrays_have_two_names(write):
    nodes = [("", "Identity", ["a"], ["b"]), ("/m/Add", "Add", ["x", "b"], ["y"])]
    read = read_onnx(write({"a": raw([1.0])}, nodes))
    assert read.arrays["b"].tolist() == [1]
    assert read.uses == [("", "a"), ("/m/Add", "b")]


def test_arrays_in_a_file_beside_it_are_read(write):
    path = write({"a": outside("model.onnx.data", 4)})
    (path.parent / "model.onnx.data").write_bytes(np.arange(3, dtype="<f4").tobytes())
    assert read_onnx(path).arrays["a"].tolist() == [1, 2]


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "", "..", "sub/file", "link"])
def test_no_file_elsewhere_is_read(write, location, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(8))
    path = write({"a": outside(location)})
    (path.parent / "sub").mkdir()
    (path.parent / "sub" / "file").write_bytes(bytes(8))
    (path.parent / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="does not lie beside it"):
        read_onnx(path)


@pytest.mark.parametrize("offset", [-4, 1, 2**62])
def test_bytes_that_the_file_beside_it_does_not_hold_are_refused(write, offset):
    path = write({"a": outside("data", offset)})
    (path.parent / "data").write_bytes(bytes(8))
    with pytest.raises(ValueError, match="bytes that data does not hold"):
        read_onnx(path)


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"dims": [3], "data_type": 1, "raw_data": bytes(8)}, r"a of \(3,\) holds 2 numbers"),
        ({"dims": [-1], "data_type": 1, "raw_data": bytes(8)}, r"a of \(-1,\) holds 2 numbers"),
        ({"dims": [2**40, 2**40], "data_type": 1}, "holds 0 numbers"),
        ({"dims": [1], "data_type": 1, "raw_data": bytes(3)}, "buffer size"),
    ],
)
def test_arrays_of_another_size_are_refused(write, tensor, message):
    with pytest.raises(ValueError, match=message):
        read_onnx(write({"a": tensor}))


@pytest.mark.parametrize("content", [b"\xff" * 20, b"", b"\x3a\x00"])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"no ONNX file|holds no weights"):
        read_onnx(path)
