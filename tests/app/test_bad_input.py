"""Wrong input of users: one line that names the key or the file, an exit code, no traceback."""

import json
from pathlib import Path

import pytest
import yaml

from sleap_lab.media.labels import read_labels

TOPDOWN = "model.paths=[centroid,centered]"
TRACKED = "data.path=truth.slp model=none tracker=fixed_window"
EVALUATED = "data.path=truth.slp model=none evaluator=oks"


@pytest.fixture
def lab(call, demo, tmp_path, training_config, legacy_config, make_labels, video_path):
    """A working directory with the demo, and with misleading and broken files."""
    for source, name in (
        (demo.clip, "video.mp4"),
        (demo.truth, "truth.slp"),
        *zip(demo.models, ("centroid", "centered"), strict=True),
    ):
        (tmp_path / name).symlink_to(source)
    for name in ("text.mp4", "text.slp", "text.txt", "text.xyz"):
        (tmp_path / name).write_text("this is text")
    for name in ("empty", "bottomup", "torn", "legacy"):
        (tmp_path / name).mkdir()
    (tmp_path / "bottomup" / "training_config.yaml").write_text(
        yaml.safe_dump(training_config("bottomup"))
    )
    (tmp_path / "torn" / "training_config.yaml").write_text(
        yaml.safe_dump(training_config("single_instance"))
    )
    (tmp_path / "torn" / "best.ckpt").write_bytes(b"PK half a checkpoint")
    (tmp_path / "legacy" / "training_config.json").write_text(
        json.dumps(legacy_config("single_instance"))
    )
    (tmp_path / "legacy" / "best_model.h5").write_bytes(b"\x89HDF half a model")
    make_labels([video_path], user=[(0, 0, [[1, 1], [2, 2], [3, 3]])]).save(
        str(tmp_path / "other.slp"), verbose=False
    )
    return call


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        # data
        (f"data.path=missing.mp4 {TOPDOWN}", 2, "data.path: no such file: "),
        (f"data.path=text.mp4 {TOPDOWN}", 1, "text.mp4 cannot be read as a video"),
        (f"data.path=text.xyz {TOPDOWN}", 1, "text.xyz cannot be read as a video"),
        (f"data.path=text.txt {TOPDOWN}", 2, "this is text (line 1 of "),
        (f"data.path=empty {TOPDOWN}", 2, "empty holds no video and no image (.mp4, "),
        (f"data.path=empty/*.mp4 {TOPDOWN}", 2, "data.path: no video, image or .slp file matches "),
        (f"data.path=[video.mp4,missing.mp4] {TOPDOWN}", 2, "data.path: no such file: "),
        (
            f"data.path=[video.mp4,truth.slp] {TOPDOWN}",
            2,
            "truth.slp stands beside 1 others; a .slp file is given alone",
        ),
        (f"data.path=[] {TOPDOWN}", 2, "data.path: the list is empty"),
        # What was typed is a name.
        (f"data.path=[video.mp4,3.5] {TOPDOWN}", 2, "data.path: no such file: "),
        (
            f"data.path=video.mp4 {TOPDOWN} data.video_index=1",
            2,
            "video.mp4 has no video 1; accepted: 0-0",
        ),
        (
            f"data.path=video.mp4 {TOPDOWN} data.video_dataset=images",
            2,
            "data.video_dataset: only for HDF5 videos",
        ),
        (f"data.path=text.slp {TOPDOWN}", 1, "text.slp: not a readable SLEAP labels file"),
        (f"data.path=truth.slp {TOPDOWN} data.video_index=3", 2, "data.video_index: "),
        (
            "data.path=video.mp4 model=none tracker=fixed_window",
            2,
            "data.path: without a model it must be a .slp file, got ",
        ),
        (TOPDOWN, 2, "data.path: give a video or a .slp file"),
        # frames
        (
            f"data.path=video.mp4 {TOPDOWN} data.frames=5000",
            2,
            "data.frames: frame 5000 is out of range",
        ),
        (
            f"data.path=truth.slp {TOPDOWN} data.frames=5000",
            2,
            "data.frames: position 5000 is out of range",
        ),
        (f"data.path=video.mp4 {TOPDOWN} data.frames=a-b", 2, "data.frames: cannot read 'a-b'"),
        (
            f"data.path=video.mp4 {TOPDOWN} data.frames=9-3",
            2,
            "data.frames: the range '9-3' in '9-3' is empty",
        ),
        (
            f"data.path=truth.slp {TOPDOWN} data.only_suggested_frames=true",
            2,
            "the selection holds no frame of ",
        ),
        (
            f"data.path=video.mp4 {TOPDOWN} data.only_labeled_frames=true",
            2,
            "data.only_labeled_frames: only for .slp files",
        ),
        # models
        ("data.path=video.mp4", 2, "model.paths: give the model folders"),
        ("data.path=video.mp4 model.paths=[nowhere]", 2, "model.paths: no such model folder: "),
        (
            "data.path=video.mp4 model.paths=[empty]",
            2,
            "empty is not a model folder: it holds no training_config.yaml",
        ),
        ("data.path=video.mp4 model.paths=[torn]", 1, "best.ckpt"),
        ("data.path=video.mp4 model.paths=[bottomup]", 1, "best.ckpt"),
        (
            "data.path=video.mp4 model.paths=[legacy]",
            1,
            "best_model.h5: not a readable Keras model: ",
        ),
        (
            "data.path=video.mp4 model.paths=[legacy] model.head_ckpt_path=torn/best.ckpt",
            2,
            "model.head_ckpt_path: ",
        ),
        (
            f"data.path=video.mp4 {TOPDOWN} model.integral_refinement=offsets",
            2,
            "model.integral_refinement: got 'offsets', but ",
        ),
        ("data.path=video.mp4 model.paths=[centroid,centroid]", 2, "centroid (centroid), "),
        (
            "data.path=video.mp4 model.paths=[centered,bottomup]",
            2,
            "centered (centered_instance), ",
        ),
        (
            "data.path=video.mp4 model.paths=[centered,bottomup]",
            2,
            "bottomup (bottomup); accepted: ",
        ),
        (
            "data.path=video.mp4 model.paths=[centroid] model=topdown",
            2,
            "model.kind: topdown was asked for, but the models make up centroid",
        ),
        (
            "data.path=video.mp4 model.paths=[centered]",
            2,
            "model.paths: a centered_instance model without a centroid model needs",
        ),
        (
            f"{TRACKED} model.paths=[centroid]",
            2,
            "model.kind: none was asked for, but model.paths is given",
        ),
        ("data.path=truth.slp model=none", 2, "model=none leaves nothing to do"),
        (
            f"data.path=video.mp4 {TOPDOWN} runtime.device=cuda:77",
            2,
            "runtime.device: 'cuda:77' is not available here; accepted: auto, cpu",
        ),
        (f"data.path=video.mp4 {TOPDOWN} preprocessing.anchor_part=nse", 2, "Did you mean 'nose'?"),
        # tracking
        (
            f"{TRACKED} tracker.features=centroids",
            2,
            "tracker.scoring_method=oks cannot compare tracker.features=centroids",
        ),
        (
            f"{TRACKED} tracker.post_connect_single_breaks=true",
            2,
            "tracker.tracking_target_instance_count",
        ),
        # evaluation
        (EVALUATED, 2, "evaluator.ground_truth_path: give the .slp file with the ground truth"),
        (
            f"{EVALUATED} evaluator.ground_truth_path=nowhere.slp",
            2,
            "evaluator.ground_truth_path: no such file: ",
        ),
        (
            f"{EVALUATED} evaluator.ground_truth_path=text.slp",
            1,
            "text.slp: not a readable SLEAP labels file",
        ),
        (f"{EVALUATED} evaluator.ground_truth_path=other.slp", 2, "nose"),
        (
            f"data.path=video.mp4 {TOPDOWN} evaluator=oks evaluator.ground_truth_path=other.slp",
            2,
            "nose",
        ),
        (
            f"{TRACKED} evaluator.ground_truth_path=truth.slp",
            2,
            "evaluator.ground_truth_path is given, but nothing is evaluated",
        ),
        # output
        (f"{TRACKED} output.path=truth.slp", 2, "output.path: "),
        (
            f"{TRACKED} output.path=text.txt/out.slp",
            2,
            "text.txt is not a folder that can be written to",
        ),
        (f"{TRACKED} output.path=empty", 2, "empty exists and is not a file"),
        (f"{TRACKED} output.path=/dev/null", 2, "/dev/null exists and is not a file"),
        # keys, options and values
        (
            f"{TRACKED} tracker.windw=3",
            2,
            "tracker.windw: there is no such key. Did you mean 'tracker.tracking_window_size'?",
        ),
        (
            f"{TRACKED} +tracker.windw=3",
            2,
            "tracker.windw: there is no such key. Did you mean 'tracker.tracking_window_size'?",
        ),
        (
            f"{TRACKED} hydra.rn.dir=x",
            2,
            "hydra.rn: there is no such key. Did you mean 'hydra.run'?",
        ),
        (f"{TRACKED} tracker=local_queue", 2, "tracker=local_queue: there is no such option; "),
        (f"{TRACKED} --verbos", 2, "--verbos: there is no such option"),
        (f"{TRACKED} tracker.tracking_window_size=many", 2, "tracker.tracking_window_size: "),
        (f"{TRACKED} tracker.max_tracks=1.5", 2, "tracker.max_tracks: "),
        # flags
        (
            "track -i video.mp4 -m centroid -m centered --featurs keypoints",
            2,
            "--featurs: there is no such flag. Did you mean '--features'?",
        ),
        (
            "track -i video.mp4 -m centroid -m centered --features pixels -t",
            2,
            "tracker.features: got 'pixels'; accepted: keypoints, ",
        ),
        ("track -i video.mp4 -m centroid -m centered -b none", 2, "runtime.batch_size: "),
        ("track -i video.mp4 -m nowhere", 2, "model.paths: no such model folder: "),
        ("track -i video.mp4 -t", 2, "data.path: without a model it must be a .slp file, got "),
        ("eval -g truth.slp -p nowhere.slp", 2, "data.path: no such file: "),
        ("eval -g other.slp -p truth.slp", 2, "nose"),
    ],
)
def test_bad_input_is_refused_in_one_line(lab, words, code, says):
    own = [] if words.startswith(("track", "eval")) else ["logger=none", "report=none"]
    ended = lab(*words.split(), *own)
    lines = ended.err.splitlines()
    assert ended.code == code
    assert lines[-1].startswith("error: ")
    assert says in lines[-1]
    assert [line for line in lines if line.startswith("error: ")] == lines  # nothing but that line
    assert not Path("predictions.slp").exists()


def test_nothing_found_is_said_loudly(lab):
    ended = lab(
        "data.path=video.mp4",
        TOPDOWN,
        "data.frames=0-2",
        "model.peak_threshold=5",
        "logger=none",
        "report=none",
    )
    assert ended.code == 0
    assert (
        "warning: 3 of 3 frames have no instance. In 3 that were looked at, the highest "
        in ended.err
    )
    (predictions,) = Path("outputs").glob("*/*/predictions.slp")
    assert [len(frame.instances) for frame in read_labels(predictions)] == [0, 0, 0]
