import json
import os
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import RunError
from sleap_lab.media.labels import read_labels, save_labels
from sleap_lab.media.missing import MissingVideo, missing_frames
from sleap_lab.media.open_source import open_source
from sleap_lab.media.relink import refuse_mistaken
from sleap_lab.media.source_checks import OTHER_RECORDING
from sleap_lab.media.videos import open_reader
from sleap_lab.settings.config import DataConfig

POSE = [[1, 1], [2, 2], [3, 3]]


def make_video(path, *, frames=6, height=48, width=64, level=20):
    path.parent.mkdir(parents=True, exist_ok=True)
    sio.save_video([np.full((height, width, 3), level, dtype=np.uint8)] * frames, str(path))
    return path


def make_images(folder, names, *, height=5, width=7):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((height, width, 3), 10 * i, dtype=np.uint8))
    return [str(folder / name) for name in names]


@pytest.fixture
def project(tmp_path, make_labels):
    """Return a function that writes labels of some videos, and moves them alone to a new folder.

    Frames 0 and 2 of each video are labeled.
    """

    def make(*videos, frames=(0, 2)):
        labels = make_labels([])
        labels.videos = [
            sio.load_video(video if isinstance(video, list) else str(video)) for video in videos
        ]
        skeleton = labels.skeletons[0]
        labels.labeled_frames = [
            sio.LabeledFrame(
                video=video,
                frame_idx=k,
                instances=[sio.Instance.from_numpy(np.array(POSE, float), skeleton=skeleton)],
            )
            for video in labels.videos
            for k in frames
        ]
        new = tmp_path / "new"
        new.mkdir()
        save_labels(labels, new / "labels.slp")
        return new / "labels.slp"

    return make


def reasons(path):
    """Return for each video why it is missing, None where it is not."""
    return [
        video.reason if isinstance(video, MissingVideo) else None
        for video in read_labels(path).videos
    ]


def move(file, folder):
    folder.mkdir(parents=True, exist_ok=True)
    shutil.move(file, folder)
    return folder / Path(file).name


# ---- videos of one name


def test_of_two_videos_of_one_name_the_one_that_fits_is_found(tmp_path, project):
    a, b = make_video(tmp_path / "a" / "v.mp4"), make_video(tmp_path / "b" / "v.mp4", height=32)
    labels = project(a, b)
    found = move(b, labels.parent)
    a.unlink()
    first, second = read_labels(labels).videos
    assert isinstance(first, MissingVideo)
    assert first.filename == str(a)
    assert (
        first.reason == f"is not there, and {found} is another recording: 64x32 px instead of 64x48"
    )
    assert second.filename == str(found)
    assert open_reader(second).read(5).shape == (32, 64, 1)
    with pytest.raises(ValueError, match=r"^it is not there, and .*v\.mp4 is another recording"):
        open_reader(first).read(0)


def test_a_file_that_fits_two_videos_is_neither(tmp_path, project):
    a, b = make_video(tmp_path / "a" / "v.mp4"), make_video(tmp_path / "b" / "v.mp4", level=90)
    labels = project(a, b)
    found = move(a, labels.parent)
    b.unlink()
    advice = "put each beside the labels in its folder"
    assert reasons(labels) == [
        f"is not there, and {found} may be b/v.mp4 as well; {advice}: a/v.mp4, b/v.mp4",
        f"is not there, and {found} may be a/v.mp4 as well; {advice}: b/v.mp4, a/v.mp4",
    ]


def test_videos_of_one_name_are_told_by_their_folders(tmp_path, project):
    a, b = make_video(tmp_path / "a" / "v.mp4"), make_video(tmp_path / "b" / "v.mp4", level=90)
    labels = project(a, b)
    for video in (a, b):
        move(video, labels.parent / video.parent.name)
    assert [
        round(open_reader(video).read(0).mean(), -1) for video in read_labels(labels).videos
    ] == [20, 90]


def test_a_file_that_is_a_video_by_its_whole_name_is_no_other(tmp_path, project):
    a, b = make_video(tmp_path / "a" / "v.mp4"), make_video(tmp_path / "kept" / "v.mp4")
    labels = project(a, b)
    a.unlink()
    labels = labels.rename(tmp_path / "kept" / "labels.slp")
    assert reasons(labels) == [f"is not there, and {b} is the video kept/v.mp4 of theirs", None]


def test_two_videos_that_are_one_file_stay_so(tmp_path, project):
    video = make_video(tmp_path / "a" / "v.mp4")
    labels = project(video, video)
    assert reasons(labels) == [None, None]
    found = move(video, labels.parent)
    assert [video.filename for video in read_labels(labels).videos] == [str(found)] * 2


def test_a_video_of_another_length_is_another(tmp_path, project):
    video = make_video(tmp_path / "a" / "v.mp4")
    labels = project(video)
    video.unlink()
    found = make_video(labels.parent / "v.mp4", frames=4)
    assert reasons(labels) == [
        f"is not there, and {found} is another recording: 4 frames instead of 6"
    ]


def test_a_video_that_was_made_anew_with_other_frames_is_taken_with_a_warning(tmp_path, project):
    video = make_video(tmp_path / "a" / "v.mp4")
    labels = project(video)
    make_video(video, frames=3)
    assert open_source(DataConfig(path=str(labels))).notes == (
        f"{video} has 3 frames instead of 6, as the labels say. {OTHER_RECORDING}",
    )


def test_a_video_of_another_size_in_the_very_place_is_taken_with_a_warning_where_none_fits(
    tmp_path, project
):
    video = make_video(tmp_path / "a" / "v.mp4")
    labels = project(video)
    make_video(video, height=96)
    source = open_source(DataConfig(path=str(labels)))
    assert source.notes == (
        f"{video} has 64x96 px instead of 64x48, as the labels say. {OTHER_RECORDING}",
    )
    assert source.read(0, 0).shape[:2] == (96, 64)
    right = make_video(labels.parent / "v.mp4")
    assert read_labels(labels).videos[0].filename == str(right)


def test_what_is_stored_of_a_found_video_is_kept(tmp_path, project):
    video = tmp_path / "a" / "v.mp4"
    video.parent.mkdir()
    sio.save_video([np.full((48, 64, 3), (250, 120, 10), dtype=np.uint8)] * 6, str(video))
    labels = project(video)
    with h5py.File(labels, "a") as file:
        description = json.loads(file["videos_json"][0])
        description["backend"] |= {"grayscale": True, "shape": [6, 48, 64, 1]}
        file["videos_json"][0] = json.dumps(description)
    move(video, labels.parent)
    found = read_labels(labels).videos[0]
    assert open_reader(found).read(1).shape == (48, 64, 3)  # labeled as gray, which it is not
    assert found.shape == (6, 48, 64, 1)


def test_frames_of_a_missing_video_are_missing_before_the_run(tmp_path, project):
    here, gone = make_video(tmp_path / "here.mp4"), make_video(tmp_path / "gone.mp4", height=32)
    labels = project(here, gone, frames=(2, 5))  # frames that do not begin at 0
    gone.unlink()
    source = open_source(DataConfig(path=str(labels)))
    assert source.frames.tolist() == [[0, 2], [0, 5], [1, 2], [1, 5]]
    assert source.notes == (f"{gone} is not there: 2 of the 2 requested frames are missing.",)
    with pytest.raises(RunError, match=r"gone\.mp4: frame 2 cannot be read \(it is not there\)"):
        source.read(1, 2)
    with pytest.raises(
        RunError,
        match=r"gone\.mp4 is not there: 2 of the 2 requested frames are missing\. "
        r"Put the video, or a link",
    ):
        open_source(DataConfig(path=str(labels), on_bad_frame="fail"))


def test_frames_of_open_labels_are_missing_too(tmp_path, project):
    here, gone = make_video(tmp_path / "here.mp4"), make_video(tmp_path / "gone.mp4")
    labels = project(here, gone, frames=(2, 5))
    gone.unlink()
    source = open_source(DataConfig(), data=sio.load_slp(str(labels)))
    assert source.notes == (f"{gone} is not there: 2 of the 2 requested frames are missing.",)


def test_open_labels_whose_videos_were_mistaken_are_refused(tmp_path, project):
    a, b = make_video(tmp_path / "a" / "v.mp4"), make_video(tmp_path / "b" / "v.mp4", height=32)
    labels = project(a, b)
    found = move(a, labels.parent)
    b.unlink()
    opened = sio.load_slp(str(labels))
    with pytest.raises(
        RunError,
        match=rf"the video {b} of these labels is read from {found}, "
        rf"which is {a} as well; open them with data_path",
    ):
        open_source(DataConfig(), data=opened)
    opened.videos[0].replace_filename(str(found))
    opened.videos[1].replace_filename(str(make_video(b, height=32)))
    refuse_mistaken(opened)
    refuse_mistaken(read_labels(labels))
    assert len(open_source(DataConfig(), data=opened).frames) == 4


# ---- places that cannot be looked at


@pytest.mark.parametrize("name", ["/data/" + "x" * 300 + ".mp4", "\x01/" * 2000 + "v.mp4"])
def test_names_that_are_too_long_are_not_there(tmp_path, make_labels, name):
    save_labels(make_labels([name], user=[(0, 0, POSE)]), tmp_path / "labels.slp")
    assert reasons(tmp_path / "labels.slp") == ["is not there"]


@pytest.fixture
def close_private(monkeypatch):
    """Return a function from which on no folder `private` may be entered."""

    def close():
        stat = os.stat

        def guarded(path, *args, **kwargs):
            if "private" in str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return stat(path, *args, **kwargs)

        monkeypatch.setattr(os, "stat", guarded)

    return close


def test_a_folder_that_may_not_be_entered_holds_no_video(tmp_path, project, close_private):
    video = make_video(tmp_path / "private" / "v.mp4")
    labels = project(video)
    close_private()
    assert reasons(labels) == ["is not there, or may not be read"]
    shutil.copyfile(video, labels.parent / "v.mp4")
    assert read_labels(labels).videos[0].filename == str(labels.parent / "v.mp4")


def test_images_of_a_folder_that_may_not_be_entered_are_not_there(tmp_path, project, close_private):
    labels = project(make_images(tmp_path / "private", ["0.png", "1.png", "2.png"]))
    close_private()
    assert reasons(labels) == ["is not there"]


# ---- images


NAMES = ["day1/0.png", "day1/1.png", "day2/0.png"]


@pytest.mark.parametrize("kept", ["", "mice", "data/mice"])
def test_images_are_found_below_the_labels_as_they_lay(tmp_path, project, kept):
    old = make_images(tmp_path / "old" / "data" / "mice", NAMES)
    labels = project(old)
    shutil.move(tmp_path / "old" / "data" / "mice", labels.parent / "moved")
    target = labels.parent / kept
    target.parent.mkdir(parents=True, exist_ok=True)
    if kept:
        (labels.parent / "moved").rename(target)
    else:
        for folder in (labels.parent / "moved").iterdir():
            folder.rename(labels.parent / folder.name)
    video = read_labels(labels).videos[0]
    assert video.filename == [str(target / name) for name in NAMES]
    assert [int(open_reader(video).read(i).mean()) for i in range(3)] == [0, 10, 20]


def test_images_with_names_of_windows_are_found(tmp_path, project, make_labels):
    images = make_images(tmp_path / "new", ["0.png", "1.png", "2.png"])
    (tmp_path / "new").rename(tmp_path / "other")
    labels = project([str(tmp_path / "other" / Path(image).name) for image in images])
    with h5py.File(labels, "a") as file:
        description = json.loads(file["videos_json"][0])
        names = [rf"C:\lab\{Path(image).name}" for image in images]
        description["backend"] |= {"filename": names[0], "filenames": names}
        file["videos_json"][0] = json.dumps(description)
    assert reasons(labels) == ["is not there"]
    for image in (tmp_path / "other").glob("*.png"):
        shutil.copy(image, labels.parent)
    assert read_labels(labels).videos[0].filename == [
        str(labels.parent / f"{i}.png") for i in range(3)
    ]


def test_of_images_all_must_be_beside_the_labels(tmp_path, project):
    labels = project(make_images(tmp_path / "old", ["0.png", "1.png", "2.png"]))
    shutil.move(tmp_path / "old", labels.parent / "old")
    (labels.parent / "old" / "1.png").unlink()
    assert reasons(labels) == ["is not there"]


def test_images_that_are_gone_are_counted_before_the_run(tmp_path, project):
    images = make_images(tmp_path / "old", ["0.png", "1.png", "2.png"])
    labels = project(images)
    Path(images[0]).unlink()  # the one that is asked for the shape of all
    source = open_source(DataConfig(path=str(labels)))
    assert source.notes == (
        f"{tmp_path / 'old'} lacks 1 of 2 images, the first: {images[0]}: "
        "1 of the 2 requested frames are missing.",
    )
    assert int(source.read(0, 2).mean()) == 20
    with pytest.raises(RunError, match="frame 0 cannot be read"):
        source.read(0, 0)


def test_pointers_in_place_of_images_are_missing(tmp_path):
    images = make_images(tmp_path, ["0.png", "1.png"])
    Path(images[1]).write_text("version https://git-lfs.github.com/spec/v1\n")
    assert missing_frames(sio.load_video(images), [0, 1]) == (
        1,
        f"lacks 1 of 2 images, the first: {images[1]}",
    )
    assert missing_frames(sio.load_video(images), [0]) == (0, "")
    assert missing_frames(sio.load_video(images[:1]), [0, 1]) == (
        1,
        "lacks 1 of 2 images, the first: number 1",
    )


def test_pictures_that_are_in_no_file_are_not_missing():
    class Pictures(sio.VideoBackend):
        pass

    assert missing_frames(
        sio.Video("nowhere", backend=Pictures("nowhere"), open_backend=False), [0, 1]
    ) == (0, "")
    assert missing_frames(sio.Video("nowhere.mp4"), [0, 1]) == (2, "is not there")
    assert missing_frames(sio.Video("https://example.invalid/a.mp4", open_backend=False), [0])[
        1
    ].startswith("is an address")


# ---- other kinds


def test_packages_and_what_they_are_from(tmp_path, project):
    video = make_video(tmp_path / "a" / "v.mp4")
    labels = project(video)
    read_labels(labels).save(str(tmp_path / "some.pkg.slp"), embed=True, verbose=False)
    found = move(video, tmp_path)
    package = read_labels(tmp_path / "some.pkg.slp").videos[0]
    assert sorted(package.backend.frame_map) == [0, 2]
    assert open_reader(package).read(2).shape == (48, 64, 1)
    assert package.source_video.filename == str(found)
    found.unlink()
    package = read_labels(tmp_path / "some.pkg.slp").videos[0]
    assert package.source_video.filename == str(video)
    assert open_reader(package).read(2).shape == (48, 64, 1)


def test_crops_are_read_from_what_is_found(tmp_path, project):
    video = make_video(tmp_path / "a" / "v.mp4")
    labels = project(video)
    opened = read_labels(labels)
    opened.replace_videos(video_map={opened.videos[0]: opened.videos[0].crop((4, 8, 24, 18))})
    save_labels(opened, labels)
    move(video, labels.parent)
    crop = read_labels(labels).videos[0]
    assert crop.filename == str(labels.parent / "v.mp4")
    assert open_reader(crop).read(0).shape == (10, 20, 1)
