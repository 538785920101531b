"""Jobs that differ in plain values only have the config that a composition gives."""

from copy import deepcopy
from pathlib import Path

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings import jobs as module
from sleap_lab.settings.alike import take_apart
from sleap_lab.settings.jobs import check_jobs

BASE = ["data.path=labels.slp", "model=none", "tracker=fixed_window"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("labels.slp", "a.slp", "b.slp", "007"):
        Path(name).touch()


def composed(words, monkeypatch):
    """Return the configs and folders where every job is composed, and how many were before."""
    compose, counted, nodes = module.compose_node, [], {}

    def compose_once(hydra, configs, words):
        counted.append(words)
        if tuple(words) not in nodes:
            nodes[tuple(words)] = compose(hydra, configs, words)
        return deepcopy(nodes[tuple(words)])  # the folder of a job is set in the copy

    monkeypatch.setattr(module, "compose_node", compose_once)
    fast = check_jobs(words, multirun=True)
    n = len(counted) - 1  # one for the settings of Hydra
    with monkeypatch.context() as patched:
        patched.setattr(module, "is_template", lambda node: False)
        slow = check_jobs(words, multirun=True)
    assert [job.config for job in fast.jobs] == [job.config for job in slow.jobs]
    assert [job.folder for job in fast.jobs] == [job.folder for job in slow.jobs]
    assert [job.overrides for job in fast.jobs] == [job.overrides for job in slow.jobs]
    return n


@pytest.mark.parametrize(
    ("words", "n_composed"),
    [
        (["tracker.tracking_window_size=range(2,5)"], 1),
        (["tracker.max_tracks=null,2", "tracker.oks_stddev=1,0.5"], 1),
        (["tracker=fixed_window,local_queues", "tracker.tracking_window_size=2,3"], 2),
        (["logger.run_name=007,a b,'1e3',true"], 1),
        (["data.frames=0-1,'5,7',3"], 1),
        (["data.path=a.slp,b.slp,./a.slp"], 1),
        (
            [
                "data.path='?.slp'",
                "tracker.scoring_method=euclidean_dist",
                "tracker.features=centroids,keypoints",
            ],
            1,
        ),
        (["output.formats=[slp],[csv]"], 2),  # a list is not plain
        (["evaluator.quality=true,false"], 1),
        (["model.kind=none,none"], 1),  # but two shapes would be two compositions
        (["output.path='${logger.run_name}_${tracker.max_tracks}'", "tracker.max_tracks=2,3"], 2),
        (["filters.filter_min_instance_score=0.1,0.25", "cache=off"], 1),
    ],
)
def test_configs_are_those_of_compositions(words, n_composed, monkeypatch):
    keep = [word for word in BASE if word.split("=")[0] not in {w.split("=")[0] for w in words}]
    assert composed([*keep, *words], monkeypatch) == n_composed


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("tracker.tracking_window_size=3,0", "tracker.tracking_window_size: got 0; accepted"),
        ("tracker.tracking_window_size=3,x", "tracker.tracking_window_size"),
        ("tracker.scoring_method=oks,oko", "tracker.scoring_method: got 'oko'; accepted"),
        ("data.path=a.slp,missing.slp", "data.path: no such file"),
    ],
)
def test_a_wrong_value_in_a_later_job_is_told_as_in_the_first(word, told):
    keep = [each for each in BASE if each.split("=")[0] != word.split("=")[0]]
    with pytest.raises(ConfigError) as caught:
        check_jobs([*keep, word], multirun=True)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_the_shape_of_a_job_has_its_groups_and_the_names_of_plain_keys():
    first = take_apart(["tracker=flow", "tracker.max_tracks=2", "model.paths=[a]"])
    other = take_apart(["tracker=flow", "tracker.max_tracks=3", "model.paths=[a]"])
    assert first.shape == other.shape == ("tracker=flow", "tracker.max_tracks", "model.paths=[a]")
    assert (first.values, other.values) == ({"tracker.max_tracks": 2}, {"tracker.max_tracks": 3})
    assert take_apart(["tracker.max_tracks=${x}"]).values == {}
    assert take_apart(["+tracker.max_tracks=2"]).values == {}
    assert take_apart(["evaluator.evaluate=true"]).values == {}
