"""What sleap-nn answers for models that were trained on tiles.

    python tests/pipelines/make_tile_cases.py     (where sleap-nn 0.3.5 is installed)

The models are the single-instance model of the demo with tiles in its config. `test_tiling.py`
compares with the answers.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import sleap_io as sio
import yaml

DEMO = Path(__file__).parents[2] / "sleap_lab" / "demo"
ANSWERS = Path(__file__).parent / "data" / "tiles_0.3.5.json"
TILING = {
    "enabled": True,
    "tile_size": 96,
    "overlap": 32,
    "min_overlap_fraction": 0.25,
    "blend": "gaussian",
    "sigma_scale": 0.125,
    "accumulator_device": "auto",
    "cpu_thresh": 0.4,
}
CASES = {
    "96 px": ({}, {}),
    "64 px": ({"tile_size": 64, "overlap": 16}, {}),
    "wide window, overlap rounded up": (
        {"tile_size": 64, "overlap": 24, "sigma_scale": 0.5},
        {},
    ),
    "constant window": ({"blend": "constant"}, {}),
    "overlap too small": ({"overlap": 8}, {}),
    "tile larger than the image": ({"tile_size": 512, "overlap": 128}, {}),
    "scaled": ({}, {"scale": 0.5}),
    "sizes of training": ({}, {"max_height": 160, "max_width": 160}),
}
"""Case -> keys of tiling, and of preprocessing, that differ."""
FRAMES = range(4)
OPTIONS = {"peak_threshold": 0.0, "integral_refinement": None}
"""Every node is found, at a whole pixel of the map."""


def make_model(case, folder):
    """Write the model of a case."""
    tiling, preprocessing = CASES[case]
    folder = shutil.copytree(DEMO / "models" / "single_instance", folder)
    file = Path(folder) / "training_config.yaml"
    config = yaml.safe_load(file.read_text())
    config["data_config"]["preprocessing"] |= {"tiling": TILING | tiling} | preprocessing
    config["model_config"] |= {"pretrained_backbone_weights": None, "pretrained_head_weights": None}
    file.write_text(yaml.safe_dump(config))
    return folder


def main():
    """Ask sleap-nn about every case."""
    from click.testing import CliRunner
    from sleap_nn.cli import cli

    answers = {}
    for case in CASES:
        with TemporaryDirectory() as scratch:
            model, output = make_model(case, Path(scratch) / "model"), Path(scratch) / "p.slp"
            words = ["-i", DEMO / "single.mp4", "-m", model, "-o", output, "-d", "cpu"]
            words += ["--frames", f"{FRAMES[0]}-{FRAMES[-1]}"]
            words += [word for name, value in OPTIONS.items() for word in (f"--{name}", value)]
            ended = CliRunner().invoke(cli, ["predict", *map(str, words)])
            assert ended.exit_code == 0, ended.output
            labels = sio.load_slp(str(output), open_videos=False)
            answers[case] = [own.numpy().round(3).tolist() for frame in labels for own in frame]
    ANSWERS.write_text(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
