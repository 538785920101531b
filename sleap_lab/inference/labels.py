"""The labels that a run leaves: new ones of what models predicted, or those it was given with what was done to them."""

import sleap_io as sio

from sleap_lab.inference.detect import Inference
from sleap_lab.inference.provenance import provenance
from sleap_lab.media.labels import revise_labels, to_labels
from sleap_lab.media.sources import Source
from sleap_lab.settings.config import Config


def result_labels(inference: Inference, source: Source, config: Config) -> sio.Labels:
    """Return the labels that a run leaves; of a project that was not predicted on, everything stays that was not replaced.

    Args:
        inference: The result.
        source: Where it came from. The labels of its project are changed, so this is called once.
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
