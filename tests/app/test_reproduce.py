"""Reproduction of runs from their folder or from MLflow, with the real command."""

import json
import shutil
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import pytest

DEMO = Path(str(resources.files("sleap_lab.demo")))


@pytest.fixture
def reproduce(sleap_lab):
    """Return a function that reproduces a run; it returns the end, the messages and the receipt."""

    def reproduce(*words, cwd):
        before = set(cwd.glob("outputs/*/*/receipt.json"))
        ended = sleap_lab("reproduce", *words, cwd=cwd)
        receipts = set(cwd.glob("outputs/*/*/receipt.json")) - before
        told = dict(line.split("  ", 1) for line in ended.out.splitlines() if "  " in line)
        return SimpleNamespace(
            **vars(ended),
            told={name: value.strip() for name, value in told.items()},
            receipts=[json.loads(r.read_text()) for r in receipts],
        )

    return reproduce


def test_the_demo_gives_the_same_answer_again(finished, reproduce):
    """Takes seven seconds: the demo is run, and run again."""
    done = reproduce(str(finished.folder), cwd=finished.cwd)
    assert done.code == 0, done.err
    assert (done.told["verdict"], done.told["inputs"]) == ("identical", "6 unchanged")
    (receipt,) = done.receipts
    assert receipt["agrees"] is True
    assert {item["key"] for item in receipt["inputs"]} == {
        "data.path",
        "evaluator.ground_truth_path",
        "model.paths",
    }


def test_another_answer_ends_with_1(finished, reproduce, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    record = json.loads((folder / "run.json").read_text())
    record["metrics"]["identity/idf1"] -= 0.25
    (folder / "run.json").write_text(json.dumps(record))
    done = reproduce(str(folder), cwd=finished.cwd)
    assert (done.code, done.told["verdict"]) == (1, "differs")
    assert done.told["identity/idf1"].endswith(f"→ {finished.run['metrics']['identity/idf1']:.6g}")


def test_a_run_of_mlflow_is_repeated_after_its_folder_is_gone(
    finished, sleap_lab, reproduce, tmp_path
):
    words = [
        f"data.path={DEMO / 'truth.slp'}",
        "data.frames=0-3",
        "model=none",
        "tracker=fixed_window",
        "report=none",
    ]
    ended = sleap_lab(*words, f"hydra.run.dir='{tmp_path / 'run'}'", cwd=finished.cwd)
    assert ended.code == 0, ended.err
    run_id = json.loads((tmp_path / "run" / "run.json").read_text())["mlflow"]["run_id"]
    shutil.rmtree(tmp_path / "run")
    done = reproduce(run_id, cwd=finished.cwd)
    assert done.code == 0, done.err
    assert (done.told["verdict"], done.told["first run"], done.receipts[0]["first"]) == (
        "identical",
        run_id,
        run_id,
    )
    assert done.receipts[0]["predictions"]


def test_a_single_animal_is_found_again_from_another_folder(sleap_lab, reproduce, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    shutil.copy(DEMO / "single.mp4", here / "clip, 1.mp4")
    shutil.copytree(DEMO / "models" / "single_instance", here / "model")
    words = [
        "data.path='clip, 1.mp4'",
        "model.paths=[model]",
        "data.frames=0-1",
        "output.path=mine.slp",
        "logger=none",
        "report=none",
    ]
    ended = sleap_lab(*words, "hydra.run.dir=run", cwd=here)
    assert ended.code == 0, ended.err
    before = (here / "mine.slp").read_bytes()
    done = reproduce("../here/run", cwd=there)
    assert (done.code, done.told.get("verdict")) == (0, "identical"), done.err
    assert (here / "mine.slp").read_bytes() == before
    config = here / "model" / "training_config.yaml"
    config.write_text(config.read_text() + "\n")
    done = reproduce("../here/run", cwd=there)
    assert (done.code, done.receipts) == (1, [])
    assert done.told["changed"] == f"model.paths: {config}"
    assert "error: 1 of 3 inputs are missing or have changed" in done.err
