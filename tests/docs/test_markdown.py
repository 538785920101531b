"""Lines of Markdown prose are at most 120 characters; tables, pictures and code are not prose."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
LONGEST = 120


def prose(text):
    """Yield the numbers and lines that are neither code, nor part of a table, nor a picture."""
    code = False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r" *(```|~~~)", line):
            code = not code
        elif not code and not line.lstrip().startswith(("|", "![", "<!--")):
            yield number, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_of_prose_are_short(page):
    lines = prose(page.read_text(encoding="utf-8"))
    assert [number for number, line in lines if len(line) > LONGEST] == []


def test_only_prose_is_measured():
    text = "# Title\n```\ncode\n```\n| a | b |\n![a picture](a.png)\nwords\n"
    assert list(prose(text)) == [(1, "# Title"), (7, "words")]


def test_the_contents_of_the_decisions_name_every_entry_in_its_order():
    contents, *subjects = (ROOT / "docs" / "decisions.md").read_text("utf-8").split("\n## ")
    lists = [" ".join(text.split()) for text in contents.split("\n- **[")[1:]]
    for subject, listed in zip(subjects, lists, strict=True):
        entries = re.findall(r"^### (.*) \(\d{4}-\d\d-\d\d\)$", subject, re.MULTILINE)
        assert listed.startswith(subject.partition("\n")[0])
        assert listed.partition("**: ")[2].split(" · ") == entries
