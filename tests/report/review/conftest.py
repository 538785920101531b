"""A scene of two discs on a dark floor, each followed by a pose of its centre."""

import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.quality.assess import assess
from sleap_lab.quality.suspects import Suspect
from sleap_lab.report.review.page import Content, write_review

HEIGHT, WIDTH, FRAMES, RADIUS = 96, 160, 60, 12
SKELETON = Skeleton(nodes=("center",))


def centers(frame):
    """(2, 2) px, the centres of the discs: one moves right and one left."""
    return np.array([[20.0 + 2 * frame, 28.0], [140.0 - 2 * frame, 68.0]])


@pytest.fixture(scope="session")
def read_scene():
    """Return a function that draws a frame of a video: white discs on black."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]

    def read(video, frame):
        inside = [np.hypot(x - cx, y - cy) <= RADIUS for cx, cy in centers(frame)]
        return np.where(np.any(inside, axis=0), 255, 0).astype(np.uint8)[..., None]

    return read


@pytest.fixture(scope="session")
def make_recording(read_scene):
    """Return a function that makes a recording of some videos; options are those of `Content`."""

    def make(frames=range(FRAMES), videos=1, names=("left", "right"), tracked=True, **options):
        frames = list(frames)
        poses = make_poses(
            SKELETON,
            [center for _ in range(videos) for frame in frames for center in centers(frame)],
            video=np.repeat(range(videos), 2 * len(frames)),
            frame=np.tile(np.repeat(frames, 2), videos),
            tracks=np.tile([0, 1], videos * len(frames)) if tracked else -1,
            track_names=names if tracked else (),
        )
        usual = {
            "title": "scene",
            "videos": [f"video{i}.mp4" for i in range(videos)],
            "moments": [moment(30, names[:1]), moment(10, names), moment(50)],
            "read": read_scene,
            "rates": dict.fromkeys(range(videos), 20.0),
        }
        return Content(quality=assess(poses), **usual | options)

    return make


@pytest.fixture
def make_animals():
    """Return a function that makes ten frames of an animal of some px, in a video that is gone."""

    def make(length, **options):
        poses = make_poses(
            Skeleton(("head", "tail"), ((0, 1),)),
            np.array([[50.0, 40.0], [50.0 + length, 40.0]]) + np.zeros((10, 1, 1)),
            frame=np.arange(10),
            tracks=0,
            track_names=("a",),
        )
        return Content(
            title="animal",
            videos=["gone.mp4"],
            quality=assess(poses),
            read=None,
            problems={0: "it is gone"},
            sizes={0: (96, 160)},
            **options,
        )

    return make


def moment(frame, animals=(), video=0, reason="moves much", nodes=()):
    return Suspect(video, frame, frame - 2, frame + 2, tuple(animals), 0.5, reason, tuple(nodes))


@pytest.fixture(scope="session")
def make_moment():
    return moment


@pytest.fixture
def unreadable():
    def read(video, frame):
        raise RunError("it is torn")

    return read


@pytest.fixture
def play(chromium, tmp_path):
    """Return a function that writes the page of a recording and opens it.

    The test fails where the page reports a problem or fetches something.
    """
    problems, pages = [], []

    def note(message):
        if "getImageData" not in message.text:  # the tests read pixels, the page never does
            problems.append(message.text)

    def play(recording, *, width=1280, scheme="light", has_touch=False, **options):
        path = tmp_path / "review.html"
        write_review(path, recording, **options)
        page = chromium.new_page(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            device_scale_factor=1,
            has_touch=has_touch,
            is_mobile=has_touch,
        )
        pages.append(page)
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                problems.append(f"fetched {request.url}")
                if not request.url.startswith(("file:", "blob:", "data:", "about:"))
                else None
            ),
        )
        page.goto(path.as_uri())
        page.wait_for_selector("#picture[data-frame]")
        return page

    yield play
    for page in pages:
        page.close()
    assert problems == []
