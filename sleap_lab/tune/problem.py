"""The tuning problem: detections and truth in blocks of time, and how they score a setting."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from sleap_lab.errors import RunError
from sleap_lab.evaluation import Evaluation, evaluate
from sleap_lab.evaluation.intervals import time_of_errors
from sleap_lab.evaluation.match import labelled_frames
from sleap_lab.filters import apply_filters
from sleap_lab.poses.record import Poses, concatenate
from sleap_lab.poses.videos import with_videos
from sleap_lab.settings.config import EvaluatorConfig, FiltersConfig, TrackerConfig
from sleap_lab.settings.metrics import Metric
from sleap_lab.tracking import track
from sleap_lab.tracking.tracker import ReadImage
from sleap_lab.tune.settings import TuneConfig
from sleap_lab.tune.space import Settings, flat
from sleap_lab.tune.split import (
    Block,
    block_length,
    cut,
    hold_out,
    keep_apart,
    likeness,
    time_blocks,
)

RUNGS = (0.25, 0.5, 1.0)
"""Shares of the search's blocks after which a trial is compared with the others.

A trial that does worse than most is stopped.
"""


@dataclass(frozen=True, eq=False)
class Part:
    """Some blocks: detections and truth, in which each block is a video of its own.

    Attributes:
        detections: Instances without tracks.
        truth: Ground truth.
        blocks: The blocks, by the number of their video less `first`.
        first: Number of the first block.
    """

    detections: Poses
    truth: Poses
    blocks: tuple[Block, ...]
    first: int

    def read_from(self, read_image: ReadImage) -> ReadImage:
        """Return a function that reads the images of the blocks' videos."""
        return lambda video, frame: read_image(self.blocks[video - self.first].video, frame)


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that decides the score of a setting; the same problem gives the same scores.

    Attributes:
        metric: The metric to improve.
        tracker: Tracker of the default setting.
        filters: Filters of the default setting.
        evaluator: How predictions are scored.
        predicted: Whether the detections come from models (and not from a file), which decides the
            order of filters.
        search: Blocks that the search sees, in the parts in which it sees them.
        held_out: Blocks that it does not see.
        length: Labelled frames of a block, about.
        time: Correlation time in labelled frames.
        gap: Labelled frames at either side of a held-out block that the search does not see.
        alike: (blocks, blocks) how the sums over blocks vary together, by their numbers.
        others: Values of the default setting of searched keys that need other predictions.
    """

    metric: Metric
    tracker: TrackerConfig
    filters: FiltersConfig
    evaluator: EvaluatorConfig
    predicted: bool
    search: tuple[Part, ...]
    held_out: Part
    length: int
    time: float
    gap: int
    alike: np.ndarray
    others: Settings = field(default_factory=dict)

    def usual(self) -> Settings:
        """Return every key of the default setting that may be searched, with its value."""
        return flat(self.tracker, self.filters) | self.others

    def detections(self) -> Poses:
        """Return the detections of all blocks that the search sees."""
        return concatenate([part.detections for part in self.search])

    def block_frames(self) -> int:
        """Return the number of processed frames of the longest of these blocks."""
        return int(np.unique(self.detections().frames[:, 0], return_counts=True)[1].max())


@dataclass(frozen=True, eq=False)
class Score:
    """How well and how fast a setting tracks.

    Attributes:
        value: The metric; nan where it is undefined.
        found: Share of the true instances that a prediction was matched with.
        frames_per_second: Frames filtered and tracked per second of wall time.
        evaluation: All other numbers.
    """

    value: float
    found: float
    frames_per_second: float
    evaluation: Evaluation


def make_problem(
    detections: Poses,
    truth: Poses,
    videos: dict[int, int],
    settings: TuneConfig,
    metric: Metric,
    tracker: TrackerConfig,
    filters: FiltersConfig,
    evaluator: EvaluatorConfig,
    *,
    predicted: bool,
) -> Problem:
    """Cut detections and truth into blocks and hold some of them out.

    Args:
        detections: The detections; tracks are discarded, and so are user-labelled instances where
            there are predicted ones.
        truth: Ground truth.
        videos: Index of a video in the detections -> its index in the truth.
        settings: How to cut.
        metric: The metric to improve.
        tracker: Tracker of the default setting.
        filters: Filters of the default setting.
        evaluator: How predictions are scored.
        predicted: Whether the detections come from models.

    Raises:
        RunError: There are too few labelled frames.
    """
    detections = _untracked(detections)
    truth = with_videos(truth, {j: i for i, j in videos.items()})
    labelled = _labelled_frames(detections, truth, videos, evaluator)
    time = _correlation_time(detections, truth, videos, filters, evaluator, predicted=predicted)
    length = settings.block_frames or block_length(len(labelled), time)
    searched, kept = hold_out(
        time_blocks(labelled, length), labelled, settings.holdout, settings.seed
    )
    searched, gap = keep_apart(searched, kept, labelled, time)
    ends = list(dict.fromkeys(ceil(share * len(searched)) for share in RUNGS))
    return Problem(
        metric=metric,
        tracker=tracker,
        filters=filters,
        evaluator=evaluator,
        predicted=predicted,
        search=tuple(
            _part(detections, truth, searched[start:end], start)
            for start, end in zip([0, *ends], ends, strict=False)
        ),
        held_out=_part(detections, truth, kept, len(searched)),
        length=length,
        time=time,
        gap=gap,
        alike=likeness([*searched, *kept], labelled, time),
    )


def with_detections(problem: Problem, detections: Poses) -> Problem:
    """Return a problem with other detections, in the same blocks."""
    untracked = _untracked(detections)

    def part_of(part: Part) -> Part:
        return replace(part, detections=cut(untracked, part.blocks, part.first))

    return replace(
        problem,
        search=tuple(map(part_of, problem.search)),
        held_out=part_of(problem.held_out),
    )


def _correlation_time(
    detections: Poses,
    truth: Poses,
    videos: Iterable[int],
    filters: FiltersConfig,
    evaluator: EvaluatorConfig,
    *,
    predicted: bool,
) -> float:
    """Return over how many labelled frames detections are alike in how good they are.

    Videos have the same indices in the detections and in the truth.
    """
    same = {video: video for video in videos}
    table = evaluate(
        truth,
        apply_filters(detections, filters, track_only=not predicted),
        replace(evaluator, identity=False),
        videos=same,
        details=False,
    ).table
    assert table is not None
    return time_of_errors(table)


def _untracked(detections: Poses) -> Poses:
    """Discard tracks, and user-labelled instances where there are predicted ones."""
    if not detections.user.all():
        detections = detections[~detections.user]
    return replace(
        detections,
        tracks=np.full(len(detections), -1, dtype=np.int32),
        track_scores=np.full(len(detections), np.nan),
        track_names=(),
    )


def _labelled_frames(
    detections: Poses, truth: Poses, videos: Iterable[int], evaluator: EvaluatorConfig
) -> np.ndarray:
    """Return the processed frames that have ground truth, (n, 2) int64: video, frame.

    Videos have the same indices in the detections and in the truth.
    """
    same = {video: video for video in videos}
    pairs = labelled_frames(truth, detections, same, user_labels_only=evaluator.user_labels_only)
    return np.array(
        [(pair.pose_video, pair.frame) for pair in pairs if pair.processed], dtype=np.int64
    ).reshape(-1, 2)


def _part(detections: Poses, truth: Poses, chosen: Sequence[Block], first: int) -> Part:
    """Cut some blocks out of detections and truth; `first` is the number of the first block."""
    return Part(cut(detections, chosen, first), cut(truth, chosen, first), tuple(chosen), first)


def is_better(metric: Metric, value: float, than: float) -> bool:
    """Return whether a value of a metric is better than another one; nan never is."""
    return value > than if metric.better == "higher" else value < than


def scores(
    problem: Problem,
    parts: Sequence[Part],
    tracker: TrackerConfig,
    filters: FiltersConfig,
    read_image: ReadImage,
    *,
    identity: bool,
) -> Iterator[Score]:
    """Score a setting on one part after the other, each time on all parts so far.

    Args:
        problem: The tuning problem.
        parts: Blocks to track.
        tracker: Tracker of the setting.
        filters: Filters of the setting.
        read_image: Takes (video, frame) of the detections before they were cut; used for optical
            flow and appearance only.
        identity: Whether to compute identity metrics.
    """
    tracked: list[Poses] = []
    seconds = 0.0
    evaluator = replace(problem.evaluator, identity=identity)
    for i, part in enumerate(parts):
        start = time.perf_counter()
        poses = apply_filters(part.detections, filters, track_only=not problem.predicted)
        tracked.append(track(poses, tracker, part.read_from(read_image)))
        seconds += time.perf_counter() - start
        poses, truth = _joined(tracked), concatenate([part.truth for part in parts[: i + 1]])
        same = {video: video for video in np.unique(poses.frames[:, 0]).tolist()}
        evaluation = evaluate(truth, poses, evaluator, videos=same, details=False)
        values = evaluation.headline()
        n_found, n_missed = values["eval/n_matched"], values["eval/n_missed"]
        yield Score(
            value=values.get(problem.metric.name, float("nan")),
            found=n_found / max(n_found + n_missed, 1),
            frames_per_second=len(poses.frames) / max(seconds, 1e-9),
            evaluation=evaluation,
        )


def score(
    problem: Problem,
    parts: Sequence[Part],
    tracker: TrackerConfig,
    filters: FiltersConfig,
    read_image: ReadImage,
) -> Score:
    """Score a setting on all parts together, with every metric."""
    *_, last = scores(problem, parts, tracker, filters, read_image, identity=True)
    return last


def _joined(parts: Sequence[Poses]) -> Poses:
    """Join parts whose tracks are independent.

    The same track number means a different animal in each video.
    """
    names = max((part.track_names for part in parts), key=len)
    return concatenate([replace(part, track_names=names) for part in parts])


def require(problem: Problem, found: Score) -> None:
    """Refuse a metric that has no value for the default setting, which is the reference.

    Raises:
        RunError: The metric has no value; the message names those that have one.
    """
    if np.isnan(found.value):
        present = ", ".join(
            name for name, value in found.evaluation.headline().items() if not np.isnan(value)
        )
        notes = "; ".join(found.evaluation.notes)
        why = f" ({notes})" if notes else ""
        raise RunError(
            f"tune.metric: {problem.metric.name} cannot be computed here{why}; there are: {present}"
        )
