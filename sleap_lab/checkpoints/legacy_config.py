"""The parts of `training_config.json` of SLEAP 1.4 and older that inference needs.

Nothing else is required.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sleap_io as sio

from sleap_lab.checkpoints.training_config import (
    CROP_KINDS,
    LEGACY_CONFIG_NAME,
    TrainingConfig,
    check_heads,
    find_section,
    positive_number,
    positive_whole,
    read_raw,
)
from sleap_lab.errors import RunError, brief, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.safe_load import read_json
from sleap_lab.media.labels import to_skeleton
from sleap_lab.networks.heads import HEAD_LAYERS
from sleap_lab.poses.record import Skeleton

KINDS = {
    "single_instance": "single_instance",
    "centroid": "centroid",
    "centered_instance": "centered_instance",
    "multi_instance": "bottomup",
    "multi_class_bottomup": "multi_class_bottomup",
    "multi_class_topdown": "multi_class_topdown",
}
"""Head in the file -> model kind."""

UNET_KEYS = ("filters", "filters_rate", "max_stride", "output_stride", "up_interpolate")
"""Keys that describe a UNet in the file; for missing ones, SLEAP and SLEAP-NN share defaults."""

CLASS_VECTOR_DEFAULTS = {"num_fc_layers": 2, "num_fc_units": 1024}


def read_legacy_config(folder: Path) -> TrainingConfig:
    """Read the `training_config.json` of a model folder.

    `raw` holds the network it describes, with the keys of SLEAP-NN. Only the weights tell the
    number of input channels.

    Raises:
        RunError: The config is broken, lacks something that inference needs, or describes a network
            other than a plain UNet.
    """
    file = folder / LEGACY_CONFIG_NAME
    raw = read_raw(file, read_json, "JSON")
    name, section = _chosen(raw, "model.heads", KINDS, file)
    kind = KINDS[name]
    unet = _unet(raw, file)
    skeleton = _skeleton(raw, file)
    heads = _heads(section, kind, len(skeleton.nodes), f"{file}: model.heads.{name}")
    preprocessing, image = (
        find_section(raw, "data.preprocessing", file),
        f"{file}: data.preprocessing",
    )
    return TrainingConfig(
        folder=folder,
        kind=kind,
        raw={"model_config": {"backbone_config": {"unet": unet}, "head_configs": {kind: heads}}},
        skeleton=skeleton,
        heads=heads,
        max_stride=int(unet.get("max_stride", 16)),
        scale=positive_number(preprocessing, "input_scaling", image) or 1.0,
        max_height=positive_whole(preprocessing, "target_height", image),
        max_width=positive_whole(preprocessing, "target_width", image),
        ensure_rgb=bool(preprocessing.get("ensure_rgb")),
        ensure_grayscale=bool(preprocessing.get("ensure_grayscale")),
        crop_size=_crop_size(raw, file) if kind in CROP_KINDS else None,
        legacy=True,
    )


def _heads(section: dict[str, Any], kind: str, n_nodes: int, where: str) -> dict[str, Any]:
    """Return the heads of a model with the keys of SLEAP-NN.

    Args:
        section: Section of the head that the file chooses.
        kind: Model kind.
        n_nodes: Number of nodes of the skeleton.
        where: Name of the section, its file included.
    """
    single = tuple(HEAD_LAYERS[kind]) == ("confmaps",)
    heads: dict[str, Any] = (
        {"confmaps": section} if single else {head: section.get(head) for head in HEAD_LAYERS[kind]}
    )
    check_heads(heads, kind, n_nodes, lambda head: where if single else f"{where}.{head}")
    if "class_vectors" in heads:
        heads["class_vectors"] = {**CLASS_VECTOR_DEFAULTS, **heads["class_vectors"]}
    if heads["confmaps"].get("offset_refinement"):
        heads["offsets"] = heads["confmaps"]
    return heads


def _crop_size(raw: dict[str, Any], file: Path) -> int | None:
    name = "data.instance_cropping"
    return positive_whole(find_section(raw, name, file), "crop_size", f"{file}: {name}")


def _unet(raw: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the UNet's section with the keys of SLEAP-NN, without null values."""
    _, section = _chosen(raw, "model.backbone", ("unet",), file)
    where = f"{file}: model.backbone.unet"
    for key in ("filters", "max_stride", "output_stride"):
        positive_whole(section, key, where)
    positive_number(section, "filters_rate", where)
    # SLEAP's stem pools differently from SLEAP-NN's, and SLEAP-NN has neither several stacks nor a
    # UNet without a middle block.
    for key, only in (("stem_stride", None), ("stacks", 1), ("middle_block", True)):
        if section.get(key, only) != only:
            raise RunError(
                f"{where}.{key}: got {brief(section[key])}, which is not supported; "
                f"accepted: {json.dumps(only)}"
            )
    return {key: section[key] for key in UNET_KEYS if section.get(key) is not None}


def _chosen(
    raw: dict[str, Any], name: str, accepted: Mapping[str, Any] | tuple[str, ...], file: Path
) -> tuple[str, dict[str, Any]]:
    """Return the one option of a section that is not null."""
    options = {
        option: section
        for option, section in find_section(raw, name, file).items()
        if section is not None
    }
    if len(options) != 1 or not options.keys() <= set(accepted):
        raise RunError(
            f"{file}: {name} chooses {', '.join(options) or 'nothing'}; "
            f"accepted: one of {', '.join(accepted)}"
        )
    ((option, section),) = options.items()
    if not isinstance(section, dict):
        raise RunError(f"{file}: {name}.{option}: got {brief(section)}; accepted: a section")
    return option, section


def _skeleton(raw: dict[str, Any], file: Path) -> Skeleton:
    """Decode the first skeleton, which SLEAP writes as a graph of Python objects."""
    found = find_section(raw, "data.labels", file).get("skeletons")
    try:
        if not isinstance(found, list) or not found:
            raise ValueError(f"got {brief(found)}; accepted: a list of one")
        skeletons = sio.load_skeleton(str(file))
        skeleton = to_skeleton(skeletons[0] if isinstance(skeletons, list) else skeletons)
        if not skeleton.nodes:
            raise ValueError("it has no nodes")
        return skeleton
    except Exception as error:  # whatever sleap-io raises for a broken graph
        raise_interruption(error)
        raise RunError(
            f"{file}: data.labels.skeletons does not describe a skeleton ({one_line(error)})"
        ) from error
