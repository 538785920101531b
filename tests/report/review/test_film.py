"""Films: every frame where it belongs, and key frames often."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest

from sleap_lab.report.review.film import GROUP, encode, film_rate, film_size


@pytest.mark.parametrize(
    ("image", "film"),
    [
        ((480, 640), (480, 640)),
        ((1080, 1920), (360, 640)),
        ((2048, 1024), (640, 320)),
        ((101, 99), (100, 100)),  # 50.5 is rounded to 50, 49.5 to 50
        ((1, 1000), (2, 640)),
    ],
)
def test_the_longer_side_is_limited_and_sides_are_even(image, film):
    assert film_size(*image) == film


@pytest.mark.parametrize(
    ("frames", "rate", "expected"),
    [
        (range(10), 30.0, Fraction(30)),
        (range(0, 100, 3), 30.0, Fraction(10)),
        (range(10), 30000 / 1001, Fraction(30000, 1001)),
        (range(0, 10_000, 1000), 30.0, Fraction(5)),  # a slide show
        ([7], 25.0, Fraction(25)),
    ],
)
def test_a_film_plays_as_fast_as_the_recording(frames, rate, expected):
    assert film_rate(np.array(frames), rate) == expected


@pytest.mark.parametrize("rate", [Fraction(20), Fraction(30000, 1001)])
def test_frame_k_is_shown_from_k_over_the_rate_on(read_scene, rate):
    film = encode((read_scene(0, frame) for frame in range(30)), (96, 160), rate)
    with av.open(BytesIO(film)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        pictures = list(container.decode(video=0))
    assert len(pictures) == 30
    for k, picture in enumerate(pictures):
        assert picture.pts * picture.time_base == pytest.approx(float(k / rate), abs=1e-4)
        assert picture.key_frame == (k % GROUP == 0)
        difference = picture.to_ndarray(format="gray").astype(int) - read_scene(0, k)[..., 0]
        assert abs(difference).mean() < 4


def test_large_images_are_scaled_and_colours_stay():
    image = np.zeros((720, 1280, 3), dtype=np.uint8)
    image[:, 640:] = (200, 40, 40)
    film = encode([image] * 2, film_size(720, 1280), Fraction(10))
    with av.open(BytesIO(film)) as container:
        first = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert first.shape == (360, 640, 3)
    np.testing.assert_allclose(first[180, 480], (200, 40, 40), atol=10)
    np.testing.assert_allclose(first[180, 160], (0, 0, 0), atol=10)


def test_equal_images_give_equal_films(read_scene):
    films = [
        encode((read_scene(0, frame) for frame in range(5)), (96, 160), Fraction(20))
        for _ in range(2)
    ]
    assert films[0] == films[1]
