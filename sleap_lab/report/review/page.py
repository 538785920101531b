"""The page itself: the content, its poses and its doubtful moments in one HTML file."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sleap_lab import terminal
from sleap_lab.errors import RunError
from sleap_lab.evaluation import Switch
from sleap_lab.poses.record import Poses, distinct
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.suspects import Suspect
from sleap_lab.report.drawing import PALETTE, track_color
from sleap_lab.report.page import template, write_html
from sleap_lab.report.review.chosen import choose
from sleap_lab.report.review.film import GROUP, encode, film_rate, film_size
from sleap_lab.report.review.packing import Canvas, pack_poses, pack_timeline, packed

BUDGET = 24_000_000
"""Bytes of film and poses that a page may hold; as text they take a third more."""
SAMPLES, SAMPLE = 4, 2 * GROUP  # stretches, and frames of each, that tell the size of a film
MARGIN = 1.05  # by which a film may turn out larger than its samples
FALLBACK_RATE = 15.0  # frames per second where the video does not say
MOST_MOMENTS = 500
GRAY = 128  # pixel value of a frame that cannot be read

Read = Callable[[int, int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Content:
    """What a page shows.

    Attributes:
        title: Its title.
        videos: Names of the videos.
        quality: The poses and the signs of errors in them.
        moments: Doubtful moments, the most doubtful first.
        read: (video, frame) to (h, w, c) uint8, c 1 or 3; raises RunError for an unreadable frame.
        rates: By video, frames per second, where known.
        problems: By video, why it cannot be read; only videos that cannot be read are in it.
        sizes: By video that cannot be read, height and width of its images, px, where known.
        truth: Ground truth, with the video indices of the poses; None without.
        switches: Identity switches of an evaluation; None without one.
        notes: What a reader must know.
    """

    title: str
    videos: Sequence[str]
    quality: Quality
    moments: Sequence[Suspect]
    read: Read
    rates: Mapping[int, float] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)
    sizes: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    truth: Poses | None = None
    switches: Sequence[Switch] | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class _Part:
    """The frames of one video that the page holds: numbers, positions among all, and the film."""

    frames: np.ndarray
    positions: np.ndarray
    canvas: Canvas
    rate: float
    film: bytes | None


def write_review(path: Path, content: Content, budget: int = BUDGET) -> None:
    """Write the page; it appears under `path` at once.

    Args:
        path: The HTML file to write.
        content: What it shows.
        budget: Bytes of film and poses that it may hold.

    Raises:
        RunError: The file cannot be written.
    """
    order = content.quality.order
    poses = replace(order.poses, track_names=distinct(order.poses.track_names))
    unreadable: list[str] = []
    parts = _parts(content, budget, unreadable)
    shown = sum(len(part.positions) for part in parts.values())
    data = {
        "skeleton": {"nodes": poses.skeleton.nodes, "edges": poses.skeleton.edges},
        "tracks": [
            {"name": name, "color": track_color(i)} for i, name in enumerate(poses.track_names)
        ],
        "palette": PALETTE,
        "evaluated": content.switches is not None,
        "videos": [_video(content, video, part) for video, part in parts.items()],
        "found": len(content.moments),
        "moments": list(_moments(content, parts)),
        "switches": list(_switches(content, list(parts))),
    }
    html = template("review/page.html").render(
        title=content.title,
        videos=[content.videos[video] for video in parts],
        problems={content.videos[video]: why for video, why in content.problems.items()},
        films=[base64.b64encode(part.film or b"").decode("ascii") for part in parts.values()],
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        notes=list(dict.fromkeys([*content.notes, *unreadable])),
        shown=shown,
        frames=len(order.places),
        moments=len(content.moments),
        most=MOST_MOMENTS,
        budget=f"{budget / 1e6:.0f} MB",
        truth=content.truth is not None,
        evaluated=content.switches is not None,
    )
    write_html(path, html)


def _parts(content: Content, budget: int, unreadable: list[str]) -> dict[int, _Part]:
    """Choose the frames of the page and encode their films, within the budget.

    Args:
        content: What the page shows.
        budget: Bytes.
        unreadable: Gets a sentence on frames that cannot be read.
    """
    order = content.quality.order
    videos = np.unique(order.places[:, 0]).tolist()
    pose_bytes = 4.0 * np.diff(order.start) * (1 + len(order.poses.skeleton.nodes))
    canvases = {video: _canvas(content, video) for video in videos}
    film_bytes = {video: _estimate(content, video, canvases[video]) for video in videos}
    while True:
        estimate = np.array([film_bytes[video] for video in order.places[:, 0].tolist()])
        chosen = choose(order.places, content.moments, pose_bytes + estimate, budget)
        unreadable.clear()
        parts = {
            video: _part(content, video, canvases[video], chosen, unreadable) for video in videos
        }
        size = pose_bytes[chosen].sum() + sum(len(part.film or b"") for part in parts.values())
        if size <= budget or np.count_nonzero(chosen) <= GROUP:
            return parts
        film_bytes = {video: 1.1 * each * size / budget for video, each in film_bytes.items()}


def _canvas(content: Content, video: int) -> Canvas:
    """Return the size of a video's images; where it is not known, of the area of its poses."""
    if video in content.sizes:
        return Canvas(content.sizes[video], film_size(*content.sizes[video]))
    places = content.quality.order.places
    if video not in content.problems:
        for frame in places[places[:, 0] == video, 1].tolist():
            try:
                height, width = content.read(video, frame).shape[:2]
            except RunError:
                continue
            return Canvas((height, width), film_size(height, width))
    poses = content.quality.order.poses
    points = poses.points[poses.video == video].reshape(-1, 2)
    points = points[np.isfinite(points).all(axis=1)]
    far = np.percentile(points, 99.9, axis=0) * 1.05 if len(points) else np.zeros(2)
    width, height = np.maximum(np.ceil(far), 64).astype(int).tolist()
    return Canvas((height, width), film_size(height, width))


def _estimate(content: Content, video: int, canvas: Canvas) -> float:
    """Return the bytes that a frame of a video's film takes, from some stretches of frames."""
    places = content.quality.order.places
    frames = places[places[:, 0] == video, 1]
    if video in content.problems:
        return 0.0
    first = np.linspace(0, max(0, len(frames) - SAMPLE), SAMPLES).astype(int)
    chosen = np.unique((first[:, None] + np.arange(SAMPLE)).clip(max=len(frames) - 1))
    images = _images(content, video, frames[chosen].tolist(), canvas, [])
    film = encode(images, canvas.film, _film_rate(content, video))
    return MARGIN * len(film) / len(chosen)


def _film_rate(content: Content, video: int) -> Fraction:
    places = content.quality.order.places
    rate = content.rates.get(video) or FALLBACK_RATE
    return film_rate(places[places[:, 0] == video, 1], rate)


def _part(
    content: Content, video: int, canvas: Canvas, chosen: np.ndarray, unreadable: list[str]
) -> _Part:
    places = content.quality.order.places
    positions = np.flatnonzero(chosen & (places[:, 0] == video))
    frames, rate = places[positions, 1], _film_rate(content, video)
    film = None
    if video not in content.problems and len(frames):
        label = f"encoding {Path(content.videos[video]).name}"
        watched = terminal.progress(frames.tolist(), len(frames), label)
        film = encode(_images(content, video, watched, canvas, unreadable), canvas.film, rate)
    positions -= np.searchsorted(places[:, 0], video)
    return _Part(frames, positions, canvas, float(rate), film)


def _images(
    content: Content,
    video: int,
    frames: Iterator[int] | list[int],
    canvas: Canvas,
    unreadable: list[str],
) -> Iterator[np.ndarray]:
    """Yield the images of some frames; gray ones where a frame cannot be read, which is noted."""
    missing = 0
    for frame in frames:
        try:
            yield content.read(video, frame)
        except RunError:
            missing += 1
            yield np.full((*canvas.image, 1), GRAY, dtype=np.uint8)
    if missing:
        unreadable.append(
            f"{content.videos[video]}: frames that cannot be read, and are gray here: {missing}"
        )


def _video(content: Content, video: int, part: _Part) -> dict[str, Any]:
    """Return what the page knows about a video."""
    quality = content.quality
    order = quality.order
    frames = order.places[order.places[:, 0] == video, 1]
    places = np.stack([np.full(len(part.frames), video), part.frames], axis=1)
    return {
        "name": Path(content.videos[video]).name,
        "index": video,
        "film": part.film is not None,
        "size": part.canvas.film[::-1],
        "rate": part.rate,
        "frames": packed(frames, "<i4"),
        "positions": packed(part.positions, "<i4"),
        "poses": pack_poses(order.poses, places, part.canvas),
        "truth": pack_poses(content.truth, places, part.canvas)
        if content.truth is not None
        else None,
        "timeline": pack_timeline(order, video, max(1, quality.expected.get(video, 1))),
    }


def _moments(content: Content, parts: Mapping[int, _Part]) -> Iterator[dict[str, Any]]:
    """Yield the moments of the page; videos are numbered as there."""
    poses, videos = content.quality.order.poses, list(parts)
    part = {name: i for i, name in enumerate(poses.skeleton.nodes)}
    held = {(video, frame) for video, part in parts.items() for frame in part.frames.tolist()}
    for moment in content.moments[:MOST_MOMENTS]:
        tracks = [  # the most doubtful first
            i for animal in moment.animals for i in _numbers(poses, animal)
        ]
        yield {
            "video": videos.index(moment.video),
            "frame": moment.frame,
            "first": moment.first,
            "last": moment.last,
            "tracks": tracks,
            "nodes": [
                [i, part[node]] for name, node in moment.nodes for i in _numbers(poses, name)
            ],
            "animals": moment.animals,
            "probability": round(moment.probability, 4),
            "reason": moment.reason,
            "held": (moment.video, moment.frame) in held,
        }


def _numbers(poses: Poses, name: str) -> list[int]:
    """Return the numbers of the tracks of a name, of which there may be several."""
    return [i for i, own in enumerate(poses.track_names) if own == name]


def _switches(content: Content, videos: list[int]) -> Iterator[dict[str, Any]]:
    """Yield the identity switches of the evaluation; videos are numbered as in the page."""
    for switch in content.switches or ():
        if switch.pose_video in videos:
            yield {
                "video": videos.index(switch.pose_video),
                "frame": switch.frame,
                "animal": switch.truth_track,
                "from": switch.from_track,
                "to": switch.to_track,
            }
