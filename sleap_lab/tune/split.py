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
FEWEST_BLOCKS = 4  # where few frames need blocks shorter than FEWEST_FRAMES
GAP = 10  # a gap this many times longer than usual ends a stretch of labels


class Block(NamedTuple):
    """Frames `first` to `last`, both included, of a video."""

    video: int
    first: int
    last: int


def block_length(n_labelled: int) -> int:
    """Return how many labelled frames a block has by default."""
    return max(ceil(n_labelled / BLOCKS), min(FEWEST_FRAMES, ceil(n_labelled / FEWEST_BLOCKS)))


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


def inside(frames: np.ndarray, block: Block) -> np.ndarray:
    """Say which (video, frame) rows lie in a block: (frames,) bool."""
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
