"""The commands of the README and of the pages in docs/.

A block tagged `bash` or `python` is run, in the order of its page. Blocks tagged `sh` and `py` are
not run, and their titles say why. A `yaml` block with a title is a file of that name. The fast
tests check every `sleap-lab` command up to the point where work would begin, what interactive
shells make of the words, and run Python on ten frames. The slow ones (`make docs-commands`) run
whole pages in interactive shells, on the demo's clips.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from glob import glob
from itertools import dropwhile, groupby
from pathlib import Path

import cv2
import pytest

from sleap_lab import run_inference
from sleap_lab.cli import help_page, main
from sleap_lab.demo.__main__ import copy

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
READ_BY_HYDRA = (
    "compare",
    "review",
    "suggest",
    "calibrate",
    "reproduce",
    "info",
    "doctor",
    "sync",
    "cache",
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its title and its text."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    fence = re.compile(
        r'^( *)```(\w*)(?: +title="([^"]*)")?\n(.*?)^\1```$', re.DOTALL | re.MULTILINE
    )
    for indent, language, title, text in fence.findall(page.read_text(encoding="utf-8")):
        yield Block(language, title, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))


def commands(text: str) -> Iterator[list[str]]:
    """Yield the commands of a shell block as words, without the variables set before them."""
    for line in text.replace("\\\n", " ").splitlines():
        for operator, group in groupby(shlex.split(line), lambda word: word in ("&&", "|", ";")):
            words = list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), group))
            if words and not operator:
                yield words


def pages(*languages: str) -> list[object]:
    """Return the pages with a block in one of the languages, as parameters."""
    chosen = [page for page in PAGES if any(block.language in languages for block in blocks(page))]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in chosen]


def write(block: Block, folder: Path) -> None:
    """Write the file that a block shows."""
    path = folder / block.title
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, encoding="utf-8")


def predict(folder: Path) -> None:
    """Write the predictions that pages take for granted, as the first page does."""
    run_inference(
        data_path=str(folder / "video.mp4"),
        model_paths=[str(folder / "models" / name) for name in ("centroid", "centered_instance")],
        output_path=str(folder / "predictions.slp"),
    )


def shorten(video: Path, n: int) -> None:
    """Keep the first frames of a video."""
    reader = cv2.VideoCapture(str(video))
    frames = [reader.read()[1] for _ in range(n)]
    reader.release()
    height, width, _ = frames[0].shape
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), 15, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()


@pytest.fixture(scope="module")
def short_lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "practice"
    copy(folder)
    shorten(folder / "video.mp4", 10)
    predict(folder)
    return folder


@pytest.fixture(scope="module")
def long_lab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "practice"
    copy(folder)
    predict(folder)
    return folder


@pytest.fixture
def lab(short_lab, tmp_path, monkeypatch):
    """A folder with the files that the pages name, and clips of ten frames."""
    folder = shutil.copytree(short_lab, tmp_path / "practice")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def no_work(monkeypatch):
    """Let commands end where their work would begin."""

    def end(*args, **options):
        sys.exit(0)

    monkeypatch.setattr("sleap_lab.launch.command.launch", lambda *args, **options: 0)
    monkeypatch.setattr("sleap_lab.tune.run.open_inputs", end)


@pytest.mark.parametrize("page", pages("bash"))
def test_commands_are_accepted(page, lab, no_work, capsys):
    for block in blocks(page):
        if block.language == "yaml" and block.title:
            write(block, lab)
        for words in commands(block.text) if block.language == "bash" else ():
            if words[0] in ("cp", "mkdir"):
                subprocess.run(words, check=True)
            if words[0] != "sleap-lab":
                continue
            if words[1] in READ_BY_HYDRA:
                assert f"sleap-lab {words[1]}" in help_page()
                continue
            with pytest.raises(SystemExit) as ended:
                main(words[1:])
            assert ended.value.code in (0, None), f"{shlex.join(words)}\n{capsys.readouterr().err}"


# --- in shells --------------------------------------------------------------------------

SHELLS = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}
RECORD = """#!/bin/sh
printf '%s\\n' "${0##*/}" "$@" "--- end" >> "$RECORD"
"""


@pytest.fixture(params=SHELLS)
def shell(request):
    """A shell, with which tests are skipped where it is not installed."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed on this machine")
    return request.param


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    """A folder with commands that write down the words that they get, and do nothing."""
    folder = tmp_path_factory.mktemp("stubs")
    for name in ("sleap-lab", "python", "make", "git", "pip", "mlflow", "ffmpeg", "uv", "conda"):
        (folder / name).write_text(RECORD)
        (folder / name).chmod(0o755)
    return folder


def expanded(word: str, folder: Path) -> list[str]:
    """Return what a shell makes of a word in a folder."""
    return sorted(glob(word, root_dir=folder)) or [word]  # noqa: PTH207


@pytest.mark.parametrize("page", pages("bash", "sh"))
def test_shells_read_what_is_meant(page, shell, stubs, tmp_path):
    """Interactive shells know no comments, and zsh refuses patterns without match."""
    for folder in (tmp_path, tmp_path / "practice"):
        for job in ("0", "1"):
            (folder / "outputs/multirun/2026-11-22/16-45-01" / job).mkdir(parents=True)
    texts = [block.text for block in blocks(page) if block.language in ("bash", "sh")]
    expected = [
        [part for word in words for part in expanded(word, tmp_path)]
        for text in texts
        for words in commands(text)
        if (stubs / words[0]).is_file()
    ]
    environment = {
        "PATH": f"{stubs}{os.pathsep}{os.environ['PATH']}",
        "RECORD": str(tmp_path / "record"),
        "HOME": str(tmp_path),
    }
    ended = subprocess.run(
        SHELLS[shell],
        input="\n".join([*texts, "exit"]) + "\n",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    got = (tmp_path / "record").read_text().split("--- end\n") if expected else [""]
    assert [words.splitlines() for words in got[:-1]] == expected, ended.stderr
    assert "not found" not in ended.stderr


@pytest.mark.parametrize("page", pages("python"))
def test_python_runs(page, lab):
    names: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)
def test_what_is_not_run_says_why(page):
    for block in blocks(page):
        if block.language in ("sh", "py"):
            assert block.title, (
                f"{page.name}: a title that says why this is not run is missing\n{block.text}"
            )
        elif block.language == "":
            typed = [
                line
                for line in block.text.splitlines()
                if re.match(r"(\$ )?(sleap-lab|make|pip|python) ", line)
            ]
            assert not typed, (
                f"{page.name}: tag the block as bash, or as sh with a title that says why it is "
                f"not run\n{block.text}"
            )


def test_what_pages_make_is_in_the_makefile():
    made = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for page in PAGES:
        typed = "\n".join(block.text for block in blocks(page) if block.language in ("bash", "sh"))
        named = {
            *re.findall(r"^make ([a-z-]+)", typed, re.MULTILINE),
            *re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")),
        }
        assert named <= made, f"{page.name}: make {', '.join(sorted(named - made))}"


@pytest.mark.slow
@pytest.mark.parametrize("page", pages("bash"))
def test_pages_run(page, shell, long_lab, tmp_path):
    """All blocks of a page run in one interactive shell, where later ones find earlier results."""
    folder = shutil.copytree(long_lab, tmp_path / "practice")
    script = ["set -e"]
    for block in blocks(page):
        if block.language == "yaml" and block.title:
            write(block, folder)
        elif block.language == "bash":
            script.append(block.text)
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    }
    ended = subprocess.run(
        SHELLS[shell],
        input="\n".join([*script, "exit 0"]) + "\n",
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
