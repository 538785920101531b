import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sleap_lab.inference import cache as module
from sleap_lab.inference.cache import Cache, StageResult, clear, entries, remember

KEY, OTHER, THIRD = (digit * 64 for digit in "abc")


class Work:
    """Counts how often it is done."""

    def __init__(self, *, complete=True, points=(1.0, np.nan), **facts):
        self.times, self.facts, self.points, self.complete = 0, facts, np.array(points), complete

    def __call__(self):
        self.times += 1
        return StageResult(
            {"points": self.points, "header": np.array("text")}, self.facts, self.complete
        )


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def notes():
    return []


@pytest.fixture
def cache(tmp_path, warnings, notes):
    return Cache(tmp_path / "cache", warn=warnings.append, note=notes.append)


def store(cache, key=KEY, work=None, stage="predict", about="clip.mp4"):
    return remember(cache, key, work or Work(), stage=stage, about=about)


def age(cache, key, seconds):
    """Make it look as if an entry had last been used so long ago."""
    os.utime(cache.folder / f"{key}.json", (time.time() - seconds,) * 2)


# --- computing once ---------------------------------------------------------------------


def test_a_result_is_computed_once(cache, warnings):
    work = Work(kind="topdown", notes=["a"])
    (first, recalled), (again, recalled_again) = store(cache, work=work), store(cache, work=work)
    assert work.times == 1
    assert (recalled, recalled_again) == (False, True)
    np.testing.assert_array_equal(again.arrays["points"], first.arrays["points"])
    assert again.facts == {"kind": "topdown", "notes": ["a"]}
    assert warnings == []


def test_another_key_is_another_result(cache):
    work = Work()
    store(cache, KEY, work)
    store(cache, OTHER, work)
    assert work.times == 2


@pytest.mark.parametrize(("mode", "times"), [("rw", 1), ("read", 2), ("off", 2)])
def test_modes(tmp_path, mode, times):
    work = Work()
    for _ in range(2):
        store(Cache(tmp_path / "cache", mode), work=work)
    assert work.times == times
    assert (tmp_path / "cache").exists() == (mode == "rw")


def test_read_uses_what_is_there(cache):
    store(cache)
    assert store(Cache(cache.folder, "read"))[1]


def test_seeds_are_asked_before_anything_is_computed_and_only_read(tmp_path):
    shared, other = Cache(tmp_path / "shared"), Cache(tmp_path / "other")
    work = Work()
    store(shared, work=work)
    store(other, OTHER, work)
    seeds = (tmp_path / "absent", shared.folder, other.folder)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.rglob("*.*")}
    mine = Cache(tmp_path / "mine", seeds=seeds)
    for key in (KEY, OTHER):
        assert store(mine, key, work)[1]
    assert work.times == 2
    store(mine, "2" * 64, work)
    assert work.times == 3
    assert [entry.key for entry in entries(mine.folder)] == ["2" * 64]
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    assert not store(Cache(tmp_path / "mine", "off", seeds=seeds), KEY, work)[1]


def test_a_damaged_seed_is_told_and_computed_again(tmp_path):
    shared, warnings = Cache(tmp_path / "shared"), []
    store(shared)
    (shared.folder / f"{KEY}.npz").write_bytes(b"PK")
    mine = Cache(tmp_path / "mine", seeds=(shared.folder,), warn=warnings.append)
    assert not store(mine)[1]
    assert f"of the cache in {shared.folder} cannot be used" in warnings[0]
    assert store(mine)[1]


def test_incomplete_results_are_not_kept(cache):
    work = Work(complete=False)
    store(cache, work=work)
    store(cache, work=work)
    assert work.times == 2
    assert entries(cache.folder) == []


def test_what_goes_wrong_in_the_computation_comes_through_and_leaves_nothing_locked(cache):
    def fail():
        raise OSError("the disk of the video is gone")

    with pytest.raises(OSError, match="disk of the video"):
        store(cache, work=fail)
    assert not store(cache)[1]
    assert store(cache)[1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrays=st.dictionaries(
        st.text("abcxyz", min_size=1, max_size=3),
        st.sampled_from(
            [
                np.zeros((0, 2)),
                np.array([np.nan, -0.0, np.inf]),
                np.arange(4, dtype=np.int32),
                np.array([True]),
                np.array("ü"),
            ]
        ),
    ),
    facts=st.dictionaries(
        st.text(),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        max_size=3,
    ),
)
def test_what_comes_out_is_what_went_in(tmp_path, arrays, facts):
    cache = Cache(tmp_path)
    clear(tmp_path)
    remember(cache, KEY, lambda: StageResult(arrays, facts), stage="any")
    found, recalled = remember(cache, KEY, Work(), stage="any")
    assert recalled
    assert found.facts == facts
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in found.arrays.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()
    }


# --- damage -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"{KEY}.npz", f"{KEY}.json"])
def test_an_entry_that_was_cut_short_is_computed_again(cache, warnings, name):
    store(cache)
    (cache.folder / name).write_bytes((cache.folder / name).read_bytes()[:-20])
    assert not store(cache)[1]
    assert store(cache)[1]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"entry {KEY[:8]} of the cache cannot be used (")


def test_every_flipped_byte_is_noticed(cache, warnings):
    store(cache, work=Work(kind="topdown"))
    whole = {path: path.read_bytes() for path in cache.folder.glob("*.*") if path.suffix != ".lock"}
    flips = 0
    for path, content in whole.items():
        for i in range(0, len(content), 5):
            path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
            assert not remember(
                Cache(cache.folder, "read", warn=warnings.append), KEY, Work(), stage="predict"
            )[1], (path.name, i)
            flips += 1
        path.write_bytes(content)
    assert len(warnings) == flips > 100
    assert store(cache)[1]


def test_an_entry_without_its_header_does_not_count(cache, warnings):
    """The header is written last: without it the arrays may be half written."""
    store(cache)
    (cache.folder / f"{KEY}.json").unlink()
    assert not store(cache)[1]
    assert warnings == []


class Marker:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_nothing_is_unpickled(cache, warnings, tmp_path):
    bomb = np.empty(1, dtype=object)
    bomb[0] = Marker(str(tmp_path / "ran"))
    store(cache, work=lambda: StageResult({"points": bomb}))
    assert not store(cache)[1]
    assert "it holds objects, which are not read" in warnings[0]
    assert not (tmp_path / "ran").exists()


# --- a cache that cannot be used --------------------------------------------------------


def test_a_folder_that_cannot_be_made_costs_the_cache_and_not_the_run(tmp_path, warnings):
    (tmp_path / "file").write_text("in the way")
    cache = Cache(tmp_path / "file" / "cache", warn=warnings.append)
    assert not store(cache)[1]
    assert not store(cache)[1]
    assert warnings == 2 * [
        f"cache_dir: {cache.folder} cannot be written to (Not a directory); nothing is stored"
    ]
    assert entries(cache.folder) == []


def test_a_folder_that_may_only_be_read_is_read(cache, warnings, monkeypatch):
    store(cache)

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.FileLock, "acquire", deny)
    monkeypatch.setattr(module.os, "utime", deny)
    assert store(cache, KEY)[1]
    assert not store(cache, OTHER)[1]
    assert warnings == 2 * [
        f"cache_dir: {cache.folder} cannot be written to (Permission denied); nothing is stored"
    ]
    assert [entry.key for entry in entries(cache.folder)] == [KEY]


def test_a_disk_that_is_full_costs_the_entry_and_not_the_run(cache, warnings, monkeypatch):
    def full(path, content):
        path.open("wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "write_bytes", full)
    assert not store(cache)[1]
    assert warnings == [
        f"predict: not stored in the cache: {cache.folder / KEY}.npz: "
        "cannot be written (No space left on device)"
    ]
    monkeypatch.undo()
    assert not store(cache)[1]
    assert store(cache)[1]


# --- several at once --------------------------------------------------------------------


def test_those_who_need_the_same_wait_for_one_and_say_so(cache, warnings, notes):
    started, release, work = threading.Event(), threading.Event(), Work()

    def slow():
        started.set()
        release.wait(60)
        return work()

    results = []
    threads = [
        threading.Thread(target=lambda compute=compute: results.append(store(cache, work=compute)))
        for compute in (slow, work)
    ]
    threads[0].start()
    assert started.wait(60)
    threads[1].start()
    while not notes:
        time.sleep(0.01)
    release.set()
    for thread in threads:
        thread.join()
    assert work.times == 1
    assert sorted(recalled for _, recalled in results) == [False, True]
    assert warnings == []  # nothing is wrong
    assert notes == ["waiting for another process that computes the same (cache=off does not wait)"]


PROGRAM = """
import sys, time
from pathlib import Path
import numpy as np
from sleap_lab.inference import cache as module

folder, key = Path(sys.argv[1]), sys.argv[2]

def work():
    with open(folder / "log", "a") as log:
        log.write("computed\\n")
    time.sleep(0.3)
    return module.StageResult({"points": np.arange(5.0)}, {"kind": "topdown"})

cache = module.Cache(folder / "cache", warn=lambda text: None)
"""


def start(program, folder):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + program, str(folder), KEY],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_four_processes_that_need_the_same_compute_it_once(tmp_path):
    program = (
        "result, recalled = module.remember(cache, key, work, stage='predict'); "
        "print(recalled, result.arrays['points'].sum())"
    )
    processes = [start(program, tmp_path) for _ in range(4)]
    told = [process.communicate(timeout=300)[0].split() for process in processes]
    assert (tmp_path / "log").read_text() == "computed\n"
    assert sorted(told) == [["False", "10.0"], *3 * [["True", "10.0"]]]


@pytest.mark.parametrize("half", ["npz", "json"])
def test_a_process_killed_while_it_writes_leaves_no_entry_and_no_lock(
    cache, warnings, tmp_path, half
):
    """It is killed when half of one of the two files is written."""
    process = start(
        f"""
whole = Path.write_bytes
def half(path, content, **_):
    if path.suffix != ".{half}":
        return whole(path, content)
    whole(path, (content if isinstance(content, bytes) else content.encode())[:len(content) // 2])
    print("half", flush=True)
    time.sleep(60)

Path.write_bytes = Path.write_text = half
module.remember(cache, key, work, stage="predict")
""",
        tmp_path,
    )
    try:
        assert process.stdout.readline() == "half\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(list(cache.folder.glob(f".{KEY}.*.{half}"))) == 1
    assert entries(cache.folder) == []
    assert not store(cache)[1]
    assert store(cache)[1]
    store(cache, OTHER)
    clear(cache.folder)
    assert list(cache.folder.iterdir()) == []
    assert warnings == []


def test_what_killed_writers_left_is_removed_by_the_next_who_stores(cache):
    cache.folder.mkdir()
    (cache.folder / f".{OTHER}.123.npz").write_bytes(b"half")
    (cache.folder / f"{THIRD}.npz").write_bytes(b"whole, without its header")
    store(cache)
    assert sorted(path.name for path in cache.folder.iterdir()) == [
        f"{KEY}.json",
        f"{KEY}.lock",
        f"{KEY}.npz",
    ]


def test_files_of_others_are_left_alone(cache):
    cache.folder.mkdir()
    for name in ("metrics.json", "poses.npz", ".hidden.json"):
        (cache.folder / name).write_text("mine")
    store(cache)
    clear(cache.folder)
    assert sorted(path.name for path in cache.folder.iterdir()) == [
        ".hidden.json",
        "metrics.json",
        "poses.npz",
    ]


# --- size -------------------------------------------------------------------------------


def size_of_one(tmp_path):
    store(Cache(tmp_path / "one"))
    return entries(tmp_path / "one")[0].size


def test_the_least_recently_used_entry_makes_room(tmp_path, cache):
    limited = Cache(cache.folder, max_bytes=2.5 * size_of_one(tmp_path))
    store(limited, KEY)
    store(limited, OTHER)
    age(cache, KEY, 20)
    age(cache, OTHER, 10)
    assert store(limited, KEY)[1]  # used again, so that the other one is older
    store(limited, THIRD)
    assert [entry.key for entry in entries(cache.folder)] == [THIRD, KEY]
    assert list(cache.folder.glob(f"*{OTHER}*")) == []


def test_an_entry_that_somebody_reads_or_writes_stays(tmp_path, cache):
    limited = Cache(cache.folder, max_bytes=1.5 * size_of_one(tmp_path))
    store(limited, KEY)
    with FileLock(cache.folder / f"{KEY}.lock"):
        store(limited, OTHER)
        assert {entry.key for entry in entries(cache.folder)} == {KEY, OTHER}
        assert [entry.key for entry in clear(cache.folder)[1]] == [KEY]
    store(limited, THIRD)
    assert {entry.key for entry in entries(cache.folder)} == {THIRD}


def test_a_result_larger_than_the_cache_is_not_stored_and_evicts_nothing(tmp_path, cache, warnings):
    store(cache, KEY)
    limited = Cache(cache.folder, max_bytes=1.5 * size_of_one(tmp_path), warn=warnings.append)
    store(limited, OTHER, Work(points=np.random.default_rng(0).random(1000)))
    assert [entry.key for entry in entries(cache.folder)] == [KEY]
    assert "GB are more than cache_max_gb=" in warnings[0]


# --- looking after it -------------------------------------------------------------------


def test_entries_say_what_they_are(cache):
    store(cache, KEY, stage="predict", about="clip.mp4, 6 frames")
    store(cache, OTHER, stage="track", about="fixed_window")
    age(cache, KEY, 60)
    first, second = entries(cache.folder)
    assert [(entry.stage, entry.about) for entry in (first, second)] == [
        ("track", "fixed_window"),
        ("predict", "clip.mp4, 6 frames"),
    ]
    assert first.used - second.used == pytest.approx(60, abs=5)
    assert second.created == pytest.approx(time.time(), abs=60)
    assert second.size == sum(
        (cache.folder / f"{KEY}.{suffix}").stat().st_size for suffix in ("json", "npz")
    )


def test_entries_are_listed_the_last_used_first(cache):
    store(cache, KEY, stage="predict", about="clip.mp4")
    store(cache, OTHER, stage="track", about="of it")
    age(cache, KEY, 3 * 86400)
    assert [(entry.key, entry.stage, entry.about) for entry in entries(cache.folder)] == [
        (OTHER, "track", "of it"),
        (KEY, "predict", "clip.mp4"),
    ]
    assert entries(cache.folder / "nowhere") == []


def test_all_entries_are_removed_unless_some_are_named(cache):
    for key in (KEY, OTHER, THIRD):
        store(cache, key)
    removed, in_use = clear(cache.folder, ["bbb"])
    assert ([entry.key for entry in removed], in_use) == ([OTHER], [])
    removed, _ = clear(cache.folder)
    assert {entry.key for entry in removed} == {KEY, THIRD}
    assert list(cache.folder.iterdir()) == []
    assert clear(cache.folder) == ([], [])


def test_facts_are_plain_text(cache):
    store(cache, work=Work(notes=["a"]))
    assert json.loads((cache.folder / f"{KEY}.json").read_text())["facts"] == {"notes": ["a"]}


def test_what_is_left_of_an_entry_goes_with_all_of_them(cache):
    store(cache)
    (cache.folder / f"{OTHER}.npz").write_bytes(b"without its facts")
    clear(cache.folder, [OTHER])
    assert (cache.folder / f"{OTHER}.npz").exists()  # no entry, so not the one that was chosen
    clear(cache.folder)
    assert [path.name for path in cache.folder.iterdir() if path.suffix in (".npz", ".json")] == []
