"""Files on servers, copied to this machine before they are read.

fsspec reads them: http and https by itself, s3, gs and others with the packages that
`sleap-io[cloud]` brings.
"""

import json
import os
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from sleap_lab.errors import ConfigError, one_line
from sleap_lab.errors.interruption import raise_interruption
from sleap_lab.files.atomic import replacing

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

SCHEMES = ("http", "https", "s3", "gs", "gcs", "az", "abfs")
CLOUD = "pip install 'sleap-io[cloud]'"
VERSION = ("size", "ETag", "Last-Modified", "Content-MD5", "LastModified", "md5Hash", "updated")
"""What servers say of a file that tells one version of it from another."""
SIGNATURE = re.compile(
    r"(?<=[?&])(?:X-(?:Amz|Goog)-[\w-]+|Signature|Expires|Policy|sig|se|st|ske|skt)=[^&#]*&?",
    re.IGNORECASE,
)
"""What services put into a URL anew each time they sign it."""
QUIET = 60
"""Seconds without a byte after which a server is given up."""


def is_url(value: object) -> bool:
    """Return whether a value names a file on a server."""
    return isinstance(value, str) and value.partition("://")[0].lower() in SCHEMES


def url_name(url: str) -> str:
    """Return the name of the file that a URL names, without its query: never a path."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    return "input" if name in ("", "..") else name


def shown_url(url: str) -> str:
    """Return a URL without what may be secret: its user, password, query and fragment."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def unsigned(url: str) -> str:
    """Return a URL without its signature, which differs each time the same URL is signed."""
    return SIGNATURE.sub("", url).rstrip("?&")


@lru_cache
def local_copy(url: str, folder: Path) -> Path:
    """Copy a file of a server, unless this version of it was copied before.

    Args:
        url: The file.
        folder: Folder of all copies; each has a folder of its own there.

    Returns:
        The copy, under the file's own name.

    Raises:
        ConfigError: The package for this kind of server is missing, or the file cannot be read.
        RunError: The copy cannot be written.
    """
    import hashlib  # Loads OpenSSL, which commands without a URL do not need at their start.

    try:
        server, path = _opened(url)
        facts = {name: str(value) for name, value in server.info(path).items() if name in VERSION}
        same = [unsigned(url), facts]
        version = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()
        copy = folder / version[:16] / url_name(url)
        if not copy.exists():
            from sleap_lab import terminal  # imports rich

            terminal.doing(f"copying {shown_url(url)}")
            with replacing(copy) as temporary:
                _download(server, path, temporary, facts.get("size"))
    except ImportError as error:
        raise ConfigError(
            f"{shown_url(url)}: a package for {url.partition(':')[0]} is missing; {CLOUD}"
        ) from error
    except (ConfigError, KeyboardInterrupt):
        raise
    except Exception as error:  # each kind of server has its own errors
        raise_interruption(error)
        raise ConfigError(f"{shown_url(url)}: cannot be read ({_reason(error)})") from error
    return copy


def _reason(error: Exception) -> str:
    """Return why a file cannot be read, without its address."""
    cause = error.__cause__ or error
    if status := getattr(cause, "status", None):  # the text of such an error has the whole URL
        return f"{status} {getattr(cause, 'message', '')}".strip()
    return re.sub(r"\w+://\S+", "its address", one_line(cause))


def _opened(url: str) -> tuple["AbstractFileSystem", str]:
    """Return a server and the place of a file on it."""
    import fsspec

    options: dict[str, Any] = {}
    if url.lower().startswith("http"):
        import aiohttp

        # By default any file that takes more than five minutes would be cut off.
        wait = aiohttp.ClientTimeout(total=None, sock_connect=QUIET, sock_read=QUIET)
        options = {"client_kwargs": {"headers": http_headers(), "timeout": wait}}
    server, path = fsspec.url_to_fs(url, **options)
    return server, path


HEADERS = "SLEAP_LAB_HTTP_HEADERS"
"""Variable with headers for http servers, JSON; kept out of configs, which are written down."""


def http_headers() -> dict[str, str]:
    """Return the headers that http servers get.

    Raises:
        ConfigError: The variable holds something else.
    """
    try:
        headers = json.loads(os.environ.get(HEADERS) or "{}")
        if not isinstance(headers, dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise ConfigError(
            f'{HEADERS} is no JSON object of headers; accepted: {{"Authorization": "Bearer …"}}'
        ) from error
    return {str(name): str(value) for name, value in headers.items()}


def _download(server: "AbstractFileSystem", path: str, to: Path, size: str | None) -> None:
    """Copy a file of a server, and see to it that all of it has come."""
    server.get_file(path, str(to))
    if size not in (None, "None", str(to.stat().st_size)):
        raise ValueError(f"{to.stat().st_size} of {size} bytes came")
