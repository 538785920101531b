"""Scenes in which Kalman filters are lost and fitted anew, and the tracks that sleap-nn gives.

    python tests/tracking/make_kalman_cases.py

This needs an environment with sleap-nn 0.3.5 and pykalman. The scenes are made from numbers of
Python's generator, which never change, so that only the tracks are stored.
"""

import gzip
import json
import logging
import math
import tempfile
import warnings
from pathlib import Path
from random import Random

import numpy as np
import sleap_io as sio

ANSWERS = Path(__file__).parent / "data" / "sleap_nn_0.3.5_kalman.json.gz"
N_SCENES = 20
FRAMES = 90
BODY = np.array([[0, 0], [18, 5], [18, -5], [40, 0], [60, 2]], dtype=float)
ARENA = 320.0
KINDS = ("whole", "whole", "gaps", "poor", "gone")  # what is found of an animal during a stretch
KEPT = {"whole": 1.0, "gaps": 0.75, "poor": 0.25, "gone": 0.0}  # chance of each node to be found

VARIANTS = {
    "default": {},
    "short": {"kf_init_frame_count": 5, "kf_reset_gap_size": 2},
    "shortest": {"kf_init_frame_count": 3, "kf_reset_gap_size": 1},
    "long": {"kf_init_frame_count": 20, "kf_reset_gap_size": 10},
    "two nodes": {"kf_node_indices": [0, 3], "kf_init_frame_count": 6, "kf_reset_gap_size": 3},
    "keypoints": {"kf_track_features": "keypoints"},
    "keypoints short": {
        "kf_track_features": "keypoints",
        "kf_init_frame_count": 5,
        "kf_reset_gap_size": 2,
    },
    "keypoints of three nodes": {
        "kf_track_features": "keypoints",
        "kf_node_indices": [0, 1, 4],
        "kf_init_frame_count": 7,
    },
    "distance": {
        "features": "centroids",
        "scoring_method": "euclidean_dist",
        "kf_init_frame_count": 5,
        "kf_reset_gap_size": 2,
    },
    "boxes": {
        "features": "bboxes",
        "scoring_method": "iou",
        "kf_init_frame_count": 6,
        "kf_reset_gap_size": 2,
    },
    "box corners": {
        "features": "bboxes",
        "scoring_method": "euclidean_dist",
        "scoring_reduction": "max",
    },
    "cosine": {
        "features": "centroids",
        "scoring_method": "cosine_sim",
        "kf_init_frame_count": 5,
        "kf_reset_gap_size": 3,
    },
    "queues": {
        "candidates_method": "local_queues",
        "kf_init_frame_count": 5,
        "kf_reset_gap_size": 2,
    },
    "queues, keypoints": {
        "candidates_method": "local_queues",
        "kf_track_features": "keypoints",
        "kf_init_frame_count": 6,
    },
    "greedy": {
        "track_matching_method": "greedy",
        "features": "centroids",
        "scoring_method": "euclidean_dist",
        "kf_init_frame_count": 5,
    },
    "quantile": {
        "scoring_reduction": "robust_quantile",
        "robust_best_instance": 0.9,
        "oks_stddev": 0.1,
        "kf_reset_gap_size": 3,
    },
}


def make_scene(seed):
    """Return the number of animals and the poses per frame, (nodes, 2) px, in detection order."""
    random = Random(seed)
    draw = random.random
    animals = 2 + seed % 2
    walks = [_walk(draw) for _ in range(animals)]
    found = [_stretches(draw) for _ in range(animals)]
    frames = []
    for t in range(FRAMES):
        poses = []
        for walk, kinds in zip(walks, found, strict=True):
            pose = (
                walk[t] + np.array([[draw() + draw() - 1, draw() + draw() - 1] for _ in BODY]) * 1.5
            )
            pose[[draw() >= KEPT[kinds[t]] for _ in BODY]] = np.nan
            if not np.isnan(pose).all():
                poses.append(np.round(pose, 2))
        if draw() < 0.02:
            # A detection that is no animal.
            poses.append(np.round(BODY + np.array([ARENA * draw(), ARENA * draw()]), 2))
        frames.append(sorted(poses, key=lambda _: draw()))
    return animals, frames


def _walk(draw):
    """An animal that runs, stands and turns in the arena; now and then it leaps."""
    place, heading, speed, poses = (
        np.array([ARENA * draw(), ARENA * draw()]),
        6.28 * draw(),
        6 * draw(),
        [],
    )
    for _ in range(FRAMES):
        if draw() < 0.06:
            speed = (0.0, 3.0, 8.0, 16.0)[int(4 * draw())]
        heading += 0.5 * (draw() - 0.5) + (math.pi if draw() < 0.03 else 0)
        turn = np.array(
            [[math.cos(heading), math.sin(heading)], [-math.sin(heading), math.cos(heading)]]
        )
        place = (
            place
            + speed * turn[0]
            + (120 * (np.array([draw(), draw()]) - 0.5) if draw() < 0.02 else 0)
        )
        if not 0 <= place.min() <= place.max() <= ARENA:
            place, heading = np.clip(place, 0, ARENA), heading + math.pi
        poses.append(place + (BODY - BODY.mean(axis=0)) @ turn)
    return poses


def _stretches(draw):
    """Per frame the kind of stretch; a long whole one comes first more often than not."""
    kinds = ["whole"] * int(14 * draw())
    while len(kinds) < FRAMES:
        kind = KINDS[int(len(KINDS) * draw())]
        kinds += [kind] * (1 + int((16 if kind == "whole" else 10) * draw()))
    return kinds


def main():
    """Ask sleap-nn about every scene with every variant, and store the tracks it gives."""
    from sleap_nn.legacy_predict import run_inference

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    answers = {variant: [] for variant in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(N_SCENES):
            animals, frames = make_scene(seed)
            labels = Path(folder) / f"{seed}.slp"
            save(labels, frames)
            for variant, settings in VARIANTS.items():
                tracked = run_inference(
                    data_path=str(labels),
                    output_path=str(Path(folder) / "tracked.slp"),
                    tracking=True,
                    use_kalman=True,
                    tracking_target_instance_count=animals,
                    **settings,
                )
                answers[variant].append(tracks_of(frames, tracked))
            print(seed, flush=True)
    ANSWERS.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(ANSWERS, "wb", mtime=0) as file:
        file.write(json.dumps(answers, separators=(",", ":")).encode())


def save(path, frames):
    """Write poses as predictions, and a video of black images, since sleap-nn reads the images."""
    sio.save_video(
        np.zeros((len(frames), 32, 32, 1), dtype=np.uint8), str(path.with_suffix(".mp4"))
    )
    video = sio.load_video(str(path.with_suffix(".mp4")))
    skeleton = sio.Skeleton([f"node {i}" for i in range(len(BODY))])
    labeled = [
        sio.LabeledFrame(
            video=video,
            frame_idx=t,
            instances=[
                sio.PredictedInstance.from_numpy(
                    pose, skeleton=skeleton, point_scores=np.ones(len(pose)), score=1.0
                )
                for pose in poses
            ],
        )
        for t, poses in enumerate(frames)
    ]
    sio.Labels(labeled, videos=[video], skeletons=[skeleton]).save(
        str(path), embed=False, verbose=False
    )


def tracks_of(frames, labels):
    """Return per frame the track of each pose by number, -1 for one that was left out."""
    tracked = {frame.frame_idx: frame.instances for frame in labels}
    return [
        [_track_of(pose, tracked.get(t, ())) for pose in poses] for t, poses in enumerate(frames)
    ]


def _track_of(pose, instances):
    for instance in instances:
        if np.array_equal(instance.numpy(), pose, equal_nan=True):
            return -1 if instance.track is None else int(instance.track.name.removeprefix("track_"))
    return -1


if __name__ == "__main__":
    main()
