"""Make the demo of sleap_lab: two rendered clips, their true poses, and six small trained models.

    python -m scripts.make_demo                          everything
    python -m scripts.make_demo --only clip centroid     some parts; the others stay as they are
    python -m scripts.make_demo --out DIR                into another folder

Parts: `clip` (clip.mp4 with truth.slp: three mouse-like animals that pass each other), `single`
(single.mp4 with single_truth.slp: one animal), and one per model kind, written to models/<kind>/.
A clip takes seconds. The models are trained on random scenes that are not in the clips, one to
eight minutes each on one CPU core. Single-instance and multi-class models begin with the weights of
the bottom-up and centered-instance models in the same folder. With glibc, training is up to three
times as fast when memory stays with the process:
MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=4294967296.

Everything is seeded. Poses and frames are the same on every machine; encoded video and weights may
differ in the last bits between versions of ffmpeg and PyTorch.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import sleap_io as sio
import torch

from scripts.demo import choreography, models
from scripts.demo.scene import IDENTITIES, SKELETON, Animal, expose, floor, nodes_of, render
from sleap_lab.media.labels import save_labels, to_labels
from sleap_lab.poses.record import Poses, make_poses

OUT = Path(__file__).resolve().parent.parent / "sleap_lab" / "demo"
FPS = 15


def frames(scenes: list[list[Animal]], shape: tuple[int, int], seed: int) -> np.ndarray:
    """Return the recorded frames (frames, h, w) uint8 of the animals on one floor."""
    rng = np.random.default_rng(seed)
    background = floor(rng, shape)
    return np.stack([expose(render(background, animals), rng) for animals in scenes])


def truth(scenes: list[list[Animal]]) -> Poses:
    """Return the true poses, labelled as by a person; each look is a track."""
    rows = [(frame, animal) for frame, animals in enumerate(scenes) for animal in animals]
    names = [name for name in IDENTITIES if any(animal.identity == name for _, animal in rows)]
    return make_poses(
        SKELETON,
        [nodes_of(animal.spine) for _, animal in rows],
        frame=[frame for frame, _ in rows],
        instance_scores=np.nan,
        tracks=[names.index(animal.identity) for _, animal in rows],
        user=True,
        track_names=names,
    )


def make_clip(
    folder: Path,
    video_name: str,
    labels_name: str,
    scenes: list[list[Animal]],
    shape: tuple[int, int],
    seed: int,
) -> None:
    """Write a clip and its labels.

    The labels name the video without a folder so that both can be moved together.
    """
    path = folder / video_name
    gray = frames(scenes, shape, seed)
    sio.save_video(np.repeat(gray[..., None], 3, axis=-1), path, fps=FPS, crf=26, preset="slow")
    video = sio.load_video(str(path))
    video.close()
    video.replace_filename(video_name, open=False)
    save_labels(to_labels(truth(scenes), [video]), folder / labels_name)


def parts(folder: Path) -> dict[str, Callable[[], None]]:
    """Return what makes each part, by its name."""
    clip, single = choreography.clip(), choreography.single()
    return {
        "clip": partial(
            make_clip, folder, "clip.mp4", "truth.slp", clip, choreography.CLIP_SHAPE, seed=1
        ),
        "single": partial(
            make_clip,
            folder,
            "single.mp4",
            "single_truth.slp",
            single,
            choreography.SINGLE_SHAPE,
            seed=2,
        ),
        **{kind: partial(models.train, kind, folder / "models") for kind in models.RECIPES},
    }


def main() -> None:
    """Make the parts that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=OUT, help="folder to write to (default: the package's own)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(parts(OUT)), help="parts to make (default: all)"
    )
    arguments = parser.parse_args()
    makers = parts(arguments.out)
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # sums then come out the same whatever the number of cores
    for name in arguments.only or makers:
        print(f"making {name}")
        makers[name]()


if __name__ == "__main__":
    main()
