"""Passwords in addresses: what hides them, and who gets them back."""

import fsspec
import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.files.remote import local_copy
from sleap_lab.settings import credentials
from sleap_lab.settings.credentials import conceal, conceal_all, redact, reveal, whole, without_user


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(credentials, "_known", {})
    monkeypatch.setattr(credentials, "_told", {})
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("https://ann:secret@host:5000/mlflow", "https://ann:***@host:5000/mlflow"),
        ("https://ann:se@cr:et/x@host", "https://ann:***@host"),  # a password may hold anything
        ("https://ann:@host", "https://ann:***@host"),
        ("http://t0ken@host", "http://***@host"),
        ("postgresql+psycopg2://ann:secret@host/db", "postgresql+psycopg2://ann:***@host/db"),
        ("mysql://ann:12345@host/db", "mysql://ann:***@host/db"),  # not a port
        (
            "postgresql://host/db?user=ann&password=secret&sslmode=on",
            "postgresql://host/db?user=ann&password=***&sslmode=on",
        ),
        (
            "https://b.s3.amazonaws.com/a.mp4?X-Amz-Date=1&X-Amz-Signature=0a1&versionId=2",
            "https://b.s3.amazonaws.com/a.mp4?X-Amz-Date=1&X-Amz-Signature=***&versionId=2",
        ),
        ("https://h/a.mp4?sv=2024&se=1&sig=a%2Bb%3D", "https://h/a.mp4?sv=2024&se=1&sig=***"),
        ("s3://ann:secret@b/a.mp4?access_token=t&n=1", "s3://ann:***@b/a.mp4?access_token=***&n=1"),
        (
            "https://h/a?AWSAccessKeyId=A&Signature=x/y&Expires=9",
            "https://h/a?AWSAccessKeyId=***&Signature=***&Expires=9",
        ),
        ("https://h/a?TOKEN=t&rlkey=k&api_key=k", "https://h/a?TOKEN=***&rlkey=***&api_key=***"),
        # Nothing to hide.
        ("https://h/a?monkey=1&design=2&barcode=3", "https://h/a?monkey=1&design=2&barcode=3"),
        ("https://h/a.mp4?file=token.mp4&download=1", "https://h/a.mp4?file=token.mp4&download=1"),
        ("postgresql://h/db?sslkey=/a/b.key", "postgresql://h/db?sslkey=/a/b.key"),
        ("http://host:5000/ann@lab", "http://host:5000/ann@lab"),
        ("http://host:5000", "http://host:5000"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("sqlite:////home/ann@lab: x/a:b@c.db", "sqlite:////home/ann@lab: x/a:b@c.db"),
        ("file:///home/ann:x@lab", "file:///home/ann:x@lab"),
        ("mlruns", "mlruns"),
    ],
)
def test_a_password_is_hidden_and_given_back(given, shown):
    assert redact(given) == shown
    assert reveal(shown) == shown or "***" in shown  # it was only looked at
    assert conceal(given) == shown
    assert reveal(shown) == given


def test_passwords_in_the_middle_of_a_text_are_hidden():
    text = (
        "API request to http://ann:secret@host/api failed, "
        "see 'postgresql://bob:other@db/x' and mail me@lab.org"
    )
    assert redact(text) == (
        "API request to http://ann:***@host/api failed, "
        "see 'postgresql://bob:***@db/x' and mail me@lab.org"
    )


def test_the_address_of_a_file_is_whole_where_it_was_given():
    assert conceal("'https://h/a.mp4?sig=one','/b.mp4'") == "'https://h/a.mp4?sig=***','/b.mp4'"
    assert whole("https://h/a.mp4?sig=***") == "https://h/a.mp4?sig=one"
    assert whole("https://h/a.mp4?n=1") == "https://h/a.mp4?n=1"
    with pytest.raises(ConfigError, match=r"b\.mp4\?sig=\*\*\*: its secret .* give the whole"):
        whole("https://h/b.mp4?sig=***")


def test_addresses_that_differ_in_a_secret_only_are_not_taken_for_one():
    one, two = "data.path=https://h/a?key=one", "data.path=https://h/a?key=two"
    for words in ([one, two], [f"'{one}','{two}'"]):
        with pytest.raises(
            ConfigError, match=r"a\?key=\*\*\*: two addresses differ only in"
        ) as told:
            conceal_all(words)
        assert "one" not in str(told.value)
    assert conceal_all([one, one]) == ["data.path=https://h/a?key=***"] * 2
    assert conceal_all(["https://h/a?sig=1", "https://h/a?sig=2"]) == ["https://h/a?sig=***"] * 2


def test_the_words_of_a_command_come_before_its_files():
    conceal_all(["https://ann:new@h/mlflow", "https://h/a.mp4?sig=new"])
    assert conceal("https://ann:old@h/mlflow") == "https://ann:***@h/mlflow"
    assert conceal("https://h/a.mp4?sig=old") == "https://h/a.mp4?sig=***"
    assert reveal("https://ann:***@h/mlflow") == "https://ann:new@h/mlflow"
    assert whole("https://h/a.mp4?sig=***") == "https://h/a.mp4?sig=new"


def test_a_file_does_not_turn_an_address_of_the_command_into_another():
    conceal_all(["data.path='https://h/a?session=2'"])
    with pytest.raises(ConfigError, match=r"a\?session=\*\*\*: two addresses differ only in"):
        conceal("https://h/a?session=1")
    conceal_all([])  # another command
    conceal("https://h/a?session=1")
    assert whole("https://h/a?session=***") == "https://h/a?session=1"


def test_another_command_gets_what_the_server_has_by_then(tmp_path):
    server = fsspec.filesystem("memory")
    sizes = []
    for content in (b"old", b"other"):
        server.pipe("/clip_of_this_test.mp4", content)
        conceal_all([])
        sizes.append(local_copy("memory://clip_of_this_test.mp4", tmp_path).stat().st_size)
    assert sizes == [len(b"old"), len(b"other")]


def test_another_process_has_it_from_the_environment_or_goes_without(monkeypatch):
    assert (
        reveal("https://ann:***@host/x") == "https://host/x"
    )  # MLflow's variables may have user and password
    assert reveal("postgresql://ann:***@host/db") == "postgresql://ann@host/db"
    assert reveal("postgresql://host/db?password=***") == "postgresql://host/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:secret@host/x/")
    assert reveal("https://ann:***@host/x") == "https://ann:secret@host/x"
    assert reveal("https://bob:***@host/x") == "https://host/x"


def test_a_server_is_asked_for_a_sign_of_life_without_them():
    assert without_user("https://ann:secret@host:5000/x") == "https://host:5000/x"
    assert without_user("https://host:5000/x@y") == "https://host:5000/x@y"
