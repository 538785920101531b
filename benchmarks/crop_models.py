"""Top-down models that sleap-nn trains on rendered dots.

They show at which offset its training places the content of a crop.
"""

import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import sleap_io as sio
import yaml

SIDE, CROP_SIZE, IMAGES, EPOCHS = 160, 64, 160, 30
NODES = ("large", "bright", "small")
DOTS = ((0.8, 1.6), (0.6, 2.6), (0.45, 1.5))
"""Height and spread, px, of the dot at each node."""
ROTATIONS = {"dots": 0.0, "dots, turned": 180.0}
"""Model -> largest angle by which training turns images at random, degrees."""


def make(folder: Path, peer_python: Path) -> dict[str, Path]:
    """Draw images for training and for tests, and train a centered-instance model per rotation.

    The rotations are `ROTATIONS`.

    Args:
        folder: Where to; models that are there already are not trained again.
        peer_python: Python of an environment with sleap-nn.

    Returns:
        Model folders by name; `folder/test.slp` holds what to test them on.
    """
    for name, seed in (("train", 5), ("test", 6)):
        if not (folder / f"{name}.slp").is_file():
            _draw(folder, name, seed)
    found = {}
    for name, degrees in ROTATIONS.items():
        run = name.replace(", ", "_")
        found[name] = folder / "models" / run
        if not (found[name] / "training_log.csv").is_file():
            (folder / f"{run}.yaml").write_text(
                yaml.safe_dump(_config(folder, run, degrees)), encoding="utf-8"
            )
            command = [str(peer_python), "-m", "sleap_nn.cli", "train", str(folder / f"{run}.yaml")]
            subprocess.run(
                command, check=True, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}
            )
    return found


def _draw(folder: Path, name: str, seed: int) -> None:
    """Write images of four animals each, one in each quarter, and their labels."""
    rng = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:SIDE, :SIDE]
    skeleton = sio.Skeleton(
        nodes=list(NODES), edges=list(zip(NODES[:1] * 2, NODES[1:], strict=True))
    )
    files, frames = [], []
    for i in range(IMAGES):
        animals, image = [], np.full((SIDE, SIDE), 0.1)
        for quarter in np.array([(40, 40), (120, 40), (40, 120), (120, 120)]):
            angle = rng.uniform(0, 2 * np.pi)
            along, across = (
                np.array([np.cos(angle), np.sin(angle)]),
                np.array([-np.sin(angle), np.cos(angle)]),
            )
            start = quarter + rng.uniform(-8, 8, 2)
            animals.append(np.array([start, start + 22 * along, start - 14 * along + 10 * across]))
            for (px, py), (height, spread) in zip(animals[-1], DOTS, strict=True):
                image += height * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * spread**2))
        files.append(str(folder / name / f"{i:03}.png"))
        cv2.imwrite(
            files[-1],
            (image.clip(0, 1) * 235 + rng.normal(0, 3, image.shape)).clip(0, 255).astype(np.uint8),
        )
        frames.append(animals)
    video = sio.load_video(files)
    labelled = [
        sio.LabeledFrame(
            video=video,
            frame_idx=i,
            instances=[sio.Instance.from_numpy(points, skeleton=skeleton) for points in animals],
        )
        for i, animals in enumerate(frames)
    ]
    sio.Labels(labelled).save(str(folder / f"{name}.slp"), verbose=False)


def _config(folder: Path, run: str, degrees: float) -> dict[str, Any]:
    kinds = (
        "single_instance",
        "centroid",
        "centered_instance",
        "bottomup",
        "multi_class_bottomup",
        "multi_class_topdown",
    )
    head = {
        "confmaps": {
            "part_names": list(NODES),
            "anchor_part": None,
            "sigma": 2.5,
            "output_stride": 2,
        }
    }
    loader = {"batch_size": 8, "num_workers": 0}
    return {
        "data_config": {
            "train_labels_path": [str(folder / "train.slp")],
            "validation_fraction": 0.1,
            "data_pipeline_fw": "torch_dataset",
            "preprocessing": {"scale": 1.0, "crop_size": CROP_SIZE},
            "use_augmentations_train": degrees > 0,
            "augmentation_config": {
                "geometric": {
                    "rotation_min": -degrees,
                    "rotation_max": degrees,
                    "rotation_p": 1.0,
                    "scale_p": 0.0,
                }
            },
        },
        "model_config": {
            "backbone_config": {
                "unet": {
                    "in_channels": 1,
                    "filters": 8,
                    "filters_rate": 1.5,
                    "max_stride": 8,
                    "output_stride": 2,
                }
            },
            "head_configs": {kind: head if kind == "centered_instance" else None for kind in kinds},
        },
        "trainer_config": {
            "train_data_loader": loader | {"shuffle": True},
            "val_data_loader": loader,
            "max_epochs": EPOCHS,
            "seed": 0,
            "trainer_accelerator": "cpu",
            "enable_progress_bar": False,
            "save_ckpt": True,
            "ckpt_dir": str(folder / "models"),
            "run_name": run,
            "optimizer_name": "Adam",
            "optimizer": {"lr": 2e-3, "amsgrad": False},
        },
    }
