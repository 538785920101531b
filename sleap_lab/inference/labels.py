"""The labels that a run writes: new labels of predictions, or the given labels with its changes."""

import sleap_io as sio

from sleap_lab.inference.detect import Inference
from sleap_lab.inference.provenance import provenance
from sleap_lab.media.labels import to_labels
from sleap_lab.media.revising import revise_labels
from sleap_lab.media.source import Source
from sleap_lab.settings.config import Config


def result_labels(inference: Inference, source: Source, config: Config) -> sio.Labels:
    """Return the labels that a run writes.

    Where the run reads the poses of a project and predicts none, everything in the project stays
    that the run does not replace.

    Args:
        inference: The result.
        source: Source of the result. The labels of its project are changed, so call this once.
        config: The experiment.
    """
    facts = provenance(config, inference)
    if source.project is None:
        return to_labels(inference.poses, source.videos, provenance=facts)
    return revise_labels(
        source.project,
        inference.poses,
        source.videos,
        tracked=config.tracker.tracking,
        provenance=facts,
    )
