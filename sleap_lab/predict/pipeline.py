"""From model folders to a pipeline: which kinds fit together, and what each is called with."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from sleap_lab.checkpoints import TrainingConfig, crop_rule, load_network, read_training_config
from sleap_lab.config import ModelConfig, PreprocessingConfig, RuntimeConfig, peak_thresholds
from sleap_lab.decode.paf import GroupingOptions
from sleap_lab.decode.peaks import Refinement
from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.poses import Poses, Skeleton
from sleap_lab.predict.bottomup import bottomup, multi_class_bottomup
from sleap_lab.predict.memory import keep_freed_memory
from sleap_lab.predict.model import FrameBatch, Model, Prediction
from sleap_lab.predict.single_instance import single_instance
from sleap_lab.predict.topdown import CENTROID_SKELETON, TrueCentroids, centroid_only, topdown, true_centroids
from sleap_lab.preprocess import ImageSpec

LEGAL = {
    frozenset({"single_instance"}): "single_instance",
    frozenset({"bottomup"}): "bottomup",
    frozenset({"multi_class_bottomup"}): "multi_class_bottomup",
    frozenset({"centroid"}): "centroid",
    frozenset({"centered_instance"}): "centered_instance",
    frozenset({"multi_class_topdown"}): "multi_class_topdown",
    frozenset({"centroid", "centered_instance"}): "topdown",
    frozenset({"centroid", "multi_class_topdown"}): "multi_class_topdown",
}
"""Kinds of the given models -> kind of the pipeline they make up."""

CENTROIDS_WITH_TRUTH = (
    "Centroid-only: keypoints were copied from the nearest labelled instance, so OKS and keypoint errors measure detection only."
)
CENTROIDS_ALONE = "Centroid-only without labelled instances: the predictions are the centroids themselves."
NEEDS_TRUTH = "needs labelled instances: data.path must be a .slp file with user-labelled instances"


@dataclass(frozen=True)
class Pipeline:
    """Everything from a batch of frames to poses.

    Attributes:
        kind: What it is made of, e.g. `topdown`.
        skeleton: Skeleton of the poses.
        track_names: Known animals, for multi-class models.
        images: How frames are prepared.
        predict: Frames in, poses and maps out.
        device: Where the networks run.
        notes: What a reader of the results must know.
    """

    kind: str
    skeleton: Skeleton
    track_names: tuple[str, ...]
    images: ImageSpec
    predict: Callable[[FrameBatch], Prediction]
    device: torch.device
    notes: tuple[str, ...] = ()


def pipeline_kind(configs: Sequence[TrainingConfig], wanted: str) -> str:
    """Return the kind of pipeline that models make up.

    Args:
        configs: Training configs, in any order.
        wanted: Kind that was asked for; `auto` takes what the models make up.

    Raises:
        ConfigError: The models do not fit together, or make up another kind than asked for.
    """
    kinds = [config.kind for config in configs]
    found = ", ".join(f"{config.folder} ({config.kind})" for config in configs)
    kind = LEGAL.get(frozenset(kinds)) if len(set(kinds)) == len(kinds) else None
    if kind is None:
        accepted = "; ".join(" + ".join(sorted(names)) for names in LEGAL)
        raise ConfigError(f"model.paths: these models do not fit together: {found}; accepted: {accepted}")
    if wanted not in ("auto", kind):
        missing = " (a centroid and a centered-instance model are needed)" if wanted == "topdown" else ""
        raise ConfigError(f"model.kind: {wanted} was asked for, but the models make up {kind}: {found}{missing}")
    return kind


def output_skeleton(model: ModelConfig, truth: Poses | None) -> Skeleton:
    """Return the skeleton that models will predict, from their training configs alone.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A training config cannot be read.
    """
    configs = [read_training_config(path) for path in model.paths]
    if pipeline_kind(configs, model.kind) == "centroid":
        return truth.skeleton if truth is not None else CENTROID_SKELETON
    return next(config.skeleton for config in configs if config.kind != "centroid")


def choose_device(name: str) -> torch.device:
    """Return the torch device of a name; `auto` takes cuda, else mps, else cpu.

    Raises:
        ConfigError: This machine or PyTorch build has no such device.
    """
    available = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is not None:
        available[accelerator.type] = torch.accelerator.device_count()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    parts = re.fullmatch(r"(\w+)(?::([0-9]+))?", name)
    if parts is None or int(parts[2] or 0) >= available.get(parts[1], 0):
        names = ["auto"] + [f"{kind}:{i}" if count > 1 else kind for kind, count in available.items() for i in range(count)]
        raise ConfigError(f"runtime.device: {name!r} is not available here; accepted: {', '.join(names)}.{did_you_mean(name, names)}")
    return torch.device(name)


def build_pipeline(model: ModelConfig, preprocessing: PreprocessingConfig, runtime: RuntimeConfig, truth: Poses | None) -> Pipeline:
    """Load the models and put the pipeline together.

    Args:
        model: Model folders and decoding options.
        preprocessing: Overrides of what the training configs say.
        runtime: Device and precision.
        truth: Labelled instances of the source, where it has any.

    Raises:
        ConfigError: The models do not fit together, or lack something the pipeline needs.
        RunError: A model cannot be read.
    """
    configs = [read_training_config(path) for path in model.paths]
    kind = pipeline_kind(configs, model.kind)
    device = choose_device(runtime.device)
    _check(configs, kind, model, preprocessing, truth)
    keep_freed_memory()
    if runtime.num_threads is not None:
        torch.set_num_threads(runtime.num_threads)
    models = {config.kind: _load(config, model, preprocessing, runtime, device) for config in configs}
    first = models.get("centroid") or next(iter(models.values()))
    last = next((m for k, m in models.items() if k != "centroid"), first)
    predict, notes = _stages(kind, models, model, preprocessing, truth)
    return Pipeline(
        kind, output_skeleton(model, truth), last.config.classes, _image_spec(first.config, preprocessing), predict, device, notes
    )


def _check(
    configs: Sequence[TrainingConfig], kind: str, model: ModelConfig, preprocessing: PreprocessingConfig, truth: Poses | None
) -> None:
    needs_truth = "centroid" not in {config.kind for config in configs} and kind in ("centered_instance", "multi_class_topdown")
    if needs_truth and truth is None:
        raise ConfigError(f"model.paths: a {kind} model without a centroid model {NEEDS_TRUTH}")
    for config in configs:
        if config.kind in ("centered_instance", "multi_class_topdown") and preprocessing.crop_size is None and config.crop_size is None:
            raise ConfigError(f"preprocessing.crop_size: {config.folder} names no crop size; give one in px")
        if model.integral_refinement == "offsets" and "offsets" not in config.heads:
            raise ConfigError(
                f"model.integral_refinement: got 'offsets', but {config.folder} has no head that predicts offsets; "
                "accepted: integral, bounded or null"
            )
    part, nodes = preprocessing.anchor_part, truth.skeleton.nodes if truth is not None else configs[-1].skeleton.nodes
    if part is not None and part not in nodes:
        raise ConfigError(f"preprocessing.anchor_part: no node {part!r}; accepted: {', '.join(nodes)}.{did_you_mean(part, nodes)}")


def _load(
    config: TrainingConfig, model: ModelConfig, preprocessing: PreprocessingConfig, runtime: RuntimeConfig, device: torch.device
) -> Model:
    network = load_network(
        config,
        offsets=model.integral_refinement == "offsets",
        backbone_ckpt_path=model.backbone_ckpt_path,
        head_ckpt_path=model.head_ckpt_path,
    )
    network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    if runtime.compile:
        network.compile()
    scale = config.scale if preprocessing.input_scale is None else preprocessing.input_scale
    crop_size = preprocessing.crop_size or config.crop_size
    rule = crop_rule(config, crop_size) if preprocessing.crop_registration == "exact" and crop_size is not None else None
    return Model(network, config, scale, device, runtime.precision, crop_size, rule)


def _image_spec(config: TrainingConfig, preprocessing: PreprocessingConfig) -> ImageSpec:
    def chosen(override: Any, trained: Any) -> Any:
        return trained if override is None else override

    return ImageSpec(
        max_height=chosen(preprocessing.max_height, config.max_height),
        max_width=chosen(preprocessing.max_width, config.max_width),
        ensure_rgb=chosen(preprocessing.ensure_rgb, config.ensure_rgb),
        ensure_grayscale=chosen(preprocessing.ensure_grayscale, config.ensure_grayscale),
    )


def _refinement(options: ModelConfig) -> Refinement | None:
    if options.integral_refinement in (None, "offsets"):  # offsets come with the maps, whose heads predict them
        return None
    return Refinement(options.integral_patch_size, bounded=options.integral_refinement == "bounded")


def _stages(
    kind: str, models: dict[str, Model], options: ModelConfig, preprocessing: PreprocessingConfig, truth: Poses | None
) -> tuple[Callable[[FrameBatch], Prediction], tuple[str, ...]]:
    """Return the function of a pipeline kind with its options filled in, and what must be known about it."""
    centroid_threshold, keypoint_threshold = peak_thresholds(options)
    refinement = _refinement(options)
    limit = options.max_instances
    if kind == "single_instance":
        return partial(single_instance, model=models[kind], peak_threshold=keypoint_threshold, refinement=refinement), ()
    if kind == "multi_class_bottomup":
        classes = partial(
            multi_class_bottomup, model=models[kind], peak_threshold=keypoint_threshold, refinement=refinement, max_instances=limit
        )
        return classes, ()
    if kind == "bottomup":
        grouping = GroupingOptions(
            max_edge_length_ratio=options.max_edge_length_ratio,
            dist_penalty_weight=options.dist_penalty_weight,
            n_points=options.n_points,
            min_instance_peaks=options.min_instance_peaks,
            min_line_scores=options.min_line_scores,
        )
        groups = partial(
            bottomup, model=models[kind], peak_threshold=keypoint_threshold, refinement=refinement, grouping=grouping, max_instances=limit
        )
        return groups, ()

    def labelled(model: Model) -> TrueCentroids | None:
        return None if truth is None else true_centroids(truth, model, anchor_part=preprocessing.anchor_part)

    if kind == "centroid":
        centroids = partial(
            centroid_only,
            model=models[kind],
            truth=labelled(models[kind]),
            peak_threshold=centroid_threshold,
            refinement=refinement,
            max_instances=limit,
        )
        return centroids, (CENTROIDS_ALONE if truth is None else CENTROIDS_WITH_TRUTH,)
    instance_model = next(model for name, model in models.items() if name != "centroid")
    crops = partial(
        topdown,
        centroid_model=models.get("centroid"),
        instance_model=instance_model,
        truth=None if "centroid" in models else labelled(instance_model),
        centroid_threshold=centroid_threshold,
        keypoint_threshold=keypoint_threshold,
        refinement=refinement,
        max_instances=limit,
    )
    return crops, ()
