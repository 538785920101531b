"""Every kind of input that SLEAP users have, through the real command.

Checks results, exit codes, and the messages about each video.
"""

import json
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import sleap_io as sio

from sleap_lab import run_experiment, run_inference

PLAIN = ("logger=none", "report=none", "cache=off", "runtime.device=cpu")
GREEN, BLUE = [0, 1.0, 0, 0], [0, 0, 1.0, 0]
SINGLE = {"confmaps": [GREEN, BLUE]}
N = 4


def walk(i, height=24, width=32):
    """An RGB frame: node a, green, walks to the right; node b, blue, stands still."""
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[6, 4 + 2 * i] = [0, 255, 0]
    image[16, 20] = [0, 0, 204]
    return image


def poses(i):
    return [[4 + 2 * i, 6], [20, 16]]


def write_images(folder, frames, name="{}.png"):
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        cv2.imwrite(str(folder / name.format(i)), frame[..., ::-1] if frame.ndim == 3 else frame)


def points(labels, video=0):
    """Return {frame: points of its only instance} of one video of labels."""
    frames = [frame for frame in labels if frame.video is labels.videos[video]]
    return {
        frame.frame_idx: frame.instances[0].numpy().tolist()
        for frame in frames
        if len(frame.instances)
    }


@pytest.fixture
def model(make_model):
    return make_model("single_instance", SINGLE)


@pytest.fixture
def predict(tmp_path, monkeypatch, model):
    """Return a function that runs an experiment with a model that sees the walk.

    It returns the result and its predictions.
    """
    monkeypatch.chdir(tmp_path)

    def predict(path, *overrides):
        paths = path if isinstance(path, list) else [path]
        data = f"[{','.join(map(str, paths))}]" if isinstance(path, list) else path
        result = run_experiment(
            [
                f"data.path={data}",
                f"model.paths=[{model}]",
                "model.integral_refinement=null",
                *PLAIN,
                *overrides,
            ]
        )
        return result, sio.load_slp(str(result.folder / "predictions.slp"))

    return predict


# ---- one video, however it is stored


@pytest.mark.parametrize(
    "stored",
    ["last", "first", "float", "double", "fractions", "words", "images", "list", "glob", "rgba"],
)
def test_the_same_frames_give_the_same_poses_however_they_are_stored(
    predict, write_h5, tmp_path, stored
):
    frames = np.stack(
        [walk(i) for i in range(12)]
    )  # of which 10 and 11 come before 2 in the order of text
    options = []
    if stored in ("images", "list", "glob", "rgba"):
        alpha = np.full((*frames.shape[:3], 1), 255, dtype=np.uint8)
        shots = np.concatenate([frames, alpha], axis=3) if stored == "rgba" else frames
        folder = tmp_path / "shots"
        folder.mkdir()
        for i, frame in enumerate(shots):
            cv2.imwrite(str(folder / f"{i}.png"), frame[..., [2, 1, 0, *range(3, frame.shape[2])]])
        path = {"list": [folder / f"{i}.png" for i in range(12)], "glob": folder / "*.png"}.get(
            stored, folder
        )
    else:
        change = {
            "first": lambda f: f.transpose(0, 3, 2, 1),  # frames, channels, width, height
            "float": lambda f: f.astype(np.float32),
            "double": lambda f: f.astype(np.float64),
            "fractions": lambda f: f / 255,
            "words": lambda f: f.astype(np.uint16),
        }.get(stored, lambda f: f)
        path = write_h5(change(frames), dataset="pixels")
        options = ["data.video_dataset=pixels"] + (
            ["data.video_input_format=channels_first"] if stored == "first" else []
        )
    result, labels = predict(path, *options)
    assert points(labels) == {i: poses(i) for i in range(12)}
    assert result.summary.counts["frames"] == 12
    if stored == "first":
        np.testing.assert_array_equal(
            labels.videos[0][3], frames[3]
        )  # as those who open the predictions will see it


def test_everything_that_looks_at_images_can_look_at_other_numbers_and_axes(predict, write_h5):
    frames = (
        np.stack([np.maximum(walk(i, 32), 51) for i in range(N)])
        .astype(np.float64)
        .transpose(0, 3, 2, 1)
        / 255
    )
    more = [
        "data.video_input_format=channels_first",
        "tracker=flow",
        "tracker.scoring_method=euclidean_dist",
        "report=html",
    ]
    result, labels = predict(write_h5(frames), *more, "output.overlay_video=full")
    assert result.summary.status == "finished"
    assert [track.name for track in labels.tracks] == ["track_0"]
    overlay = sio.load_video(str(result.folder / "overlay.mp4"))
    assert overlay.shape[:3] == (N, 32, 32)
    assert np.median(overlay[0]) == pytest.approx(51, abs=3)
    assert "could not be read" not in (result.folder / "report.html").read_text()


def test_a_package_needs_no_source_video(predict, write_h5, tmp_path, make_labels):
    write_images(tmp_path / "shots", [walk(i) for i in range(N)])
    labels = make_labels([], user=[])
    video = sio.Video([str(tmp_path / "shots" / f"{i}.png") for i in range(N)])
    skeleton = labels.skeletons[0]
    instance = sio.Instance.from_numpy(np.array([[1.0, 1], [2, 2], [3, 3]]), skeleton=skeleton)
    frames = [sio.LabeledFrame(video=video, frame_idx=i, instances=[instance]) for i in (3, 1)]
    sio.Labels(frames, videos=[video], skeletons=[skeleton]).save(
        str(tmp_path / "some.pkg.slp"), embed=True, verbose=False
    )
    for image in (tmp_path / "shots").iterdir():
        image.unlink()
    for overrides in ((), ("data.video_index=0",), ("report=html",)):
        result, found = predict(tmp_path / "some.pkg.slp", *overrides)
        assert points(found) == {i: poses(i) for i in (1, 3)}
        assert result.summary.exit_code == 0


# ---- several videos


@pytest.fixture
def clips(tmp_path, write_h5, video_path):
    """A folder of four files, one of them no video.

    They are an HDF5 video of 4 frames, one of 2 larger frames with other numbers, a gray video, and
    a file that is no video.
    """
    (tmp_path / "my clips [1]").mkdir()
    folder = tmp_path / "my clips [1]"
    write_h5([walk(i) for i in range(N)], name=f"{folder.name}/a.h5")
    write_h5([walk(i, 40, 64) / 255 for i in range(2)], name=f"{folder.name}/b=2.h5")
    (folder / "c.mp4").write_bytes(video_path.read_bytes())
    (folder / "d.mp4").write_text("not a video")
    return folder


def rows(result):
    return [
        (Path(row["video"]).name, row["asked"], row["read"], row["bad"], row["status"])
        for row in result.summary.videos
    ]


WHOLE = [
    ("a.h5", 4, 4, 0, "ok"),
    ("b=2.h5", 2, 2, 0, "ok"),
    ("c.mp4", 6, 6, 0, "ok"),
    ("d.mp4", None, 0, 0, "unreadable"),
]


def test_videos_of_all_sizes_channels_and_numbers_run_together_and_a_broken_one_is_listed(
    predict, clips, tmp_path, capsys
):
    result, labels = predict("'my clips [1]/*'", "report=html", "runtime.batch_size=3")
    assert rows(result) == WHOLE
    assert (result.summary.status, result.summary.exit_code) == ("partial", 3)
    assert [Path(video.filename).name for video in labels.videos] == ["a.h5", "b=2.h5", "c.mp4"]
    assert points(labels, 0) == {i: poses(i) for i in range(N)}
    assert points(labels, 1) == {i: poses(i) for i in range(2)}
    assert [frame.frame_idx for frame in labels if frame.video is labels.videos[2]] == list(
        range(6)
    )
    captured = capsys.readouterr()
    table = [line.split() for line in captured.out.splitlines()[:5]]
    assert table[0] == ["video", "asked", "read", "bad", "status"]
    assert table[1][-5:] == ["[1]/a.h5", "4", "4", "0", "ok"]
    assert table[4][-5:] == ["[1]/d.mp4", "–", "0", "0", "unreadable"]
    assert "warning: 1 of 4 videos could not be opened: " in captured.err
    assert json.loads((result.folder / "run.json").read_text())["videos"][0]["asked"] == 4
    report = (result.folder / "report.html").read_text()
    assert "4 videos" in report
    assert "d.mp4 cannot be read as a video" in report


@pytest.mark.parametrize("how", ["list", "glob", "manifest"])
def test_a_list_a_glob_and_a_manifest_name_the_same_videos(predict, clips, tmp_path, how):
    names = ["a.h5", "b=2.h5"]
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "of videos.txt").write_text(
        "# two\n" + "".join(f"../{clips.name}/{name}\n" for name in names)
    )
    path = {
        "list": [f"'{clips / name}'" for name in names],
        "glob": f"'{clips}/*.h5'",
        "manifest": "'lists/of videos.txt'",
    }[how]
    result, _ = predict(path)
    assert rows(result) == WHOLE[:2]
    assert result.summary.exit_code == 0
    hashes = json.loads((result.folder / "snapshot" / "hashes.json").read_text())["inputs"]
    assert [
        Path(facts["path"]).name for name, facts in hashes.items() if name.startswith("data.path[")
    ] == names
    assert ("data.path" in hashes) == (how == "manifest")


def test_frames_and_index_choose_among_several_videos(predict, clips, capsys):
    result, _ = predict(f"'{clips}/*.h5'", "data.frames=1-3")
    assert rows(result) == [("a.h5", 3, 3, 0, "ok"), ("b=2.h5", 1, 1, 0, "ok")]
    assert "warning: data.frames goes beyond the end of " in capsys.readouterr().err
    _, labels = predict(f"'{clips}/*.h5'", "data.frames=1", "data.video_index=1")
    assert points(labels) == {1: poses(1)}
    assert [Path(video.filename).name for video in labels.videos] == ["b=2.h5"]


def test_tracks_of_several_videos_have_names_of_their_own(predict, clips):
    _, labels = predict(
        f"'{clips}/*.h5'", "tracker=fixed_window", "tracker.scoring_method=euclidean_dist"
    )
    names = [
        {
            instance.track.name
            for frame in labels
            if frame.video is video
            for instance in frame.instances
        }
        for video in labels.videos
    ]
    assert [len(own) for own in names] == [1, 1]
    assert not names[0] & names[1]


def test_formats_of_several_videos_are_read_back(predict, clips):
    result, _ = predict(f"'{clips}/*.h5'", "output.formats=[slp,csv,analysis_h5,nwb,coco]")
    assert sorted(path.name for path in result.folder.glob("predictions*")) == [
        "predictions.000_a.analysis.h5", "predictions.000_a.csv", "predictions.000_a.nwb",
        "predictions.001_b=2.analysis.h5", "predictions.001_b=2.csv", "predictions.001_b=2.nwb",
        "predictions.coco.json", "predictions.slp",
    ]  # fmt: skip
    for i, (name, count) in enumerate((("a", N), ("b=2", 2))):
        stem = result.folder / f"predictions.{i:03}_{name}"
        assert points(sio.load_analysis_h5(f"{stem}.analysis.h5")) == {
            i: poses(i) for i in range(count)
        }
        assert points(sio.load_csv(f"{stem}.csv", video="v.mp4")) == {
            i: poses(i) for i in range(count)
        }
        with h5py.File(f"{stem}.nwb") as file:
            assert file[f"processing/SLEAP_VIDEO_000_{name}/track=untracked_0/a/data"][
                ()
            ].tolist() == [poses(i)[0] for i in range(count)]


def test_it_is_an_error_when_no_video_can_be_read(call, model, tmp_path):
    for name in ("1.mp4", "2.mp4"):
        (tmp_path / name).write_text("not a video")
    ended = call("data.path=*.mp4", f"model.paths=[{model}]", *PLAIN)
    assert ended.code == 1
    assert "none of the 2 videos can be read; the first: " in ended.err


# ---- sleap-nn's own flags, and Python


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ("my clips [1]/a.h5", "my clips [1]/a.predictions.slp"),
        ("my clips [1]/b=2.h5", "my clips [1]/b=2.predictions.slp"),
        ("my clips [1]/*.h5", "my clips [1]/predictions.slp"),
        ("my clips [1]", "my clips [1].predictions.slp"),
        ("videos.txt", "videos.predictions.slp"),
    ],
)
def test_track_takes_one_path_whatever_it_names(call, model, clips, tmp_path, given, output):
    (tmp_path / "videos.txt").write_text("my clips [1]/a.h5\n")
    ended = call("track", "-i", given, "-m", model, "-d", "cpu", "cache=off")
    assert ended.code == (3 if given == clips.name else 0), ended.err
    assert len(sio.load_slp(str(tmp_path / output))) == {
        "my clips [1]/a.h5": 4,
        "my clips [1]/b=2.h5": 2,
        "videos.txt": 4,
    }.get(given, 6)


def test_a_glob_that_the_shell_has_read_is_refused_with_the_way_out(call, model, clips, tmp_path):
    ended = call("track", "-i", "my clips [1]/a.h5", "my clips [1]/c.mp4", "-m", model)
    assert ended.code == 2
    assert ended.err.startswith(
        "error: my clips [1]/c.mp4: a path too many; put a glob into quotes (-i 'clips/*.mp4')"
    )


def test_run_inference_takes_several_videos_and_warns_of_what_it_could_not_read(model, clips):
    with pytest.warns(UserWarning, match=r"^1 of 2 videos could not be opened: .*d\.mp4"):
        labels = run_inference(
            [clips / "a.h5", clips / "d.mp4"],
            model_paths=model,
            integral_refinement=None,
            device="cpu",
        )
    assert points(labels) == {i: poses(i) for i in range(N)}


# ---- every kind of model takes gray and RGB

DEMO = Path(str(__import__("sleap_lab").__path__[0])) / "demo"
KINDS = {
    "single_instance": ("single.mp4", ["single_instance"]),
    "topdown": ("clip.mp4", ["centroid", "centered_instance"]),
    "bottomup": ("clip.mp4", ["bottomup"]),
    "multi_class_bottomup": ("clip.mp4", ["multi_class_bottomup"]),
    "multi_class_topdown": ("clip.mp4", ["centroid", "multi_class_topdown"]),
    "centered_instance": ("truth.slp", ["centered_instance"]),
    "centroid": ("clip.mp4", ["centroid"]),
}


@pytest.mark.filterwarnings("ignore:Centroid-only:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_takes_gray_and_rgb(kind, tmp_path):
    name, models = KINDS[kind]
    clip = sio.load_video(str(DEMO / ("clip.mp4" if name == "truth.slp" else name)))
    frames = clip[[0, 1]]
    truth = sio.load_slp(str(DEMO / "truth.slp"))

    def run(images, **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        with h5py.File(path, "w") as file:
            file["images"] = images
        video = sio.load_video(str(path))
        video.backend.grayscale = images.shape[3] == 1  # three equal channels would be read as one
        data = {"input_video": video}
        if name == "truth.slp":
            instances = {frame.frame_idx: frame.instances for frame in truth if frame.frame_idx < 2}
            labeled = [
                sio.LabeledFrame(video=video, frame_idx=i, instances=instances[i]) for i in (0, 1)
            ]
            data = {
                "input_labels": sio.Labels(
                    labeled, videos=[video], skeletons=truth.skeletons, tracks=truth.tracks
                )
            }
        labels = run_inference(
            **data,
            model_paths=[DEMO / "models" / model for model in models],
            device="cpu",
            **options,
        )
        assert labels.videos[0].shape[3] == images.shape[3]
        return [np.array([instance.numpy() for instance in frame.instances]) for frame in labels]

    gray, rgb = frames[..., :1], np.repeat(frames[..., :1], 3, axis=3)
    expected = run(gray)
    assert all(len(found) for found in expected)
    for images, options in (
        (gray, {"ensure_rgb": True}),
        (rgb, {}),
        (rgb, {"ensure_grayscale": True}),
        (rgb, {"ensure_rgb": True}),
    ):
        for found, wanted in zip(run(images, **options), expected, strict=True):
            # Weights of the channels add up to 0.9999, and whole numbers are cut off.
            np.testing.assert_allclose(
                found, wanted, atol=0.2, err_msg=f"{images.shape[3]} channels, {options}"
            )
