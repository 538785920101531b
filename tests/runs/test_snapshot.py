"""The snapshot: what a run was made of."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from sleap_lab.runs import snapshot
from sleap_lab.runs.snapshot import (
    config_hash,
    device_facts,
    environment,
    file_facts,
    flatten,
    git_state,
    model_files,
    write_snapshot,
)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def checkout(tmp_path):
    """A git checkout with one committed file in a package folder."""
    package = tmp_path / "checkout" / "package"
    package.mkdir(parents=True)
    (package / "code.py").write_text("x = 1\n")
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for arguments in (
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        [*identity, "commit", "-q", "-m", "Begin"],
    ):
        subprocess.run(["git", *arguments], cwd=package.parent, check=True)
    return package


def test_a_snapshot_holds_everything(tmp_path):
    model = tmp_path / "unet"
    model.mkdir()
    (model / "best.ckpt").write_bytes(b"weights")
    (model / "training_config.yaml").write_bytes(b"a: 1")
    (model / "training_log.csv").write_bytes(b"decides nothing")
    (tmp_path / "video.mp4").write_bytes(b"frames")
    config = {"data": {"path": "video.mp4"}, "tracker": {"max_tracks": None}}
    command = ["sleap-lab", 'data.path="a b=c.mp4"', "it's"]
    write_snapshot(
        tmp_path / "run",
        config=config,
        overrides=['data.path="a b=c.mp4"'],
        command=command,
        inputs={
            "data.path": tmp_path / "video.mp4",
            "evaluator.ground_truth_path": tmp_path / "missing.slp",
        },
        models=[model],
        device="cpu",
        videos=[{"video": "a.mp4", "decoder": "PyAV", "frames": 6}],
    )
    folder = tmp_path / "run" / "snapshot"
    assert {path.name for path in folder.iterdir()} - {"dirty.patch"} == {
        *(
            "config.yaml",
            "overrides.yaml",
            "command.txt",
            "packages.json",
            "git.json",
            "hashes.json",
            "device.json",
            "videos.json",
        )
    }
    assert yaml.safe_load((folder / "config.yaml").read_text()) == config
    assert yaml.safe_load((folder / "overrides.yaml").read_text()) == ['data.path="a b=c.mp4"']
    assert shlex.split((folder / "command.txt").read_text()) == command
    assert json.loads((folder / "device.json").read_text())["device"] == "cpu"
    assert json.loads((folder / "videos.json").read_text()) == [
        {"video": "a.mp4", "decoder": "PyAV", "frames": 6}
    ]
    hashes = json.loads((folder / "hashes.json").read_text())
    stamps = [facts.pop("stamp") for facts in [*hashes["inputs"].values(), *hashes["models"]]]
    assert stamps[1] is None
    assert len(set(stamps)) == 4
    assert hashes == {
        "inputs": {
            "data.path": {
                "path": str(tmp_path / "video.mp4"),
                "sha256": sha256(b"frames"),
                "size": 6,
            },
            "evaluator.ground_truth_path": {
                "path": str(tmp_path / "missing.slp"),
                "sha256": None,
                "size": None,
            },
        },
        "models": [
            {"path": str(model / "best.ckpt"), "sha256": sha256(b"weights"), "size": 7},
            {"path": str(model / "training_config.yaml"), "sha256": sha256(b"a: 1"), "size": 4},
        ],
    }


def test_documents_are_read_back_by_their_kind(tmp_path):
    write_snapshot(
        tmp_path,
        config={"a": 1},
        overrides=[],
        command=["x", "y"],
        inputs={},
        models=[],
        device="cpu",
    )
    assert snapshot.read_document(tmp_path, "config.yaml") == {"a": 1}
    assert snapshot.read_document(tmp_path, "hashes.json") == {"inputs": {}, "models": []}
    assert snapshot.read_document(tmp_path, "command.txt") == "x y"
    assert snapshot.read_document(tmp_path, "absent.json") is None


def test_a_single_weight_file_stands_for_itself(tmp_path):
    assert model_files(tmp_path / "best.ckpt") == [tmp_path / "best.ckpt"]


def test_one_changed_byte_changes_the_hash_even_within_one_process(tmp_path):
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"weights")
    before = file_facts(path)["sha256"]
    path.write_bytes(b"weightS")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # file systems with coarse clocks
    assert (before, file_facts(path)["sha256"]) == (sha256(b"weights"), sha256(b"weightS"))


def test_content_that_takes_the_place_of_another_with_its_size_and_time_is_read(tmp_path):
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"weights")
    before, times = file_facts(path)["sha256"], path.stat()
    (tmp_path / "other").write_bytes(b"weightS")
    (tmp_path / "other").replace(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (before, file_facts(path)["sha256"]) == (sha256(b"weights"), sha256(b"weightS"))


def test_a_folder_is_hashed_by_names_and_contents(tmp_path):
    images = tmp_path / "images"
    (images / "sub").mkdir(parents=True)
    (images / "0.png").write_bytes(b"ab")
    (images / "sub" / "1.png").write_bytes(b"cde")
    before = file_facts(images)
    assert before["size"] == 2 + 3
    (images / "0.png").rename(images / "2.png")
    assert file_facts(images)["sha256"] != before["sha256"]


def test_the_environment_lists_versions():
    facts = environment()
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["numpy"] == __import__("numpy").__version__
    assert facts["cpu_count"] == os.cpu_count()


def test_a_device_without_a_card_names_the_processor():
    assert device_facts("mps")["device"] == "mps"
    assert device_facts("cpu")["processor"]


def test_a_card_is_named_with_its_memory(monkeypatch):
    card = SimpleNamespace(name="Big card", total_memory=8 * 2**30)
    cuda = SimpleNamespace(is_available=lambda: True, get_device_properties={"cuda:1": card}.get)
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="12.8"))
    )
    facts = device_facts("cuda:1")
    assert (
        facts.items()
        >= {"device": "cuda:1", "name": "Big card", "memory": 8 * 2**30, "cuda": "12.8"}.items()
    )


def test_a_clean_checkout_has_a_commit_and_no_patch(checkout):
    state, patch = git_state(checkout)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert state == {
        "commit": head,
        "branch": "trunk",
        "dirty": False,
        "untracked": [],
        "patch_is_whole": True,
    }
    assert patch == b""


def test_the_patch_of_a_dirty_checkout_restores_it(checkout, tmp_path):
    (checkout / "code.py").write_text("x = 2\n")
    state, patch = git_state(checkout)
    assert state["dirty"]
    subprocess.run(["git", "checkout", "-q", "."], cwd=checkout.parent, check=True)
    subprocess.run(["git", "apply", "-"], cwd=checkout.parent, check=True, input=patch)
    assert (checkout / "code.py").read_text() == "x = 2\n"


def test_a_new_file_alone_makes_a_checkout_dirty_without_a_patch(checkout):
    (checkout / "new.py").write_text("y = 1\n")
    state, patch = git_state(checkout)
    assert (state["dirty"], patch) == (True, b"")
    assert [Path(name).name for name in state["untracked"]] == ["new.py"]


def test_new_files_beside_the_source_leave_a_checkout_clean(checkout):
    """A folder to practise in, results, and notes are no code."""
    for name in ("practice/video.mp4", "outputs/predictions.slp", "conf/tracker/mice.yaml"):
        (checkout.parent / name).parent.mkdir(parents=True)
        (checkout.parent / name).touch()
    assert not git_state(checkout)[0]["dirty"]
    state, _ = git_state(checkout, checkout.parent / "conf")
    assert state["untracked"] == ["conf/tracker/mice.yaml"]


def test_a_patch_that_is_too_long_is_cut_and_says_so(checkout, monkeypatch):
    monkeypatch.setattr(snapshot, "MAX_PATCH_BYTES", 40)
    (checkout / "code.py").write_text("x = 2\n" * 100)
    state, patch = git_state(checkout)
    assert (state["patch_is_whole"], len(patch)) == (False, 40)


def test_a_package_that_merely_lies_in_a_checkout_has_no_commit(checkout):
    site_packages = checkout.parent / "venv" / "site-packages"
    site_packages.mkdir(parents=True)
    (site_packages / "installed.py").write_text("")
    assert git_state(site_packages) == (None, b"")


def test_no_checkout_no_commit_and_no_git_are_all_survived(tmp_path, monkeypatch):
    assert git_state(tmp_path) == (None, b"")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "code.py").write_text("")
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    assert git_state(tmp_path) == (None, b"")
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == (None, b"")


def test_variables_of_a_git_hook_do_not_lead_astray(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    assert git_state(checkout)[0]["branch"] == "trunk"


def test_flatten_joins_keys_by_dots():
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": None}) == {
        "a.b": 1,
        "a.c.d": [2],
        "e": None,
    }


CONFIG = {
    "data": {"path": "/here/a.mp4", "frames": "0-9"},
    "model": {"paths": ["/here/unet", "/here/centroid"]},
    "output": {"path": "/here/out.slp"},
    "logger": {"mlflow": False},
    "debug": False,
}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (
            {"data": {"frames": "0-9", "path": "/there/a.mp4"}},
            True,
        ),  # another folder, another order of keys
        ({"model": {"paths": ["/x/unet", "/y/centroid"]}}, True),
        (
            {"output": {"path": None}, "logger": {"mlflow": True}, "debug": True},
            True,
        ),  # where it goes and what is shown
        ({"data": {"path": "/here/b.mp4", "frames": "0-9"}}, False),  # another video
        ({"data": {"path": "/here/a.mp4", "frames": "0-8"}}, False),
        ({"model": {"paths": ["/here/centroid", "/here/unet"]}}, False),
    ],
)
def test_the_config_hash_is_that_of_the_settings(change, same):
    assert (config_hash(CONFIG) == config_hash(CONFIG | change)) == same
