"""Reproduction of a run from its snapshot."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from sleap_lab.cli import reproduce as module
from sleap_lab.cli.receipt import show_receipt
from sleap_lab.cli.reproduce import reproduce
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.experiment import Invocation, run
from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.runs import summary
from sleap_lab.settings.compose import compose_config

TRIANGLE = [[10, 10], [20, 10], [10, 20]]
SHIFTED = [[11, 10], [21, 10], [11, 20]]
COMMAND = ["sleap-lab", "reproduce", "run"]


@pytest.fixture
def lab(tmp_path, monkeypatch, video_path, make_labels):
    """A working directory with labels and truth: one animal on frames 0 and 1, frame 2 empty."""
    monkeypatch.chdir(tmp_path)
    for name in ("snapshot", "verify"):  # the checkout that the tests run in may be worked on
        monkeypatch.setattr(f"sleap_lab.runs.{name}.git_state", lambda *sources: (None, b""))
    make_labels([video_path], predicted=[(0, 0, TRIANGLE), (0, 1, SHIFTED)], empty=[(0, 2)]).save(
        "labels.slp", verbose=False
    )
    make_labels([video_path], user=[(0, 0, TRIANGLE), (0, 1, TRIANGLE)]).save(
        "truth.slp", verbose=False
    )
    return tmp_path


@pytest.fixture
def first(lab):
    """Return a function that runs an experiment in `run`; it tracks and evaluates by default."""

    def first(*words):
        usual = [
            "data.path=labels.slp",
            "model=none",
            "tracker=fixed_window",
            "evaluator=oks",
            "evaluator.ground_truth_path=truth.slp",
        ]
        words = [*(words or usual), "logger=none", "report=none"]
        result = run(
            compose_config(words)[0],
            lab / "run",
            Invocation(["sleap-lab", *words], words, {"tracker": "fixed_window"}),
        )
        assert result.summary.exit_code in (0, 3)
        return lab / "run"

    return first


@pytest.fixture
def again(lab):
    """Return a function that reproduces a run."""
    return lambda folder=Path("run"), **changes: reproduce(
        folder,
        {key.replace("__", "."): value for key, value in changes.items()},
        command=COMMAND,
        outputs_root=lab / "outputs",
    )


def edit(folder, name, change):
    """Change a document of a snapshot."""
    path = folder / "snapshot" / name
    parse, write = (
        (yaml.safe_load, yaml.safe_dump) if path.suffix == ".yaml" else (json.loads, json.dumps)
    )
    document = parse(path.read_text())
    change(document)
    path.write_text(write(document))


# --- the same again ---------------------------------------------------------------------


def test_the_same_run_gives_the_same_answer(first, again, capsys):
    folder = first()
    receipt = again()
    assert (receipt.verdict, receipt.exact, receipt.facts, receipt.differences) == (
        "identical",
        True,
        [],
        [],
    )
    assert {item.status for item in receipt.inputs} == {"unchanged"}
    numbers = {item.name: item.now for item in receipt.metrics}
    assert numbers.items() >= {"counts/frames": 3, "eval/dist_avg": pytest.approx(3 / 6)}.items()
    assert not any(name.startswith("speed/") for name in numbers)
    assert {item.name: item.now for item in receipt.predictions}["instances"] == 2
    assert receipt.again.parent.parent == folder.parent / "outputs"
    record = summary.read(receipt.again)
    assert (record.overrides, record.choices) == (
        summary.read(folder).overrides,
        {"tracker": "fixed_window"},
    )
    assert (receipt.again / "snapshot" / "command.txt").read_text() == "sleap-lab reproduce run\n"
    capsys.readouterr()
    show_receipt(receipt)
    lines = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()
    }
    assert (lines["verdict"], lines["inputs"]) == ("identical", "2 unchanged")
    assert lines["poses"] == "2 instances: differ by up to 0 px, scores by up to 0"


def test_the_receipt_says_what_was_compared(first, again):
    first()
    receipt = again()
    content = json.loads((receipt.again / "receipt.json").read_text())
    assert (content["verdict"], content["agrees"], content["tolerance"]) == (
        "identical",
        True,
        {"px": 0, "metrics": 0},
    )
    assert (content["first"], content["again"]) == (str(receipt.first), str(receipt.again))
    assert [item["key"] for item in content["inputs"]] == [
        "data.path",
        "evaluator.ground_truth_path",
    ]
    undefined = next(
        item for item in content["metrics"] if item["name"] == "eval/visibility_precision"
    )
    assert set(undefined) == {"name", "then", "now", "allowed", "difference"}


def test_it_can_be_repeated_again_and_again(first, again):
    first()
    assert again(again().again).verdict == "identical"


def test_what_only_evaluates_is_compared_by_its_metrics(first, again):
    first(
        "data.path=labels.slp",
        "model=none",
        "evaluator=oks",
        "evaluator.ground_truth_path=truth.slp",
    )
    receipt = again()
    assert (receipt.verdict, receipt.predictions, receipt.notes) == ("identical", [], [])
    assert len(receipt.metrics) > 10


def test_networks_are_run_again(first, again, video_path, make_model):
    model = make_model("single_instance", {"confmaps": [[1, 0], [1, 0]]})
    first(
        f"data.path={video_path}",
        f"model.paths=[{model}]",
        "data.frames=0-2",
        "cache=rw",
        "cache_dir=cache",
    )
    stored = {path: path.stat().st_mtime_ns for path in Path("cache").iterdir()}
    receipt = again()
    assert receipt.verdict == "identical"
    assert [item.key for item in receipt.inputs] == ["data.path", "model.paths", "model.paths"]
    assert summary.read(receipt.again).cache == {}
    assert stored == {path: path.stat().st_mtime_ns for path in Path("cache").iterdir()}


# --- nothing of the first run is touched ------------------------------------------------


def test_files_that_the_first_run_wrote_elsewhere_stay(first, again):
    first(
        "data.path=labels.slp", "model=none", "tracker=fixed_window",
        "output.path=out/mine.slp", "output.formats=[slp,csv]", "evaluator=oks",
        "evaluator.ground_truth_path=truth.slp", "evaluator.save_metrics=out/metrics.npz",
    )  # fmt: skip
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("out").iterdir()}
    receipt = again()
    assert receipt.verdict == "identical"
    assert {item.name: item.now for item in receipt.predictions}["instances"] == 2
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in Path("out").iterdir()
    }
    assert (receipt.again / "predictions.slp").is_file()


def test_predictions_that_are_gone_are_not_compared(first, again, capsys):
    (first() / "predictions.slp").unlink()
    receipt = again()
    assert (receipt.verdict, receipt.predictions) == ("identical", [])
    assert "poses were not compared" in receipt.notes[0]
    show_receipt(receipt)
    assert f"warning: {receipt.notes[0]}" in capsys.readouterr().err


def test_it_is_not_logged_and_shows_no_report(first, again):
    folder = first()
    edit(
        folder,
        "config.yaml",
        lambda config: (
            config["logger"].update(mlflow=True, tags={"a": "b"}),
            config.update(report="html"),
        ),
    )
    receipt = again()
    assert {path.name for path in receipt.again.iterdir()} >= {
        "receipt.json",
        "predictions.slp",
        "snapshot",
    }
    assert not (receipt.again / "report.html").exists()
    assert not list(receipt.again.parents[2].rglob("mlflow.db"))


# --- inputs -----------------------------------------------------------------------------


def test_changed_and_missing_inputs_are_listed_and_nothing_is_run(first, again, capsys):
    first()
    shutil.copy("truth.slp", "labels.slp")
    Path("truth.slp").unlink()
    capsys.readouterr()
    with pytest.raises(
        RunError, match="2 of 2 inputs are missing or have changed, so nothing was run"
    ):
        again()
    assert sorted(line.split()[:2] for line in capsys.readouterr().out.splitlines()) == [
        ["changed", "data.path:"],
        ["missing", "evaluator.ground_truth_path:"],
    ]
    assert list(Path("outputs").glob("2*")) == []


def test_inputs_that_moved_are_named_by_their_keys(first, again):
    first()
    Path("moved").mkdir()
    shutil.move("labels.slp", "moved/labels.slp")
    with pytest.raises(RunError, match="KEY=PATH gives the new place of one that has moved"):
        again()
    receipt = again(data__path="moved/labels.slp")
    assert (receipt.verdict, [item.status for item in receipt.inputs]) == (
        "identical",
        ["moved", "unchanged"],
    )


def test_a_copy_that_is_gone_names_the_url_it_came_from(first, again, capsys):
    first()
    typed = "'https://h/labels.slp?n=1'", "'https://h/truth.slp?sig=***'"
    keys = "data.path", "evaluator.ground_truth_path"
    document = json.loads(Path("run/run.json").read_text())
    document["overrides"] = [f"{key}={url}" for key, url in zip(keys, typed, strict=True)]
    Path("run/run.json").write_text(json.dumps(document))
    Path("labels.slp").unlink()
    Path("truth.slp").unlink()
    capsys.readouterr()
    with pytest.raises(RunError, match="2 of 2 inputs"):
        again()
    told = " ".join(capsys.readouterr().err.split())
    assert "data.path='https://h/labels.slp?n=1'\" copies it again" in told
    assert (
        "https://h/truth.slp?sig=*** must be given again, as its secret (***) is not kept" in told
    )


def test_settings_stay_what_they_were(first, again):
    first()
    with pytest.raises(
        ConfigError,
        match=r"a reproduction keeps the settings; only these can be changed: data\.path",
    ):
        again(tracker__tracking_window_size=3)
    with pytest.raises(ConfigError, match=r"model\.paths: got 'x'; accepted: a list"):
        again(model__paths="x")


def test_videos_that_labels_name_relative_to_the_working_directory_are_found_from_another(
    first, again, make_labels, video_path, make_model, lab, monkeypatch
):
    (lab / "videos").mkdir()
    shutil.copy(video_path, lab / "videos" / "clip.mp4")
    made = make_labels(["videos/clip.mp4"], user=[(0, 0, TRIANGLE)])
    made.save("relative.slp", verbose=False)
    model = make_model("single_instance", {"confmaps": [[1, 0], [1, 0]]})
    first("data.path=relative.slp", f"model.paths=[{model}]")
    (lab / "elsewhere").mkdir()
    monkeypatch.chdir(lab / "elsewhere")
    assert again(lab / "run").verdict == "identical"
    assert Path.cwd() == lab / "elsewhere"


# --- another answer ---------------------------------------------------------------------


def test_another_answer_is_shown_with_the_largest_differences_first(first, again, capsys):
    folder = first()
    record = json.loads((folder / "run.json").read_text())
    record["metrics"] |= {"eval/dist_avg": 5.0, "eval/moks": None, "eval/gone": 1.0}
    (folder / "run.json").write_text(json.dumps(record))
    labels = read_labels(folder / "predictions.slp")
    labels.labeled_frames[0].instances[0].points["xy"] += 0.125
    labels.save(str(folder / "predictions.slp"), verbose=False)
    receipt = again()
    assert receipt.verdict == "differs"
    assert {item.name for item in receipt.differences} == {
        "eval/dist_avg", "eval/moks", "eval/gone", "largest difference of coordinates, px",
    }  # fmt: skip
    assert "was written after the first run ended" in receipt.notes[0]
    assert json.loads((receipt.again / "receipt.json").read_text())["agrees"] is False
    capsys.readouterr()
    show_receipt(receipt)
    out = capsys.readouterr().out
    rows = [line.rsplit("  ", 1) for line in out.splitlines()]
    assert ["eval/gone", "1 → nothing"] in [[name.strip(), value] for name, value in rows]
    assert ["eval/dist_avg", "5 → 0.5"] in [[name.strip(), value] for name, value in rows]
    assert "verdict    differs" in out


def test_small_differences_are_allowed_where_versions_differ(first, again, capsys):
    folder = first()
    edit(folder, "packages.json", lambda document: document["packages"].update(numpy="1.0"))
    record = json.loads((folder / "run.json").read_text())
    record["metrics"]["eval/dist_avg"] += 0.009
    record["metrics"]["eval/moks"] -= 0.0015
    (folder / "run.json").write_text(json.dumps(record))
    receipt = again()
    assert f"warning: numpy: 1.0 then, {np.__version__} now" in capsys.readouterr().err
    assert (receipt.exact, receipt.verdict) == (
        False,
        "agrees within 0.01 px and 0.002 of every metric",
    )
    edit(
        folder, "packages.json", lambda document: document["packages"].update(numpy=np.__version__)
    )
    assert again().verdict == "differs"


def test_a_second_run_that_fails_is_an_error(first, again, monkeypatch):
    first()
    monkeypatch.setattr(
        "sleap_lab.experiment.track_cached", lambda *_: (_ for _ in ()).throw(RunError("no room"))
    )
    with pytest.raises(RunError, match=r"the second run failed \(see .*outputs"):
        again()


# --- what cannot be repeated ------------------------------------------------------------


def test_a_run_without_a_result_is_refused(first, again):
    folder = first()
    record = summary.read(folder)
    record.status, record.error = "failed", "no memory"
    summary.write(folder, record)
    with pytest.raises(
        ConfigError, match=r"the run is failed, so there is nothing to compare with \(no memory\)"
    ):
        again()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("config.yaml", None, "there is no such snapshot"),
        (
            "config.yaml",
            "!!python/object/apply:os.mkdir [pwned]",
            "could not determine a constructor",
        ),
        ("config.yaml", "- a", "there is no such snapshot"),
        (
            "config.yaml",
            "tracker: {windw: 3}",
            r"tracker\.windw: it is in the snapshot, but this version has no such key",
        ),
        ("config.yaml", "tracker: {max_tracks: many}", r"tracker\.max_tracks: got 'many'"),
        (
            "config.yaml",
            "tracker: 3",
            "tracker: it is in the snapshot, but this version has no such key",
        ),
        (
            "config.yaml",
            "{model: {kind: none}, tracker: {tracking: true}, data: {path: '${oc.env:HOME}'}}",
            r"data\.path: no such file: .*oc.env:HOME",
        ),
        ("hashes.json", "{", "hashes.json is damaged"),
        ("hashes.json", "{}", "not what a snapshot holds"),
        ("packages.json", "{}", "not what a snapshot holds"),
        ("device.json", None, "there is no such snapshot"),
    ],
)
def test_a_snapshot_that_is_not_whole_is_refused_and_never_executed(first, again, name, text, says):
    path = first() / "snapshot" / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    if name == "config.yaml":  # nothing to check before the config
        (path.parent / "hashes.json").write_text('{"inputs": {}, "models": []}')
    with pytest.raises(ConfigError, match=says):
        again()
    assert not Path("pwned").exists()
    assert list(Path("outputs").glob("2*")) == []


def test_the_config_of_a_snapshot_is_what_was_run(first):
    folder = first()
    document = yaml.safe_load((folder / "snapshot" / "config.yaml").read_text())
    config = module._config(document, {})
    assert (
        config.tracker
        == compose_config(["data.path=labels.slp", "model=none", "tracker=fixed_window"])[0].tracker
    )
    assert (config.cache, config.report, config.logger.mlflow, config.output.path) == (
        "off",
        "none",
        False,
        None,
    )


def test_poses_are_those_of_the_files(first, again):
    folder = first()
    receipt = again()
    poses = [to_poses(read_labels(path / "predictions.slp")) for path in (folder, receipt.again)]
    np.testing.assert_array_equal(poses[0].points, poses[1].points)
