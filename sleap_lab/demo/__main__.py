"""Copy the demo into a folder, under the names that the documentation uses.

`python -m sleap_lab.demo practice`
"""

import shutil
import sys
from pathlib import Path

import sleap_io as sio

from sleap_lab.errors import system_reason

VIDEOS = {"clip.mp4": "video.mp4", "single.mp4": "single.mp4"}
TRUTHS = ("truth.slp", "single_truth.slp")
CLIPS = ("clips/a.mp4", "clips/b.mp4")
LABELED = 20
"""`labels.slp` has every 20th frame, as if a person had labelled some."""


def copy(folder: Path) -> None:
    """Fill a new folder with the clips, their true poses, labels of some frames, and the models.

    Args:
        folder: The folder.

    Raises:
        FileExistsError: It is there already.
    """
    demo = Path(__file__).parent
    folder.mkdir(parents=True)
    for source, target in VIDEOS.items():
        shutil.copyfile(demo / source, folder / target)
    for name in TRUTHS:
        labels = sio.load_slp(str(demo / name), open_videos=False)
        labels.replace_filenames(filename_map=VIDEOS)
        labels.save(str(folder / name), verbose=False)
    labels = sio.load_slp(str(folder / TRUTHS[0]), open_videos=False)
    labels.labeled_frames = labels.labeled_frames[::LABELED]
    labels.save(str(folder / "labels.slp"), verbose=False)
    for name in CLIPS:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(folder / "video.mp4", folder / name)
    shutil.copytree(demo / "models", folder / "models")


def main() -> int:
    """Read the command line and return the exit code."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(
            "python -m sleap_lab.demo FOLDER: "
            "copy clips, their true poses, labels of some frames, and models into a new folder",
            file=sys.stderr,
        )
        return 2
    folder = Path(sys.argv[1])
    try:
        copy(folder)
    except FileExistsError:
        print(f"error: {folder} is there already; choose a new folder", file=sys.stderr)
        return 2
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"error: {folder}: cannot be written ({system_reason(error)})", file=sys.stderr)
        return 1
    print(*sorted(str(path) for path in [*folder.glob("*.*"), *folder.glob("*/*")]), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
