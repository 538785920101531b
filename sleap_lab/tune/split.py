"""Divide labelled frames by blocks of time, so that search and held-out frames are independent.

Neighbouring frames show nearly the same poses, so single frames are never divided. A block is an
interval of a video from one labelled frame to another, with all frames between, labelled or not.
Blocks share no frame, and each is tracked by itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np

from sleap_lab.errors import RunError
from sleap_lab.poses.record import Poses

BLOCKS = 20
FEWEST_FRAMES = 20
FEWEST_BLOCKS = 4  # where few frames need shorter blocks
BLOCK_TIMES = 4  # length of a block in correlation times
SHORTEST_TIMES = 2  # where that leaves fewer than `ENOUGH_BLOCKS`
ENOUGH_BLOCKS = 14
GAP_TIMES = 2  # labelled frames between searched and held-out blocks, in correlation times
GAP = 10  # a gap this many times longer than usual ends a stretch of labels


class Block(NamedTuple):
    """Frames `first` to `last`, both included, of a video."""

    video: int
    first: int
    last: int


def block_length(n_labelled: int, time: float = 0.0) -> int:
    """Return how many labelled frames a block has by default.

    Args:
        n_labelled: Labelled frames.
        time: Correlation time in labelled frames; blocks are long enough to be nearly independent.
    """
    shortest = max(FEWEST_FRAMES, ceil(SHORTEST_TIMES * time))
    wanted = max(ceil(n_labelled / BLOCKS), FEWEST_FRAMES, ceil(BLOCK_TIMES * time))
    wanted = min(wanted, max(ceil(n_labelled / ENOUGH_BLOCKS), shortest))
    return min(wanted, ceil(n_labelled / FEWEST_BLOCKS))


def time_blocks(labelled: np.ndarray, length: int) -> list[Block]:
    """Cut labelled frames, in the order of time, into blocks of about equally many of them.

    Args:
        labelled: (frames, 2) (video, frame), each once.
        length: Labelled frames of a block.
    """
    blocks = []
    for video in np.unique(labelled[:, 0]).tolist():
        frames = np.sort(labelled[labelled[:, 0] == video, 1])
        steps = np.diff(frames)
        usual = np.median(steps) if len(steps) else 1
        for stretch in np.split(frames, np.flatnonzero(steps > GAP * usual) + 1):
            parts = np.array_split(stretch, max(1, round(len(stretch) / length)))
            blocks += [Block(video, int(part[0]), int(part[-1])) for part in parts]
    return blocks


def hold_out(
    blocks: Sequence[Block], labelled: np.ndarray, share: float, seed: int
) -> tuple[list[Block], list[Block]]:
    """Choose blocks at random until they hold a share of the labelled frames.

    At least one block is chosen, and never all.

    Args:
        blocks: All blocks.
        labelled: (frames, 2) (video, frame).
        share: Share to hold out.
        seed: Seed of the choice.

    Returns:
        Blocks for the search, in random order, and those held out, in the order of time.

    Raises:
        RunError: There is a single block.
    """
    if len(blocks) < 2:
        raise RunError(
            f"evaluator.ground_truth_path: {len(labelled)} labelled frames "
            f"make {len(blocks)} block of time; tuning needs two, "
            "one of them to hold out (tune.block_frames makes them shorter)"
        )
    order = np.random.default_rng(seed).permutation(len(blocks)).tolist()
    sizes = [int(inside(labelled, blocks[i]).sum()) for i in order]
    before = np.cumsum(sizes) - sizes
    taken = min(max(1, int((before < share * sum(sizes)).sum())), len(blocks) - 1)
    return [blocks[i] for i in order[taken:]], [blocks[i] for i in sorted(order[:taken])]


def keep_apart(
    searched: Sequence[Block], kept: Sequence[Block], labelled: np.ndarray, time: float
) -> tuple[list[Block], int]:
    """Cut off the searched blocks what is too near to a held-out one in the same video.

    What lies between them is neither searched nor held out, so that the search learns nothing of
    the held-out frames from their neighbours. Where that leaves nothing to search, the gap is
    halved; there are too few blocks then for any interval.

    Args:
        searched: Blocks for the search.
        kept: Blocks held out.
        labelled: (frames, 2) (video, frame).
        time: Correlation time in labelled frames.

    Returns:
        What is left of the searched blocks, in their order; and the gap in labelled frames.
    """
    gap = ceil(GAP_TIMES * time)
    while not (left := _outside(searched, kept, labelled, gap)):
        gap //= 2
    return left, gap


def _outside(
    searched: Sequence[Block], kept: Sequence[Block], labelled: np.ndarray, gap: int
) -> list[Block]:
    """Return what is left of blocks at a distance of some labelled frames from others."""
    left = []
    for video, first, last in searched:
        frames = np.sort(labelled[labelled[:, 0] == video, 1])
        near = np.zeros(len(frames), dtype=bool)
        for block in kept:
            if block.video == video:
                start, end = np.searchsorted(frames, [block.first, block.last + 1])
                near[max(0, start - gap) : end + gap] = True
        free = frames[~near & (frames >= first) & (frames <= last)]
        if len(free):
            left.append(Block(video, int(free[0]), int(free[-1])))
    return left


def likeness(blocks: Sequence[Block], labelled: np.ndarray, time: float) -> np.ndarray:
    """Return how the sums over blocks vary together where the likeness of frames falls with time.

    It falls by 1/e in a correlation time; videos are independent.

    Args:
        blocks: The blocks.
        labelled: (frames, 2) (video, frame).
        time: Correlation time in labelled frames.

    Returns:
        (blocks, blocks) covariances in units of the variance of a single frame.
    """
    keep = float(np.exp(-1 / time)) if time > 0 else 0.0
    video = np.array([block.video for block in blocks])
    start, end = np.zeros((2, len(blocks)), dtype=int)
    for i, (of, first, last) in enumerate(blocks):
        frames = np.sort(labelled[labelled[:, 0] == of, 1])
        start[i], end[i] = np.searchsorted(frames, [first, last + 1])
    n = end - start
    reach = (1 - keep**n) / (1 - keep)
    apart = np.maximum(start[:, None] - end, start - end[:, None]) + 1
    alike = np.outer(reach, reach) * keep ** np.maximum(apart, 1) * (video[:, None] == video)
    np.fill_diagonal(alike, n + 2 * keep * (n - reach) / (1 - keep))
    return alike


def inside(frames: np.ndarray, block: Block) -> np.ndarray:
    """Return which (video, frame) rows lie in a block: (frames,) bool."""
    return (
        (frames[:, 0] == block.video) & (frames[:, 1] >= block.first) & (frames[:, 1] <= block.last)
    )


def cut(poses: Poses, blocks: Sequence[Block], first: int = 0) -> Poses:
    """Keep the frames in some blocks, each block as a video numbered from `first` in block order.

    A tracker starts afresh in every video, and metrics are formed per video and pooled; so both
    treat blocks as independent.
    """
    where = np.stack([poses.video, poses.frame], axis=1).astype(np.int64)
    rows = [np.flatnonzero(inside(where, block)) for block in blocks]
    frames = [
        poses.frames[inside(poses.frames, block)] * [0, 1] + [first + i, 0]
        for i, block in enumerate(blocks)
    ]
    part = poses[np.concatenate([np.zeros(0, dtype=np.intp), *rows])]
    numbers = np.repeat(np.arange(first, first + len(blocks)), [len(chunk) for chunk in rows])
    return replace(
        part,
        video=numbers.astype(np.int32),
        frames=np.concatenate([np.zeros((0, 2), dtype=np.int64), *frames]),
    )
