import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sleap_lab.completion import completions

VERBS = ("track", "eval", "tune", "compare", "cache")


@pytest.mark.parametrize(
    ("line", "offered", "for_hydra"),
    [
        ("sleap-lab t", ["track", "tune"], "sleap-lab t"),  # verbs, and groups from Hydra
        ("sleap-lab ", list(VERBS), "sleap-lab "),
        ("sleap-lab tracker=f", [], "sleap-lab tracker=f"),  # no verb
        ("sleap-lab -m tracker=f", [], "sleap-lab -m tracker=f"),
        (
            "sleap-lab track --tracking_c",
            ["--tracking_clean_instance_count", "--tracking_clean_iou_threshold"],
            None,
        ),
        ("sleap-lab eval --oks_s", ["--oks_stddev", "--oks_scale"], None),
        ("sleap-lab compare --", [], None),  # no flags of its own
        ("sleap-lab track -i ", [], None),  # files, from the shell
        ("sleap-lab compare outp", [], None),
        ("sleap-lab track -i video.mp4 logger=m", [], "sleap-lab logger=m"),  # keys behind flags
        ("sleap-lab tune data.path=a.mp4 tracker.of_", [], "sleap-lab tracker.of_"),
        ("sleap-lab tune tune.tra", ["tune.trackers="], "sleap-lab tune.tra"),
        ("sleap-lab cache c", ["clear"], None),
    ],
)
def test_what_is_offered(line, offered, for_hydra):
    assert completions(line, VERBS) == (offered, for_hydra)


def test_a_file_is_no_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").touch()
    assert completions("sleap-lab track -i data", VERBS) == ([], None)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize(
    ("line", "expected"),
    [("sleap-lab tracker=fi", "tracker=fixed_window"), ("sleap-lab repr", "reproduce")],
)
def test_in_bash(line, expected, tmp_path):
    script = (
        'eval "$(sleap-lab -sc install=bash)"\n'
        f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({line}) COMP_CWORD=1\n"
        'hydra_bash_completion; echo "${COMPREPLY[@]}"\n'
    )
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout.split(), ended.stderr) == ([expected], "")
