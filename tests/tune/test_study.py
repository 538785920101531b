import json
from dataclasses import replace

import numpy as np
import pytest
from filelock import FileLock

from sleap_lab.errors import ConfigError, RunError
from sleap_lab.tune.study import JOURNAL, opened, run_search
from sleap_lab.tune.trials import finished


def run(search, after=lambda study: None):
    """Run a search; return the trials without their speeds, which no two runs share."""
    with opened(search, {"seed": search.settings.seed}) as study:
        run_search(search, study, after)
        return [replace(trial, frames_per_second=0.0) for trial in finished(study)]


def said(trials):
    """What was tried and how it did, comparable where there is nan."""
    return [repr(replace(trial, number=0)) for trial in trials]


def test_the_same_seed_tries_the_same(search):
    first, again, other = (
        run(search(name, trials=14, seed=seed)) for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    assert len(first) == 14
    assert said(first) == said(again)
    assert said(first)[:5] == said(other)[:5]  # these cross trackers and comparisons
    assert said(first) != said(other)


def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(search):
    def stop(study):
        if len(finished(study)) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(search("a", trials=12), stop)
    assert said(run(search("a", trials=12))) == said(run(search("b", trials=12)))


def test_a_trial_under_way_when_the_process_died_is_given_up(search):
    whole = search("a", trials=7)
    with opened(search("b", trials=7), {"seed": 0}) as study:
        run_search(search("b", trials=6), study, lambda study: None)
        study.ask()  # dies here
    with open(search("b").folder / JOURNAL, "ab") as journal:
        journal.write(b'{"op_code": 5, "work')  # and here
    assert said(run(search("b", trials=7))) == said(run(whole))


def test_more_trials_continue_the_study(search):
    assert len(run(search(trials=3))) == 3
    assert len(run(search(trials=5))) == 5
    assert len(run(search(trials=4))) == 5  # there are enough


def test_no_trial_begins_after_the_deadline(search):
    assert run(search(deadline=0.0)) == []


def test_a_study_of_something_else_is_not_continued(search):
    run(search(trials=1))
    with pytest.raises(
        ConfigError, match=r"tune.name: .*study holds a study with other seed; choose another name"
    ):
        run(search(trials=1, seed=1))


def test_two_commands_do_not_share_a_folder(search):
    search().folder.mkdir()
    with (
        FileLock(search().folder / ".lock"),
        pytest.raises(RunError, match="another process is tuning here"),
    ):
        run(search())


def test_two_processes_share_the_work(search):
    found = run(search(trials=8, jobs=2))
    assert [trial.number for trial in found] == list(range(8))
    assert said(found)[:5] == said(run(search("b", trials=5)))
    lines = [json.loads(line) for line in (search().folder / JOURNAL).read_text().splitlines()]
    assert len({line["worker_id"] for line in lines}) == 2


def test_settings_that_lose_animals_do_not_count(search):
    found = run(search(trials=3, floor=1.1))
    assert [trial.why for trial in found] == 3 * ["finds 100.0% of the animals"]
    assert np.isnan([trial.value for trial in found]).all()


def test_settings_that_do_worse_than_most_are_stopped_early(search):
    found = run(search(trials=30, trackers=("fixed_window", "local_queues")))
    stopped = [trial for trial in found if trial.why == "worse than most"]
    assert 0 < len(stopped) < 15
    assert all(np.isnan(trial.value) for trial in stopped)
