"""Passwords in addresses of tracking stores.

The process keeps them in memory; no file and no message shows them. `https://ann:secret@host` is
written as `https://ann:***@host`, and `reveal` returns the first form to connect.
"""

import os
import re

HIDDEN = "***"
TRACKING_URI = "MLFLOW_TRACKING_URI"

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"]+")
# A user with a password, which may hold any character; a port is not taken for one.
_PASSWORD = re.compile(r"(?P<user>://[^/@:?#]*:)(?!\d+(?:[/?#]|\Z)).*@")
# A user without a password, which is a token in the address of a server.
_TOKEN = re.compile(r"(?P<scheme>https?://)[^/@:?#]+@")
_QUERY = re.compile(
    r"(?P<name>[?&](?:password|passwd|pwd|token|secret|sslpassword)=)[^&#]*", re.IGNORECASE
)

_known: dict[str, str] = {}


def conceal(text: str) -> str:
    """Return a text without the passwords of the addresses in it, and remember the passwords."""
    return _URL.sub(lambda found: _remembered(found[0]), text)


def redact(text: str) -> str:
    """Return a text, as an error message of a library, without the passwords of its addresses."""
    return _URL.sub(lambda found: _hidden(found[0]), text)


def reveal(uri: str) -> str:
    """Return an address with its password, if this process or `MLFLOW_TRACKING_URI` knows it.

    Otherwise the address is returned without a password: MLflow and database drivers read it from
    variables of their own.
    """
    if HIDDEN not in uri:
        return uri
    given = os.environ.get(TRACKING_URI, "").rstrip("/")
    if uri in _known or _hidden(given) == uri:
        return _known.get(uri, given)
    return (
        without_user(uri)
        if uri.startswith("http")
        else re.sub(r"[?&][a-z]+=\*\*\*", "", uri.replace(f":{HIDDEN}@", "@"))
    )


def without_user(uri: str) -> str:
    """Return the address of a server without user and password."""
    return re.sub(r"(?<=://)[^/]*@", "", _hidden(uri))


def _remembered(url: str) -> str:
    hidden = _hidden(url)
    if hidden != url:
        _known[hidden.rstrip("/")] = url.rstrip("/")
    return hidden


def _hidden(url: str) -> str:
    hidden = _TOKEN.sub(rf"\g<scheme>{HIDDEN}@", _PASSWORD.sub(rf"\g<user>{HIDDEN}@", url))
    return _QUERY.sub(rf"\g<name>{HIDDEN}", hidden)
