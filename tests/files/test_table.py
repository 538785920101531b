import pytest

from sleap_lab.errors import RunError
from sleap_lab.files.table import write_table


def test_what_is_unknown_is_an_empty_cell(tmp_path):
    rows = [("a,b", 1, 0.5), (None, float("nan"), 0), ("\udcff", True, "")]
    write_table(tmp_path / "new" / "t.csv", ("x", "y", "z"), rows)
    assert (tmp_path / "new" / "t.csv").read_bytes() == (
        b'x,y,z\r\n"a,b",1,0.5\r\n,,0\r\n\\udcff,True,\r\n'
    )


def test_a_table_that_fails_leaves_the_old_one(tmp_path):
    def rows():
        yield (1,)
        raise OSError(28, "No space left on device")

    write_table(tmp_path / "t.csv", ("x",), [(0,)])
    with pytest.raises(RunError, match=r"t\.csv: cannot be written"):
        write_table(tmp_path / "t.csv", ("x",), rows())
    assert (tmp_path / "t.csv").read_text() == "x\n0\n"
    assert [file.name for file in tmp_path.iterdir()] == ["t.csv"]
