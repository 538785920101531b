"""A hook of the site build: it adds the list of all modules to the page that requests it."""

import ast
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1] / "sleap_lab"
MARK = "<!-- modules -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the list of modules in the place of its mark; MkDocs calls this for every page."""
    return markdown.replace(MARK, modules()) if MARK in markdown else markdown


def modules() -> str:
    """Return a table of all modules with what their docstrings say first, folder by folder."""
    rows = ["| module | what it is |", "| --- | --- |"]
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (len(path.parts), path)):
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        name = str(path.relative_to(PACKAGE)).removesuffix("__init__.py")
        if name:
            rows.append(f"| `{name}` | {doc.splitlines()[0]} |")
    return "\n".join(rows)
