"""`track` and `eval` with sleap-nn's own flags: usual commands, odd file names, printed output."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab import Evaluator, load_metrics, run_inference
from sleap_lab.media.labels import read_labels, to_poses

ODD_NAMES = [
    "two words", "a=b, [1] {2} (3)", "#a@b 100% ü", "it's \"a\" \\ back\\slash", "end\\",
    "${x} $HOME", "~a:b&c;d|*?!", "-a", "null", " a ",
]  # fmt: skip


@pytest.fixture
def place(demo, tmp_path):
    """Return a function that links the clip and its models in a folder of the working directory."""

    def place(name="."):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for source, target in zip(
            [demo.clip, *demo.models], ["video.mp4", "centroid", "centered"], strict=True
        ):
            (folder / target).symlink_to(source)
        return Path(name)

    return place


@pytest.fixture(scope="module")
def tracked(demo, sleap_lab, tmp_path_factory):
    """Predictions of the first frames of the clip, as a `.slp` file."""
    cwd = tmp_path_factory.mktemp("tracked")
    models = [word for model in demo.models for word in ("-m", str(model))]
    ended = sleap_lab(
        "track",
        "-i",
        str(demo.clip),
        *models,
        "-o",
        "predictions.slp",
        "--frames",
        "0-5",
        "-t",
        cwd=cwd,
    )
    assert ended.code == 0, ended.err
    return cwd / "predictions.slp"


def frames_of(path):
    return [frame.frame_idx for frame in read_labels(path)]


def same(one, other):
    a, b = to_poses(read_labels(one)), to_poses(read_labels(other))
    np.testing.assert_array_equal(a.points, b.points)
    np.testing.assert_array_equal(a.tracks, b.tracks)
    np.testing.assert_array_equal(a.frames, b.frames)


# --- the founding page's examples -------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "frames"),
    [
        (
            "--data_path video.mp4 --model_paths centroid/ --model_paths centered/ --frames 0-1",
            [0, 1],
        ),
        (
            "--data_path video.mp4 --model_paths centroid/ --model_paths centered/ --frames 0-1 "
            "--device cpu",
            [0, 1],
        ),
        (
            '--data_path video.mp4 --frames "0-1,4-5" --model_paths centroid '
            "--model_paths centered",
            [0, 1, 4, 5],
        ),
        (
            "--data_path video.mp4 --frames 0,3 -m centroid/best.ckpt "
            "-m centered/training_config.yaml",
            [0, 3],
        ),
        (
            "--data-path video.mp4 --frames 2 --model-paths centered --model-paths centroid "
            "--max-instances 2",
            [2],
        ),
        (
            "-i video.mp4 -m centroid -m centered -t --candidates_method fixed_window "
            "--tracking_window_size 10 --frames 0-2",
            [0, 1, 2],
        ),
        (
            "-i video.mp4 -m centroid -m centered -t --candidates-method local_queues "
            "--tracking-window-size 5 --frames 0-2",
            [0, 1, 2],
        ),
        ("-i video.mp4 -m centroid -m centered -t --use_flow --frames 0-2", [0, 1, 2]),
        (
            "-i video.mp4 -m centroid -m centered -b 2 -n 2 -d cpu -t --frames=0-2 "
            "--integral_refinement None",
            [0, 1, 2],
        ),
        ("-i labels.slp -t", [0, 1, 2, 3, 4, 5]),
        ("-i labels.slp -t --frames 0-3 --video_index 0", [0, 1, 2, 3]),
    ],
)
def test_examples_of_the_founding_page(flags, frames, call, place, tracked, tmp_path):
    place()
    (tmp_path / "labels.slp").symlink_to(tracked)
    ended = call("track", *shlex.split(flags), "-o", "out.slp")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("sleap-lab ")
    labels = read_labels("out.slp")
    assert [frame.frame_idx for frame in labels] == frames
    instances = [instance for frame in labels for instance in frame.instances]
    assert instances
    assert all((instance.track is not None) == ("-t" in flags.split()) for instance in instances)


def test_other_backbone_weights(call, demo):
    centroid, centered = demo.models
    flags = ["-i", demo.truth, "-m", centered, "--frames", "0"]
    for name, weights in (
        ("none", "None"),
        ("own", centered / "best.ckpt"),
        ("other", centroid / "best.ckpt"),
    ):
        ended = call("track", *flags, "-o", f"{name}.slp", "--backbone_ckpt_path", weights)
        assert ended.code == 0, ended.err
    same("own.slp", "none.slp")
    with pytest.raises(AssertionError):
        same("other.slp", "none.slp")


def test_eval(call, tracked, demo):
    flags = [
        "--ground_truth_path",
        demo.truth,
        "--predicted_path",
        tracked,
        "--save_metrics",
        "metrics.npz",
    ]
    ended = call("eval", *flags)
    assert ended.code == 0, ended.err
    assert "oks_stddev=0.05" in ended.out
    assert "user_labels_only=False" in ended.out
    metrics = load_metrics("metrics.npz")
    assert metrics["mOKS"]["mOKS"] > 0.9
    assert set(metrics) >= {
        "voc_metrics",
        "mOKS",
        "distance_metrics",
        "pck_metrics",
        "visibility_metrics",
    }
    short = call("eval", "-g", demo.truth, "-p", tracked, "-s", "again.npz")
    assert short.code == 0, short.err
    assert Path("again.npz").read_bytes() == Path("metrics.npz").read_bytes()


def test_the_same_from_python(place, monkeypatch, tmp_path, tracked, demo):
    monkeypatch.chdir(tmp_path)
    place()
    outputs = run_inference(
        data_path="video.mp4",
        model_paths=["centroid/", "centered/"],
        frames=[0, 1],
        make_labels=False,
        return_confmaps=True,
    )
    assert {"pred_instance_peaks", "pred_confmaps"} <= set(outputs[0])
    labels = run_inference(
        data_path="video.mp4",
        model_paths=["centroid/", "centered/"],
        frames="0-5",
        tracking=True,
        output_path="predictions.slp",
        make_labels=True,
    )
    assert isinstance(labels, sio.Labels)
    same("predictions.slp", tracked)
    metrics = Evaluator(sio.load_slp(str(demo.truth)), labels).evaluate()
    assert metrics["voc_metrics"]["oks_voc.mAP"] > 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "centered",
        "centroid",
        "predictions.slp",
        "video.mp4",
    ]


# --- where predictions go ---------------------------------------------------------------


def test_predictions_lie_beside_the_video_by_default(call, place):
    place("in")
    assert (
        call(
            "track", "-i", "in/video.mp4", "-m", "in/centroid", "-m", "in/centered", "--frames", "0"
        ).code
        == 0
    )
    assert frames_of("in/video.predictions.slp") == [0]
    assert sorted(path.name for path in Path().iterdir()) == ["in", "outputs"]
    (run,) = Path("outputs").glob("2*/*")
    assert {path.name for path in run.iterdir()} == {".hydra", "snapshot", "run.json", "run.log"}


def test_predictions_over_the_same_frames_are_replaced_as_a_whole(call, place):
    place()
    flags = ["-i", "video.mp4", "-m", "centroid", "-m", "centered", "-o", "out.slp"]
    assert call("track", *flags, "--frames", "0", "-n", "1").code == 0
    before = Path("out.slp").read_bytes()
    assert call("track", *flags, "--frames", "5000").code == 2
    assert Path("out.slp").read_bytes() == before
    assert call("track", *flags, "--frames", "0").code == 0
    assert frames_of("out.slp") == [0]
    assert Path("out.slp").read_bytes() != before
    assert sorted(path.name for path in Path().iterdir()) == [
        "centered",
        "centroid",
        "out.slp",
        "outputs",
        "video.mp4",
    ]


# --- the line that is printed -----------------------------------------------------------


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_printed_line_does_the_same_for_any_name(name, call, place):
    folder = place(name)
    video, models = folder / "video.mp4", [folder / "centroid", folder / "centered"]
    prefix = "./" if name.startswith("-") else ""
    first = call(
        "track", "-i", f"{prefix}{video}", "-m", models[0], "-m", models[1], "--frames", "0,2", "-t"
    )
    assert first.code == 0, first.err
    output = folder / "video.predictions.slp"
    output.rename("first.slp")
    program, *words = shlex.split(first.out.splitlines()[0])
    assert program == "sleap-lab"
    again = call(*words)
    assert again.code == 0, again.err
    assert frames_of(output) == [0, 2]
    same(output, "first.slp")


def test_the_printed_line_survives_a_shell(place, sleap_lab, tmp_path):
    folder = place(" ".join(ODD_NAMES))
    flags = [
        "-i",
        str(folder / "video.mp4"),
        "-m",
        str(folder / "centroid"),
        "-m",
        str(folder / "centered"),
        "--frames",
        "0",
    ]
    first = sleap_lab("track", *flags, cwd=tmp_path)
    assert first.code == 0, first.err
    output = tmp_path / folder / "video.predictions.slp"
    output.rename(tmp_path / "first.slp")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        ["bash", "-c", first.out.splitlines()[0]],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        check=True,
        capture_output=True,
    )
    same(output, tmp_path / "first.slp")
