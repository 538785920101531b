"""Time sleap-nn's tracker on one recording; takes a job and prints the timing, both as JSON.

Run by `benchmarks.tracking`, in sleap-nn's environment, so it imports nothing of sleap_lab.
"""

import json
import sys
import time

import numpy as np
import sleap_io as sio
from sleap_nn.tracking.tracker import Tracker

RENAMED = {"tracking_window_size": "window_size"}


def load(job: dict) -> list:
    """Return (frame index, instances, image or None) of every frame in order."""
    if job["labels"].endswith(".npz"):
        with np.load(job["labels"]) as data:
            points, frame = data["points"], data["frame"]
        skeleton = sio.Skeleton([f"node {i}" for i in range(points.shape[1])])

        def instance(pose: np.ndarray) -> sio.PredictedInstance:
            return sio.PredictedInstance.from_numpy(
                pose, skeleton=skeleton, point_scores=np.ones(len(pose)), score=1.0
            )

        count = min(int(frame.max()) + 1, job["frames"] or int(frame.max()) + 1)
        return [
            (index, [instance(pose) for pose in points[frame == index]], None)
            for index in range(count)
        ]
    labels = sio.load_slp(job["labels"])
    frames = []
    for labeled in sorted(labels, key=lambda labeled: labeled.frame_idx):
        instances = labeled.user_instances or labeled.predicted_instances
        frames.append(
            (
                labeled.frame_idx,
                instances,
                labeled.image if job["options"].get("use_flow") else None,
            )
        )
    return frames


def main() -> None:
    """Track the frames with a fresh tracker, after a few to warm up."""
    job = json.loads(sys.argv[1])
    options = {RENAMED.get(name, name): value for name, value in job["options"].items()}
    frames = load(job)
    for count in (min(5, len(frames)), len(frames)):
        tracker = Tracker.from_config(**options)
        start, cpu = time.perf_counter(), time.process_time()
        for index, instances, image in frames[:count]:
            tracker.track(instances, index, image)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    print(json.dumps({"frames": len(frames), "seconds": seconds, "cpu_seconds": cpu_seconds}))


main()
