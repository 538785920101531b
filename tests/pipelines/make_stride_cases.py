"""Bottom-up models whose maps and fields differ in stride, and how sleap-nn groups their peaks.

    python tests/pipelines/make_stride_cases.py PATH/sleap-nn      (sleap-nn 0.3.5)

Weights and images are random but made from seeds, so that only the results of sleap-nn are stored.
Without refinement, peaks lie on the grid of the maps, and points on the lines between them on half
pixels of the fields: the smallest rounding decides which pixel is read.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import sleap_io as sio
import torch
import yaml
from PIL import Image

from sleap_lab.networks import build_network

ANSWERS = Path(__file__).parent / "data" / "sleap_nn_0.3.5_strides.json.gz"
NODES = ("a", "b", "c", "d")
EDGES = (("a", "b"), ("b", "c"), ("b", "d"))
STRIDES = ((4, 8), (2, 4), (4, 4))  # of the confidence maps and of the part affinity fields
REFINEMENTS = {"none": "None", "integral": "integral"}
FRAMES, HEIGHT, WIDTH = 3, 96, 128
OPTIONS = {"peak_threshold": 0.5, "min_line_scores": 0.01, "max_edge_length_ratio": 1.0}

TRAINER = {
    "lr_scheduler": None,
    "optimizer_name": "Adam",
    "optimizer": {"lr": 1e-4, "amsgrad": False},
    "online_hard_keypoint_mining": {
        "online_mining": False,
        "hard_to_easy_ratio": 2.0,
        "min_hard_keypoints": 2,
        "max_hard_keypoints": None,
        "loss_scale": 5.0,
    },
}
"""What sleap-nn asks for where it reads a model."""


def make_model(folder, confmaps, pafs):
    """Write a model folder as sleap-nn does, its weights drawn by their names."""
    heads = dict.fromkeys(
        (
            "single_instance",
            "centroid",
            "centered_instance",
            "multi_class_bottomup",
            "multi_class_topdown",
        )
    )
    heads["bottomup"] = {
        "confmaps": {
            "part_names": list(NODES),
            "sigma": 2.5,
            "output_stride": confmaps,
            "loss_weight": 1.0,
        },
        "pafs": {
            "edges": [list(edge) for edge in EDGES],
            "sigma": 15.0,
            "output_stride": pafs,
            "loss_weight": 1.0,
        },
    }
    unet = {
        "in_channels": 1,
        "kernel_size": 3,
        "filters": 4,
        "filters_rate": 1.5,
        "max_stride": 16,
        "stem_stride": None,
    }
    unet |= {
        "middle_block": True,
        "up_interpolate": True,
        "stacks": 1,
        "convs_per_block": 2,
        "output_stride": min(confmaps, pafs),
    }
    skeleton = {
        "name": "animal",
        "nodes": [{"name": name} for name in NODES],
        "edges": [{"source": {"name": a}, "destination": {"name": b}} for a, b in EDGES],
        "symmetries": [],
    }
    size = {"max_height": HEIGHT, "max_width": WIDTH, "scale": 1.0, "crop_size": None}
    config = {
        "data_config": {
            "preprocessing": {"ensure_rgb": False, "ensure_grayscale": False, **size},
            "skeletons": [skeleton],
        },
        "model_config": {
            "init_weights": "default",
            "pretrained_backbone_weights": None,
            "pretrained_head_weights": None,
            "backbone_config": {"unet": unet, "convnext": None, "swint": None},
            "head_configs": heads,
        },
        "trainer_config": TRAINER,
        "sleap_nn_version": "0.3.5",
    }
    folder.mkdir()
    (folder / "training_config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    state = {
        f"model.{name}": weights(name, value.shape)
        for name, value in build_network(config).state_dict().items()
    }
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.5.0"}, folder / "best.ckpt")


def weights(name, shape):
    """Return weights that keep the scale of activations, by Glorot's rule.

    The bias of the confidence maps lifts confidences above 0.
    """
    if len(shape) < 2:
        return torch.full(shape, 0.5 if name.startswith("head_layers.0.") else 0.0)
    limit = (12 / (np.prod(shape[1:]) + shape[0] * np.prod(shape[2:]))) ** 0.5
    drawn = np.random.default_rng(zlib.crc32(name.encode())).random(tuple(shape))
    return torch.tensor(limit * (2 * drawn - 1), dtype=torch.float32)


def make_labels(folder):
    """Write a few images of smooth spots, each with a labelled pose so that all are predicted."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    files = []
    for frame in range(FRAMES):
        image = np.zeros((HEIGHT, WIDTH))
        for x0, y0, size, light in rng.random((40, 4)):
            image += (
                200
                * light
                * np.exp(
                    -((x - WIDTH * x0) ** 2 + (y - HEIGHT * y0) ** 2) / (2 * (2 + 6 * size) ** 2)
                )
            )
        files.append(folder / f"{frame}.png")
        Image.fromarray(np.round(np.clip(image, 0, 255)).astype(np.uint8)).save(files[-1])
    video, skeleton = (
        sio.load_video([str(file) for file in files]),
        sio.Skeleton(list(NODES), edges=[list(edge) for edge in EDGES]),
    )
    pose = sio.Instance.from_numpy(np.full((len(NODES), 2), 9.0), skeleton=skeleton)
    labels = sio.Labels(
        [sio.LabeledFrame(video, frame, [pose]) for frame in range(FRAMES)],
        videos=[video],
        skeletons=[skeleton],
    )
    labels.save(str(folder / "labels.slp"), embed=False, verbose=False)
    return folder / "labels.slp"


def flags(refinement):
    """Return the flags that both commands take."""
    words = [f"--{name}={value}" for name, value in OPTIONS.items()]
    return [*words, "--integral_refinement", refinement]


def groups(labels):
    """Return the instances of each frame, by score.

    Returns:
        [score, coordinates of all nodes px] per instance, with None for missing nodes.
    """
    frames = {
        frame.frame_idx: frame.predicted_instances
        for frame in sio.load_slp(str(labels), open_videos=False)
    }
    return [
        sorted(
            (
                [float(i.score), [None if c != c else float(c) for c in i.numpy().ravel()]]
                for i in frames.get(f, [])
            ),
            key=str,
        )
        for f in range(FRAMES)
    ]


def main():
    """Ask sleap-nn about every pair of strides and refinement, and store what it finds."""
    answers = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = make_labels(folder)
        for confmaps, pafs in STRIDES:
            model = folder / f"{confmaps}-{pafs}"
            make_model(model, confmaps, pafs)
            for label, refinement in REFINEMENTS.items():
                out = folder / "out.slp"
                subprocess.run(
                    [
                        sys.argv[1],
                        "track",
                        "-i",
                        labels,
                        "-m",
                        model,
                        "-o",
                        out,
                        "-d",
                        "cpu",
                        *flags(refinement),
                    ],
                    check=True,
                )
                answers[f"{confmaps}-{pafs}-{label}"] = groups(out)
    ANSWERS.parent.mkdir(exist_ok=True)
    with gzip.GzipFile(ANSWERS, "wb", mtime=0) as file:
        file.write(json.dumps(answers, separators=(",", ":")).encode())
    print({case: [len(frame) for frame in frames] for case, frames in answers.items()})


if __name__ == "__main__":
    main()
