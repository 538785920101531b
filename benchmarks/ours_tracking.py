"""Time our tracker on one recording; takes a job and prints the timing, both as JSON.

Run by `benchmarks.tracking`.
"""

import json
import sys
import time
from functools import cache
from typing import Any

import numpy as np

from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking import track


def load(job: dict) -> tuple[Poses, list]:
    """Return the poses of the recording, and its videos."""
    if job["labels"].endswith(".npz"):
        with np.load(job["labels"]) as data:
            points, frame = data["points"], data["frame"]
        kept = frame < (job["frames"] or np.inf)
        return make_poses(
            Skeleton(tuple(f"node {i}" for i in range(points.shape[1]))),
            points[kept],
            frame=frame[kept],
        ), []
    from sleap_lab.media.labels import read_labels, to_poses

    labels = read_labels(job["labels"])
    return to_poses(labels), labels.videos


def main() -> None:
    """Track once to warm up and once for the record; images are read before.

    What is our own is the CPU time of the tracking thread outside of OpenCV's optical flow.
    """
    job = json.loads(sys.argv[1])
    poses, videos = load(job)
    config = TrackerConfig(
        tracking=True,
        missing_nodes="reference",
        one_node_distance=False,
        undecided="reference",
        **job["options"],
    )
    read_image = cache(lambda video, frame: np.asarray(videos[video][frame]))
    opencv = 0.0
    if config.use_flow:
        import cv2

        follow = cv2.calcOpticalFlowPyrLK

        def timed(*args: Any, **options: Any) -> Any:
            nonlocal opencv
            start = time.thread_time()
            found = follow(*args, **options)
            opencv += time.thread_time() - start
            return found

        cv2.calcOpticalFlowPyrLK = timed
    track(poses, config, read_image)
    opencv, start, cpu, thread = 0.0, time.perf_counter(), time.process_time(), time.thread_time()
    track(poses, config, read_image)
    own_seconds = time.thread_time() - thread - opencv
    seconds, cpu_seconds, frames = (
        time.perf_counter() - start,
        time.process_time() - cpu,
        len(poses.frames),
    )
    print(
        json.dumps(
            {
                "frames": frames,
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "own_ms": 1000 * own_seconds / frames,
            }
        )
    )


main()
