"""Values of text keys stay text on the command line and in files, even if YAML reads a number."""

from pathlib import Path

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.application import Configs
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import keys
from sleap_lab.settings.jobs import check_jobs
from sleap_lab.settings.overrides import parse_overrides
from sleap_lab.settings.words import TEXT_TYPES, Kind, kind_of

# Values as typed on the command line and in YAML; the expected text is the same without quotes.
TYPED = [
    *(
        "2024_01_05",
        "2024-01-05",
        "12E4",
        "1e5",
        "1e-3",
        "0x10",
        "0o17",
        "0b1",
        "007",
        "1_000",
        "+5",
        "-0",
        ".5",
        "12.",
        "1.50",
    ),
    *("1:30", "20:03:01", "inf", "nan", "no", "yes", "off", "True", "n", "'null'", "'1e5'"),
]
KEYS = (
    "logger.run_name",
    "logger.experiment_name",
    "logger.tags.session",
    "output.path",
    "cache_dir",
    "data.video_dataset",
)
TOGETHER = [dict(zip(KEYS, (TYPED * 2)[start:], strict=False)) for start in range(0, len(TYPED), 3)]
"""Texts for all keys at once, such that two keys get each text."""


def test_types_that_are_kept_are_sets():
    """Enumerations of Python 3.11.2, which is that of Debian 12, lose an empty tuple."""
    for kind in Kind:
        assert kind.value is None or isinstance(kind.value, frozenset)


@pytest.fixture(autouse=True)
def labels(tmp_path, monkeypatch):
    """A working directory with a file that passes for labels: what is composed is not opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.slp").touch()


WORDS = ["data.path=labels.slp", "model=none", "tracker=fixed_window"]


def value_of(config, name):
    if name.startswith("logger.tags."):
        return config.logger.tags["session"]
    group, _, key = name.rpartition(".")
    value = getattr(getattr(config, group) if group else config, key)
    return str(Path(value).relative_to(Path.cwd())) if keys()[name].metadata["path"] else value


def without_quotes(typed):
    return {name: text.strip("'") for name, text in typed.items()}


def preset(text, path="mine/experiment/box.yaml"):
    """Write an option of the user's own and return the folder to give as `config_dir`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return "mine"


@pytest.mark.parametrize("typed", TOGETHER)
def test_text_arrives_from_the_command_line(typed):
    config, _ = compose_config(
        [*WORDS, *(f"{'+' if 'tags' in name else ''}{name}={text}" for name, text in typed.items())]
    )
    assert {name: value_of(config, name) for name in KEYS} == without_quotes(typed)


@pytest.mark.parametrize("typed", TOGETHER)
def test_text_arrives_from_a_preset(typed):
    mine = preset(
        f"# @package _global_\nlogger:\n  run_name: {typed['logger.run_name']}\n"
        f"  experiment_name: {typed['logger.experiment_name']}\n"
        f"  tags: {{session: {typed['logger.tags.session']}}}\n"
        f"output:\n  path: {typed['output.path']}\ncache_dir: {typed['cache_dir']}\n"
        f"data:\n  video_dataset: {typed['data.video_dataset']}\n"
    )
    config, _ = compose_config([*WORDS, "experiment=box"], config_dir=mine)
    assert {name: value_of(config, name) for name in KEYS} == without_quotes(typed)


def test_the_place_of_a_key_in_a_file_does_not_matter():
    preset("run_name: 1e5\n", "mine/logger/a.yaml")
    preset("# @package logger\nrun_name: 1e5\n", "mine/experiment/b.yaml")
    preset("run_name: 1e5\n", "mine/lab/c.yaml")
    for word in ("logger=a", "experiment=b", "+lab@logger=c"):
        assert compose_config([*WORDS, word], config_dir="mine")[0].logger.run_name == "1e5"


def test_lists_and_dictionaries_of_text():
    for name in ("2024_01_05", "1e5"):
        Path(name).mkdir()
        (Path(name) / "video.mp4").touch()
    words = ["data.path=[1e5,2024_01_05]", "model.paths=[2024_01_05,1e5]", "data.frames=0"]
    mine = preset(
        "# @package _global_\ndata: {path: [1e5, 2024_01_05]}\nmodel: {paths: [2024_01_05, 1e5]}\n"
    )
    for config, _ in (compose_config(words), compose_config(["experiment=box"], config_dir=mine)):
        assert [Path(path).name for path in config.model.paths] == ["2024_01_05", "1e5"]
        assert [Path(path).name for path in config.data.path] == ["1e5", "2024_01_05"]


def test_names_of_videos_are_text_and_their_numbers_are_numbers():
    words = ["evaluator=oks", "evaluator.ground_truth_path=labels.slp"]
    expected = {0: 1, "2024_01_05": "1e5", "b.mp4": None, "007": "no"}
    config, _ = compose_config(
        [*WORDS, *words, "evaluator.video_map={0:1,2024_01_05:1e5,b.mp4:null,007:no}"]
    )
    assert config.evaluator.video_map == expected
    mine = preset(
        "# @package _global_\n"
        "evaluator: {video_map: {0: 1, 2024_01_05: 1e5, b.mp4: null, 007: no}}\n"
    )
    assert (
        compose_config([*WORDS, *words, "experiment=box"], config_dir=mine)[0].evaluator.video_map
        == expected
    )


def test_keys_of_tags_are_text():
    mine = preset("# @package _global_\nlogger: {tags: {2024_01_05: 1, no: 1.0}}\n")
    assert compose_config([*WORDS, "experiment=box"], config_dir=mine)[0].logger.tags == {
        "2024_01_05": "1",
        "no": "1.0",
    }


@pytest.mark.parametrize("none", ["null", "~", ""])
def test_null_is_none(none):
    mine = preset(f"# @package _global_\nlogger: {{run_name: {none}}}\n")
    assert compose_config([*WORDS, "experiment=box"], config_dir=mine)[0].logger.run_name is None


def test_each_value_of_a_sweep_arrives():
    words = ["logger.run_name=2024_01_05,1e5,null,'null'", "hydra.sweep.subdir=${hydra.job.num}"]
    jobs = check_jobs([*WORDS, *words], multirun=True).jobs
    assert [job.config.logger.run_name for job in jobs] == ["2024_01_05", "1e5", None, "null"]
    assert jobs[0].overrides[-1] == "logger.run_name=2024_01_05"
    mine = preset(
        "# @package _global_\nhydra: {sweeper: {params: "
        "{logger.run_name: 2024_01_05, tracker.tracking_window_size: 3}}}\n"
    )
    (job,) = check_jobs(
        [*WORDS, "experiment=box"], multirun=True, configs=Configs(folder=mine)
    ).jobs
    assert (job.config.logger.run_name, job.config.tracker.tracking_window_size) == (
        "2024_01_05",
        3,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("choice(1e5,2024_01_05)", ["1e5", "2024_01_05"]),
        ("range(1,3)", ["1", "2"]),
        ("sort(1e5,1e4,reverse=true)", ["1e5", "1e4"]),
        ("str(1e5)", "1e5"),
    ],
)
def test_functions_of_text(value, expected):
    (override,) = parse_overrides([f"logger.run_name={value}"])
    assert (
        list(override.sweep_string_iterator()) if override.is_sweep_override() else override.value()
    ) == expected


def test_other_keys_keep_their_numbers():
    def values(config):
        return (
            config.model.peak_threshold,
            config.tracker.oks_stddev,
            config.data.frames,
            config.cache,
        )

    config, _ = compose_config(
        [
            *WORDS,
            "model.peak_threshold=1e-1",
            "tracker.oks_stddev=1e-2",
            "data.frames=1_0",
            "cache=off",
        ]
    )
    assert values(config) == (0.1, 0.01, 10, "off")
    mine = preset(
        "# @package _global_\nmodel: {peak_threshold: 1e-1}\ntracker: {oks_stddev: 1e-2}\n"
        "data: {frames: 1_0}\ncache: off\n"
    )
    config, _ = compose_config([*WORDS, "experiment=box"], config_dir=mine)
    assert values(config) == (0.1, 0.01, 10, "off")


def test_options_and_folders_may_be_named_by_the_date():
    mine = preset(
        "# @package _global_\ndefaults:\n  - override /filters: 1e5\n",
        "mine/experiment/2024_01_05.yaml",
    )
    preset("filter_overlapping: true\n", "mine/filters/1e5.yaml")
    words = [*WORDS, "experiment=2024_01_05"]
    assert compose_config(words, config_dir=mine)[0].filters.filter_overlapping
    assert check_jobs(
        [*words, "hydra.run.dir=2024_01_05"], multirun=False, configs=Configs(folder=mine)
    ).folder == Path("2024_01_05")
    mine = preset("# @package _global_\nhydra: {run: {dir: 2024_01_05}}\n")
    assert check_jobs(
        [*WORDS, "experiment=box"], multirun=False, configs=Configs(folder=mine)
    ).folder == Path("2024_01_05")


def test_no_name_is_that_of_text_in_one_group_and_of_a_number_in_another():
    """Where an option does not say its group, the last part of a key tells."""
    kinds = {}
    for name, field in keys().items():
        is_text = field.type in TEXT_TYPES or field.metadata["path"] or name == "data.moved"
        kinds.setdefault(name.rpartition(".")[2], set()).add(bool(is_text))
        assert kind_of(tuple(name.split("."))) is (
            Kind.INDEX_OR_NAME
            if name == "evaluator.video_map"
            else Kind.TEXT
            if is_text
            else Kind.TYPED
        )
    assert not [name for name, found in kinds.items() if len(found) > 1]


def test_a_file_that_is_no_yaml_is_named():
    with pytest.raises(ConfigError, match=r"box\.yaml:2: this is not YAML: "):
        compose_config([*WORDS, "experiment=box"], config_dir=preset("data: [\n"))
