import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.errors import RunError
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.tune.split import (
    Block,
    block_length,
    cut,
    hold_out,
    inside,
    keep_apart,
    likeness,
    time_blocks,
)


def rows(video, *frames):
    return np.array([(video, frame) for frame in frames], dtype=np.int64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("n_labelled", "length"),
    [
        (2000, 100),  # a twentieth
        (100, 20),  # not shorter than twenty
        (30, 8),  # but short enough for four blocks
        (3, 1),
    ],
)
def test_length_of_blocks(n_labelled, length):
    assert block_length(n_labelled) == length


def test_blocks_have_equal_numbers_of_labelled_frames():
    assert time_blocks(rows(0, *range(10)), 5) == [Block(0, 0, 4), Block(0, 5, 9)]
    # a sparsely labelled video: what lies between labelled frames belongs to the block
    assert time_blocks(rows(0, 0, 100, 200, 300), 2) == [Block(0, 0, 100), Block(0, 200, 300)]


def test_a_long_gap_ends_a_block_and_so_does_a_video():
    labelled = np.concatenate([rows(0, 0, 1, 2, 500, 501, 502), rows(3, 0, 1, 2)])
    assert time_blocks(labelled, 100) == [Block(0, 0, 2), Block(0, 500, 502), Block(3, 0, 2)]


def test_a_share_of_the_labelled_frames_is_held_out():
    labelled = rows(0, *range(100))
    search, held_out = hold_out(time_blocks(labelled, 10), labelled, 0.3, seed=0)
    assert (len(search), len(held_out)) == (7, 3)
    assert held_out == sorted(held_out)
    assert hold_out(time_blocks(labelled, 10), labelled, 0.3, seed=0) == (search, held_out)
    assert any(
        hold_out(time_blocks(labelled, 10), labelled, 0.3, seed=seed)[1] != held_out
        for seed in range(1, 5)
    )


@pytest.mark.parametrize(
    ("n_labelled", "time", "length"),
    [
        (1000, 0, 50),
        (1000, 10, 50),  # longer than 4 * 10
        (2000, 30.1, 121),  # 4 * 30.1
        (1000, 20.1, 72),  # but a fourteenth where blocks would be few
        (1000, 40.1, 81),  # 2 * 40.1 at least
        (400, 90, 100),  # but four blocks at least
    ],
)
def test_blocks_are_long_where_errors_last(n_labelled, time, length):
    assert block_length(n_labelled, time) == length


def test_what_is_near_to_held_out_blocks_is_not_searched():
    labelled = np.concatenate([rows(0, *range(0, 200, 2)), rows(1, *range(20))])
    kept = [Block(0, 80, 98)]  # its 10 labelled frames, and 2 * 1.5 on either side
    searched = [Block(0, 100, 198), Block(0, 70, 78), Block(1, 0, 19), Block(0, 0, 68)]
    left, gap = keep_apart(searched, kept, labelled, 1.5)
    assert gap == 3
    assert left == [Block(0, 106, 198), Block(0, 70, 72), Block(1, 0, 19), Block(0, 0, 68)]
    assert keep_apart(searched, kept, labelled, 0) == (searched, 0)
    # a block that is too near on the whole is gone
    assert keep_apart(searched, kept, labelled, 4)[0] == [
        Block(0, 116, 198),
        *left[2:3],
        Block(0, 0, 62),
    ]


@pytest.mark.parametrize("time", [0, 0.5, 5, 300])
def test_blocks_vary_together_as_their_frames_do(time):
    labelled = np.concatenate([rows(0, *range(0, 40, 2)), rows(1, 0, 1, 2)])
    blocks = [Block(0, 20, 38), Block(1, 0, 2), Block(0, 0, 6), Block(0, 10, 18)]
    place = labelled[:, 1] / np.where(labelled[:, 0] == 0, 2, 1)
    keep = np.exp(-1 / time) if time else 0.0
    frames = keep ** np.abs(np.subtract.outer(place, place))
    frames *= np.equal.outer(labelled[:, 0], labelled[:, 0])
    chosen = np.array([inside(labelled, block) for block in blocks], dtype=float)
    assert likeness(blocks, labelled, time) == pytest.approx(chosen @ frames @ chosen.T)


def test_something_is_always_left_to_search():
    labelled = rows(0, *range(40))
    left, gap = keep_apart([Block(0, 0, 9)], [Block(0, 10, 39)], labelled, 50)
    assert (left, gap) == ([Block(0, 0, 3)], 6)  # 100, 50, 25, 12, 6


@pytest.mark.parametrize("share", [0.05, 0.95])
def test_neither_side_is_empty(share):
    labelled = rows(0, *range(20))
    assert [len(side) for side in hold_out(time_blocks(labelled, 10), labelled, share, seed=0)] == [
        1,
        1,
    ]


def test_one_block_cannot_be_divided():
    with pytest.raises(RunError, match="5 labelled frames make 1 block"):
        hold_out([Block(0, 0, 4)], rows(0, *range(5)), 0.3, seed=0)


labelled_frames = st.sets(st.tuples(st.integers(0, 2), st.integers(0, 300)), min_size=2).map(
    lambda places: np.array(sorted(places), dtype=np.int64)
)


@given(labelled_frames, st.integers(1, 40), st.floats(0.05, 0.95), st.integers(0, 5))
def test_nothing_held_out_is_seen_by_the_search(labelled, length, share, seed):
    blocks = time_blocks(labelled, length)
    if len(blocks) < 2:
        return
    search, held_out = hold_out(blocks, labelled, share, seed)
    # every labelled frame is in one block, so in one of the two sides
    assert (sum(inside(labelled, block).astype(int) for block in [*search, *held_out]) == 1).all()
    # and no frame at all, labelled or not, is in two blocks
    everything = np.array([(video, frame) for video in range(3) for frame in range(301)])
    assert (sum(inside(everything, block).astype(int) for block in [*search, *held_out]) <= 1).all()
    poses = make_poses(
        Skeleton(("a",)),
        np.zeros((len(everything), 1, 2)),
        video=everything[:, 0],
        frame=everything[:, 1],
    )
    blocks = [*search, *held_out]

    def where(part):
        return {(blocks[number].video, frame) for number, frame in part.frames.tolist()}

    assert not where(cut(poses, search)) & where(cut(poses, held_out, len(search)))


def test_each_block_is_a_video_of_its_own():
    poses = make_poses(
        Skeleton(("a",)),
        [[[float(frame), 0.0]] for frame in range(6)],
        frame=range(6),
        tracks=[0, 0, 1, 1, 0, 0],
        track_names=("x", "y"),
        frames=[(0, frame) for frame in range(8)],  # the last two are empty
    )
    part = cut(poses, [Block(0, 4, 7), Block(0, 0, 1)], first=5)
    assert part.video.tolist() == [5, 5, 6, 6]
    assert part.frame.tolist() == [4, 5, 0, 1]
    assert part.points[:, 0, 0].tolist() == [4, 5, 0, 1]
    assert part.frames.tolist() == [[5, 4], [5, 5], [5, 6], [5, 7], [6, 0], [6, 1]]
    assert part.track_names == ("x", "y")
