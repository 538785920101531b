import sys
from pathlib import Path

import pytest
import sleap_io as sio

import sleap_lab.demo
from sleap_lab.media.labels import read_labels
from sleap_lab.poses.record import Poses

# The maker of the demo is a script with modules beside it, not part of the package.
sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(scope="session")
def folder() -> Path:
    return Path(sleap_lab.demo.__file__).parent


@pytest.fixture(scope="session")
def truth(folder: Path) -> Poses:
    from sleap_lab.media.labels import to_poses

    return to_poses(read_labels(folder / "truth.slp"))


@pytest.fixture(scope="session")
def clip(folder: Path) -> sio.Video:
    return sio.load_video(str(folder / "clip.mp4"))
