"""Whether inputs, code, versions and machine are what they were."""

import hashlib
import json
import shutil
from types import SimpleNamespace

import pytest

from sleap_lab.errors import RunError
from sleap_lab.files.packages import BUILDS
from sleap_lab.runs import verify
from sleap_lab.runs.snapshot import environment, read_document, write_snapshot
from sleap_lab.runs.verify import (
    PATH_KEYS,
    changed_facts,
    check_inputs,
    present_facts,
    recorded_facts,
)
from sleap_lab.settings.config import keys


@pytest.fixture
def lab(tmp_path):
    """The inputs of a run and its snapshot.

    Inputs are labels with one video beside them and one elsewhere, a truth, and two models.
    """
    for name in (
        "a/labels.slp",
        "a/video.mp4",
        "b/other.mp4",
        "truth.slp",
        "models/one/best.ckpt",
        "models/two/best.ckpt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
    (tmp_path / "models/one/training_config.yaml").write_text("a: 1")
    then = {
        "data.path": str(tmp_path / "a/labels.slp"),
        "evaluator.ground_truth_path": str(tmp_path / "truth.slp"),
        "model.paths": [str(tmp_path / "models/one"), str(tmp_path / "models/two")],
        "model.backbone_ckpt_path": None,
        "model.head_ckpt_path": None,
    }
    inputs = {
        "data.path": tmp_path / "a/labels.slp",
        "data.path[0]": tmp_path / "a/video.mp4",
        "data.path[1]": tmp_path / "b/other.mp4",
        "evaluator.ground_truth_path": tmp_path / "truth.slp",
    }
    models = [tmp_path / "models" / name for name in ("one", "two")]
    write_snapshot(
        tmp_path / "run",
        config={},
        overrides=[],
        command=[],
        inputs=inputs,
        models=models,
        device="cpu",
    )

    def check(**now):
        found = check_inputs(
            read_document(tmp_path / "run", "hashes.json"),
            then,
            then | {key.replace("__", "."): v for key, v in now.items()},
        )
        return [
            (item.key, item.path.relative_to(tmp_path).as_posix(), item.status)
            for item in found
            if item.status != "unchanged"
        ]

    return SimpleNamespace(folder=tmp_path, check=check)


def test_what_is_as_it_was_is_unchanged(lab):
    assert lab.check() == []


def test_content_counts_and_not_time(lab):
    (lab.folder / "truth.slp").write_text("content of truth.slp")
    assert lab.check() == []
    (lab.folder / "truth.slp").write_text("content of truth.slP")
    assert lab.check() == [("evaluator.ground_truth_path", "truth.slp", "changed")]


def test_what_is_gone_is_missing_and_what_was_missing_already_is_not(lab):
    (lab.folder / "b/other.mp4").unlink()
    assert lab.check() == [("data.path[1]", "b/other.mp4", "missing")]
    lost = {
        "inputs": {
            "data.path": {"path": str(lab.folder / "nowhere"), "sha256": None, "size": None}
        },
        "models": [],
    }
    assert [item.status for item in check_inputs(lost, {}, {})] == ["unchanged"]


def test_a_file_of_a_model_that_was_not_there_is_new(lab):
    (lab.folder / "models/two/training_config.yaml").write_text("b: 2")
    (lab.folder / "models/two/notes.txt").write_text("decides nothing")
    assert lab.check() == [("model.paths", "models/two/training_config.yaml", "new")]


def test_folders_of_models_may_move(lab):
    shutil.move(lab.folder / "models/one", lab.folder / "moved")
    assert {status for *_, status in lab.check()} == {"missing"}
    paths = [str(lab.folder / "moved"), str(lab.folder / "models/two")]
    assert lab.check(model__paths=paths) == [
        ("model.paths", "moved/best.ckpt", "moved"),
        ("model.paths", "moved/training_config.yaml", "moved"),
    ]
    (lab.folder / "moved/best.ckpt").write_text("trained on")
    assert lab.check(model__paths=paths)[0] == ("model.paths", "moved/best.ckpt", "changed")
    assert {
        status for *_, status in lab.check(model__paths=[str(lab.folder / "models/two")] * 2)
    } == {"missing", "changed"}


def test_videos_may_move_with_their_labels(lab):
    (lab.folder / "c").mkdir()
    shutil.move(lab.folder / "a/labels.slp", lab.folder / "c/labels.slp")
    new = str(lab.folder / "c/labels.slp")
    # The labels still name the video where it was.
    assert lab.check(data__path=new) == [("data.path", "c/labels.slp", "moved")]
    shutil.move(lab.folder / "a/video.mp4", lab.folder / "c/video.mp4")
    assert lab.check(data__path=new) == [
        ("data.path", "c/labels.slp", "moved"),
        ("data.path[0]", "c/video.mp4", "moved"),
    ]


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("x/*.mp4", "y/*.mp4"),
        ("x", "y"),
        ("x/all.txt", "y/all.txt"),
        (["x/1.mp4", "x/2.mp4"], ["y/1.mp4", "y/2.mp4"]),
    ],
    ids=["glob", "folder", "manifest", "list"],
)
def test_many_videos_may_move(tmp_path, then, now):
    for folder in "xy":
        (tmp_path / folder).mkdir()
        for name in ("1.mp4", "2.mp4"):
            (tmp_path / folder / name).write_text(name)

    def absolute(value):
        return (
            [str(tmp_path / item) for item in value]
            if isinstance(value, list)
            else str(tmp_path / value)
        )

    write_snapshot(
        tmp_path, config={}, overrides=[], command=[], models=[], device="",
        inputs={f"data.path[{i}]": tmp_path / "x" / f"{i + 1}.mp4" for i in range(2)},
    )  # fmt: skip
    hashes = read_document(tmp_path, "hashes.json")
    found = check_inputs(hashes, {"data.path": absolute(then)}, {"data.path": absolute(now)})
    assert [(item.path.relative_to(tmp_path).as_posix(), item.status) for item in found] == [
        ("y/1.mp4", "moved"),
        ("y/2.mp4", "moved"),
    ]


def test_changed_inputs_are_those_that_hold_something_else(lab):
    run = lab.folder / "run"
    assert verify.changed_inputs(run, verify.Present()) == []
    (lab.folder / "b/other.mp4").write_text("something else")
    (lab.folder / "truth.slp").touch()
    (lab.folder / "models/two/best.ckpt").unlink()
    assert verify.changed_inputs(run, verify.Present()) == [
        lab.folder / "b/other.mp4",
        lab.folder / "models/two/best.ckpt",
    ]


@pytest.fixture
def images(tmp_path):
    """A folder of images with one note, and two runs that have read it."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("0.png", "1.png", "notes.txt"):
        (folder / name).write_text(name)
    for run in ("run", "again"):
        write_snapshot(
            tmp_path / run,
            config={},
            overrides=[],
            command=[],
            inputs={"data.path": folder},
            models=[],
            device="cpu",
        )
    return folder


def test_only_recordings_of_a_folder_are_inputs(images, tmp_path):
    """What file managers and runs write beside images made a sweep begin anew."""

    def changed():
        hashes = read_document(tmp_path / "run", "hashes.json")
        now = {"data.path": str(images)}
        statuses = [item.status for item in check_inputs(hashes, now, now)]
        return verify.changed_inputs(tmp_path / "run", verify.Present()), statuses

    (images / ".DS_Store").write_text("a window")
    (images / "predictions.slp").write_text("poses")
    (images / "notes.txt").write_text("another note")
    (images / "outputs").mkdir()
    (images / "outputs/2.png").write_text("a figure")
    assert changed() == ([], ["unchanged"])
    (images / "2.png").write_text("2.png")
    assert changed() == ([images], ["changed"])
    (images / "2.png").unlink()
    (images / "1.png").write_text("!.png")
    assert changed() == ([images], ["changed"])


def test_inputs_that_runs_share_are_looked_at_once(images, tmp_path, monkeypatch):
    """A sweep of a thousand jobs looks once at a folder of a hundred thousand images."""
    looks = []
    for name in ("file_stamp", "file_facts"):
        look = getattr(verify, name)

        def noted(path, counting=None, name=name, look=look):
            looks.append((name, path))
            return look(path, counting)

        monkeypatch.setattr(verify, name, noted)
    (images / "0.png").touch()
    present = verify.Present()
    assert [verify.changed_inputs(tmp_path / run, present) for run in ("run", "again")] == [[], []]
    assert looks == [("file_stamp", images), ("file_facts", images)]


def test_a_run_without_a_snapshot_has_no_inputs(tmp_path):
    assert verify.changed_inputs(tmp_path, verify.Present()) == []


@pytest.mark.parametrize("content", ["[]", '{"inputs": {"data.path": {}}, "models": []}'])
def test_a_snapshot_without_hashes_is_refused(lab, content):
    (lab.folder / "run/snapshot/hashes.json").write_text(content)
    with pytest.raises(RunError, match=r"run: hashes\.json is not what a snapshot holds"):
        verify.changed_inputs(lab.folder / "run", verify.Present())


def test_paths_are_those_of_the_config():
    reads = {name for name, field in keys().items() if field.metadata["path"]} - {
        "output.path",
        "evaluator.save_metrics",
        "cache_dir",
        "cache_seeds",
    }
    assert set(PATH_KEYS) == reads


# --- code, versions, machine ------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    write_snapshot(
        tmp_path, config={}, overrides=[], command=[], inputs={}, models=[], device="cpu"
    )
    return tmp_path


def test_nothing_differs_at_once(folder):
    assert changed_facts(recorded_facts(folder), present_facts("cpu")) == []


OPENCV = sorted(BUILDS["opencv-python"], key=lambda name: name not in environment()["packages"])
"""The build of OpenCV that is installed, then the other."""


def test_versions_code_and_machine_count(folder):
    def edit(name, change):
        path = folder / "snapshot" / name
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))

    edit("packages.json", lambda d: d["packages"].update({OPENCV[1]: d["packages"].pop(OPENCV[0])}))
    assert (
        changed_facts(recorded_facts(folder), present_facts("cpu")) == []
    )  # another build of the same version
    edit(
        "packages.json",
        lambda d: (
            d["packages"].update({"numpy": "1.0", "trackeval": "0.1", OPENCV[1]: "1"}),
            d.update(python="3.0.0"),
        ),
    )
    edit("device.json", lambda d: d.update(device="cuda:0", name="Big card"))
    facts = {
        fact.name: fact for fact in changed_facts(recorded_facts(folder), present_facts("cpu"))
    }
    assert set(facts) == {"numpy", "trackeval", "opencv-python", "python", "device", "card"}
    assert (facts["numpy"].then, facts["device"].now, facts["card"].now) == ("1.0", "cpu", "none")


def test_the_code_is_its_commit_its_changes_and_its_new_files(folder, monkeypatch):
    git = {"commit": "0123456789abcdef", "untracked": []}
    (folder / "snapshot" / "git.json").write_text(json.dumps(git))
    (folder / "snapshot" / "dirty.patch").unlink(missing_ok=True)
    assert recorded_facts(folder)["commit"] == "0123456789ab"
    (folder / "snapshot" / "dirty.patch").write_bytes(b"+x")
    (folder / "snapshot" / "git.json").write_text(json.dumps(git | {"untracked": ["a", "b"]}))
    assert (
        recorded_facts(folder)["commit"]
        == f"0123456789ab, changed ({hashlib.sha256(b'+x').hexdigest()[:8]}), 2 new files"
    )
    monkeypatch.setattr(verify, "git_state", lambda *sources: (git, b"+y"))
    (fact,) = changed_facts(recorded_facts(folder), present_facts("cpu"))
    assert fact.now.startswith("0123456789ab, changed (")


def test_threads_of_a_library_that_was_not_loaded_say_nothing():
    assert changed_facts({"threads": "4"}, {}) == []
    assert changed_facts({}, {"threads": "4"}) == []
    assert changed_facts({"threads": "4"}, {"threads": "2"}) == [("threads", "4", "2")]
