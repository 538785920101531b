"""Every command of the table in docs/hydra.md gives what the table says."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sleap_lab.demo.__main__ import copy

PAGE = Path(__file__).parents[2] / "docs" / "hydra.md"
FILES = re.findall(
    r'^```yaml title="(.*?)"\n(.*?)^```$',
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
ROWS = re.findall(
    r"^\| *(…?)[^`\n]*(?:`[^`\n]*`[^`|\n]*)*\| `(sleap-lab .*?)` \| `(.*?)` \|$",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE,
)
TYPED: dict[str, list[tuple[str, str]]] = {}
"""By command: what is typed one after the other, and what each gives.

The same command may give something else when it is typed again; a row that begins with … needs what
the one above has left.
"""
_first = ""
for _goes_on, _command, _gives in ROWS:
    _first = _first if _goes_on else _command
    TYPED.setdefault(_first, []).append((_command, _gives))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files of the page, in which its commands are typed one after the other."""
    folder = tmp_path_factory.mktemp("page") / "here"
    copy(folder)
    shutil.copyfile(folder / "truth.slp", folder / "predictions.slp")
    for name, text in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_every_row_with_a_command_is_found():
    assert len(ROWS) == PAGE.read_text(encoding="utf-8").count("| `sleap-lab ") >= 20


@pytest.mark.parametrize("first", TYPED)
def test_a_command_gives_what_the_table_says(first, folder):
    """Takes seven seconds where the command is a sweep: each job is a process."""
    for command, gives in TYPED[first]:
        check(command, gives, folder)


def check(command, gives, folder):
    """Type a command and compare what it gives with a row of the table."""
    words = [sys.executable, "-m", "sleap_lab", *shlex.split(command)[1:]]
    ended = subprocess.run(
        words, cwd=folder, capture_output=True, text=True
    )  # Hydra changes the logging of its process
    said = ended.stdout + ended.stderr
    if gives.startswith("error: "):
        assert (ended.returncode, gives in " ".join(ended.stderr.split())) == (2, True), said
    elif "--cfg" in command or "--info" in command:
        assert (ended.returncode, gives in ended.stdout) == (0, True), said
    else:
        assert (ended.returncode, any(path.is_file() for path in folder.glob(gives))) == (
            0,
            True,
        ), said
