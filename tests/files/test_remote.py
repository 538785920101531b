"""Files of servers are copied once, whole or not at all."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.files.remote import HEADERS, is_url, local_copy, shown_url, url_name


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and counts what it was asked for."""

    asked: ClassVar[list] = []
    short = False

    def log_message(self, *arguments):
        """Stay silent."""

    def do_GET(self):
        """Serve a file, or only its first bytes."""
        type(self).asked.append((self.path, self.headers.get("Authorization")))
        super().do_GET()

    def copyfile(self, source, outputfile):
        """Send a file, or only its first bytes."""
        outputfile.write(source.read(3 if type(self).short else -1))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Return the address of a server, its folder and its handler."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = type("Own", (Handler,), {"asked": []})
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}).start()
    local_copy.cache_clear()
    yield f"http://127.0.0.1:{http.server_port}", folder, handler
    http.shutdown()
    http.server_close()


def test_a_file_is_copied_once_under_its_own_name(server, tmp_path):
    address, folder, handler = server
    (folder / "my clip.mp4").write_bytes(b"frames")
    url = f"{address}/my%20clip.mp4?token=secret"
    copy = local_copy(url, tmp_path / "copies")
    assert (copy.name, copy.read_bytes()) == ("my clip.mp4", b"frames")
    local_copy.cache_clear()  # as in another process
    assert local_copy(url, tmp_path / "copies") == copy
    assert len(handler.asked) == 1


def test_another_version_is_another_copy(server, tmp_path):
    address, folder, _ = server
    copies = []
    for content in (b"first", b"the second"):
        (folder / "a.mp4").write_bytes(content)
        local_copy.cache_clear()
        copies.append(local_copy(f"{address}/a.mp4", tmp_path))
    assert [copy.read_bytes() for copy in copies] == [b"first", b"the second"]


def test_a_file_is_the_same_however_often_its_address_is_signed(server, tmp_path):
    address, folder, handler = server
    (folder / "a.mp4").write_bytes(b"frames")

    def copied(query):
        return local_copy(f"{address}/a.mp4?{query}", tmp_path)

    copy = copied("n=1&X-Amz-Date=1&X-Amz-Signature=0a")
    assert copied("n=1&X-Amz-Date=2&X-Amz-Signature=0b") == copy
    assert copied("sig=c&n=1") == copied("n=1&sig=d") == copy
    assert len(handler.asked) == 1
    # What else stands there may choose the file.
    assert copied("n=2&sig=c") != copy
    assert copied("key=n") != copied("key=m") != copied("")


def test_half_a_file_is_no_file(server, tmp_path):
    address, folder, handler = server
    (folder / "a.mp4").write_bytes(b"frames")
    handler.short = True
    with pytest.raises(ConfigError, match=r"/a\.mp4: cannot be read \("):
        local_copy(f"{address}/a.mp4", tmp_path / "copies")
    assert not [file for file in (tmp_path / "copies").rglob("*") if file.is_file()]


def test_headers_come_from_a_variable(server, tmp_path, monkeypatch):
    address, folder, handler = server
    (folder / "a.mp4").write_bytes(b"frames")
    monkeypatch.setenv(HEADERS, '{"Authorization": "Bearer key"}')
    local_copy(f"{address}/a.mp4", tmp_path)
    assert handler.asked == [("/a.mp4", "Bearer key")]


@pytest.mark.parametrize("given", ["Bearer key", "[1]"])
def test_headers_that_are_none(server, tmp_path, monkeypatch, given):
    monkeypatch.setenv(HEADERS, given)
    with pytest.raises(ConfigError, match=f"{HEADERS} is no JSON object"):
        local_copy(f"{server[0]}/a.mp4", tmp_path)


def test_a_file_that_is_not_there(server, tmp_path):
    with pytest.raises(ConfigError, match=r"/no\.mp4: cannot be read \(.*404") as error:
        local_copy(f"{server[0]}/no.mp4?token=secret", tmp_path)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read \(.*[Cc]onnect"):
        local_copy("http://127.0.0.1:9/a.mp4", tmp_path)


def test_a_package_that_is_missing(tmp_path):
    with pytest.raises(ConfigError, match=r"s3://b/a\.mp4: a package for s3 is missing; pip inst"):
        local_copy("s3://b/a.mp4", tmp_path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("http://a/b.mp4", True),
        ("S3://a/b.mp4", True),
        ("gs://a/b.mp4", True),
        ("C:/a/b.mp4", False),
        ("a.mp4", False),
        ("file://a.mp4", False),
        (3, False),
    ],
)
def test_urls(value, expected):
    assert is_url(value) is expected


def test_names():
    assert url_name("https://h/a/b%20c.slp?x=1") == "b c.slp"
    assert url_name("https://h") == "input"
    # A server must not choose where on this machine a file goes.
    assert url_name("https://h/a/..%2F..%2Fb.slp") == "b.slp"
    assert url_name("https://h/a/%2e%2e") == url_name("https://h/a/..") == "input"
    assert shown_url("https://ann:secret@h:1/a.mp4?key=secret") == "https://h:1/a.mp4"
