"""A number is read where it is, and nowhere else."""

import numpy as np
import pytest

from scripts.footage.bar_code import BITS, picture, read_number


@pytest.mark.parametrize("size", [(160, 120), (161, 121), (320, 240), (120, 90)], ids=str)
def test_every_number_is_read(size: tuple[int, int]) -> None:
    numbers = range(0, 2**BITS, 7)
    assert [read_number(picture(number, *size)) for number in numbers] == list(numbers)


def test_it_is_read_in_one_channel_and_in_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 20, (120, 160, 3))
    assert read_number(picture(700)[..., :1]) == 700
    assert read_number((picture(700) + noise).clip(0, 255).astype(np.uint8)) == 700


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_picture_has_none(value: int) -> None:
    assert read_number(np.full((120, 160, 3), value, np.uint8)) is None


def test_neither_have_mixed_pictures() -> None:
    one, other = picture(40), picture(41)
    combed = one.copy()
    combed[::2] = other[::2]
    torn = np.concatenate([one[:60], other[60:]])
    assert read_number((one // 2 + other // 2).astype(np.uint8)) is None
    assert read_number(combed) is None
    assert read_number(torn) is None


def test_nor_has_one_that_is_turned_or_mirrored() -> None:
    numbers = range(0, 2**BITS, 7)
    wrong = [
        read_number(np.rot90(picture(number), 2)) == number
        or read_number(picture(number)[:, ::-1]) == number
        for number in numbers
    ]
    assert not any(wrong)
