"""Models of SLEAP 1.4 and older give the results of TensorFlow.

The results are raw maps of an image of zeros, and poses refined by offsets.
"""

import json

import h5py
import numpy as np
import pytest
import sleap_io as sio
import torch
from scipy.ndimage import map_coordinates

from sleap_lab.checkpoints import load_network, read_training_config
from sleap_lab.networks.heads import HEAD_LAYERS, OFFSETS_LAYER
from sleap_lab.pipelines.model import FrameBatch
from sleap_lab.pipelines.pipeline import build_pipeline
from sleap_lab.pipelines.single_instance import refined_global_peaks
from sleap_lab.settings.config import ModelConfig, PreprocessingConfig, RuntimeConfig

pytestmark = pytest.mark.conformance

MODELS = (
    "minimal_robot.UNet.single_instance",
    "minimal_instance.UNet.centroid",
    "minimal_instance.UNet.centered_instance",
    "minimal_instance.UNet.bottomup",
    "min_tracks_2node.UNet.bottomup_multiclass",
    "min_tracks_2node.UNet.topdown_multiclass",
)
CENTERED, BOTTOMUP = "minimal_instance.UNet.centered_instance", "minimal_instance.UNet.bottomup"


@pytest.mark.parametrize("name", MODELS)
def test_maps_of_an_image_of_zeros(name, reference):
    folder = reference / "legacy_models" / name
    if not folder.is_dir():
        pytest.skip(f"the reference has no {name}")
    config = read_training_config(folder)
    network = load_network(config, offsets="offsets" in config.heads)
    with h5py.File(folder / "dummy_activations.h5") as file:
        expected = {
            layer.removesuffix("_0"): values[()]
            for layer, values in file.items()
            if layer != "metadata"
        }
        _, h, w, channels = json.loads(file["metadata"][()])["input_shape"]
    with torch.inference_mode():
        maps = network(torch.zeros(1, channels, h, w))
    layers = HEAD_LAYERS[config.kind] | {"offsets": OFFSETS_LAYER}
    assert {layers[head] for head in maps} == expected.keys()
    for head, found in maps.items():
        found = found.permute(0, 2, 3, 1) if found.ndim == 4 else found
        # TensorFlow's own answer is 1.2e-5 off there, as float64 shows.
        tolerance = 3e-5 if (config.kind, head) == ("multi_class_bottomup", "confmaps") else 1e-6
        np.testing.assert_allclose(
            found.numpy(), expected[layers[head]], rtol=0, atol=tolerance, err_msg=head
        )


def predicted(folder):
    """Return TensorFlow's predictions in the first frame: points and scores, by x of node 0."""
    instances = sio.load_slp(str(folder / "labels_pr.val.slp"), open_videos=False)[0].instances
    order = np.argsort([instance.numpy()[0, 0] for instance in instances])
    return (
        np.array([values[i] for i in order])
        for values in zip(*((i.numpy(), i.points["score"]) for i in instances), strict=True)
    )


@pytest.fixture
def frame(reference):
    """The first frame (h, w) uint8, and its labels (2, nodes, 2).

    TensorFlow's video decoder gave one gray level more than the decoder that packed the frame, as
    all scores show.
    """
    labels = sio.load_slp(str(reference / "labels/minimal_instance.pkg.slp"))
    return labels[0].image[..., 0].clip(max=254) + 1, np.array(
        [instance.numpy() for instance in labels[0].instances]
    )


def test_offsets_of_a_bottomup_model(frame, reference):
    points, scores = predicted(reference / "legacy_models" / BOTTOMUP)
    model = ModelConfig(
        paths=[str(reference / "legacy_models" / BOTTOMUP)], integral_refinement="offsets"
    )
    pipeline = build_pipeline(model, PreprocessingConfig(), RuntimeConfig(device="cpu"), None)
    poses = pipeline.predict(
        FrameBatch(torch.from_numpy(frame[0])[None, None], np.ones(1), np.zeros((1, 2), np.int64))
    ).poses
    poses = poses[np.argsort(poses.points[:, 0, 0])]
    np.testing.assert_allclose(poses.points, points, rtol=0, atol=0.025)
    np.testing.assert_allclose(poses.point_scores, scores, rtol=0, atol=0.005)


def test_offsets_from_the_command(reference, run, tmp_path):
    points, _ = predicted(reference / "legacy_models" / BOTTOMUP)
    flags = (
        f"-i videos/centered_pair_small.mp4 -m legacy_models/{BOTTOMUP} --frames 0 "
        "--integral_refinement offsets"
    )
    run("track", flags, "-o", str(tmp_path / "found.slp"))
    found = np.array(
        [
            instance.numpy()
            for instance in sio.load_slp(str(tmp_path / "found.slp"), open_videos=False)[
                0
            ].instances
        ]
    )
    np.testing.assert_allclose(found[np.argsort(found[:, 0, 0])], points, rtol=0, atol=0.1)


def test_offsets_of_a_centered_instance_model(frame, reference):
    # TensorFlow cut crops of n px from c - (n - 1) / 2, a fraction, truncated their pixels, and
    # counted points from c - n / 2.
    image, labels = frame
    points, scores = predicted(reference / "legacy_models" / CENTERED)
    config = read_training_config(reference / "legacy_models" / CENTERED)
    network, size = load_network(config, offsets=True), config.crop_size
    for (x, y), expected, score in zip(labels.mean(axis=1), points, scores, strict=True):
        steps = np.arange(size) - (size - 1) / 2
        crop = map_coordinates(
            image, np.meshgrid(y + steps, x + steps, indexing="ij"), order=1, output=float
        ).astype(np.uint8)
        with torch.inference_mode():
            maps = network(torch.from_numpy(crop)[None, None] / 255)
        found, values = refined_global_peaks(maps, [None])
        np.testing.assert_allclose(
            found[0, :, 0] * config.stride("confmaps") + torch.tensor([x, y]) - size / 2,
            expected,
            rtol=0,
            atol=0.025,
        )
        np.testing.assert_allclose(values[0], score, rtol=0, atol=0.005)
