import inspect

import pytest

from sleap_lab import run_inference
from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import defaults, keys
from sleap_lab.settings.flags import (
    EVAL,
    PARITY,
    TRACK,
    as_words,
    help_text,
    markdown_table,
    parity,
    parse,
    special_defaults,
)

# The founding page's list of flags and defaults; the text behind `/` is the short form.
FOUNDING_TRACK = {
    "data_path/i": None, "model_paths/m": [], "output_path/o": None, "device/d": "auto",
    "batch_size/b": 4, "max_instances/n": None, "tracking/t": False, "peak_threshold": 0.2,
    "integral_refinement": "integral", "backbone_ckpt_path": None, "head_ckpt_path": None,
    "max_height": None, "max_width": None, "input_scale": None, "ensure_rgb": None,
    "ensure_grayscale": None, "crop_size": None, "anchor_part": None, "only_labeled_frames": False,
    "only_suggested_frames": False, "video_index": None, "video_dataset": None,
    "video_input_format": "channels_last", "frames": None, "queue_maxsize": 8,
    "tracking_window_size": 5, "min_new_track_points": 0, "candidates_method": "fixed_window",
    "min_match_points": 0, "features": "keypoints", "scoring_method": "oks",
    "scoring_reduction": "mean", "robust_best_instance": 1.0, "track_matching_method": "hungarian",
    "max_tracks": None, "use_flow": False, "of_img_scale": 1.0, "of_window_size": 21,
    "of_max_levels": 3, "post_connect_single_breaks": False,
}  # fmt: skip
FOUNDING_EVAL = {
    "ground_truth_path/g": None, "predicted_path/p": None, "save_metrics/s": None,
    "oks_stddev": 0.05, "oks_scale": None, "match_threshold": 0.0, "user_labels_only": False,
}  # fmt: skip

# The arguments of sleap-nn's `run_inference` and their defaults.
RUN_INFERENCE = {
    "data_path": None, "input_labels": None, "input_video": None, "model_paths": None,
    "backbone_ckpt_path": None, "head_ckpt_path": None, "max_instances": None, "max_width": None,
    "max_height": None, "ensure_rgb": None, "input_scale": None, "ensure_grayscale": None,
    "anchor_part": None, "only_labeled_frames": False, "only_suggested_frames": False,
    "exclude_user_labeled": False, "only_predicted_frames": False, "no_empty_frames": False,
    "batch_size": 4, "queue_maxsize": 32, "video_index": None, "video_dataset": None,
    "video_input_format": "channels_last", "frames": None, "crop_size": None, "peak_threshold": 0.2,
    "filter_overlapping": False, "filter_overlapping_method": "iou",
    "filter_overlapping_threshold": 0.8, "filter_min_visible_nodes": 0,
    "filter_min_visible_node_fraction": 0.0, "filter_min_mean_node_score": 0.0,
    "filter_min_instance_score": 0.0, "integral_refinement": "integral", "integral_patch_size": 5,
    "return_confmaps": False, "return_pafs": False, "max_edge_length_ratio": 0.25,
    "dist_penalty_weight": 1.0, "n_points": 10, "min_instance_peaks": 0, "min_line_scores": 0.25,
    "return_class_maps": False, "return_class_vectors": False, "make_labels": True,
    "output_path": None, "device": "auto", "tracking": False, "tracking_window_size": 5,
    "min_new_track_points": 0, "candidates_method": "fixed_window", "min_match_points": 0,
    "features": "keypoints", "scoring_method": "oks", "scoring_reduction": "mean",
    "robust_best_instance": 1.0, "oks_stddev": None, "track_matching_method": "hungarian",
    "max_tracks": None, "use_flow": False, "of_img_scale": 1.0, "of_window_size": 21,
    "of_max_levels": 3, "use_kalman": False, "kf_track_features": "centroid",
    "kf_init_frame_count": 10, "kf_node_indices": None, "kf_reset_gap_size": 5,
    "post_connect_single_breaks": False, "tracking_target_instance_count": None,
    "tracking_pre_cull_to_target": 0, "tracking_pre_cull_iou_threshold": 0,
    "tracking_clean_instance_count": 0, "tracking_clean_iou_threshold": 0,
}  # fmt: skip


# --- the table --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "founding"), [(TRACK, FOUNDING_TRACK), (EVAL, FOUNDING_EVAL)], ids=["track", "eval"]
)
def test_every_flag_of_the_founding_page_is_there_with_its_default(table, founding):
    used = defaults() | special_defaults(table)
    found = {
        f"{flag.name}/{flag.short}" if flag.short else flag.name: used[flag.key] for flag in table
    }
    assert {name: found.get(name, "missing") for name in founding} == founding


@pytest.mark.parametrize("flag", [*TRACK, *EVAL], ids=lambda flag: flag.name)
def test_every_flag_sets_a_key_of_a_known_type(flag):
    assert flag.key in keys()
    assert flag.kind in ("bool", "int", "float", "str", "list", "any")


@pytest.mark.parametrize("table", [TRACK, EVAL], ids=["track", "eval"])
def test_no_two_flags_are_the_same(table):
    for names in (
        [flag.name for flag in table],
        [flag.key for flag in table],
        [flag.short for flag in table if flag.short],
    ):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("table", [TRACK, EVAL], ids=["track", "eval"])
def test_help_and_table_list_every_flag_with_its_key(table):
    lines, words = markdown_table(table).splitlines(), " ".join(help_text(table).split())
    for flag in table:
        assert any(
            f"--{flag.name}" in line and flag.key in line and flag.help in line for line in lines
        )
        assert f"--{flag.name} ({flag.key}) {flag.help}" in words


def test_help_shows_the_defaults_of_the_command():
    for table, flag, default in ((TRACK, "queue_maxsize", "[8]"), (EVAL, "oks_stddev", "[0.05]")):
        _, _, after = help_text(table).partition(f"--{flag} ")
        assert default in after.partition(" --")[0]


# --- run_inference ----------------------------------------------------------------------


def test_run_inference_takes_every_argument_with_its_default():
    parameters = inspect.signature(run_inference).parameters
    found = {
        name: parameters[name].default if name in parameters else "missing"
        for name in RUN_INFERENCE
    }
    found["model_paths"] = found["model_paths"] or None
    assert found == RUN_INFERENCE


def test_run_inference_takes_every_flag():
    assert {flag.name for flag in TRACK} <= set(inspect.signature(run_inference).parameters)


# --- parsing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "values"),
    [
        # long and short, with hyphens or underscores, with a space or an equals sign
        (["--data_path", "a.mp4"], {"data.path": "a.mp4"}),
        (["--data-path", "a.mp4"], {"data.path": "a.mp4"}),
        (["--data-path=a.mp4"], {"data.path": "a.mp4"}),
        (["-i", "a.mp4"], {"data.path": "a.mp4"}),
        (["-i=a.mp4"], {"data.path": "a.mp4"}),
        (["-n2"], {"model.max_instances": 2}),
        (["-ia=b.mp4"], {"data.path": "a=b.mp4"}),
        # values are taken as they are
        (["-i", "-odd name, [1] 100%.mp4"], {"data.path": "-odd name, [1] 100%.mp4"}),
        (["--data_path=x=1.mp4"], {"data.path": "x=1.mp4"}),
        (["--frames", "0-100,200-300"], {"data.frames": "0-100,200-300"}),
        (["--frames=5"], {"data.frames": "5"}),
        # switches
        (["-t"], {"tracker.tracking": True}),
        (["--tracking", "True"], {"tracker.tracking": True}),
        (["--tracking", "false"], {"tracker.tracking": False}),
        (["--tracking=false"], {"tracker.tracking": False}),
        (["--no-tracking"], {"tracker.tracking": False}),
        (["--no_tracking", "false"], {"tracker.tracking": True}),
        (["--no-tracking=false"], {"tracker.tracking": True}),
        (
            ["--no_empty_frames"],
            {"output.no_empty_frames": True},
        ),  # a flag of its own and not the opposite of one
        # numbers
        (["-b", "16"], {"runtime.batch_size": 16}),
        (["-b", "16.0"], {"runtime.batch_size": 16}),
        (["-b", "auto"], {"runtime.batch_size": "auto"}),
        (["--input_scale", "0.5"], {"preprocessing.input_scale": 0.5}),
        (["--peak_threshold", "0.3"], {"model.peak_threshold": 0.3}),
        (["--peak_threshold", "[0.2, 0.0]"], {"model.peak_threshold": [0.2, 0.0]}),
        (["--peak_threshold", "0.2,0.0"], {"model.peak_threshold": [0.2, 0.0]}),
        # none
        (["--integral_refinement", "None"], {"model.integral_refinement": None}),
        (["--max_tracks", "null"], {"tracker.max_tracks": None}),
        # lists
        (["-m", "a", "--model-paths", "b,c"], {"model.paths": ["a", "b,c"]}),
        (["-m", "None", "-m", "a"], {"model.paths": ["a"]}),
        (["--kf_node_indices", "[0,2]"], {"tracker.kf_node_indices": [0, 2]}),
        # the last one wins
        (["-b", "1", "-b", "2"], {"runtime.batch_size": 2}),
    ],
    ids=" ".join,
)
def test_parse(words, values):
    found, overrides = parse(TRACK, words)
    assert found == values
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in values.items()
    }
    assert overrides == []


def test_none_is_a_file_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "null").touch()
    (tmp_path / "None").mkdir()
    values, _ = parse(TRACK, ["-i", "null", "-m", "None", "-o", "none", "--max_tracks", "null"])
    assert values == {
        "data.path": "null", "model.paths": ["None"], "output.path": None,
        "tracker.max_tracks": None,
    }  # fmt: skip


def test_overrides_may_stand_anywhere_beside_the_flags():
    values, overrides = parse(
        TRACK, ["report=html", "-t", "logger=mlflow", "-i", "a.mp4", "+logger.tags.x=1"]
    )
    assert values == {"tracker.tracking": True, "data.path": "a.mp4"}
    assert overrides == ["report=html", "logger=mlflow", "+logger.tags.x=1"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--trackng"], "--trackng: there is no such flag. Did you mean '--tracking'?"),
        (["--trackng-window-size", "3"], "Did you mean '--tracking_window_size'?"),
        (["-x"], "-x: there is no such flag."),
        (["--i", "a.mp4"], "--i: there is no such flag."),
        (["--no-device", "cpu"], "--no-device: there is no such flag."),
        (["-i"], "-i: the value is missing; it takes a value"),
        (["--features"], "--features: the value is missing; it takes keypoints, centroids, bboxes"),
        (["--batch_size", "x"], "--batch_size: got 'x'; it takes a whole number or auto"),
        (["--batch_size=2.5"], "--batch_size: got '2.5'; it takes a whole number"),
        (["--batch_size", "nan"], "--batch_size: got 'nan'; it takes a whole number"),
        (["--input_scale", "half"], "--input_scale: got 'half'; it takes a number"),
        (["--tracking=yes"], "--tracking: got 'yes'; it takes true or false"),
        (["--kf_node_indices", "a"], "--kf_node_indices: got 'a'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_parse_refuses(words, says):
    with pytest.raises(ConfigError) as error:
        parse(TRACK, words)
    assert str(error.value).startswith(says) or says in str(error.value)


def test_values_become_words_that_are_read_back():
    values = {
        "model.paths": ["a b", "c=d"], "tracker.tracking": True, "tracker.use_flow": False,
        "tracker.max_tracks": None, "tracker.oks_stddev": 0.1, "tracker.kf_node_indices": [0, 2],
        "model.peak_threshold": [0.1, 0.2], "filters.filter_overlapping_method": "oks",
        "tracker.missing_nodes": "shared",
    }  # fmt: skip
    words = as_words(TRACK, values)
    assert words[:4] == ["--model_paths", "a b", "--model_paths", "c=d"]
    assert words[-1] == "tracker.missing_nodes=shared"  # has no flag
    read, overrides = parse(TRACK, words)
    assert (read, overrides) == (
        {key: value for key, value in values.items() if key != "tracker.missing_nodes"},
        words[-1:],
    )


# --- parity -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "implied"),
    [
        ({"model.max_instances": 2}, {}),
        (
            {"model.max_instances": 2, "tracker.use_kalman": True},
            {"tracker.tracking_target_instance_count": 2},
        ),
        (
            {"model.max_instances": 2, "tracker.tracking_pre_cull_to_target": 1},
            {"tracker.tracking_target_instance_count": 2},
        ),
        (
            {"model.max_instances": 2, "tracker.post_connect_single_breaks": True},
            {"tracker.tracking_target_instance_count": 2, "tracker.max_tracks": 2},
        ),
        ({"tracker.post_connect_single_breaks": True}, {}),
    ],
)
def test_the_largest_number_of_instances_is_the_number_of_animals_where_that_is_needed(
    given, implied
):
    assert parity(given) == PARITY | implied


def test_keys_that_make_the_difference_exist_and_have_no_flag():
    assert set(PARITY) <= set(keys()) - {flag.key for flag in TRACK}
    assert all(value != defaults()[key] for key, value in PARITY.items())


@pytest.mark.parametrize(
    ("text", "expected"), [("0.1", 0.1), ("0.1,0.2", [0.1, 0.2]), ("[0.1, 0.2]", [0.1, 0.2])]
)
def test_the_spread_of_the_oks_kernel_is_a_number_or_one_per_node(text, expected):
    assert parse(EVAL, ["--oks_stddev", text])[0]["evaluator.oks_stddev"] == expected
