"""The pages in a real browser: no message on the console, nothing fetched, every figure drawn, nothing too wide."""

import json
import re
import shutil
import subprocess

import pytest

from sleap_lab.report import write_report
from sleap_lab.report.compare import compare
from sleap_lab.report.side_by_side import write_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Leaves, in the title of the page, what went wrong and what is there.
PROBE = """<script>
const problems = [];
for (const kind of ["error", "warn"]) { console[kind] = (...words) => problems.push(words.join(" ")); }
window.addEventListener("error", event => problems.push(event.message || "failed: " + event.target.src), true);
window.addEventListener("load", () => {
  const images = [...document.images];
  document.title = "PROBE" + JSON.stringify({
    problems,
    images: images.length,
    drawn: images.filter(image => image.complete && image.naturalWidth > 0).length,
    titles: [...document.querySelectorAll("figure.panel h3")].map(node => node.textContent),
    fetched: performance.getEntriesByType("resource").filter(entry => !entry.name.startsWith("data:")).map(entry => entry.name),
    overflow: document.documentElement.scrollWidth - window.innerWidth,
  });
});
</script>"""


@pytest.fixture(scope="module")
def report(tmp_path_factory, poses, truth, evaluation, read_image):
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(
        path, settings={"a": 1}, defaults={"a": 2}, summary={"title": "flies", "stages": {"predict": 1.0}}, poses=poses, truth=truth,
        evaluation=evaluation, read_image=read_image, notes=["a note"],
        bad_frames=[{"video": "a", "frames": "7", "count": 1, "problem": "torn"}],
    )  # fmt: skip
    return path


@pytest.fixture
def browse(tmp_path):
    """Return a function that opens a page in a headless browser of some width and tells what is there."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; the pages are not looked at")

    def browse(path, width):
        page = tmp_path / "probe.html"
        page.write_text(path.read_text(encoding="utf-8").replace("<head>", f"<head>{PROBE}", 1), encoding="utf-8")
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900", "--enable-logging=stderr", "--v=0", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        found = re.search(r"<title>PROBE(.*?)</title>", done.stdout)
        assert found, done.stderr[-2000:]
        messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return json.loads(found[1].replace("&amp;", "&")) | {"messages": messages}

    return browse


@pytest.mark.parametrize("width", [1280, 500])
def test_the_report_in_a_browser(browse, report, width):
    found = browse(report, width)
    assert (found["problems"], found["messages"], found["fetched"]) == ([], [], [])
    assert found["images"] == found["drawn"] > 8
    assert found["titles"] == [
        "Error of each node", "PCK of each node", "Similarity of matched pairs", "Error over the frames",
        "Instances in each frame", "Frames that each track covers", "Nodes found", "Confidence of predicted instances",
    ]  # fmt: skip
    assert found["overflow"] <= 0


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("n", [2, 8])
def test_the_comparison_in_a_browser(browse, make_run, tmp_path, n, width):
    settings = [{"model.paths": [f"/data/a/long/way/down/to/the/models/{i % 2}"], "tracker.window": i // 2} for i in range(n)]
    folders = [make_run(f"a run with a rather long name {i}", off=3 + i % 2, settings=settings[i]) for i in range(n)]
    write_page(compare(folders), tmp_path / "compare.html")
    found = browse(tmp_path / "compare.html", width)
    assert (found["problems"], found["messages"], found["fetched"]) == ([], [], [])
    assert found["overflow"] <= 0
