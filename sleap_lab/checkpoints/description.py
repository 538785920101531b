"""What a model is: kind, network, input, skeleton, and what it needs to run."""

from collections.abc import Iterator
from typing import Any

from sleap_lab.checkpoints.folder import load_network
from sleap_lab.checkpoints.training_config import CROP_KINDS, TrainingConfig
from sleap_lab.networks import PoseNetwork
from sleap_lab.networks.receptive_field import receptive_field
from sleap_lab.poses.record import Skeleton

FINDS = {
    "single_instance": "the nodes of the only animal",
    "centroid": "one point of every animal",
    "centered_instance": "the nodes of the animal in a crop",
    "bottomup": "all nodes, and groups them by part affinity fields",
    "multi_class_bottomup": "all nodes, and groups them by known animal",
    "multi_class_topdown": "the nodes of the animal in a crop, and which known animal it is",
}
"""Model kind -> what it finds."""
CROPPED = "a centroid model beside it, or labelled instances, to cut crops around"


def describe(config: TrainingConfig) -> Iterator[tuple[str, str]]:
    """Describe a model.

    Yields:
        Names and values, one line each.

    Raises:
        RunError: The weights cannot be read.
    """
    network = load_network(config)
    yield "model", str(config.folder)
    yield "kind", f"{config.kind}: finds {FINDS[config.kind]}"
    yield "trained by", _trained_by(config)
    yield "backbone", _backbone(config, network)
    yield "receptive field", _receptive_field(config, network)
    yield "input", _input(config, network)
    if config.tiling is not None:
        yield "tiles", f"{config.tiling.size} px wide, overlapping by {config.tiling.overlap} px"
    if config.crop_size is not None:
        yield "crops", f"{config.crop_size} px wide, around each animal"
    for head, section in config.heads.items():
        yield head, _head(head, section)
    if config.classes:
        yield "classes", ", ".join(config.classes)
    yield "needs", "; ".join(_needs(config))
    nodes, edges = len(config.skeleton.nodes), len(config.skeleton.edges)
    yield "skeleton", f"{config.skeleton.name}: nodes {nodes}, edges {edges}"
    yield from (("", line) for line in draw(config.skeleton))


def draw(skeleton: Skeleton) -> list[str]:
    """Draw a skeleton as trees, one node per line.

    A node is drawn where it is first reached from a root; further edges to it are lines that say
    `see above`. The mirror image of a node stands beside it.
    """
    children: dict[int, list[int]] = {node: [] for node in range(len(skeleton.nodes))}
    for start, end in skeleton.edges:
        children[start].append(end)
    ends = {end for _, end in skeleton.edges}
    mirror = dict(skeleton.symmetries) | {b: a for a, b in skeleton.symmetries}
    lines: list[str] = []
    drawn: set[int] = set()
    # Nodes of circles come last: they have no root.
    for root in sorted(children, key=lambda node: (node in ends, node)):
        waiting = [] if root in drawn else [(root, "", "")]
        while waiting:
            node, first, margin = waiting.pop()
            if node in drawn:
                lines.append(f"{first}{skeleton.nodes[node]} (see above)")
                continue
            drawn.add(node)
            beside = f"  ⇄ {skeleton.nodes[mirror[node]]}" if node in mirror else ""
            lines.append(f"{first}{skeleton.nodes[node]}{beside}")
            below = [(child, margin + "├── ", margin + "│   ") for child in children[node][:-1]] + [
                (child, margin + "└── ", margin + "    ") for child in children[node][-1:]
            ]
            waiting += reversed(below)
    return lines


def _trained_by(config: TrainingConfig) -> str:
    if config.legacy:
        return "SLEAP 1.4 or older"
    return (
        "SLEAP-NN"
        + (
            f" {config.version}"
            if config.version is not None
            else ", its version is not in the config"
        )
        + (", exported to ONNX" if config.exported else "")
    )


def _backbone(config: TrainingConfig, network: PoseNetwork) -> str:
    """Name the backbone, and count its strides and the parameters of the whole network."""
    sections = config.raw["model_config"]["backbone_config"]
    name = next(name for name, section in sections.items() if section is not None)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    strides = ", ".join(map(str, sorted(network.backbone.output_channels)))
    return (
        f"{name}, maps at strides {strides}, deepest at {config.max_stride}; "
        f"{parameters:,} parameters"
    )


def _receptive_field(config: TrainingConfig, network: PoseNetwork) -> str:
    seen = receptive_field(network, network.backbone.in_channels, config.max_stride)
    if seen is None:
        return "the whole image"
    # Half of the field lies on either side of a pixel: then one in a corner sees the whole crop.
    if config.crop_size is not None and seen / config.scale >= 2 * config.crop_size:
        return "the whole crop"
    return f"about {seen / config.scale:.0f} px wide" + (
        f" ({seen} px at scale {config.scale:g})" if config.scale != 1 else ""
    )


def _input(config: TrainingConfig, network: PoseNetwork) -> str:
    channels = {1: "gray", 3: "RGB"}.get(network.backbone.in_channels)
    size = (
        f"frames resized to fit {config.max_width or 'any'}x{config.max_height or 'any'} px"
        if config.max_width or config.max_height
        else "frames of any size"
    )
    return (
        f"{size}, scale {config.scale:g}, padded to multiples of {config.image_stride} px, "
        f"{channels or f'{network.backbone.in_channels} channels'}"
    )


def _head(head: str, section: Any) -> str:
    facts = [
        f"{name.replace('_', ' ')} {section[name]}"
        for name in ("output_stride", "sigma", "anchor_part")
        if section.get(name) is not None
    ]
    return ", ".join(facts) or head.replace("_", " ")


def _needs(config: TrainingConfig) -> Iterator[str]:
    """Yield what a run needs beside the folder."""
    if config.crop_size is not None or config.kind in CROP_KINDS:
        yield CROPPED
        if config.crop_size is None:
            yield "preprocessing.crop_size, which the config does not name"
    elif config.kind == "centroid":
        yield "nothing else for centroids; a model of crops beside it for poses"
    else:
        yield "nothing else"
