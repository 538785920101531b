import html
import re
from types import SimpleNamespace

import pytest

from sleap_lab.evaluation.intervals import Difference
from sleap_lab.settings.config import FiltersConfig, TrackerConfig
from sleap_lab.tune.evidence import Setting
from sleap_lab.tune.outcome import Outcome
from sleap_lab.tune.page import write_page
from sleap_lab.tune.settings import find_metric
from sleap_lab.tune.trials import Tried

NAN = float("nan")
TRIALS = [
    Tried(0, 0.7, 1000.0, {"tracker.tracking_window_size": 9}),
    Tried(1, 0.9, 100.0, {"tracker.use_kalman": True, "tracker.tracking_window_size": 5}),
    Tried(2, NAN, 50.0, {"tracker.tracking_window_size": 3}, "worse than most"),
]


def setting(value, tracker, trial=None):
    found = SimpleNamespace(
        value=value,
        frames_per_second=500.0,
        evaluation=SimpleNamespace(
            headline=lambda: {"identity/idf1": value, "identity/switches": 3.0}
        ),
    )
    return Setting(tracker, FiltersConfig(), found, found, trial)


DEFAULT = setting(0.8, TrackerConfig(tracking=True))
BEST = setting(0.9, TrackerConfig(tracking=True, use_kalman=True), 1)


@pytest.fixture
def page(tmp_path):
    """Return a function that writes a page and returns its text without tags."""

    def page(outcome, **changes):
        given = {
            "title": "mice <1>",
            "trials": TRIALS,
            "importances": {"tracker": 0.75, "tracker.tracking_window_size": 0.25},
            "blocks": "Blocks.",
            "options": ["a.yaml", "b.yaml"],
            "use": "sleap-lab 'model.paths=[a,b]'",
            "flags": "--tracking",
            "command": "sleap-lab tune",
        }
        write_page(tmp_path / "report.html", outcome=outcome, **given | changes)
        text = (tmp_path / "report.html").read_text()
        assert not re.search(r'(src|href)="(?!data:|#)', text)  # needs nothing but itself
        return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))

    return page


def test_the_setting_found(page):
    difference = {"identity/idf1": Difference(0.1, 0.05, 0.15), "identity/switches": Difference(-2)}
    text = page(Outcome(find_metric("identity/idf1"), DEFAULT, BEST, difference, (), 6, 120))
    assert "Tuning mice <1> setting found" in text
    assert "3 settings tried, 2 of them to the end" in text
    assert "identity/idf1 0.8000 0.9000 +0.1 [0.05, 0.15]" in text
    assert "identity/switches 3 3 -2" in text
    assert "tracker.use_kalman false true" in text
    assert "sleap-lab 'model.paths=[a,b]'" in text
    # the best ones first, where they differ from the default; the default takes part in the front
    assert (
        "default 0.8 (front) 500 1 0.9 (front) 100 tracker.use_kalman=true "
        "0 0.7 (front) 1,000 tracker.tracking_window_size=9" in text
    )
    assert "2 worse than most 50 tracker.tracking_window_size=3" in text


def marked(folder):
    """Return the trials whose rows are marked as the recommended one."""
    rows = re.findall(r'<tr class="best"><td[^>]*>(.*?)</td>', (folder / "report.html").read_text())
    return set(rows)


def test_the_recommended_setting_is_marked(page, tmp_path):
    difference = {"identity/idf1": Difference(0.1, 0.05, 0.15)}
    page(Outcome(find_metric("identity/idf1"), DEFAULT, BEST, difference, (), 6, 120))
    assert marked(tmp_path) == {"1"}
    page(Outcome(find_metric("identity/idf1"), DEFAULT, None, {}, (), 6, 120))
    assert marked(tmp_path) == {"default"}


def test_the_default_wins(page):
    text = page(Outcome(find_metric("identity/idf1"), DEFAULT, None, {}, (), 6, 120))
    assert "Best found" not in text  # no column without a number
    assert "keep the default" in text
    assert "Keep the default setting: none that was tried" in text
    assert "These config options hold the default setting: " in text
    assert "No setting did better than the default one." in text


def test_nothing_was_tried(page):
    text = page(
        Outcome(find_metric("identity/idf1"), DEFAULT, None, {}, (), 6, 120),
        trials=[],
        importances={},
    )
    assert "0 settings tried" in text
    assert "What matters" not in text


def test_fewer_is_better(page):
    text = page(
        Outcome(
            find_metric("identity/switches"), setting(8.0, TrackerConfig()), None, {}, (), 6, 120
        ),
        trials=[Tried(i, v, 1.0, {}) for i, v in enumerate([9.0, 7.0])],
    )
    assert text.index("1 7 (front)") < text.index("0 9 ")
