"""Detection metrics; those of the whole chain are compared with pycocotools on random sets."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab.evaluation import evaluate
from sleap_lab.evaluation.coco import Detections, average_precisions, match_per_threshold
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.settings.config import EvaluatorConfig

SQUARE = np.array([[0, 0], [100, 0], [100, 100], [0, 100]], dtype=float)
NODES = Skeleton(tuple("abcd"))
FAR = 1e5


def score(truth, poses, **settings):
    config = EvaluatorConfig(user_labels_only=False, match_method="oks", **settings)
    return evaluate(truth, poses, config, videos={0: 0}).headline()


def pycocotools_answers(truth, poses, frames, stddev):
    """Return AP, AP50, AP75 and AR of pycocotools, without its limit per image.

    `coco_metrics` returns the same numbers.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def annotation(row, record, number, absent):
        points = record.points[row]
        shown = ~np.isnan(points).any(axis=1)
        box = np.nanmin(points, axis=0), np.nanmax(points, axis=0) - np.nanmin(points, axis=0)
        placed = np.where(shown[:, None], points, absent)
        return {
            "id": number,
            "image_id": int(record.frame[row]) + 1,
            "category_id": 1,
            "iscrowd": 0,
            "keypoints": np.column_stack([placed, 2 * shown]).ravel().tolist(),
            "num_keypoints": int(shown.sum()),
            "area": float(box[1].prod()),
            "bbox": [*box[0].tolist(), *box[1].tolist()],
        }

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": frame + 1} for frame in frames],
            "categories": [{"id": 1, "name": "animal", "keypoints": list(truth.skeleton.nodes)}],
            "annotations": [annotation(row, truth, row + 1, 0) for row in range(len(truth))],
        }
        coco.createIndex()
        # A node that was not found is, for pycocotools, one that is far away.
        found = [
            annotation(row, poses, row + 1, 1e7) | {"score": float(poses.instance_scores[row])}
            for row in range(len(poses))
        ]
        results = coco.loadRes(
            [{k: v for k, v in item.items() if k not in ("bbox", "area")} for item in found]
        )
        judge = COCOeval(coco, results, "keypoints")
        judge.params.kpt_oks_sigmas = np.full(len(truth.skeleton.nodes), stddev)
        judge.params.maxDets = [1000]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, np.inf]], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision, recall = judge.eval["precision"][:, :, 0, 0, 0], judge.eval["recall"][:, 0, 0, 0]
    ap = precision.mean(axis=1)
    return {
        "coco/ap": ap.mean(),
        "coco/ap_50": ap[0],
        "coco/ap_75": ap[5],
        "coco/ar": recall.mean(),
        "coco/recall_50": recall[0],
    }


@st.composite
def random_sets(draw):
    """True animals, and predictions of them at several distances.

    Predictions have misses, extra ones, ties and lost nodes.
    """
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    n_frames = draw(st.integers(1, 6))
    truth, true_frames, found, found_frames = [], [], [], []
    for frame in range(n_frames):
        for _ in range(random.integers(0, 5)):
            animal = (
                SQUARE * random.uniform(0.2, 1)
                + random.uniform(0, 150, 2)
                + random.normal(0, 3, (4, 2))
            )
            labelled = animal.copy()
            labelled[random.permutation(4)[: random.integers(0, 3)]] = np.nan
            truth.append(labelled)
            true_frames.append(frame)
            for _ in range(random.choice([0, 1, 1, 1, 2])):
                guess = animal + random.normal(0, random.choice([0.1, 1, 3, 10]), (4, 2))
                guess[random.permutation(4)[: random.integers(0, 2)]] = np.nan
                found.append(guess)
                found_frames.append(frame)
        for _ in range(random.integers(0, 3)):
            found.append(SQUARE + random.uniform(0, 300, 2))
            found_frames.append(frame)
    absent = random.integers(0, n_frames + 2)  # a frame that the predictions do not list
    kept = [i for i, frame in enumerate(found_frames) if frame != absent]
    listed = [(0, frame) for frame in range(n_frames) if frame != absent]
    truth_record = make_poses(
        NODES, truth, frame=true_frames, frames=[(0, frame) for frame in range(n_frames)]
    )
    poses = make_poses(
        NODES,
        [found[i] for i in kept],
        frame=[found_frames[i] for i in kept],
        instance_scores=random.choice(np.linspace(0, 1, 9), len(kept)),
        frames=listed,
    )
    return truth_record, poses, n_frames, float(random.choice([0.025, 0.05, 0.1]))


def comparable(case):
    truth, poses, *_ = case
    return len(poses) and set(
        map(tuple, truth.frames[np.isin(truth.frames[:, 1], truth.frame)])
    ) & set(map(tuple, poses.frames))


@settings(max_examples=60)
@given(random_sets().filter(comparable))
def test_equals_pycocotools(case):
    truth, poses, n_frames, stddev = case
    ours = score(truth, poses, oks_stddev=stddev)
    theirs = pycocotools_answers(truth, poses, range(n_frames), stddev)
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("similarity", "scores", "expected_50", "expected_75"),
    [
        ([[0.8]], [1], [1], [1]),
        ([[0.6]], [1], [1], [0]),
        ([[0.5]], [1], [1], [0]),  # the threshold itself is enough
        (
            [[0.9, 0.8]],
            [0.1, 0.9],
            [0, 1],
            [0, 1],
        ),  # the better scored one takes it, the other is extra
        (
            [[0.6, 0.9]],
            [0.9, 0.1],
            [1, 0],
            [0, 1],
        ),  # matched anew: what fails at 0.75 leaves the animal to the next
        (
            [[0.6, 0.6], [0.6, 0.0]],
            [0.9, 0.1],
            [1, 1],
            [0, 0],
        ),  # of equals the last is taken, the first stays free
        ([[np.nan]], [1], [0], [0]),
        (np.zeros((0, 2)), [1, 1], [0, 0], [0, 0]),  # nothing to find
        (np.zeros((2, 0)), [], [], []),  # nothing found
    ],
)
def test_match_per_threshold(similarity, scores, expected_50, expected_75):
    hits = match_per_threshold(np.array(similarity, dtype=float), np.array(scores, dtype=float))
    assert hits[0].tolist() == expected_50
    assert hits[5].tolist() == expected_75


def test_single_thresholds():
    truth = make_poses(NODES, [SQUARE + 300 * i for i in range(5)])  # (0.05)² · 2 · 10⁴ = 50
    off = [
        np.array([0, 0]),
        np.array([3, 4]),
        np.array([3, 4]),
        np.array([10, 0]),
    ]  # OKS 1, e^-0.5, e^-0.5, e^-2
    poses = make_poses(
        NODES,
        [SQUARE + 300 * i + d for i, d in enumerate(off)],
        instance_scores=[0.9, 0.8, 0.7, 0.6],
    )
    headline = score(truth, poses)
    expected = {
        "precision_50": 3 / 4,
        "recall_50": 3 / 5,
        "f1_50": 2 * 3 / (4 + 5),
        "precision_75": 1 / 4,
        "recall_75": 1 / 5,
    }
    assert {name: headline[f"coco/{name}"] for name in expected} == pytest.approx(expected)
    assert headline["coco/ap_50"] == pytest.approx(
        61 / 101
    )  # recall reaches 0.60, 61 of 101 grid points
    assert headline["coco/ar"] == pytest.approx(
        (3 * 3 / 5 + 7 * 1 / 5) / 10
    )  # e^-0.5 = 0.607 is above three thresholds


def test_nothing_to_find_and_nothing_found_are_undefined():
    nothing = Detections(
        np.zeros(0, dtype=int), np.zeros(0), np.zeros((10, 0), dtype=bool), np.array([0])
    )
    assert all(np.isnan(value) for value in average_precisions(nothing).values())
    truth = make_poses(NODES, [SQUARE, SQUARE + 300])
    missed = score(truth, make_poses(NODES, [], frames=[(0, 0)]))
    assert [missed[f"coco/{name}"] for name in ("ap", "ar", "recall_50", "f1_50")] == [0, 0, 0, 0]
    assert np.isnan(missed["coco/precision_50"])


def test_what_the_voc_family_overlooks():
    truth = make_poses(NODES, [SQUARE, SQUARE], frame=[0, 1])
    perfect = make_poses(NODES, [SQUARE, SQUARE], frame=[0, 1])
    extra = make_poses(
        NODES, [SQUARE, SQUARE, SQUARE + FAR], frame=[0, 1, 1], instance_scores=[0.5, 0.5, 0.9]
    )
    half = make_poses(NODES, [SQUARE], frame=[0])
    assert [score(truth, poses)["coco/ap"] for poses in (perfect, half)] == pytest.approx(
        [1, 51 / 101]
    )
    assert score(truth, extra)["coco/ap"] == pytest.approx(2 / 3)  # precision 2/3 at every recall
    assert [
        score(truth, poses)["eval/oks_map"] for poses in (perfect, extra, half)
    ] == pytest.approx([1, 1, 1])


def test_predictions_on_a_frame_labelled_as_empty_are_extra():
    truth = make_poses(NODES, [SQUARE], frames=[(0, 0), (0, 1)])
    poses = make_poses(NODES, [SQUARE, SQUARE], frame=[0, 1])
    assert score(truth, poses)["coco/precision_50"] == 1 / 2


def test_pck_by_body_size_counts_every_labelled_node():
    truth = make_poses(
        NODES, [SQUARE, SQUARE + 300], frame=[0, 0]
    )  # body size 100: within 5 and 10 px
    poses = make_poses(NODES, [SQUARE + np.array([[4, 0], [6, 0], [0, 9], [0, 11]])])
    headline = score(truth, poses)
    assert (headline["coco/pck_size_05"], headline["coco/pck_size_10"]) == (1 / 8, 3 / 8)


def test_only_requested_frames_can_be_missed():
    truth, poses = make_poses(NODES, [SQUARE, SQUARE], frame=[0, 1]), make_poses(NODES, [SQUARE])
    result = evaluate(
        truth,
        poses,
        EvaluatorConfig(user_labels_only=False),
        videos={0: 0},
        requested=np.array([[0, 0]]),
    )
    assert result.headline()["coco/recall_50"] == 1
    assert result.notes == ()
