"""A small run of two flies on five frames with ground truth, and run folders to compare.

The tests of the report share them.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sleap_lab.evaluation import Evaluation, evaluate
from sleap_lab.poses.record import Poses, Skeleton, concatenate, make_poses
from sleap_lab.settings.config import EvaluatorConfig

SKELETON = Skeleton(nodes=("head", "thorax", "tail"), edges=((0, 1), (1, 2)))
FLY = np.array([[10.0, 20.0], [20.0, 30.0], [30.0, 20.0]])
FRAMES = [(0, frame) for frame in range(5)]


@pytest.fixture(scope="session")
def truth() -> Poses:
    """One fly at x=0 and one at x=40 in frames 0 to 3; frame 4 is labelled as empty."""
    points = [FLY + np.array([40, 0]) * fly for frame in range(4) for fly in range(2)]
    return make_poses(
        SKELETON,
        points,
        frame=np.repeat(range(4), 2),
        instance_scores=np.nan,
        tracks=[0, 1] * 4,
        user=True,
        track_names=["a", "b"],
        frames=FRAMES,
    )


@pytest.fixture(scope="session")
def poses(truth: Poses) -> Poses:
    """The truth, off by (0, frame) px.

    A tail is lost, the second fly of frame 3 is missing, and frame 2 has an extra fly.
    """
    points = truth.points + np.stack([np.zeros(8), truth.frame], axis=1)[:, None]
    points[0, 2] = np.nan
    found = replace(
        truth, points=points, instance_scores=np.linspace(0.9, 0.2, 8), user=np.zeros(8, bool)
    )[:7]
    extra = make_poses(
        SKELETON,
        [FLY + np.array([0, 60])],
        frame=2,
        instance_scores=0.1,
        tracks=-1,
        track_names=["a", "b"],
        frames=[],
    )
    return concatenate([found, extra])


@pytest.fixture(scope="session")
def score() -> Callable[..., Evaluation]:
    """Evaluate with the given settings.

    Every video is compared with the one of the same index unless stated otherwise.
    """

    def run(
        truth: Poses, poses: Poses, videos: dict[int, int] | None = None, **settings: object
    ) -> Evaluation:
        return evaluate(truth, poses, EvaluatorConfig(**settings), videos=videos or {0: 0})

    return run


@pytest.fixture(scope="session")
def evaluation(score: Callable[..., Evaluation], truth: Poses, poses: Poses) -> Evaluation:
    return score(truth, poses, oks_stddev=0.05)


@pytest.fixture(scope="session")
def read_image() -> Callable[[int, int], np.ndarray]:
    def read(video: int, frame: int) -> np.ndarray:
        return np.full((80, 100, 1), 40 + 10 * frame, dtype=np.uint8)

    return read


@pytest.fixture(scope="session")
def chromium() -> object:
    """The Chromium of this machine, driven by Playwright."""
    api = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed; pip install playwright"
    )
    path = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip("no Chromium on this machine; the page is not played")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
