"""Secrets in addresses: passwords of tracking stores, signatures and tokens of files on servers.

The process keeps them in memory; no file and no message shows them. `https://ann:secret@host` is
written as `https://ann:***@host`, and `https://host/a.mp4?sig=secret` as
`https://host/a.mp4?sig=***`; `reveal` and `whole` return the first forms to connect.
"""

import os
import re
from collections.abc import Sequence

from sleap_lab.errors import ConfigError
from sleap_lab.files.remote import local_copy, unsigned

HIDDEN = "***"
TRACKING_URI = "MLFLOW_TRACKING_URI"

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"]+")
# A user with a password, which may hold any character; a port is not taken for one.
_PASSWORD = re.compile(r"(?P<user>://[^/@:?#]*:)(?!\d+(?:[/?#]|\Z)).*@")
# A user without a password, which is a token in the address of a server.
_TOKEN = re.compile(r"(?P<scheme>https?://)[^/@:?#]+@")
# Names as X-Amz-Signature, AWSAccessKeyId, access_token, sig; `sslkey` is the path of a file, and
# others are words that end likewise.
_QUERY = re.compile(
    r"(?P<name>[?&#](?!(?:sslkey|\w*(?:(?:mon|don|tur)key|design|compass|(?:bar|time|post)code))=)"
    r"[\w.~-]*(?:passw(?:or)?d|pwd|pass|token|secret|sig|sign|signature"
    r"|credentials?|key(?:id)?|auth|authorization|hmac|hash|md5|jwt|sas|session|code|hdn\w+)=)"
    r"[^&#]*",
    re.IGNORECASE,
)
_known: dict[str, str] = {}
_told: dict[str, str] = {}
"""What the command under way names: addresses without secrets -> first address of that form."""


def begin_command() -> None:
    """Let the command that begins name other addresses than the one before in this process."""
    _told.clear()
    local_copy.cache_clear()  # a server may have another version by now


def conceal_all(words: Sequence[str]) -> list[str]:
    """Begin a command: return its words as `conceal` does."""
    begin_command()
    return [conceal(word) for word in words]


def conceal(text: str) -> str:
    """Return a text without the secrets of the addresses in it, and remember the secrets.

    Of several passwords of a user, and of several signatures of a file, the first counts: the words
    of a command come before its config files.

    Raises:
        ConfigError: Two addresses of a command differ in another secret only, so that they would
            become one.
    """
    return _URL.sub(lambda found: _remembered(found[0]), text)


def _remembered(url: str) -> str:
    """Return an address without its secrets, and remember it."""
    hidden = _hidden(url)
    if hidden == url:
        return url
    first = _told.setdefault(hidden, url)
    if len({unsigned(_PASSWORD.sub(r"\g<user>", one)) for one in (first, url)}) > 1:
        raise ConfigError(
            f"{hidden}: two addresses differ only in what is kept secret, so their results "
            "could not be told apart; give each a command of its own"
        )
    _known[hidden.rstrip("/")] = first.rstrip("/")
    return hidden


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
        else re.sub(r"[?&][\w.~-]+=\*\*\*", "", uri.replace(f":{HIDDEN}@", "@"))
    )


def whole(url: str) -> str:
    """Return the address of a file with its secrets.

    Raises:
        ConfigError: This process does not know them.
    """
    if HIDDEN in url and url.rstrip("/") not in _known:
        raise ConfigError(
            f"{url}: its secret ({HIDDEN}) is kept nowhere; give the whole address again"
        )
    return _known.get(url.rstrip("/"), url)


def without_user(uri: str) -> str:
    """Return the address of a server without user and password."""
    return re.sub(r"(?<=://)[^/]*@", "", _hidden(uri))


def _hidden(url: str) -> str:
    hidden = _TOKEN.sub(rf"\g<scheme>{HIDDEN}@", _PASSWORD.sub(rf"\g<user>{HIDDEN}@", url))
    return _QUERY.sub(rf"\g<name>{HIDDEN}", hidden)
