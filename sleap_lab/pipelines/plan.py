"""Plans: how a pipeline of each kind observes and decodes, with the options of a run filled in.

A plan needs the training configs only: poses can be decoded from a stored observation without
loading a network.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any

from sleap_lab.checkpoints import TrainingConfig
from sleap_lab.decode.paf import GroupingOptions
from sleap_lab.decode.peaks import Refinement
from sleap_lab.pipelines.bottomup import (
    Classified,
    Traced,
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
from sleap_lab.pipelines.model import FrameBatch, Model
from sleap_lab.pipelines.observation import FLOOR, Observed, Refinements
from sleap_lab.pipelines.single_instance import Highest, decode_highest, observe_highest
from sleap_lab.pipelines.topdown import (
    Cropped,
    SpareBudget,
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
CENTROIDS_ALONE = (
    "Centroid-only without labelled instances: the predictions are the centroids themselves."
)

ONE_REFINEMENT = ("bottomup", "multi_class_bottomup")
"""Kinds that read lines or classes at refined points, so that they observe one refinement only.

Other refinements would need the maps again. The same holds for pipelines of two models, which cut
crops around refined points.
"""


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
    centroid_threshold, keypoint_threshold = peak_thresholds(options)
    limit = options.max_instances
    ways, chosen = _refinements(options, kind in ONE_REFINEMENT or len(configs) > 1)
    depends = {
        "kind": kind,
        "offsets": options.integral_refinement == "offsets",
        "refinements": str(ways),
    }
    if kind == "single_instance":
        return Plan(
            kind,
            skeleton,
            configs=configs,
            content=Highest,
            depends=depends,
            observe=lambda models, *_: partial(
                observe_highest, model=models[kind], refinements=ways
            ),
            decode=partial(
                decode_highest,
                skeleton=skeleton,
                peak_threshold=keypoint_threshold,
                refinement=chosen,
            ),
        )
    if kind == "bottomup":
        edges = edges_of(configs[kind])
        grouping = GroupingOptions(
            max_edge_length_ratio=options.max_edge_length_ratio,
            dist_penalty_weight=options.dist_penalty_weight,
            min_instance_peaks=options.min_instance_peaks,
            min_line_scores=options.min_line_scores,
        )
        return Plan(
            kind,
            skeleton,
            configs=configs,
            content=Traced,
            depends=depends
            | {"floor": min(keypoint_threshold, FLOOR), "n_points": options.n_points},
            observe=lambda models, *_: partial(
                observe_lines,
                model=models[kind],
                peak_threshold=keypoint_threshold,
                refinements=ways,
                n_points=options.n_points,
            ),
            decode=partial(
                decode_lines,
                skeleton=skeleton,
                edges=edges,
                peak_threshold=keypoint_threshold,
                grouping=grouping,
                max_instances=limit,
            ),
            details=lambda observed: {
                "graphs": tuple(
                    graphs(observed.content, peak_threshold=keypoint_threshold, grouping=grouping)
                )
            },
        )
    if kind == "multi_class_bottomup":
        classes = configs[kind].classes
        return Plan(
            kind,
            skeleton,
            classes,
            configs=configs,
            content=Classified,
            depends=depends | {"floor": min(keypoint_threshold, FLOOR)},
            observe=lambda models, *_: partial(
                observe_classes,
                model=models[kind],
                peak_threshold=keypoint_threshold,
                refinements=ways,
            ),
            decode=partial(
                decode_classes,
                skeleton=skeleton,
                classes=classes,
                peak_threshold=keypoint_threshold,
                max_instances=limit,
            ),
        )

    def labelled(config: TrainingConfig) -> TrueCentroids | None:
        return (
            None
            if truth is None
            else true_centroids(truth, config, anchor_part=preprocessing.anchor_part)
        )

    if kind == "centroid":
        return Plan(
            kind,
            skeleton,
            configs=configs,
            content=Centroids,
            depends=depends | {"floor": min(centroid_threshold, FLOOR)},
            observe=lambda models, *_: partial(
                observe_centroids,
                model=models[kind],
                peak_threshold=centroid_threshold,
                refinements=ways,
            ),
            decode=partial(
                decode_centroids,
                truth=labelled(configs[kind]),
                peak_threshold=centroid_threshold,
                refinement=chosen,
                max_instances=limit,
            ),
            notes=(CENTROIDS_ALONE if truth is None else CENTROIDS_WITH_TRUTH,),
        )
    name, config = next((name, config) for name, config in configs.items() if name != "centroid")
    true = None
    if "centroid" in configs:
        depends |= {"floor": min(centroid_threshold, FLOOR)}
    else:  # every labelled instance gets a crop
        true, centroid_threshold, limit = labelled(config), -math.inf, None
    needed: dict[str, Any] = {"centroid_threshold": centroid_threshold, "max_instances": limit}
    instances = needed | {"keypoint_threshold": keypoint_threshold, "refinement": chosen}
    return Plan(
        kind,
        skeleton,
        config.classes,
        configs=configs,
        content=Cropped,
        depends=depends,
        observe=lambda models, budget, keep_maps: partial(
            observe_crops,
            centroid_model=models.get("centroid"),
            instance_model=models[name],
            truth=true,
            refinements=ways,
            budget=budget,
            keep_maps=keep_maps,
            **needed,
        ),
        decode=partial(decode_crops, skeleton=skeleton, classes=config.classes, **instances),
        covers=partial(covers, **needed),
        details=lambda observed: {"crops": crops_of_instances(observed, **instances)},
    )


def _refinements(options: ModelConfig, one: bool) -> tuple[Refinements, int]:
    """Return the refinements to observe and the index of the run's refinement among them.

    With `one` only the run's refinement is observed, otherwise all.
    """
    size = options.integral_patch_size
    every = {None: None, "integral": Refinement(size), "bounded": Refinement(size, bounded=True)}
    if options.integral_refinement == "offsets":  # the network predicts them with the maps
        return (None,), 0
    if one:
        return (every[options.integral_refinement],), 0
    return tuple(every.values()), list(every).index(options.integral_refinement)
