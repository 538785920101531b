"""The models of an experiment: where they run, what they predict, and how they are loaded."""

from typing import TYPE_CHECKING

from sleap_lab.media.source import Source
from sleap_lab.poses.record import Poses, Skeleton
from sleap_lab.settings.config import Config

if TYPE_CHECKING:
    from sleap_lab.pipelines.pipeline import Pipeline


def device_name(config: Config) -> str:
    """Return the device that the networks will run on; empty without networks.

    Raises:
        ConfigError: This machine or PyTorch build has no such device.
    """
    if config.model.kind == "none":
        return ""
    from sleap_lab.pipelines.pipeline import choose_device

    return str(choose_device(config.runtime.device))


def predicted_skeleton(config: Config, source: Source) -> Skeleton | None:
    """Return the skeleton that the models will predict; None without models.

    Raises:
        ConfigError: The models do not fit together.
        RunError: A training config cannot be read.
    """
    if config.model.kind == "none":
        return None
    from sleap_lab.pipelines.pipeline import output_skeleton

    return output_skeleton(config.model, source.truth)


def load_models(
    truth: Poses | None, config: Config, *, spare: float = 0, details: bool = False
) -> "Pipeline":
    """Load the models of a config; `build_pipeline` says what the arguments mean."""
    from sleap_lab.pipelines.pipeline import build_pipeline

    return build_pipeline(
        config.model,
        config.preprocessing,
        config.runtime,
        truth,
        spare=spare,
        details=details,
    )
