"""What a run says of the radii that it was given."""

import json
from types import SimpleNamespace

import pytest

from sleap_lab.evaluation.radii import Calibration
from sleap_lab.runs.calibration import calibration_notes


@pytest.fixture
def run_with(tmp_path):
    """Return a function that makes the folder of a run with these models."""

    def make(*models):
        (tmp_path / "snapshot").mkdir()
        hashes = {"inputs": {}, "models": [{"sha256": model} for model in models]}
        (tmp_path / "snapshot" / "hashes.json").write_text(json.dumps(hashes))
        return SimpleNamespace(folder=tmp_path)

    return make


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [
        (("a", "b"), ("b", "a"), []),
        (("a",), ("c",), ["was made with other models"]),
        ((), ("c",), ["the models of this run are not known (model=none)"]),
        (("a",), (), ["the models of the run that it was made from are not known"]),
        ((), (), ["the models of the run that it was made from are not known"]),
    ],
)
def test_models_that_differ_or_are_not_known_are_told(run_with, here, there, said):
    notes = calibration_notes(run_with(*here), Calibration({}, there, "clip"), ())
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))
