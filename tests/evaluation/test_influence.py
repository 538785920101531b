"""The part of each frame in each metric."""

import numpy as np
import pytest

from sleap_lab.evaluation.ap import EPSILON, MATCH_SCORE_THRESHOLDS
from sleap_lab.evaluation.coco import Detections
from sleap_lab.evaluation.frames import FrameTable, on_frames
from sleap_lab.evaluation.influence import _of_average_precisions, parts
from sleap_lab.evaluation.spread import spread


def table(columns, *, video=None, frame=None, pairs=None, distances=(), detections=None):
    n = len(next(iter(columns.values())))
    return FrameTable(
        np.zeros(n, dtype=int) if video is None else np.array(video),
        np.arange(n) if frame is None else np.array(frame),
        {name: np.array(column) for name, column in columns.items()},
        np.reshape(distances, (-1, 1)),
        no_pairs(n) if pairs is None else pairs,
        detections,
    )


def no_pairs(n):
    return Detections(np.zeros(0, int), np.zeros(0), np.zeros((10, 0), bool), np.zeros(n, int))


def test_the_part_in_a_ratio():
    found = parts(table({"found_50": [1, 2], "n_true": [2, 2]}))
    assert found.values["coco/recall_50"] == 3 / 4
    # above less the ratio times below, as a share of all below
    expected = [(1 - 3 / 4 * 2) / 4, (2 - 3 / 4 * 2) / 4]
    assert found.influence["coco/recall_50"].tolist() == expected


def test_the_part_in_a_count():
    found = parts(table({"n_missed": [0, 3]}))
    assert found.values["eval/n_missed"] == 3
    assert found.influence["eval/n_missed"].tolist() == [0 - 3 / 2, 3 - 3 / 2]


def test_a_ratio_without_anything_below_is_unknown():
    found = parts(table({"found_50": [0, 0], "n_true": [0, 0]}))
    assert np.isnan(found.values["coco/recall_50"])
    assert np.isnan(found.influence["coco/recall_50"]).all()


def test_frames_come_in_the_order_of_video_and_time():
    rows = {"found_50": [1, 0, 0], "n_true": [1, 1, 1]}
    found = parts(table(rows, video=[1, 0, 1], frame=[5, 7, 2]))
    assert found.video.tolist() == [0, 1, 1]
    assert found.influence["coco/recall_50"].argmax() == 2


def simulated(n=400, seed=0):
    """Return a table of frames with two animals each, found more or less well."""
    random = np.random.default_rng(seed)
    frame = np.repeat(np.arange(n), 2)
    error = random.lognormal(0, 0.5, 2 * n)
    hits = np.exp(-(error**2) / 8) >= MATCH_SCORE_THRESHOLDS[:, None]
    found = Detections(frame, random.random(2 * n) - 0.1 * error, hits, np.full(n, 2))
    total = np.bincount(frame, error)
    columns = {"dist_sum": total, "n_distances": np.full(n, 2)}
    return table(columns, pairs=found, distances=error, detections=found)


@pytest.mark.parametrize(
    "name", ["coco/ap", "eval/oks_map", "eval/dist_avg", "eval/dist_p50", "eval/dist_p90"]
)
def test_parts_foretell_what_leaving_frames_out_does(name):
    full = simulated()
    found = parts(full)
    foretold, true = [], []
    for start in range(0, 400, 20):
        rest = np.delete(np.arange(400), np.arange(start, start + 20))
        true.append(
            (1 - 20 / 400) * (found.values[name] - parts(on_frames(full, rest)).values[name])
        )
        foretold.append(found.influence[name][start : start + 20].sum())
    assert np.corrcoef(foretold, true)[0, 1] > 0.9
    assert np.std(foretold) == pytest.approx(np.std(true), rel=0.2)


def test_parts_add_up_to_nothing():
    for name, part in parts(simulated()).influence.items():
        if not np.isnan(part).all():
            assert part.sum() == pytest.approx(0, abs=1e-9), name


def test_the_part_in_an_average_precision_by_hand():
    # Best scored first: found, false, found; one animal in each of the first two frames.
    hits = np.array([[True, False, True]])
    ranked = Detections(np.array([0, 1, 1]), np.array([0.9, 0.8, 0.7]), hits, np.array([1, 1]))
    (first, second) = _of_average_precisions(ranked)[0]
    # The area is (1 + 2/3) / 2. With w times the first frame it is (w + 1 · P) / (w + 1), where
    # P = (w + 1) / (w + 2) is the precision at the last rank: slope 1/2 · (1 + 1/9) - 5/12 at 1.
    assert first == pytest.approx((1 + 1 / 9) / 2 - 5 / 12)
    assert second == pytest.approx(-first)


def test_no_true_instance_leaves_the_average_precision_unknown():
    ranked = Detections(np.array([0]), np.array([0.9]), np.ones((10, 1), bool), np.array([0, 0]))
    assert np.isnan(_of_average_precisions(ranked)).all()


def test_nothing_found_has_parts_of_nothing():
    ranked = Detections(np.zeros(0, int), np.zeros(0), np.zeros((10, 0), bool), np.array([1, 2]))
    assert (_of_average_precisions(ranked) == 0).all()


def test_percentiles_at_the_end_of_the_distances_are_unknown():
    found = parts(simulated(n=60))
    assert not np.isnan(found.influence["eval/dist_p50"]).any()
    # 99% ± an interval of several per cent is more than all.
    assert np.isnan(found.influence["eval/dist_p99"]).all()


def test_percentiles_of_equal_distances_are_unknown():
    pairs = Detections(np.arange(40), np.ones(40), np.ones((10, 40), bool), np.ones(40, int))
    found = parts(table({"n_missed": [0] * 40}, pairs=pairs, distances=[2.0] * 40))
    assert found.values["eval/dist_p50"] == 2
    assert np.isnan(found.influence["eval/dist_p50"]).all()


# --- step by step -----------------------------------------------------------------------


def test_the_part_in_a_percentile_by_hand():
    # One distance a frame, 1 … 100 in mixed order: the median is 50.5, half of them below it.
    order = np.random.default_rng(0).permutation(100)
    pairs = Detections(np.arange(100), np.ones(100), np.ones((10, 100), bool), np.ones(100, int))
    found = parts(table({"n_missed": [0] * 100}, pairs=pairs, distances=order + 1.0))
    assert found.values["eval/dist_p50"] == 50.5
    # A frame below the median moves the share below by 1/2 - 1 of a hundredth, one above by 1/2.
    shift = np.where(order < 50, -0.5, 0.5) / 100
    half = spread(shift[:, None], np.zeros(100)).half_width(np.array([0.5]))[0]
    low, high = np.quantile(order + 1.0, [0.5 - half, 0.5 + half])
    assert found.influence["eval/dist_p50"] == pytest.approx(shift * (high - low) / (2 * half))


def test_frames_with_several_distances_count_as_often():
    # Frames of three, one and no distances, over and over.
    frame = np.concatenate([np.full(3 if i % 3 == 0 else 1, i) for i in range(60) if i % 3 < 2])
    random = np.random.default_rng(1)
    distances = random.random(len(frame)) + 0.2 * (frame % 3)
    pairs = Detections(frame, frame + 1.0, np.ones((10, len(frame)), bool), np.ones(60, int))
    found = parts(table({"n_missed": [0] * 60}, pairs=pairs, distances=distances))
    for p in (50, 75):
        value = np.percentile(distances, p)
        below = np.array([(distances[frame == i] <= value).sum() for i in range(60)])
        number = np.bincount(frame, minlength=60)
        shift = (number * below.sum() / len(frame) - below) / len(frame)
        half = spread(shift[:, None], np.zeros(60)).half_width(np.array([p / 100]))[0]
        low, high = np.quantile(distances, [p / 100 - half, p / 100 + half])
        expected = shift * (high - low) / (2 * half)
        assert found.influence[f"eval/dist_p{p}"] == pytest.approx(expected)


def test_distances_that_are_unknown_have_no_part():
    pairs = Detections(np.zeros(0, int), np.zeros(0), np.zeros((10, 0), bool), np.zeros(2, int))
    found = parts(table({"n_missed": [0, 1]}, pairs=pairs, distances=[]))
    assert np.isnan(found.influence["eval/dist_p50"]).all()
    assert found.influence["eval/dist_p50"].shape == (2,)
    # A pair without a distance is none.
    pairs = Detections(np.arange(200), np.ones(200), np.ones((10, 200), bool), np.ones(200, int))
    some = np.random.default_rng(0).permutation(200).astype(float)
    some[:40] = np.nan
    found = parts(table({"n_missed": [0] * 200}, pairs=pairs, distances=some))
    part = found.influence["eval/dist_p50"]
    assert found.values["eval/dist_p50"] == np.median(some[40:])
    assert (part[:40] == 0).all()
    assert (part[40:] != 0).all()


def weighted_precision(ranked, weights, row):
    """Area below the curve where each frame counts so often."""
    order = np.argsort(-ranked.scores, kind="stable")
    counts, hit = weights[ranked.frame[order]], ranked.hits[row][order]
    precision = np.cumsum(counts * hit) / (np.cumsum(counts) + EPSILON)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return (counts * hit * best).sum() / (weights * ranked.n_truth).sum()


@pytest.mark.parametrize("seed", range(4))
def test_the_part_in_an_average_precision_is_its_slope(seed):
    random = np.random.default_rng(seed)
    frame = np.sort(random.integers(0, 8, 20))
    hits = random.random((3, 20)) < [[0.8], [0.5], [0.2]]
    ranked = Detections(frame, random.random(20), hits, random.integers(1, 4, 8))
    found = _of_average_precisions(ranked)
    assert found.shape == (3, 8)
    compared = 0
    for row, own in np.ndindex(3, 8):
        less, one, more = (
            weighted_precision(ranked, 1 + side * 1e-5 * (np.arange(8) == own), row)
            for side in (-1, 0, 1)
        )
        if more - one == pytest.approx(one - less, abs=1e-9):  # no two precisions are equal
            assert found[row, own] == pytest.approx((more - less) / 2e-5, abs=1e-4)
            compared += 1
    assert compared > 12


def test_families_have_their_own_detections():
    full = simulated(n=50)
    other = full.detections._replace(hits=full.detections.hits[::-1].copy())
    found = parts(full._replace(detections=other))
    each = _of_average_precisions(other)
    assert found.influence["coco/ap"] == pytest.approx(each.mean(axis=0))
    assert found.influence["coco/ap_50"] == pytest.approx(each[0])
    assert found.influence["coco/ap_75"] == pytest.approx(each[5])
    assert found.influence["eval/oks_map"] == pytest.approx(
        _of_average_precisions(full.pairs).mean(axis=0)
    )
    assert "coco/ap" not in parts(full._replace(detections=None)).values
