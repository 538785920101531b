"""Secrets in addresses: passwords of tracking stores, signatures and tokens of files on servers.

The process keeps them in memory; no file and no message shows them. `https://ann:secret@host` is
written as `https://ann:***@host`, and `https://host/a.mp4?sig=secret` as
`https://host/a.mp4?sig=***`; `reveal` and `whole` return the first forms to connect.
"""

import os
import re
from collections.abc import Sequence

from sleap_lab.errors import ConfigError
from sleap_lab.files.remote import unsigned

HIDDEN = "***"
TRACKING_URI = "MLFLOW_TRACKING_URI"

_URL = re.compile(r"[A-Za-z][\w+.-]*://[^\s'\"]+")
# A user with a password, which may hold any character; a port is not taken for one.
_PASSWORD = re.compile(r"(?P<user>://[^/@:?#]*:)(?!\d+(?:[/?#]|\Z)).*@")
# A user without a password, which is a token in the address of a server.
_TOKEN = re.compile(r"(?P<scheme>https?://)[^/@:?#]+@")
# Names as X-Amz-Signature, AWSAccessKeyId, access_token, sig; `sslkey` is the path of a file.
_QUERY = re.compile(
    r"(?P<name>[?&#](?!sslkey=)[\w.~-]*(?:passw(?:or)?d|pwd|pass|token|secret|sig|sign|signature"
    r"|credentials?|key(?:id)?|auth|authorization|hmac|hash|md5|jwt|sas|session|code|hdn\w+)=)"
    r"[^&#]*",
    re.IGNORECASE,
)
_known: dict[str, str] = {}


def conceal(text: str) -> str:
    """Return a text without the secrets of the addresses in it, and remember the secrets."""
    return conceal_all([text])[0]


def conceal_all(texts: Sequence[str]) -> list[str]:
    """Return texts without the secrets of the addresses in them, and remember the secrets.

    Raises:
        ConfigError: Two addresses differ in a secret only, so that they would become one. What
            differs in its signature is the same file.
    """
    told: dict[str, str] = {}

    def remembered(found: re.Match[str]) -> str:
        url, hidden = found[0], _hidden(found[0])
        if told.setdefault(hidden, unsigned(url)) != unsigned(url):
            raise ConfigError(
                f"{hidden}: two addresses differ only in what is kept secret, so their results "
                "could not be told apart; give each a command of its own"
            )
        if hidden != url:
            _known[hidden.rstrip("/")] = url.rstrip("/")
        return hidden

    return [_URL.sub(remembered, text) for text in texts]


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
