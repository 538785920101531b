"""Measure what the scores in files tell of wrong links and wrong identities.

On the held-out scenes of `calibrate_links.py`, of whose tracks the number of animals is known:
mean areas under the ROC curve (0.5: nothing, 1: all) by which

- `track_scores` tell links to another animal from right ones,
- the signs of `evaluator=quality` about identities do,
- `track_scores` tell instances in the track of another animal from those in their own.

    python -m scripts.score_areas
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

import sleap_lab
from scripts.calibrate_links import HELD_OUT, SCENES, scene
from sleap_lab.poses.record import Poses
from sleap_lab.quality.assess import assess
from sleap_lab.quality.kinds import OPINIONS
from sleap_lab.settings.compose import compose_config
from sleap_lab.tracking.offline import identify
from sleap_lab.tracking.tracker import track

TRACKERS = {
    "fixed_window": ("tracker=fixed_window",),
    "local_queues": ("tracker=local_queues",),
    "bytetrack": ("tracker=bytetrack",),
    "ocsort": ("tracker=ocsort",),
    "bytetrack, linked": ("tracker=bytetrack", "tracker.link_tracklets=true"),
    "global": ("tracker=global",),
}
ANY_LABELS = Path(sleap_lab.__file__).parent / "demo" / "truth.slp"  # a setting that must be given
NUMBER = "tracker.tracking_target_instance_count"


def main() -> None:
    """Print the areas of every tracker."""
    print("| tracker | links: `track_scores` | links: `evaluator=quality` | identities |")
    print("| --- | ---: | ---: | ---: |")
    for name, words in TRACKERS.items():
        found = []
        for animals, stride in SCENES:
            detections, truth = scene(animals, stride, HELD_OUT[0])
            number = () if name == "fixed_window" else (f"{NUMBER}={animals}",)
            config, _ = compose_config([f"data.path={ANY_LABELS}", "model=none", *words, *number])
            numbered = replace(detections, origin=np.arange(len(detections)))
            tracked = track(numbered, config.tracker)
            found.append(areas(tracked, truth[tracked.origin], animals))
        print(f"| {name} |", *(f"{mean:.2f} |" for mean in np.nanmean(found, axis=0)), flush=True)


def areas(poses: Poses, truth: np.ndarray, animals: int) -> tuple[float, float, float]:
    """Return the three areas of a scene; nan where nothing is wrong.

    Args:
        poses: Tracked detections by frame.
        truth: (n,) animal of each, -1 for none.
        animals: Number of animals.
    """
    known = truth >= 0
    order = np.lexsort((poses.frame, poses.tracks))
    before = np.full(len(poses), -1)
    follows = poses.tracks[order[1:]] == poses.tracks[order[:-1]]
    before[order[1:][follows]] = order[:-1][follows]
    link = known & (before >= 0) & (truth[before] >= 0)
    wrong_link = truth[before] != truth
    shared = np.zeros((int(poses.tracks.max()) + 1, animals))
    np.add.at(shared, (poses.tracks[known], truth[known]), 1)
    tracks, own = linear_sum_assignment(-shared)
    owner = np.full(len(shared), -1)
    owner[tracks] = own
    found = assess(poses, animals, identify).found
    chance = np.zeros(len(poses))
    for kind in OPINIONS:
        np.maximum.at(chance, found[kind].rows, found[kind].values)
    return (
        area(-poses.track_scores[link], wrong_link[link]),
        area(chance[link], wrong_link[link]),
        area(-poses.track_scores[known], owner[poses.tracks[known]] != truth[known]),
    )


def area(doubt: np.ndarray, wrong: np.ndarray) -> float:
    """Return the chance that something wrong has more doubt than something right."""
    many, rest = np.count_nonzero(wrong), np.count_nonzero(~wrong)
    if not many or not rest:
        return float("nan")
    return float((rankdata(doubt)[wrong].sum() - many * (many + 1) / 2) / (many * rest))


if __name__ == "__main__":
    main()
