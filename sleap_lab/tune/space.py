"""The searched settings: a list of dimensions, some of which depend on the choice of another.

The tracker accepts every combination that can be drawn, and each setting in it has an effect: no
optical-flow setting without optical flow, no OKS spread without OKS, no limit of tracks in a fixed
window.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from sleap_lab.poses.record import Poses
from sleap_lab.settings.check_tracker import ABSENCE
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.settings.similarities import SIMILARITIES

Settings = dict[str, Any]
"""Config key -> value."""

LARGEST_WINDOW = 60
SCORE_QUANTILES = (0.01, 0.05, 0.1, 0.25)


def _always(_: Settings) -> bool:
    return True


@dataclass(frozen=True)
class Choice:
    """One of several options, each of which sets some keys.

    Attributes:
        name: Name of the dimension; that of the key where it sets only one.
        options: What each option sets, by its label.
        when: Whether it exists, given the choices before.
    """

    name: str
    options: Mapping[str, Settings]
    when: Callable[[Settings], bool] = _always


@dataclass(frozen=True)
class Range:
    """A number between two, both included; whole where they are whole.

    Attributes:
        name: The key that it sets.
        low: Smallest value.
        high: Largest value.
        log: Whether small and large values are equally far apart on a logarithmic scale.
        when: Whether it exists, given the choices before.
    """

    name: str
    low: float
    high: float
    log: bool = False
    when: Callable[[Settings], bool] = _always


Dimension = Choice | Range


def is_set(key: str, *values: Any) -> Callable[[Settings], bool]:
    """Return a condition: a key has one of some values."""
    return lambda chosen: chosen.get(key) in values


_online = is_set("tracker.method", "online")
_absence = is_set("tracker.method", *ABSENCE)
_by_frame = is_set("tracker.method", "online", *ABSENCE)
_with_flow = is_set("tracker.use_flow", True)
_with_kalman = is_set("tracker.use_kalman", True)


def _both(*conditions: Callable[[Settings], bool]) -> Callable[[Settings], bool]:
    return lambda chosen: all(condition(chosen) for condition in conditions)


_in_queues = _both(_online, is_set("tracker.candidates_method", "local_queues"))
_by_oks = _both(_by_frame, is_set("tracker.scoring_method", "oks"))
_by_quantile = _both(_online, is_set("tracker.scoring_reduction", "robust_quantile"))


def _unless(key: str) -> Callable[[Settings], bool]:
    """Return a condition: nothing has set a key yet."""
    return lambda chosen: key not in chosen


def one_of(key: str, values: Sequence[Any], when: Callable[[Settings], bool] = _always) -> Choice:
    """Return the choice among values of one key."""
    return Choice(key, {str(value).lower(): {key: value} for value in values}, when)


def tracker_of(config: TrackerConfig) -> str:
    """Return which tracker a config describes."""
    if config.method != "online":
        return config.method
    if config.use_flow or config.use_kalman:
        return "flow" if config.use_flow else "kalman"
    return "local_queues" if config.max_tracks else config.candidates_method


def tracker_space(
    trackers: Sequence[str], n_nodes: int, n_animals: int | None, n_frames: int
) -> list[Dimension]:
    """Return the searched dimensions of the tracker.

    Args:
        trackers: Trackers to try.
        n_nodes: Nodes of the skeleton.
        n_animals: Number of animals, if it is known.
        n_frames: Frames of a block; longer memories than that have the same effect.
    """
    known: Settings = (
        {} if n_animals is None else {"tracker.tracking_target_instance_count": n_animals}
    )
    longest = max(2, min(LARGEST_WINDOW, n_frames))
    return [
        *_kind_space(trackers, known),
        Range("tracker.tracking_window_size", 1, longest, log=True, when=_online),
        *_matching_space(n_nodes),
        *_flow_space(),
        *_kalman_space(n_frames),
        *_absence_space(n_frames),
        *_node_count_space(n_nodes),
        *_animal_count_space(n_animals, known),
        one_of("tracker.link_tracklets", [False, True], _by_frame),
    ]


def _kind_space(trackers: Sequence[str], known: Settings) -> list[Dimension]:
    """Return the kind of tracker, and what the kinds that leave it open keep as candidates.

    Args:
        trackers: Trackers to try.
        known: What a Kalman filter, or a tracker with the whole video at hand, needs to know, as
            far as it is known.
    """
    fixed_window: Settings = {
        "tracker.candidates_method": "fixed_window",
        "tracker.max_tracks": None,
    }
    local_queues: Settings = {"tracker.candidates_method": "local_queues"}
    still: Settings = {"tracker.use_flow": False, "tracker.use_kalman": False}
    online: Settings = still | {"tracker.method": "online"}
    whole: Settings = still | {"tracker.link_tracklets": False} | known
    kinds = {
        "fixed_window": online | fixed_window,
        "local_queues": online | local_queues,
        "flow": online | {"tracker.use_flow": True},
        "kalman": online | {"tracker.use_kalman": True} | known,
        **{name: still | {"tracker.method": name} for name in ABSENCE},
        **{name: whole | {"tracker.method": name} for name in ("global", "auto")},
    }
    return [
        Choice("tracker", {name: kinds[name] for name in trackers}),
        Choice(
            "tracker.candidates_method",
            {"fixed_window": fixed_window, "local_queues": local_queues},
            lambda chosen: _with_flow(chosen) or _with_kalman(chosen),
        ),
    ]


def _absence_space(n_frames: int) -> list[Dimension]:
    """Return the settings of ByteTrack and OC-SORT; their times fit into a block of `n_frames`."""
    bytetrack, ocsort = (is_set("tracker.method", name) for name in ABSENCE)
    return [
        Range("tracker.track_buffer", 1, max(2, min(120, n_frames)), log=True, when=_absence),
        Range("tracker.min_hits", 1, 3, when=_absence),
        Range("tracker.track_high_threshold", 0.3, 0.9, when=_absence),
        Range("tracker.track_low_threshold", 0.0, 0.3, when=bytetrack),
        Range("tracker.new_track_threshold", 0.3, 0.9, when=_absence),
        Range("tracker.min_match_similarity", 0.01, 0.5, log=True, when=_absence),
        Range("tracker.momentum", 0.0, 0.5, when=ocsort),
        Range("tracker.momentum_span", 1, 5, when=ocsort),
    ]


def _matching_space(n_nodes: int) -> list[Dimension]:
    """Return how detections are compared with candidates, and assigned to tracks."""
    return [
        Choice("comparison", _comparisons(n_nodes), _online),
        Choice("similarity", _similarities(n_nodes), _absence),
        Range("tracker.oks_stddev", 0.01, 0.5, log=True, when=_by_oks),
        one_of("tracker.scoring_reduction", ["mean", "max", "robust_quantile"], _online),
        Range(
            "tracker.robust_best_instance",
            0.5,
            0.99,
            when=_by_quantile,
        ),
        one_of("tracker.track_matching_method", ["hungarian", "greedy"], _online),
    ]


def _flow_space() -> list[Dimension]:
    """Return the settings of optical flow."""
    return [
        Range("tracker.of_window_size", 9, 41, when=_with_flow),
        Range("tracker.of_max_levels", 1, 5, when=_with_flow),
        one_of("tracker.of_img_scale", [0.25, 0.5, 1.0], _with_flow),
    ]


def _kalman_space(n_frames: int) -> list[Dimension]:
    """Return the settings of the Kalman filter; its times fit into a block of `n_frames`."""
    longest_start, longest_gap = max(3, min(30, n_frames // 2)), max(1, min(30, n_frames))
    return [
        one_of("tracker.kf_track_features", ["centroid", "keypoints"], _with_kalman),
        Range("tracker.kf_init_frame_count", 3, longest_start, log=True, when=_with_kalman),
        Range("tracker.kf_reset_gap_size", 1, longest_gap, log=True, when=_with_kalman),
    ]


def _node_count_space(n_nodes: int) -> list[Dimension]:
    """Return how many nodes a detection needs; nothing for a single node."""
    if n_nodes == 1:
        return []
    return [
        Range("tracker.min_new_track_points", 0, n_nodes // 2, when=_by_frame),
        Range("tracker.min_match_points", 0, n_nodes // 2, when=_online),
    ]


def _animal_count_space(n_animals: int | None, known: Settings) -> list[Dimension]:
    """Return what the number of animals limits; nothing where it is unknown.

    Args:
        n_animals: Number of animals, if it is known.
        known: The key that holds it.
    """
    if n_animals is None:
        return []
    breaks, cull = "tracker.post_connect_single_breaks", "tracker.tracking_pre_cull_to_target"
    return [
        one_of(
            "tracker.max_tracks",
            [None, n_animals],
            lambda chosen: _absence(chosen) or _in_queues(chosen),
        ),
        Choice(breaks, _switch(breaks, True, False, known), _by_frame),
        Choice(cull, _switch(cull, n_animals, 0, known), _by_frame),
    ]


def _similarities(n_nodes: int) -> dict[str, Settings]:
    """Return how ByteTrack and OC-SORT compare; boxes of single nodes have no area."""
    return {
        scoring: {"tracker.features": similarity.features[0], "tracker.scoring_method": scoring}
        for scoring, similarity in SIMILARITIES.items()
        if similarity.bounded
        and similarity.searched
        and (n_nodes > 1 or "bboxes" not in similarity.features)
    }


def _comparisons(n_nodes: int) -> dict[str, Settings]:
    """Return the features and how they are compared.

    With a single node, features that need an extent are left out.
    """
    return {
        f"{features} {scoring}": {"tracker.features": features, "tracker.scoring_method": scoring}
        for features in ("centroids", "keypoints", "bboxes")[: None if n_nodes > 1 else 1]
        for scoring, similarity in SIMILARITIES.items()
        if similarity.searched and features in similarity.features
    }


def _switch(key: str, on: Any, off: Any, needed: Settings) -> dict[str, Settings]:
    return {"off": {key: off}, "on": {key: on, **needed}}


def filter_space(detections: Poses) -> list[Dimension]:
    """Return the searched dimensions of the filters.

    Thresholds of scores are quantiles of the scores of the predictions.
    """
    predicted = detections[~detections.user]
    if not len(predicted):
        return []
    overlap, method = "filters.filter_overlapping", "filters.filter_overlapping_method"
    means = np.nanmean(
        np.where(predicted.visible, predicted.point_scores, np.nan)[predicted.visible.any(axis=1)],
        axis=1,
    )
    space: list[Dimension] = [
        Choice(
            overlap,
            {
                "off": {overlap: False},
                **{name: {overlap: True, method: name} for name in ("iou", "oks")},
            },
        ),
        Range("filters.filter_overlapping_threshold", 0.2, 0.95, when=is_set(overlap, True)),
    ]
    if len(predicted.skeleton.nodes) > 1:
        space.append(one_of("filters.filter_min_visible_node_fraction", [0.0, 0.25, 0.5, 0.75]))
    scores = {
        "filters.filter_min_instance_score": predicted.instance_scores,
        "filters.filter_min_mean_node_score": means,
    }
    limits = {key: found for key, values in scores.items() if (found := _limits(values))}
    if limits:
        off = dict.fromkeys(limits, 0.0)
        by = {
            key.partition(".")[2]: {other: 0.0 for other in off if other != key} for key in limits
        }
        space.append(Choice("score filter", {"off": off, **by}))
        space += [one_of(key, limits[key], _unless(key)) for key in limits]
    return space


def _limits(scores: np.ndarray) -> list[float]:
    """Return thresholds that leave out the worst few per cent; none where all scores are equal."""
    finite = scores[np.isfinite(scores)]
    limits = [rounded(q) for q in np.quantile(finite, SCORE_QUANTILES)] if len(finite) else []
    return list(dict.fromkeys(limit for limit in limits if limit > max(finite.min(), 0)))


def rounded(value: float) -> float:
    """Round to three digits, so that settings stay readable."""
    return float(f"{value:.3g}")


def flat(tracker: TrackerConfig, filters: FiltersConfig) -> Settings:
    """Return every key of the two sections with its value."""
    sections = {"tracker": asdict(tracker), "filters": asdict(filters)}
    return {
        f"{group}.{name}": value
        for group, section in sections.items()
        for name, value in section.items()
    }


def with_settings(
    tracker: TrackerConfig, filters: FiltersConfig, settings: Settings
) -> tuple[TrackerConfig, FiltersConfig]:
    """Return the two sections with some keys changed; keys of other sections are left out."""
    changed: dict[str, Settings] = {"tracker": {}, "filters": {}}
    for key, value in settings.items():
        group, _, name = key.partition(".")
        if group in changed:
            changed[group][name] = value
    return replace(tracker, **changed["tracker"]), replace(filters, **changed["filters"])
