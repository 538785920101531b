"""From model folders to a pipeline: which kinds fit together, and the arguments of each."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch

from sleap_lab.checkpoints import TrainingConfig, crop_rule, load_network, read_training_configs
from sleap_lab.checkpoints.training_config import CROP_KINDS
from sleap_lab.errors import ConfigError, did_you_mean
from sleap_lab.networks.pose_network import PoseNetwork
from sleap_lab.networks.preprocess import ImageSpec
from sleap_lab.pipelines.accelerator import Accelerator
from sleap_lab.pipelines.backend import runner
from sleap_lab.pipelines.centroid import CENTROID_SKELETON
from sleap_lab.pipelines.crop_passes import SpareBudget
from sleap_lab.pipelines.memory import keep_freed_memory
from sleap_lab.pipelines.model import FrameBatch, Model, Prediction
from sleap_lab.pipelines.observation import Observed
from sleap_lab.pipelines.plan import Plan, make_plan
from sleap_lab.poses.record import Poses, Skeleton
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig, RuntimeConfig

PIPELINE_KINDS = {
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

T = TypeVar("T")

NEEDS_TRUTH = "needs labelled instances: data.path must be a .slp file with user-labelled instances"


@dataclass(frozen=True)
class Pipeline:
    """Everything from a batch of frames to poses.

    Attributes:
        kind: Kind of the pipeline, e.g. `topdown`.
        skeleton: Skeleton of the poses.
        track_names: Known animals, for multi-class models.
        images: How frames are prepared.
        predict: Frames in, poses and maps out.
        device: Where the networks run.
        accelerator: This device where it is not the processor.
        bytes_per_pixel: Bytes of a network's first map per pixel of a size-matched image.
        notes: What a reader of the results must know.
        told: More of it, which grows while frames are predicted.
        scale: Factor of a size-matched image before the first network.
    """

    kind: str
    skeleton: Skeleton
    track_names: tuple[str, ...]
    images: ImageSpec
    predict: Callable[[FrameBatch], Prediction]
    device: torch.device
    bytes_per_pixel: float
    accelerator: Accelerator | None = None
    notes: tuple[str, ...] = ()
    told: Sequence[str] = ()
    scale: float = 1.0


def pipeline_kind(configs: Sequence[TrainingConfig], requested: str) -> str:
    """Return the kind of pipeline that models make up.

    Args:
        configs: Training configs, in any order.
        requested: Requested kind; `auto` takes the kind that the models make up.

    Raises:
        ConfigError: The models do not fit together, or make up another kind than requested.
    """
    kinds = [config.kind for config in configs]
    found = ", ".join(f"{config.folder} ({config.kind})" for config in configs)
    kind = PIPELINE_KINDS.get(frozenset(kinds)) if len(set(kinds)) == len(kinds) else None
    if kind is None:
        accepted = "; ".join(" + ".join(sorted(names)) for names in PIPELINE_KINDS)
        raise ConfigError(
            f"model.paths: these models do not fit together: {found}; accepted: {accepted}"
        )
    if requested not in ("auto", kind):
        needed = " (a centroid and a centered-instance model are needed)"
        raise ConfigError(
            f"model.kind: {requested} was asked for, but the models make up {kind}: {found}"
            f"{needed if requested == 'topdown' else ''}"
        )
    return kind


def used_configs(model: ModelConfig) -> list[TrainingConfig]:
    """Read the training configs of the models that a run uses: of centroids, only their model.

    Raises:
        ConfigError: A folder is missing or holds no training config.
        RunError: A training config cannot be read.
    """
    configs = read_training_configs(*model.paths)
    centroids = [config for config in configs if config.kind == "centroid"]
    return centroids if model.kind == "centroid" and centroids else configs


def output_skeleton(model: ModelConfig, truth: Poses | None) -> Skeleton:
    """Return the skeleton of the predictions of models, from their training configs alone.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A training config cannot be read.
    """
    configs = used_configs(model)
    return _skeleton(configs, pipeline_kind(configs, model.kind), model, truth)


def _skeleton(
    configs: Sequence[TrainingConfig], kind: str, model: ModelConfig, truth: Poses | None
) -> Skeleton:
    if kind == "centroid":
        if truth is not None and model.copy_labelled:
            return truth.skeleton
        return CENTROID_SKELETON
    return next(config.skeleton for config in configs if config.kind != "centroid")


def choose_device(name: str) -> torch.device:
    """Return the torch device of a name; `auto` takes cuda, else mps, else cpu.

    Raises:
        ConfigError: This machine or PyTorch build has no such device.
    """
    available = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    accelerator = (
        torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    )
    if accelerator is not None:
        available[accelerator.type] = torch.accelerator.device_count()
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if available[kind]))
    parts = re.fullmatch(r"(\w+)(?::([0-9]+))?", name)
    if parts is None or int(parts[2] or 0) >= available.get(parts[1], 0):
        names = ["auto"] + [
            f"{kind}:{i}" if count > 1 else kind
            for kind, count in available.items()
            for i in range(count)
        ]
        raise ConfigError(
            f"runtime.device: {name!r} is not available here; "
            f"accepted: {', '.join(names)}.{did_you_mean(name, names)}"
        )
    return torch.device(name)


def read_plan(model: ModelConfig, preprocessing: PreprocessingConfig, truth: Poses | None) -> Plan:
    """Return the plan of the pipeline that models make up, from their training configs alone.

    Args:
        model: Model folders and decoding options.
        preprocessing: Overrides of what the training configs say.
        truth: Labelled instances of the source, where it has any.

    Raises:
        ConfigError: The models do not fit together, or lack something the pipeline needs.
        RunError: A training config cannot be read.
    """
    configs = used_configs(model)
    kind = pipeline_kind(configs, model.kind)
    _check(configs, kind, model, preprocessing, truth)
    return make_plan(
        kind,
        {config.kind: config for config in configs},
        _skeleton(configs, kind, model, truth),
        model,
        preprocessing,
        truth,
    )


def build_pipeline(
    model: ModelConfig,
    preprocessing: PreprocessingConfig,
    runtime: RuntimeConfig,
    truth: Poses | None,
    *,
    spare: float = 0,
    details: bool = False,
) -> Pipeline:
    """Load the models and put the pipeline together.

    Args:
        model: Model folders and decoding options.
        preprocessing: Overrides of what the training configs say.
        runtime: Device and precision.
        truth: Labelled instances of the source, where it has any.
        spare: Crops to observe beyond those that instances need, as a share of these, so that
            observations can be decoded again with other settings.
        details: Predictions also hold what instances were made from: maps, crops and graphs.

    Raises:
        ConfigError: The models do not fit together, or lack something the pipeline needs.
        RunError: A model cannot be read.
    """
    device = choose_device(runtime.device)
    plan = read_plan(model, preprocessing, truth)
    keep_freed_memory()
    accelerator = accelerator_of(device)
    if runtime.num_threads is not None:
        torch.set_num_threads(runtime.num_threads)
    told: list[str] = []
    models = {
        kind: _load(config, model, preprocessing, runtime, device, accelerator, told.append)
        for kind, config in plan.configs.items()
    }
    pipeline = assemble(plan, models, preprocessing, spare=spare, details=details)
    return replace(pipeline, told=told)


def accelerator_of(device: torch.device) -> Accelerator | None:
    """Return a device as an accelerator; None for the processor."""
    return None if device.type == "cpu" else Accelerator(device)


def assemble(
    plan: Plan,
    models: Mapping[str, Model],
    preprocessing: PreprocessingConfig,
    *,
    spare: float = 0,
    details: bool = False,
) -> Pipeline:
    """Put loaded models together as `build_pipeline` does.

    Args:
        plan: Plan of the pipeline.
        models: Its models by kind, all on one device.
        preprocessing: Overrides of what the training configs say.
        spare: Crops to observe beyond those that instances need, as a share of these.
        details: Predictions also hold what instances were made from.
    """
    first = models.get("centroid") or next(iter(models.values()))
    predict = partial(
        _predict,
        observe=plan.observe(models, SpareBudget(spare), details),
        plan=plan,
        details=details,
    )
    images = _image_spec(first.config, preprocessing)
    bytes_per_pixel = 4 * first.first_channels * first.scale**2
    return Pipeline(
        plan.kind,
        plan.skeleton,
        plan.track_names,
        images,
        predict,
        first.device,
        bytes_per_pixel,
        accelerator=first.accelerator,
        notes=plan.notes,
        scale=first.scale,
    )


def _predict(
    batch: FrameBatch, *, observe: Callable[[FrameBatch], Observed[Any]], plan: Plan, details: bool
) -> Prediction:
    """Observe a batch and decode the observation."""
    observed = observe(batch)
    observations = (observed.content,) if observed.complete else None
    made_from = plan.details(observed) if details else {}
    maps = observed.maps if details else {}
    return Prediction(
        plan.decode(observed.content),
        maps,
        observed.pixel_sizes,
        observations=observations,
        truncated=observed.truncated,
        **made_from,
    )


def _check(
    configs: Sequence[TrainingConfig],
    kind: str,
    model: ModelConfig,
    preprocessing: PreprocessingConfig,
    truth: Poses | None,
) -> None:
    """Refuse models that lack what the settings or the data need; see `read_plan`."""
    finds_centroids = any(config.kind == "centroid" for config in configs)
    if kind in CROP_KINDS and not finds_centroids and truth is None:
        raise ConfigError(f"model.paths: a {kind} model without a centroid model {NEEDS_TRUTH}")
    for config in configs:
        if (
            config.kind in CROP_KINDS
            and preprocessing.crop_size is None
            and config.crop_size is None
        ):
            raise ConfigError(
                f"preprocessing.crop_size: {config.folder} names no crop size; give one in px"
            )
        if model.integral_refinement == "offsets" and "offsets" not in config.heads:
            raise ConfigError(
                f"model.integral_refinement: got 'offsets', but {config.folder} has no head "
                "that predicts offsets; accepted: integral, bounded or null"
            )
    part, nodes = (
        preprocessing.anchor_part,
        truth.skeleton.nodes if truth is not None else configs[-1].skeleton.nodes,
    )
    if part is not None and part not in nodes:
        raise ConfigError(
            f"preprocessing.anchor_part: no node {part!r}; "
            f"accepted: {', '.join(nodes)}.{did_you_mean(part, nodes)}"
        )


def load_networks(model: ModelConfig) -> list[PoseNetwork]:
    """Load the networks of models, with the checkpoints that replace their weights.

    Raises:
        ConfigError: A checkpoint that replaces weights is of another kind of model.
        RunError: A file is broken, or weights do not fit their network.
    """
    return [_network(config, model) for config in used_configs(model)]


def _network(config: TrainingConfig, model: ModelConfig) -> PoseNetwork:
    return load_network(
        config,
        offsets=model.integral_refinement == "offsets",
        backbone_ckpt_path=model.backbone_ckpt_path,
        head_ckpt_path=model.head_ckpt_path,
        others=used_configs(model),
    )


def _load(
    config: TrainingConfig,
    model: ModelConfig,
    preprocessing: PreprocessingConfig,
    runtime: RuntimeConfig,
    device: torch.device,
    accelerator: Accelerator | None,
    tell: Callable[[str], None],
) -> Model:
    network = _network(config, model)
    run = runner(network, config.tiling, runtime, device, tell)
    scale = config.scale if preprocessing.input_scale is None else preprocessing.input_scale
    crop_size = preprocessing.crop_size or config.crop_size
    rule = (
        crop_rule(config, crop_size)
        if preprocessing.crop_registration == "exact" and crop_size is not None
        else None
    )
    return Model(
        run,
        config,
        scale,
        first_channels=len(next(network.parameters())),
        device=device,
        precision=runtime.precision,
        crop_size=crop_size,
        crop_rule=rule,
        accelerator=accelerator,
    )


def _image_spec(config: TrainingConfig, preprocessing: PreprocessingConfig) -> ImageSpec:
    def chosen(override: T | None, trained: T) -> T:
        return trained if override is None else override

    return ImageSpec(
        max_height=chosen(preprocessing.max_height, config.max_height),
        max_width=chosen(preprocessing.max_width, config.max_width),
        ensure_rgb=chosen(preprocessing.ensure_rgb, config.ensure_rgb),
        ensure_grayscale=chosen(preprocessing.ensure_grayscale, config.ensure_grayscale),
    )
