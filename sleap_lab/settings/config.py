"""Every setting of an experiment: one dataclass per config group, one field per key.

A field owns the key's name, type, default, one line of help and the values it accepts; the YAML
presets in `conf/` only hold the values that differ. The help page, the config reference and the
checks in `check.py` are derived from the fields.

Long because it is one table: whoever looks for a key, its default or its accepted values looks
here, and whoever adds one sees its neighbours. What is worked out from values stands elsewhere.
"""

from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any

from sleap_lab.settings.similarities import SIMILARITIES

OUTPUTS = "outputs"
"""Folder that runs are kept in."""

EXPERIMENT_NAME = "MLFLOW_EXPERIMENT_NAME"


def key(
    default: Any,
    help: str,
    *,
    choices: tuple[Any, ...] = (),
    words: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    path: bool = False,
) -> Any:
    """Declare one config key.

    Args:
        default: Its default; a list or dict is copied for each config.
        help: One line that says what it does.
        choices: The only values it accepts, if there are only some.
        words: The words that it accepts beside numbers.
        minimum: Smallest accepted number.
        maximum: Largest accepted number.
        path: Whether it names a file or folder, relative to the directory the command was typed in.
    """
    metadata = {
        "help": help,
        "choices": choices,
        "words": words,
        "minimum": minimum,
        "maximum": maximum,
        "path": path,
    }
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class DataConfig:
    """What to look at: a video or a labels file, and which of its frames."""

    path: Any = key(
        None,
        "Video, .slp or .pkg.slp file; or several videos: a list, a glob, a folder, "
        "or a .txt file of paths, one per line.",
        path=True,
    )
    frames: Any = key(
        None,
        'Frames: "0-100,200-300", "5,9,12-20" or a list. With several videos, applied to each. For'
        " a .slp without video_index, positions in its list of labeled frames. Default: all.",
    )
    video_index: int | None = key(
        None,
        "Use only this one of several videos. For a .slp file, use all frames of this video.",
        minimum=0,
    )
    video_dataset: str | None = key(
        None, "Dataset inside an HDF5 video. Default: the first with four axes."
    )
    video_input_format: str = key(
        "channels_last",
        "Order of the axes of an HDF5 video. channels_last: frames, height, width, channels; "
        "channels_first: frames, channels, width, height.",
        choices=("channels_last", "channels_first"),
    )
    only_labeled_frames: bool = key(False, "Only frames that a person labelled.")
    only_suggested_frames: bool = key(False, "Only suggested frames that nobody has labelled yet.")
    exclude_user_labeled: bool = key(False, "Skip frames that a person labelled.")
    only_predicted_frames: bool = key(False, "Only frames that already hold predictions.")
    moved: Any = key(
        None,
        "Folders of videos that have moved since they were labelled: {old: new}, e.g. "
        "{'D:/lab':'/data/lab'}. Used for videos that are not at their old place.",
    )
    on_bad_frame: str = key(
        "nan",
        "What to do with a frame that cannot be read: nan keeps it as an empty frame, skip "
        "leaves it out, fail ends the run.",
        choices=("nan", "skip", "fail"),
    )
    max_bad_share: float = key(
        0.5,
        "The run fails if a larger share of the frames cannot be read.",
        minimum=0,
        maximum=1,
    )


MODEL_KINDS = (
    "single_instance",
    "centroid",
    "centered_instance",
    "topdown",
    "bottomup",
    "multi_class_bottomup",
    "multi_class_topdown",
)


@dataclass
class ModelConfig:
    """Which trained models predict, and how their maps are turned into poses."""

    kind: str = key(
        "auto",
        "Kind of the models. auto reads it from their training configs; a named kind refuses "
        "others (centroid takes the centroid model of a pair); none uses no model, and only "
        "tracks or evaluates.",
        choices=("auto", *MODEL_KINDS, "none"),
    )
    paths: list[str] = key(
        [],
        "Model folders, two for top-down in any order: best.ckpt + training_config.yaml, "
        "SLEAP's best_model.h5 + training_config.json, or what sleap-nn export writes.",
        path=True,
    )
    backbone_ckpt_path: str | None = key(
        None, "Checkpoint whose backbone weights replace those of the model.", path=True
    )
    head_ckpt_path: str | None = key(
        None,
        "Checkpoint whose head weights replace those of the model; of two models, of the one that "
        "has such heads.",
        path=True,
    )
    max_instances: int | None = key(
        None, "Keep at most this many instances per frame, those with the best scores.", minimum=1
    )
    peak_threshold: Any = key(
        0.2,
        "Smallest confidence of a peak; for top-down models also two values, [centroid, keypoint].",
    )
    filter_min_centroid_distance: float = key(
        0.0,
        "Drop a centroid that is nearer than this to a better one, px, before crops are cut.",
        minimum=0,
    )
    copy_labelled: bool = key(
        True,
        "Centroid model alone, on labelled frames: give each centroid the nodes of the nearest "
        "labelled instance, so that an evaluation measures detection.",
    )
    integral_refinement: str | None = key(
        "integral",
        "How peaks are placed between the pixels of a map: integral; bounded, the same "
        "without negative confidences; offsets, which some legacy models predict; null, not "
        "at all.",
        choices=("integral", "bounded", "offsets"),
    )
    integral_patch_size: int = key(
        5, "Side of the patch used for refinement, in map pixels (odd).", minimum=1
    )
    max_edge_length_ratio: float = key(
        0.25, "Bottom-up: edges longer than this share of the map lose score.", minimum=0
    )
    dist_penalty_weight: float = key(
        1.0, "Bottom-up: how much score edges longer than max_edge_length_ratio lose.", minimum=0
    )
    n_points: int = key(10, "Bottom-up: points sampled along each candidate edge.", minimum=1)
    min_instance_peaks: float = key(
        0,
        "Bottom-up: drop instances with fewer peaks. Below 1 it is a share of the nodes.",
        minimum=0,
    )
    min_line_scores: float = key(
        0.25, "Bottom-up: smallest score of an edge that connects two peaks."
    )


@dataclass
class PreprocessingConfig:
    """How images are prepared; null means as in training."""

    max_height: int | None = key(None, "Resize and pad images to this height.", minimum=1)
    max_width: int | None = key(None, "Resize and pad images to this width.", minimum=1)
    input_scale: float | None = key(
        None, "Factor applied to the image before the network.", minimum=1e-6
    )
    ensure_rgb: bool | None = key(None, "Convert images to three channels.")
    ensure_grayscale: bool | None = key(None, "Convert images to one channel.")
    crop_size: int | None = key(
        None, "Side of the square crop around each animal, px (top-down).", minimum=1
    )
    anchor_part: str | None = key(
        None, "Node at the centre of crops from labelled instances (centered-instance only)."
    )
    crop_registration: str = key(
        "exact",
        "How points in a crop become points in the image: exact, by the rule of the version that "
        "trained the model; reference, as sleap-nn, up to 1 px off.",
        choices=("exact", "reference"),
    )


@dataclass
class RuntimeConfig:
    """Where and how fast to compute; changes no result but for precision."""

    device: str = key(
        "auto",
        "Where the networks run: auto, cpu, cuda, cuda:1, mps, or another device that PyTorch "
        "knows.",
    )
    devices: int = key(
        1,
        "How many devices of that kind share the frames, each in a process of its own; on cpu, "
        "the number of processes.",
        minimum=1,
    )
    batch_size: int | str = key(
        4,
        "Frames per batch; larger is faster and needs more memory. auto takes what a card has "
        "memory for, 64 at most; on a processor, as many as there are cores, 4 at least.",
        words=("auto",),
        minimum=1,
    )
    queue_maxsize: int = key(32, "Frames read ahead of the network.", minimum=1)
    precision: str = key(
        "32",
        "Number format of the network: 32, bf16 or 16; auto takes a faster one if the device has "
        "it and no point of the first batch moves by more than 0.1 px.",
        choices=("32", "auto", "bf16", "16"),
    )
    compile: bool | str = key(
        False,
        "Compile the network with torch.compile, which takes a minute or more. auto does so on "
        "accelerators for 50,000 frames or more.",
        choices=(True, False, "auto"),
    )
    backend: str = key(
        "torch",
        "What runs the network. openvino is faster on a processor, onnxruntime with some models; "
        "both round differently. They need pip install 'sleap-lab[openvino]' or "
        "'sleap-lab[onnxruntime]'.",
        choices=("torch", "openvino", "onnxruntime"),
    )
    num_threads: int | None = key(
        None, "CPU threads of the network. Default: PyTorch's choice.", minimum=1
    )


@dataclass
class FiltersConfig:
    """Which predicted instances are dropped before tracking; all off by default."""

    filter_overlapping: bool = key(False, "Drop an instance that overlaps a better scored one.")
    filter_overlapping_method: str = key(
        "iou", "Overlap of bounding boxes, or similarity of poses.", choices=("iou", "oks")
    )
    filter_overlapping_threshold: float = key(
        0.8, "Overlap above which the worse one is dropped.", minimum=0
    )
    filter_min_visible_nodes: int = key(0, "Drop instances with fewer visible nodes.", minimum=0)
    filter_min_visible_node_fraction: float = key(
        0.0, "Drop instances with a smaller share of visible nodes.", minimum=0, maximum=1
    )
    filter_min_mean_node_score: float = key(
        0.0, "Drop instances whose visible nodes score less on average."
    )
    filter_min_instance_score: float = key(0.0, "Drop instances with a smaller score.")


@dataclass
class TrackerConfig:
    """How detections are linked into tracks."""

    tracking: bool = key(False, "Track the instances.")
    method: str = key(
        "online",
        "Decide frame by frame (online; bytetrack and ocsort also keep lost tracks for a while), "
        "or with the whole video at hand (global); auto tries them all on each video and takes "
        "the most consistent one.",
        choices=("online", "bytetrack", "ocsort", "global", "auto"),
    )
    link_tracklets: bool = key(
        False,
        "For trackers that decide frame by frame: cut tracks at doubtful links, and join the "
        "pieces as method=global does.",
    )
    tracking_window_size: int = key(
        5,
        "How far back detections are compared: frames (fixed_window), or instances of each "
        "track (local_queues).",
        minimum=1,
    )
    candidates_method: str = key(
        "fixed_window",
        "What detections are compared with: all instances of the last frames, or the last "
        "instances of each track.",
        choices=("fixed_window", "local_queues"),
    )
    min_new_track_points: int = key(
        0, "A detection opens a track only with more visible nodes than this.", minimum=0
    )
    min_match_points: int = key(
        0, "A candidate is compared only with more visible nodes than this.", minimum=0
    )
    window_by_frame_number: bool = key(
        False,
        "fixed_window: frames that were not processed count as part of the window.",
    )
    features: str = key(
        "keypoints",
        "What is compared; image is the appearance around each detection, compared by cosine_sim.",
        choices=("keypoints", "centroids", "bboxes", "image"),
    )
    scoring_method: str = key(
        "oks",
        "How two features are compared.",
        choices=tuple(SIMILARITIES),
    )
    missing_nodes: str = key(
        "shared",
        "How euclidean_dist and cosine_sim compare poses with a missing node: shared, by the "
        "nodes that both have; reference, not at all, as sleap-nn.",
        choices=("shared", "reference"),
    )
    one_node_distance: bool = key(
        True,
        "Compare poses of a single node by distance; their oks is only 1 or 0.",
    )
    undecided: str = key(
        "distance",
        "What decides where scores do not tell animals apart (all 0, equal or none): distance, "
        "the distance of the nodes; reference, the order of the list, as in sleap-nn.",
        choices=("distance", "reference"),
    )
    scoring_reduction: str = key(
        "mean",
        "How a track gets one score from those of its candidates.",
        choices=("mean", "max", "robust_quantile"),
    )
    robust_best_instance: float = key(
        1.0, "Quantile used by robust_quantile.", minimum=0, maximum=1
    )
    oks_stddev: float | None = key(
        None,
        "Spread of the OKS kernel. Default: 0.025, with kf_track_features=keypoints 0.1.",
        minimum=1e-9,
    )
    track_matching_method: str = key(
        "hungarian", "Assignment of detections to tracks.", choices=("hungarian", "greedy")
    )
    max_tracks: int | None = key(
        None, "Largest number of tracks; switches candidates_method to local_queues.", minimum=1
    )
    track_buffer: int = key(
        30, "bytetrack, ocsort: for how many frames a track is kept without a detection.", minimum=0
    )
    min_hits: int = key(
        2, "bytetrack, ocsort: a track with fewer detections is left out.", minimum=1
    )
    track_high_threshold: float = key(
        0.6,
        "bytetrack, ocsort: smallest score of a sure detection. Scores are those of the visible "
        "nodes, divided by the video's 0.9 quantile.",
        minimum=0,
        maximum=1,
    )
    track_low_threshold: float = key(
        0.1, "bytetrack: detections up to this score are left out.", minimum=0, maximum=1
    )
    new_track_threshold: float = key(
        0.7,
        "bytetrack, ocsort: smallest score of a detection that may open a track.",
        minimum=0,
        maximum=1,
    )
    min_match_similarity: float = key(
        0.2,
        "bytetrack, ocsort: smallest similarity (oks or iou) of a sure detection and its track.",
        minimum=0,
        maximum=1,
    )
    momentum: float = key(0.2, "ocsort: weight of the direction in which a track moved.", minimum=0)
    momentum_span: int = key(
        3, "ocsort: number of detections over which that direction is measured.", minimum=1
    )
    use_flow: bool = key(False, "Shift candidates by optical flow before matching.")
    of_img_scale: float = key(
        1.0, "Optical flow: factor by which images are resized.", minimum=1e-6
    )
    of_window_size: int = key(21, "Optical flow: side of the search window, px.", minimum=3)
    of_max_levels: int = key(3, "Optical flow: pyramid levels.", minimum=0)
    use_kalman: bool = key(False, "Predict candidates with a Kalman filter per track.")
    kf_track_features: str = key(
        "centroid", "Kalman: what is predicted.", choices=("centroid", "keypoints")
    )
    kf_init_frame_count: int = key(
        10, "Kalman: frames of plain tracking before filters are fitted.", minimum=3
    )
    kf_node_indices: list[int] | None = key(None, "Kalman: nodes to use. Default: all.")
    kf_reset_gap_size: int = key(
        5, "Kalman: a filter unseen for more frames than this is dropped.", minimum=1
    )
    tracking_target_instance_count: int | None = key(
        None,
        "Expected number of animals; used by pre-cull, break connection and Kalman.",
        minimum=0,
    )
    tracking_pre_cull_to_target: int = key(
        0, "If not 0, drop the worst detections beyond the target count before tracking.", minimum=0
    )
    tracking_pre_cull_iou_threshold: float = key(
        0.0, "Pre-cull: first drop detections that overlap by more than this.", minimum=0
    )
    tracking_clean_instance_count: int = key(
        0, "If not 0, keep at most this many instances per frame after tracking.", minimum=0
    )
    tracking_clean_iou_threshold: float = key(
        0.0, "Clean-up: first drop instances that overlap by more than this.", minimum=0
    )
    post_connect_single_breaks: bool = key(
        False, "Join a lost and a new track when there is exactly one of each."
    )
    override_class_tracks: bool = key(
        False,
        "Track even if the models know the identities (multi-class); their tracks are replaced.",
    )


@dataclass
class EvaluatorConfig:
    """How predictions are scored against ground truth."""

    evaluate: bool = key(False, "Compare the result with ground truth.")
    identity: bool = key(
        False, "Also compute identity metrics (MOTA, IDF1, HOTA) where the ground truth has tracks."
    )
    quality: bool = key(
        False,
        "Look for signs of errors without ground truth, doubtful identities included; the report "
        "always has the others.",
    )
    ground_truth_path: str | None = key(
        None, "Ground truth .slp file. Default: data.path, if that is a .slp.", path=True
    )
    oks_stddev: Any = key(
        0.025,
        "Spread of the OKS kernel, one number or one per node of the ground truth; "
        "larger forgives more.",
    )
    oks_scale: float | None = key(
        None, "Object area for OKS in px². Default: bounding box of each instance.", minimum=0
    )
    video_map: Any = key(
        None,
        "Which video is compared with which: {prediction: truth}, by name or index, null for "
        "none, e.g. {0:1,b.mp4:null}. Default: found by name and content.",
    )
    nodes: str = key(
        "all",
        "Nodes that are compared. all refuses skeletons that differ; common takes the nodes "
        "that both have.",
        choices=("all", "common"),
    )
    match_threshold: float = key(
        0.0,
        "Smallest OKS of a match; for centroids, largest distance in px (0 means 50).",
        minimum=0,
    )
    user_labels_only: bool = key(True, "Use only ground truth that a person labelled.")
    match_method: str = key(
        "auto",
        "Match whole poses or centroids. auto takes centroids where predictions have one node.",
        choices=("auto", "oks", "centroid"),
    )
    anchor_part: str | None = key(
        None, "Node that is the centroid of a ground truth instance (centroid matching)."
    )
    centroid_method: str | None = key(
        None,
        "Centroid of a ground truth instance.",
        choices=("anchor", "center_of_mass", "bbox_center", "geometric_median"),
    )
    centroid_fallback: str | None = key(
        None,
        "Centroid where the anchor is missing.",
        choices=("center_of_mass", "bbox_center", "geometric_median"),
    )
    save_metrics: str | None = key(None, "Also write the metrics to this .npz file.", path=True)
    calibration: str | None = key(
        None,
        "File of sleap-lab calibrate. Every predicted node gets a radius that holds the true point "
        "with 90% probability.",
        path=True,
    )


@dataclass
class OutputConfig:
    """What is written, and where."""

    path: str | None = key(
        None,
        "Predictions file. Default: predictions.slp (outputs.npz) in the run folder.",
        path=True,
    )
    make_labels: bool = key(
        True, "Write predictions as labels; false writes arrays only, to an .npz file."
    )
    return_confmaps: bool = key(False, "Also write the confidence maps, as arrays to outputs.npz.")
    return_pafs: bool = key(False, "Also write the part affinity fields (bottom-up).")
    return_paf_graph: bool = key(False, "Also write all peaks and candidate edges (bottom-up).")
    return_class_maps: bool = key(False, "Also write the class maps (multi-class bottom-up).")
    return_class_vectors: bool = key(
        False, "Also write the class probabilities of crops (multi-class top-down)."
    )
    no_empty_frames: bool = key(
        False,
        "Leave frames without instances out of .slp and COCO files. Tables always span the video.",
    )
    formats: list[str] = key(
        ["slp"],
        "Formats to write side by side. csv, analysis_h5 and nwb have a file per video.",
        choices=("slp", "csv", "analysis_h5", "nwb", "coco"),
    )
    centroid_output: str = key(
        "instance",
        "Centroid models alone: write centroids to .slp files as instances of one node, as SLEAP's "
        "centroids, or as both. Other formats hold instances.",
        choices=("instance", "centroid", "both"),
    )
    embed: Any = key(
        False,
        "Copy the images of the frames into the .slp file, so that it needs no video; auto does "
        "so if the input is such a package.",
        choices=(False, True, "auto"),
    )
    restore_source_videos: bool = key(
        False,
        "For a package (.pkg.slp): predictions name the videos from which its images were taken, "
        "not the package. Without effect if images are embedded.",
    )
    overlay_video: Any = key(
        False,
        "Draw predictions over the video: a clip of the worst moments (true or worst), or the"
        " whole video (full).",
        choices=(False, True, "worst", "full"),
    )


@dataclass
class LoggerConfig:
    """Where runs are recorded for comparison."""

    mlflow: bool = key(False, "Log the finished run folder to MLflow.")
    tracking_uri: str | None = key(
        None,
        "MLflow server or database. Default: MLFLOW_TRACKING_URI, else outputs/mlflow.db.",
    )
    experiment_name: str | None = key(
        None, "MLflow experiment. Default: MLFLOW_EXPERIMENT_NAME, else sleap_lab."
    )
    run_name: str | None = key(None, "Name of the run. Default: made from the overrides.")
    tags: dict[str, str] = key({}, "Extra tags of the run.")
    system_metrics: bool = key(
        False, "Also record the load of processors, memory and GPUs, every five seconds."
    )


@dataclass
class SweepConfig:
    """How a multirun goes on after failures, what it runs again, and which of its jobs is best."""

    rerun: str = key(
        "none",
        "Jobs to run again beside those without a result: none; failed, those that failed by "
        "an error of their own; all, in a new folder.",
        choices=("none", "failed", "all"),
    )
    fail_fast: bool = key(False, "Start no further job after one has failed.")
    objective: str | None = key(
        None,
        "Metric that says which job is best. Default: identity/idf1, "
        "without identities eval/oks_map.",
    )
    direction: str | None = key(
        None,
        "Whether the largest or the smallest value is best. Default: the better side of the "
        "metric.",
        choices=("maximize", "minimize"),
    )
    split_frames: int | None = key(
        None,
        "Predict longer recordings in pieces of this many frames, each a job, and join them for "
        "tracking and evaluation.",
        minimum=1,
    )
    cpu_launcher: str | None = key(
        None,
        "Option of hydra/launcher for the jobs that only filter, track and evaluate; "
        "hydra/launcher then starts the jobs that predict.",
    )


@dataclass
class Config:
    """A whole experiment, in the order in which data flows."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    preprocessing: PreprocessingConfig = field(default_factory=PreprocessingConfig)
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    filters: FiltersConfig = field(default_factory=FiltersConfig)
    tracker: TrackerConfig = field(default_factory=TrackerConfig)
    evaluator: EvaluatorConfig = field(default_factory=EvaluatorConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)
    cache: str = key(
        "rw",
        "Stage cache of predictions and tracks: rw reuses and stores, read only reuses, off "
        "does neither.",
        choices=("rw", "read", "off"),
    )
    cache_dir: str | None = key(
        None, "Folder of the stage cache. Default: outputs/cache.", path=True
    )
    cache_seeds: list[str] = key(
        [],
        "Folders of other stage caches, such as a shared one, in which results that cache_dir "
        "lacks are looked for. They are only read.",
        path=True,
    )
    cache_max_gb: float = key(
        10.0,
        "Largest size of the stage cache, GB. The entries unused for longest are removed first.",
        minimum=0,
    )
    report: str = key("html", "Write report.html, or not.", choices=("html", "none"))
    report_figures: str = key(
        "none", "Also write the report's figures as files.", choices=("none", "svg", "png", "both")
    )
    verbose: bool = key(False, "Print log messages to the terminal.")
    debug: bool = key(False, "Print the traceback when a run fails.")


GROUPS: dict[str, type] = {
    f.name: f.default_factory  # type: ignore[misc]
    for f in fields(Config)
    if is_dataclass(f.default_factory)
}


ARRAYS = (
    "return_confmaps",
    "return_pafs",
    "return_paf_graph",
    "return_class_maps",
    "return_class_vectors",
)
"""Keys of the group `output` that request network outputs."""


ONLY_IN_SWEEPS = ("sweep.split_frames", "sweep.cpu_launcher")
"""Keys that mean nothing to a single run: they make its predictions jobs of their own."""


def wants_arrays(output: OutputConfig) -> bool:
    """Return whether predictions are returned as arrays, with or without labels."""
    return not output.make_labels or any(getattr(output, name) for name in ARRAYS)


def keys() -> dict[str, Field[Any]]:
    """Return every key with its full dotted name, in the order of the config."""
    flat: dict[str, Field[Any]] = {}
    for item in fields(Config):
        if item.name in GROUPS:
            flat |= {f"{item.name}.{f.name}": f for f in fields(GROUPS[item.name])}
        else:
            flat[item.name] = item
    return flat


def defaults() -> dict[str, Any]:
    """Return the default of every key."""
    return {
        name: f.default if f.default_factory is MISSING else f.default_factory()
        for name, f in keys().items()
    }
