"""What an experiment opens and checks before its first stage; a sweep does it before its jobs."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sleap_lab.errors import RunError
from sleap_lab.inference.cache import Cache
from sleap_lab.inference.cached_stages import index_cached
from sleap_lab.inference.models import predicted_skeleton
from sleap_lab.media.formats.places import check_places
from sleap_lab.media.open_source import open_source
from sleap_lab.media.source import Source
from sleap_lab.poses.record import Poses
from sleap_lab.settings.check import shown
from sleap_lab.settings.config import Config, ModelConfig

if TYPE_CHECKING:
    from sleap_lab.evaluation.truth import Truth


def open_inputs(config: Config, cache: Cache) -> "tuple[Source, Truth | None]":
    """Open the source and, for an evaluation, the ground truth.

    Args:
        config: The experiment.
        cache: Holds the indices of media files.

    Raises:
        ConfigError: The data and the settings do not fit together, or a result would overwrite what
            is no result.
        RunError: A file cannot be read, or too many frames are missing.
    """
    predicting = config.model.kind != "none"
    source = open_source(config.data, predicting=predicting, index=index_cached(cache))
    check_places(config, source)
    if not config.evaluator.evaluate:
        return source, None
    from sleap_lab.evaluation.truth import open_truth

    return source, open_truth(config, source, predicted_skeleton(config, source))


def check_stages(config: Config, source: Source) -> None:
    """Refuse models and a tracker that cannot do anything with a source.

    Args:
        config: The experiment.
        source: Opened videos and selected frames.

    Raises:
        ConfigError: The models do not fit together, or lack what the settings or the data need; the
            tracker is to use a node that the skeleton lacks; or the calibration is of other nodes.
        RunError: A training config, or an image that the tracker or the overlay needs, cannot be
            read.
    """
    tracker = config.tracker
    if config.model.kind == "none":
        assert source.labels is not None, "only labels files are read without a model"
        nodes, tracks = source.labels.skeleton.nodes, tracker.tracking
        if tracks and (tracker.use_flow or tracker.features == "image"):
            needs = "use_flow=true" if tracker.use_flow else "features=image"
            _check_images(f"tracker.{needs}", source, source.labels)
        if config.output.embed is True:
            _check_images("output.embed=true", source, source.labels)
        if (drawn := config.output.overlay_video) is not False:
            _check_images(f"output.overlay_video={shown(drawn)}", source, source.labels)
    else:
        from sleap_lab.pipelines.pipeline import read_plan  # imports torch

        plan = read_plan(config.model, config.preprocessing, source.truth)
        nodes = plan.skeleton.nodes
        tracks = tracker.tracking and (tracker.override_class_tracks or not plan.track_names)
    if config.evaluator.calibration is not None:
        from sleap_lab.evaluation.radii import check_calibration

        check_calibration(Path(config.evaluator.calibration), nodes)
    if tracks and tracker.use_kalman:
        from sleap_lab.tracking.kalman import used_nodes  # imports scipy

        used_nodes(tracker, len(nodes))


def check_weights(model: ModelConfig) -> None:
    """Refuse models whose weights cannot be loaded.

    Raises:
        ConfigError: Weights that replace others are of another kind of model.
        RunError: Weights are broken, or do not fit the training config.
    """
    if model.paths:
        from sleap_lab.pipelines.pipeline import load_networks  # imports torch

        load_networks(model)


def _check_images(setting: str, source: Source, labels: Poses) -> None:
    """Refuse a source with a video whose first image with an instance cannot be read.

    Args:
        setting: What needs the images.
        source: The source.
        labels: Its poses.
    """
    for row in np.unique(labels.video, return_index=True)[1].tolist():
        try:
            source.read(int(labels.video[row]), int(labels.frame[row]))
        except RunError as error:
            raise RunError(f"{setting} needs the images, but {error}") from error
