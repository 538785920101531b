import math
from dataclasses import fields

import pytest

from sleap_lab.errors import ConfigError, brief
from sleap_lab.settings.check import accepted_by, check, type_name
from sleap_lab.settings.config import (
    GROUPS,
    Config,
    LoggerConfig,
    defaults,
    keys,
)

LIMITS = {name: field.metadata for name, field in keys().items()}


@pytest.fixture
def config(tmp_path):
    """A config that is accepted, with files that exist."""
    for name in ("video.mp4", "labels.slp"):
        (tmp_path / name).touch()
    (tmp_path / "model").mkdir()
    config = Config()
    config.data.path = str(tmp_path / "video.mp4")
    config.model.paths = [str(tmp_path / "model")]
    return config


def put(config, name, value):
    group, _, last = name.rpartition(".")
    setattr(getattr(config, group) if group else config, last, value)


def refused(config, **values):
    """Return the message with which a config with some values (group__key=value) is refused."""
    for name, value in values.items():
        put(config, name.replace("__", "."), value)
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- keys


@pytest.mark.parametrize("name", keys())
def test_every_key_says_in_one_line_what_it_does(name):
    text = LIMITS[name]["help"]
    assert text.endswith(".")
    assert "\n" not in text
    assert 10 < len(text) < 200


def test_keys_are_those_of_the_groups_and_of_the_config_itself():
    of_groups = {name for name in keys() if "." in name}
    assert of_groups == {
        f"{group}.{field.name}" for group, section in GROUPS.items() for field in fields(section)
    }
    assert keys().keys() - of_groups == {field.name for field in fields(Config)} - GROUPS.keys()
    assert {"report", "verbose", "debug"} <= keys().keys()


def test_defaults_are_those_of_a_fresh_config():
    fresh = Config()
    for name, value in defaults().items():
        group, _, last = name.rpartition(".")
        assert getattr(getattr(fresh, group) if group else fresh, last) == value


def test_lists_and_dicts_are_not_shared_between_configs():
    first, second = Config(), Config()
    first.model.paths.append("x")
    first.logger.tags["a"] = "b"
    assert second.model.paths == []
    assert second.logger.tags == {}


# ---- single values


def test_defaults_are_accepted(config):
    check(config)


@pytest.mark.parametrize("name", [name for name, limits in LIMITS.items() if limits["choices"]])
def test_a_value_that_is_no_choice_is_refused_with_the_choices_and_the_nearest(config, name):
    choices = [str(choice) for choice in LIMITS[name]["choices"]]
    wrong = choices[0] + "x"
    put(config, name, [wrong] if isinstance(defaults()[name], list) else wrong)
    message = refused(config)
    assert (
        message
        == f"{name}: got {wrong!r}; accepted: {', '.join(choices)}. Did you mean {choices[0]!r}?"
    )


@pytest.mark.parametrize(
    "name", [name for name, limits in LIMITS.items() if limits["minimum"] is not None]
)
def test_a_number_below_the_minimum_is_refused(config, name):
    minimum = LIMITS[name]["minimum"]
    put(config, name, minimum)
    check(config)
    put(config, name, minimum - 1)
    message = refused(config)
    assert message.startswith(f"{name}: got {minimum - 1!r}; accepted: at least {minimum}")


@pytest.mark.parametrize(
    "name", [name for name, limits in LIMITS.items() if limits["maximum"] is not None]
)
def test_a_number_above_the_maximum_is_refused(config, name):
    maximum = LIMITS[name]["maximum"]
    put(config, name, maximum)
    check(config)
    put(config, name, maximum + 1)
    assert refused(config).startswith(f"{name}: got {maximum + 1!r}; accepted: ")
    assert f"at most {maximum}" in refused(config)


def test_both_bounds_are_named():
    config = Config()
    config.tracker.robust_best_instance = 1.5
    with pytest.raises(
        ConfigError,
        match=r"^tracker.robust_best_instance: got 1.5; accepted: at least 0 and at most 1$",
    ):
        check(config)


WRONG_TYPES = {bool: 1, int: 2.0, float: "2", str: 3, list: "a,b", dict: ["a"]}


@pytest.mark.parametrize("name", [name for name in keys() if "Any" not in str(keys()[name].type)])
def test_a_value_of_another_type_is_refused(config, name):
    annotation = type_name(keys()[name].type)
    kind = next(
        kind
        for kind in WRONG_TYPES
        if annotation.startswith(("a list" if kind is list else kind.__name__, kind.__name__))
    )
    put(config, name, WRONG_TYPES[kind])
    assert refused(config) == (
        f"{name}: got {WRONG_TYPES[kind]!r}; accepted: {accepted_by(keys()[name])}"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model__max_instances", True),  # a switch is no number
        ("model__min_line_scores", False),
        ("model__max_instances", "2"),
        ("model__paths", ["a", 3]),  # a list of something else
        ("tracker__kf_node_indices", [0, 1.5]),
        ("logger__tags", {"lab": 3}),
        ("runtime__batch_size", None),  # null where there must be a number
    ],
)
def test_types_are_exact(config, name, value):
    assert refused(config, **{name: value}).startswith(
        f"{name.replace('__', '.')}: got {value!r}; accepted: "
    )


def test_a_whole_number_is_a_number(config):
    config.model.min_line_scores = 1
    check(config)
    assert config.model.min_line_scores == 1


@pytest.mark.parametrize(
    "name", ["preprocessing__input_scale", "filters__filter_min_visible_node_fraction"]
)
def test_not_a_number_is_not_within_bounds(config, name):
    assert "got nan; accepted: at least" in refused(config, **{name: math.nan})


# ---- paths


@pytest.mark.parametrize(
    ("name", "reason"), [("x" * 5000, "File name too long"), ("a\0b", "embedded null byte")]
)
@pytest.mark.parametrize(
    "key", ["data.path", "evaluator.ground_truth_path", "output.path", "cache_dir", "model.paths"]
)
def test_what_is_no_name_of_a_file_is_refused(config, key, name, reason):
    group, _, last = key.rpartition(".")
    setattr(
        getattr(config, group) if group else config, last, [name] if key == "model.paths" else name
    )
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert str(caught.value).startswith(f"{key}: {brief(name)} cannot be looked for (")
    assert reason in str(caught.value)


def test_paths_become_absolute(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.data.path = "video.mp4"
    config.model.paths = ["model", "./model"]
    config.output.path = "out/predictions.slp"
    check(config)
    assert config.data.path == str(tmp_path / "video.mp4")
    assert config.model.paths == [str(tmp_path / "model")] * 2
    assert config.output.path == str(tmp_path / "out" / "predictions.slp")
    assert config.evaluator.save_metrics is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data__path": None}, "data.path: give a video or a .slp file"),
        ({"data__path": "/no/such.mp4"}, "data.path: no such file: /no/such.mp4"),
        ({"model__paths": []}, "model.paths: give the model folders"),
        ({"model__paths": ["/no/such"]}, "model.paths: no such model folder: /no/such"),
        (
            {"model__backbone_ckpt_path": "/no/such"},
            "model.backbone_ckpt_path: no such file: /no/such",
        ),
        ({"model__head_ckpt_path": "/"}, "model.head_ckpt_path: no such file: /"),
        (
            {"evaluator__evaluate": True, "evaluator__ground_truth_path": "/no/such"},
            "evaluator.ground_truth_path: no such file: /no/such",
        ),
    ],
)
def test_files_that_are_not_there_are_refused(config, values, message):
    assert refused(config, **values).startswith(message)


# ---- settings together


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"preprocessing__ensure_rgb": True, "preprocessing__ensure_grayscale": True},
            ["ensure_rgb", "ensure_grayscale", "exclude"],
        ),
        (
            {"data__only_labeled_frames": True, "data__exclude_user_labeled": True},
            ["only_labeled_frames", "exclude_user_labeled", "exclude"],
        ),
        ({"model__kind": "none"}, ["model.kind", "model.paths", "leave one out"]),
        (
            {"model__kind": "none", "model__paths": []},
            ["data.path", "without a model it must be a .slp file"],
        ),  # nothing to track in a video
        (
            {"evaluator__evaluate": True},
            ["evaluator.ground_truth_path"],
        ),  # a video has no truth of its own
        (
            {"evaluator__ground_truth_path": __file__},
            ["evaluator.ground_truth_path", "nothing is evaluated", "evaluator=oks"],
        ),
        ({"data__frames": "1-"}, ["data.frames", "'1-'", "0-100,200-300"]),
        (
            {"model__peak_threshold": "high"},
            ["model.peak_threshold", "'high'", "[centroid, keypoint]"],
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(config, values, words):
    message = refused(config, **values)
    assert all(word in message for word in words), message


def test_without_a_model_there_must_be_something_to_do(config, tmp_path):
    config.data.path, config.model.paths, config.model.kind = (
        str(tmp_path / "labels.slp"),
        [],
        "none",
    )
    assert "model=none leaves nothing to do" in refused(config)
    config.tracker.tracking = True
    check(config)


def test_predictions_on_labels_are_evaluated_against_them(config, tmp_path):
    config.data.path = str(tmp_path / "labels.slp")
    config.evaluator.evaluate = True
    check(config)
    config.model.kind, config.model.paths = "none", []  # the file against itself
    assert "evaluator.ground_truth_path: give the .slp file" in refused(config)


def test_open_data_need_no_path(config):
    config.data.path = None
    check(config, opened=True)


# ---- outputs


@pytest.mark.parametrize("name", ["output.path", "evaluator.save_metrics"])
@pytest.mark.parametrize("source", ["data.path", "evaluator.ground_truth_path"])
def test_an_output_never_takes_the_place_of_an_input(config, tmp_path, name, source):
    config.evaluator.evaluate, config.evaluator.ground_truth_path = (
        True,
        str(tmp_path / "labels.slp"),
    )
    read = tmp_path / ("video.mp4" if source == "data.path" else "labels.slp")
    (tmp_path / "folder").mkdir()
    put(config, name, str(tmp_path / "folder" / ".." / read.name))  # the same file by another name
    assert refused(config).startswith(f"{name}: ")
    assert refused(config).endswith(f"is the file that {source} reads; choose another")


@pytest.mark.parametrize("name", ["output.path", "evaluator.save_metrics"])
def test_an_output_must_be_a_file_that_can_be_made(config, tmp_path, name):
    config.evaluator.evaluate = True
    config.evaluator.ground_truth_path = str(tmp_path / "labels.slp")
    put(config, name, str(tmp_path / "new" / "folder" / "out"))
    check(config)
    put(config, name, str(tmp_path / "model"))
    assert (
        refused(config) == f"{name}: {tmp_path / 'model'} exists and is not a file; choose another"
    )
    put(config, name, str(tmp_path / "video.mp4" / "out"))
    assert refused(config).startswith(
        f"{name}: {tmp_path / 'video.mp4' / 'out'} cannot be written, "
        f"because {tmp_path / 'video.mp4'} is not"
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["p.csv", "p.analysis.h5", "p.mp4", "p.NWB"])
def test_predictions_are_not_called_something_else(config, tmp_path, name):
    config.output.path = str(tmp_path / name)
    assert refused(config).startswith(
        f"output.path: {tmp_path / name} would be a .slp file; accepted: a name that ends in .slp"
    )
    config.output.formats = ["csv"]  # these have names of their own
    check(config)


@pytest.mark.parametrize("value", ["0.1", 0, [], [0.1, 0], [0.1, None], True, None])
def test_the_spread_of_the_oks_kernel_is_a_positive_number_or_several(config, value):
    assert refused(config, evaluator__oks_stddev=value).startswith(
        f"evaluator.oks_stddev: got {value!r}; accepted: a number"
    )


def test_a_map_of_videos_needs_a_ground_truth_and_to_be_one(config):
    assert refused(config, evaluator__video_map=3).startswith(
        "evaluator.video_map: got 3; accepted: names or indices"
    )
    assert "no evaluator.ground_truth_path" in refused(config, evaluator__video_map={0: 1})


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ({}, {}, (None, None)),
        (
            {},
            {"MLFLOW_TRACKING_URI": "http://theirs", "MLFLOW_EXPERIMENT_NAME": "mice"},
            ("http://theirs", "mice"),
        ),
        (
            {"tracking_uri": "http://ours", "experiment_name": "flies"},
            {"MLFLOW_TRACKING_URI": "http://theirs"},
            ("http://ours", "flies"),
        ),
        ({}, {"MLFLOW_TRACKING_URI": "", "MLFLOW_EXPERIMENT_NAME": ""}, (None, None)),
        ({}, {"MLFLOW_TRACKING_URI": "https://ann:secret@host"}, ("https://ann:***@host", None)),
        (
            {"tracking_uri": "postgresql://ann:secret@host/db"},
            {},
            ("postgresql://ann:***@host/db", None),
        ),
        (
            {"mlflow": False},
            {"MLFLOW_TRACKING_URI": "http://theirs"},
            (None, None),
        ),  # nothing is logged
    ],
)
def test_where_runs_are_logged_is_what_the_key_says_or_the_environment(
    config, monkeypatch, given, environment, expected
):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config.logger = LoggerConfig(**{"mlflow": True, **given})
    check(config)
    assert (config.logger.tracking_uri, config.logger.experiment_name) == expected


def test_an_objective_is_checked_before_the_sweep(config):
    config.sweep.objective = "idf1"
    with pytest.raises(
        ConfigError,
        match=r"^sweep\.objective: there is no metric 'idf1'\. Did you mean 'identity/idf1'\?",
    ):
        check(config)
    config.sweep.objective = "counts/tracks"
    with pytest.raises(ConfigError, match=r"^sweep\.direction: "):
        check(config)
    config.sweep.direction = "minimize"
    check(config)
