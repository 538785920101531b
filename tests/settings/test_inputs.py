import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.errors import ConfigError
from sleap_lab.settings.inputs import (
    find_inputs,
    input_name,
    is_labels,
    is_text,
    natural_order,
    predictions_path,
)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A working directory with empty files of videos, images and labels in separate folders."""
    monkeypatch.chdir(tmp_path)
    names = [
        "one.mp4", "labels.slp", "labels.pkg.slp", "scan.tif", "frames.h5", "notes.json",
        "clips/2.mp4", "clips/10.mp4", "clips/1.AVI", "clips/notes.json", "clips/.hidden.mp4",
        "clips/predictions.slp", "clips/found.h5",
        "images/img10.png", "images/img2.png", "images/img1.JPG", "images/notes.csv",
        "both/a.mp4", "both/b.png",
        "trials/1/1.png", "trials/1/2.png", "trials/2/1.png",
        "only labels/a.slp", "only labels/b.slp",
    ]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def found(path):
    """Return inputs as text, images of one video as a list."""
    return [
        str(item) if isinstance(item, Path) else [str(image) for image in item]
        for item in find_inputs(path)
    ]


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        find_inputs(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- one path


@pytest.mark.parametrize(
    "name", ["one.mp4", "frames.h5", "labels.slp", "labels.pkg.slp", "notes.json", "scan.tif"]
)
def test_a_file_is_itself(lab, name):
    assert found(name) == [name]


def test_a_missing_file_is_named(lab):
    assert refusal("gone.mp4") == "data.path: no such file: gone.mp4"


def test_a_folder_of_videos_is_its_videos_in_natural_order(lab):
    assert found("clips") == [
        "clips/1.AVI",
        "clips/2.mp4",
        "clips/10.mp4",
    ]  # no labels, no HDF5, nothing hidden


def test_a_folder_of_images_is_one_video_in_natural_order(lab):
    assert found("images") == [["images/img1.JPG", "images/img2.png", "images/img10.png"]]
    assert input_name(*find_inputs("images")) == Path("images")


def test_a_single_image_is_a_video_of_one_frame_but_a_tiff_may_hold_many(lab):
    assert found("images/img2.png") == [["images/img2.png"]]
    assert found("scan.tif") == ["scan.tif"]


def test_a_folder_of_both_is_refused_with_a_way_out(lab):
    assert (
        refusal("both")
        == "data.path: both holds 1 video and 1 image; say which: 'both/*.mp4' or 'both/*.png'"
    )
    assert found("both/*.mp4") == ["both/a.mp4"]


@pytest.mark.parametrize("name", ["empty", "trials", "only labels"])
def test_a_folder_of_neither_is_refused(lab, name):
    assert refusal(name).startswith(f"data.path: {name} holds no video and no image (.mp4, ")


# ---- globs


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("clips/*.mp4", ["clips/2.mp4", "clips/10.mp4"]),
        (
            "clips/*",
            ["clips/1.AVI", "clips/2.mp4", "clips/10.mp4", "clips/found.h5"],
        ),  # what is no video is left out
        ("clips/[12].*", ["clips/1.AVI", "clips/2.mp4"]),
        ("c?ips/*0.mp4", ["clips/10.mp4"]),
        ("images/*.png", [["images/img2.png", "images/img10.png"]]),
        (
            "trials/*/*.png",
            [["trials/1/1.png", "trials/1/2.png"], ["trials/2/1.png"]],
        ),  # one video per folder
        (
            "trials/*",
            [["trials/1/1.png", "trials/1/2.png"], ["trials/2/1.png"]],
        ),  # folders that match
        ("**/*.mp4", ["both/a.mp4", "clips/2.mp4", "clips/10.mp4", "one.mp4"]),
        ("labels.s*", ["labels.slp"]),
    ],
)
def test_globs(lab, pattern, expected):
    assert found(pattern) == expected


def test_a_glob_without_match_is_refused(lab):
    assert refusal("clips/*.mkv") == "data.path: no video, image or .slp file matches clips/*.mkv"
    assert refusal("clips/*.json") == "data.path: no video, image or .slp file matches clips/*.json"


@pytest.mark.parametrize("name", ["a[1].mp4", "what?.mp4", "a*.mp4", "n=46, take 2 (ü).mp4"])
def test_what_exists_is_taken_by_its_name_and_not_as_a_glob(lab, name):
    for other in (name, "a1.mp4", "whatx.mp4", "ab.mp4"):
        Path(other).touch()
    assert found(name) == [name]


def test_brackets_of_folders_that_exist_are_part_of_their_names(lab):
    for folder in ("take [1]", "take 1"):
        Path(folder).mkdir()
        Path(folder, "a.mp4").touch()
    assert found("take [1]") == ["take [1]/a.mp4"]
    assert found("take [1]/*.mp4") == ["take [1]/a.mp4"]
    assert found("take [12]/*.mp4") == ["take 1/a.mp4"]
    assert found(str(lab / "take [1]" / "*.mp4")) == [str(lab / "take [1]/a.mp4")]


# ---- lists


def test_lists_keep_their_order_and_take_everything_once(lab):
    assert found(["one.mp4", "clips", "frames.h5"]) == [
        "one.mp4",
        "clips/1.AVI",
        "clips/2.mp4",
        "clips/10.mp4",
        "frames.h5",
    ]
    assert found(["clips/10.mp4", "clips/*.mp4", "clips/10.mp4"]) == ["clips/10.mp4", "clips/2.mp4"]


def test_images_of_a_list_are_one_video_in_the_order_of_the_list(lab):
    assert found(["images/img10.png", "images/img2.png"]) == [
        ["images/img10.png", "images/img2.png"]
    ]
    assert found(["images/img2.png", "one.mp4", "trials/1"]) == [
        ["images/img2.png"],
        "one.mp4",
        ["trials/1/1.png", "trials/1/2.png"],
    ]


def test_a_list_of_one_is_that_one(lab):
    assert found(["labels.slp"]) == ["labels.slp"]


def test_labels_stand_alone(lab):
    assert refusal(["one.mp4", "labels.slp"]) == (
        "data.path: the labels file labels.slp stands beside 1 others; a .slp file is given alone"
    )
    assert "a .slp file is given alone" in refusal("only labels/*")


def test_an_empty_list_is_refused(lab):
    assert refusal([]) == "data.path: the list is empty"


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        ("labels.slp", True),
        ("labels.pkg.slp", True),
        ("one.mp4", False),
        ("images", False),
        ("clips", False),
    ],
)
def test_labels_are_told_from_videos(lab, path, labels):
    assert is_labels(find_inputs(path)) is labels


# ---- manifests


def manifest(lab, text, name="lists/videos.txt", **options):
    (lab / name).parent.mkdir(exist_ok=True)
    (lab / name).write_text(text, encoding="utf-8", **options)
    return name


def test_a_manifest_names_paths_relative_to_itself(lab):
    name = manifest(
        lab,
        "\ufeff# my videos\n../one.mp4\n\n  ../clips/*.mp4  \r\n"
        f"#../both/a.mp4\n{lab / 'frames.h5'}\n../images\n",
    )
    assert found(name) == [
        "lists/../one.mp4", "lists/../clips/2.mp4", "lists/../clips/10.mp4", str(lab / "frames.h5"),
        ["lists/../images/img1.JPG", "lists/../images/img2.png", "lists/../images/img10.png"],
    ]  # fmt: skip


def test_a_manifest_names_paths_of_the_home_folder(lab, monkeypatch):
    monkeypatch.setenv("HOME", str(lab / "clips"))
    assert found(manifest(lab, "~/2.mp4\n")) == [str(lab / "clips" / "2.mp4")]


def test_a_manifest_may_name_a_labels_file(lab):
    assert is_labels(find_inputs(manifest(lab, "../labels.slp\n")))


def test_what_is_wrong_in_a_manifest_is_named_with_its_line(lab):
    name = manifest(lab, "# two\n../one.mp4\n../gone.mp4\n")
    assert (
        refusal(name) == "data.path: no such file: lists/../gone.mp4 (line 3 of lists/videos.txt)"
    )


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_manifest_without_paths_is_refused(lab, text):
    assert (
        refusal(manifest(lab, text))
        == "data.path: lists/videos.txt names no file; accepted: one path per line"
    )


def test_a_manifest_stands_alone(lab):
    name = manifest(lab, "../one.mp4\n")
    assert (
        refusal([name, "one.mp4"])
        == f"data.path: {name} is a text file; a list of paths is given alone"
    )
    assert "is a text file" in refusal(
        manifest(lab, "videos.txt\n")
    )  # no list in a list, nor itself


def test_a_manifest_that_is_no_text_is_refused(lab):
    (lab / "binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    assert refusal("binary.txt").startswith(
        "data.path: binary.txt cannot be read as a list of paths ("
    )


# ---- where predictions go


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("one.mp4", "one.predictions.slp"),
        ("labels.pkg.slp", "labels.pkg.predictions.slp"),
        ("clips", "clips.predictions.slp"),
        ("lists/videos.txt", "lists/videos.predictions.slp"),
        ("clips/*.mp4", "clips/predictions.slp"),
        ("clips/**/*.mp4", "clips/predictions.slp"),
        ("*/a.mp4", "predictions.slp"),
        ("gone/n=4.mp4", "gone/n=4.predictions.slp"),
    ],
)
def test_predictions_go_beside_what_they_are_of(lab, path, expected):
    assert predictions_path(Path(path)) == Path(expected)


def test_predictions_of_the_working_directory_have_its_name(lab):
    assert predictions_path(Path()) == lab.with_name(f"{lab.stem}.predictions.slp")


# ---- order


@pytest.mark.parametrize(
    "names",
    [
        ["a1", "a2", "a10"],
        ["1", "1a", "2"],
        ["img_9_2", "img_9_10", "img_10_1"],
        ["A1", "a2"],
        ["x/2/1", "x/2/3", "x/10/1"],
    ],
)
def test_numbers_count_as_numbers(names):
    paths = [Path(name) for name in names]
    assert natural_order(reversed(paths)) == paths


@given(
    st.lists(
        st.text(alphabet="aB²٣01 9.", min_size=1).filter(lambda name: name.strip(".")), unique=True
    )
)
def test_the_order_is_the_same_however_the_names_come(names):
    paths = [Path(name) for name in names]
    assert natural_order(paths) == natural_order(reversed(paths))
    assert sorted(natural_order(paths)) == sorted(paths)


def test_names_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "clip\udcff.mp4"
    path.touch()
    for name in (path, tmp_path, tmp_path / "*.mp4"):
        with pytest.raises(
            ConfigError,
            match=r"data\.path: the name '.*clip\\udcff\.mp4' is no text in UTF-8; rename the file",
        ):
            find_inputs(str(name))
    assert is_text("ü 中 \u202e")
    assert not is_text("\udcff")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_neither_file_nor_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for ever
    with pytest.raises(
        ConfigError, match=r"data\.path: .*pipe\.mp4 is neither a file nor a folder"
    ):
        find_inputs(str(tmp_path / "pipe.mp4"))


@pytest.mark.parametrize("line", ["x" * 5000 + ".mp4", "a\0b.mp4"])
def test_lines_that_are_no_names_are_refused(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"# first\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        find_inputs(str(tmp_path / "list.txt"))
    assert "line 2 of" in str(caught.value)
    assert len(str(caught.value)) < 1000
