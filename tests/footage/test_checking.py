"""The check finds the errors, and nothing else."""

import numpy as np
import pytest

from scripts.footage.bar_code import picture
from scripts.footage.checking import Reading, false_alarms, wrong_numbers, wrong_truth
from scripts.footage.recording import Expect, Recording

INTACT = Recording("a.mp4", "H.264", "", frames=4)
DAMAGED = Recording("a.mp4", "H.264", "", frames=4, expect=Expect.NAMED)
UNSEEN = Recording("a.mp4", "H.264", "", frames=4, expect=Expect.UNSEEN)
ALL = [0, 1, 2, 3]


def reading(*numbers: int | None, bad: tuple[int, ...] = ()) -> Reading:
    return Reading(
        {k: number for k, number in enumerate(numbers) if k not in bad},
        dict.fromkeys(bad, "damaged"),
    )


@pytest.mark.parametrize(
    ("recording", "got", "decoded", "faults"),
    [
        (INTACT, reading(0, 1, 2, 3), ALL, 0),
        (INTACT, reading(0, 1, 3, 3), ALL, 1),  # another frame
        (INTACT, reading(0, 1, None, 3), ALL, 1),  # no picture at all
        (INTACT, reading(0, 1, 2, 3, 3), ALL, 1),  # one more than there are
        (DAMAGED, reading(0, 1, 9, 3, bad=(2,)), [0, 1, 1, 3], 0),  # named
        (
            DAMAGED,
            reading(0, 1, 1, 3),
            [0, 1, 1, 3],
            1,
        ),  # as ffmpeg shows it, which repeats a picture; not named
        (DAMAGED, reading(0, 1, None, 3), [0, 1, None, 3], 1),  # rubbish that is not named
        (DAMAGED, reading(0, 2, 3), [0, 2, 3], 0),  # counted as ffmpeg counts, without the lost one
        (DAMAGED, reading(0, 1, 3), ALL, 1),
        (
            UNSEEN,
            reading(0, 1, None, 3),
            [0, 1, None, 3],
            0,
        ),  # nothing tells of the damage, ffmpeg shows the same
        (UNSEEN, reading(0, 1, 1, 3), [0, 1, None, 3], 1),
    ],
)
def test_wrong_numbers_are_found(
    recording: Recording, got: Reading, decoded: list[int | None], faults: int
) -> None:
    assert len(wrong_numbers("in order", got, recording, decoded)) == faults


def test_a_recording_that_is_not_what_it_should_be_is_found() -> None:
    assert not wrong_truth(INTACT, ALL)
    assert wrong_truth(INTACT, [3, 2, 1, 0])
    assert wrong_truth(INTACT, [])
    assert not wrong_truth(DAMAGED, [])


def test_intact_recordings_that_are_called_damaged_are_found() -> None:
    assert not false_alarms(["time is missing before frame 2"], {"in order": reading(*ALL)}, ALL)
    assert (
        len(false_alarms(["a.mp4 was cut short"], {"in order": reading(*ALL, bad=(3,))}, ALL)) == 3
    )


def test_pictures_are_compared_with_those_of_ffmpeg() -> None:
    got, shown = Reading(), [picture(0), picture(1)]
    got.add(0, picture(0), "", shown)
    got.add(1, (picture(1) // 2 * 2).astype(np.float32) / 255, "", shown)
    assert got.numbers == {0: 0, 1: 1}
    assert 0 < got.distance < 2
