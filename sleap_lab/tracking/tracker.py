"""Tracking of whole recordings: which instances are tracked, clean-up, and names of tracks."""

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.errors import counted
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.settings.check_tracker import ABSENCE, check_tracker, known_animals
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.terminal import Watch
from sleap_lab.tracking.cleanup import connect_single_breaks, cull
from sleap_lab.tracking.doubt import in_order
from sleap_lab.tracking.linker import Linker
from sleap_lab.tracking.watch import onwards, unwatched, within

if TYPE_CHECKING:
    from sleap_lab.tracking.absence import AbsenceLinker

log = logging.getLogger(__name__)

ReadImage = Callable[[int, int], np.ndarray]


def track(
    poses: Poses,
    config: TrackerConfig,
    read_image: ReadImage | None = None,
    notes: list[str] | None = None,
    watch: Watch = unwatched,
) -> Poses:
    """Give every instance a track; each video is tracked by itself, its frames in order.

    Predicted instances that find no track are left out; user-labelled instances stay without one.
    All frames stay.

    Args:
        poses: Instances to track; tracks they have are replaced.
        config: Tracker settings.
        read_image: Takes (video, frame), returns the image, (h, w, c) uint8; needed and used for
            optical flow and appearance only.
        notes: Gets sentences that a reader of the result must know.
        watch: Is told how far the tracking is.

    Returns:
        Instances and frames ordered by video and frame. `track_scores` is 1 for an instance that
        opens a track, else the score of its link (-inf where it matches no track but may not open
        one either); where the whole video decides, the probability that the link is right.
        `track_names` holds the tracks in use, in order of first appearance; new ones are called
        track_0, track_1, …, and never like one that was kept.

    Raises:
        ConfigError: The settings contradict each other.
        ValueError: Optical flow or appearance is requested without `read_image`.
        RunError: Images differ in size (optical flow).
    """
    config = _resolve(check_tracker(config), poses)
    if (config.use_flow or config.features == "image") and read_image is None:
        raise ValueError("optical flow and appearance need read_image")
    frames = poses.frames[np.lexsort((poses.frames[:, 1], poses.frames[:, 0]))]
    parts = [replace(poses[:0], frames=frames[:0])]
    unused = len(poses.track_names)
    linkers: list[Linker | AbsenceLinker] = []
    videos = np.unique(frames[:, 0]).tolist()
    for number, video in enumerate(videos, start=1):
        part = replace(poses[poses.video == video], frames=frames[frames[:, 0] == video])
        before = int((frames[:, 0] < video).sum())
        name = f"video {number} of {len(videos)}"
        own = onwards(watch, before, len(frames), name) if len(videos) > 1 else watch
        parts.append(_track_video(part, config, read_image, unused, linkers, notes, own))
        unused = max(unused, int(parts[-1].tracks.max(initial=-1)) + 1)
    if notes is not None:
        notes += _doubts(linkers, config)
    return _name_tracks(concatenate(parts))


def _doubts(linkers: "Collection[Linker | AbsenceLinker]", config: TrackerConfig) -> list[str]:
    """Return what to say about detections that could be of several tracks alike."""
    kept, parted = sum(each.doubts for each in linkers), sum(each.parted for each in linkers)
    notes = []
    if parted and config.undecided != "reference":
        notes.append(
            f"Tracking: {counted(parted, 'detection')}, equally near to two animals, opened new "
            "tracks."
        )
    if kept and config.undecided == "reference":
        notes.append(
            f"Tracking: {counted(kept, 'link was', 'links were')} decided by the order of the "
            "detections, because scores are equal; tracker.undecided=distance lets the distance of "
            "the nodes decide."
        )
    elif kept:
        notes.append(
            f"Tracking: {counted(kept, 'link is', 'links are')} uncertain: equally near to two "
            "animals and no new track allowed."
        )
    return notes


def _resolve(config: TrackerConfig, poses: Poses) -> TrackerConfig:
    """Compare poses of a single node by their distance, if the config says so.

    Without an area, oks only tells whether the poses are equal.
    """
    if (
        config.method == "online"
        and config.one_node_distance
        and len(poses.skeleton.nodes) == 1
        and config.scoring_method == "oks"
    ):
        log.info(
            "tracker.scoring_method: euclidean_dist instead of oks, "
            "because the skeleton has a single node"
        )
        return replace(config, scoring_method="euclidean_dist")
    return config


def _linker(
    poses: Poses, config: TrackerConfig, read_image: ReadImage | None, video: int
) -> "Linker | AbsenceLinker":
    """Return the linker of one video with the motion model or appearance that the config chooses.

    OpenCV is imported for optical flow and appearance only.
    """
    if config.method in ABSENCE:
        from sleap_lab.tracking.absence import AbsenceLinker

        return AbsenceLinker(poses, config)
    if config.use_flow and read_image:
        from sleap_lab.tracking.flow import Flow

        return Linker(poses, config, flow=Flow(read_image, video, config))
    if config.features == "image" and read_image:
        from sleap_lab.tracking.appearance import Appearance

        return Linker(
            poses,
            config,
            appearance=Appearance(partial(read_image, video), poses.points, poses.frame),
        )
    if config.use_kalman:
        from sleap_lab.tracking.kalman import Kalman

        return Linker(poses, config, kalman=Kalman(poses.points, config))
    return Linker(poses, config)


def _track_video(
    poses: Poses,
    config: TrackerConfig,
    read_image: ReadImage | None,
    first: int,
    linkers: "list[Linker | AbsenceLinker]",
    notes: list[str] | None,
    watch: Watch,
) -> Poses:
    """Track the instances of one video as its settings say; new tracks are numbered from `first`.

    The trackers that look at the whole video are imported where they are asked for.

    Args:
        poses: Instances and frames of one video.
        config: Tracker settings, checked.
        read_image: See `track`.
        first: Number of the first new track.
        linkers: Gets what links the detections frame by frame, where such a tracker is chosen.
        notes: Gets sentences that a reader of the result must know.
        watch: Is told how far the tracking of this video is.
    """
    if config.method == "auto":
        from sleap_lab.tracking.choose import choose

        trackers = {
            name: partial(_try, _resolve(check_tracker(own), poses), read_image, first, watch)
            for name, own in _candidates(config).items()
        }
        return choose(poses, trackers, known_animals(config), notes)
    if config.method == "global":
        from sleap_lab.tracking.offline import track_globally

        return track_globally(poses, config, first, notes, watch)
    linker = _linker(poses, config, read_image, int(poses.frames[0, 0]))
    linkers.append(linker)
    if not config.link_tracklets:
        return _track_online(poses, config, linker, first, watch)
    from sleap_lab.tracking.offline import link_tracklets

    tracked = _track_online(poses, config, linker, first, within(watch, "frame by frame"))
    return link_tracklets(tracked, config, first, notes, watch)


def _candidates(config: TrackerConfig) -> dict[str, TrackerConfig]:
    """Return the settings of each tracker that `tracker.method=auto` tries, in order, by name."""
    linked = {
        f"linked {name}": replace(config, method=name, link_tracklets=True) for name in ABSENCE
    }
    return {
        "global": replace(config, method="global"),
        **linked,
        "online": replace(config, method="online"),
    }


def _try(
    config: TrackerConfig,
    read_image: ReadImage | None,
    first: int,
    watch: Watch,
    poses: Poses,
    reverse: bool,
) -> Poses:
    """Track the instances of one video, which may be played in reverse, with one of the candidates.

    What a tracker says that may not be taken is of no interest.
    """
    if reverse and read_image is not None:
        read_image = partial(_read_reversed, read_image, int(poses.frames[[0, -1], 1].sum()))
    told = within(watch, f"{config.method}{' in reverse' * reverse}")
    return _track_video(poses, config, read_image, first, [], None, told)


def _read_reversed(read_image: ReadImage, ends: int, video: int, frame: int) -> np.ndarray:
    """Read a frame of a video played in reverse; `ends` is its first frame plus its last."""
    return read_image(video, ends - frame)


def _track_online(
    poses: Poses,
    config: TrackerConfig,
    linker: "Linker | AbsenceLinker",
    first: int,
    watch: Watch,
) -> Poses:
    """Track the instances of one video frame by frame; new tracks are numbered from `first`."""
    frames, links = _link_frames(poses, config, linker, watch)
    linked, ids, link_scores = (np.concatenate(column) for column in zip(*links, strict=True))
    lost = poses.user.copy()
    lost[linked] = False
    if config.method in ABSENCE:
        stay = (np.bincount(ids)[ids] >= config.min_hits) | poses.user[linked]
        left_out = np.isin(np.arange(len(poses)), linked[~stay])
        frames = [rows[~left_out[rows]] for rows in frames]
    found = ids >= 0
    linked, ids, link_scores = linked[found], ids[found], link_scores[found]
    by_distance = config.undecided == "distance"
    if by_distance:
        ids = _in_list_order(ids, poses.frame[linked], linked)
    tracks = np.where(lost, -1, poses.tracks)
    scores = np.where(lost, np.nan, poses.track_scores)
    tracks[linked], scores[linked] = first + ids, link_scores
    frames = _clean(poses, config, tracks, frames)
    order = np.concatenate([np.sort(rows) if by_distance else rows for rows in frames])
    return replace(poses, tracks=tracks, track_scores=scores)[order]


def _link_frames(
    poses: Poses, config: TrackerConfig, linker: "Linker | AbsenceLinker", watch: Watch
) -> tuple[list[np.ndarray], list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Link the detections of each frame to the tracks before it.

    Returns:
        By frame, the rows that stay, with all that are labelled by hand, and what the linker
        returns.
    """
    frames, links = [], []
    by_hand = poses.user.any()
    for done, (_, frame, rows) in enumerate(poses.by_frame(), start=1):
        if config.undecided == "distance":
            rows = in_order(poses, rows)
        if config.tracking_pre_cull_to_target:
            target = config.tracking_target_instance_count or 0
            rows = _cull(poses, rows, target, config.tracking_pre_cull_iou_threshold)
        links.append(linker.link(frame, rows))
        stay = links[-1][0]
        if by_hand:
            stay = np.append(stay, np.setdiff1d(rows[poses.user[rows]], stay))
        frames.append(stay)
        watch(done, len(poses.frames))
    return frames, links


def _clean(
    poses: Poses, config: TrackerConfig, tracks: np.ndarray, frames: list[np.ndarray]
) -> list[np.ndarray]:
    """Drop surplus detections and join tracks that break for one frame, where this is chosen.

    Args:
        poses: Instances of one video.
        config: Tracker settings.
        tracks: (n,) their tracks; changed in place where tracks are joined.
        frames: By frame, the rows that stay.

    Returns:
        The rows that stay now.
    """
    target = config.tracking_clean_instance_count
    if target:
        limit = config.tracking_clean_iou_threshold
        frames = [_cull(poses, rows, target, limit) for rows in frames]
    if target or config.post_connect_single_breaks:
        joined = connect_single_breaks([tracks[rows] for rows in frames])
        for rows, own in zip(frames, joined, strict=True):
            tracks[rows] = own
    return frames


def _in_list_order(ids: np.ndarray, frame: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Number tracks that a frame opens as the file lists their detections, (m,)."""
    _, first, of = np.unique(ids, return_index=True, return_inverse=True)
    return np.argsort(np.lexsort((rows[first], frame[first])))[of]


def _cull(poses: Poses, rows: np.ndarray, target: int, iou_threshold: float) -> np.ndarray:
    """Drop surplus predicted instances of one frame; user-labelled ones stay and do not count."""
    predicted = ~poses.user[rows]
    stay = poses.user[rows]
    stay[predicted] = cull(
        poses.points[rows[predicted]], poses.instance_scores[rows[predicted]], target, iou_threshold
    )
    return rows[stay]


def _name_tracks(poses: Poses) -> Poses:
    """Name the new tracks, those beyond `track_names`, and renumber all by first appearance."""
    used = list(dict.fromkeys(poses.tracks[poses.tracks >= 0].tolist()))
    end = max(used, default=-1) + 1
    kept = {poses.track_names[index] for index in used if index < len(poses.track_names)}
    new = islice(_free_names(kept), max(end - len(poses.track_names), 0))
    names = [*poses.track_names, *new]
    # The track -1 refers to the last place.
    renumbered = np.full(end + 1, -1, dtype=np.int32)
    renumbered[used] = np.arange(len(used))
    return replace(
        poses, tracks=renumbered[poses.tracks], track_names=tuple(names[index] for index in used)
    )


def _free_names(taken: Collection[str]) -> Iterator[str]:
    """Yield track_0, track_1, … without the names that are taken."""
    return (name for name in map("track_{}".format, count()) if name not in taken)


def named_apart(poses: Poses, names: Collection[str]) -> Poses:
    """Rename tracks that share a name with another track of the same file."""
    if not set(poses.track_names) & set(names):
        return poses
    free = _free_names({*names, *poses.track_names})
    return replace(
        poses,
        track_names=tuple(next(free) if name in names else name for name in poses.track_names),
    )
