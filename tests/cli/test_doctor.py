import os
import re
import shutil
import subprocess
import sys
import time

import pytest
import torch

from sleap_lab.cli import doctor
from sleap_lab.cli.doctor import OK, PROBLEM, WARNING, Finding, examine, verdict
from sleap_lab.demo.__main__ import copy
from sleap_lab.errors import ConfigError


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def single(make_model):
    return make_model("single_instance", {"confmaps": [[1, 0], [1, 0]]})


def found(*paths, overrides=()):
    return {finding.name: finding for finding in examine(list(map(str, paths)), list(overrides))}


def test_a_run_that_would_work_is_tried_out(video_path, single, tmp_path, capsys):
    findings = found(video_path, single, overrides=["runtime.device=cpu", "logger=none"])
    assert [finding.verdict for finding in findings.values() if finding.name != "trial"] == [OK] * (
        len(findings) - ("trial" in findings)
    )
    assert {"outputs", "video", "mlflow", "models", "device", "run"} <= set(findings)
    assert findings["models"].text.startswith("single_instance, ")
    assert "frames/s; all " in findings["run"].text
    assert "trying out a run, about a minute at most …" in capsys.readouterr().err
    assert not (tmp_path / "outputs").exists()


def test_what_auto_would_choose_is_shown_and_tried_out(video_path, single, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)  # for the tests that follow
    words = ["batch_size=auto", "precision=auto", "compile=auto", "device=cpu", "num_threads=6"]
    given = ["logger=none", *(f"runtime.{word}" for word in words)]
    told = [one.text for one in examine([str(video_path), str(single)], given)]
    assert "runtime.batch_size=auto chose 8: 4 at least, and one for each thread (6)." in told
    assert "runtime.compile=auto chose false: on a processor it gains nothing." in told
    assert sum(text.startswith("runtime.precision=auto chose ") for text in told) == 1


def test_the_server_that_is_away_is_no_reason_not_to_run(video_path, single):
    finding = found(video_path, single, overrides=["logger.tracking_uri=http://127.0.0.1:9"])[
        "mlflow"
    ]
    assert finding.verdict == WARNING
    assert "http://127.0.0.1:9" in finding.text


def test_models_that_do_not_fit_together_are_named(video_path, single, make_model):
    finding = found(video_path, single, make_model("centroid", {"confmaps": [[1, 0]]}))["models"]
    assert finding.verdict == PROBLEM
    assert "do not fit together" in finding.text


def test_a_video_alone_can_be_looked_at(video_path):
    findings = found(video_path)
    assert list(findings) == ["outputs", "video", "mlflow"]
    assert "px" in findings["video"].text


def test_a_file_that_is_no_video_is_a_problem(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    finding = found(tmp_path / "broken.mp4")["videos"]
    assert finding.verdict == PROBLEM
    assert "broken.mp4 cannot be read as a video" in finding.text


def test_frames_that_cannot_be_reached_are_told(video_path, monkeypatch):
    from sleap_lab.errors import RunError
    from sleap_lab.media.source import Source

    def broken(self, video, frame):
        raise RunError(f"frame {frame} cannot be read")

    monkeypatch.setattr(Source, "pixels", broken)
    finding = found(video_path)["video"]
    assert finding.verdict == WARNING
    assert "data.on_bad_frame" in finding.text


def test_a_run_that_needs_more_memory_than_there_is_is_a_problem(video_path, single, monkeypatch):
    monkeypatch.setattr(doctor, "_available_megabytes", lambda: 1.0)
    finding = found(video_path, single, overrides=["logger=none"])["run"]
    assert finding.verdict == PROBLEM
    assert "runtime.batch_size" in finding.text


def test_a_video_without_a_readable_frame_is_a_problem(video_path, single, monkeypatch):
    from sleap_lab.errors import RunError
    from sleap_lab.media.source import Source

    def broken(self, video, frame):
        raise RunError(f"frame {frame} cannot be read")

    monkeypatch.setattr(Source, "read", broken)
    monkeypatch.setattr(Source, "pixels", broken)
    assert found(video_path, single, overrides=["logger=none"])["trial"] == Finding(
        "trial", PROBLEM, "none of the frames tried can be read"
    )


def test_what_the_end_of_a_run_needs_is_tried_out_in_a_folder_that_is_removed(
    video_path, single, tmp_path, monkeypatch
):
    stores = []
    monkeypatch.setattr(
        doctor, "open_store", lambda logger, root: stores.append((logger.tracking_uri, root))
    )
    found(video_path, single, overrides=["logger.tracking_uri=sqlite:///mine.db"])
    [(uri, root)] = stores
    assert uri is None
    assert not root.exists()
    assert not (tmp_path / "mine.db").exists()


def test_a_full_disk_is_told(video_path, monkeypatch):
    usage = shutil.disk_usage(".")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    assert found(video_path)["outputs"] == Finding(
        "outputs", WARNING, found(video_path)["outputs"].text
    )


def test_without_a_video_there_is_nothing_to_try(single):
    assert found(single)["videos"].verdict == PROBLEM


def test_mistakes_in_the_command_are_refused(video_path, single):
    with pytest.raises(ConfigError, match="name its models"):
        found(video_path, overrides=["runtime.batch_size=8"])
    with pytest.raises(ConfigError, match="batch_siz"):
        found(video_path, single, overrides=["runtime.batch_siz=8"])


def test_the_last_line_says_go_or_what_to_fix():
    fine = Finding("video", OK, "fine")
    assert verdict([fine]) == "go"
    assert verdict([fine, fine._replace(verdict=WARNING)]) == "go, but read the 1 warning first"
    assert (
        verdict([fine, fine._replace(verdict=WARNING), Finding("run", PROBLEM, "too large")])
        == "fix first: run: too large"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (7200, "2.0 h")],
)
def test_durations_are_rounded_as_people_say_them(seconds, text):
    assert doctor._duration(seconds) == text


def test_the_command_ends_in_one_line(video_path, single, capsys):
    from sleap_lab.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["doctor", str(video_path), str(single), "runtime.device=cpu", "logger=none"])
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok       outputs")
    assert lines[-1].startswith("go")


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--help"], 0), (["missing.mp4"], 1)])
def test_exit_codes(arguments, code):
    from sleap_lab.cli import main

    with pytest.raises(SystemExit) as stopped:
        main(["doctor", *arguments])
    assert stopped.value.code == code


def ended(*words):
    """Run the command; return what it printed, its seconds, and its peak memory in MB."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "sleap_lab", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    text = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return (
        text,
        time.monotonic() - start,
        usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3),
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak memory of a process is not told here")
@pytest.mark.parametrize(
    ("video", "models"),
    [
        ("single.mp4", ["models/single_instance"]),
        ("video.mp4", ["models/centroid", "models/centered_instance"]),
    ],
    ids=["single instance", "top-down"],
)
def test_time_and_memory_are_within_a_factor_of_2_of_the_run_that_follows(
    video, models, tmp_path, monkeypatch
):
    copy(tmp_path / "practice")
    monkeypatch.chdir(tmp_path / "practice")
    foretold = re.search(r"take about (\d+) s, ([\d,]+) MB", ended("doctor", video, *models)[0])
    _, seconds, megabytes = ended(f"data.path={video}", f"model.paths=[{','.join(models)}]")
    assert 1 / 2 <= int(foretold[1]) / seconds <= 2
    assert 1 / 2 <= int(foretold[2].replace(",", "")) / megabytes <= 2
