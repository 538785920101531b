"""Hard scenes for trackers: true poses, and what a detector that errs would find of them.

Per animal and frame: every node is off by 2% of the body length (normal), 5% of the nodes are
missing, in contact 25%; 3% of the animals are missing; 2% are found twice, the second time with
a lower score; in 2% of the frames something is found where no animal is. Animals are in contact
while they are nearer to each other than 0.7 body lengths; one of them is hidden then, the same
until they part or for at most 12 frames. Detections come in random order.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sleap_lab.media.labels import read_labels, to_poses
from sleap_lab.poses.record import Poses, make_poses

NOISE = 0.02
MISSING_NODE, MISSING_NODE_CONTACT, MISSING = 0.05, 0.25, 0.03
CONTACT, HIDDEN_FRAMES = 0.7, 12
DUPLICATE, FALSE, FALSE_DISTANCE = 0.02, 0.02, 3
STRIDES = {1: "every frame", 5: "every 5th", 15: "every 15th"}

Frame = dict[str, np.ndarray]
"""By the name of each animal of a frame its (nodes, 2) px."""


class Scene(NamedTuple):
    """What is tracked, and what is true.

    Attributes:
        group: Name of the scenes that differ in their seed only.
        seed: Seed of the scene.
        truth: True poses and tracks.
        detections: Poses without tracks.
        images: (frames, h, w, 1) uint8 pictures of the frames, where there are any.
    """

    group: str
    seed: int
    truth: Poses
    detections: Poses
    images: np.ndarray | None = None

    def read_image(self, video: int, frame: int) -> np.ndarray:
        """Return the picture of a frame, (h, w, 1) uint8."""
        assert self.images is not None, "only trackers without pictures run on such scenes"
        return self.images[frame]


class Group(NamedTuple):
    """Scenes that differ in their seed only: frames of a recording of which the truth is known."""

    name: str
    truth: Path
    stride: int

    def scene(self, seed: int, limit: int | None) -> Scene:
        """Return the scene of this seed, of at most `limit` frames, renumbered from 0."""
        truth = every(tracked(self.truth), self.stride, limit)
        frames = by_name(truth)
        found = degrade(frames, body_length(frames), seed)
        return Scene(self.name, seed, truth, as_detections(found, truth), None)


class RealPair(NamedTuple):
    """Predictions of a network, and the same recording proofread by a person."""

    name: str
    truth: Path
    predictions: Path

    def scene(self, seed: int, limit: int | None) -> Scene | None:
        """Return the only scene, in full length; none for other seeds than 0."""
        if seed:
            return None
        truth = every(tracked(self.truth), 1, None)
        poses = to_poses(read_labels(self.predictions))
        poses = poses[poses.frame < len(truth.frames)]
        return Scene(self.name, seed, truth, detections(poses, truth.frames), None)


def groups_of(reference: Path, truths: Path | None) -> list[Group | RealPair]:
    """Return the groups of scenes of recordings: of the reference, and of a folder with others.

    Args:
        reference: Folder with `labels/centered_pair_proofread.slp` and so on.
        truths: Folder with labels that have true tracks in every frame.
    """
    labels = reference / "labels"
    files = {
        "centered_pair": labels / "centered_pair_proofread.slp",
        "two_flies": labels / "two_flies.slp",
        **({path.stem: path for path in sorted(truths.glob("*.slp"))} if truths else {}),
    }
    return [
        *(
            Group(f"{name}, {words}", path, stride)
            for (name, path), (stride, words) in product(files.items(), STRIDES.items())
        ),
        RealPair(
            "real pair",
            labels / "centered_pair_proofread.slp",
            labels / "centered_pair_predictions.slp",
        ),
    ]


def tracked(path: Path) -> Poses:
    """Return the poses of a file that have a track and a visible node."""
    poses = to_poses(read_labels(path))
    return poses[(poses.tracks >= 0) & poses.visible.any(axis=1)]


def detections(poses: Poses, frames: np.ndarray) -> Poses:
    """Return the poses of one video as predictions without tracks.

    Args:
        poses: The poses.
        frames: (f, 2) int64, (video, frame) of all that were processed.
    """
    return make_poses(
        poses.skeleton,
        poses.points,
        frame=poses.frame,
        point_scores=poses.point_scores,
        instance_scores=poses.instance_scores,
        frames=frames,
    )


def every(poses: Poses, stride: int, limit: int | None) -> Poses:
    """Return every n-th frame of one video, at most `limit` of them, renumbered from 0."""
    kept = np.sort(poses.frames[:, 1])[::stride][:limit]
    poses = poses[np.isin(poses.frame, kept)]
    return make_poses(
        poses.skeleton,
        poses.points,
        frame=np.searchsorted(kept, poses.frame),
        point_scores=poses.point_scores,
        tracks=poses.tracks,
        user=True,
        track_names=poses.track_names,
        frames=np.stack([np.zeros_like(kept), np.arange(len(kept))], axis=1),
    )


def by_name(truth: Poses) -> list[Frame]:
    """Return the animals of every frame by the name of their track."""
    names = truth.track_names
    return [
        {names[truth.tracks[row]]: truth.points[row] for row in rows}
        for _, _, rows in truth.by_frame()
    ]


def body_length(frames: Sequence[Frame]) -> float:
    """Return the median diagonal of the animals' boxes, px."""
    extents = [
        np.linalg.norm(np.nanmax(points, axis=0) - np.nanmin(points, axis=0))
        for frame in frames
        for points in frame.values()
    ]
    return float(np.median(extents))


def degrade(
    frames: Sequence[Frame],
    length: float,
    seed: int,
    covered: Sequence[Frame] | None = None,
    fewest: int = 1,
) -> list[list[tuple[np.ndarray, float]]]:
    """Return the detections of every frame as (points, score), in random order.

    Args:
        frames: The true poses.
        length: Body length, px.
        seed: Seed of everything that is drawn.
        covered: For each frame and animal the (nodes,) bool of the nodes that cannot be seen. By
            default who is hidden is drawn.
        fewest: An animal with fewer visible nodes is not found.
    """
    rng = np.random.default_rng(seed)
    hidden: dict[str, int] = {}  # frames for which an animal in contact stays hidden; -1: it shows
    result = []
    for number, frame in enumerate(frames):
        near = _in_contact(frame, CONTACT * length)
        if covered is None:
            _hide(hidden, near, rng)
        found: list[tuple[np.ndarray, float]] = []
        for name in sorted(frame):
            if hidden.get(name, -1) > 0:
                hidden[name] -= 1
                continue
            if rng.random() < MISSING:
                continue
            points = frame[name] + rng.normal(0, NOISE * length, frame[name].shape)
            missing = MISSING_NODE_CONTACT if near[name] else MISSING_NODE
            points[rng.random(len(points)) < missing] = np.nan
            if covered is not None:
                points[covered[number][name]] = np.nan
            if (~np.isnan(points).any(axis=1)).sum() < fewest:
                continue
            found.append((points, float(rng.uniform(0.6, 0.95))))
            if rng.random() < DUPLICATE:
                again = points + rng.normal(0, NOISE * length, points.shape)
                found.append((again, float(rng.uniform(0.3, 0.6))))
        if frame and rng.random() < FALSE:
            points = frame[sorted(frame)[int(rng.integers(len(frame)))]]
            elsewhere = points + rng.normal(0, FALSE_DISTANCE * length, 2)
            found.append((elsewhere, float(rng.uniform(0.2, 0.5))))
        rng.shuffle(found)
        result.append(found)
    return result


def _in_contact(frame: Frame, reach: float) -> dict[str, list[str]]:
    """Return the animals whose centres are nearer than `reach` px to each animal's."""
    centers = {name: np.nanmean(points, axis=0) for name, points in sorted(frame.items())}
    return {
        name: [
            other
            for other, place in centers.items()
            if other != name and np.linalg.norm(center - place) < reach
        ]
        for name, center in centers.items()
    }


def _hide(hidden: dict[str, int], near: dict[str, list[str]], rng: np.random.Generator) -> None:
    """Decide at the start of each contact who of the animals is hidden, if anybody."""
    for name, others in near.items():
        if others and name not in hidden:
            chosen = name if rng.random() < 0.5 else others[0]
            for each in (name, *others):
                hidden[each] = HIDDEN_FRAMES if each == chosen and rng.random() < 0.5 else -1
        elif not others:
            hidden.pop(name, None)


def as_detections(found: Sequence[Sequence[tuple[np.ndarray, float]]], truth: Poses) -> Poses:
    """Return the detections of the frames of a truth as poses; the score is that of every node."""
    rows = [(frame, *each) for frame, instances in enumerate(found) for each in instances]
    points = np.array([points for _, points, _ in rows]).reshape(-1, len(truth.skeleton.nodes), 2)
    scores = np.array([score for _, _, score in rows])
    return make_poses(
        truth.skeleton,
        points,
        frame=[frame for frame, _, _ in rows],
        point_scores=np.where(np.isnan(points[..., 0]), 0.0, scores[:, None]),
        instance_scores=scores,
        frames=truth.frames,
    )
