"""Tuning with the real command: on predictions of the demo, killed, interrupted, in parallel."""

import json
import re
import shlex
import signal

import pytest

from sleap_lab.media.labels import read_labels, save_labels


@pytest.fixture(scope="module")
def words(demo, tmp_path_factory):
    """The demo's true poses as predictions, and the same as truth, as overrides."""
    path = tmp_path_factory.mktemp("labels") / "found.slp"
    labels = read_labels(demo.truth)
    labels.remove_predictions()
    save_labels(labels, path)
    return [
        "tune",
        f"data.path={path}",
        "model=none",
        f"evaluator.ground_truth_path={demo.truth}",
        "tune.name=mice",
    ]


def progress(folder):
    """How many trials the journal holds."""
    journal = folder / "outputs" / "tune" / "mice" / "journal.log"
    return journal.read_text().count('"frames_per_second"') if journal.exists() else 0


def test_detections_are_taken_from_the_cache_and_the_setting_can_be_used(finished, sleap_lab):
    """Takes ten seconds: a run, a search on its detections, and a run of what it found."""
    ended = sleap_lab("tune", *finished.words, "tune.trials=2", cwd=finished.cwd)
    assert ended.code == 0, ended.err
    assert "predicting" not in ended.err
    assert "kalman" in ended.err  # the preset knows that there are three animals
    (facts,) = (
        json.loads(path.read_text()) for path in finished.cwd.glob("outputs/tune/clip-*/tune.json")
    )
    assert facts["use"] in ended.out
    used = sleap_lab(*shlex.split(facts["use"])[1:], "report=none", "logger=none", cwd=finished.cwd)
    assert used.code == 0, used.err


def test_a_killed_search_goes_on(words, start, sleap_lab, wait_for, tmp_path):
    """Takes six seconds: a search is killed, and finished by a second command."""
    process = start(*words, "tune.trials=200", cwd=tmp_path)
    wait_for(lambda: progress(tmp_path) >= 3, process)
    process.kill()
    process.communicate()
    tried = progress(tmp_path)
    ended = sleap_lab(*words, f"tune.trials={tried + 2}", cwd=tmp_path)
    assert ended.code == 0, ended.err
    before = re.search(r"(\d+) settings tried before", ended.err)
    assert int(before[1]) >= tried - 1  # the last may have been killed while it was being recorded
    report = (tmp_path / "outputs" / "tune" / "mice" / "report.html").read_text()
    assert f"All {tried + 2} settings" in report


def test_ctrl_c_ends_all_processes_and_keeps_what_was_found(words, start, wait_for, tmp_path):
    process = start(*words, "tune.trials=500", "tune.jobs=2", cwd=tmp_path)
    wait_for(lambda: progress(tmp_path) >= 2, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)  # until no process is left that could write there
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "the same command goes on from here" in err
    assert "Keep the default setting" in out  # the truth is tracked without a mistake


def test_mistakes_are_found_before_any_work(words, sleap_lab, tmp_path):
    ended = sleap_lab(*words, "tune.trails=3", cwd=tmp_path)
    assert (ended.code, ended.err) == (
        2,
        "error: tune.trails: there is no such key. Did you mean 'tune.trials'?\n",
    )
    assert not list(tmp_path.iterdir())
