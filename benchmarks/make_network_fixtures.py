"""Small networks saved by sleap-nn, their outputs, and the parameters of its large ones.

    python benchmarks/make_network_fixtures.py      (in an environment that has sleap-nn 0.3.5)

Weights depend on the parameter's name only, so that the networks of a backbone share theirs and the
archive stays small.
"""

import gzip
import io
import json
import tarfile
import tempfile
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from sleap_nn.architectures.model import Model
from sleap_nn.config.training_job_config import verify_training_cfg
from sleap_nn.training.lightning_modules import LightningModel

DATA = Path(__file__).parents[1] / "tests" / "networks" / "data"
NODES, EDGES, CLASSES = ["a", "b", "c"], [["a", "b"], ["c", "b"]], ["x", "y"]
SIZE = (64, 64)

BACKBONES: dict[str, dict[str, Any]] = {
    "unet": {"filters": 4, "filters_rate": 1.5},
    "convnext": {"arch": {"depths": [1, 1, 2, 1], "channels": [4, 6, 8, 10]}, "filters_rate": 1.5},
    "swint": {
        "arch": {"embed": 4, "depths": [2, 1, 2, 1], "num_heads": [1, 2, 2, 4]},
        "window_size": 3,
        "filters_rate": 1.25,
    },
}
KINDS = (
    "single_instance",
    "centroid",
    "centered_instance",
    "bottomup",
    "multi_class_bottomup",
    "multi_class_topdown",
)
# name: (backbone, changes to the settings above, size of the images).
# The sizes of the "odd" ones leave a remainder at some level.
VARIANTS: dict[str, tuple[str, dict[str, Any], tuple[int, int]]] = {
    "unet-stem": ("unet", {"stem_stride": 2, "output_stride": 1, "convs_per_block": 3}, SIZE),
    "unet-plain": ("unet", {"output_stride": 16, "kernel_size": 5, "in_channels": 3}, SIZE),
    "convnext-stride4": (
        "convnext",
        {
            "stem_patch_stride": 4,
            "stem_patch_kernel": 5,
            "output_stride": 4,
            "in_channels": 3,
            "up_interpolate": False,
        },
        (96, 128),
    ),
    "convnext-full": (
        "convnext",
        {"output_stride": 1, "kernel_size": 5, "convs_per_block": 3},
        SIZE,
    ),
    "convnext-plain": ("convnext", {"output_stride": 32, "stem_patch_kernel": 2}, SIZE),
    "convnext-odd": ("convnext", {"max_stride": 16}, (80, 112)),
    "swint-stride4": (
        "swint",
        {
            "stem_patch_stride": 4,
            "patch_size": 5,
            "output_stride": 4,
            "in_channels": 3,
            "up_interpolate": False,
            "window_size": 4,
        },
        (96, 128),
    ),
    "swint-full": ("swint", {"output_stride": 1, "convs_per_block": 3}, SIZE),
    "swint-plain": ("swint", {"output_stride": 32, "patch_size": 2, "window_size": 7}, SIZE),
    "swint-odd": ("swint", {"max_stride": 16}, (80, 112)),
}
SIZES = {"convnext": ("tiny", "small", "base", "large"), "swint": ("tiny", "small", "base")}


def heads(kind: str, stride: int, max_stride: int) -> dict:
    """Return the head section of a kind, whose second maps are coarser than the first."""
    confmaps: dict[str, Any] = {"sigma": 2.5, "output_stride": stride}
    confmaps |= {"anchor_part": "b"} if kind == "centroid" else {"part_names": NODES}
    if kind in ("centered_instance", "multi_class_topdown"):
        confmaps["anchor_part"] = "b"
    coarse = {"output_stride": min(2 * stride, max_stride), "sigma": 5.0, "loss_weight": 1.0}
    second = {
        "bottomup": {"pafs": {"edges": EDGES, **coarse}},
        "multi_class_bottomup": {"class_maps": {"classes": CLASSES, **coarse}},
        "multi_class_topdown": {
            "class_vectors": {
                "classes": CLASSES, "num_fc_layers": 2, "num_fc_units": 8, "global_pool": True,
                "output_stride": max_stride, "loss_weight": 1.0,
            }
        },
    }  # fmt: skip
    if kind in second:
        confmaps["loss_weight"] = 1.0
    return {"confmaps": confmaps, **second.get(kind, {})}


def training_config(backbone: str, kind: str, options: dict) -> DictConfig:
    """Return a whole training config, filled in by sleap-nn."""
    section = {"output_stride": 4, **BACKBONES[backbone], **options}
    max_stride = section.get("max_stride", 16 if backbone == "unet" else 32)
    config = verify_training_cfg(
        OmegaConf.create(
            {
                "data_config": {
                    "train_labels_path": ["labels.slp"],
                    "preprocessing": {"scale": 1.0, "crop_size": 64},
                },
                "model_config": {
                    "backbone_config": {backbone: section},
                    "head_configs": {kind: heads(kind, section["output_stride"], max_stride)},
                },
                "trainer_config": {},
            }
        )
    )
    if "arch" in section:
        config.model_config.backbone_config[
            backbone
        ].model_type = "custom"  # a size that it knows would win over `arch`
    config.data_config.skeletons = [
        {
            "name": "animal",
            "nodes": [{"name": name} for name in NODES],
            "edges": [{"source": {"name": a}, "destination": {"name": b}} for a, b in EDGES],
            "symmetries": [],
        }
    ]
    return config


def randomize(module: torch.nn.Module) -> None:
    """Give every parameter random values by its name, large enough that every layer counts."""
    for name, parameter in module.named_parameters():
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(parameter.shape)
        if parameter.ndim == 1:
            values = values * 0.3 + name.endswith("weight")  # biases, and the factors of norms
        elif "layer_scale" not in name and "bias_table" not in name:
            values *= np.sqrt(1.5 / np.prod(parameter.shape[1:]))
        parameter.data.copy_(torch.from_numpy(values))


def make_folder(folder: Path, config: DictConfig, size: tuple[int, int]) -> None:
    """Write a model folder, and beside the model random images with the maps of sleap-nn."""
    module = LightningModel.get_lightning_model_from_config(config).eval()
    randomize(module)
    folder.mkdir()
    OmegaConf.save(config, folder / "training_config.yaml")
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(folder / "best.ckpt", weights_only=True)
    backbone = next(
        section for section in config.model_config.backbone_config.values() if section is not None
    )
    images = (
        torch.from_numpy(
            np.random.default_rng(0).integers(256, size=(2, backbone.in_channels, *size))
        ).float()
        / 255
    )
    with torch.no_grad():
        module.model(images)  # of odd sizes sleap-nn answers differently the first time
        maps = module.model(images)
        check_every_parameter_counts(module.model, images, maps)
    np.savez(
        folder / "maps.npz", images=images, **{name: value.numpy() for name, value in maps.items()}
    )


def check_every_parameter_counts(model: torch.nn.Module, images: torch.Tensor, maps: dict) -> None:
    """Check that no parameter can be left out without a change of the maps.

    The change must be at least ten times the tolerance of the tests.
    """
    for name, parameter in model.named_parameters():
        kept = parameter.data
        parameter.data = torch.zeros_like(kept)
        change = max(float((value - maps[key]).abs().max()) for key, value in model(images).items())
        parameter.data = kept
        if change < 1e-4:
            raise RuntimeError(f"{name} hardly matters: without it the maps change by {change:.1e}")


def parameters(backbone: str, model_type: str, up_interpolate: bool) -> dict[str, list[int]]:
    """Return the shapes of all parameters of a network as sleap-nn offers it."""
    section = {
        "model_type": model_type, "arch": None, "pre_trained_weights": None, "in_channels": 1,
        "kernel_size": 3, "filters_rate": 2, "convs_per_block": 2, "up_interpolate": up_interpolate,
        "stem_patch_stride": 2, "max_stride": 32, "output_stride": 1,
    }  # fmt: skip
    section |= (
        {"stem_patch_kernel": 4} if backbone == "convnext" else {"patch_size": 4, "window_size": 7}
    )
    with torch.device("meta"):
        model = Model.from_config(
            backbone,
            OmegaConf.create(section),
            OmegaConf.create(heads("single_instance", 1, 32)),
            "single_instance",
        )
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def main() -> None:
    """Write both files."""
    cases = {
        f"{backbone}-{kind}-{'interpolated' if up else 'transposed'}": (
            training_config(backbone, kind, {"up_interpolate": up}),
            SIZE,
        )
        for backbone, kind, up in product(BACKBONES, KINDS, (True, False))
    }
    cases |= {
        name: (training_config(backbone, "single_instance", options), size)
        for name, (backbone, options, size) in VARIANTS.items()
    }
    DATA.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as temporary,
        tarfile.open(DATA / "sleap_nn_0.3.5_networks.tar.xz", "w:xz", preset=9) as archive,
    ):
        for name, (config, size) in cases.items():
            print(name)
            folder = Path(temporary) / name
            make_folder(folder, config, size)
            for file in sorted(folder.iterdir()):
                info = tarfile.TarInfo(f"{name}/{file.name}")
                info.size = file.stat().st_size
                archive.addfile(info, io.BytesIO(file.read_bytes()))
    listing = {
        f"{backbone}-{model_type}-{'interpolated' if up else 'transposed'}": parameters(
            backbone, model_type, up
        )
        for backbone, model_types in SIZES.items()
        for model_type, up in product(model_types, (True, False))
    }
    with gzip.GzipFile(DATA / "sleap_nn_0.3.5_parameters.json.gz", "wb", mtime=0) as compressed:
        compressed.write(json.dumps(listing).encode())


if __name__ == "__main__":
    main()
