"""The six kinds of demo models: their training configs, and how each is taught."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from sleap_lab.networks import build_network

from .examples import ANCHOR, ANCHOR_PART, Examples, arenas, crops
from .scene import IDENTITIES, SKELETON
from .targets import class_maps, confidence_maps, part_affinity_fields

CROP_SIZE = 96
CROPPED = ("centered_instance", "multi_class_topdown")
"""The kinds that look at crops around one animal."""
PARTS = list(SKELETON.nodes)
EDGES = [[PARTS[a], PARTS[b]] for a, b in SKELETON.edges]
SIGMA = 2.0
FINE, COARSE, DEEPEST = 2, 4, 16
"""Output strides of the heads, and of the deepest level."""

HEADS: dict[str, dict[str, Any]] = {
    "single_instance": {"confmaps": {"part_names": PARTS, "sigma": SIGMA, "output_stride": FINE}},
    "centroid": {
        "confmaps": {"anchor_part": ANCHOR_PART, "sigma": 2 * SIGMA, "output_stride": COARSE}
    },
    "centered_instance": {
        "confmaps": {
            "part_names": PARTS,
            "anchor_part": ANCHOR_PART,
            "sigma": SIGMA,
            "output_stride": FINE,
        }
    },
    "bottomup": {
        "confmaps": {
            "part_names": PARTS,
            "sigma": SIGMA,
            "output_stride": FINE,
            "loss_weight": 1.0,
        },
        "pafs": {"edges": EDGES, "sigma": 4.0, "output_stride": COARSE, "loss_weight": 0.2},
    },
    "multi_class_bottomup": {
        "confmaps": {
            "part_names": PARTS,
            "sigma": SIGMA,
            "output_stride": FINE,
            "loss_weight": 1.0,
        },
        "class_maps": {
            "classes": list(IDENTITIES),
            "sigma": 4.0,
            "output_stride": COARSE,
            "loss_weight": 0.005,
        },
    },
    "multi_class_topdown": {
        "confmaps": {
            "part_names": PARTS,
            "anchor_part": ANCHOR_PART,
            "sigma": SIGMA,
            "output_stride": FINE,
            "loss_weight": 1.0,
        },
        "class_vectors": {
            "classes": list(IDENTITIES),
            "num_fc_layers": 1,
            "num_fc_units": 32,
            "global_pool": True,
            "output_stride": DEEPEST,
            "loss_weight": 0.01,
        },
    },
}
"""Head section of each kind.

Sigma, px, is the spread of the Gaussians, or the distance to which an edge or a class is painted.
"""


@dataclass(frozen=True)
class Recipe:
    """How one kind is taught.

    Attributes:
        examples: Makes the training images.
        epochs: Passes through them.
        batch_size: Images per step.
        learning_rate: Largest rate of the one-cycle schedule.
        start: Kind whose trained weights it begins with, where names agree; by default the weights
            are random. Where nodes are rare or another head competes, a random network may settle
            for empty maps.
    """

    examples: Callable[[], Examples]
    epochs: int
    batch_size: int
    learning_rate: float = 3e-3
    start: str | None = None


RECIPES = {
    "centroid": Recipe(lambda: arenas(192, 3000, seed=11), epochs=10, batch_size=8),
    "centered_instance": Recipe(lambda: crops(CROP_SIZE, 5000, seed=12), epochs=10, batch_size=16),
    "bottomup": Recipe(lambda: arenas(192, 3000, seed=11), epochs=8, batch_size=8),
    "multi_class_topdown": Recipe(
        lambda: crops(CROP_SIZE, 5000, seed=12),
        4,
        16,
        learning_rate=1e-3,
        start="centered_instance",
    ),
    "multi_class_bottomup": Recipe(
        lambda: arenas(192, 3000, seed=11), 8, 8, learning_rate=2e-3, start="bottomup"
    ),
    "single_instance": Recipe(
        lambda: arenas(192, 1500, seed=13, animals=1), 3, 8, learning_rate=1e-3, start="bottomup"
    ),
}
SEED = 7
CHECKPOINT = "best.ckpt"


def training_config(kind: str) -> dict[str, Any]:
    """Return the training config of a demo model, in the layout that SLEAP-NN reads."""
    heads, recipe = HEADS[kind], RECIPES[kind]
    strides = [head["output_stride"] for name, head in heads.items() if name != "class_vectors"]
    return {
        "name": kind,
        "description": "Demo model of sleap_lab, trained on rendered scenes.",
        "data_config": {
            "preprocessing": {
                "ensure_rgb": False,
                "ensure_grayscale": False,
                "max_height": None,
                "max_width": None,
                "scale": 1.0,
                "crop_size": CROP_SIZE if kind in CROPPED else None,
            },
            "skeletons": [
                {
                    "name": SKELETON.name,
                    "nodes": [{"name": part} for part in PARTS],
                    "edges": [
                        {"source": {"name": a}, "destination": {"name": b}} for a, b in EDGES
                    ],
                    "symmetries": [
                        [{"name": PARTS[a]}, {"name": PARTS[b]}] for a, b in SKELETON.symmetries
                    ],
                }
            ],
        },
        "model_config": {
            "init_weights": "default",
            "backbone_config": {
                "unet": {
                    "in_channels": 1,
                    "kernel_size": 3,
                    "filters": 8,
                    "filters_rate": 1.5,
                    "max_stride": DEEPEST,
                    "stem_stride": None,
                    "middle_block": True,
                    "up_interpolate": True,
                    "stacks": 1,
                    "convs_per_block": 2,
                    "output_stride": min(strides),
                }
            },
            "head_configs": {name: heads if name == kind else None for name in HEADS},
        },
        "trainer_config": {
            "seed": SEED,
            "max_epochs": recipe.epochs,
            "optimizer_name": "Adam",
            "optimizer": {"lr": recipe.learning_rate, "amsgrad": False},
            "lr_scheduler": {"step_lr": None, "reduce_lr_on_plateau": None},
            "online_hard_keypoint_mining": {
                "online_mining": False,
                "hard_to_easy_ratio": 2.0,
                "min_hard_keypoints": 2,
                "max_hard_keypoints": None,
                "loss_scale": 5.0,
            },
        },
    }


def loss(
    heads: dict[str, Any],
    outputs: dict[str, Tensor],
    points: Tensor,
    identities: Tensor,
    shape: tuple[int, int],
) -> Tensor:
    """Return the weighted sum of the losses of all heads.

    Args:
        heads: Head section of the training config.
        outputs: What the network answered, by head name.
        points: (b, n, nodes, 2) px, network input; rows of nan for animals that are not there.
        identities: (b, n) class of each animal.
        shape: Height and width of the images, px.
    """
    total = torch.zeros(())
    for name, head in heads.items():
        stride, reach = head["output_stride"], head.get("sigma")
        output, weight = outputs[name], head.get("loss_weight", 1.0)
        if name == "confmaps":
            nodes = points if "part_names" in head else points[:, :, [ANCHOR]]
            target = confidence_maps(nodes, shape, stride, reach)
            # Almost all of a map is background; without weights the network learns empty maps.
            value = ((1 + 5 * target) * (output - target).square()).mean()
        elif name == "pafs":
            target = part_affinity_fields(
                points, torch.tensor(SKELETON.edges), shape, stride, reach
            )
            value = F.mse_loss(output, target)
        elif name == "class_maps":
            target = class_maps(points, identities, len(IDENTITIES), shape, stride, reach)
            # Classes are read at nodes only, and the empty rest would outweigh them.
            painted = target.amax(dim=1, keepdim=True).expand_as(target)
            value = F.binary_cross_entropy(
                output, target, weight=painted, reduction="sum"
            ) / painted.sum().clamp(min=1)
        else:
            value = F.nll_loss(output.clamp(min=1e-7).log(), identities[:, 0])
        total = total + weight * value
    return total


def train(kind: str, folder: Path) -> None:
    """Train the demo model of one kind and write it to `folder/kind`.

    The model that it starts from must lie in the same folder.
    """
    import lightning  # heavy, and needed only here

    config, recipe = training_config(kind), RECIPES[kind]
    heads = config["model_config"]["head_configs"][kind]
    examples = recipe.examples()
    tensors = TensorDataset(
        *map(torch.from_numpy, (examples.images, examples.points, examples.identities))
    )
    lightning.seed_everything(SEED)
    batches = DataLoader(tensors, recipe.batch_size, shuffle=True, drop_last=True)

    class Lesson(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            # Channels-last convolutions are twice as fast on CPUs.
            # The type stubs of PyTorch do not know the argument.
            model = build_network(config)
            self.model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            images, points, identities = batch
            value = loss(
                heads,
                self.model(images[:, None] / 255),
                points,
                identities,
                (images.shape[-2], images.shape[-1]),
            )
            self.log("loss", value, prog_bar=True)
            return value

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), lr=recipe.learning_rate)
            steps = recipe.epochs * len(batches)
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, recipe.learning_rate, total_steps=steps
            )
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": schedule, "interval": "step"},
            }

    lesson = Lesson()
    if recipe.start:
        lesson.load_state_dict(
            torch.load(folder / recipe.start / CHECKPOINT)["state_dict"], strict=False
        )
    trainer = lightning.Trainer(
        accelerator="cpu", max_epochs=recipe.epochs, logger=False, enable_checkpointing=False
    )
    trainer.fit(lesson, batches)

    (folder / kind).mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "state_dict": lesson.state_dict(),
        "pytorch-lightning_version": lightning.__version__,
        "epoch": trainer.current_epoch,
        "global_step": trainer.global_step,
    }
    torch.save(checkpoint, folder / kind / CHECKPOINT)
    (folder / kind / "training_config.yaml").write_text(
        yaml.safe_dump(config, sort_keys=False), encoding="utf-8"
    )
