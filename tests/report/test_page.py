import base64
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from sleap_lab.errors import RunError
from sleap_lab.poses.record import Skeleton, make_poses
from sleap_lab.report.page import write_report

SETTINGS = {"data.path": "flies.mp4", "tracker.tracking": True, "model.max_instances": None}
DEFAULTS = {"data.path": None, "tracker.tracking": False, "model.max_instances": None}
SUMMARY = {
    "title": "flies · topdown",
    "status": "finished",
    "command": "sleap-lab data.path=flies.mp4",
    "started": "2025-01-31 12:00:00",
    "device": "cpu",
    "stages": {"predict": 75.0, "track": 0.5},
    "counts": {"frames": 5, "frames_per_second": 31.25},
    "models": ["models/centroid"],
    "data": {"video": "flies.mp4"},
    "cache": {"predict": "hit"},
}


@pytest.fixture(scope="module")
def arguments(poses, truth, evaluation):
    """What the report of the shared run is made from, but for the pictures, which take time."""
    return {
        "settings": SETTINGS,
        "defaults": DEFAULTS,
        "summary": SUMMARY,
        "poses": poses,
        "truth": truth,
        "evaluation": evaluation,
        "read_image": None,
    }


@pytest.fixture(scope="module")
def page(tmp_path_factory, arguments, read_image):
    """The report of the shared run, with everything in it."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(
        path, **arguments | {"read_image": read_image}, notes=["Frame 3 could not be read."]
    )
    return path.read_text(encoding="utf-8")


@pytest.fixture
def write(tmp_path, arguments):
    """Write a report that differs from the shared one; pictures only if `read_image` is given."""

    def run(**changes):
        path = tmp_path / "report.html"
        write_report(path, **arguments | changes)
        return path.read_text(encoding="utf-8")

    return run


def words(page: str) -> str:
    """The text that a reader sees, one space between words; a page with broken tags fails."""
    found, open_tags = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in ("img", "meta", "br"):
                open_tags.append(tag)

        def handle_endtag(self, tag):
            assert open_tags.pop() == tag

        def handle_data(self, data):
            if "style" not in open_tags:
                found.append(data)

    Reader().feed(page)
    assert not open_tags
    return " ".join(" ".join(found).split())


def images(page: str) -> list[tuple[str, bytes]]:
    sources = re.findall(r'<img src="data:image/([a-z+]+);base64,([^"]*)"', page)
    return [(kind, base64.b64decode(data, validate=True)) for kind, data in sources]


def test_key_facts_are_there(page, evaluation):
    text = words(page)
    for fact in (
        "flies · topdown finished started 2025-01-31 12:00:00 on cpu",
        "Read this first Frame 3 could not be read.",
        f"AP {evaluation.coco['ap']:.3f} average precision, OKS 0.50 to 0.95; "
        "extra and missing count; oks_stddev 0.05",
        f"OKS mAP {evaluation.metrics['voc_metrics']['oks_voc.mAP']:.3f} as sleap-nn",
        "Found 7 of 8 true instances; extra predictions: 1",
        # 3 nodes off by 0 px (one of 6 lost), 6 by 1 px, 6 by 2 px, 3 by 3 px
        f"Mean error {(5 * 0 + 6 * 1 + 6 * 2 + 3 * 3) / 20:.2f} px",
        "Speed 31.2 frames/s",
        "Instances 8 1.60 per frame, 5 frames",
        "Tracks 2",
        "oks_stddev=0.05",
        "Different from the defaults Key This run Default data.path flies.mp4 null "
        "tracker.tracking true false All 3 settings",
        "sleap-lab data.path=flies.mp4",
        "predict 1 min 15 s track 0.50 s",
        "frames 5 frames per second 31.25",
        "Stage cache predict hit",
        "Largest errors Frame 3 · mean error 3.0 px, worst node head, 3.0 px",
        "Frame 2 · 3 predicted, 2 in the ground truth, mean error 2.0 px",
    ):
        assert fact in text


def test_nothing_external_is_referenced(page):
    references = re.findall(
        r'(?:src|href|srcset|action)\s*=\s*"([^"]*)"|url\(([^)]*)\)|(@import)', page
    )
    assert len(references) > 5
    references = [reference[0] for reference in references]
    assert all(reference.startswith(("data:image/", "#")) for reference in references)
    assert "<script" not in page


def test_images_are_complete_and_described(page):
    kinds = [kind for kind, _ in images(page)]
    assert kinds.count("svg+xml") == 8
    assert (
        kinds.count("png") == 4 + 4
    )  # worst pairs and evenly spaced frames; one of the five frames is empty
    for kind, data in images(page):
        assert (
            ElementTree.fromstring(data).tag.endswith("svg")
            if kind == "svg+xml"
            else data.startswith(b"\x89PNG")
        )
    assert page.count("<img ") == len(kinds) == len(re.findall(r'<img [^>]*alt="[^"]{20,}"', page))


def test_names_from_outside_are_escaped(write, poses, truth, score, read_image):
    hostile = '<script>alert("x")</script>'
    skeleton = Skeleton(nodes=(hostile, "$x_1^", "_line\nbreak\x00"), edges=((0, 1),))
    poses, truth = (
        replace(record, skeleton=skeleton, track_names=(hostile, "b")) for record in (poses, truth)
    )
    page = write(
        poses=poses,
        truth=truth,
        evaluation=score(truth, poses),
        settings={hostile: hostile},
        summary=dict.fromkeys(("title", "status", "command", "started", "device"), hostile)
        | {
            "stages": {hostile: 1.0},
            "counts": {hostile: 1},
            "models": [hostile],
            "data": {hostile: [hostile]},
        },
        notes=[hostile],
        read_image=read_image,
    )
    assert "<script" not in page
    text = words(page)
    assert f"Read this first {hostile}" in text
    assert f"worst node {hostile}" in text
    drawn = [ElementTree.fromstring(data) for kind, data in images(page) if kind == "svg+xml"]
    labels = {
        element.text for svg in drawn for element in svg.iter("{http://www.w3.org/2000/svg}text")
    }
    assert {hostile[:25] + "…", "$x_1^", "_line�break�"} <= labels
    assert not [element for svg in drawn for element in svg.iter() if "script" in element.tag]


def test_names_that_are_not_text_are_written_out(write):
    settings = {"data.path": b"caf\xe9.mp4".decode(errors="surrogateescape")}
    assert r"caf\udce9.mp4" in write(settings=settings, truth=None, evaluation=None)


def test_same_input_gives_the_same_page(page, write, read_image):
    assert write(read_image=read_image, notes=["Frame 3 could not be read."]) == page


def test_without_truth_only_what_applies(write, read_image):
    text = words(write(truth=None, evaluation=None, read_image=read_image))
    assert "Not compared with ground truth" in text
    assert "Confidence of predicted instances" in text
    for word in ("Accuracy", "OKS", "Mean error", "Largest errors", "White rings"):
        assert word not in text


def test_truth_that_was_not_compared_is_drawn(write, read_image):
    assert "2 in the ground truth" in words(write(evaluation=None, read_image=read_image))


@pytest.mark.parametrize("compared", [True, False])
def test_zero_instances_are_said_loudly(write, poses, truth, score, read_image, compared):
    nothing = poses[:0]
    reference = (
        {"truth": truth, "evaluation": score(truth, nothing)}
        if compared
        else {"truth": None, "evaluation": None}
    )
    page = write(poses=nothing, read_image=read_image, **reference)
    assert '<div class="alarm" role="alert"><strong>Nothing was predicted</strong>' in page
    text = words(page)
    assert "No instance was found in any of the 5 processed frames." in text
    assert "5 of 5 processed frames are empty." in text
    assert ("Found 0 of 8" in text) == compared
    assert [kind for kind, _ in images(page)].count("png") == 4


def test_no_alarm_when_something_was_predicted(page):
    assert "Nothing was predicted" not in page


def test_nothing_matched(write, poses, truth, score):
    elsewhere = replace(poses, points=poses.points + 1e6)
    text = words(write(poses=elsewhere, evaluation=score(truth, elsewhere)))
    assert "Accuracy No predicted instance was matched with a true one" in text
    assert "Found 0 of 8 true instances; extra predictions: 8" in text


def test_no_frame_at_all(write):
    empty = make_poses(Skeleton(("head",)), [])
    assert "Instances 0 no frame processed" in words(
        write(poses=empty, truth=None, evaluation=None)
    )


def test_centroids(write, poses, truth, score):
    centroids = replace(
        poses,
        skeleton=Skeleton(("centroid",)),
        points=poses.points[:, 1:2],
        point_scores=poses.point_scores[:, 1:2],
    )
    text = words(
        write(
            poses=centroids,
            evaluation=score(truth, centroids),
            notes=["OKS measures detection only"],
        )
    )
    for fact in (
        "Read this first OKS measures detection only",
        "Detection F1",
        "Error of matched centroids",
        "match_method=centroid",
    ):
        assert fact in text
    for word in ("OKS mAP", "PCK", "Nodes found"):
        assert word not in text


def test_notes_of_evaluation_and_run_are_shown_once(write, evaluation):
    page = write(
        evaluation=replace(evaluation, notes=("both", "from evaluation")),
        notes=["both", "from run"],
    )
    assert "Read this first both from run from evaluation Numbers" in words(page)


def test_frames_that_cannot_be_read_are_named(write, read_image):
    def broken(video, frame):
        if frame == 3:
            raise IndexError("not in the <file>")
        return read_image(video, frame)

    text = words(write(read_image=broken))
    assert text.count("Frame 3 could not be read: not in the <file>") == 1
    assert "Frame 3 ·" not in text
    assert "Frame 2 ·" in text


def test_almost_nothing_known(write):
    text = words(write(summary={}, settings={}, defaults={}, truth=None, evaluation=None))
    assert "Every setting has its default." in text
    for word in ("Time of each stage", "Pictures"):
        assert word not in text


def test_videos_and_nodes_in_another_order(page, write, read_image, poses, truth, score):
    """The predictions number their one video 3 and begin with the tail.

    Pictures and nodes must still fit the metrics.
    """
    tail_first = [2, 1, 0]
    other = replace(
        poses,
        skeleton=Skeleton(("tail", "thorax", "head"), edges=((2, 1), (1, 0))),
        video=np.full(len(poses), 3, np.int32),
        points=poses.points[:, tail_first],
        point_scores=poses.point_scores[:, tail_first],
        frames=poses.frames + np.array([3, 0]),
    )
    reordered = write(
        poses=other, evaluation=score(truth, other, {3: 0}, oks_stddev=0.05), read_image=read_image
    )
    pictures, expected = (
        [data for kind, data in images(text) if kind == "png"] for text in (reordered, page)
    )
    assert pictures == expected
    assert "worst node head, 3.0 px" in words(reordered)


def test_a_failed_write_leaves_nothing_behind(write, tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(RunError, match=r"report\.html: cannot be written"):
        write(truth=None, evaluation=None)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_matplotlib_is_imported_late_and_pyplot_never():
    code = """
import sys
from sleap_lab.report import drawing, figures
import sleap_lab.report
assert not any(name.startswith("matplotlib") for name in sys.modules)
with drawing.house_style():
    drawing.data_uri(figures.nodes_found(["a"], figures.np.ones(1)))
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_frames_that_could_not_be_read_are_listed(write):
    ranges = [
        {"video": "a.mp4", "frames": "7-9", "count": 3, "problem": "cannot be decoded"},
        {"video": "<b>.mp4", "frames": "3", "count": 1, "problem": "<missing>"},
    ]
    text = words(write(bad_frames=ranges))
    assert (
        "Frames that could not be read 4 frames; each of them in bad_frames.csv "
        "Video Frames Problem" in text
    )
    assert "a.mp4 7-9 cannot be decoded <b>.mp4 3 <missing>" in text


def test_figures_are_written_as_files_where_asked(write, tmp_path):
    write()
    assert not (tmp_path / "figures").exists()
    write(figure_files=("svg", "png"))
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {
        "error_of_each_node.svg",
        "error_of_each_node.png",
        "frames_that_each_track_covers.svg",
    } <= names
    assert len(names) == 2 * 8
    ElementTree.parse(tmp_path / "figures" / "pck_of_each_node.svg")
    assert (tmp_path / "figures" / "pck_of_each_node.png").read_bytes().startswith(b"\x89PNG")
