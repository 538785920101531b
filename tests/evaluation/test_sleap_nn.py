"""The reference family equals sleap-nn's own answers on random label sets.

`make_peer_fixtures.py` makes both.
"""

import gzip
import importlib.util
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.evaluation import Evaluator

spec = importlib.util.spec_from_file_location(
    "make_peer_fixtures", Path(__file__).parent / "make_peer_fixtures.py"
)
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)

ANSWERS = json.loads(gzip.decompress(fixtures.ANSWERS.read_bytes()))
RAISED = {seed: answer["message"] for seed, answer in enumerate(ANSWERS) if "raises" in answer}


def assert_equal(found, expected):
    """Compare nested lists and numbers to 1e-9, None being nan."""
    np.testing.assert_allclose(
        np.array(found, dtype=float), np.array(expected, dtype=float), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("seed", [seed for seed in range(len(ANSWERS)) if seed not in RAISED])
def test_equals_sleap_nn(seed):
    truth, labels, settings = fixtures.make_set(seed)
    ours = fixtures.reduced(Evaluator(truth, labels, **settings).evaluate())
    assert {group: list(values) for group, values in ours.items()} == {
        group: list(values) for group, values in ANSWERS[seed].items()
    }
    for group, values in ANSWERS[seed].items():
        for key, value in values.items():
            assert_equal(ours[group][key], value)


def test_enough_sets_are_compared():
    assert len(ANSWERS) - len(RAISED) >= 200
    kinds = Counter(message.split()[0] for message in RAISED.values())
    assert set(kinds) == {
        "Empty",
        "cannot",
        "need",
    }  # no frame in common, other nodes, a true frame without instances


@pytest.mark.parametrize(
    "seed", [seed for seed, message in RAISED.items() if message.startswith("Empty")]
)
def test_no_frame_in_common_is_an_error_that_says_so(seed):
    truth, labels, settings = fixtures.make_set(seed)
    with pytest.raises(RunError, match=r"no frame in common|user_labels_only"):
        Evaluator(truth, labels, **settings)


@pytest.mark.parametrize(
    "seed", [seed for seed, message in RAISED.items() if message.startswith("cannot")]
)
def test_other_nodes_are_refused_by_name(seed):
    truth, labels, settings = fixtures.make_set(seed)
    with pytest.raises(ConfigError, match="only in the predictions: n"):
        Evaluator(truth, labels, **settings)


@pytest.mark.parametrize(
    "seed", [seed for seed, message in RAISED.items() if message.startswith("need")]
)
def test_true_frames_without_instances_are_skipped(seed):
    truth, labels, settings = fixtures.make_set(seed)
    evaluator = Evaluator(truth, labels, **settings)
    empty = {(frame.video.filename, frame.frame_idx) for frame in truth if not len(frame.instances)}
    assert empty & {
        (frame.video.filename, frame.frame_idx) for frame in labels if len(frame.instances)
    }
    metrics = evaluator.evaluate()
    assert not empty & set(
        zip(
            metrics["distance_metrics"]["video_paths"],
            metrics["distance_metrics"]["frame_idxs"],
            strict=True,
        )
    )
    assert len(evaluator.positive_pairs) + len(evaluator.false_negatives) <= sum(
        len(frame.instances) for frame in truth
    )
