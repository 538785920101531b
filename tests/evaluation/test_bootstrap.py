import numpy as np
import pytest

from sleap_lab.evaluation.ap import precision_recall
from sleap_lab.evaluation.bootstrap import (
    Blocks,
    _average_precision,
    _quantiles,
    draw,
    intervals,
    limits,
    make_blocks,
    paired_differences,
    sample,
)
from sleap_lab.evaluation.coco import Detections
from sleap_lab.evaluation.frames import FrameTable

NO_PAIRS = Detections(
    np.zeros(0, dtype=int), np.zeros(0), np.zeros((10, 0), dtype=bool), np.zeros(0)
)


def table(video, frame, found, true, pairs=NO_PAIRS, distances=(), detections=None):
    columns = {"found_50": np.array(found), "n_true": np.array(true)}
    return FrameTable(
        np.array(video), np.array(frame), columns, np.reshape(distances, (-1, 1)), pairs, detections
    )


def test_blocks_are_consecutive_frames_of_one_video():
    blocks = make_blocks(np.array([0] * 9 + [2] * 4), np.array([*range(9), *range(4)]))
    assert blocks.length == 3  # the square root of the longest video
    assert blocks.of_frame.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4]
    assert blocks.video.tolist() == [0, 0, 0, 1, 1]


def test_blocks_are_counted_in_time_not_in_labelled_frames():
    blocks = make_blocks(np.zeros(4, dtype=int), np.array([0, 9, 10, 99]))
    assert (blocks.length, blocks.of_frame.tolist()) == (10, [0, 0, 1, 2])


def test_a_draw_is_as_large_as_the_data_and_always_the_same():
    blocks = Blocks(np.arange(6), np.zeros(6, dtype=int), 1)
    counts = draw(blocks, resamples=50)
    assert (counts.sum(axis=1) == 6).all()
    assert len(np.unique(counts, axis=0)) > 40
    assert (counts == draw(blocks, resamples=50)).all()


def test_videos_are_drawn_whole():
    counts = draw(Blocks(np.arange(6), np.array([0, 0, 0, 0, 1, 1]), 1), resamples=200)
    of_video = np.stack([counts[:, :4].sum(axis=1) // 4, counts[:, 4:].sum(axis=1) // 2], axis=1)
    assert (of_video.sum(axis=1) == 2).all()
    assert sorted(map(tuple, np.unique(of_video, axis=0).tolist())) == [(0, 2), (1, 1), (2, 0)]


def test_interval_of_a_share():
    frame = np.arange(400)
    found = (frame // 20) % 2  # whole blocks of 20 frames are found, every other one
    result = intervals(table(np.zeros(400), frame, found, np.ones(400)))
    assert (result.block_frames, result.n_blocks, result.n_videos) == (20, 20, 1)
    low, high = result.values["coco/recall_50"]
    # 20 draws of a coin: 0.5 ± 1.96 · sqrt(0.25 / 20), where single frames would give ± 0.05
    assert (low, high) == pytest.approx((0.5 - 0.22, 0.5 + 0.22), abs=0.04)


def test_what_makes_frames_hard_for_both_cancels_out():
    frame = np.arange(400)
    hard = (frame // 20) % 2
    first, second = (
        table(np.zeros(400), frame, found, np.ones(400)) for found in (0.5 * hard, 0.5 * hard + 0.1)
    )
    assert paired_differences(sample(first), sample(second))["coco/recall_50"] == pytest.approx(
        (0.1, 0.1, 0.1)
    )
    few = table([0, 0], [0, 1], [1, 1], [1, 1])
    assert paired_differences(sample(few), sample(few))["coco/recall_50"] == pytest.approx(
        (0, np.nan, np.nan), nan_ok=True
    )


def test_average_precisions_are_paired_too():
    random, frame = np.random.default_rng(3), np.arange(400)
    found = np.tile(random.random(400) < 0.5, (10, 1))
    some = Detections(frame, random.random(400), found, np.ones(400, dtype=int))
    every = some._replace(hits=np.ones_like(found))
    first, second = (
        sample(table(np.zeros(400), frame, np.ones(400), np.ones(400), items, np.zeros(400), items))
        for items in (some, every)
    )
    for name in ("coco/ap", "eval/oks_map"):
        difference, low, high = paired_differences(first, second)[name]
        assert low < difference < high
        # About half are found, with a precision of about 1/2: an AP near 1/4 against 1.
        assert difference == pytest.approx(1 - 1 / 4, abs=0.1)
        assert paired_differences(first, first)[name] == (0, 0, 0)


def test_percentiles_are_paired_too():
    frame, random = np.arange(400), np.random.default_rng(4)
    pairs = NO_PAIRS._replace(frame=frame)
    near = random.normal(5, 1, 400).clip(0)
    first, second = (
        sample(table(np.zeros(400), frame, frame, frame, pairs, px)) for px in (near, near + 2)
    )
    assert first.values["eval/dist_p90"] == np.percentile(near, 90)
    # A shift moves every percentile alike, whatever the frames: nothing is left to chance.
    assert paired_differences(first, second)["eval/dist_p90"] == pytest.approx((2, 2, 2))


def test_counts_are_sums():
    frame = np.arange(400)
    some = table(np.zeros(400), frame, frame, frame)
    first, second = (sample(some._replace(columns={"n_missed": np.full(400, n)})) for n in (1, 3))
    assert paired_differences(first, second)["eval/n_missed"] == (400 * 2, 400 * 2, 400 * 2)


def test_other_seeds_are_other_draws():
    frame, found = np.arange(400), np.arange(400) % 7
    first, again, other = (
        sample(table(np.zeros(400), frame, found, np.ones(400)), seed).drawn["coco/recall_50"]
        for seed in (0, 0, 1)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_too_few_blocks_give_no_interval():
    assert intervals(table([0, 0, 0], [0, 1, 2], [1, 1, 1], [1, 1, 1])) is None


@pytest.mark.parametrize("alike", [1, 10])
def test_average_precision_is_that_of_the_drawn_frames(alike):
    random = np.random.default_rng(1)
    n_frames, n = 12, 40
    frame, scores = random.integers(0, n_frames, n), random.permutation(n) // alike / n
    hits, n_truth = random.random((2, n)) < 0.6, random.integers(4, 6, n_frames)
    blocks = Blocks(np.arange(n_frames) // 2, np.zeros(6, dtype=int), 2)
    counts = draw(blocks, resamples=5)
    found = _average_precision(counts, blocks, Detections(frame, scores, hits, n_truth))
    for drawn, value in zip(counts, found, strict=True):
        times = drawn[blocks.of_frame]
        ranked = np.argsort(-scores, kind="stable")  # those of equal scores as they come
        repeated = np.repeat(ranked, times[frame[ranked]])
        precisions, _ = precision_recall(hits[:, repeated], int(n_truth @ times))
        assert value == pytest.approx(precisions.mean(), abs=1e-9)


def test_the_limits_hold_95_of_100_samples_between_them():
    samples = {"some": np.append(np.arange(201.0), np.nan), "none": np.full(3, np.nan)}
    assert limits(samples) == {"some": pytest.approx((200 * 0.025, 200 * 0.975))}


def test_quantile_is_that_of_the_drawn_frames():
    frame, values = np.repeat(np.arange(6), 50), np.random.default_rng(2).random(300)
    blocks = Blocks(np.arange(6), np.zeros(6, dtype=int), 1)
    counts = draw(blocks, resamples=5)
    for share, found in zip(
        (0.5, 0.9), _quantiles(counts, blocks, frame, values, (0.5, 0.9)), strict=True
    ):
        expected = [
            np.quantile(np.repeat(values, drawn[frame]), share, method="inverted_cdf")
            for drawn in counts
        ]
        np.testing.assert_allclose(found, expected)


def test_long_data_are_binned():
    frame, values = np.repeat(np.arange(6), 5000), np.linspace(0, 1, 30000)
    counts = np.ones((1, 6), dtype=int)
    (median,) = _quantiles(
        counts, Blocks(np.arange(6), np.zeros(6, dtype=int), 1), frame, values, [0.5]
    )
    assert median[0] == pytest.approx(0.5, abs=1 / 512)
