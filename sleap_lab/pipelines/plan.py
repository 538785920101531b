"""Plans: how a pipeline of each kind observes and decodes, with the options of a run filled in.

A plan needs the training configs only: poses can be decoded from a stored observation without
loading a network.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any

from sleap_lab.checkpoints import TrainingConfig
from sleap_lab.decode.paf import GroupingOptions
from sleap_lab.decode.peaks import Refinement
from sleap_lab.errors import listed
from sleap_lab.pipelines.bottomup import (
    ClassifiedPeaks,
    TracedPeaks,
    decode_classes,
    decode_lines,
    edges_of,
    graphs,
    observe_classes,
    observe_lines,
)
from sleap_lab.pipelines.centroid import (
    Centroids,
    TrueCentroids,
    decode_centroids,
    observe_centroids,
    true_centroids,
)
from sleap_lab.pipelines.crop_passes import SpareBudget
from sleap_lab.pipelines.model import FrameBatch, Model
from sleap_lab.pipelines.observation import FLOOR, Observed, Refinements
from sleap_lab.pipelines.single_instance import (
    GlobalPeaks,
    decode_global_peaks,
    observe_global_peaks,
)
from sleap_lab.pipelines.topdown import (
    CropPeaks,
    covers,
    crops_of_instances,
    decode_crops,
    observe_crops,
)
from sleap_lab.poses.record import Poses, Skeleton
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig
from sleap_lab.settings.thresholds import peak_thresholds

CENTROIDS_WITH_TRUTH = (
    "Centroid-only: keypoints were copied from the nearest labelled instance, so OKS and keypoint "
    "errors measure detection only."
)
NO_CENTROIDS = (
    "model.filter_min_centroid_distance changes nothing: these models find no centroids. "
    "filters.filter_overlapping drops instances that overlap."
)
CENTROIDS_ALONE = "Centroid-only: the predictions are the centroids themselves."
MOST_NODES = 4  # nodes of a skeleton that a note names


@dataclass(frozen=True)
class Plan:
    """The two steps of a pipeline.

    Attributes:
        kind: Kind of the pipeline, e.g. `topdown`.
        skeleton: Skeleton of the poses.
        track_names: Known animals, for multi-class models.
        configs: Training configs by kind of the model.
        content: Dataclass of the content of observations.
        depends: Settings that observations depend on, beside the weights, the frames and the
            preparation of the frames.
        observe: Takes models by kind, a budget of spare crops, and whether to keep the maps of
            crops; returns the function that observes a batch.
        decode: Turns the content of an observation into poses.
        covers: Whether the content of a complete observation is enough to decode it.
        details: Returns what the instances of an observation are made from, as fields of
            `Prediction`.
        notes: What a reader of the results must know.
    """

    kind: str
    skeleton: Skeleton
    track_names: tuple[str, ...] = ()
    _: KW_ONLY
    configs: Mapping[str, TrainingConfig]
    content: type[Any]
    depends: dict[str, Any]
    observe: Callable[
        [Mapping[str, Model], SpareBudget, bool], Callable[[FrameBatch], Observed[Any]]
    ]
    decode: Callable[[Any], Poses]
    covers: Callable[[Any], bool] = lambda content: True
    details: Callable[[Observed[Any]], dict[str, Any]] = lambda observed: {}
    notes: tuple[str, ...] = ()


def make_plan(
    kind: str,
    configs: Mapping[str, TrainingConfig],
    skeleton: Skeleton,
    options: ModelConfig,
    preprocessing: PreprocessingConfig,
    truth: Poses | None,
) -> Plan:
    """Return the plan of a pipeline.

    Args:
        kind: Kind of the pipeline.
        configs: Training configs by kind of the model.
        skeleton: Skeleton of the poses.
        options: Decoding options.
        preprocessing: Its anchor part defines the centroid of a labelled instance.
        truth: Labelled instances of the source, where it has any.

    Raises:
        ConfigError: The labels lack the anchor node.
        RunError: A training config names a centroid that is not known.
    """
    plan = _plan_of(kind, configs, skeleton, options, preprocessing, truth)
    if options.filter_min_centroid_distance > 0 and "centroid" not in configs:
        return replace(plan, notes=(*plan.notes, NO_CENTROIDS))
    return plan


def _plan_of(
    kind: str,
    configs: Mapping[str, TrainingConfig],
    skeleton: Skeleton,
    options: ModelConfig,
    preprocessing: PreprocessingConfig,
    truth: Poses | None,
) -> Plan:
    """Return the plan of a pipeline of a kind; the arguments are those of `make_plan`."""
    if kind == "single_instance":
        return _single_instance_plan(configs[kind], skeleton, options)
    if kind == "bottomup":
        return _bottomup_plan(configs[kind], skeleton, options)
    if kind == "multi_class_bottomup":
        return _multi_class_bottomup_plan(configs[kind], skeleton, options)
    anchor_part = preprocessing.anchor_part
    if kind == "centroid":
        labelled = _labelled(truth, configs[kind], anchor_part) if options.copy_labelled else None
        return _centroid_plan(configs[kind], skeleton, options, labelled)
    if "centroid" in configs:
        return _topdown_plan(kind, configs, skeleton, options)
    labelled = _labelled(truth, configs[kind], anchor_part)
    return _topdown_plan(kind, configs, skeleton, options, labelled)


def _single_instance_plan(config: TrainingConfig, skeleton: Skeleton, options: ModelConfig) -> Plan:
    """Plan a pipeline that takes the highest pixel of the map of each node."""
    _, peak_threshold = peak_thresholds(options)
    refinements, requested = _refinements(options)
    return Plan(
        config.kind,
        skeleton,
        configs={config.kind: config},
        content=GlobalPeaks,
        depends=_depends(config.kind, options, refinements),
        observe=lambda models, *_: partial(
            observe_global_peaks, model=models[config.kind], refinements=refinements
        ),
        decode=partial(
            decode_global_peaks,
            skeleton=skeleton,
            peak_threshold=peak_threshold,
            refinement=requested,
        ),
    )


def _bottomup_plan(config: TrainingConfig, skeleton: Skeleton, options: ModelConfig) -> Plan:
    """Plan a pipeline that groups peaks by part affinity fields."""
    _, peak_threshold = peak_thresholds(options)
    refinements, _ = _refinements(options, only_requested=True)
    edges = edges_of(config)
    grouping = GroupingOptions(
        max_edge_length_ratio=options.max_edge_length_ratio,
        dist_penalty_weight=options.dist_penalty_weight,
        min_instance_peaks=options.min_instance_peaks,
        min_line_scores=options.min_line_scores,
    )
    return Plan(
        config.kind,
        skeleton,
        configs={config.kind: config},
        content=TracedPeaks,
        depends=_depends(config.kind, options, refinements)
        | {"floor": min(peak_threshold, FLOOR), "n_points": options.n_points},
        observe=lambda models, *_: partial(
            observe_lines,
            model=models[config.kind],
            peak_threshold=peak_threshold,
            refinements=refinements,
            n_points=options.n_points,
        ),
        decode=partial(
            decode_lines,
            skeleton=skeleton,
            edges=edges,
            peak_threshold=peak_threshold,
            grouping=grouping,
            max_instances=options.max_instances,
        ),
        details=lambda observed: {
            "graphs": tuple(
                graphs(observed.content, peak_threshold=peak_threshold, grouping=grouping)
            )
        },
    )


def _multi_class_bottomup_plan(
    config: TrainingConfig, skeleton: Skeleton, options: ModelConfig
) -> Plan:
    """Plan a pipeline that groups peaks by class."""
    _, peak_threshold = peak_thresholds(options)
    refinements, _ = _refinements(options, only_requested=True)
    return Plan(
        config.kind,
        skeleton,
        config.classes,
        configs={config.kind: config},
        content=ClassifiedPeaks,
        depends=_depends(config.kind, options, refinements) | {"floor": min(peak_threshold, FLOOR)},
        observe=lambda models, *_: partial(
            observe_classes,
            model=models[config.kind],
            peak_threshold=peak_threshold,
            refinements=refinements,
        ),
        decode=partial(
            decode_classes,
            skeleton=skeleton,
            classes=config.classes,
            peak_threshold=peak_threshold,
            max_instances=options.max_instances,
        ),
    )


def _centroid_plan(
    config: TrainingConfig,
    skeleton: Skeleton,
    options: ModelConfig,
    truth: TrueCentroids | None,
) -> Plan:
    """Plan a pipeline that finds centroids, and copies labelled instances to them if there are any.

    Args:
        config: Training config of the centroid model.
        skeleton: Skeleton of the poses.
        options: Decoding options.
        truth: Labelled instances.
    """
    peak_threshold, _ = peak_thresholds(options)
    refinements, requested = _refinements(options)
    return Plan(
        config.kind,
        skeleton,
        configs={config.kind: config},
        content=Centroids,
        depends=_depends(config.kind, options, refinements) | {"floor": min(peak_threshold, FLOOR)},
        observe=lambda models, *_: partial(
            observe_centroids,
            model=models[config.kind],
            peak_threshold=peak_threshold,
            refinements=refinements,
        ),
        decode=partial(
            decode_centroids,
            truth=truth,
            peak_threshold=peak_threshold,
            refinement=requested,
            max_instances=options.max_instances,
            min_distance=options.filter_min_centroid_distance,
        ),
        notes=(CENTROIDS_ALONE if truth is None else CENTROIDS_WITH_TRUTH,),
    )


def _topdown_plan(
    kind: str,
    configs: Mapping[str, TrainingConfig],
    skeleton: Skeleton,
    options: ModelConfig,
    truth: TrueCentroids | None = None,
) -> Plan:
    """Plan a pipeline that finds the nodes of each animal in a crop.

    Args:
        kind: Kind of the pipeline.
        configs: Training configs of the model of the crops and, where there is one, of the centroid
            model.
        skeleton: Skeleton of the poses.
        options: Decoding options.
        truth: Labelled instances whose centroids replace those of a centroid model.
    """
    name, config = next((name, config) for name, config in configs.items() if name != "centroid")
    centroid_threshold, keypoint_threshold = peak_thresholds(options)
    max_instances, min_distance = options.max_instances, options.filter_min_centroid_distance
    finds_centroids = "centroid" in configs
    refinements, requested = _refinements(options, only_requested=finds_centroids)
    depends = _depends(kind, options, refinements)
    if finds_centroids:
        depends |= {"floor": min(centroid_threshold, FLOOR)}
    else:  # every labelled instance gets a crop
        centroid_threshold, max_instances, min_distance = -math.inf, None, 0.0
    choice: dict[str, Any] = {
        "centroid_threshold": centroid_threshold,
        "max_instances": max_instances,
        "min_distance": min_distance,
    }
    instances = choice | {"keypoint_threshold": keypoint_threshold, "refinement": requested}
    return Plan(
        kind,
        skeleton,
        config.classes,
        configs=configs,
        content=CropPeaks,
        depends=depends,
        observe=lambda models, budget, keep_maps: partial(
            observe_crops,
            centroid_model=models.get("centroid"),
            instance_model=models[name],
            truth=truth,
            refinements=refinements,
            budget=budget,
            keep_maps=keep_maps,
            **choice,
        ),
        decode=partial(decode_crops, skeleton=skeleton, classes=config.classes, **instances),
        covers=partial(covers, **choice),
        details=lambda observed: {"crops": crops_of_instances(observed, **instances)},
        notes=_skeleton_notes(list(configs.values())),
    )


def _skeleton_notes(configs: Sequence[TrainingConfig]) -> tuple[str, ...]:
    """Say so where the models of a pipeline were trained on skeletons of different nodes."""
    if len({frozenset(config.skeleton.nodes) for config in configs}) < 2:
        return ()
    trained = " and ".join(
        f"{config.folder.name} ({config.kind}) on {listed(config.skeleton.nodes, MOST_NODES)}"
        for config in configs
    )
    return (
        f"The models were trained on different skeletons: {trained}. If these are not the same "
        "animals, crops and poses are wrong.",
    )


def _labelled(
    truth: Poses | None, config: TrainingConfig, anchor_part: str | None
) -> TrueCentroids | None:
    """Return the centroids of the labelled instances of a source, if it has any."""
    return None if truth is None else true_centroids(truth, config, anchor_part=anchor_part)


def _depends(kind: str, options: ModelConfig, refinements: Refinements) -> dict[str, Any]:
    """Return the settings that the observations of every kind depend on."""
    return {
        "kind": kind,
        "offsets": options.integral_refinement == "offsets",
        "refinements": str(refinements),
    }


def _refinements(options: ModelConfig, *, only_requested: bool = False) -> tuple[Refinements, int]:
    """Return the refinements to observe and the index of the requested one among them.

    Args:
        options: Decoding options; these name the requested refinement.
        only_requested: Observe no other refinement. It is set where lines, classes or crops begin
            at refined points, so that another refinement would need the maps again.
    """
    size = options.integral_patch_size
    every = {None: None, "integral": Refinement(size), "bounded": Refinement(size, bounded=True)}
    if options.integral_refinement == "offsets":  # the network predicts them with the maps
        return (None,), 0
    if only_requested:
        return (every[options.integral_refinement],), 0
    return tuple(every.values()), list(every).index(options.integral_refinement)
