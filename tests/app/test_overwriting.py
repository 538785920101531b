"""Nothing of a person's is overwritten, whatever lies at a place and whatever is asked for."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab import run_inference
from sleap_lab.errors import ConfigError

SKELETON = sio.Skeleton(["a", "b"], edges=[("a", "b")])
POINTS = np.array([[10.0, 10.0], [20.0, 20.0]])


def instance(user=False, shift=0.0):
    points = POINTS + shift
    if user:
        return sio.Instance.from_numpy(points, skeleton=SKELETON)
    return sio.PredictedInstance.from_numpy(
        points, skeleton=SKELETON, point_scores=np.ones(2), score=0.9
    )


def labels(path, *, video="clip.mp4", frames=range(4), user=()):
    """Write labels with an instance per frame, of which some are a person's."""
    where = sio.Video(
        video, open_backend=False, backend_metadata={"shape": (50, 64, 64, 1), "type": "MediaVideo"}
    )
    found = [
        sio.LabeledFrame(video=where, frame_idx=i, instances=[instance(i in user, i)])
        for i in frames
    ]
    sio.Labels(labeled_frames=found, videos=[where], skeletons=[SKELETON]).save(
        str(path), embed=False, verbose=False
    )
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def held():
    """Return the content of every file below the working directory outside `outputs`."""
    return {
        digest(path) for path in Path().rglob("*") if path.is_file() and path.parts[0] != "outputs"
    }


@pytest.fixture
def track(call):
    """Return a function that tracks the poses of a file."""
    labels(Path("in.slp"))

    def track(*words, data="in.slp"):
        return call(
            f"data.path={data}",
            "model=none",
            "tracker=local_queues",
            "report=none",
            "logger=none",
            "cache=off",
            *words,
        )

    return track


def nothing(out, track):
    return None


def an_empty_file(out, track):
    out.touch()


def the_same_frames(out, track):
    assert track(f"output.path={out}", "tracker.tracking_window_size=7").code == 0


def fewer_frames(out, track):
    assert track(f"output.path={out}", "data.frames=0-1").code == 0


def frames_of_another_video(out, track):
    labels(Path("other.slp"), video="other.mp4")
    assert track(f"output.path={out}", data="other.slp").code == 0


def a_corrected_result(out, track):
    """A result of a run in which a person corrected a pose."""
    the_same_frames(out, track)
    found = sio.load_slp(str(out), open_videos=False)
    mine = sio.Instance.from_numpy(POINTS + 3, skeleton=found.skeleton)
    found.labeled_frames[0].instances.append(mine)
    found.save(str(out), embed=False, verbose=False)


def a_result_with_other_tracks(out, track):
    """A result of a run in which a person changed the tracks only."""
    the_same_frames(out, track)
    found = sio.load_slp(str(out), open_videos=False)
    found.labeled_frames[0].instances[0].track = sio.Track("mine")
    found.update()
    found.save(str(out), embed=False, verbose=False)


def bytes_in_a_result(out, track):
    the_same_frames(out, track)
    content = bytearray(out.read_bytes())
    content[-300] ^= 1
    out.write_bytes(bytes(content))


def a_persons_labels(out, track):
    labels(out, user=(0, 2))


def predictions_of_another_program(out, track):
    labels(out, frames=range(9))


def a_text(out, track):
    out.write_text("notes of a year\n")


def a_link_to_the_input(out, track):
    out.symlink_to(Path("in.slp").absolute())


def a_hard_link_to_the_input(out, track):
    os.link("in.slp", out)


def a_folder(out, track):
    out.mkdir()
    (out / "notes.txt").write_text("mine")


def a_protected_result(out, track):
    the_same_frames(out, track)
    out.chmod(0o444)


REPLACED, KEPT, REFUSED = "replaced", "kept", "refused"
LYING = {
    nothing: REPLACED,
    an_empty_file: REPLACED,
    the_same_frames: REPLACED,
    fewer_frames: KEPT,
    frames_of_another_video: KEPT,
    a_result_with_other_tracks: KEPT,
    a_corrected_result: REFUSED,
    bytes_in_a_result: REFUSED,
    a_persons_labels: REFUSED,
    predictions_of_another_program: REFUSED,
    a_text: REFUSED,
    a_link_to_the_input: REFUSED,
    a_hard_link_to_the_input: REFUSED,
    a_folder: REFUSED,
    **({} if os.geteuid() == 0 else {a_protected_result: REFUSED}),  # root may write anywhere
}


@pytest.mark.parametrize(("lying", "expected"), LYING.items())
@pytest.mark.parametrize("asked", ["output.path", "track -o", "track", "resumed"])
def test_what_lies_at_the_place_of_predictions(lying, expected, asked, track, call):
    out = Path("in.predictions.slp" if asked == "track" else "out.slp")
    lying(out, track)
    before = held()
    old = digest(out) if out.is_file() else None
    if asked in ("output.path", "resumed"):
        ended = track(f"output.path={out}")
        if asked == "resumed":  # the same command again changes nothing that is kept
            ended = track(f"output.path={out}")
    else:
        words = [] if asked == "track" else ["-o", str(out)]
        ended = call("track", "-i", "in.slp", "-t", *words, "cache=off")
    if expected == REFUSED:
        assert ended.code == 2
        assert "output.path: " in ended.err
        assert str(out) in ended.err
        assert held() == before
        assert not list(Path().glob("*.bak*"))
        return
    assert ended.code == 0
    found = sio.load_slp(str(out), open_videos=False)
    assert [frame.frame_idx for frame in found.labeled_frames] == [0, 1, 2, 3]
    kept = [digest(path) for path in Path().glob("*.bak*")]
    assert kept == ([old] if expected == KEPT else [])
    if expected == KEPT and asked != "resumed":
        assert f"it is kept as {out.name}.bak" in " ".join(ended.err.split())
    lost = before - held() - ({old} if expected == REPLACED else set())
    assert not lost


def test_a_refusal_says_what_is_there_and_what_to_do(track):
    labels(Path("mine.slp"), user=(0, 2))
    ended = track("output.path=mine.slp")
    assert ended.err == (
        f"error: output.path: {Path('mine.slp').absolute()} holds 2 user-labelled instances, "
        "2 predicted instances in 4 frames, and no run wrote it; nothing was overwritten. "
        "Accepted: choose another place, or move this file away\n"
    )
    assert not Path("outputs").exists()


def test_what_is_kept_never_takes_the_place_of_what_was_kept_before(track):
    Path("out.slp.bak").write_text("the best so far")
    for frames in ("0-1", "1-2", "2-3"):
        assert track("output.path=out.slp", f"data.frames={frames}").code == 0
    assert sorted(path.name for path in Path().glob("out.slp*")) == [
        "out.slp",
        "out.slp.bak",
        "out.slp.bak2",
        "out.slp.bak3",
    ]
    assert Path("out.slp.bak").read_text() == "the best so far"
    for name, first in (("out.slp.bak2", 0), ("out.slp.bak3", 1), ("out.slp", 2)):
        shutil.copy(name, "seen.slp")
        found = sio.load_slp("seen.slp", open_videos=False)
        assert found.labeled_frames[0].frame_idx == first


FORMATS = "[slp,csv,analysis_h5,nwb,coco]"
SUFFIXES = (".csv", ".analysis.h5", ".nwb", ".coco.json")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_every_format_are_refused_where_a_person_has_one(track, suffix):
    mine = Path(f"out{suffix}")
    mine.write_text("animal,weight\n1,20\n")
    ended = track("output.path=out.slp", f"output.formats={FORMATS}")
    assert ended.code == 2
    assert f"{mine} holds 19 bytes, and no run wrote it" in ended.err
    assert mine.read_text() == "animal,weight\n1,20\n"
    assert not Path("out.slp").exists()


def test_files_of_every_format_make_room_for_the_same_frames_and_are_kept_otherwise(track):
    words = ("output.path=out.slp", f"output.formats={FORMATS}")
    assert track(*words, "data.frames=0-1").code == 0
    first = {path.name: digest(path) for path in Path().glob("out.*")}
    assert len(first) == 5
    assert track(*words, "data.frames=0-1").code == 0
    assert not list(Path().glob("*.bak*"))
    first["out.nwb"] = digest(Path("out.nwb"))  # it holds the time of its making
    assert track(*words).code == 0
    assert {path.name: digest(path) for path in Path().glob("*.bak")} == {
        f"{name}.bak": content for name, content in first.items()
    }


def test_metrics_are_refused_or_kept_in_the_same_way(track):
    labels(Path("truth.slp"), user=range(4))
    words = (
        "evaluator=oks",
        "evaluator.ground_truth_path=truth.slp",
        "evaluator.save_metrics=m.npz",
    )
    assert track(*words, "data.frames=0-1").code == 0
    first = {path.name: digest(path) for path in Path().glob("m.*")}
    assert len(first) == 5
    assert track(*words, "data.frames=0-1").code == 0
    assert not list(Path().glob("*.bak*"))
    assert track(*words).code == 0
    assert {path.name: digest(path) for path in Path().glob("*.bak")} == {
        f"{name}.bak": content for name, content in first.items()
    }
    Path("m.csv").write_text("animal,weight\n1,20\n")
    ended = track(*words)
    assert (ended.code, Path("m.csv").read_text()) == (2, "animal,weight\n1,20\n")
    assert "evaluator.save_metrics: " in ended.err


def test_two_jobs_never_write_one_file(track):
    Path("link").symlink_to(".", target_is_directory=True)
    ended = track("-m", "output.path=out.slp,link/out.slp")
    assert ended.code == 2
    assert "output.path: several jobs of the sweep would write" in ended.err


def test_jobs_of_a_sweep_are_refused_before_the_first(track):
    a_persons_labels(Path("b.slp"), track)
    before = held()
    assert track("-m", "output.path=a.slp,b.slp").code == 2
    assert held() == before
    assert not Path("outputs").exists()


def test_run_folders_that_a_user_chose_are_refused_where_files_of_a_person_lie(track):
    Path("lab").mkdir()
    for name in ("predictions.slp", "report.html", "metrics.csv", "snapshot/notes.txt"):
        mine = Path("lab", name)
        mine.parent.mkdir(exist_ok=True)
        mine.write_text("mine")
        for _ in range(2):
            ended = track("hydra.run.dir=lab")
            assert ended.code == 2
            assert f"hydra.run.dir: lab holds {mine.parts[1]}, which a run there" in ended.err
        ended = track("-m", "hydra.sweep.dir=.", "hydra.sweep.subdir=lab")
        assert (ended.code, mine.read_text()) == (2, "mine")
        mine.unlink()
        if mine.parent.name != "lab":
            mine.parent.rmdir()
    Path("lab/notes.txt").write_text("mine")
    assert track("hydra.run.dir=lab").code == 0
    assert Path("lab/notes.txt").read_text() == "mine"


def test_python_has_the_same_rule(track):
    out = Path("out.slp")
    run = {"data_path": "in.slp", "tracking": True, "output_path": "out.slp"}
    run_inference(**run, frames=[0, 1])
    with pytest.warns(UserWarning, match=r"is kept as out\.slp\.bak"):
        run_inference(**run)
    run_inference(**run)
    assert sorted(path.name for path in Path().glob("out.*")) == ["out.slp", "out.slp.bak"]
    with pytest.raises(ConfigError, match=r"is the file that data\.path reads"):
        run_inference(
            input_labels=sio.load_slp("out.slp", open_videos=False),
            tracking=True,
            output_path="out.slp",
        )
    out.unlink()
    labels(out, user=(1,))
    before = held()
    with pytest.raises(ConfigError, match="holds 1 user-labelled instance,"):
        run_inference(**run)
    assert held() == before
