"""One animal per frame: the highest pixel of every node's map."""

import numpy as np

from sleap_lab.decode.peaks import Refinement, global_peaks
from sleap_lab.poses import make_poses
from sleap_lab.predict.model import FrameBatch, Model, Prediction


def single_instance(batch: FrameBatch, model: Model, *, peak_threshold: float, refinement: Refinement | None) -> Prediction:
    """Predict at most one instance per frame; its score is the sum of its point scores.

    Frames in which no node is found stay empty.
    """
    maps = model(batch.images)
    found, values = global_peaks(maps["confmaps"], peak_threshold, maps.get("offsets", refinement))
    points = model.to_image(found.double().cpu().numpy(), "confmaps") / batch.eff[:, None, None]
    scores = values.double().cpu().numpy()
    kept = ~np.isnan(points).all(axis=(1, 2))
    poses = make_poses(
        model.config.skeleton,
        points[kept],
        video=batch.where[kept, 0],
        frame=batch.where[kept, 1],
        point_scores=scores[kept],
        instance_scores=scores[kept].sum(axis=1),
        frames=batch.where,
    )
    return Prediction(poses, maps, model.steps(*maps))
