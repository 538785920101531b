"""Passwords in addresses: what hides them, and who gets them back."""

import pytest

from sleap_lab.settings import credentials
from sleap_lab.settings.credentials import conceal, redact, reveal, without_user


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch):
    monkeypatch.setattr(credentials, "_known", {})
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
        # Nothing to hide.
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
