"""Which keys may name files on servers."""

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings import check
from sleap_lab.settings.config import keys


@pytest.fixture
def copies(monkeypatch, tmp_path):
    """Take the place of copying; returns the URLs that were copied."""
    asked = []

    def copy_of(url):
        asked.append(url)
        return tmp_path / "copy.slp"

    monkeypatch.setattr(check, "copy_of", copy_of)
    return asked


@pytest.mark.parametrize("name", ["data.path", "evaluator.ground_truth_path"])
def test_what_is_read_may_be_on_a_server(copies, tmp_path, name):
    found = check.check_value(name, "s3://bucket/a.slp", keys()[name])
    assert found == str(tmp_path / "copy.slp")
    assert copies == ["s3://bucket/a.slp"]


def test_some_of_several_videos_may_be_on_a_server(copies, tmp_path):
    found = check.check_value("data.path", ["http://h/a.slp", "/b.mp4"], keys()["data.path"])
    assert found == [str(tmp_path / "copy.slp"), "/b.mp4"]


@pytest.mark.parametrize(
    "name", ["output.path", "model.backbone_ckpt_path", "evaluator.calibration"]
)
def test_other_files_are_on_this_machine(copies, name):
    with pytest.raises(ConfigError) as error:
        check.check_value(name, "http://h/a.slp?token=secret", keys()[name])
    assert str(error.value).startswith(f"{name}: http://h/a.slp is on a server; accepted: a path")
    assert not copies


def test_an_error_names_the_key(monkeypatch):
    def fail(url):
        raise ConfigError("http://h/a.slp: cannot be read (404)")

    monkeypatch.setattr(check, "copy_of", fail)
    with pytest.raises(ConfigError, match=r"^data\.path: http://h/a\.slp: cannot be read"):
        check.check_value("data.path", "http://h/a.slp", keys()["data.path"])


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("runtime.batch_size", 0, "got 0; accepted: at least 1"),
        ("runtime.batch_size", "fast", "got 'fast'; accepted: int or auto"),
        ("runtime.batch_size", 1.5, "got 1.5; accepted: int or auto"),
        ("runtime.batch_size", None, "got None; accepted: int or auto"),
        ("runtime.compile", "yes", "got 'yes'; accepted: True, False, auto."),
        ("runtime.compile", 1, "got 1; accepted: True, False, auto"),
    ],
)
def test_what_is_neither_a_value_nor_auto_is_refused(name, value, told):
    with pytest.raises(ConfigError) as error:
        check.check_value(name, value, keys()[name])
    assert str(error.value) == f"{name}: {told}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (f"runtime.{n}", v)
        for n, v in (("batch_size", 1), ("batch_size", "auto"), ("compile", "auto"))
    ],
)
def test_auto_is_accepted_beside_values(name, value):
    assert check.check_value(name, value, keys()[name]) == value
