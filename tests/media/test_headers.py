import json
import os
import shutil
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.errors import RunError
from sleap_lab.media.headers import vet_labels
from sleap_lab.media.labels import read_labels, save_labels, to_poses
from sleap_lab.media.videos import open_reader, open_video

POSE = [[1, 1], [2, 2], [3, 3]]


@pytest.fixture
def path(tmp_path, video_path, make_labels):
    """Labels of two frames of a video beside them."""
    shutil.copy(video_path, tmp_path / "gray.mp4")
    save_labels(
        make_labels([tmp_path / "gray.mp4"], user=[(0, 0, POSE), (0, 2, POSE)]),
        tmp_path / "labels.slp",
    )
    return tmp_path / "labels.slp"


def change(path, name, value):
    """Put another dataset in the place of one."""
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        file[name] = value


def rename_video(path, name, **backend):
    change(
        path,
        "videos_json",
        [json.dumps({"filename": name, "backend": {"filename": name, **backend}}).encode()],
    )


def refusal(path):
    with pytest.raises(RunError) as caught:
        read_labels(path)
    start = f"{path}: not a readable SLEAP labels file ("
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)
    return str(caught.value)[len(start) : -1]


# ---- what labels name


def missing(path):
    """Return why the only video of labels cannot be read; what the labels say of it can."""
    labels = read_labels(path)
    assert len(to_poses(labels)) == 2
    (video,) = labels.videos
    assert not video.is_open
    with pytest.raises(ValueError, match=r"^it "):
        open_reader(video).read(0)
    return video.reason


def test_videos_behind_embedded_frames_may_not_be_named_badly(path, tmp_path):
    read_labels(path).save(str(tmp_path / "some.pkg.slp"), embed=True, verbose=False)
    assert len(to_poses(read_labels(tmp_path / "some.pkg.slp"))) == 2
    with h5py.File(tmp_path / "some.pkg.slp", "a") as file:
        file["video0/source_video"].attrs["json"] = '{"filename": "\\udcff.mp4"}'
    assert refusal(tmp_path / "some.pkg.slp") == "the name of a video is no text in UTF-8"


@pytest.mark.parametrize(
    "address",
    [
        "https://example.invalid/a.mp4",
        "http:/a.h5",
        "s3://bucket/a.mp4",
        "rtsp://host/a.mp4",
        "tcp:/host:1/a.avi",
    ],
)
def test_addresses_are_not_opened(path, monkeypatch, address):
    def opened(*arguments, **options):
        raise AssertionError("a video was opened")

    rename_video(path, address, dataset="x")
    monkeypatch.setattr(sio.VideoBackend, "from_filename", opened)
    labels = read_labels(path)
    assert len(to_poses(labels)) == 2  # what they say can be used
    with pytest.raises(ValueError, match=r"it is an address, and nothing is fetched; download it"):
        open_reader(labels.videos[0]).read(0)


def test_files_beside_addresses_are_opened(path, tmp_path):
    names = ["https://example.invalid/a.mp4", "gray.mp4", r"C:\elsewhere\gray.mp4"]
    change(
        path,
        "videos_json",
        [json.dumps({"filename": name, "backend": {"filename": name}}).encode() for name in names],
    )
    labels = read_labels(path)
    # The third is not also that file.
    assert [video.is_open for video in labels.videos] == [False, True, False]
    assert open_reader(labels.videos[1]).read(0).shape[:2] == (48, 64)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_video(path, tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")  # opening it would wait for ever
    rename_video(path, str(tmp_path / "pipe.mp4"))
    assert missing(path) == "is no file"


def test_hdf5_videos_of_labels_are_looked_at_too(path, write_h5, tmp_path):
    video = write_h5(np.zeros((3, 4, 6, 1), dtype=np.uint8))
    rename_video(path, str(video), dataset="images")
    assert read_labels(path).videos[0].is_open
    with h5py.File(video, "a") as file:
        file["frame_numbers"] = h5py.ExternalLink("/etc/other.h5", "/x")
    assert missing(path) == (
        "cannot be read (/frame_numbers is a link; refused, because only the file itself is read)"
    )


# ---- what is no video


def grouped(file, name, **attributes):
    file.create_group(name).attrs.update(attributes)


@pytest.mark.parametrize(
    ("fill", "says"),
    [
        (
            lambda file: file.update(
                {"tracks": np.zeros((2, 2, 3, 9)), "track_occupancy": np.ones((9, 2))}
            ),
            "it is a SLEAP analysis file: it holds poses, no frames; "
            "give the .slp file or the video",
        ),
        (
            lambda file: grouped(file, "df_with_missing", pandas_type=b"frame_table"),
            "it is a table of pandas, as DeepLabCut writes poses: "
            "it holds no frames; give the video",
        ),
        (
            lambda file: file.attrs.update({"nwb_version": "2.7.0"}),
            "it is an NWB file, of poses most likely; give the .slp file or the video, "
            "or name its frames with data.video_dataset",
        ),
        (
            lambda file: file.update({"model_weights/conv/conv/kernel:0": np.zeros((3, 3, 1, 8))}),
            "it is the weights of a Keras model; give its folder as model.paths",
        ),
    ],
    ids=["analysis", "deeplabcut", "nwb", "keras"],
)
def test_poses_and_weights_are_no_videos(tmp_path, fill, says):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        fill(file)
    with pytest.raises(RunError) as caught:
        open_video(tmp_path / "other.h5")
    assert str(caught.value) == (
        f"{tmp_path / 'other.h5'} cannot be read as a video ({says}); "
        "accepted: videos, image folders, .slp"
    )


def test_labels_of_another_suffix_are_no_video(path, tmp_path):
    path.rename(tmp_path / "labels.h5")
    with pytest.raises(RunError, match=r"\(it is a SLEAP labels file; call it \.slp\)"):
        open_video(tmp_path / "labels.h5")


def test_frames_beside_poses_are_read_where_they_are_named(tmp_path):
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file.update(
            {
                "tracks": np.zeros((2, 2, 3, 9)),
                "node_names": [b"a"],
                "images": np.ones((3, 4, 6, 1), np.uint8),
            }
        )
    assert open_video(tmp_path / "both.h5", dataset="images")[0].shape == (3, 4, 6, 1)


# ---- what labels hold


@pytest.mark.parametrize("name", ["points", "metadata", "video0", "anything/below"])
@pytest.mark.parametrize("link", [h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/frames")])
def test_links_are_not_followed(path, name, link):
    change(path, name, link)
    assert refusal(path) == f"/{name} is a link; refused, because only the file itself is read"


def test_numbers_of_other_files_are_not_read(path, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(100))
    with h5py.File(path, "a") as file:
        file.create_dataset(
            "video0/video", (2, 5, 5, 1), "u1", external=[(str(tmp_path / "secret"), 0, 50)]
        )
    assert refusal(path).startswith("/video0/video is stored in other files")


@pytest.mark.parametrize("name", ["frames", "instances", "points"])
def test_lengths_without_numbers_are_refused(path, name):
    with h5py.File(path, "a") as file:
        dtype = file[name].dtype
        del file[name]
        file.create_dataset(name, (10**12,), dtype, chunks=(1000,), compression="gzip")
    assert refusal(path) == f"/{name} has the shape (1000000000000,), but only 0 bytes"


def test_a_frame_may_not_have_instances_that_are_missing(path):
    with h5py.File(path, "a") as file:
        frames = file["frames"][()]
        frames["instance_id_end"][1] = 7
        file["frames"][...] = frames
    assert refusal(path) == "it has 2 instances, but a frame with number 6"


def test_frame_numbers_beyond_any_video_are_refused(path):
    with h5py.File(path, "a") as file:
        frames = file["frames"][()]
        frames["frame_idx"][1] = 2**63 + 5
        file["frames"][...] = frames
    assert refusal(path) == f"it has a frame of the number {2**63 + 5}"


def test_labels_of_no_nodes_are_refused(tmp_path, video_path):
    with pytest.raises(RunError, match=r"the skeleton of the labels has no nodes"):
        to_poses(sio.Labels(videos=[sio.Video(str(video_path))], skeletons=[sio.Skeleton([])]))


@pytest.mark.parametrize(
    ("side", "packed", "says"),
    [(2, 16, None), (2, 10**6, "is larger than it says"), (10**6, 16, "it says it holds 4e")],
)
def test_packed_images_are_as_large_as_they_say(path, side, packed, says):
    data = np.frombuffer(zlib.compress(bytes(packed)), dtype="u1")
    fields = [
        ("mask_idx", "u4"),
        ("data_start", "u8"),
        ("data_end", "u8"),
        ("height", "u4"),
        ("width", "u4"),
    ]
    change(path, "mask_score_map_index", np.array([(0, 0, len(data), side, side)], dtype=fields))
    change(path, "mask_score_maps", data)
    if says is None:
        assert len(to_poses(read_labels(path))) == 2
    else:
        assert says in refusal(path)


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[" * 100_000,
        b"[]",
        b"7",
        b'{"filename": 7}',
        b'{"backend": {}}',
        b'{"filename": "\\u0000"}',
    ],
)
def test_descriptions_of_videos_may_be_nonsense(path, document):
    change(path, "videos_json", [document])
    refusal(path)


@pytest.mark.parametrize("names", ["\udcff.mp4", ["a.png", "\udcff.png"]])
def test_names_that_are_no_text_are_refused(path, names):
    rename_video(path, "a.mp4", filenames=names)
    assert refusal(path) == "the name of a video is no text in UTF-8"


def test_demo_and_reference_pass(reference):
    files = [
        *reference.rglob("*.slp"),
        *(Path(__file__).parents[2] / "sleap_lab" / "demo").glob("*.slp"),
    ]
    assert len(files) > 50
    for file in files:
        vet_labels(file)
