"""The page as a file."""

import base64
import json
import re
from io import BytesIO

import av
import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.evaluation import Switch
from sleap_lab.report.review.page import MOST_MOMENTS, write_review


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a page, and returns its data and its films."""

    def write(recording, **options):
        path = tmp_path / "review.html"
        write_review(path, recording, **options)
        text = path.read_text(encoding="utf-8")
        data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
        films = re.findall(r'id="film-\d+">(.*?)</script>', text, re.S)
        return text, data, [base64.b64decode(film) for film in films]

    return write


def pictures(film):
    with av.open(BytesIO(film)) as container:
        return [picture.to_ndarray(format="gray") for picture in container.decode(video=0)]


def numbers(text):
    return np.frombuffer(base64.b64decode(text), "<i4").tolist()


def test_the_film_holds_the_frames_of_the_page(write, make_recording, read_scene):
    frames = [0, 1, 2, 10, 11, 40]
    _, data, (film,) = write(make_recording(frames=frames))
    assert numbers(data["videos"][0]["frames"]) == frames
    shown = pictures(film)
    assert len(shown) == len(frames)
    for picture, frame in zip(shown, frames, strict=True):
        assert abs(picture.astype(int) - read_scene(0, frame)[..., 0]).mean() < 4


def test_the_budget_holds(write, make_recording, make_moment):
    budget = 5000
    _, data, (film,) = write(make_recording(moments=[make_moment(50)]), budget=budget)
    held = numbers(data["videos"][0]["positions"])
    assert 50 in held
    assert len(pictures(film)) == len(held) < 60
    assert len(film) + len(held) * 2 * 4 * 2 <= budget


def test_moments_beyond_the_page_are_marked(write, make_recording, make_moment):
    _, data, _ = write(make_recording(moments=[make_moment(50), make_moment(5)]), budget=3000)
    assert [moment["held"] for moment in data["moments"]] == [True, False]


def test_only_so_many_moments_are_listed(write, make_recording, make_moment):
    moments = [make_moment(5)] * (MOST_MOMENTS + 1)
    text, data, _ = write(make_recording(moments=moments))
    assert len(data["moments"]) == MOST_MOMENTS
    assert f"The first {MOST_MOMENTS} of 501" in text


def test_frames_that_cannot_be_read_are_gray_and_counted(write, make_recording, read_scene):
    def read(video, frame):
        if frame in (3, 4):
            raise RunError("torn")
        return read_scene(video, frame)

    text, _, (film,) = write(make_recording(read=read))
    assert "video0.mp4: frames that cannot be read, and are gray here: 2" in text
    assert abs(pictures(film)[3].astype(int) - 128).max() < 20


def test_switches_and_truth_of_an_evaluation(write, make_recording):
    recording = make_recording()
    switch = Switch(0, 0, 20, "mouse", "left", "right", "", float("nan"))
    _, data, _ = write(make_recording(truth=recording.quality.order.poses, switches=[switch]))
    assert data["switches"] == [
        {"video": 0, "frame": 20, "animal": "mouse", "from": "left", "to": "right"}
    ]
    assert data["videos"][0]["truth"]["nodes"] == 1
    assert data["evaluated"]


def test_equal_recordings_give_equal_pages(write, make_recording):
    assert write(make_recording())[0] == write(make_recording())[0]
