"""A password in the address of a tracking server is in no file of a run and not on the screen."""

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
    ends += [call(*words), call("sync"), call("sync", f"logger.tracking_uri={ADDRESS}")]
    assert [end.code for end in ends] == [0, 0, 0, 0, 0, 1, 1]
    for end in ends:
        assert "ann:***@127.0.0.1:9" in end.out + end.err
        assert SECRET not in end.out + end.err
    (options / "mine.yaml").unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(list(tmp_path.glob("outputs/**/run.json"))) == 3 + 2
    assert [
        path
        for path in files
        if SECRET.encode() in path.read_bytes() or b"s3cr" in path.read_bytes()
    ] == []
    told = (next(tmp_path.glob("outputs/*/*/snapshot/config.yaml"))).read_text()
    assert "tracking_uri: http://ann:***@127.0.0.1:9/mlflow" in told
