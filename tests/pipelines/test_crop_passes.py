from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.errors import RunError
from sleap_lab.media.source import Frame
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.pipelines.crop_passes import (
    CROPS,
    MAX_CROPS_PER_PASS,
    SpareBudget,
    crop_passes,
    fitting,
)
from sleap_lab.pipelines.engine import predict
from sleap_lab.pipelines.pipeline import assemble
from sleap_lab.pipelines.plan import make_plan
from sleap_lab.poses.record import Skeleton, concatenate
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig

CPU = torch.device("cpu")


# ---- which crops share a pass


@pytest.mark.parametrize(
    ("fewest", "expected"),
    [
        (
            1,
            [[1, 3, 5], [2, 4], [0]],
        ),  # the best, the second best, and the third best of each frame
        (3, [[1, 3, 5], [2, 4, 0]]),
        (4, [[1, 3, 5, 2, 4], [0]]),
    ],
)
def test_the_best_of_each_frame_go_first(fewest, expected):
    sample, scores = np.array([0, 0, 0, 1, 2, 2]), np.array([0.2, 0.9, 0.5, 0.1, 0.6, 0.8])
    assert [rows.tolist() for rows in crop_passes(sample, scores, fewest)] == expected


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(0, 60),
    frames=st.integers(1, 40),
    fewest=st.integers(1, MAX_CROPS_PER_PASS),
)
def test_every_crop_is_in_one_pass_and_those_of_a_limit_are_in_the_first_ones(
    seed, n, frames, fewest
):
    random = np.random.default_rng(seed)
    sample, scores = np.sort(random.integers(0, frames, n)), random.random(n)
    passes = [rows.tolist() for rows in crop_passes(sample, scores, fewest)]
    rows = [row for rows in passes for row in rows]
    assert sorted(rows) == list(range(n))
    assert all(0 < len(rows) <= MAX_CROPS_PER_PASS for rows in passes)
    rank = [int(((sample == sample[row]) & (scores > scores[row])).sum()) for row in rows]
    assert rank == sorted(rank)


def test_the_budget_is_for_all_batches_together():
    budget = SpareBudget(0.5)
    assert budget.grants(needed=20, spare=20)  # of 26
    assert not budget.grants(needed=0, spare=10)
    assert budget.grants(needed=0, spare=6)
    assert budget.grants(needed=20, spare=10)  # of 36, less 26
    assert not budget.grants(needed=0, spare=1)
    assert SpareBudget(0).grants(needed=100, spare=0) is False


# ---- less memory than a pass needs


def halves(crops, fit, *, alone=True):
    """Return the passes of some crops where a number of them fits, the tried ones, and the room."""
    tried, batch = [], SimpleNamespace(room={}, alone=alone)

    def see(rows):
        tried.append(len(rows))
        if len(rows) > fit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return rows.tolist()

    return list(fitting(np.arange(crops), see, batch)), tried, batch.room


def test_passes_are_halved_until_they_fit_and_keep_their_order():
    passes, tried, room = halves(11, fit=3)
    assert passes == [[0, 1], [2, 3, 4], [5, 6, 7], [8, 9, 10]]
    assert tried == [11, 5, 2, 3, 6, 3, 3]
    assert room == {CROPS: 2}  # half of the five that did not fit


def test_what_fits_is_not_halved():
    assert halves(5, fit=5) == ([[0, 1, 2, 3, 4]], [5], {})


@pytest.mark.parametrize(("crops", "fit", "alone"), [(1, 0, True), (4, 0, True), (4, 3, False)])
def test_without_memory_for_one_crop_or_beside_others_the_caller_makes_room(crops, fit, alone):
    with pytest.raises(torch.OutOfMemoryError):
        halves(crops, fit=fit, alone=alone)


def test_other_errors_of_a_pass_come_through():
    def see(rows):
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        list(fitting(np.arange(4), see, SimpleNamespace(room={}, alone=True)))


SIDE, ANIMALS = 64, 25


@pytest.fixture
def crowded(fake):
    """Return a function that makes a top-down pipeline which finds 25 animals in every frame.

    `fit` is the number of crops there is memory for, `passes` gets that of every pass.
    """

    def make(fit, passes, device):
        centroids, node = torch.zeros(1, SIDE, SIDE), torch.zeros(1, 8, 8)
        for i in range(ANIMALS):
            centroids[0, 6 + 12 * (i // 5), 6 + 12 * (i % 5)] = 0.9 - 0.01 * i
        node[0, 4, 4] = 0.8

        def nodes_of(crops):
            passes.append(len(crops))
            if len(crops) > fit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return {"confmaps": node * crops.amax(dim=(2, 3), keepdim=True)}

        models = {
            "centroid": fake(
                "centroid", lambda x: {"confmaps": centroids.expand(len(x), 1, -1, -1)}
            ),
            "centered_instance": fake("centered_instance", nodes_of, nodes=("a",), crop_size=8),
        }
        models = {kind: replace(model, accelerator=device) for kind, model in models.items()}
        configs = {kind: model.config for kind, model in models.items()}
        options = ModelConfig(), PreprocessingConfig()
        plan = make_plan("topdown", configs, Skeleton(("a",)), *options, None)
        return replace(assemble(plan, models, options[1]), images=ImageSpec())

    return make


def found_in(frames, pipeline, batch_size=2):
    images = np.random.default_rng(0).integers(200, 256, (frames, SIDE, SIDE, 1), dtype=np.uint8)
    given = [Frame(0, i, image) for i, image in enumerate(images)]
    return list(predict(given, pipeline, batch_size=batch_size, ahead=False))


@pytest.mark.parametrize("device", [None, Accelerator(CPU)], ids=["processor", "accelerator"])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_frame_with_more_crops_than_memory_is_predicted_in_smaller_passes(
    crowded, caplog, device, batch_size
):
    passes = []
    enough = found_in(4, crowded(100, [], device), batch_size)
    found = found_in(4, crowded(4, passes, device), batch_size)
    expected, poses = (concatenate([p.poses for p in each]) for each in (enough, found))
    assert len(poses) == 4 * ANIMALS
    for name in ("frames", "frame", "points", "point_scores", "instance_scores"):
        np.testing.assert_array_equal(getattr(poses, name), getattr(expected, name))
    assert "not enough memory for" in caplog.text
    assert "crops at once" in caplog.text
    assert passes[-9:] == [3] * 8 + [1]  # what did not fit is not tried in the last frame again
    # With memory for larger passes the last bits of a network differ.
    assert [p.observations is None for p in found] == [True] * len(found)
    assert not any(p.observations is None for p in enough)


def test_a_frame_without_memory_for_a_crop_is_an_error(crowded):
    with pytest.raises(RunError, match="not enough memory on cpu for one frame of 64x64 px"):
        found_in(2, crowded(0, [], Accelerator(CPU)))
