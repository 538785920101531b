"""Heads: from backbone features to confidence maps, part affinity fields and class probabilities.

Parameter names equal those of SLEAP-NN checkpoints, so weights load by name.
"""

from collections import OrderedDict

from torch import Tensor, nn

HEAD_LAYERS = {
    "single_instance": {"confmaps": "SingleInstanceConfmapsHead"},
    "centroid": {"confmaps": "CentroidConfmapsHead"},
    "centered_instance": {"confmaps": "CenteredInstanceConfmapsHead"},
    "bottomup": {"confmaps": "MultiInstanceConfmapsHead", "pafs": "PartAffinityFieldsHead"},
    "multi_class_bottomup": {
        "confmaps": "MultiInstanceConfmapsHead",
        "class_maps": "ClassMapsHead",
    },
    "multi_class_topdown": {
        "confmaps": "CenteredInstanceConfmapsHead",
        "class_vectors": "ClassVectorsHead",
    },
}
"""Model kind -> its heads, in checkpoint order, with the layer name of each."""

OFFSETS_LAYER = "OffsetRefinementHead"
"""Layer of a further head that models of SLEAP 1.4 and older may have, whatever their kind."""


def map_head(layer: str, in_channels: int, channels: int, *, sigmoid: bool) -> nn.Sequential:
    """Return a 1x1 convolution, with a sigmoid where the map holds probabilities."""
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        [(layer, nn.Sequential(nn.Conv2d(in_channels, channels, 1)))]
    )
    if sigmoid:
        layers["sigmoid"] = nn.Sigmoid()
    return nn.Sequential(layers)


class ClassVectorsHead(nn.Module):
    """Class probabilities of a whole crop: global max pooling, hidden layers, softmax."""

    def __init__(
        self, in_channels: int, classes: int, *, num_fc_layers: int, num_fc_units: int
    ) -> None:
        super().__init__()
        hidden: OrderedDict[str, nn.Module] = OrderedDict()
        channels = in_channels
        for j in range(num_fc_layers):
            hidden[f"pre_classification{j}_fc"] = nn.Linear(channels, num_fc_units)
            hidden[f"pre_classification{j}_relu"] = nn.ReLU(inplace=True)
            channels = num_fc_units
        for name, layer in hidden.items():
            self.add_module(name, layer)
        self.hidden = tuple(hidden)
        self.ClassVectorsHead = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, c, h, w) to (b, classes) probabilities."""
        x = x.amax(dim=(-2, -1))
        for name in self.hidden:
            x = self.get_submodule(name)(x)
        return self.ClassVectorsHead(x).softmax(dim=-1)
