"""The record that is passed between stages: poses as parallel arrays.

Conventions, used everywhere in the package:

* coordinates are (x, y) in px of the full-resolution image, with integer values at pixel centres;
* nan means "missing": a node that is not visible has both coordinates nan;
* a track index of -1 means "no track";
* `frames` lists every processed frame, also those without instances.

Arrays are float64 because label files store float64, and because metrics are compared with other
tools to 1e-9.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from sleap_lab.files.safe_load import read_arrays


@dataclass(frozen=True)
class Skeleton:
    """The named nodes of a pose and the edges between them.

    Attributes:
        nodes: Names of the nodes.
        edges: From node to node, by index.
        symmetries: Pairs of nodes that are mirror images of each other, by index.
        name: Name of the skeleton.
    """

    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = ()
    symmetries: tuple[tuple[int, int], ...] = ()
    name: str = "skeleton"


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of many instances as parallel arrays, one row per instance.

    Attributes:
        skeleton: Nodes and edges that the columns of `points` refer to.
        video: (n,) int32, index of the video.
        frame: (n,) int64, frame index within the video.
        points: (n, nodes, 2) float64, px, image space (x, y); nan where a node was not found.
        point_scores: (n, nodes) float64, confidence of each node.
        instance_scores: (n,) float64, confidence of the instance; nan for user-labelled ones.
        tracks: (n,) int32, index into `track_names`; -1 for none.
        track_scores: (n,) float64, score of the link to its track, as its tracker gives it, or
            probability of the class that a network gives; nan where there is none.
        user: (n,) bool, true for instances that a person labelled.
        origin: (n,) int64, index among all instances of the labels file that they were read from;
            -1 for instances that were not read from a file.
        track_names: Names of the tracks. Tracks are identified by index: several may have one name.
        frames: (frames, 2) int64, every processed (video, frame), in output order, also those
            without instances.
    """

    skeleton: Skeleton
    video: np.ndarray
    frame: np.ndarray
    points: np.ndarray
    point_scores: np.ndarray
    instance_scores: np.ndarray
    tracks: np.ndarray
    track_scores: np.ndarray
    user: np.ndarray
    origin: np.ndarray
    track_names: tuple[str, ...] = ()
    frames: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def __post_init__(self) -> None:
        """Check that all columns have the same length.

        Raises:
            ValueError: The shape of a column does not fit `points` and `skeleton`.
        """
        n, nodes = len(self.points), len(self.skeleton.nodes)
        expected = dict.fromkeys(COLUMNS, (n,)) | {
            "points": (n, nodes, 2),
            "point_scores": (n, nodes),
        }
        for name, shape in expected.items():
            if (found := getattr(self, name).shape) != shape:
                raise ValueError(f"Poses.{name} must have shape {shape}, got {found}")
        if self.frames.ndim != 2 or self.frames.shape[1] != 2:
            raise ValueError(f"Poses.frames must have shape (frames, 2), got {self.frames.shape}")

    def __len__(self) -> int:
        """Number of instances."""
        return len(self.points)

    def __getitem__(self, keep: Any) -> "Poses":
        """Select instances by mask, index array or slice; the processed frames stay as they are."""
        return replace(self, **{name: getattr(self, name)[keep] for name in COLUMNS})

    def of_video(self, video: int) -> "Poses":
        """Return the poses and processed frames of one video, renumbered to be the only one."""
        own = self[self.video == video]
        return replace(
            own,
            video=np.zeros_like(own.video),
            frames=self.frames[self.frames[:, 0] == video] * [0, 1],
        )

    @property
    def visible(self) -> np.ndarray:
        """(n, nodes) bool, true where neither coordinate is nan."""
        return ~np.isnan(self.points).any(axis=-1)

    def by_frame(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield (video, frame, row indices) for every processed frame, in the order of `frames`."""
        order = np.lexsort((self.frame, self.video))
        keys = np.stack([self.video[order], self.frame[order]], axis=1)
        differs = np.ones(len(keys), dtype=bool)
        differs[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        starts = np.flatnonzero(differs)
        ends = np.append(starts, len(order))[1:]
        rows = {
            (video, frame): order[start:end]
            for (video, frame), start, end in zip(
                keys[starts].tolist(), starts.tolist(), ends.tolist(), strict=True
            )
        }
        for video, frame in self.frames.tolist():
            yield video, frame, rows.get((video, frame), order[:0])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the record as plain arrays by name, for files.

        Skeleton and track names are one JSON text, `header`.
        """
        header = {"skeleton": vars(self.skeleton), "track_names": self.track_names}
        return {"header": np.array(json.dumps(header))} | {
            name: getattr(self, name) for name in (*COLUMNS, "frames")
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Poses":
        """Build a record from the arrays that `to_arrays` returns."""
        header = json.loads(str(arrays["header"]))
        skeleton = header["skeleton"]
        return cls(
            skeleton=Skeleton(
                nodes=tuple(skeleton["nodes"]),
                edges=tuple((a, b) for a, b in skeleton["edges"]),
                symmetries=tuple((a, b) for a, b in skeleton["symmetries"]),
                name=skeleton["name"],
            ),
            track_names=tuple(header["track_names"]),
            **{name: arrays[name] for name in (*COLUMNS, "frames")},
        )

    def save(self, path: str | Path) -> None:
        """Write the record to an `.npz` file that holds plain arrays and text only."""
        with open(path, "wb") as file:
            # The stubs of numpy take the names of the arrays for its own options.
            np.savez_compressed(file, **self.to_arrays())  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> "Poses":
        """Read a record written by `save`; never unpickles."""
        return cls.from_arrays(read_arrays(path))


COLUMNS = tuple(
    f.name for f in fields(Poses) if f.name not in ("skeleton", "track_names", "frames")
)


def make_poses(
    skeleton: Skeleton,
    points: Any,
    *,
    video: Any = 0,
    frame: Any = 0,
    point_scores: Any = 1.0,
    instance_scores: Any = 1.0,
    tracks: Any = -1,
    track_scores: Any = np.nan,
    user: Any = False,
    origin: Any = -1,
    track_names: Sequence[str] = (),
    frames: Any = None,
) -> Poses:
    """Build a record from plain lists or arrays; scalars are repeated for every instance.

    Args:
        skeleton: Nodes and edges.
        points: (n, nodes, 2) px, image space; may be an empty list.
        video: (n,) or one number.
        frame: (n,) or one number.
        point_scores: (n, nodes) or one number.
        instance_scores: (n,) or one number.
        tracks: (n,) or one number.
        track_scores: (n,) or one number.
        user: (n,) or one value.
        origin: (n,) or one number.
        track_names: Names of the tracks.
        frames: (frames, 2) processed (video, frame); by default those with an instance, in order of
            first appearance.
    """
    nodes = len(skeleton.nodes)
    points = np.asarray(points, dtype=np.float64).reshape(-1, nodes, 2)
    n = len(points)

    def column(value: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        filled = np.empty(shape, dtype=dtype)
        filled[...] = value
        return filled

    video, frame = column(video, np.int32, (n,)), column(frame, np.int64, (n,))
    if frames is None:
        frames = list(dict.fromkeys(zip(video.tolist(), frame.tolist(), strict=True)))
    return Poses(
        skeleton=skeleton,
        video=video,
        frame=frame,
        points=points,
        point_scores=column(point_scores, np.float64, (n, nodes)),
        instance_scores=column(instance_scores, np.float64, (n,)),
        tracks=column(tracks, np.int32, (n,)),
        track_scores=column(track_scores, np.float64, (n,)),
        user=column(user, np.bool_, (n,)),
        origin=column(origin, np.int64, (n,)),
        track_names=tuple(track_names),
        frames=np.asarray(frames, dtype=np.int64).reshape(-1, 2),
    )


def concatenate(parts: Sequence[Poses]) -> Poses:
    """Join records of one skeleton and one track list, one after the other.

    Raises:
        ValueError: There is nothing to join, or skeletons or track names differ.
    """
    if not parts:
        raise ValueError("concatenate needs at least one record")
    first = parts[0]
    for part in parts[1:]:
        if part.skeleton != first.skeleton or part.track_names != first.track_names:
            raise ValueError("records to concatenate must share skeleton and track names")
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(p, name) for p in parts]) for name in (*COLUMNS, "frames")
    }
    return replace(first, **columns)


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names: a name that occurred before gets a number."""
    taken = set(names)
    seen: set[str] = set()
    found = []
    for name in names:
        unlike = name
        if name in seen:
            unlike = next(
                other for number in count(2) if (other := f"{name}_{number}") not in taken
            )
            taken.add(unlike)
        seen.add(name)
        found.append(unlike)
    return tuple(found)


JOINED_AT_ONCE = 256
"""Records that are joined to one while more come."""


class Gathering:
    """A sequence of records, such as those of batches, that is joined from time to time.

    Thousands of records with a few instances each need several times the memory of one record with
    all instances.
    """

    def __init__(self) -> None:
        """Start with no records."""
        self._joined: list[Poses] = []
        self._loose: list[Poses] = []

    def add(self, poses: Poses) -> None:
        """Add the next record."""
        self._loose.append(poses)
        if len(self._loose) == JOINED_AT_ONCE:
            self._joined.append(concatenate(self._loose))
            self._loose = []

    def whole(self) -> Poses | None:
        """Return all records as one; None if there are none."""
        parts = [*self._joined, *self._loose]
        return concatenate(parts) if parts else None
