"""The report in a browser.

No message on the console, nothing fetched, every figure drawn, nothing too wide.
"""

import pytest

from sleap_lab.report.page import write_report


@pytest.fixture(scope="module")
def report(tmp_path_factory, poses, truth, evaluation, read_image):
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(
        path, settings={"a": 1}, defaults={"a": 2},
        summary={"title": "flies", "stages": {"predict": 1.0}}, poses=poses, truth=truth,
        evaluation=evaluation, read_image=read_image, notes=["a note"],
        bad_frames=[{"video": "a", "frames": "7", "count": 1, "problem": "torn"}],
    )  # fmt: skip
    return path


@pytest.mark.parametrize("width", [1280, 500])
def test_the_report_in_a_browser(browse, report, width):
    found = browse(report, width)
    assert (found["problems"], found["messages"], found["fetched"]) == ([], [], [])
    assert found["images"] == found["drawn"] > 8
    assert found["titles"] == [
        "Error of each node", "PCK of each node", "Similarity of matched pairs",
        "Error over the frames", "Instances in each frame", "Frames that each track covers",
        "Nodes found", "Confidence of predicted instances",
    ]  # fmt: skip
    assert found["overflow"] <= 0


def test_what_is_folded_is_unfolded_on_paper(chromium, report):
    page = chromium.new_page()
    page.goto(report.as_uri())
    inside = page.locator("details:has-text('All metrics') td").first
    assert not inside.is_visible()
    page.emulate_media(media="print")
    assert inside.is_visible()
    assert not page.is_visible("text=All 1 settings")
    page.close()
