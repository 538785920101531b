"""`sleap-lab predict` takes the flags of `sleap-nn predict` and gives its answers."""

import gzip
import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio
from scipy.optimize import linear_sum_assignment

from sleap_lab import terminal
from sleap_lab.cli import main
from sleap_lab.files.remote import HEADERS
from sleap_lab.settings import check

spec = importlib.util.spec_from_file_location(
    "make_predict_cases", Path(__file__).parent / "make_predict_cases.py"
)
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)

ANSWERS = json.loads(gzip.decompress(cases.ANSWERS.read_bytes()))
PIXELS = 0.01


def predict(*words):
    """Run the command in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["predict", *words])
    return ended.value.code


def pairs(expected, found):
    """Return (expected track, found track) of all instances; the points must be the same."""
    assert [frame for frame, _ in expected] == [frame for frame, _ in found]
    tracks = []
    for (frame, ours), (_, theirs) in zip(found, expected, strict=True):
        assert len(ours) == len(theirs), frame
        if not ours:
            continue
        mine, other = (np.array([p for p, _ in side], dtype=float) for side in (ours, theirs))
        apart = np.linalg.norm(other[:, None] - mine, axis=-1)
        known = ~np.isnan(other)[:, None, :, 0] & ~np.isnan(mine)[..., 0]
        cost = np.where(known, apart, 0).sum(axis=-1)
        rows, columns = linear_sum_assignment(cost)
        np.testing.assert_allclose(mine[columns], other[rows], rtol=0, atol=PIXELS)
        tracks += [(theirs[i][1], ours[j][1]) for i, j in zip(rows, columns, strict=True)]
    return tracks


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_are_those_of_sleap_nn(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert predict(*cases.words_of(case, "p.slp"), "cache=off") == 0
    found = cases.content(sio.load_slp("p.slp", open_videos=False))
    same = set(pairs(ANSWERS[case], found))
    # Each track has one counterpart.
    assert len({a for a, _ in same}) == len({b for _, b in same}) == len(same)


def test_every_case_has_an_answer():
    assert list(ANSWERS) == list(cases.CASES)


def test_progress_is_json_where_a_program_asks_for_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal, "_as_json", False)
    assert predict(*cases.words_of("bottom-up", "p.slp"), "--gui", "cache=off") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    assert set(lines[-1]) == {"n_processed", "n_total", "rate", "eta"}
    assert (lines[-1]["n_processed"], lines[-1]["n_total"], lines[-1]["eta"]) == (8, 8, 0)


def test_the_default_output_is_the_input_with_slp_behind(tmp_path, monkeypatch):
    (tmp_path / "a.clip.mp4").symlink_to(cases.CLIP)
    monkeypatch.chdir(tmp_path)
    words = ["-m", str(cases.DEMO / "models" / "centroid"), "--frames", "0"]
    assert predict("-i", "a.clip.mp4", *words) == 0
    assert (tmp_path / "a.clip.mp4.slp").is_file()


@pytest.mark.parametrize("verb", ["predict", "track"])
def test_results_of_a_file_on_a_server_are_named_after_it(verb, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "copy_of", lambda url: Path(cases.CLIP))
    monkeypatch.setenv(HEADERS, "")
    monkeypatch.chdir(tmp_path)
    words = ["-m", str(cases.DEMO / "models" / "centroid"), "--frames", "0"]
    words += ["--headers", '{"a": "b"}'] if verb == "predict" else []
    with pytest.raises(SystemExit) as ended:
        main([verb, "-i", "http://h/day%201/a%20b.mp4?key=1", *words, "cache=off"])
    assert ended.value.code == 0
    assert (tmp_path / {"predict": "a b.mp4.slp", "track": "a b.predictions.slp"}[verb]).is_file()
    assert os.environ[HEADERS] == ('{"a": "b"}' if verb == "predict" else "")


def test_help_names_flags_with_and_without_a_key(capsys):
    assert predict("--help") == 0
    shown = capsys.readouterr().out
    assert "--output_format  (output.formats)" in shown
    assert "--mask_backend" in shown
