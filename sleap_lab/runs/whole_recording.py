"""What few labelled frames say of a whole recording, together with the signs of all frames."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sleap_lab.evaluation import Evaluation
from sleap_lab.evaluation.serial import FEWEST_FRAMES
from sleap_lab.evaluation.spread import LEVEL
from sleap_lab.evaluation.whole_recording import MOST_LABELLED, Estimate, errors_of_frames, estimate
from sleap_lab.quality.assess import Quality
from sleap_lab.quality.frames import frame_signs


class WholeRecording(NamedTuple):
    """What few labels say of a whole recording.

    Attributes:
        frames: Its frames.
        bad: Share of frames in which an animal is not found, or something that is none is.
        error: Mean distance of the nodes of the animals that are found, the mean over frames, px;
            None where no labelled frame has any.
    """

    frames: int
    bad: Estimate
    error: Estimate | None

    def metrics(self) -> dict[str, float]:
        """Return the estimates and their limits by the names in `METRICS`."""
        found = {"bad_frames": self.bad}
        if self.error is not None:
            found["error"] = self.error
        return {
            f"quality/{name}{end}": value
            for name, each in found.items()
            for end, value in (("", each.value), ("_low", each.low), ("_high", each.high))
        }

    def __str__(self) -> str:
        """Say in a sentence what is known, and what it supposes."""
        start = f"{self.bad.n:,} of {self.frames:,} frames are labelled"
        if self.bad.n < FEWEST_FRAMES:
            return f"{start}; {FEWEST_FRAMES} or more tell something about the whole recording"
        if np.isnan(self.bad.low):
            return (
                f"{start}, but so near to each other that they tell little about the whole "
                "recording; label frames all over it"
            )
        said = [f"{self.bad.value:.1%} of all frames are bad ({_limits(self.bad, share=True)})"]
        if self.error is not None:
            known = (
                f"no interval: the {self.error.n:,} labelled frames with such animals are too few, "
                "too near to each other or all alike"
                if np.isnan(self.error.low)
                else _limits(self.error, share=False)
            )
            said.append(f"animals that are found are off by {self.error.value:.3g} px ({known})")
        return (
            f"{start}: {', and '.join(said)}; this supposes that labelled frames are like the "
            "others, not chosen because they look wrong"
        )


def _limits(found: Estimate, *, share: bool) -> str:
    """Write the interval of an estimate, and that of the labels alone."""
    form = "{:.1%} to {:.1%}" if share else "{:.3g} to {:.3g} px"
    with_signs, alone = form.format(found.low, found.high), form.format(*found.alone)
    return f"{LEVEL:.0%} interval {with_signs}, from the labels alone {alone}"


def of_recording(quality: Quality, evaluation: Evaluation) -> WholeRecording | None:
    """Estimate the errors of all frames of a result from those that are labelled.

    Args:
        quality: What all frames show without labels.
        evaluation: What the labelled ones show.

    Returns:
        The estimates; None where no frame, or every frame, or very many are labelled.
    """
    table = evaluation.table
    if table is None:
        return None
    ours = {match.truth: match.predicted for match in evaluation.videos}
    places = {place: i for i, place in enumerate(map(tuple, quality.order.places.tolist()))}
    row = np.array(
        [
            places.get((ours.get(video, video), frame), -1)
            for video, frame in zip(table.video.tolist(), table.frame.tolist(), strict=True)
        ]
    )
    order = np.argsort(row, kind="stable")[np.count_nonzero(row < 0) :]
    frames = len(quality.order.places)
    if not 0 < len(order) < frames or len(order) > MOST_LABELLED:
        return None
    signs = np.stack(list(frame_signs(quality).values()), axis=1)
    video = quality.order.places[:, 0]
    bad, error = (column[order] for column in errors_of_frames(table))
    known = ~np.isnan(error)
    return WholeRecording(
        frames,
        estimate(row[order], bad, signs, video, share=True),
        estimate(row[order][known], error[known], signs, video, share=False)
        if known.any()
        else None,
    )


def with_labels(quality: Quality, evaluation: Evaluation) -> Quality:
    """Add what few labelled frames say of the whole recording to what was found without them."""
    found = of_recording(quality, evaluation)
    if found is None:
        return quality
    return replace(quality, metrics={**quality.metrics, **found.metrics()}, labelled=str(found))
