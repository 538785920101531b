"""Stages before which the cache stands give what they give without it, to the last bit."""

from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleap_lab import run_experiment
from sleap_lab.errors import RunError
from sleap_lab.inference import cached_stages, observations, shards
from sleap_lab.inference.cache import Cache, StageResult, entries, remember
from sleap_lab.inference.cached_stages import detect_cached, track_cached
from sleap_lab.inference.detect import detect
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Source
from sleap_lab.pipelines import observation
from sleap_lab.pipelines.model import Model
from sleap_lab.settings.config import Config
from sleap_lab.tracking import track

DEMO = Path(str(resources.files("sleap_lab.demo")))
KINDS = {
    "single_instance": ("single.mp4", ["single_instance"]),
    "centroid": ("clip.mp4", ["centroid"]),
    "centroid with labels": ("truth.slp", ["centroid"]),
    "topdown": ("clip.mp4", ["centroid", "centered_instance"]),
    "centered_instance": ("truth.slp", ["centered_instance"]),
    "multi_class_topdown": ("clip.mp4", ["centroid", "multi_class_topdown"]),
    "multi_class_topdown alone": ("truth.slp", ["multi_class_topdown"]),
    "bottomup": ("clip.mp4", ["bottomup"]),
    "multi_class_bottomup": ("clip.mp4", ["multi_class_bottomup"]),
}


def configured(kind, **model):
    """A config of one kind for a few frames of the demo, which go in batches of two and one."""
    config = Config()
    name, models = KINDS[kind]
    config.data.path, config.data.frames = str(DEMO / name), "40-42"
    config.model.paths = [str(DEMO / "models" / model) for model in models]
    config.runtime.device, config.runtime.batch_size = "cpu", 2
    for key, value in model.items():
        setattr(config.model, key, value)
    return config


@pytest.fixture
def passes(monkeypatch):
    """A list that grows by one whenever a network runs."""
    calls = []
    run = Model.__call__
    monkeypatch.setattr(
        Model, "__call__", lambda model, images: calls.append(len(images)) or run(model, images)
    )
    return calls


@pytest.fixture
def one_thread():
    """Let one core do the work of a batch: how many share it decides which crops share a pass."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def remembered(config, cache, predict=detect):
    outcomes = {}
    source = open_source(config.data)
    found = detect_cached(
        source, config, "cpu", cache, outcomes, watch=lambda frames, total: frames, predict=predict
    )
    return found, outcomes


def same(one, other):
    """Whether two records hold the same poses, to the last bit."""
    a, b = one.to_arrays(), other.to_arrays()
    return a.keys() == b.keys() and all(
        (a[k].dtype, a[k].shape, a[k].tobytes()) == (b[k].dtype, b[k].shape, b[k].tobytes())
        for k in a
    )


# --- poses --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_remembered(kind, tmp_path, passes):
    config, cache = configured(kind), Cache(tmp_path)
    fresh = detect(open_source(config.data), config)
    first, outcomes = remembered(config, cache)
    assert outcomes == {"network": "miss", "predict": "miss"}
    passes.clear()
    again, outcomes = remembered(config, cache)
    assert outcomes == {"predict": "hit"}
    assert passes == []
    assert same(first.poses, fresh.poses)
    assert same(again.poses, fresh.poses)
    assert (again.kind, again.device, again.notes) == (fresh.kind, fresh.device, fresh.notes)
    assert len(fresh.poses)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """Return a function that returns the cache of a run of a kind with the default settings.

    The cache holds what the networks observe.
    """
    caches = {}

    def observed(kind):
        if kind not in caches:
            caches[kind] = Cache(tmp_path_factory.mktemp("observed"))
            remembered(configured(kind), caches[kind])
        return caches[kind]

    return observed


thresholds = st.floats(0.1, 1.1)
options = st.fixed_dictionaries(
    {
        "peak_threshold": thresholds | st.tuples(thresholds, thresholds).map(list),
        "max_instances": st.none() | st.integers(1, 5),
        "max_edge_length_ratio": st.floats(0, 1),
        "dist_penalty_weight": st.floats(0, 2),
        "min_instance_peaks": st.sampled_from([0, 0.5, 2, 4]),
        "min_line_scores": st.floats(-1, 1),
    }
)


@pytest.mark.parametrize("kind", KINDS)
def test_other_settings_of_the_cheap_half_need_no_network(kind, observed):
    cache = observed(kind)

    @settings(max_examples=3)
    @given(options=options)
    def check(options):
        config = configured(kind, **options)
        fresh = detect(open_source(config.data), config)
        found, outcomes = remembered(
            config, replace(cache, mode="read"), predict=lambda *_, **__: pytest.fail("predicted")
        )
        assert outcomes == {"network": "hit", "predict": "miss"}
        assert same(found.poses, fresh.poses)
        assert found.notes == fresh.notes

    check()


@pytest.mark.parametrize("kind", ["single_instance", "centroid", "centered_instance"])
@pytest.mark.parametrize(("way", "again"), [(None, "hit"), ("bounded", "hit"), ("integral", None)])
def test_refinement_needs_no_network_where_nothing_is_looked_up_at_refined_points(
    kind, way, again, observed
):
    config = configured(kind, integral_refinement=way)
    found, outcomes = remembered(config, replace(observed(kind), mode="read"))
    assert outcomes.get("network") == again
    assert same(found.poses, detect(open_source(config.data), config).poses)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("bottomup", {"n_points": 4}),
        ("bottomup", {"integral_refinement": None}),
        ("bottomup", {"peak_threshold": 0.05}),
        ("centroid", {"peak_threshold": [0.05, 0.2]}),
        ("single_instance", {"integral_patch_size": 3}),
        ("topdown", {"integral_refinement": None}),
    ],
)
def test_what_the_networks_are_asked_makes_an_entry_of_its_own(kind, settings, observed):
    _, outcomes = remembered(configured(kind, **settings), replace(observed(kind), mode="read"))
    assert outcomes == {"network": "miss", "predict": "miss"}


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("single_instance", {"peak_threshold": 0.01}), ("topdown", {"peak_threshold": [0.2, 0.01]})],
)
def test_where_the_highest_pixel_counts_there_is_no_floor(kind, settings, observed):
    _, outcomes = remembered(configured(kind, **settings), replace(observed(kind), mode="read"))
    assert outcomes["network"] == "hit"


def test_crops_that_were_not_looked_at_are_looked_at_all_together(tmp_path, passes, one_thread):
    """At most two passes for any sweep: the second time everything is looked at."""
    cache = Cache(tmp_path)
    outcomes = []
    for limit in (1, 2, 3, 1, None):
        config = configured("topdown", max_instances=limit)
        config.data.frames, config.runtime.batch_size = "0-9", 10
        found, outcome = remembered(config, cache)
        outcomes.append(outcome.get("network"))
        assert same(found.poses, detect(open_source(config.data), config).poses)
    assert outcomes == ["miss", "miss", "hit", None, "hit"]


def test_observations_of_too_many_candidates_are_not_stored_but_poses_are(tmp_path, monkeypatch):
    monkeypatch.setattr(observation, "MAX_PEAKS", 2)
    config, cache = configured("bottomup"), Cache(tmp_path)
    found, _ = remembered(config, cache)
    assert [entry.stage for entry in entries(tmp_path)] == ["predict"]
    assert remembered(config, cache)[1] == {"predict": "hit"}
    monkeypatch.undo()
    assert same(found.poses, detect(open_source(config.data), config).poses)


def test_observations_that_would_fill_the_memory_are_not_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(observations, "MAX_BYTES", 1000)
    remembered(configured("bottomup"), Cache(tmp_path))
    assert [entry.stage for entry in entries(tmp_path)] == ["predict"]


@pytest.mark.parametrize("unreadable", [41, 42])
def test_nothing_is_stored_of_a_run_with_unreadable_frames(tmp_path, monkeypatch, unreadable):
    read = Source.pixels

    def torn(self, video, frame):
        if frame == unreadable:
            raise RunError("frame is torn")
        return read(self, video, frame)

    monkeypatch.setattr(Source, "pixels", torn)
    found, outcomes = remembered(configured("topdown"), Cache(tmp_path))
    assert [frame.index for frame in found.bad_frames] == [unreadable]
    assert outcomes == {"network": "miss", "predict": "miss"}
    assert entries(tmp_path) == []


def test_a_frame_that_goes_astray_is_an_error(tmp_path):
    def astray(*arguments, **options):
        found = detect(*arguments, **options)
        return replace(found, poses=replace(found.poses, frames=found.poses.frames[:-1]))

    with pytest.raises(RunError, match="1 missing, the first of them frame 42 of video 0"):
        remembered(configured("single_instance"), Cache(tmp_path), astray)


def rewritten(cache, stage, change):
    """Change an entry as somebody would who knows how entries are made."""
    (entry,) = [entry for entry in entries(cache.folder) if entry.stage == stage]
    with np.load(cache.folder / f"{entry.key}.npz") as file:
        arrays, facts = change(dict(file))
    remember(
        cache, entry.key, lambda: StageResult(arrays, facts), stage=stage, fits=lambda old: False
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: (
            arrays | {"frames": arrays["frames"] + 1},
            {"kind": "bottomup", "notes": []},
        ),  # of other frames
        lambda arrays: (
            arrays | {"points": arrays["points"][:-1]},
            {"kind": "bottomup", "notes": []},
        ),
        lambda arrays: (arrays | {"header": np.array("[")}, {"kind": "bottomup", "notes": []}),
        lambda arrays: ({}, {"kind": "bottomup", "notes": []}),
        lambda arrays: (arrays, {}),
    ],
    ids=["frames", "points", "header", "nothing", "facts"],
)
def test_an_entry_that_holds_something_else_costs_time_only(tmp_path, change):
    config, warnings = configured("bottomup"), []
    cache = Cache(tmp_path, warn=warnings.append)
    fresh, _ = remembered(config, cache)
    rewritten(cache, "predict", change)
    again, outcomes = remembered(config, cache)
    assert outcomes["predict"] == "miss"
    assert same(again.poses, fresh.poses)
    assert remembered(config, cache)[1] == {"predict": "hit"}  # it was replaced


def test_a_cache_that_is_only_read_costs_no_crops_that_nobody_needs(tmp_path, monkeypatch):
    asked = []

    def predict(*args, **options):
        asked.append(options.get("spare", 0))
        return detect(*args, **options)

    for mode in ("read", "rw"):
        remembered(configured("topdown"), Cache(tmp_path, mode), predict)
    assert asked == [0, cached_stages.SPARE]


def test_without_the_cache_nothing_is_asked_and_nothing_stored(tmp_path):
    found, outcomes = remembered(configured("topdown"), Cache(tmp_path / "cache", "off"))
    assert len(found.poses)
    assert outcomes == {}
    assert not (tmp_path / "cache").exists()


# --- tracks -------------------------------------------------------------------------------


def test_tracks_are_remembered(tmp_path, monkeypatch):
    config = configured("topdown")
    config.tracker.tracking = True
    source, cache = open_source(config.data), Cache(tmp_path)
    poses = detect(source, config).poses
    outcomes, notes, again_notes, watched = {}, [], [], []

    def tell_track(poses, config, read_image, notes, watch):
        notes.append("a doubt")
        watch(3, 3)
        return track(poses, config, read_image)

    @contextmanager
    def watching():
        watched.append("begins")
        yield lambda done, total: watched.append((done, total))
        watched.append("ends")

    monkeypatch.setattr(cached_stages, "track", tell_track)
    first = track_cached(source, config, cache, outcomes, watching)(
        poses, config.tracker, source.read, notes
    )
    assert outcomes == {"track": "miss"}
    monkeypatch.setattr(cached_stages, "track", None)
    again = track_cached(source, config, cache, outcomes, watching)(
        poses, config.tracker, source.read, again_notes
    )
    assert watched == ["begins", (3, 3), "ends"]
    assert notes == again_notes == ["a doubt"]
    assert outcomes == {"track": "hit"}
    assert same(first, again)
    assert first.track_names == ("track_0", "track_1", "track_2")
    (entry,) = entries(tmp_path)
    assert (entry.stage, entry.about) == ("track", "clip.mp4, 3 frames; fixed_window")


# --- whole experiments --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "order"),
    [("topdown", -1), pytest.param("bottomup", 1, marks=pytest.mark.slow)],
    ids=["topdown, falling", "bottomup, rising"],
)
def test_a_sweep_over_ten_thresholds_runs_the_networks_once(kind, order, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = []
    monkeypatch.setattr(
        shards, "detect", lambda *args, **options: calls.append(1) or detect(*args, **options)
    )
    config = configured(kind)
    words = [
        f"data.path={config.data.path}",
        "data.frames=40-42",
        f"model.paths=[{','.join(config.model.paths)}]",
        "runtime.batch_size=2",
    ]
    words += ["runtime.device=cpu", "logger=none", "report=none"]
    found = set()
    for threshold in np.linspace(0.1, 0.9, 10).round(3)[::order].tolist():
        result = run_experiment([*words, f"model.peak_threshold={threshold}"])
        assert result.summary.cache == {"network": "hit" if found else "miss", "predict": "miss"}
        config.model.peak_threshold = threshold
        assert same(result.poses, detect(open_source(config.data), config).poses)
        found.add(int(result.poses.visible.sum()))
    assert len(calls) == 1
    assert len(found) > 3
