"""The site builds without a warning.

Every page is in the navigation, every link and anchor leads somewhere, and nothing is fetched.
"""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from sleap_lab.settings.compose import shipped_options
from sleap_lab.settings.config import keys
from sleap_lab.settings.flags import EVAL, TRACK
from sleap_lab.settings.metrics import METRICS

ROOT = Path(__file__).parents[2]
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
LARGEST_PICTURE = 150_000


class Resources(HTMLParser):
    """Collects the addresses from which a page fetches something."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        address = dict(attrs).get(FETCHED.get(tag, ""))
        if address and dict(attrs).get("rel") != "canonical":
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_pages_fetch_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        resources = Resources()
        resources.feed(page.read_text(encoding="utf-8"))
        assert resources.found
        for address in resources.found:
            assert not re.match("(https?:)?//", address), f"{page.name} fetches {address}"


SEARCH = """<script>
addEventListener("load", () => {
  const field = document.querySelector("[data-md-component=search-query]");
  field.focus();
  field.value = "tracklet";
  field.dispatchEvent(new Event("keyup"));
});
</script></body>"""


def test_pages_on_the_disk_can_be_searched(site, tmp_path):
    """Browsers start no workers for them, so the search has a script of its own."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine; the search is not tried")
    page = site / "probe.html"
    text = (site / "index.html").read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", SEARCH), encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000",
        f"--user-data-dir={tmp_path}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    page.unlink()
    assert re.search(r'href="[^"]*glossary\.html[^"]*" class="md-search-result__link"', shown)


def test_the_architecture_page_lists_every_module(site):
    page = (site / "architecture.html").read_text(encoding="utf-8")
    for name in ("poses/record.py", "experiment.py", "tracking/assign.py", "evaluation/result.py"):
        assert f"<code>{name}</code>" in page


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_files_that_are_linked_beside_the_site_exist(name):
    links = re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    missing = [link for link in links if not link.startswith("http") and not (ROOT / link).exists()]
    assert missing == []


def test_every_key_flag_and_preset_is_documented():
    reference = {
        name: (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")
        for name in ("config", "flags")
    }
    assert [key for key in keys() if f"| `{key}` |" not in reference["config"]] == []
    assert [
        flag.name for flag in [*TRACK, *EVAL] if f"`--{flag.name}`" not in reference["flags"]
    ] == []
    presets = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert [name for name in shipped_options()["experiment"] if f"`{name}`\n" not in presets] == []


def test_every_metric_has_its_card():
    cards = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    assert [metric.name for metric in METRICS if f"| `{metric.name}` |" not in cards] == []


def test_pictures_are_small_and_shown():
    pages = "".join(
        page.read_text(encoding="utf-8")
        for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    )
    for picture in [
        *(ROOT / "docs" / "assets").glob("*.png"),
        *(ROOT / "docs" / "assets").glob("*.jpg"),
    ]:
        assert picture.stat().st_size <= LARGEST_PICTURE
        assert f"assets/{picture.name})" in pages


def test_no_fonts_from_elsewhere():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert settings["theme"]["font"] is False
