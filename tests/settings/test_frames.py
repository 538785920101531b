import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.errors import ConfigError
from sleap_lab.settings.frames import parse_frames


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, None),
        ("", None),
        ("7", [7]),
        (7, [7]),
        (0, [0]),
        ("5,9,12", [5, 9, 12]),
        ("2-4", [2, 3, 4]),  # both ends included
        ("3-3", [3]),
        ("0-2,20-21", [0, 1, 2, 20, 21]),
        ("5,9,12-14", [5, 9, 12, 13, 14]),
        (" 1 - 3 , 5 ", [1, 2, 3, 5]),
        ("0,-3", [0, 1, 2, 3]),  # sleap-nn's other way to write a range
        ("3,-3", [3]),
        ("9,0,-2,5", [9, 0, 1, 2, 5]),
        ([5, 9], [5, 9]),
        ((5, "7-8", "1,2"), [5, 7, 8, 1, 2]),
        ("4,2,4,1-2", [4, 2, 1]),  # the order given, each once
        ([], []),
    ],
)
def test_parse_frames(spec, expected):
    assert parse_frames(spec) == expected


@pytest.mark.parametrize(
    "spec",
    [
        "a",
        "1-",
        "-",
        "-3",
        "1--3",
        "1.5",
        "1,,2",
        "1,",
        " ",
        "1-2-3",
        "5;6",
        True,
        1.5,
        [None],
        [[1]],
        {"a": 1},
    ],
)
def test_what_is_no_frame_selection_is_refused(spec):
    with pytest.raises(
        ConfigError,
        match=r"^data.frames: cannot read .*; "
        r'accepted: "0-100,200-300", "5,9,12-20" or a list of these$',
    ):
        parse_frames(spec)


@pytest.mark.parametrize(("spec", "item"), [("3-1", "3-1"), ("0,5-2", "5-2"), ("5,-3", "-3")])
def test_a_range_that_goes_backwards_is_refused(spec, item):
    with pytest.raises(ConfigError, match=f"^data.frames: the range '{item}' in '{spec}' is empty"):
        parse_frames(spec)


ranges = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 20)).map(
        lambda pair: (pair[0], pair[0] + pair[1])
    ),
    max_size=6,
)


@given(ranges)
def test_frames_are_the_union_of_the_ranges_in_the_order_given(pairs):
    expected = dict.fromkeys(frame for first, last in pairs for frame in range(first, last + 1))
    texts = [f"{first}-{last}" for first, last in pairs]
    assert parse_frames(texts) == list(expected)
    if texts:
        assert parse_frames(",".join(texts)) == list(expected)
        assert parse_frames(",".join(f"{first},-{last}" for first, last in pairs)) == list(expected)


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=20))
def test_frames_written_one_by_one_come_back(frames):
    assert parse_frames(frames) == frames
    if frames:
        assert parse_frames(",".join(map(str, frames))) == frames


@given(st.text(alphabet="0123456789-, a", max_size=6))
def test_any_text_is_read_or_refused(text):
    try:
        frames = parse_frames(text)
    except ConfigError:
        return
    assert frames is None or all(type(frame) is int and frame >= 0 for frame in frames)


@pytest.mark.parametrize(
    ("spec", "message"), [([5, -7], "negative frame -7"), ("0-9999999999", "longer than any video")]
)
def test_frames_that_no_video_has_are_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        parse_frames(spec)
