import pytest

from sleap_lab.atomic import replacing
from sleap_lab.errors import RunError


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
    with pytest.raises(RunError, match=r"b\.txt: cannot be written"), replacing(tmp_path / "file" / "b.txt") as temporary:
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
