"""What the project reads in a recording, compared with what ffmpeg decodes."""

import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib import resources
from pathlib import Path

import numpy as np

from scripts.footage.bar_code import BITS, read_number
from scripts.footage.recipes import recorded
from scripts.footage.recording import Expect, Recording
from scripts.footage.tools import decoded
from sleap_lab.errors import SleapLabError
from sleap_lab.media.open_source import open_source
from sleap_lab.media.read_ahead import read_ahead
from sleap_lab.media.source import Source
from sleap_lab.media.stretches import Stretches
from sleap_lab.settings.config import DataConfig

RANDOM_READS = 10
LOST_BY_FFMPEG = 2
"""Pictures that ffmpeg may lose of an intact recording.

Its encoders and decoders hold back some pictures where a stream ends or changes.
"""
ALARM = (
    "damaged",
    "cut short",
    "copy the file",
    "frames asked for are missing",
    "cannot be read",
    "could not be read",
)
"""Words that no message about an intact recording may have."""
PIXELS = 16.0
"""Largest average distance to the pictures of ffmpeg, gray levels.

Versions of ffmpeg convert colours in their own ways.
"""


class Verdict(Enum):
    """How reading a recording ended."""

    RIGHT = "right"
    NAMED = "named"
    SAME = "as ffmpeg shows it"
    REFUSED = "refused"
    WRONG = "WRONG IN SILENCE"
    FALSE_ALARM = "INTACT, CALLED DAMAGED"
    BROKEN = "CRASH"

    OTHER = "NOT AS THE TABLE SAYS"


GOOD = {
    Expect.READ: Verdict.RIGHT,
    Expect.NOTE: Verdict.RIGHT,
    Expect.NAMED: Verdict.NAMED,
    Expect.REFUSED: Verdict.REFUSED,
    Expect.UNSEEN: Verdict.SAME,
}
"""How a recording must end."""


@dataclass(frozen=True)
class Outcome:
    """What was found.

    Attributes:
        verdict: How it ended.
        faults: What is wrong, one sentence each.
        decoded: How many pictures ffmpeg decodes.
        read: How many frames were read.
        bad: How many were named as bad.
        notes: What the project said.
        distance: Largest mean distance of a picture from that of ffmpeg, gray levels.
    """

    verdict: Verdict
    faults: tuple[str, ...] = ()
    decoded: int = 0
    read: int = 0
    bad: int = 0
    notes: tuple[str, ...] = ()
    distance: float = 0.0


@dataclass
class Reading:
    """Result of one way of reading: the numbers of the pictures, and the bad frames.

    Attributes:
        numbers: By frame that came with an image, the number in it.
        bad: By frame without an image, the problem.
        distance: Largest mean distance of an image from the picture of ffmpeg, gray levels.
    """

    numbers: dict[int, int | None] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    distance: float = 0.0

    def add(
        self, index: int, image: np.ndarray | None, problem: str, pictures: Sequence[np.ndarray]
    ) -> None:
        """Take in a frame.

        Args:
            index: Its number for the project.
            image: (h, w, c) uint8 or float32 up to 1; None where it is bad.
            problem: Why it is bad.
            pictures: What ffmpeg decodes, each (h, w, 3) uint8.
        """
        if image is None:
            self.bad[index] = problem
            return
        image = image if image.dtype == np.uint8 else (image * 255).clip(0, 255).astype(np.uint8)
        self.numbers[index] = read_number(image)
        if index < len(pictures) and pictures[index].shape[:2] == image.shape[:2]:
            distance = np.abs(image.astype(np.int16) - pictures[index]).mean()
            self.distance = max(self.distance, float(distance))


def check(recording: Recording, path: Path) -> Outcome:
    """Read a recording in order, at random and by range, and compare each frame with ffmpeg."""
    pictures = decoded(path)
    truth = [read_number(picture) for picture in pictures]
    try:
        source = open_source(DataConfig(path=str(path)))
        stretches = Stretches()
        readings = {"in order": in_order(source, pictures, stretches)}
        readings["at random"] = at_random(source, recording.name, pictures)
        readings["a range"] = a_range(path, len(source.frames), pictures)
    except SleapLabError as error:
        return refusal(recording, path, str(error), len(pictures))
    except Exception as error:
        return Outcome(Verdict.BROKEN, (f"{type(error).__name__}: {error}"[:500],), len(pictures))
    orderly = readings["in order"]
    notes = (
        *source.notes,
        *(reason for _, reason in source.cut_short),
        *stretches.notes([path.name]),
    )
    faults = wrong_truth(recording, truth)
    for how, reading in readings.items():
        faults += wrong_numbers(how, reading, recording, truth)
    if len(source.frames) != len(truth) and not notes and not orderly.bad:
        faults.append(
            f"{len(source.frames)} frames, ffmpeg decodes {len(truth)}, and nothing is said"
        )
    distance = max(reading.distance for reading in readings.values())
    if distance > PIXELS and not recording.damaged:
        faults.append(
            f"pictures are up to {distance:.0f} gray levels from those of ffmpeg on average"
        )
    counts = (len(truth), len(orderly.numbers), len(orderly.bad))
    if faults:
        return Outcome(Verdict.WRONG, tuple(faults), *counts, notes, distance)
    if not recording.damaged and (alarms := false_alarms(notes, readings, truth)):
        return Outcome(Verdict.FALSE_ALARM, tuple(alarms), *counts, notes, distance)
    verdict = Verdict.RIGHT
    if recording.damaged:
        verdict = (
            Verdict.NAMED
            if notes or orderly.bad
            else Verdict.SAME
            if recording.expect is Expect.UNSEEN
            else Verdict.RIGHT
        )
    said = f"{verdict.value}{' with a note' if notes else ''}"
    if verdict is not GOOD[recording.expect] or (
        verdict is Verdict.RIGHT and bool(notes) is (recording.expect is Expect.READ)
    ):
        return Outcome(
            Verdict.OTHER, (f"{said}, not {recording.expect.value}",), *counts, notes, distance
        )
    return Outcome(verdict, (), *counts, notes, distance)


def wrong_truth(recording: Recording, truth: Sequence[int | None]) -> list[str]:
    """Return what is wrong with the recording itself.

    An intact recording holds the numbers that were drawn. One that is made of another recording
    holds some of them.
    """
    if recording.damaged:
        return []
    whole = recorded(recording)
    if (
        whole is None
        and truth
        and None not in truth
        and list(truth) == sorted(set(truth), key=lambda number: number or 0)
    ):
        return []
    if whole is not None and len(truth) >= len(whole) - LOST_BY_FFMPEG and is_part(truth, whole):
        return []
    return [f"ffmpeg decodes {list(truth)}, which is not what was recorded"]


def is_part(numbers: Sequence[int | None], whole: Sequence[int | None]) -> bool:
    """Return whether numbers are a subsequence of others."""
    rest = iter(whole)
    return all(number in rest for number in numbers)


def in_order(source: Source, pictures: Sequence[np.ndarray], stretches: Stretches) -> Reading:
    """Read all frames of a source, and look for stretches among them."""
    reading = Reading()
    for frame in stretches.watch(read_ahead(source, 8)):
        reading.add(frame.index, frame.image, frame.problem, pictures)
    return reading


def at_random(source: Source, seed: str, pictures: Sequence[np.ndarray]) -> Reading:
    """Read a few frames of a source in any order."""
    reading, chance = Reading(), random.Random(seed)
    for index in chance.choices(source.frames[:, 1].tolist(), k=RANDOM_READS):
        try:
            reading.add(index, source.pixels(0, index), "", pictures)
        except SleapLabError as error:
            reading.add(index, None, str(error), pictures)
    return reading


def a_range(path: Path, count: int, pictures: Sequence[np.ndarray]) -> Reading:
    """Read the middle of a recording, opened anew."""
    first, last = count * 2 // 5, min(count * 2 // 5 + 12, count - 1)
    return in_order(
        open_source(DataConfig(path=str(path), frames=f"{first}-{last}")), pictures, Stretches()
    )


def wrong_numbers(
    how: str, reading: Reading, recording: Recording, truth: Sequence[int | None]
) -> list[str]:
    """Return which frames differ from the expected ones.

    Frame k may be the k-th that was recorded, or the k-th that ffmpeg finds.

    Args:
        how: How they were read.
        reading: What was read.
        recording: The recording.
        truth: Numbers of the pictures that ffmpeg decodes.
    """
    if recording.expect is Expect.UNSEEN:
        candidates: list[Sequence[int | None]] = [truth]
    elif recording.damaged:
        upward = range(2**BITS)
        # What ffmpeg repeats or cannot show is no truth.
        candidates = [upward, truth] if is_part(truth, upward) else [upward]
    else:
        candidates = [truth, recorded(recording) or truth]
    found = min((differing(how, reading, numbers) for numbers in candidates), key=len)
    return [*found[:3], f"{how}: {len(found) - 3} more such frames"] if len(found) > 3 else found


def differing(how: str, reading: Reading, numbers: Sequence[int | None]) -> list[str]:
    """Return which frames do not hold the number of their position."""
    expected = dict(enumerate(numbers))
    return [
        f"{how}: frame {k} holds {'no number' if number is None else f'number {number}'}, "
        f"not {expected.get(k, 'a frame at all')}"
        for k, number in sorted(reading.numbers.items())
        if k not in expected or number != expected[k]
    ]


def false_alarms(
    notes: Sequence[str], readings: Mapping[str, Reading], truth: Sequence[int | None]
) -> list[str]:
    """Return the messages that call an intact recording damaged."""
    alarms = [f"note: {note}" for note in notes if any(word in note for word in ALARM)]
    for how, reading in readings.items():
        alarms += [
            f"{how}: frame {k} was called bad: {problem}"
            for k, problem in list(reading.bad.items())[:3]
        ]
    if len(readings["in order"].numbers) < len(truth):
        alarms.append(f"{len(readings['in order'].numbers)} of {len(truth)} frames were read")
    return alarms


def refusal(recording: Recording, path: Path, message: str, count: int) -> Outcome:
    """Judge a recording that was refused: a damaged one may be, by name and in one line."""
    if not recording.damaged:
        return Outcome(Verdict.FALSE_ALARM, (f"refused: {message}",), count)
    if path.name not in message or "\n" in message:
        return Outcome(
            Verdict.BROKEN,
            (f"refused in a message that is not one line with its name: {message}",),
            count,
        )
    if recording.expect is not Expect.REFUSED:
        return Outcome(Verdict.OTHER, (f"refused, not {recording.expect.value}: {message}",), count)
    return Outcome(Verdict.REFUSED, (), count, notes=(message,))


EXIT = {Expect.READ: 0, Expect.NOTE: 0, Expect.NAMED: 3, Expect.REFUSED: 1, Expect.UNSEEN: 0}
"""How the command must end."""
MODEL = resources.files("sleap_lab.demo") / "models" / "single_instance"


def check_command(recording: Recording, path: Path) -> str | None:
    """Track a recording with the command; returns what is wrong with its end, or None."""
    words = [
        sys.executable,
        "-m",
        "sleap_lab",
        "track",
        "-i",
        str(path.resolve()),
        "-m",
        str(MODEL),
        "-o",
        "poses.slp",
    ]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode == EXIT[recording.expect]:
        return None
    last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
    return f"the command ended with {done.returncode}, not {EXIT[recording.expect]}: {last}"
