"""Copies of files on servers, by URLs with and without secrets."""

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings import copies
from sleap_lab.settings.copies import copy_of, given


@pytest.fixture(autouse=True)
def asked(monkeypatch, tmp_path):
    """Take the place of copying; returns the URLs that servers are asked for."""
    asked = []

    def local_copy(url, folder):
        asked.append(url)
        return folder / str(len(asked))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(copies, "local_copy", local_copy)
    monkeypatch.setattr(copies, "_made", {})
    return asked


def test_a_server_gets_the_whole_url_and_nobody_else(asked, tmp_path):
    copy = copy_of("https://h/a.mp4?sig=secret")
    assert copy == tmp_path / "outputs/inputs/1"
    assert asked == ["https://h/a.mp4?sig=secret"]
    assert copies.copies() == {"https://h/a.mp4?sig=***": copy}


def test_a_job_takes_the_copy_that_its_sweep_has(asked, tmp_path):
    with given({"https://h/a.mp4?sig=***": tmp_path / "copy"}):
        assert copy_of("https://h/a.mp4?sig=***") == tmp_path / "copy"
    assert not asked


def test_a_url_without_its_secret_is_refused(asked):
    with pytest.raises(ConfigError, match=r"https://h/never\.mp4\?sig=\*\*\*: its secret"):
        copy_of("https://h/never.mp4?sig=***")
    assert not asked
