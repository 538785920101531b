import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sleap_lab.errors import RunError
from sleap_lab.settings.config import TrackerConfig
from sleap_lab.tracking.flow import STOP, Flow

NAN = np.nan
NOISE = gaussian_filter(np.random.default_rng(0).normal(size=(120, 160)), 3)
TEXTURE = ((NOISE - NOISE.min()) / np.ptp(NOISE) * 255).astype(np.uint8)[..., None]


class Video:
    """A texture that moves by (3, 2) px per frame, and a list of the frames that were read."""

    def __init__(self, channels=1):
        self.read = []
        self.channels = channels

    def __call__(self, video, frame):
        self.read.append((video, frame))
        return np.roll(TEXTURE, (2 * frame, 3 * frame), axis=(0, 1)).repeat(self.channels, axis=-1)


def config(**settings):
    return TrackerConfig(use_flow=True, **settings)


POSES = np.array([[[50.0, 40.0], [70.0, 60.0]], [[90.0, 50.0], [NAN, NAN]]])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "settings", [{}, {"of_img_scale": 0.5}, {"of_window_size": 15, "of_max_levels": 1}]
)
def test_poses_follow_the_image(channels, settings):
    moved = Flow(Video(channels), 0, config(**settings)).move(POSES, np.array([0, 1]), 2)
    np.testing.assert_allclose(moved[0], POSES[0] + [6, 4], atol=0.15)
    np.testing.assert_allclose(moved[1], POSES[1] + [3, 2], atol=0.15)


def test_empty_places_and_missing_nodes_stay_missing():
    moved = Flow(Video(), 0, config()).move(POSES, np.array([-1, 0]), 1)
    np.testing.assert_array_equal(np.isnan(moved[..., 0]), [[True, True], [False, True]])


def test_a_frame_without_any_node_is_nothing_to_follow():
    moved = Flow(Video(), 0, config()).move(
        np.stack([np.full((2, 2), NAN), POSES[0]]), np.array([0, 1]), 2
    )
    assert np.isnan(moved[0]).all()
    np.testing.assert_allclose(moved[1], POSES[0] + [3, 2], atol=0.15)


def test_opencv_is_told_what_was_set(monkeypatch):
    told = {}
    follow = cv2.calcOpticalFlowPyrLK
    monkeypatch.setattr(
        cv2,
        "calcOpticalFlowPyrLK",
        lambda *images, **options: told.update(options) or follow(*images, **options),
    )
    Flow(Video(), 0, config(of_window_size=15, of_max_levels=1)).move(POSES, np.array([0, 1]), 2)
    assert told == {"winSize": (15, 15), "maxLevel": 1, "criteria": STOP}


def test_a_lost_point_is_missing():
    outside = np.array([[[1000.0, 1000.0], [50.0, 40.0]]])
    moved = Flow(Video(), 0, config()).move(outside, np.array([0]), 1)
    np.testing.assert_array_equal(np.isnan(moved[..., 0]), [[True, False]])


def test_each_image_is_read_once_and_kept_as_long_as_it_is_needed():
    video = Video()
    flow = Flow(video, 7, config())
    flow.move(POSES, np.array([0, 0]), 1)
    flow.move(POSES, np.array([0, 1]), 3)
    assert video.read == [(7, 0), (7, 1), (7, 3)]
    flow.move(POSES, np.array([3, 3]), 4)
    assert list(flow.images) == [3, 4]


def test_images_of_two_sizes_are_refused():
    def read_image(video, frame):
        return np.zeros((10 + frame, 20, 1), dtype=np.uint8)

    with pytest.raises(RunError, match=r"video 5 frame 2 is \(12, 20, 1\) after \(10, 20, 1\)"):
        Flow(read_image, 5, config()).move(POSES, np.array([0, 0]), 2)
