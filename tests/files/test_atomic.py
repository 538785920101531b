import sys
from types import SimpleNamespace

import pytest

from sleap_lab.errors import RunError
from sleap_lab.files.atomic import hdf5_errors, replacing


def test_the_file_appears_whole_in_a_new_folder(tmp_path):
    with replacing(tmp_path / "a" / "b.txt") as temporary:
        temporary.write_text("all")
        assert not (tmp_path / "a" / "b.txt").exists()
        assert temporary.suffix == ".txt"
    assert (tmp_path / "a" / "b.txt").read_text() == "all"
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["b.txt"]


def fail(path, error):
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_goes_wrong_leaves_the_old_file(tmp_path, error):
    (tmp_path / "b.txt").write_text("old")
    with pytest.raises(type(error)):
        fail(tmp_path / "b.txt", error)
    assert (tmp_path / "b.txt").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["b.txt"]


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match=r"b\.txt: cannot be written"),
        replacing(tmp_path / "file" / "b.txt") as temporary,
    ):
        temporary.write_text("x")


def test_permissions_are_those_of_new_files(tmp_path):
    (tmp_path / "plain").touch()
    with replacing(tmp_path / "b.txt") as temporary:
        temporary.touch()
    assert (tmp_path / "b.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_that_write_the_same_file_do_not_meet(tmp_path):
    with replacing(tmp_path / "b.txt") as first, replacing(tmp_path / "b.txt") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "b.txt").read_text() == "first"  # the last to end, and whole
    assert [file.name for file in tmp_path.iterdir()] == ["b.txt"]


FULL = (
    "Can't do it (file write failed: time = now\n, errno = 28, "
    "error message = 'No space left on device', buf = 0x0)"
)


def print_error(error, where):
    """Do what a library does with an error that it cannot raise."""
    try:
        raise error
    except Exception as raised:
        sys.excepthook(type(raised), raised, raised.__traceback__)
        sys.unraisablehook(
            SimpleNamespace(
                exc_type=type(raised),
                exc_value=raised,
                exc_traceback=None,
                err_msg=None,
                object=where,
            )
        )


def lose(path):
    with replacing(path) as temporary, hdf5_errors():
        temporary.write_text("half")
        print_error(RuntimeError(FULL), "h5py._objects.ObjectID.__dealloc__")


def test_errors_that_hdf5_only_prints_are_raised(tmp_path, capsys):
    hooks = sys.unraisablehook, sys.excepthook
    (tmp_path / "b.h5").write_text("old")
    with pytest.raises(RunError, match=r"b\.h5: cannot be written \(No space left on device\)"):
        lose(tmp_path / "b.h5")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("b.h5", "old")]
    assert (sys.unraisablehook, sys.excepthook) == hooks
    assert capsys.readouterr().err == ""


def test_errors_that_hdf5_raises_say_what_the_system_says():
    with pytest.raises(OSError, match=r"^No space left on device$"), hdf5_errors():
        raise RuntimeError(FULL)
    with pytest.raises(RuntimeError, match="something else"), hdf5_errors():
        raise RuntimeError("something else")


def test_what_others_cannot_raise_goes_where_it_went(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    with hdf5_errors():
        print_error(ValueError("of another"), "another.__del__")
    assert [str(found.exc_value) for found in seen] == ["of another"]
