"""A backbone with the heads of one model kind, built from a training config."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from sleap_lab.errors import RunError
from sleap_lab.networks.convnext import convnext
from sleap_lab.networks.heads import HEAD_LAYERS, OFFSETS_LAYER, ClassVectorsHead, map_head
from sleap_lab.networks.preprocess import to_gray
from sleap_lab.networks.pyramid import Pyramid
from sleap_lab.networks.swint import swint
from sleap_lab.networks.unet import UNet

BACKBONES: dict[str, Callable[..., UNet | Pyramid]] = {
    "unet": UNet,
    "convnext": convnext,
    "swint": swint,
}


class PoseNetwork(nn.Module):
    """Backbone and heads of one model; maps images to the arrays that are decoded into poses."""

    def __init__(
        self, backbone: UNet | Pyramid, kind: str, heads: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Attach the heads of a model kind to a backbone.

        Args:
            backbone: Network that returns its deepest map and its outputs by stride.
            kind: Model kind, a key of `HEAD_LAYERS`.
            heads: Head section of the training config: confmaps, pafs, class_maps, class_vectors.
                A section `offsets` adds a head for the offsets.

        Raises:
            RunError: A head's output stride is none the backbone has.
        """
        super().__init__()
        self.backbone = backbone
        self.outputs: dict[str, int | None] = {}
        layers: list[nn.Module] = []
        offsets = {"offsets": OFFSETS_LAYER} if "offsets" in heads else {}
        for name, layer in (HEAD_LAYERS[kind] | offsets).items():
            head = heads[name]
            if name == "class_vectors":
                units = {
                    "num_fc_layers": head.get("num_fc_layers", 1),
                    "num_fc_units": head.get("num_fc_units", 64),
                }
                layers.append(
                    ClassVectorsHead(backbone.middle_channels, len(head["classes"]), **units)
                )
                self.outputs[name] = None
                continue
            stride = head["output_stride"]
            if stride not in backbone.output_channels:
                raise RunError(
                    f"head {name}: output_stride {stride} is none of the backbone's strides "
                    f"{sorted(backbone.output_channels)}"
                )
            sigmoid = name == "class_maps" or bool(head.get("use_sigmoid_activation", False))
            layers.append(
                map_head(
                    layer,
                    backbone.output_channels[stride],
                    head_channels(kind, name, head),
                    sigmoid=sigmoid,
                )
            )
            self.outputs[name] = stride
        self.head_layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map images to the outputs of the heads, by head name.

        Images are (b, c, h, w) in [0, 1], maps are (b, channels, h / stride, w / stride). Class
        vectors are (b, classes). Images of one channel are repeated for a three-channel network;
        images of three channels are turned gray for a one-channel network.
        """
        deepest, by_stride = self.backbone(match_channels(x, self.backbone.in_channels))
        return {
            name: layer(deepest if stride is None else by_stride[stride])
            for (name, stride), layer in zip(self.outputs.items(), self.head_layers, strict=True)
        }


def head_channels(kind: str, name: str, head: Mapping[str, Any]) -> int:
    """Return the number of output channels of a map head."""
    if name == "confmaps":
        return 1 if kind == "centroid" else len(head["part_names"])
    if name == "offsets":
        return 2 * head_channels(kind, "confmaps", head)
    return 2 * len(head["edges"]) if name == "pafs" else len(head["classes"])


def match_channels(x: Tensor, expected: int) -> Tensor:
    """Repeat one channel to three, or weigh three into one; others (b, c, h, w) stay as is."""
    if x.shape[1] == 1 and expected == 3:
        return x.repeat(1, 3, 1, 1)
    if x.shape[1] == 3 and expected == 1:
        return to_gray(x)
    return x


def build_network(
    training_config: Mapping[str, Any], *, middle_channels: int | None = None
) -> PoseNetwork:
    """Build the network that a training config describes, with random weights.

    Args:
        training_config: A whole training config; `model_config.backbone_config` and
            `model_config.head_configs` are read.
        middle_channels: Channels of the deepest level, where those of a checkpoint differ from
            the computed ones.

    Raises:
        RunError: The backbone or the head is of a kind that is not supported.
    """
    model = training_config["model_config"]
    backbones = {
        name: section for name, section in model["backbone_config"].items() if section is not None
    }
    name, section = next(iter(backbones.items()))
    if name not in BACKBONES:
        raise RunError(
            f"model_config.backbone_config: backbone {name!r} is not supported; "
            f"accepted: {', '.join(BACKBONES)}"
        )
    kind, heads = next(
        (kind, heads) for kind, heads in model["head_configs"].items() if heads is not None
    )
    if kind not in HEAD_LAYERS:
        raise RunError(
            f"model_config.head_configs: model kind {kind!r} is not supported; "
            f"accepted: {', '.join(HEAD_LAYERS)}"
        )
    return PoseNetwork(BACKBONES[name](section, middle_channels=middle_channels), kind, heads)
