"""Pictures with a number that survives compression, chroma subsampling, scaling and interlacing.

A picture is 160 x 120 units wide and high, at any size in pixels. Its number stands in 16 bits of
16 x 32 units: ten for the number, six for its check sum. A bit is a white block above a black one,
or the reverse, so that a blank picture, a blend of two pictures and combed fields are no number.
A coloured pattern moves in the background, so that codecs have motion to predict.
"""

import numpy as np

BITS, CHECK_BITS = 10, 6
COLUMNS, ROWS = 8, 2
WIDTH, HEIGHT, LEFT, TOP, BLOCK = 160, 120, 16, 28, 16
SCATTER = 421
"""Factor that lets neighbours differ in both rows of bits.

So a picture that is torn between two numbers is no number.
"""
BLACK, WHITE = 16, 235
"""Gray levels that no range cuts off."""
DARK, BRIGHT = 85, 170
"""What still counts as black and as white."""


def code(number: int) -> np.ndarray:
    """Return the blocks of a number, (4, 8) bool, True where white."""
    check = (number * 37 + 11) % 2**CHECK_BITS
    word = number * SCATTER % 2**BITS << CHECK_BITS | check
    bits = np.array([word >> i & 1 for i in range(BITS + CHECK_BITS)], dtype=bool).reshape(
        ROWS, COLUMNS
    )
    return np.stack([bits, ~bits], axis=1).reshape(2 * ROWS, COLUMNS)


def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Draw a number, (height, width, 3) uint8 RGB."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = (x / 23 + number / 7, y / 17 - number / 9, (x + y) / 31 + number / 5)
    image = np.stack([127.5 + 90 * np.sin(wave) for wave in waves], axis=-1).astype(np.uint8)
    row = np.floor((y * HEIGHT / height - TOP) / BLOCK).astype(int)
    column = np.floor((x * WIDTH / width - LEFT) / BLOCK).astype(int)
    inside = (row >= 0) & (row < 2 * ROWS) & (column >= 0) & (column < COLUMNS)
    image[inside] = np.where(code(number)[row[inside], column[inside]], WHITE, BLACK)[:, None]
    return image


def read_number(image: np.ndarray) -> int | None:
    """Read the number of a picture.

    Args:
        image: (h, w, c) uint8, c 1 or 3.

    Returns:
        The number; None where a block is neither black nor white, or the bits do not fit together.
    """
    gray = image.mean(axis=2)
    height, width = gray.shape
    blocks = np.empty((2 * ROWS, COLUMNS))
    for row in range(2 * ROWS):
        for column in range(COLUMNS):
            top, bottom = (
                round((TOP + BLOCK * (row + part)) * height / HEIGHT) for part in (0.3, 0.7)
            )
            left, right = (
                round((LEFT + BLOCK * (column + part)) * width / WIDTH) for part in (0.3, 0.7)
            )
            blocks[row, column] = (
                gray[top:bottom, left:right].mean() if bottom > top and right > left else np.nan
            )
    if not ((blocks < DARK) | (blocks > BRIGHT)).all():
        return None
    white = blocks > BRIGHT
    word = sum(1 << i for i, bit in enumerate(white[::2].ravel()) if bit)
    number = (word >> CHECK_BITS) * pow(SCATTER, -1, 2**BITS) % 2**BITS
    return number if (code(number) == white).all() else None
