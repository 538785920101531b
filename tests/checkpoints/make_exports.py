"""Small models with random weights, each with its checkpoint and as sleap-nn exports it.

    python tests/checkpoints/make_exports.py     (where sleap-nn 0.3.5 with its export extra is
                                                  installed)

`test_exported.py` reads both.
"""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml

from sleap_lab.networks import build_network

FOLDER = Path(__file__).parent / "data" / "exports"
DEMO = Path(__file__).parents[2] / "sleap_lab" / "demo" / "models"
KINDS = {"bottomup": ("bottomup",), "topdown": ("centroid", "centered_instance")}


def make_model(kind, folder):
    """Write a model folder whose config is that of the demo, with a smaller network."""
    config = yaml.safe_load((DEMO / kind / "training_config.yaml").read_text())
    model = config["model_config"]
    model |= {"pretrained_backbone_weights": None, "pretrained_head_weights": None}
    model["backbone_config"]["unet"] |= {"filters": 2, "max_stride": 8}
    torch.manual_seed(len(kind))
    state = build_network(config).state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "training_config.yaml").write_text(yaml.safe_dump(config))
    checkpoint = {
        "pytorch-lightning_version": "2.6.6",
        "epoch": 0,
        "global_step": 0,
        "state_dict": {f"model.{k}": v for k, v in state.items()},
    }
    torch.save(checkpoint, folder / "best.ckpt")


def main():
    """Make the models, and let sleap-nn export them."""
    for name, kinds in KINDS.items():
        for kind in kinds:
            make_model(kind, FOLDER / "checkpoints" / kind)
        with TemporaryDirectory() as scratch:
            # The exporter writes the paths down as they are given.
            folders = [f"checkpoints/{kind}" for kind in kinds]
            subprocess.run(["sleap-nn", "export", *folders, "-o", scratch], check=True, cwd=FOLDER)
            (FOLDER / name).mkdir(exist_ok=True)
            for file in Path(scratch).iterdir():
                (FOLDER / name / file.name).write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
