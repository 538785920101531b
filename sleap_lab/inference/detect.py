"""The stages that make poses: frames, network, filters, tracker.

They use no files, no logging and no global config.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.filters import apply_filters
from sleap_lab.inference.automatic import settled
from sleap_lab.inference.models import load_models
from sleap_lab.inference.stopwatch import Stage, untimed
from sleap_lab.media.bad_frames import check_account, readable
from sleap_lab.media.images import display_path
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.media.source import Frame, Source
from sleap_lab.media.stretches import Stretches
from sleap_lab.pipelines.profile import Clock
from sleap_lab.poses.record import Gathering, Poses
from sleap_lab.settings.config import Config, TrackerConfig
from sleap_lab.tracking import named_apart, track
from sleap_lab.tracking.tracker import ReadImage

if TYPE_CHECKING:
    from sleap_lab.pipelines.model import Prediction

Track = Callable[[Poses, TrackerConfig, ReadImage, list[str]], Poses]
"""Tracks poses; takes the settings, what reads an image, and a list that gets notes."""

ShowDone = Callable[[Iterable[Frame], int], Iterable[Frame]]
"""Takes finished frames, without images, and their number; yields them, for a progress bar."""


@dataclass(frozen=True)
class Inference:
    """Poses of a source, and facts about how they were made.

    Attributes:
        poses: The result, all processed frames included.
        kind: Kind of pipeline; `none` where poses were read and not predicted.
        device: Where the network ran; empty without one.
        bad_frames: Unreadable frames, with the reason.
        notes: Sentences that a reader of the results must know.
        remarks: Sentences on what was chosen and what the tracker did, which ask for nothing.
    """

    poses: Poses
    kind: str
    device: str
    bad_frames: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def detect(
    source: Source,
    config: Config,
    *,
    stage: Stage = untimed,
    watch: ShowDone = lambda frames, total: frames,
    keep: Callable[["Prediction"], None] | None = None,
    bad_frames: list[Frame] | None = None,
    requested: int | None = None,
    details: bool = False,
    spare: float = 0,
) -> Inference:
    """Predict the poses of a source, or read those that its labels hold.

    Args:
        source: Opened videos and selected frames.
        config: The experiment; the sections data, model, preprocessing and runtime are used.
        stage: Context in which the stage of a name runs, for timing.
        watch: Wraps the finished frames, which have no images, for a progress bar.
        keep: Called with each batch's prediction, for callers that need more than the poses.
        bad_frames: Gets unreadable frames as soon as they are found; already holds those of chunks
            that an earlier run did.
        requested: Number of requested frames, including those of such chunks.
        details: The predictions passed to `keep` also hold what instances were made from.
        spare: Crops to observe beyond those that the run needs, as a share of these, so that other
            settings can be decoded later.

    Raises:
        ConfigError: Models, data or settings do not fit together.
        RunError: Something cannot be read.
    """
    if config.model.kind == "none":
        assert source.labels is not None, "only labels files are read without a model"
        return Inference(_on_frames(source.labels, source.frames), kind="none", device="")
    bad_frames = [] if bad_frames is None else bad_frames
    found_before, requested = len(bad_frames), requested or len(source.frames)
    with stage("load"):
        from sleap_lab.pipelines.engine import predict  # torch, which nothing else here needs
        from sleap_lab.pipelines.observation import TOO_MANY_PEAKS

        config, remarks = settled(config, source)
        pipeline = load_models(source.truth, config, spare=spare, details=details)
    clock, stretches = Clock(), Stretches()
    ahead = closing(read_ahead(source, config.runtime.queue_maxsize))
    with stage("predict", clock.split), ahead as read:
        frames = readable(stretches.watch(read), requested, config.data, bad_frames)
        batch_size = int(config.runtime.batch_size)
        with closing(predict(frames, pipeline, batch_size=batch_size, clock=clock)) as predictions:
            poses, truncated = _gather(predictions, source.frames, watch, keep, clock)
    check_account(source.frames, poses, bad_frames[found_before:])
    notes = [
        *(*pipeline.notes, *dict.fromkeys(pipeline.told)),
        *([TOO_MANY_PEAKS] if truncated else []),
        *stretches.notes(
            [str(display_path((v.source_video or v).filename)) for v in source.videos]
        ),
    ]
    facts = pipeline.kind, str(pipeline.device), tuple(bad_frames)
    return Inference(poses, *facts, tuple(notes), tuple(remarks))


def _gather(
    predictions: Iterable["Prediction"],
    frames: np.ndarray,
    watch: ShowDone,
    keep: Callable[["Prediction"], None] | None,
    clock: Clock,
) -> tuple[Poses, bool]:
    """Gather the poses of all batches while their frames are shown as finished.

    Args:
        predictions: Prediction of each batch.
        frames: (frames, 2) int64 (video, frame) of the requested frames, in order.
        watch: Wraps the finished frames, which have no images, for a progress bar.
        keep: Called with each prediction.
        clock: Measures the time of `keep`.

    Returns:
        The poses, and whether there were more peaks above the threshold than can be used.
    """
    gathering, truncated = Gathering(), False

    def predicted() -> Iterator[np.ndarray]:
        nonlocal truncated
        for prediction in predictions:
            gathering.add(prediction.poses)
            truncated = truncated or prediction.truncated
            if keep is not None:
                with clock.meanwhile("write"):
                    keep(prediction)
            yield prediction.poses.frames

    with closing(_done_frames(frames, predicted())) as done:
        for _ in watch(done, len(frames)):
            pass
    poses = gathering.whole()
    assert poses is not None, "a source has frames, and not all of them are unreadable"
    return poses, truncated


def filter_and_track(
    detected: Inference,
    source: Source,
    config: Config,
    *,
    stage: Stage = untimed,
    track: Track = track,
) -> Inference:
    """Filter and track detected poses.

    Args:
        detected: Result of `detect`.
        source: Source of these poses; images are read for optical flow and appearance only.
        config: The experiment; the sections filters and tracker are used.
        stage: Context in which the stage of a name runs, for timing.
        track: Tracks poses; a function that uses the cache can replace the tracker.

    Raises:
        ConfigError: Tracker settings contradict each other.
    """
    predicted, notes = detected.kind != "none", list(detected.notes)
    remarks = list(detected.remarks)
    with stage("filter"):
        poses = apply_filters(detected.poses, config.filters, track_only=not predicted)
    if not len(poses) and not predicted:  # of what networks found, more is said later
        why = "every instance was filtered out" if len(detected.poses) else "nothing was found"
        notes.append(f"No instances in any of the {len(poses.frames)} frames: {why}.")
    if (
        config.tracker.tracking
        and predicted
        and poses.track_names
        and not config.tracker.override_class_tracks
    ):
        remarks.append(
            "The models know the animals' identities; their tracks are kept and the tracker was "
            "not used (tracker.override_class_tracks=true lets it replace them)."
        )
    elif config.tracker.tracking:
        with stage("track"):
            tracked = track(poses, config.tracker, source.read, remarks)
            poses = named_apart(tracked, source.kept_tracks)
    return replace(detected, poses=poses, notes=tuple(notes), remarks=tuple(remarks))


def _done_frames(
    frames: np.ndarray, predicted: Iterable[np.ndarray]
) -> Generator[Frame, None, None]:
    """Yield each finished frame, without its image.

    A frame is finished when it, or a later one, is predicted.

    Args:
        frames: (frames, 2) int64 (video, frame) of the requested frames, in order.
        predicted: The same for the predicted frames of each batch.
    """
    requested = iter(frames.tolist())
    for batch in predicted:
        last = batch[-1].tolist()
        for video, index in requested:
            yield Frame(video, index, None)
            if [video, index] == last:
                break
    for video, index in requested:
        yield Frame(video, index, None)


def _on_frames(poses: Poses, frames: np.ndarray) -> Poses:
    """Keep the instances on some frames, which become the processed ones."""
    processed = {tuple(where) for where in frames.tolist()}
    keep = np.array(
        [
            where in processed
            for where in zip(poses.video.tolist(), poses.frame.tolist(), strict=True)
        ],
        dtype=bool,
    )
    return replace(poses[keep], frames=frames)
