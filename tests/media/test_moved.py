"""Folders of videos that have moved since labels named them."""

from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.cli import main
from sleap_lab.errors import ConfigError
from sleap_lab.media.labels import read_labels
from sleap_lab.media.moved import moved_notes, moved_path
from sleap_lab.settings.compose import compose_config


@pytest.mark.parametrize(
    ("name", "moved", "expected"),
    [
        ("/old/a/b.mp4", {"/old": "/new"}, "/new/a/b.mp4"),
        ("/old/a/b.mp4", {"/old/": "/new/"}, "/new/a/b.mp4"),
        ("/older/a.mp4", {"/old": "/new"}, None),  # whole folders only
        ("/Old/a.mp4", {"/old": "/new"}, None),
        ("D:\\lab\\cam 1\\a.mp4", {"D:/lab": "/new"}, "/new/cam 1/a.mp4"),
        ("D:/lab/a.mp4", {"d:\\LAB\\": "/new"}, "/new/a.mp4"),
        ("D:/lab/a.mp4", {"D:/": "/new"}, "/new/lab/a.mp4"),
        ("D:/lab/a.mp4", {"E:/": "/new"}, None),
        ("\\\\server\\share\\a.mp4", {"//server/share": "/mnt"}, "/mnt/a.mp4"),
        ("/old/a/b.mp4", {"/old": "/x", "/old/a": "/y"}, "/y/b.mp4"),  # the longest
        ("videos/a.mp4", {"videos": "/new"}, "/new/a.mp4"),
        ("/old/a.mp4", {"/old/a.mp4": "/new/b.mp4"}, "/new/b.mp4"),
        ("/old/a.mp4", {}, None),
    ],
)
def test_prefixes(name, moved, expected):
    found = moved_path(name, moved)
    assert (None if found is None else found[0]) == expected


def test_a_relative_or_home_folder_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert moved_path("/old/a.mp4", {"/old": "new"}) == (str(tmp_path / "new/a.mp4"), "/old")
    assert moved_path("/old/a.mp4", {"/old": "~/new"}) == (str(tmp_path / "new/a.mp4"), "/old")


def test_each_prefix_gets_a_sentence():
    moved = {"/a": "/x", "/b": "/y", "/c": "/z"}
    assert moved_notes(["/a/1.mp4", "/a/2.mp4", "/b/1.mp4"], {"/a": 2}, moved) == (
        ["data.moved: no video that fits is at the places that /b → /y leads to."],
        [
            "data.moved: 2 videos of /a found in /x.",
            "data.moved: no missing video is named below /c.",
        ],
    )


@pytest.fixture
def project(tmp_path):
    """Labels of a video of 6 frames that lies elsewhere by now, and the folder it lies in."""
    folder = tmp_path / "now"
    folder.mkdir()
    sio.save_video(np.zeros((6, 32, 48, 1), np.uint8), folder / "a.mp4")
    skeleton = sio.Skeleton(["a"])
    video = sio.Video(
        "D:\\then\\a.mp4",
        open_backend=False,
        backend_metadata={"type": "MediaVideo", "shape": (6, 32, 48, 1)},
    )
    pose = sio.Instance.from_numpy([[1.0, 2.0]], skeleton=skeleton)
    frame = sio.LabeledFrame(video=video, frame_idx=5, instances=[pose])
    path = tmp_path / "elsewhere" / "labels.slp"
    path.parent.mkdir()
    sio.Labels([frame], [video], [skeleton]).save(str(path), embed=False, verbose=False)
    return path, folder


def test_labels_find_their_videos_where_they_have_moved(project):
    path, folder = project
    (video,) = read_labels(path).videos
    assert not video.exists()
    notes, remarks = [], []
    (video,) = read_labels(path, {"d:/then": str(folder)}, notes, remarks).videos
    assert Path(video.filename) == folder / "a.mp4"
    assert video[5].shape == (32, 48, 1)
    assert (notes, remarks) == ([], [f"data.moved: 1 video of d:/then found in {folder}."])


def test_that_moved_videos_were_found_is_no_warning(project, monkeypatch, capsys):
    path, folder = project
    monkeypatch.chdir(path.parent)
    moved = f"data.moved={{'D:/then': '{folder}'}}"
    words = ["data.path=labels.slp", moved, "model=none", "tracker=fixed_window"]
    with pytest.raises(SystemExit) as ended:
        main([*words, "logger=none", "report=none"])
    assert ended.value.code == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "data.moved" in line]
    assert told == [f"note: data.moved: 1 video of D:/then found in {folder}."]


def test_a_file_that_does_not_fit_is_not_taken(project):
    path, folder = project
    sio.save_video(np.zeros((3, 64, 48, 1), np.uint8), folder / "a.mp4")
    notes = []
    (video,) = read_labels(path, {"D:/then": str(folder)}, notes).videos
    assert not video.exists()
    assert notes[0].startswith("data.moved: no video that fits is at the places")


BOTH = {"D:\\x, y\\1": "/data/x", "/old": "/n w"}


def test_the_key_takes_quotes_as_the_shell_gives_them(tmp_path):
    (tmp_path / "a.slp").touch()
    base = [f"data.path={tmp_path / 'a.slp'}", "model=none", "tracker=flow"]
    for word, expected in (
        ("data.moved={'D:/x': '/data/x'}", {"D:/x": "/data/x"}),
        (
            'data.moved={"D:\\x, y\\1":/data/x, \'/old\':"/n w"}',
            {"D:\\x, y\\1": "/data/x", "/old": "/n w"},
        ),
        ("data.moved={/a:/b}", {"/a": "/b"}),
        ("data.moved={1:2}", {"1": "2"}),
        ("data.moved=null", None),
    ):
        assert compose_config([*base, word])[0].data.moved == expected
    for word in ("data.moved=x", "data.moved=[a]", "data.moved={a:null}"):
        with pytest.raises(ConfigError, match=r"data\.moved: got .*accepted: folders"):
            compose_config([*base, word])
