import errno
import os
import subprocess
import sys

import sleap_io as sio

from sleap_lab.demo.__main__ import main


def copy(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "sleap_lab.demo", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_copy_has_the_names_of_the_documentation(tmp_path):
    ended = copy("my lab", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert all((tmp_path / line).exists() for line in ended.stdout.splitlines())
    assert len(list(tmp_path.glob("my lab/models/*/best.ckpt"))) == 6
    assert len(list(tmp_path.glob("my lab/clips/*.mp4"))) == 2
    for truth, video, frames in (
        ("truth.slp", "video.mp4", 380),
        ("labels.slp", "video.mp4", 19),  # every 20th
        ("single_truth.slp", "single.mp4", 60),
    ):
        labels = sio.load_slp(str(tmp_path / "my lab" / truth), open_videos=False)
        assert [v.filename for v in labels.videos] == [video]
        assert len(labels) == frames
        assert (tmp_path / "my lab" / video).is_file()


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "taken").mkdir()
    ended = copy("taken", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        2,
        "error: taken is there already; choose a new folder\n",
    )
    assert list((tmp_path / "taken").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    ended = copy("file/practice", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (
        1,
        "error: file/practice: cannot be written (Not a directory)\n",
    )


def test_nothing_is_left_of_a_copy_that_fails(tmp_path, monkeypatch, capsys):
    def fail(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["demo", "practice"])
    monkeypatch.setattr("sleap_lab.demo.__main__.shutil.copytree", fail)
    assert main() == 1
    assert capsys.readouterr().err == (
        "error: practice: cannot be written (No space left on device)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_it_says_what_it_does(tmp_path):
    ended = copy(cwd=tmp_path)
    assert ended.returncode == 2
    assert "FOLDER" in ended.stderr
