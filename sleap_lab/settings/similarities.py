"""The values of `tracker.scoring_method`: what each can compare, and which trackers use it.

`tracking/similarity.py` has the function of each, under the same name.
"""

from typing import NamedTuple


class Similarity(NamedTuple):
    """What must be known of a similarity before anything is compared.

    Attributes:
        features: The features that it can compare.
        bounded: Whether its scores lie between 0 and 1, which bytetrack and ocsort need.
        searched: Whether `tune` tries it.
    """

    features: tuple[str, ...]
    bounded: bool = False
    searched: bool = True


SIMILARITIES = {
    "oks": Similarity(("keypoints",), bounded=True),
    "iou": Similarity(("bboxes",), bounded=True),
    "euclidean_dist": Similarity(("keypoints", "centroids", "bboxes")),
    # Cosines of coordinates depend on where in the image an animal is.
    "cosine_sim": Similarity(("keypoints", "centroids", "bboxes", "image"), searched=False),
}
BOUNDED = tuple(name for name, similarity in SIMILARITIES.items() if similarity.bounded)
