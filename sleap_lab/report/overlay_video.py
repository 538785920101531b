"""Videos with the predictions drawn over them: a short clip of the worst moments, or everything."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import sleap_io as sio

from sleap_lab.errors import RunError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.evaluation import Evaluation
from sleap_lab.files.atomic import replacing
from sleap_lab.media.labels import video_name
from sleap_lab.poses.record import Poses
from sleap_lab.report.drawing import track_color

MOMENTS = 6
AROUND = 8  # processed frames before and after the worst one
FALLBACK_RATE = 15.0  # frames per second where the video does not say
LINE_WIDTH, NODE_RADIUS = 2, 3  # px
SUBPIXEL_BITS = 4  # OpenCV draws at whole numbers of 1/16 px
MARGIN, SMALLEST = 6, 100  # px
WHITE, BLACK = "#ffffff", "#000000"
FAR = 1e6  # px; 32 bits hold no more


def worst_frames(
    poses: Poses, evaluation: Evaluation | None, count: int = MOMENTS
) -> list[tuple[int, int]]:
    """Return the (video, frame) worth looking at first, in the order of the video.

    With an evaluation these are the identity switches, then the frames with the most instances
    missed or extra, then those with the largest errors; without one, the frames whose instances
    have the lowest scores.

    Args:
        poses: Predictions.
        evaluation: How they compare with the ground truth.
        count: Largest number of moments; frames so near to a worse one that their pictures would
            overlap are left out.
    """
    if evaluation is None or evaluation.table is None:
        order = np.argsort(poses.instance_scores, kind="stable")
        ranked = list(zip(poses.video[order].tolist(), poses.frame[order].tolist(), strict=True))
    else:
        here = {pair.truth_video: pair.pose_video for pair in evaluation.frame_pairs}
        table, columns = evaluation.table, evaluation.table.columns
        wrong = columns["n_missed"] + columns["n_extra"]
        error = columns["dist_sum"] / np.maximum(columns["n_distances"], 1)
        order = np.lexsort((-error, -wrong))
        places = zip(table.video[order].tolist(), table.frame[order].tolist(), strict=True)
        ranked = [(switch.pose_video, switch.frame) for switch in evaluation.switches]
        ranked += [(here[video], frame) for video, frame in places if video in here]
    processed = set(map(tuple, poses.frames.tolist()))
    chosen: list[tuple[int, int]] = []
    for video, frame in ranked:
        apart = all(video != other or abs(frame - taken) > 2 * AROUND for other, taken in chosen)
        if apart and (video, frame) in processed and len(chosen) < count:
            chosen.append((video, frame))
    return sorted(chosen)


@dataclass(frozen=True)
class _Pictures:
    """A video as a backend of sleap-io for the renderer; unreadable frames are black pictures."""

    read_image: Callable[[int], np.ndarray]
    shape: tuple[int, int, int, int]
    fps: float | None

    def __getitem__(self, frame: int) -> np.ndarray:
        try:
            return self.read_image(frame)
        except RunError:
            return np.zeros(self.shape[1:], dtype=np.uint8)


def with_pictures(labels: sio.Labels, read_image: Callable[[int, int], np.ndarray]) -> sio.Labels:
    """Return the same labels over videos whose frames are read by a function.

    Args:
        labels: Predictions.
        read_image: (video, frame) to (h, w, c) uint8; a RunError makes the frame black.
    """
    videos = []
    for i, video in enumerate(labels.videos):
        pictures = _Pictures(partial(read_image, i), video.shape or (0, 1, 1, 1), video.fps)
        videos.append(sio.Video(video.filename, backend=pictures, open_backend=False))
    place = {id(video): i for i, video in enumerate(labels.videos)}
    frames = [
        sio.LabeledFrame(videos[place[id(frame.video)]], frame.frame_idx, frame.instances)
        for frame in labels.labeled_frames
    ]
    return sio.Labels(frames, videos=videos, skeletons=labels.skeletons, tracks=labels.tracks)


Radii = Callable[[np.ndarray], np.ndarray]
"""(n, nodes) confidences of nodes -> (n, nodes) px, the radii of the nodes; nan for none."""


def write_clip(
    labels: sio.Labels,
    path: Path,
    moments: Sequence[tuple[int, int]],
    around: int = AROUND,
    radii: Radii | None = None,
) -> None:
    """Write the frames around some moments one after the other, as one video.

    Sides that the codec cannot encode get a black border on the right and below, so coordinates do
    not change.

    Args:
        labels: Predictions.
        path: Where to.
        moments: (video, frame) in the order in which they are shown.
        around: Processed frames that are shown before and after each.
        radii: Radii that are drawn around predicted nodes.

    Raises:
        RunError: The file cannot be written.
    """
    images: list[np.ndarray] = []
    for number, group in groupby(moments, key=lambda moment: moment[0]):
        video = labels.videos[number]
        known = np.array(
            sorted(frame.frame_idx for frame in labels.labeled_frames if frame.video is video)
        )
        frames: dict[int, None] = {}
        for _, frame in group:
            place = int(np.searchsorted(known, frame))
            frames |= dict.fromkeys(known[max(0, place - around) : place + around + 1].tolist())
        images += _drawn(labels, number, list(frames), radii)
    _save(images, path, labels.videos[moments[0][0]].fps)


def write_video(labels: sio.Labels, path: Path, radii: Radii | None = None) -> list[Path]:
    """Write every processed frame as a video; each video has a file of its own.

    Radii, if any, are
    drawn around predicted nodes.

    Raises:
        RunError: A file cannot be written.
    """
    processed = {
        i: sorted(frame.frame_idx for frame in labels.labeled_frames if frame.video is video)
        for i, video in enumerate(labels.videos)
    }
    files = files_of(path, [i for i, frames in processed.items() if frames])
    for i, target in files.items():
        with replacing(target) as temporary:
            sio.save_video(
                _drawn(labels, i, processed[i], radii),
                str(temporary),
                fps=labels.videos[i].fps or FALLBACK_RATE,
            )
    return list(files.values())


def files_of(path: Path, videos: Sequence[int]) -> dict[int, Path]:
    """Return a file for each video: of several, each has its number in the name."""
    if len(videos) == 1:
        return {videos[0]: path}
    return {video: path.with_stem(f"{path.stem}.{video}") for video in videos}


def _drawn(
    labels: sio.Labels, number: int, frames: Sequence[int], radii: Radii | None
) -> Iterator[np.ndarray]:
    """Yield frames (h, w, 3) of a video with poses, radii, names of tracks and frame numbers.

    Raises:
        RunError: The video cannot be read.
    """
    video = labels.videos[number]
    found = {frame.frame_idx: frame for frame in labels.labeled_frames if frame.video is video}
    tracks = {id(track): i for i, track in enumerate(labels.tracks)}
    # sleap-io reads from no video whose file is not there, even where a function reads it.
    pictures = video.backend if isinstance(video.backend, _Pictures) else video
    for index in frames:
        try:
            picture = np.asarray(pictures[index])
        except Exception as error:  # each kind of video has its own for an unreadable frame
            raise_interruption(error)
            raise RunError(
                f"output.overlay_video: {video_name(video)} cannot be drawn over "
                f"({one_line(error)})"
            ) from error
        picture = np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3))).copy()
        for place, instance in enumerate(found[index].instances):
            points = instance.numpy()
            color = track_color(tracks.get(id(instance.track), place))
            _draw_pose(picture, points, instance.skeleton.edge_inds, color)
            if radii is not None and isinstance(instance, sio.PredictedInstance):
                _draw_radii(picture, points, radii(instance.points["score"][None])[0], color)
            if instance.track is not None:
                _write_above(picture, instance.track.name, points, color)
        _write(picture, f"frame {index}", (MARGIN, MARGIN + _text_size(picture, "frame")[1]), WHITE)
        yield picture


def _write_above(picture: np.ndarray, name: str, points: np.ndarray, color: str) -> None:
    """Write the name of a track above the highest node of its pose."""
    known = points[np.isfinite(points).all(axis=1)]
    if not len(known):
        return
    width, height = _text_size(picture, name)
    x, y = known[known[:, 1].argmin()].clip(-FAR, FAR)
    place = (
        int(np.clip(x - width / 2, 0, max(picture.shape[1] - width, 0))),
        int(np.clip(y - 2 * NODE_RADIUS, height + MARGIN, picture.shape[0] - MARGIN)),
    )
    _write(picture, name, place, color)


def _write(picture: np.ndarray, text: str, place: tuple[int, int], color: str) -> None:
    """Write a text with a dark border over a picture, in place; (x, y) is its lower left corner.

    OpenCV's font has ASCII only; other letters become question marks. Nothing is written over
    pictures that would be covered by it.
    """
    if picture.shape[0] < SMALLEST:
        return
    text, scale = text.encode("ascii", "replace").decode(), _font_scale(picture)
    for ink, width in ((BLACK, 2), (color, 1)):
        cv2.putText(
            picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _rgb(ink), width, cv2.LINE_AA
        )


def _text_size(picture: np.ndarray, text: str) -> tuple[int, int]:
    """Return width and height of a text in px."""
    (width, height), _ = cv2.getTextSize(
        text.encode("ascii", "replace").decode(),
        cv2.FONT_HERSHEY_SIMPLEX,
        _font_scale(picture),
        1,
    )
    return width, height


def _font_scale(picture: np.ndarray) -> float:
    """Return the size of letters: a fixed share of the picture, but never too small to read."""
    return max(0.4, picture.shape[0] / 1200)


def _rgb(color: str) -> tuple[int, ...]:
    """Return red, green and blue of a colour `#rrggbb`."""
    return tuple(bytes.fromhex(color.removeprefix("#")))


def _draw_pose(
    picture: np.ndarray, points: np.ndarray, edges: Sequence[tuple[int, int]], color: str
) -> None:
    """Draw a pose over a picture (h, w, 3), in place.

    OpenCV draws it and not sleap-io, whose renderer needs system libraries that containers lack.

    Args:
        picture: (h, w, 3) uint8, red first.
        points: (nodes, 2) px, image space; nan where a node is missing.
        edges: Pairs of nodes.
        color: As `#rrggbb`.
    """
    red_green_blue = _rgb(color)
    known = np.isfinite(points).all(axis=1)
    places = [
        (int(x), int(y))
        for x, y in np.rint(np.where(known[:, None], points, 0).clip(-FAR, FAR) * 2**SUBPIXEL_BITS)
    ]
    for a, b in edges:
        if known[a] and known[b]:
            cv2.line(
                picture,
                places[a],
                places[b],
                red_green_blue,
                LINE_WIDTH,
                cv2.LINE_AA,
                SUBPIXEL_BITS,
            )
    for place in np.flatnonzero(known):
        cv2.circle(
            picture,
            places[place],
            NODE_RADIUS << SUBPIXEL_BITS,
            red_green_blue,
            cv2.FILLED,
            cv2.LINE_AA,
            SUBPIXEL_BITS,
        )


def _draw_radii(picture: np.ndarray, points: np.ndarray, radii: np.ndarray, color: str) -> None:
    """Draw a circle around each node that has a radius, in place; arguments as for the pose."""
    for i in np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(radii)):
        x, y, radius = np.rint(np.append(points[i], radii[i]).clip(-FAR, FAR) * 2**SUBPIXEL_BITS)
        cv2.circle(
            picture, (int(x), int(y)), int(radius), _rgb(color), 1, cv2.LINE_AA, SUBPIXEL_BITS
        )


def _save(images: Sequence[np.ndarray], path: Path, rate: float | None) -> None:
    """Write images (h, w, 3) of any sizes as one video.

    Smaller images get a black border on the right and below.
    """
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    padded = [
        np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)))
        for image in images
    ]
    with replacing(path) as temporary:
        sio.save_video(padded, str(temporary), fps=rate or FALLBACK_RATE)
