import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import keys
from sleap_lab.settings.predict_flags import ALIASES, OTHERS, PREDICT, others_table, parse_predict

LISTED = """
anchor_part appearance_threshold appearance_weight backbone_ckpt_path batch_size bbox_nms_iou
candidates_method center_nms_kernel centroid_only centroid_output centroid_peak_threshold
cpu_workers crop_size data_path device dist_penalty_weight distance_gate_alpha embed
ensure_grayscale ensure_rgb euclidean_scale exclude_user_labeled features fg_threshold
filter_min_centroid_distance filter_min_instance_score filter_min_mean_node_score
filter_min_visible_node_fraction filter_min_visible_nodes filter_overlapping
filter_overlapping_method filter_overlapping_threshold frames full_res_masks gui head_ckpt_path
headers input_scale integral_patch_size integral_refinement kf_init_frame_count kf_node_indices
kf_reset_gap_size kf_track_features link_tracklets mask_backend mask_cleanup mask_cleanup_radius
mask_output max_edge_length_ratio max_height max_instances max_tracks max_width merge_dilate
merge_fragments merge_method merge_thresholds merge_w_offset merge_w_valley min_hits
min_instance_peaks min_line_scores min_mask_area min_match_points min_match_similarity
min_new_track_points model_paths mot_param n_points new_track_threshold no_empty_frames
of_img_scale of_max_levels of_window_size oks_stddev only_labeled_frames only_predicted_frames
only_suggested_frames output_format output_path overlay_path paf_workers peak_conf_threshold
peak_threshold polygon_epsilon post_connect_single_breaks queue_maxsize restore_source_videos
robust_best_instance runtime sam3_model_id sam_anchor_ind sam_checkpoint sam_disjointify_masks
sam_model_type sam_prompt_mode save_embeddings scoring_method scoring_reduction stream_mode
stream_to_file track_buffer track_high_threshold track_low_threshold track_matching_method
tracker tracking tracking_clean_instance_count tracking_clean_iou_threshold
tracking_pre_cull_iou_threshold tracking_pre_cull_to_target tracking_target_instance_count
tracking_window_size use_flow use_kalman video_dataset video_index video_input_format
write_interval
"""
"""The flags of `sleap-nn predict` 0.3.5, as its help lists them."""


def test_every_flag_of_sleap_nn_works_or_is_explained():
    known = {flag.name for flag in PREDICT} | set(OTHERS) | set(ALIASES)
    assert set(LISTED.split()) <= known


def test_no_flag_is_known_twice_and_each_key_exists():
    names = [flag.name for flag in PREDICT] + list(OTHERS) + list(ALIASES)
    assert len(names) == len(set(names))
    assert all(flag.key in keys() for flag in PREDICT)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("--output_format slp --output-format analysis_h5", {"output.formats": "slp analysis_h5"}),
        ("--stream-to-file a.slp --write-interval 9", {"output.path": "a.slp"}),
        ("--peak-conf-threshold=0.4", {"model.peak_threshold": 0.4}),
        ("--centroid_peak_threshold 0.5", {"model.peak_threshold": [0.5, 0.2]}),
        (
            "--peak_threshold 0.3 --centroid-peak-threshold 0.5",
            {"model.peak_threshold": [0.5, 0.3]},
        ),
        ("-t --tracker ocsort", {"tracker.tracking": True, "tracker.method": "ocsort"}),
        ("--tracker classic", {"tracker.method": "online"}),
        (
            "-t --tracker sort --new_track_threshold 0.5",
            {
                "tracker.tracking": True,
                "tracker.method": "bytetrack",
                "tracker.track_high_threshold": 0.0,
                "tracker.track_low_threshold": 0.0,
                "tracker.new_track_threshold": 0.5,
            },
        ),
        (
            "--headers {} --runtime onnx --paf-workers 2 --cpu_workers=2 --save_embeddings none",
            {},
        ),
        ("--embed false", {"output.embed": False}),
        ("--embed=True", {"output.embed": True}),
        ("--embed auto", {"output.embed": "auto"}),
        ("--restore-source-videos", {"output.restore_source_videos": True}),
        ("--no-restore_source_videos", {"output.restore_source_videos": False}),
        ("--centroid-output both", {"output.centroid_output": "both"}),
        ("--filter_min_centroid_distance 9", {"model.filter_min_centroid_distance": 9.0}),
        ("--centroid-only -m a -m b", {"model.paths": "a b", "model.kind": "centroid"}),
    ],
)
def test_flags_become_keys(words, values):
    found, overrides, as_json, _ = parse_predict(words.split())
    lists = ("output.formats", "model.paths")
    assert found == {k: v.split() if k in lists else v for k, v in values.items()}
    assert (overrides, as_json) == ([], False)


def test_overrides_and_the_wish_for_json_are_kept():
    found = parse_predict(["--gui", "report=html", "--headers", '{"a": "b"}'])
    assert found == ({}, ["report=html"], True, '{"a": "b"}')


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--fg-threshold 0.5", "--fg_threshold: sleap-lab is a pose tool"),
        ("--sam-checkpoint x", "--sam_checkpoint: sleap-lab is a pose tool"),
        ("--appearance_weight 0.2", "--appearance_weight: sleap-lab is a pose tool without emb"),
        ("--save_embeddings slp", "--save_embeddings: got 'slp'; accepted: none"),
        ("-t --tracker deepsort", "--tracker: got 'deepsort'; accepted: classic, sort, bytetrac"),
        ("--tracker ocsort", "--tracker ocsort needs --tracking (-t)"),
        ("--centroid_only -t", "--centroid_only needs the centroid model: --model_paths (-m)"),
        ("--centroid_peak_threshold x", "--centroid_peak_threshold: got 'x'; it takes a number"),
        ("--headers", "--headers: the value is missing"),
        ("--mot_param a=1", "--mot_param: the parameters are keys"),
        ("--trakcing", "--trakcing: there is no such flag."),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(words, says):
    with pytest.raises(ConfigError) as error:
        parse_predict(words.split())
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)


def test_the_table_of_the_migration_page_has_every_flag_without_a_key():
    table = others_table()
    assert all(f"| `--{name}` |" in table for name in (*OTHERS, *ALIASES))
