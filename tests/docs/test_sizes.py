"""Functions have at most 60 lines, and modules at most 400 unless their head says why."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sleap_lab"
MOST_OF_A_FUNCTION, MOST_OF_A_MODULE = 60, 400
REASON = "Long because "
"""Start of the line of a module's docstring that says why the module is long."""

REFERENCE_ARGUMENTS = {"predict.py:run_inference"}
"""Functions whose arguments are those of the reference, each with its documentation.

Only their code counts.
"""


def functions(source):
    """Yield name, length, and length without arguments and docstring of each function."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            code = node.body[1:] if ast.get_docstring(node) is not None else node.body
            length = node.end_lineno - node.lineno + 1
            yield node.name, length, node.end_lineno - code[0].lineno + 1 if code else 0


def too_long(path, source):
    """Return the functions of a module that are too long, and the module itself if it is."""
    found = {
        f"{path}:{name}"
        for name, length, code in functions(source)
        if (code if f"{path}:{name}" in REFERENCE_ARGUMENTS else length) > MOST_OF_A_FUNCTION
    }
    head = ast.get_docstring(ast.parse(source)) or ""
    says_why = any(line.startswith(REASON) for line in head.splitlines())
    if len(source.splitlines()) > MOST_OF_A_MODULE and not says_why:
        found.add(path)
    return found


def test_no_function_and_no_module_is_too_long():
    """If it fails: give the steps of the function names, or split the module."""
    found = {
        name
        for file in PACKAGE.rglob("*.py")
        for name in too_long(file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8"))
    }
    assert found == set(), "too long"


def test_each_exception_is_a_function_of_the_package():
    for name in REFERENCE_ARGUMENTS:
        path, _, function = name.partition(":")
        source = (PACKAGE / path).read_text(encoding="utf-8")
        assert function in {found for found, *_ in functions(source)}


LINE = "    x = 1\n"


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("a.py", "def f():\n" + 59 * LINE, set()),
        ("a.py", "def f():\n" + 60 * LINE, {"a.py:f"}),
        ("a.py", "async def f(\n    a,\n):\n" + 58 * LINE, {"a.py:f"}),
        ("a.py", "class A:\n    def f(self):\n" + 60 * f"    {LINE}", {"a.py:f"}),
        ("a.py", 'def f():\n    """Do it.\n\n    Long.\n    """\n' + 56 * LINE, {"a.py:f"}),
        ("predict.py", 'def run_inference():\n    """Do\n    it."""\n' + 60 * LINE, set()),
        ("predict.py", "def run_inference():\n" + 61 * LINE, {"predict.py:run_inference"}),
        ("a/b.py", 400 * "x = 1\n", set()),
        ("a/b.py", 401 * "x = 1\n", {"a/b.py"}),
        ("a/b.py", '"""One.\n\nLong because of it.\n"""\n' + 400 * "x = 1\n", set()),
        ("a/b.py", '"""One that is not Long because of it."""\n' + 400 * "x = 1\n", {"a/b.py"}),
    ],
)
def test_lengths(path, source, expected):
    assert too_long(path, source) == expected
