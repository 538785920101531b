"""Random label sets, and the metrics of sleap-nn's own evaluator.

    python tests/evaluation/make_peer_fixtures.py      (in an environment that has sleap-nn 0.3.5)

The sets are made from numbers of Python's generator, which never change, so only the answers are
stored.
"""

import gzip
import json
import logging
from pathlib import Path
from random import Random

import numpy as np
import sleap_io as sio

ANSWERS = Path(__file__).parent / "data" / "sleap_nn_0.3.5_answers.json.gz"
N_SETS = 240
SIDE = 100.0

# What is stored of each group of the answer; `precisions` are left out, AP is their mean.
KEPT = {
    "voc_metrics": [
        f"{family}.{key}"
        for family in ("oks_voc", "pck_voc")
        for key in ("match_scores", "AP", "AR", "mAP", "mAR")
    ],
    "mOKS": ["mOKS"],
    "distance_metrics": ["dists", "frame_idxs", "avg", "p50", "p75", "p90", "p95", "p99"],
    "pck_metrics": ["mPCK_parts", "mPCK", "PCK@5", "PCK@10"],
    "visibility_metrics": ["tp", "fp", "tn", "fn", "precision", "recall"],
    "detection_metrics": [
        "precision",
        "recall",
        "f1",
        "n_tp",
        "n_fp",
        "n_fn",
        "avg",
        "p50",
        "p75",
        "p90",
        "p95",
        "p99",
    ],
}


def make_set(seed):
    """Return (ground truth, predictions, settings of the evaluator) of one set."""
    random = Random(seed)
    draw = random.random
    n_nodes = 1 + int(5 * draw())
    other_nodes = n_nodes + (draw() < 0.03)
    settings = _settings(draw, n_nodes)
    n_videos = 1 + (draw() < 0.25)
    truth_skeleton, skeleton = (
        sio.Skeleton([f"n{i}" for i in range(n)]) for n in (n_nodes, other_nodes)
    )
    true_videos, videos = (
        [sio.Video(f"clips/{i}.mp4", open_backend=False) for i in range(n_videos)] for _ in range(2)
    )
    true_frames, frames = [], []
    for v in range(n_videos):
        for frame in sorted(range(1 + int(4 * draw())), key=lambda _: draw()):
            shapes, instances = [], []
            for _ in range(int(4.5 * draw())):
                shape = _animal(draw, n_nodes)
                shapes.append(shape)
                by_person = draw() < 0.85
                kind = sio.Instance if by_person else sio.PredictedInstance
                score = (
                    {} if by_person else {"score": draw(), "point_scores": np.full(n_nodes, draw())}
                )
                instances.append(
                    kind.from_numpy(_with_gaps(draw, shape, 0.25), skeleton=truth_skeleton, **score)
                )
            if instances or draw() < 0.3:
                true_frames.append(sio.LabeledFrame(true_videos[v], frame, instances))
            if draw() < 0.1:
                continue  # a frame that the predictions do not have
            found = [_near(draw, shape) for shape in shapes if draw() < 0.85] + [
                _animal(draw, n_nodes) for _ in range(int(2.2 * draw()))
            ]
            found = [np.vstack([points, points[:1]])[:other_nodes] for points in found]
            frames.append(
                sio.LabeledFrame(
                    videos[v],
                    frame,
                    [
                        sio.PredictedInstance.from_numpy(
                            _with_gaps(draw, points, 0.15),
                            skeleton=skeleton,
                            point_scores=np.full(other_nodes, 0.5),
                            score=int(8 * draw()) / 8,
                        )
                        for points in sorted(found, key=lambda _: draw())
                    ],
                )
            )
    truth = sio.Labels(true_frames, videos=true_videos, skeletons=[truth_skeleton])
    return truth, sio.Labels(frames, videos=videos, skeletons=[skeleton]), settings


def _settings(draw, n_nodes):
    settings = {"user_labels_only": draw() < 0.6}
    if draw() < 0.2:
        settings |= {
            "match_method": "centroid",
            "match_threshold": (20.0, 50.0, 100.0)[int(3 * draw())],
        }
        method = (None, "anchor", "center_of_mass", "bbox_center")[int(4 * draw())]
        if method is not None:
            settings["centroid_method"] = method
        if method == "anchor":
            settings["anchor_ind"] = int(n_nodes * draw())
        return settings
    settings["oks_stddev"] = (0.025, 0.05, 0.1, 0.2)[int(4 * draw())]
    if draw() < 0.15:
        settings["oks_scale"] = (400.0, 10000.0)[int(2 * draw())]
    if draw() < 0.25:
        settings["match_threshold"] = (0.1, 0.5, 0.9)[int(3 * draw())]
    return settings


def _animal(draw, n_nodes):
    """A pose of up to SIDE px somewhere in an image, sometimes without extent."""
    scale = SIDE * (0.0 if draw() < 0.03 else 0.3 + 0.7 * draw())
    corner = np.array([300 * draw(), 300 * draw()])
    points = corner + scale * np.array([[draw(), draw()] for _ in range(n_nodes)])
    return np.round(points, 2)


def _near(draw, shape):
    """The same pose, more or less off."""
    off = (0.0, 0.5, 3.0, 12.0)[int(4 * draw())]
    return np.round(shape + off * (np.array([[draw(), draw()] for _ in shape]) - 0.5) * 2, 2)


def _with_gaps(draw, points, share):
    """The pose with some nodes missing, all of them now and then."""
    points = points.copy()
    if draw() < 0.03:
        points[:] = np.nan
    for row in points:
        if draw() < share:
            row[:] = np.nan
    return points


def reduced(metrics):
    """Return what is stored of an answer, as plain lists and numbers; nan as None."""

    def plain(value):
        value = np.asarray(value).tolist()
        if isinstance(value, list):
            return [plain(item) for item in value]
        return None if isinstance(value, float) and value != value else value

    return {
        group: {key: plain(metrics[group][key]) for key in keys if key in metrics[group]}
        for group, keys in KEPT.items()
        if group in metrics
    }


def main():
    """Ask sleap-nn about every set and store its answers."""
    from sleap_nn.evaluation import Evaluator

    logging.disable(logging.CRITICAL)
    answers = []
    for seed in range(N_SETS):
        truth, labels, settings = make_set(seed)
        try:
            answers.append(reduced(Evaluator(truth, labels, **settings).evaluate()))
        except Exception as error:  # whatever it raises is its answer
            answers.append({"raises": type(error).__name__, "message": str(error)[:200]})
    ANSWERS.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(ANSWERS, "wb", mtime=0) as file:
        file.write(json.dumps(answers, separators=(",", ":")).encode())
    raised = [answer for answer in answers if "raises" in answer]
    print(f"{len(answers)} sets, {len(raised)} raised; {ANSWERS.stat().st_size} bytes")
    for message in sorted({f"{answer['raises']}: {answer['message'][:90]}" for answer in raised}):
        print(message)


if __name__ == "__main__":
    main()
