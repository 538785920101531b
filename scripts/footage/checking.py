"""What the project reads in a recording, compared with what ffmpeg decodes."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from footage.bar_code import read_number
from footage.recipes import Recording
from footage.tools import decoded
from sleap_lab.config import DataConfig
from sleap_lab.errors import SleapLabError
from sleap_lab.sources import Source, open_source, read_ahead

RANDOM_READS = 10
ALARM = ("damaged", "cut short", "copy the file", "copy it again", "missing", "cannot be read", "could not be read", "nothing can be read")
"""Words that an intact recording must not be called by."""
PIXELS = 16.0
"""How far pictures may be from those of ffmpeg on average, gray levels; versions of it convert colours in their own ways."""


class Verdict(Enum):
    """How reading a recording ended."""

    RIGHT = "right"
    NAMED = "named"
    REFUSED = "refused"
    WRONG = "WRONG IN SILENCE"
    FALSE_ALARM = "INTACT, CALLED DAMAGED"
    BROKEN = "CRASH"


GOOD = (Verdict.RIGHT, Verdict.NAMED, Verdict.REFUSED)


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
    """What one way of reading gave: numbers of pictures (None where there is none to be read), and frames named as bad.

    Attributes:
        numbers: By frame that came with an image, the number in it.
        bad: By frame without an image, the problem.
        distance: Largest mean distance of an image from the picture of ffmpeg, gray levels.
    """

    numbers: dict[int, int | None] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    distance: float = 0.0

    def add(self, index: int, image: np.ndarray | None, problem: str, pictures: Sequence[np.ndarray]) -> None:
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
    """Read a recording in order, at random and a range of it, and compare each frame with what ffmpeg decodes."""
    pictures = decoded(path)
    truth = [read_number(picture) for picture in pictures]
    faults = [] if recording.damaged else faults_of_truth(truth)
    try:
        source = open_source(DataConfig(path=str(path)))
        readings = {"in order": in_order(source, pictures)}
        readings["at random"] = at_random(source, recording.name, pictures)
        readings["a range"] = a_range(path, len(source.frames), pictures)
    except SleapLabError as error:
        return refusal(recording, path, str(error), len(pictures))
    except Exception as error:
        return Outcome(Verdict.BROKEN, (f"{type(error).__name__}: {error}"[:500],), len(pictures))
    orderly = readings["in order"]
    said = bool(source.notes or orderly.bad)
    for how, reading in readings.items():
        faults += wrong_numbers(how, reading, truth, damaged=recording.damaged, exempt=orderly.bad if how != "in order" else {})
    if len(source.frames) < len(truth) and not said:
        faults.append(f"{len(source.frames)} frames, ffmpeg decodes {len(truth)}, and nothing is said")
    if recording.damaged and len(source.frames) > len(truth) and not said:
        faults.append(f"{len(source.frames)} frames, ffmpeg decodes only {len(truth)}, and nothing is said")
    distance = max(reading.distance for reading in readings.values())
    if distance > PIXELS and not recording.damaged:
        faults.append(f"pictures are up to {distance:.0f} gray levels from those of ffmpeg on average")
    alarms = [] if recording.damaged else false_alarms(source, orderly, truth)
    verdict = Verdict.WRONG if faults else Verdict.FALSE_ALARM if alarms else Verdict.NAMED if said and recording.damaged else Verdict.RIGHT
    counts = (len(truth), len(orderly.numbers), len(orderly.bad))
    return Outcome(verdict, tuple([*faults, *alarms]), *counts, source.notes, distance)


def faults_of_truth(truth: Sequence[int | None]) -> list[str]:
    """Say what is wrong with the truth: an intact recording holds numbers that grow, and each can be read."""
    numbers = [number for number in truth if number is not None]
    if not truth or numbers != sorted(set(truth) - {None}) or len(numbers) < len(truth):
        return [f"the recording is not what it should be: ffmpeg decodes {list(truth)}"]
    return []


def in_order(source: Source, pictures: Sequence[np.ndarray]) -> Reading:
    """Read all frames of a source."""
    reading = Reading()
    for frame in read_ahead(source, 8):
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
    return in_order(open_source(DataConfig(path=str(path), frames=f"{first}-{last}")), pictures)


def wrong_numbers(how: str, reading: Reading, truth: Sequence[int | None], *, damaged: bool, exempt: Mapping[int, str]) -> list[str]:
    """Say which frames are others than ffmpeg decodes.

    Of a damaged recording, frame k may be picture k of those that were recorded, or of those that ffmpeg still finds.

    Args:
        how: How they were read.
        reading: What was read.
        truth: Numbers of the pictures that ffmpeg decodes.
        damaged: Whether the recording is.
        exempt: Frames that were named as bad when everything was read.
    """
    expected: list[Callable[[int], int | None]] = [lambda k: truth[k] if k < len(truth) else None]
    if damaged:
        expected.append(lambda k: k)
    counted = [
        [
            f"{how}: frame {k} is number {number}, not {want(k)}"
            for k, number in reading.numbers.items()
            if number is None or number != want(k)
        ]
        for want in expected
    ]
    found = min(counted, key=len)
    numbers = [number for k, number in sorted(reading.numbers.items())]
    if damaged and not found and (twice := len(numbers) - len(set(numbers))):
        found = [f"{how}: {twice} pictures came twice"]
    if not damaged:
        found += [f"{how}: frame {k} was not read: {problem}" for k, problem in reading.bad.items() if k not in exempt and k < len(truth)]
    return [*found[:3], f"{how}: {len(found) - 3} more such frames"] if len(found) > 3 else found


def false_alarms(source: Source, reading: Reading, truth: Sequence[int | None]) -> list[str]:
    """Say how an intact recording was called damaged."""
    alarms = [f"frame {k} was called bad: {problem}" for k, problem in list(reading.bad.items())[:3]]
    alarms += [f"note: {note}" for note in source.notes if any(word in note for word in ALARM)]
    if len(reading.numbers) < len(truth):
        alarms.append(f"{len(reading.numbers)} of {len(truth)} frames were read")
    return alarms


def refusal(recording: Recording, path: Path, message: str, count: int) -> Outcome:
    """Judge a recording that was refused: a damaged one may be, by name and in one line."""
    if not recording.damaged:
        return Outcome(Verdict.FALSE_ALARM, (f"refused: {message}",), count)
    if path.name not in message or "\n" in message:
        return Outcome(Verdict.BROKEN, (f"refused in a message that is not one line with its name: {message}",), count)
    return Outcome(Verdict.REFUSED, (), count, notes=(message,))
