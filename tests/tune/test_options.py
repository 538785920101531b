import optuna
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import Config, FiltersConfig, TrackerConfig
from sleap_lab.settings.flags import PARITY, TRACK, parse, special_defaults
from sleap_lab.tune.draws import suggest
from sleap_lab.tune.options import run_command, track_flags, unusual, write_options
from sleap_lab.tune.settings import TRACKERS
from sleap_lab.tune.space import flat, tracker_space, with_settings

SPACE = tracker_space(TRACKERS, n_nodes=5, n_animals=3, n_frames=50)
FOUND = (
    TrackerConfig(
        tracking=True, tracking_window_size=7, candidates_method="local_queues", max_tracks=3
    ),
    FiltersConfig(filter_overlapping=True),
)


def test_options_hold_what_differs_and_where_it_comes_from(tmp_path):
    files = write_options(tmp_path, "mice", *FOUND, ["Found somewhere."])
    assert files == [tmp_path / "tracker" / "mice.yaml", tmp_path / "filters" / "mice.yaml"]
    assert [file.read_text().splitlines()[0] for file in files] == 2 * ["# Found somewhere."]
    assert yaml.safe_load(files[0].read_text()) == {
        "tracking": True, "tracking_window_size": 7,
        "candidates_method": "local_queues", "max_tracks": 3,
    }  # fmt: skip
    assert yaml.safe_load(files[1].read_text()) == {"filter_overlapping": True}


@pytest.fixture
def words(files):
    """The overrides of the crossings, for a plain run."""
    return [*files, "evaluator=identity"]


def composed(command):
    """The config of a command line as `run_command` returns it."""
    folder = command[command.index("--config-dir") + 1] if "--config-dir" in command else None
    words = [word for word in command[1:] if word not in ("--config-dir", folder)]
    return compose_config(words, config_dir=folder)[0]


def test_the_command_runs_the_setting(tmp_path, words):
    write_options(tmp_path / "conf", "mice", *FOUND, [])
    command = run_command(
        [*words, "tracker=flow", "tracker.of_max_levels=1", "filters=confident"],
        tmp_path / "conf",
        "mice",
        *FOUND,
        None,
        {},
    )
    assert command == [
        "sleap-lab",
        *words,
        "tracker=mice",
        "filters=mice",
        "--config-dir",
        str(tmp_path / "conf"),
    ]
    config = composed(command)
    assert (config.tracker, config.filters) == FOUND


def test_a_preset_does_not_change_the_setting(tmp_path):
    write_options(tmp_path, "mice", *FOUND, [])
    command = run_command(["experiment=demo"], tmp_path, "mice", *FOUND, None, {})
    assert "tracker.oks_stddev=null" in command  # the preset says 0.1
    config = composed(command)
    assert (config.tracker, config.filters) == FOUND


def test_options_of_the_user_are_found_too(tmp_path, words):
    (tmp_path / "own" / "evaluator").mkdir(parents=True)
    (tmp_path / "own" / "evaluator" / "strict.yaml").write_text(
        "evaluate: true\noks_stddev: 0.01\n"
    )
    write_options(tmp_path / "conf", "mice", *FOUND, [])
    chosen = [word for word in words if "oks_stddev" not in word and word != "evaluator=identity"]
    command = run_command(
        [*chosen, "evaluator=strict"], tmp_path / "conf", "mice", *FOUND, str(tmp_path / "own"), {}
    )
    config = composed(command)
    assert (config.tracker, config.filters, config.evaluator.oks_stddev) == (*FOUND, 0.01)


@given(st.integers(0, 2**31))
def test_flags_say_the_same(seed):
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    tracker, filters = with_settings(
        TrackerConfig(tracking=True), FiltersConfig(), suggest(trial, SPACE, {})
    )
    values, overrides = parse(TRACK, track_flags(tracker, filters, {}))
    used = unusual(TrackerConfig(), FiltersConfig()) | PARITY | special_defaults(TRACK) | values
    used |= {
        key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in overrides)
    }
    plain = flat(Config().tracker, Config().filters)
    assert {key: used.get(key, value) for key, value in plain.items()} == flat(tracker, filters)
