"""Predictions that are stopped go on where they were, and give what they would have given."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from sleap_lab.errors import RunError
from sleap_lab.inference import chunks
from sleap_lab.inference.cache import Cache, StageResult, entries, remember
from sleap_lab.inference.cached_stages import detect_cached
from sleap_lab.inference.detect import detect
from sleap_lab.inference.fingerprint import fingerprint
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Frame, Source
from sleap_lab.poses.record import Poses, Skeleton, make_poses
from sleap_lab.settings.config import Config

DEMO = Path(str(resources.files("sleap_lab.demo")))
BATCH = 2


@pytest.fixture
def config(anywhere):
    config = Config()
    config.data.path, config.data.frames = str(DEMO / "single.mp4"), "10-18"
    config.model.paths = [str(DEMO / "models" / "single_instance")]
    config.runtime.device, config.runtime.batch_size = "cpu", BATCH
    config.runtime.num_threads = 1  # with more, more small frames are in flight
    threads = torch.get_num_threads()
    yield config
    torch.set_num_threads(threads)


@pytest.fixture
def every_batch(monkeypatch):
    """Store a chunk after each batch."""
    monkeypatch.setattr(chunks, "CHUNK_SECONDS", -1.0)


def predicted(config, cache, watch=lambda frames, total: frames):
    """Predict, and return the inference, the outcome, and which frames were looked at."""
    seen, outcomes = [], {}

    def watched(frames, total):
        for frame in watch(frames, total):
            seen.append(frame.index)
            yield frame

    found = detect_cached(open_source(config.data), config, "cpu", cache, outcomes, watch=watched)
    return found, outcomes["predict"], seen


def stopping(after, error=KeyboardInterrupt):
    """A watch that is interrupted when the frame after some others is done."""

    def watch(frames, total):
        for number, frame in enumerate(frames):
            if number == after:
                raise error
            yield frame

    return watch


def assert_same(a, b):
    for name, array in a.poses.to_arrays().items():
        np.testing.assert_array_equal(array, b.poses.to_arrays()[name], strict=True)


@pytest.mark.parametrize("after", range(10))
def test_a_stopped_prediction_goes_on_and_ends_as_if_it_had_never_been_stopped(
    config, tmp_path, every_batch, after
):
    cache = Cache(tmp_path)
    whole = detect(open_source(config.data), config)
    if after < 9:
        with pytest.raises(KeyboardInterrupt):
            predicted(config, cache, stopping(after))
    found, outcome, seen = predicted(config, cache)
    assert_same(found, whole)
    kept = 18 - 10 + 1 - len(seen)
    assert outcome == ("resumed" if kept else "miss")
    assert kept == (
        0 if after == 9 else min(9, (after // BATCH + 1) * BATCH)
    )  # the whole batch of the last frame that was seen to be done
    assert sorted(entry.stage for entry in entries(tmp_path)) == ([] if kept else ["network"]) + [
        "predict"
    ]
    again, outcome, seen = predicted(config, cache)
    assert_same(again, whole)
    assert (outcome, seen) == ("hit", [])


def test_what_was_done_is_kept_however_a_run_ends(config, tmp_path):
    cache = Cache(tmp_path)
    with pytest.raises(RunError, match="disk"):
        predicted(config, cache, stopping(7, RunError("the disk was pulled out")))
    found, outcome, seen = predicted(config, cache)
    assert outcome == "resumed"
    assert len(seen) < 9
    assert_same(found, detect(open_source(config.data), config))


def test_stopped_twice(config, tmp_path, every_batch):
    cache = Cache(tmp_path)
    for after in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            predicted(config, cache, stopping(after))
    found, _, seen = predicted(config, cache)
    assert_same(found, detect(open_source(config.data), config))
    assert len(seen) == 9 - 4 - 4


def test_frames_that_could_not_be_read_are_remembered_with_their_part(
    config, tmp_path, every_batch, monkeypatch
):
    read = Source.pixels

    def broken(self, video, frame):
        if frame in (11, 17):
            raise RunError(f"frame {frame} is broken")
        return read(self, video, frame)

    monkeypatch.setattr(Source, "pixels", broken)
    config.data.max_bad_share = 2 / 9  # of all frames; of those that are left it is more
    for on_bad_frame in ("nan", "skip"):
        config.data.on_bad_frame = on_bad_frame
        whole = detect(open_source(config.data), config)
        cache = Cache(tmp_path / on_bad_frame)
        with pytest.raises(KeyboardInterrupt):
            predicted(config, cache, stopping(6))
        found, _, _ = predicted(config, cache)
        assert_same(found, whole)
        assert [(frame.index, frame.problem) for frame in found.bad_frames] == [
            (11, "frame 11 is broken"),
            (17, "frame 17 is broken"),
        ]


def test_parts_of_other_settings_are_not_taken(config, tmp_path, every_batch):
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        predicted(config, cache, stopping(8))
    config.model.peak_threshold = 0.5
    assert predicted(config, cache)[1] == "miss"


DAMAGE = {
    "cut short": lambda content: content[:-1],
    "empty": lambda content: b"",
    "flipped": lambda content: content[:50] + bytes([content[50] ^ 1]) + content[51:],
}


@pytest.mark.parametrize("suffix", ["npz", "json"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_part_is_predicted_again(config, tmp_path, every_batch, suffix, damage):
    told = []
    cache = Cache(tmp_path, warn=told.append)
    with pytest.raises(KeyboardInterrupt):
        predicted(config, cache, stopping(8))
    for path in tmp_path.glob(f"*.{suffix}"):
        path.write_bytes(damage(path.read_bytes()))
    found, outcome, seen = predicted(config, cache)
    assert (outcome, len(seen)) == ("miss", 9)
    assert any("cannot be used" in text and text.endswith("and is computed again") for text in told)
    assert_same(found, detect(open_source(config.data), config))


@pytest.mark.parametrize("suffix", ["npz", "json"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_result_is_predicted_again(config, tmp_path, suffix, damage):
    told = []
    cache = Cache(tmp_path, warn=told.append)
    whole, _, _ = predicted(config, cache)
    for path in tmp_path.glob(f"*.{suffix}"):
        path.write_bytes(damage(path.read_bytes()))
    found, outcome, seen = predicted(config, cache)
    assert (outcome, len(seen)) == ("miss", 9)
    assert (
        sum("cannot be used" in text for text in told) == 2
    )  # the poses, and what the network observed
    assert_same(found, whole)
    assert predicted(config, cache)[1] == "hit"


def test_a_cache_that_is_only_read_gets_no_parts(config, tmp_path, every_batch):
    with pytest.raises(KeyboardInterrupt):
        predicted(config, Cache(tmp_path, "read"), stopping(8))
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_is_only_read_gives_its_parts(config, tmp_path, every_batch):
    with pytest.raises(KeyboardInterrupt):
        predicted(config, Cache(tmp_path), stopping(4))
    before = sorted(path.name for path in tmp_path.iterdir())
    found, outcome, seen = predicted(config, Cache(tmp_path, "read"))
    assert (outcome, len(seen)) == ("resumed", 9 - 3 * BATCH)
    assert_same(found, detect(open_source(config.data), config))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_part_holds_what_belongs_to_its_frames(tmp_path):
    frames = np.array([(0, index) for index in range(10)])
    source = Source(Path("a.mp4"), [], frames, None)
    cache = Cache(tmp_path)
    first = chunks.Chunks(source, cache, "k" * 64, "a.mp4")
    first.bad_frames += [
        Frame(0, 1, None, "torn"),
        Frame(0, 7, None, "later"),
    ]  # read ahead of the batch that is done
    first.add(make_poses(Skeleton(("a",)), [[[1, 2]]], frame=[3], frames=frames[:4]))
    first.store()
    second = chunks.Chunks(source, cache, "k" * 64, "a.mp4")
    assert [frame.index for frame in second.bad_frames] == [1]
    assert second.remaining.frames.tolist() == frames[4:].tolist()
    assert isinstance(second.poses[0], Poses)
    second.remove()
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("start", "stop", "fits"),
    [
        (0, 4, True),
        (0, 10, True),
        (1, 4, False),  # begins after a frame that nobody predicted
        (0, 0, False),  # holds nothing
        (0, 11, False),  # goes beyond the last frame
    ],
)
def test_a_part_that_does_not_fit_is_not_taken(tmp_path, start, stop, fits):
    frames = np.array([(0, index) for index in range(10)])
    source, cache = Source(Path("a.mp4"), [], frames, None), Cache(tmp_path)
    part = StageResult(
        make_poses(Skeleton(("a",)), [], frames=frames[start:stop]).to_arrays(),
        {"start": start, "stop": stop, "lost": []},
    )
    remember(cache, fingerprint({"part": 0, "of": "k"}), lambda: part, stage="predict, part")
    taken = chunks.Chunks(source, cache, "k", "a.mp4")
    assert len(taken.poses) == fits
    assert taken.remaining.frames.tolist() == frames[stop if fits else 0 :].tolist()
