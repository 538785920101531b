import json
import subprocess
import sys

import numpy as np
import pytest
import sleap_io as sio

from sleap_lab.cli.eval_tracking import HELP, NUMBERS, SWITCHES, TEXTS, run_eval_tracking
from sleap_lab.errors import ConfigError, RunError


@pytest.fixture
def files(tmp_path):
    """Return a truth and predictions with one track of three frames, of another name."""
    paths = []
    for name, kind in (("truth", sio.Instance), ("poses", sio.PredictedInstance)):
        skeleton, video, track = sio.Skeleton(["a", "b"]), sio.Video("a.mp4"), sio.Track(name)
        frames = [
            sio.LabeledFrame(
                video,
                f,
                [kind.from_numpy(np.array([[f, 0.0], [9, 9]]), skeleton=skeleton, track=track)],
            )
            for f in range(3)
        ]
        paths.append(tmp_path / f"{name}.slp")
        sio.Labels(frames).save(paths[-1], verbose=False)
    return paths


def test_short_long_and_hyphenated_flags_are_the_same(files, tmp_path, capsys):
    truth, poses = map(str, files)
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    assert run_eval_tracking(["-g", truth, "-p", poses, "-s", str(one)]) == 0
    words = [f"--ground-truth-path={truth}", "--predicted_path", poses, "--save-metrics"]
    flags = ["--mt-threshold", "0.8", "--carrier=pose", "--no-user-labels-only"]
    assert run_eval_tracking([*words, str(other), *flags]) == 0
    assert one.read_bytes() == other.read_bytes()
    assert json.loads(one.read_text())["mot"]["hota"] == 1
    assert "idf1=1.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "p.slp"], r"^--ground_truth_path \(-g\) is missing"),
        (["-g", "g.slp"], r"^--predicted_path \(-p\) is missing"),
        (["--carrier", "mask"], "^--carrier mask: this is a pose tool"),
        (["--carrier", "box"], "^--carrier: got 'box'; accepted are auto and pose"),
        (["--oks_stddev", "0"], "^--oks_stddev: got 0; it takes a number above 0"),
        (["--mt_threshold", "nan"], "^--mt_threshold: got nan"),
        (["--mt_threshold", "x"], "invalid float value"),
        (["--match_treshold", "1"], "Did you mean '--match_threshold'"),
    ],
)
def test_a_wrong_command_line_is_refused(words, message):
    given = [] if words[0] in ("-p", "-g") else ["-g", "g.slp", "-p", "p.slp"]
    with pytest.raises(ConfigError, match=message):
        run_eval_tracking([*given, *words])


def test_a_missing_file_is_named(files):
    with pytest.raises(RunError, match=r"nowhere\.slp: no such labels file"):
        run_eval_tracking(["-g", "nowhere.slp", "-p", str(files[1])])


def test_the_help_names_every_flag(capsys):
    assert run_eval_tracking(["--help"]) == 0
    shown = capsys.readouterr().out
    names = {*TEXTS, *NUMBERS, *SWITCHES} - {"no_user_labels_only"}
    assert shown == HELP
    assert all(f"--{name}" in shown for name in names)


def test_the_command_ends_with_1_where_nothing_can_be_scored(files, tmp_path):
    labels = sio.load_slp(str(files[1]), open_videos=False)
    for instance in labels.instances:
        instance.track = None
    labels.save(tmp_path / "none.slp", verbose=False)
    command = [sys.executable, "-m", "sleap_lab", "eval-tracking"]
    ended = subprocess.run(
        [*command, "-g", str(files[0]), "-p", str(tmp_path / "none.slp")],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: nothing to score: no predicted instance has a track")
    assert ended.stderr.count("\n") == 1
