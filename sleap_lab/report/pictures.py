"""The frames that the report shows, as pictures with captions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.evaluation import Evaluation, Switch
from sleap_lab.poses.record import Poses
from sleap_lab.report import drawing, still

WORST_FRAMES = 4
EVEN_FRAMES = 4
MOST_SWITCHES = 4
MOMENT = 15  # frames


@dataclass(frozen=True)
class Picture:
    """One captioned picture of the page.

    Attributes:
        title: Where it was taken.
        caption: What is to be seen.
        alt: The picture in words.
        image: `data:` address.
        legend: (name, colour) of each predicted instance.
    """

    title: str
    caption: str
    alt: str
    image: str
    legend: tuple[tuple[str, str], ...]


def pair_errors(evaluation: Evaluation) -> np.ndarray:
    """Return (p,) px, the mean error over the nodes of each matched pair; nan if none compares."""
    distances = np.asarray(evaluation.metrics["distance_metrics"]["dists"], dtype=float)
    if distances.ndim < 2:  # centroids, or no pair at all
        return distances
    compared = np.isfinite(distances).sum(axis=1)
    return np.divide(
        np.nansum(distances, axis=1),
        compared,
        out=np.full(len(distances), np.nan),
        where=compared > 0,
    )


def worst_pairs(poses: Poses, evaluation: Evaluation, count: int = WORST_FRAMES) -> list[int]:
    """Return the matched pairs with the largest mean error, worst first, one per moment.

    A moment is `MOMENT` frames long, and less in a short recording.
    """
    errors, rows = pair_errors(evaluation), evaluation.matches.pose_rows
    video, frame = poses.video[rows], poses.frame[rows]
    apart = min(MOMENT, int(np.ptp(poses.frames[:, 1])) // (2 * count)) if len(rows) else 0
    chosen: list[int] = []
    for pair in np.argsort(-errors, kind="stable")[: np.isfinite(errors).sum()]:
        near = (video[chosen] == video[pair]) & (np.abs(frame[chosen] - frame[pair]) <= apart)
        if not near.any():
            chosen.append(int(pair))
        if len(chosen) == count:
            break
    return chosen


def even_frames(poses: Poses, count: int = EVEN_FRAMES) -> list[tuple[int, int]]:
    """Return evenly spaced (video, frame), among those that hold an instance if any does."""
    frames = np.stack([poses.video, poses.frame], axis=1) if len(poses) else poses.frames
    frames = np.unique(frames, axis=0)
    places = np.unique(np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int))
    return [(int(video), int(frame)) for video, frame in frames[places]]


def take_pictures(
    poses: Poses,
    truth: Poses | None,
    evaluation: Evaluation | None,
    read_image: Callable[[int, int], np.ndarray],
    names: Sequence[str] = (),
) -> tuple[list[Picture], list[Picture], list[str]]:
    """Draw the worst matched pairs, zoomed in, and evenly spaced whole frames.

    Args:
        poses: Predictions.
        truth: Ground truth, with the same video indices.
        evaluation: How the two were matched.
        read_image: (video, frame) to (h, w, c) uint8; whatever it raises leaves that picture out.
        names: Names of the videos, if they have any.

    Returns:
        Pictures of the worst pairs, of evenly spaced frames, and one line for each unreadable
        frame.
    """
    wanted: list[tuple[int, int, int | None]] = []
    if evaluation is not None:
        rows = evaluation.matches.pose_rows
        wanted += [
            (int(poses.video[rows[pair]]), int(poses.frame[rows[pair]]), pair)
            for pair in worst_pairs(poses, evaluation)
        ]
    wanted += [(video, frame, None) for video, frame in even_frames(poses)]
    worst: list[Picture] = []
    even: list[Picture] = []
    unreadable: dict[str, None] = {}
    for video, frame, pair in wanted:
        place = place_name(poses, names, video, frame)
        try:
            image = read_image(video, frame)
        except Exception as error:  # whatever the reader of this kind of video raises
            raise_interruption(error)
            unreadable[f"{place} could not be read: {error}"] = None
            continue
        picture = _picture(image, poses, truth, evaluation, place, video, frame, pair)
        (even if pair is None else worst).append(picture)
    return worst, even, list(unreadable)


def switch_pictures(
    poses: Poses,
    truth: Poses,
    evaluation: Evaluation,
    read_image: Callable[[int, int], np.ndarray],
    names: Sequence[str] = (),
) -> list[Picture]:
    """Draw moments of identity switches over the whole run, zoomed in on the animal.

    A frame that cannot be read is left out.

    Args:
        poses: Predictions, with names of tracks as in the switches.
        truth: Ground truth, with the same video indices.
        evaluation: How the two were matched, and the switches.
        read_image: (video, frame) to (h, w, c) uint8.
        names: Names of the videos, if they have any.
    """
    pictures = []
    for switch in _apart(evaluation.switches):
        video, frame = switch.pose_video, switch.frame
        try:
            image = read_image(video, frame)
        except Exception as error:  # whatever the reader of this kind of video raises
            raise_interruption(error)
            continue
        place = place_name(poses, names, video, frame)
        pair = _pair_of(switch, poses, evaluation)
        picture = _picture(image, poses, truth, evaluation, place, video, frame, pair)
        caption = (
            f"{switch.truth_track} is followed by {switch.to_track} from here on, "
            f"by {switch.from_track} before"
        )
        alt = f"{place} with poses drawn over the image: {caption}"
        pictures.append(replace(picture, caption=caption, alt=alt))
    return pictures


def _apart(switches: Sequence[Switch]) -> list[Switch]:
    """Return switches from the first to the last, evenly chosen, one per moment."""
    moments: list[Switch] = []
    for switch in sorted(switches, key=lambda switch: (switch.pose_video, switch.frame)):
        last = moments[-1] if moments else None
        if (
            last is None
            or last.pose_video != switch.pose_video
            or switch.frame - last.frame > MOMENT
        ):
            moments.append(switch)
    count = min(len(moments), MOST_SWITCHES)
    places = np.linspace(0, len(moments) - 1, count).round().astype(int).tolist()
    return [moments[place] for place in places]


def _pair_of(switch: Switch, poses: Poses, evaluation: Evaluation) -> int | None:
    """Return the matched pair of the animal at its switch; None if it was matched otherwise."""
    rows = evaluation.matches.pose_rows
    here = (poses.video[rows] == switch.pose_video) & (poses.frame[rows] == switch.frame)
    return next(
        (
            int(pair)
            for pair in np.flatnonzero(here)
            if poses.tracks[rows[pair]] >= 0
            and poses.track_names[poses.tracks[rows[pair]]] == switch.to_track
        ),
        None,
    )


def place_name(poses: Poses, names: Sequence[str], video: int, frame: int) -> str:
    """Return what to call a frame: with its video where there are several."""
    if len(np.unique(poses.frames[:, 0])) <= 1:
        return f"Frame {frame}"
    return f"{names[video] if names else f'Video {video}'}, frame {frame}"


def _picture(
    image: np.ndarray,
    poses: Poses,
    truth: Poses | None,
    evaluation: Evaluation | None,
    place: str,
    video: int,
    frame: int,
    pair: int | None,
) -> Picture:
    rows = np.flatnonzero((poses.video == video) & (poses.frame == frame))
    here = poses[rows]
    labelled = None if truth is None else truth[(truth.video == video) & (truth.frame == frame)]
    offsets, window, facts = None, None, [f"{len(here)} predicted"]
    if labelled is not None:
        facts.append(f"{len(labelled)} in the ground truth")
    if truth is not None and evaluation is not None:
        pairs = np.flatnonzero(np.isin(evaluation.matches.pose_rows, rows))
        true_points, points = (
            truth.points[evaluation.matches.truth_rows],
            poses.points[evaluation.matches.pose_rows],
        )
        if points.shape == true_points.shape:
            offsets = np.stack([true_points[pairs], points[pairs]], axis=2).reshape(-1, 2, 2)
        if pair is None:
            facts += _mean_error(evaluation, pairs)
        else:
            window = still.window_around(
                np.concatenate([true_points[pair], points[pair]]), image.shape
            )
            facts = [
                *_mean_error(evaluation, np.array([pair])),
                *_worst_node(poses, evaluation, pair),
            ]
    figure = still.draw(image, here, labelled, offsets, window)
    caption = ", ".join(facts)
    return Picture(
        title=place,
        caption=caption,
        alt=f"{place} with poses drawn over the image: {caption}",
        image=drawing.data_uri(figure, "png"),
        legend=_legend(here, window),
    )


def _legend(here: Poses, window: still.Window | None) -> tuple[tuple[str, str], ...]:
    """Return name and colour of each instance that a picture shows, in the order of the tracks."""
    x, y = np.moveaxis(here.points, -1, 0)
    shown = np.isfinite(x)
    if window is not None:
        shown = (x >= window.left) & (x < window.right) & (y >= window.top) & (y < window.bottom)
    colors = still.colors(here)
    order = np.lexsort((here.tracks, here.tracks < 0)).tolist()  # those without a track come last
    return tuple(
        (
            here.track_names[here.tracks[place]]
            if here.tracks[place] >= 0
            else f"instance {place + 1}",
            colors[place],
        )
        for place in order
        if shown[place].any()
    )


def _mean_error(evaluation: Evaluation, pairs: np.ndarray) -> list[str]:
    errors = pair_errors(evaluation)[pairs]
    return [f"mean error {np.nanmean(errors):.1f} px"] if np.isfinite(errors).any() else []


def _worst_node(poses: Poses, evaluation: Evaluation, pair: int) -> list[str]:
    distances = np.atleast_1d(evaluation.metrics["distance_metrics"]["dists"][pair])
    if len(distances) < 2:
        return []
    node = int(np.nanargmax(distances))
    return [f"worst node {poses.skeleton.nodes[node]}, {distances[node]:.1f} px"]
