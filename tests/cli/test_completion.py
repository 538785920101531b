import os
import pty
import re
import select
import shutil
import sys
from pathlib import Path

import pytest

from sleap_lab.cli import eval_tracking, help_pages, runs
from sleap_lab.cli.completion import SHELLS, completions, split
from sleap_lab.errors import ConfigError

VERBS = (
    *("track", "eval", "eval-tracking", "tune", "compare", "review", "suggest", "calibrate"),
    *("reproduce", "info", "doctor", "sync", "cache", "runs"),
)


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
    """A working directory with a video, two models, and an option of the user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "video.mp4",
        "my take.mp4",
        ".hidden.mp4",
        "home/far.mp4",
        "mylab/tracker/mice.yaml",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    for name in ("models/bottomup", "models/centroid"):
        Path(name).mkdir(parents=True)
    return tmp_path


def offered(line):
    return completions(split(line)[0], VERBS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sleap-lab t", ["track", "tune", "tracker.", "tracker="]),  # verbs, and groups from Hydra
        (
            "sleap-lab track --tracking_c",
            ["--tracking_clean_instance_count", "--tracking_clean_iou_threshold"],
        ),
        ("sleap-lab eval --oks_s", ["--oks_stddev", "--oks_scale"]),
        ("sleap-lab eval-tracking --m", ["--match_threshold", "--mt_threshold", "--ml_threshold"]),
        ("sleap-lab compare --", ["--plan", "--help"]),
        ("sleap-lab review --b", ["--budget"]),
        ("sleap-lab review RUN --", ["--budget", "--proofread", "--frames", "--help"]),
        ("sleap-lab review RUN --proofread ", []),  # files, from the shell
        ("sleap-lab review outp", []),
        ("sleap-lab review logger.", ["logger.tracking_uri="]),
        ("sleap-lab suggest RUN --n", ["--number"]),
        ("sleap-lab info --", ["--help"]),
        ("sleap-lab runs ", ["ls", "show", "tag", "rm", "export", "import"]),
        ("sleap-lab runs -", ["--help"]),
        ("sleap-lab runs rm --", ["--yes", "--help"]),
        ("sleap-lab runs show ", []),
        ("sleap-lab runs nothing --", ["--help"]),
        ("sleap-lab track -i ", []),  # files, from the shell
        ("sleap-lab track -i video.mp4", []),
        ("sleap-lab compare outp", []),
        ("sleap-lab --config-dir my", []),
        ("sleap-lab cache c", ["clear"]),
        ("sleap-lab cache clear c", ["cache_dir="]),
        ("sleap-lab tune tune.tria", ["tune.trials="]),
        ("sleap-lab tune --", ["--config-dir", "--help"]),
        ("sleap-lab tune --config-dir mylab tracker=m", ["tracker=mice"]),
        ("sleap-lab reproduce RUN runtime.", ["runtime.device="]),
        ("sleap-lab reproduce RUN data.path=vid", ["data.path=video.mp4"]),
        ("sleap-lab reproduce RUN tracker", []),  # keeps the settings
        ("sleap-lab reproduce RUN logger.", ["logger.tracking_uri="]),
        # keys
        ("sleap-lab tracker.of_w", ["tracker.of_window_size="]),
        ("sleap-lab track -i video.mp4 tracker.of_w", ["tracker.of_window_size="]),
        ("sleap-lab data.path", ["data.path="]),
        # options
        ("sleap-lab tracker=f", ["tracker=fixed_window", "tracker=flow"]),
        ("sleap-lab -m tracker=flow,f", ["tracker=flow,fixed_window", "tracker=flow,flow"]),
        ("sleap-lab tracker=m", []),
        ("sleap-lab --config-dir mylab tracker=m", ["tracker=mice"]),
        ("sleap-lab --config-dir=mylab -m tracker=flow,m", ["tracker=flow,mice"]),
        ("sleap-lab -cd mylab tracker=m", ["tracker=mice"]),
        ("sleap-lab hydra.searchpath=[file://mylab] tracker=m", ["tracker=mice"]),
        ("sleap-lab --config-dir nowhere tracker=f", []),
        # values
        ("sleap-lab cache=r", ["cache=rw", "cache=read"]),
        ("sleap-lab debug=", ["debug=true", "debug=false"]),
        ("sleap-lab runtime.batch_size=", []),
        # files
        ("sleap-lab data.path=vi", ["data.path=video.mp4"]),
        ("sleap-lab data.path=[video.mp4,m", [
            "data.path=[video.mp4,models/", "data.path=[video.mp4,my take.mp4",
            "data.path=[video.mp4,mylab/",
        ]),
        ("sleap-lab 'data.path=my ", ["data.path=my take.mp4"]),
        ("sleap-lab 'model.paths=[models/", [
            "model.paths=[models/bottomup/", "model.paths=[models/centroid/",
        ]),
        ("sleap-lab model.paths=[models/bottomup,models/c", [
            "model.paths=[models/bottomup,models/centroid/",
        ]),
        ("sleap-lab data.path=~/f", ["data.path=~/far.mp4"]),
        ("sleap-lab data.path=.h", ["data.path=.hidden.mp4"]),
        ("sleap-lab data.path=nowhere/", []),
        ("sleap-lab hydra.run.dir=ho", ["hydra.run.dir=home/"]),
    ],
)  # fmt: skip
def test_what_is_offered(line, expected):
    assert offered(line) == expected


@pytest.mark.parametrize(
    ("verb", "page"),
    [
        ("compare", help_pages.COMPARE),
        ("review", help_pages.REVIEW),
        ("suggest", help_pages.SUGGEST),
        ("calibrate", help_pages.CALIBRATE),
        ("reproduce", help_pages.REPRODUCE),
        ("info", help_pages.INFO),
        ("sync", help_pages.SYNC),
        ("eval-tracking", eval_tracking.HELP),
        *((f"runs {verb}", runs.HELP) for verb in runs.VERBS),
    ],
)
def test_flags_are_those_of_the_help_page(verb, page):
    found = [flag for flag in offered(f"sleap-lab {verb} --") if flag != "--help"]
    told = set(re.findall(r"--[a-z]\w+", page))
    assert set(found) <= told | {"--no_user_labels_only"}
    assert verb.startswith("runs") or told <= set(found)


def test_a_new_word_may_be_anything_that_a_line_begins_with():
    assert {*VERBS, "tracker=", "data.", "experiment="} <= set(offered("sleap-lab "))
    assert "data." in offered("sleap-lab -m ")


@pytest.mark.parametrize(
    ("line", "words", "quoted"),
    [
        ("a ", ["a", ""], False),
        ("a b c", ["a", "b", "c"], False),
        (r"a b\ c", ["a", "b c"], False),
        ("a 'b c", ["a", "b c"], True),
        ("a 'b c' ", ["a", "b c", ""], False),
        ('a "', ["a", ""], True),
        ("a b\\", ["a", "b"], False),
        ('a "b\\', ["a", '"b\\'], False),
    ],
)
def test_unfinished_lines_are_split_as_shells_do(line, words, quoted):
    assert split(line) == (words, quoted)


def test_other_shells_are_refused():
    from sleap_lab.cli.completion import shell_completion

    with pytest.raises(ConfigError, match=r"accepted: install=bash, install=zsh, install=fish$"):
        shell_completion(["-sc", "install=tcsh"], VERBS)


# --- in shells --------------------------------------------------------------------------

# Each sources what sleap-lab prints; Ctrl-G writes the line as it is now and ends the shell.
SETTINGS = {
    "bash": (".bashrc", 'eval "$(sleap-lab -sc install=bash)"\n'
             "bind -x '\"\\C-g\": show'\n"
             "show() { printf '%s' \"$READLINE_LINE\" > line; exit; }\n"),
    "zsh": (".zshrc", 'eval "$(sleap-lab -sc install=zsh)"\n'
            "show() { print -rn -- \"$BUFFER\" > line; exit }; zle -N show; bindkey '^G' show\n"),
    "fish": (".config/fish/config.fish", "sleap-lab -sc install=fish | source\n"
             "bind \\cg 'commandline > line; exit'\n"),
}  # fmt: skip


def typed(shell, line, home):
    """Return what a line becomes when it is typed in an interactive shell, with tabs."""
    name, text = SETTINGS[shell]
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(text)
    # Without this folder, fish reads all manuals of the machine when it starts.
    (home / ".local/share/fish/generated_completions").mkdir(parents=True, exist_ok=True)
    child, terminal = pty.fork()
    if child == 0:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        os.execvpe(shell, [shell, "-i"], {"HOME": str(home), "PATH": path, "TERM": "dumb"})
    os.write(terminal, f"{line}\x07".encode())
    seen = b""
    try:
        while select.select([terminal], [], [], 300)[0]:
            seen += os.read(terminal, 65536)
    except OSError:  # the shell has ended
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    written = Path("line")
    assert written.exists(), seen.decode(errors="replace")
    return written.read_text().rstrip("\n")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sleap-lab compa\t", "sleap-lab compare"),
        ("sleap-lab tracker=fi\t", "sleap-lab tracker=fixed_window"),
        ("sleap-lab --config-dir mylab tracker=mi\t", "sleap-lab --config-dir mylab tracker=mice"),
        ("sleap-lab 'model.pat\t[models/b\t", "sleap-lab 'model.paths=[models/bottomup/"),
        ("sleap-lab track -i vid\t", "sleap-lab track -i video.mp4"),
        ("sleap-lab review --b\t", "sleap-lab review --budget"),
        ("sleap-lab review --proofread vid\t", "sleap-lab review --proofread video.mp4"),
        ("sleap-lab runs sh\t", "sleap-lab runs show"),
        ("sleap-lab runs rm --y\t", "sleap-lab runs rm --yes"),
        (r"sleap-lab data.path=my\ " + "\t", r"sleap-lab data.path=my\ take.mp4"),
    ],
)
@pytest.mark.parametrize("shell", SHELLS)
def test_in_a_shell(shell, line, expected, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed on this machine")
    (tmp_path / "models/bottomup/best.ckpt").touch()
    # fish puts a space behind what is complete.
    assert re.sub(" $", "", typed(shell, line, tmp_path / "home")) == expected
