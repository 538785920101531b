"""A file says whether a run wrote it, whether it has changed, and which frames it covers."""

import json
import os
import threading
import zipfile

import h5py
import numpy as np
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.files import earlier
from sleap_lab.files.earlier import (
    Kind,
    contents,
    keep,
    refuse_others,
    replacing_earlier,
    what_is,
)

HERE, THERE = "1" * 32, "2" * 32  # digests of frames


def hdf5(path, value=0):
    with h5py.File(path, "w") as file:
        file["poses"] = np.full(3, value)


def archive(path, value=0):
    np.savez(path, poses=np.full(3, value))


def table(path, value=0):
    path.write_text(f"track,frame_idx,instance.score\n,{value},1\n")


def put(path, write, frames=HERE, value=0):
    notes = []
    with replacing_earlier(path, frames, notes) as temporary:
        write(temporary, value)
    return notes


@pytest.mark.parametrize(("write", "suffix"), [(hdf5, ".h5"), (archive, ".npz")])
def test_a_result_is_known_and_every_change_of_it_too(tmp_path, write, suffix):
    path = tmp_path / f"a{suffix}"
    assert what_is(path) is Kind.NOTHING
    assert put(path, write) == []
    assert what_is(path) is Kind.OWN
    if write is hdf5:
        with h5py.File(path) as file:
            assert file["poses"][:].tolist() == [0, 0, 0]
    else:
        assert np.load(path)["poses"].tolist() == [0, 0, 0]
        assert zipfile.ZipFile(path).testzip() is None
    content = path.read_bytes()
    for place in (0, len(content) // 2, len(content) - 1):
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(bytes(changed))
        assert what_is(path) is Kind.OTHER, place
    path.write_bytes(content + b"x")
    assert what_is(path) is Kind.OTHER


def test_equal_results_are_equal_files(tmp_path):
    for name in ("a.h5", "b.h5"):
        put(tmp_path / name, hdf5)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize(
    ("write", "frames", "value", "kept"),
    [
        (hdf5, HERE, 1, False),
        (hdf5, THERE, 1, True),
        (archive, HERE, 1, False),
        (archive, THERE, 1, True),
        (table, HERE, 0, False),  # the same bytes
        (table, HERE, 1, True),  # a table has no mark
    ],
)
def test_only_the_same_frames_are_replaced(tmp_path, write, frames, value, kept):
    path = tmp_path / "a.npz"
    put(path, write)
    before = path.read_bytes()
    notes = put(path, write, frames, value)
    assert len(notes) == kept
    assert (tmp_path / "a.npz.bak").exists() == kept
    if kept:
        assert (tmp_path / "a.npz.bak").read_bytes() == before
    assert put(path, write, frames, value) == []


def test_what_appears_while_a_run_goes_on_is_kept(tmp_path):
    path, notes = tmp_path / "a.h5", []
    with replacing_earlier(path, HERE, notes) as temporary:
        hdf5(temporary)
        path.write_text("made meanwhile")
    assert (tmp_path / "a.h5.bak").read_text() == "made meanwhile"
    assert notes == [f"{path} held 14 bytes, and other frames or poses: it is kept as a.h5.bak."]


def test_of_writers_at_the_same_time_none_replaces_what_it_has_not_seen(tmp_path, monkeypatch):
    path = tmp_path / "file.slp"
    judge = earlier._makes_room
    other = threading.Thread(target=put, args=(path, hdf5, THERE, 2))

    def judged_too_early(*arguments):
        if threading.current_thread() is other:
            return judge(*arguments)
        answer = judge(*arguments)
        other.start()
        other.join(timeout=0.3)  # it ends within this time if nothing keeps it waiting
        return answer

    monkeypatch.setattr(earlier, "_makes_room", judged_too_early)
    put(path, hdf5, HERE, 1)
    other.join()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file.slp", "file.slp.bak"]
    with h5py.File(path) as last, h5py.File(f"{path}.bak") as first:
        assert (first["poses"][0], last["poses"][0]) == (1, 2)


def test_a_write_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "a.h5"
    put(path, hdf5)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="no"), replacing_earlier(path, THERE, []):
        raise ValueError("no")
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_bytes() == before


def test_names_of_kept_files_are_free(tmp_path, monkeypatch):
    def give_up(*_, **__):
        raise OSError("no links here")

    for number in range(4):
        if number == 2:
            monkeypatch.setattr(earlier.os, "link", give_up)
        (tmp_path / "a").write_text(str(number))
        keep(tmp_path / "a")
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"a.bak": "0", "a.bak2": "1", "a.bak3": "2", "a.bak4": "3"}


def test_labels_of_ours_without_a_mark_may_have_changed(tmp_path):
    def labels(path, generator, kinds):
        with h5py.File(path, "w") as file:
            file["instances"] = np.array([(kind,) for kind in kinds], [("instance_type", "u1")])
            file["frames"] = np.arange(2)
            file.create_group("metadata").attrs["json"] = json.dumps(
                {"provenance": {"generator": generator}}
            )
        return what_is(path)

    assert labels(tmp_path / "a.slp", "sleap_lab", [1, 1]) is Kind.LIKELY
    assert contents(tmp_path / "a.slp") == "2 predicted instances in 2 frames"
    assert labels(tmp_path / "b.slp", "sleap_lab", [1, 0]) is Kind.OTHER
    assert labels(tmp_path / "c.slp", "another", [1, 1]) is Kind.OTHER
    with pytest.raises(ConfigError, match="holds 1 user-labelled instance, 1 predicted instance"):
        refuse_others("output.path", [tmp_path / "b.slp"])


def test_inputs_are_refused_by_any_name(tmp_path):
    read = tmp_path / "a.h5"
    put(read, hdf5)
    os.link(read, tmp_path / "hard")
    (tmp_path / "soft").symlink_to(read)
    for name in ("a.h5", "hard", "soft"):
        with pytest.raises(ConfigError, match=f"{name} is the file that data.path reads"):
            refuse_others("output.path", [tmp_path / name], [("data.path", read)])
    refuse_others("output.path", [read, tmp_path / "new.h5"])
