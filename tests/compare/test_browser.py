"""The comparison in a browser: no message on the console, nothing fetched, nothing too wide."""

import pytest

from sleap_lab.compare.page import write_page
from sleap_lab.compare.runs import compare


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("n", [2, 8])
def test_the_comparison_in_a_browser(browse, make_run, tmp_path, n, width):
    settings = [
        {"model.paths": [f"/data/a/long/way/down/to/the/models/{i % 2}"], "tracker.window": i // 2}
        for i in range(n)
    ]
    folders = [
        make_run(f"a run with a rather long name {i}", off=3 + i % 2, settings=settings[i])
        for i in range(n)
    ]
    write_page(compare(folders), tmp_path / "compare.html")
    found = browse(tmp_path / "compare.html", width)
    assert (found["problems"], found["messages"], found["fetched"]) == ([], [], [])
    assert found["overflow"] <= 0
