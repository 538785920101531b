"""Runs as files for other machines; hostile archives write nothing."""

import io
import tarfile

import pytest
import zstandard

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.runs import summary
from sleap_lab.runs.archive import export_run, import_run


@pytest.fixture
def packed(root, logger, make_run, tmp_path):
    """A run, and its archive."""
    folder = make_run(root / "2026-01-02" / "03-04", logger)
    (folder / "figures").mkdir(exist_ok=True)
    (folder / "figures" / "ü.png").write_bytes(b"\x00" * 5000)
    (folder / "run.lock").touch()
    (folder / "out").symlink_to("/etc/passwd")
    file = tmp_path / "run.tar.zst"
    export_run(folder, file, outputs_root=root)
    return folder, file


def test_an_archive_is_the_run_at_its_place_on_another_machine(packed, tmp_path):
    folder, file = packed
    arrived = import_run(file, outputs_root=tmp_path / "elsewhere")
    assert arrived == tmp_path / "elsewhere" / "2026-01-02" / "03-04"
    here, there = (
        {path.relative_to(each): path.read_bytes() for path in each.rglob("*") if path.is_file()}
        for each in (folder, arrived)
    )
    left_out = {path for path in here if path.name in ("run.lock", "out")}
    assert there == {path: content for path, content in here.items() if path not in left_out}
    assert summary.read(arrived).status == "finished"
    with pytest.raises(ConfigError, match="is there already"):
        import_run(file, outputs_root=tmp_path / "elsewhere")


def test_the_same_run_gives_the_same_file(packed, root, tmp_path):
    folder, file = packed
    export_run(folder, tmp_path / "again.tar.zst", outputs_root=root)
    assert (tmp_path / "again.tar.zst").read_bytes() == file.read_bytes()


def test_where_an_archive_may_not_be_written(packed, root, tmp_path):
    folder, file = packed
    for place, told in (
        (tmp_path / "run.zip", "must end in .tar.zst"),
        (file, "exists"),
        (folder / "own.tar.zst", "lies in the run itself"),
    ):
        with pytest.raises(ConfigError, match=told):
            export_run(folder, place, outputs_root=root)


def archive(path, *entries):
    """Write an archive of (name, content) or of finished entries."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                tar.addfile(entry)
                continue
            name, content = entry
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.write_bytes(zstandard.compress(buffer.getvalue()))
    return path


def special(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


RUN = ("a/run.json", b"{}")


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([RUN, ("../evil", b"x")], "lies outside the run"),
        ([RUN, ("/tmp/evil", b"x")], "lies outside the run"),
        ([RUN, ("a/../../evil", b"x")], "lies outside the run"),
        ([RUN, ("a/b\\..\\evil", b"x")], "lies outside the run"),
        ([RUN, ("C:/evil", b"x")], "lies outside the run"),
        ([RUN, ("b/evil", b"x")], "lies outside the run"),
        ([RUN, special("a/link", tarfile.SYMTYPE, "/etc/passwd")], "is a link or device"),
        ([RUN, special("a/hard", tarfile.LNKTYPE, "a/run.json")], "is a link or device"),
        ([RUN, special("a/pipe", tarfile.FIFOTYPE)], "is a link or device"),
        ([("a/other.json", b"{}")], "holds no run"),
        ([("run.json", b"{}")], "holds no run"),
        ([(".ssh/run.json", b"{}")], "hidden folder"),
        ([RUN, RUN], "cannot be unpacked"),
    ],
)
def test_an_archive_with_anything_else_writes_nothing(tmp_path, entries, told):
    outputs = tmp_path / "outputs"
    with pytest.raises(RunError, match=told):
        import_run(archive(tmp_path / "x.tar.zst", *entries), outputs_root=outputs)
    assert list(outputs.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs", "x.tar.zst"]


def test_a_file_that_is_no_archive_is_told(tmp_path, packed):
    _, file = packed
    (tmp_path / "no.tar.zst").write_bytes(b"nothing of the kind")
    (tmp_path / "half.tar.zst").write_bytes(file.read_bytes()[:-40])
    for name in ("no.tar.zst", "half.tar.zst"):
        with pytest.raises(RunError, match=name):
            import_run(tmp_path / name, outputs_root=tmp_path / "outputs")
    with pytest.raises(ConfigError, match="no such file"):
        import_run(tmp_path / "missing.tar.zst", outputs_root=tmp_path / "outputs")
