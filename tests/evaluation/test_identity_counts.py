"""What identity metrics are formed from: counted by hand, and by TrackEval."""

import numpy as np
import pytest

from sleap_lab.evaluation import identity_counts
from sleap_lab.evaluation.identity_counts import (
    combine_identity,
    count_association,
    count_clear,
    count_identity,
)
from sleap_lab.evaluation.sequences import TrackSequence


def sequence(*frames):
    """A sequence of frames: true ids, predicted ids, and their similarities."""
    truth, poses, tables = zip(*frames, strict=True)
    return TrackSequence(
        0,
        0,
        list(range(len(frames))),
        [np.array(ids, dtype=int) for ids in truth],
        [np.array(ids, dtype=int) for ids in poses],
        [
            np.reshape(np.array(table, dtype=float), (len(a), len(b)))
            for a, b, table in zip(truth, poses, tables, strict=True)
        ],
        [],
        [str(i) for i in range(1 + max(max(ids, default=-1) for ids in truth))],
        [str(i) for i in range(1 + max(max(ids, default=-1) for ids in poses))],
    )


# One animal in four frames; track 0 follows it for three, track 1 in the last.
SPLIT = sequence(([0], [0], [0.9]), ([0], [0], [0.9]), ([0], [0], [0.9]), ([0], [1], [0.9]))


def test_a_track_that_is_split_by_hand():
    found = combine_identity([count_identity(SPLIT)])
    # The one track that follows longest finds 3 of 4 on either side.
    assert found["idf1"] == found["idp"] == found["idr"] == pytest.approx(3 / 4)
    assert (found["switches"], found["misses"], found["false_positives"]) == (1, 0, 0)
    assert found["mota"] == pytest.approx(1 - 1 / 4)
    assert found["motp"] == pytest.approx(0.9)
    # At thresholds 0.05 … 0.90, 18 of 19, all is found. Of four matches three agree with
    # 3 / (4 + 3 - 3) of what either track holds, one with 1 / (4 + 1 - 1).
    assert found["deta"] == pytest.approx(18 / 19)
    ass = (3 * (3 / 4) + 1 * (1 / 4)) / 4
    assert found["assa"] == pytest.approx(18 / 19 * ass)
    assert found["hota"] == pytest.approx(18 / 19 * np.sqrt(1 * ass))


def test_counts_of_a_split_track():
    counted = count_association(SPLIT, 0.5)
    assert counted["identity"] == {"IDTP": 3, "IDFN": 1, "IDFP": 1}
    assert counted["hota"]["HOTA_TP"].tolist() == [4] * 18 + [0]
    assert counted["hota"]["HOTA_FN"].tolist() == [0] * 18 + [4]
    assert counted["hota"]["LocA"].tolist() == pytest.approx([0.9] * 18 + [1])
    assert counted["hota"]["AssRe"].tolist() == pytest.approx([(3 * 3 / 4 + 1 / 4) / 4] * 18 + [0])
    assert counted["hota"]["AssPr"].tolist() == pytest.approx([1] * 18 + [0])


@pytest.mark.parametrize(("threshold", "found"), [(0.9, 3), (0.91, 0)])
def test_similarity_must_reach_the_threshold(threshold, found):
    assert count_association(SPLIT, threshold)["identity"]["IDTP"] == found
    assert count_clear(SPLIT, threshold)["CLR_TP"] == (4 if found else 0)


def random_sequence(seed):
    random = np.random.default_rng(seed)
    frames = []
    for _ in range(12):
        truth, poses = (random.permutation(n)[: random.integers(0, n + 1)] for n in (3, 4))
        frames.append((truth.tolist(), poses.tolist(), random.random((len(truth), len(poses)))))
    return sequence(([0, 1, 2], [0, 1, 2, 3], random.random((3, 4))), *frames)


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_trackeval(seed):
    one = random_sequence(seed)
    counted = count_identity(one)
    data = identity_counts._trackeval_data(one)
    for family, metric in identity_counts._families().items():
        expected = metric.eval_sequence(data)
        for name, value in counted[family].items():
            np.testing.assert_allclose(value, expected[name], err_msg=name)


def test_videos_together_are_counted_together():
    whole = combine_identity([count_identity(SPLIT), count_identity(SPLIT)])
    assert whole["switches"] == 2
    assert whole["idf1"] == pytest.approx(3 / 4)
    # A second video without any prediction: 3 of 8 true ones are found.
    lost = sequence(*[([0], [], [])] * 4)
    found = combine_identity([count_identity(SPLIT), count_identity(lost)])
    assert found["idr"] == pytest.approx(3 / 8)
    assert found["misses"] == 4
