"""What the reader of a report may do next."""

from types import SimpleNamespace

import pytest

from sleap_lab.runs.next_steps import next_steps
from sleap_lab.settings.config import Config


@pytest.fixture
def run(tmp_path):
    (tmp_path / "a run").mkdir()
    invocation = SimpleNamespace(command=["sleap-lab", "data.path=a b.mp4"])
    return SimpleNamespace(config=Config(), folder=tmp_path / "a run", invocation=invocation)


def commands(steps):
    return [step.command for step in steps if step.command]


def test_files_that_are_there_are_named(run):
    (run.folder / "predictions.slp").touch()
    assert [
        step.file for step in next_steps(run, evaluated=True, tracked=False, animals=1) if step.file
    ] == ["predictions.slp"]
    steps = next_steps(
        run, evaluated=True, tracked=False, animals=1, overlays=[run.folder / "overlay.0.mp4"]
    )
    assert [step.file for step in steps if step.file] == ["predictions.slp", "overlay.0.mp4"]


def test_commands_can_be_typed_as_they_are(run, monkeypatch):
    monkeypatch.chdir(run.folder.parent)
    assert commands(next_steps(run, evaluated=True, tracked=False, animals=1)) == [
        "sleap-lab review 'a run'",
        "sleap-lab compare 'a run' OTHER_RUN",
        "sleap-lab reproduce 'a run'",
    ]


def test_what_was_not_done_is_proposed(run):
    track, evaluate, *_ = commands(next_steps(run, evaluated=False, tracked=False, animals=3))
    assert track == "sleap-lab 'data.path=a b.mp4' tracker=global"
    assert evaluate.startswith("sleap-lab 'data.path=a b.mp4' evaluator=oks ")
    evaluate, *_ = commands(next_steps(run, evaluated=False, tracked=True, animals=3))
    assert evaluate.startswith("sleap-lab 'data.path=a b.mp4' evaluator=identity ")
    done = list(next_steps(run, evaluated=True, tracked=True, animals=3))
    assert "tracker=global" not in str(done)
    assert "evaluator=" not in str(done)
