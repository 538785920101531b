"""A mistake in a file with options is found with its file, its line, and the nearest spelling."""

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.compose import compose_config
from sleap_lab.settings.config import keys


@pytest.fixture
def composed(tmp_path):
    """Return a function that composes with an option of a given text."""
    (tmp_path / "labels.slp").touch()

    def composed(text, option="tracker/mine", *words):
        file = tmp_path / "mylab" / f"{option}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        group, name = option.split("/")
        chosen = f"{'+' if group == 'lab' else ''}{group}={name}"
        base = [f"data.path={tmp_path / 'labels.slp'}", "model=none", chosen, *words]
        return compose_config(base, config_dir=str(tmp_path / "mylab"))[0]

    return composed


GLOBAL = "# @package _global_\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (
            "tracking: true\ntracking_windw_size: 3",
            2,
            "Did you mean 'tracker.tracking_window_size'?",
        ),
        (
            "tracking: true\n\n# three\ntracking_window_size: three",
            4,
            "tracker.tracking_window_size: got 'three'; accepted: int",
        ),
        ("tracking_window_size: 0", 1, "tracker.tracking_window_size: got 0; accepted: at least 1"),
        ("tracking: true\nscoring_method: okks", 2, "Did you mean 'oks'?"),
        ("max_tracks: 2.5", 1, "tracker.max_tracks: got 2.5; accepted: int or null"),
        ("tracking: [true]", 1, "tracker.tracking: got [True]; accepted: bool"),
        ("tracking: true\n tracking_window_size: 3", 2, "this is not YAML: mapping values are not"),
        ("tracking: true\ntracking: false", 2, "this is not YAML: found duplicate key tracking"),
        ("a: [1", 1, "this is not YAML: "),
        ("tracking true", 1, "this is the text 'tracking true'; accepted: lines of KEY: VALUE"),
        ("- tracking", 1, "this is a list; accepted: lines of KEY: VALUE"),
        ("tracker:\n  tracking: true", 1, "belong to tracker already; write them without"),
        (f"{GLOBAL}tracker:\n  trackin: true", 3, "Did you mean 'tracker.tracking'?"),
        (f"{GLOBAL}trackr:\n  tracking: true", 2, "trackr: there is no such key. Did you mean"),
        (f"{GLOBAL}report: pdf", 2, "report: got 'pdf'; accepted: html, none"),
        (f"{GLOBAL}cache_max_gb: much", 2, "cache_max_gb: got 'much'; accepted: float"),
    ],
)
def test_a_mistake_has_a_place(composed, text, line, says):
    with pytest.raises(ConfigError) as caught:
        composed(text)
    message = str(caught.value)
    assert f"mylab/tracker/mine.yaml:{line}: " in message
    assert says in message
    assert "\n" not in message


def test_a_file_of_a_persons_own_group_says_where_its_keys_belong(composed):
    with pytest.raises(ConfigError, match=r"lab/mine\.yaml:1: the keys .* begin the file with"):
        composed("tracker:\n  tracking: true", "lab/mine")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tracking: true",
        "tracking: 'yes'\ntracking_window_size: '3'\nrobust_best_instance: 1",
        "defaults:\n  - local_queues\n  - _self_\ntracking_window_size: 4",
        "tracking: ${tracker.use_flow}\nmax_tracks: null",
        f"{GLOBAL}defaults:\n  - _self_\ntracker: {{tracking: true}}\nlogger: {{tags: {{lab: a}}}}",
        "# @package tracker\ntracking: true",
    ],
)
def test_what_is_right_is_accepted(composed, text):
    composed(text, "tracker/mine", "tracker.tracking=true", "tracker.use_flow=true")


def test_a_file_that_is_no_text_is_one_line(composed, tmp_path):
    composed("tracking: true")
    (tmp_path / "mylab/tracker/other.yaml").write_bytes(b"tracking: \xff")
    with pytest.raises(ConfigError, match=r"other\.yaml: cannot be read as text"):
        compose_config(
            [f"data.path={tmp_path / 'labels.slp'}", "model=none", "tracker=other"],
            config_dir=str(tmp_path / "mylab"),
        )


def test_all_groups_are_known_by_their_keys():
    assert {name.split(".")[0] for name in keys() if "." in name} >= {"tracker", "data", "model"}


def test_a_single_value_of_a_list_is_a_list_of_one(composed, tmp_path):
    (tmp_path / "model").mkdir()
    for text, words, expected in (
        ("tracking: true", ["output.formats=csv"], ["csv"]),
        ("tracking: true", ["output.formats='csv'"], ["csv"]),
        ("tracking: true", ["output.formats=[csv,slp]"], ["csv", "slp"]),
        (f"{GLOBAL}output:\n  formats: csv\ntracker: {{tracking: true}}", [], ["csv"]),
    ):
        option = "experiment/mine" if text.startswith(GLOBAL) else "tracker/mine"
        assert composed(text, option, *words).output.formats == expected
    assert composed("tracking: true\nkf_node_indices: 3").tracker.kf_node_indices == [3]
    assert composed("tracking: true\nkf_node_indices: null").tracker.kf_node_indices is None
    with pytest.raises(ConfigError, match=r"output\.formats: got 'cvs'; accepted"):
        composed("tracking: true", "tracker/mine", "output.formats=cvs")
