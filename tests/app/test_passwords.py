"""Secrets in addresses of servers are in no file of a run and not on the screen."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import sleap_io as sio

SECRET = "s3cr/et@x"
ADDRESS = f"http://ann:{SECRET}@127.0.0.1:9/mlflow"
WORDS = ["model=none", "tracker=fixed_window", "report=none", "verbose=true", "debug=true"]


def test_passwords_reach_no_file_and_no_screen(call, demo, tmp_path, monkeypatch):
    sio.load_slp(str(demo.truth), open_videos=False).save(str(tmp_path / "p.slp"), verbose=False)
    options = tmp_path / "cfg" / "logger"
    options.mkdir(parents=True)
    (options / "mine.yaml").write_text(f"mlflow: true\ntracking_uri: {ADDRESS}\n")
    own = ["--config-dir", str(tmp_path / "cfg"), "logger=mine"]
    words = [f"data.path={tmp_path / 'p.slp'}", "data.frames=0-2", *WORDS]
    ends = [
        call(*words, f"logger.tracking_uri='{ADDRESS}'"),
        call(*words, *own),
        call(*words, *own, "--cfg", "job"),
        call("-m", *words, "tracker.tracking_window_size=5,6", *own),
    ]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", ADDRESS)
    ends += [
        call(*words),
        call(*words, "logger.tracking_uri=${oc.env:MLFLOW_TRACKING_URI}"),
        call("sync"),
        call("sync", f"logger.tracking_uri={ADDRESS}"),
    ]
    assert [end.code for end in ends] == [0, 0, 0, 0, 0, 0, 1, 1]
    for end in ends:
        assert "ann:***@127.0.0.1:9" in end.out + end.err
        assert SECRET not in end.out + end.err
    (options / "mine.yaml").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(list(tmp_path.glob("outputs/**/run.json"))) == 4 + 2
    assert [
        path
        for path in files
        if SECRET.encode() in path.read_bytes() or b"s3cr" in path.read_bytes()
    ] == []
    told = (next(tmp_path.glob("outputs/*/*/snapshot/config.yaml"))).read_text()
    assert "tracking_uri: http://ann:***@127.0.0.1:9/mlflow" in told


class Guarded(SimpleHTTPRequestHandler):
    """Serves files to those whose URL is signed, and notes what it is asked for."""

    asked: ClassVar[list] = []

    def send_head(self):
        """Answer with a file, or refuse."""
        type(self).asked.append(self.path)
        if "s1gned" not in self.path:
            self.send_error(403)
            return None
        return super().send_head()

    def log_message(self, *arguments):
        """Stay silent."""


@pytest.fixture
def guarded(demo):
    """Return the address of a server of the demo's files, and its handler."""
    handler = type("Own", (Guarded,), {"asked": []})
    folder = str(demo.truth.parent)
    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder))
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}).start()
    yield f"http://127.0.0.1:{http.server_port}", handler
    http.shutdown()
    http.server_close()


def test_the_signature_of_a_recording_reaches_no_file_and_no_screen(call, demo, guarded, tmp_path):
    address, handler = guarded
    truth = f"{address}/{demo.truth.name}?n=1&X-Amz-Signature=s1gned"
    options = tmp_path / "cfg" / "experiment"
    options.mkdir(parents=True)
    (options / "mine.yaml").write_text(
        f"# @package _global_\ndata: {{path: '{truth}3', frames: 0-2}}\n"
    )
    words = ["data.frames=0-2", *WORDS]
    sweep = ["-m", *words, "tracker.tracking_window_size=5,6"]
    judged = ["evaluator=identity", f"evaluator.ground_truth_path='{truth}2'"]
    ends = [call(*sweep, *judged, f"data.path='{truth}1'")]
    asked = len(handler.asked)
    ends += [
        call(*sweep, *judged, f"data.path='{truth}4'"),  # signed anew
        call(*words, "--config-dir", str(tmp_path / "cfg"), "experiment=mine"),
        call("track", "-t", "-i", f"{truth}5", "--frames", "0-2"),
    ]
    assert [end.code for end in ends] == [0, 0, 0, 0]
    assert "nothing is left to do" in ends[1].out + ends[1].err
    assert asked < 2 * 4  # jobs take the copies of the command
    refused = call(*words, f"data.path='{truth.replace('s1gned', 'wr0ng')}'")
    assert refused.code == 2
    assert "cannot be read (403" in refused.err
    (options / "mine.yaml").unlink()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in ("s1gned", "wr0ng"):
        assert not any(secret in end.out + end.err for end in (*ends, refused))
        assert not any(secret.encode() in content for content in files)
    told = next(tmp_path.glob("outputs/multirun/*/*/0/.hydra/overrides.yaml")).read_text()
    assert f"{demo.truth.name}?n=1&X-Amz-Signature=***" in told
