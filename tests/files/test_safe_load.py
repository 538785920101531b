import io
import json
import pickle
import struct
import zipfile
import zlib
from contextlib import suppress

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from sleap_lab.files import safe_load
from sleap_lab.files.safe_load import (
    check_dataset,
    check_hdf5,
    check_pickle,
    read_arrays,
    read_json,
    read_own_yaml,
    read_yaml,
)


def yaml_of(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---- JSON


def test_json_is_read(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, 2.5, "ü", null]}', encoding="utf-8")
    assert read_json(tmp_path / "a.json") == {"a": [1, 2.5, "ü", None]}


@pytest.mark.parametrize(
    "text", [b"{", b"", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5000]
)
def test_what_is_no_json_is_a_value_error(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"."):
        read_json(tmp_path / "a.json")


def test_a_file_may_be_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_load, "MAX_TEXT", 100)
    (tmp_path / "a.json").write_text(json.dumps("x" * 98))
    assert len(read_json(tmp_path / "a.json")) == 98
    (tmp_path / "a.json").write_text(json.dumps("x" * 99))
    with pytest.raises(ValueError, match="it is larger than 0 MB"):
        read_json(tmp_path / "a.json")


# ---- YAML


def test_yaml_is_read(tmp_path):
    text = "a: &x [1, 2.5, null]\nb: *x\nc: {<<: {d: 1}, e: yes}\nf: 2026-01-01\n"
    content = read_yaml(yaml_of(tmp_path, text))
    assert content["a"] == content["b"] == [1, 2.5, None]
    assert content["c"] == {"d": 1, "e": True}
    assert read_yaml(yaml_of(tmp_path, "")) is None


def doubled(first, line):
    """References to references, each of which writes out ten of the one before."""
    return f"k0: &k0 {first}\n" + "".join(
        f"k{i}: &k{i} {line.format(','.join([f'*k{i - 1}'] * 10))}\n" for i in range(1, 10)
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [ls]",
        "!!python/name:os.system",
        doubled("[x, x]", "[{}]"),
        doubled("{a: 1}", "{{<<: [{}]}}"),
        "&a [*a]",
        "&a {b: *a}",
        "[" * 3000,
        "{a: " * 3000,
        "- " * 3000 + "1",
        "a: *nowhere",
        "a: 2026-99-99",
        "? [a, b]\n: c",
        "!!timestamp 1",
        "a: 1\n---\nb: 2",
        "\x00",
        b"\xff\xfe",
        "a: [1, 2",
        "[" + "a," * (safe_load.MAX_YAML_NODES + 1) + "]",
    ],
    ids=range(18),
)
def test_what_is_no_plain_yaml_is_a_value_error(tmp_path, monkeypatch, text):
    # With the real limit, building one file of too many nodes would take seconds.
    monkeypatch.setattr(safe_load, "MAX_YAML_NODES", 5000)
    with pytest.raises(ValueError, match=r".") as caught:
        read_yaml(yaml_of(tmp_path, text))
    assert type(caught.value) is ValueError or isinstance(caught.value, UnicodeDecodeError)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab:-[]{}&*<!|>'\"#?,\n 0.", max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with suppress(ValueError):
        read_yaml(path)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.recursive(PLAIN, lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_own_files_are_read_as_any_other(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "own.yaml"
    path.write_bytes(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
    assert read_own_yaml(path) == read_yaml(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 3000,
        "- " * 3000 + "1",
        "a: " + "[" * 60 + "]" * 60,
        "a: &x [1]\nb: *x",
        "&a [*a]",
        "a: 2026-99-99",
        "a: [1, 2",
        "a: 1\n---\nb: 2",
        "!!python/name:os.system",
        "",
    ],
    ids=range(10),
)
def test_a_changed_own_file_is_read_or_refused_as_any_other(tmp_path, text):
    def outcome(read):
        try:
            return read(yaml_of(tmp_path, text))
        except ValueError as error:
            return str(error)

    assert outcome(read_own_yaml) == outcome(read_yaml)


# ---- arrays


def saved(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    file.seek(0)
    return file


@given(
    arrays_of.arrays(
        st.sampled_from(["f8", "f4", "i8", "u1", "?", "<U3", "S2", "c16", ">i2"]),
        arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.booleans(),
)
def test_arrays_come_back(array, fortran):
    array = np.asfortranarray(array) if fortran else array
    (found,) = read_arrays(saved(x=array)).values()
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


def npz(header, data=b"", *, version=(1, 0), name="x.npy", compress=zipfile.ZIP_STORED):
    """Write an `.npz` file whose header says what it likes."""
    text = header if isinstance(header, bytes) else repr(header).encode()
    magic = (
        b"\x93NUMPY"
        + bytes(version)
        + (struct.pack("<H", len(text)) if version[0] == 1 else struct.pack("<I", len(text)))
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive:
        archive.writestr(name, magic + text + data)
    file.seek(0)
    return file


def header(shape=(3,), descr="<f8", fortran_order=False):
    return {"descr": descr, "fortran_order": fortran_order, "shape": shape}


def test_a_true_header_is_believed():
    assert read_arrays(npz(header(), bytes(24)))["x"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (
            npz(header((10**12,)), bytes(24)),
            r"it says it has the shape \(1000000000000,\), but holds 24 bytes",
        ),
        (npz(header((2**40, 2**40)), bytes(24)), "but holds 24 bytes"),
        (npz(header((-1,)), bytes(24)), "but holds 24 bytes"),
        (npz(header((-1, -3)), bytes(24)), "but holds 24 bytes"),
        (npz(header((10**12,), "<U0")), "but holds 0 bytes"),
        (npz(header((10**12,), "V0")), "but holds 0 bytes"),
        (npz(header((4,)), bytes(24)), "but holds 24 bytes"),
        (npz(header(descr="|O"), bytes(24)), "it holds objects, which are not read"),
        (npz(header(descr=[("a", "|O")]), bytes(24)), "it holds objects, which are not read"),
        (npz(b"(" * 3000), "no readable header"),
        (npz(b"__import__('os').system('ls')"), "no readable header"),
        (npz(b"{}"), "no readable header"),
        (npz(b"7"), "no readable header"),
        (npz(b" " * 20_000), "no readable header"),
        (npz(header(shape=(3.5,))), "no readable header .*shape"),
        (npz(header(descr="nonsense")), "no readable header .*descr"),
        (npz(header(), version=(3, 0)), r"arrays of version \(3, 0\) are not read"),
        (npz(header(), version=(9, 9)), "version"),
    ],
    ids=range(18),
)
def test_a_lying_header_is_refused(file, says):
    with pytest.raises(ValueError, match=says):
        read_arrays(file)


def test_files_that_are_no_archive_are_refused(tmp_path):
    for content in (b"", b"text", b"PK\x03\x04"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(zipfile.BadZipFile):
            read_arrays(tmp_path / "a.npz")


def test_more_than_half_of_the_memory_is_refused(monkeypatch):
    file = saved(x=np.zeros(1000), y=np.zeros(1000))
    monkeypatch.setattr(safe_load, "memory_limit", lambda: 16_000)
    with pytest.raises(ValueError, match="half of this machine's memory or more"):
        read_arrays(file)  # the headers take a little, too
    monkeypatch.setattr(safe_load, "memory_limit", lambda: 17_000)
    assert set(read_arrays(file)) == {"x", "y"}


def test_a_stream_is_not_read_beyond_the_size_it_claims():
    content = npz(header((1000,)), bytes(8000), compress=zipfile.ZIP_DEFLATED).getvalue()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.infolist()[0].file_size
    # Before the member and in the directory.
    assert content.count(struct.pack("<I", size)) == 2
    with pytest.raises((ValueError, zipfile.BadZipFile)):
        read_arrays(io.BytesIO(content.replace(struct.pack("<I", size), struct.pack("<I", 100))))


def test_names_of_members_are_names_and_no_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert list(read_arrays(npz(header(), bytes(24), name="../../x.npy"))) == ["../../x"]
    assert list(tmp_path.iterdir()) == []


def test_memory_is_known():
    assert safe_load.memory_limit() > 10**8


# ---- pickles


@pytest.mark.parametrize("protocol", range(2, 6))
def test_honest_pickles_pass(protocol):
    check_pickle(
        pickle.dumps({"a": [1, "x" * 300, (2.5, None)] * 20, "b": list(range(300))}, protocol)
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02]r\xff\xff\xff\x7f.",  # LONG_BINPUT 2147483647: a table of 16 GB
        b"]p999999999\n.",  # PUT 999999999
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\x00\x00\x00x.",  # BINBYTES8 of a terabyte
        b"\x80\x02X\xff\xff\xff\x7fx.",  # BINUNICODE of 2 GB
        b"\x80\x02]",  # without an end
        b"",
        b"\xff",
    ],
)
def test_lying_pickles_are_refused(content):
    with pytest.raises(ValueError, match=r"."):
        check_pickle(content)


# ---- HDF5


@pytest.fixture
def hdf5(tmp_path):
    """Return a function that makes an HDF5 file by calling another with it."""

    def make(fill):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            fill(file)
        return tmp_path / "a.h5"

    return make


def linked(link):
    def fill(file):
        file["inner/x"] = np.arange(3)
        file["inner/y"] = link

    return fill


def test_honest_files_pass(hdf5):
    def fill(file):
        file["a/x"] = np.arange(1000)
        file["a/same"] = file["a/x"]
        file["a/circle"] = file["a"]
        file.create_dataset("text", data=[b"x" * 100], dtype=h5py.string_dtype())
        file.create_dataset("packed", data=np.zeros((100, 100)), compression="gzip")
        file.create_dataset("empty", shape=(0, 7), dtype="f8")
        file.create_dataset("none", data=h5py.Empty("f8"), dtype="f8")

    check_hdf5(hdf5(fill))


@pytest.mark.parametrize(
    "link",
    [h5py.SoftLink("/inner/x"), h5py.SoftLink("/nowhere"), h5py.ExternalLink("other.h5", "/x")],
)
def test_links_are_refused(hdf5, link):
    with pytest.raises(
        ValueError, match=r"^/inner/y is a link; refused, because only the file itself is read$"
    ):
        check_hdf5(hdf5(linked(link)))


def test_numbers_of_other_files_are_refused(hdf5, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(100)))
    path = hdf5(
        lambda file: file.create_dataset(
            "x", (100,), "u1", external=[(str(tmp_path / "secret"), 0, 100)]
        )
    )
    with pytest.raises(ValueError, match=r"^/x is stored in other files"):
        check_hdf5(path)
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3,))
    with pytest.raises(ValueError, match=r"^/v is stored in other files"):
        check_hdf5(hdf5(lambda file: file.create_virtual_dataset("v", layout)))


@pytest.mark.parametrize("options", [{}, {"chunks": True, "compression": "gzip"}])
@pytest.mark.parametrize("shape", [(10**9,), (10**4, 10**4, 10**4, 10**4)])
@pytest.mark.parametrize("images", [False, True])
def test_shapes_without_numbers_are_refused(hdf5, options, shape, images):
    with pytest.raises(ValueError, match=r"^/x has the shape \(1.*\), but only 0 bytes$"):
        check_hdf5(
            hdf5(lambda file: file.create_dataset("x", shape, "f4", **options)), images=images
        )


def test_well_packed_arrays_may_be_too_large_together(hdf5, monkeypatch):
    def fill(file):
        for i in range(20):
            file.create_dataset(str(i), data=np.zeros(10**5, "u1"), compression="gzip")

    path = hdf5(fill)
    check_hdf5(path)  # 2 MB are nothing
    monkeypatch.setattr(safe_load, "HDF5_FREE", 10**5)
    monkeypatch.setattr(safe_load, "HDF5_RATIO", 20)
    with pytest.raises(ValueError, match=r"it says it holds 0.002 GB in [0-9]+ bytes"):
        check_hdf5(path)


def test_videos_are_read_frame_by_frame_and_may_be_larger(hdf5, monkeypatch):
    monkeypatch.setattr(safe_load, "HDF5_FREE", 0)
    monkeypatch.setattr(safe_load, "HDF5_RATIO", 1)
    path = hdf5(
        lambda file: file.create_dataset(
            "video0/x", data=np.zeros((50, 20, 20, 1), "u1"), compression="gzip"
        )
    )
    check_hdf5(path, images=True)
    with pytest.raises(ValueError, match="it says it holds"):
        check_hdf5(path)


def test_a_dataset_alone_is_checked_too(hdf5):
    with (
        h5py.File(hdf5(lambda file: file.create_dataset("x", (10**9, 4, 4, 1), "u1"))) as file,
        pytest.raises(ValueError, match="only 0 bytes"),
    ):
        check_dataset(file["x"])


def test_what_is_no_hdf5_is_an_os_error(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + zlib.compress(bytes(1000)))
    with pytest.raises(OSError, match=r"."):
        check_hdf5(tmp_path / "a.h5")
