"""A prediction that is joined from pieces equals that of a single run."""

import json
from dataclasses import replace
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab.errors import RunError
from sleap_lab.inference.cache import Cache, entries
from sleap_lab.inference.cached_stages import detect_cached
from sleap_lab.inference.detect import detect
from sleap_lab.inference.pieces import join_pieces, write_piece
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame
from sleap_lab.settings.config import Config
from sleap_lab.settings.frames import Piece, cut_in_pieces

DEMO = Path(str(resources.files("sleap_lab.demo")))
FRAMES = 9
RANGES = [Piece(0, 4), Piece(4, 8), Piece(8, 9)]


@pytest.fixture
def config():
    config = Config()
    config.data.path, config.data.frames = str(DEMO / "single.mp4"), f"10-{10 + FRAMES - 1}"
    config.model.paths = [str(DEMO / "models" / "single_instance")]
    config.runtime.device, config.runtime.batch_size = "cpu", 2
    threads = torch.get_num_threads()
    yield config
    torch.set_num_threads(threads)


@pytest.fixture
def source(config):
    return open_source(config.data)


@pytest.fixture
def folder(tmp_path, config, source):
    """The pieces of a prediction, each in its folder."""
    for number, piece in enumerate(RANGES):
        part = replace(source, frames=source.frames[piece.start : piece.stop])
        own = tmp_path / "pieces" / str(number)
        write_piece(own, piece, detect(part, config), config, "miss", 2.0)
    return tmp_path / "pieces"


def test_what_was_joined_is_found_under_the_settings_that_the_pieces_chose(
    folder, source, config, tmp_path
):
    cache = Cache(tmp_path / "cache")
    auto = {"batch_size": "auto", "precision": "auto", "compile": "auto"}
    open_ = replace(config, runtime=replace(config.runtime, **auto))
    join_pieces(folder, source, open_, cache, {})  # they were predicted in 32, two at a time
    outcomes = {}
    detect_cached(source, config, "cpu", cache, outcomes, watch=lambda frames, total: frames)
    assert outcomes == {"predict": "hit"}


@pytest.mark.parametrize("other", [{"batch_size": 8}, {"precision": "bf16"}, {"compile": True}])
def test_pieces_that_chose_otherwise_are_not_stored(folder, source, config, tmp_path, other):
    edit(folder, 1, **other)
    cache, outcomes = Cache(tmp_path / "cache"), {}
    join_pieces(folder, source, config, cache, {})
    detect_cached(source, config, "cpu", cache, outcomes, watch=lambda frames, total: frames)
    assert outcomes["predict"] == "miss"


def edit(folder, number, **facts):
    path = folder / str(number) / "piece.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


@pytest.mark.parametrize(
    ("frames", "size", "batch", "edges"),
    [
        (9, 4, 2, [0, 4, 8, 9]),  # the last is shorter
        (9, 3, 2, [0, 4, 8, 9]),  # rounded up to whole batches
        (8, 4, 4, [0, 4, 8]),
        (5, 50, 4, [0, 5]),
    ],
)
def test_pieces_are_whole_batches_and_cover_every_frame_once(frames, size, batch, edges):
    expected = [Piece(*pair) for pair in pairwise(edges)]
    assert cut_in_pieces(frames, size, batch) == expected


def test_joined_pieces_are_the_whole_to_the_last_bit_and_the_cache_has_it(
    folder, source, config, tmp_path
):
    cache, outcomes = Cache(tmp_path / "cache"), {}
    joined = join_pieces(folder, source, config, cache, outcomes)
    whole = detect(source, config)
    for name, array in whole.poses.to_arrays().items():
        np.testing.assert_array_equal(joined.inference.poses.to_arrays()[name], array, name)
    assert (joined.pieces, joined.seconds, joined.outcome) == (3, 6.0, "miss")
    assert (joined.inference.kind, joined.inference.device) == (whole.kind, whole.device)
    again = {}
    detect_cached(source, config, "cpu", cache, again, watch=lambda frames, total: frames)
    assert again["predict"] == "hit"


def test_poses_of_another_processor_are_not_stored_as_those_of_this_one(
    folder, source, config, tmp_path
):
    cache = Cache(tmp_path / "cache")
    edit(folder, 1, processor=["another card"])  # no machine has predicted the whole
    join_pieces(folder, source, config, cache, {})
    assert not entries(cache.folder)
    for number in (0, 2):
        edit(folder, number, processor=["another card"])
    join_pieces(folder, source, config, cache, {})
    assert len(entries(cache.folder)) == 1
    here = {}
    detect_cached(source, config, "cpu", cache, here, watch=lambda frames, total: frames)
    assert here["predict"] == "miss"


@pytest.mark.parametrize(
    ("number", "missing"), [(0, "frame 0 of 9"), (1, "frame 4 of 9"), (2, "frame 8 of 9")]
)
def test_a_missing_piece_is_told(folder, source, config, tmp_path, number, missing):
    (folder / str(number) / "piece.json").unlink()
    with pytest.raises(RunError, match=missing):
        join_pieces(folder, source, config, Cache(tmp_path / "cache"), {})


def test_a_damaged_piece_is_told(folder, source, config, tmp_path):
    (folder / "1" / "poses.npz").write_bytes(b"no archive")
    with pytest.raises(RunError, match="pieces/1: this piece is damaged"):
        join_pieces(folder, source, config, Cache(tmp_path / "cache"), {})


def test_unreadable_frames_and_notes_of_pieces_are_those_of_the_whole(
    folder, source, config, tmp_path
):
    video, index = source.frames[5].tolist()
    poses = detect(replace(source, frames=source.frames[[4, 6, 7]]), config)
    bad = Frame(video, index, None, "it is torn")
    write_piece(
        folder / "1",
        RANGES[1],
        replace(poses, bad_frames=(bad,), notes=("a note",)),
        config,
        "hit",
        0.0,
    )
    edit(folder, 2, notes=["a note"])
    cache, outcomes = Cache(tmp_path / "cache"), {}
    joined = join_pieces(folder, source, config, cache, outcomes)
    assert [(frame.index, frame.problem) for frame in joined.inference.bad_frames] == [
        (index, "it is torn")
    ]
    assert joined.inference.notes == ("a note",)
    assert outcomes["predict"] == "resumed"  # a hit and two misses
    assert not entries(cache.folder)
    config.data.on_bad_frame = "fail"
    config.data.max_bad_share = 0.1
    with pytest.raises(RunError):
        join_pieces(folder, source, config, cache, {})


def test_a_single_piece_may_be_open_ended(tmp_path, source, config):
    write_piece(tmp_path / "all" / "0", Piece(), detect(source, config), config, "miss", 1.0)
    joined = join_pieces(tmp_path / "all", source, config, Cache(tmp_path / "cache"), {})
    assert joined.inference.poses.frames.shape == (FRAMES, 2)
