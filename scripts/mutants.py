"""Change the core one place at a time, and list the changes that no unit test notices.

    python scripts/mutants.py [--count 300] [--seed 0] [--least 0.92] [--workers 2] [--only decode]

A run takes an hour on two cores; each change meets the unit tests of its file. A change is a likely
slip: `>` for `>=`, a condition or a call left out, 2 for 1. The seed and the content of the
changes, not their lines, decide which are made, so that most stay the same when the code changes.
Changes that no test can notice are listed with their reason in scripts/mutants.txt and are not
made. Ends with 1 where less than the least share of the others is noticed.

The checkout is not touched: the tests run on a copy of the package, in a process that is forked
from one with the large libraries loaded.
"""

import argparse
import ast
import hashlib
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, TESTS, KNOWN = ROOT / "sleap_lab", ROOT / "tests", ROOT / "scripts" / "mutants.txt"

SOURCES = ("media/test_open_source.py", "media/test_relink.py", "media/test_bad_frames.py")
CORE: dict[str, tuple[str, ...]] = {
    "decode/*.py": ("decode/test_*.py", "pipelines/test_bottomup.py"),
    "pipelines/*.py": ("pipelines/test_*.py", "inference/test_detect.py"),
    "tracking/*.py": ("tracking/test_*.py",),
    "evaluation/*.py": ("evaluation/test_*.py",),
    "inference/cache*.py": ("inference/test_chunks.py", "inference/test_shards.py"),
    "inference/chunks.py": (),
    "inference/detect.py": (),
    "inference/fingerprint.py": (),
    "inference/observations.py": (),
    "inference/shard*.py": ("inference/test_shards.py",),
    "media/source*.py": SOURCES,
    "media/open_source.py": SOURCES,
    "media/from_*.py": SOURCES,
    "media/selection.py": SOURCES,
    "media/read_ahead.py": SOURCES,
    "media/bad_frames.py": ("media/test_open_source.py",),
}
"""Files that are changed, and the tests that run after the one which mirrors a file."""

HEAVY = (
    "torch",
    "lightning.fabric",
    "sleap_io",
    "cv2",
    "av",
    "h5py",
    "scipy.optimize",
    "hydra",
    "filelock",
    "hypothesis",
    "pytest",
)
SELECTION = "not slow and not conformance"
GRACE = 30.0
"""Seconds that tests may exceed three times their duration on unchanged code.

After that, they count as hanging.
"""

SHORTEST, LONGEST, KEPT = 30, 110, 40
"""Lengths of the text of a change, characters.

A change is shown with the code around it while it is shorter than the first and the result is not
longer than the second. The third is the number of characters that are kept on either side.
"""

LARGE = 100
"""Whole numbers from here on are sizes and limits, of which one more or less is as good."""

NO_MATTER = ("strict", "device", "encoding")
"""Arguments that can be left out without a trace.

They check the impossible, or make no difference where the tests run.
"""

SWAPPED: dict[type[ast.AST], Any] = {
    **{
        ast.Gt: ast.GtE,
        ast.GtE: ast.Gt,
        ast.Lt: ast.LtE,
        ast.LtE: ast.Lt,
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
    },
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{
        ast.Add: ast.Sub,
        ast.Sub: ast.Add,
        ast.Mult: ast.Div,
        ast.Div: ast.Mult,
        ast.FloorDiv: ast.Mult,
        ast.Mod: ast.Add,
        ast.Pow: ast.Mult,
    },
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or, ast.Or: ast.And},
}
OPPOSITES = {"min": "max", "max": "min"}
LIMITING = ("clamp", "clip", "round")
"""Methods that can be left out, as what they return is like what they are called on."""


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        name: The change without its line: file, function, before and after, and the number among
            several that are alike.
        path: File, from the package on.
        line: Line, from 1.
        number: Which of the changes of its file.
    """

    name: str
    path: str
    line: int
    number: int


def changes(path: str, source: str) -> list[Change]:
    """Return all changes that can be made to a file."""
    found, alike = [], Counter[str]()
    for number, (line, name, _) in enumerate(_changed(source)):
        alike[name] += 1
        nth = f" ({alike[name]})" if alike[name] > 1 else ""
        found.append(Change(f"{path} {name}{nth}", path, line, number))
    return found


def changed(source: str, number: int) -> str:
    """Return a file with one of its changes made."""
    return next(ast.unparse(tree) for i, (_, _, tree) in enumerate(_changed(source)) if i == number)


def _changed(source: str) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield line, name and tree of each change; the tree holds the change until the next one."""
    tree = ast.parse(source)
    for node, above, function in list(_nodes(tree, (), "")):
        for other in _others(node):
            shown = _around(node, above)
            before = ast.unparse(shown)
            _put(above[-1], node, other)
            after = ast.unparse(other if shown is node else shown)
            yield node.lineno, f"{function or 'module'}: {_shown(before, after)}", tree  # type: ignore[attr-defined]  # each has a line
            _put(above[-1], other, node)


def _nodes(
    node: ast.AST, above: tuple[ast.AST, ...], function: str
) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...], str]]:
    """Yield the nodes that may be changed, their ancestors, and the name of their function.

    The outermost ancestor comes first.
    """
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        function = f"{function}.{node.name}".lstrip(".")
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_no_matter(child):
                if isinstance(child, (ast.expr, ast.stmt)):
                    yield child, (*above, node), function
                yield from _nodes(child, (*above, node), function)


def _is_no_matter(node: ast.AST) -> bool:
    """Return whether a part of the code is text, an error, for types, or checks what cannot be."""
    match node:
        case ast.JoinedStr() | ast.Raise() | ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return True
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
    return False


def _others(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node may be changed to."""
    match node:
        case ast.Compare(left, ops, comparators):
            for i, op in enumerate(ops):
                yield ast.Compare(left, [*ops[:i], SWAPPED[type(op)](), *ops[i + 1 :]], comparators)
        case ast.BinOp(left, op, right) if type(op) in SWAPPED:
            yield ast.BinOp(left, SWAPPED[type(op)](), right)
        case ast.AugAssign(target, op, value) if type(op) in SWAPPED:
            yield ast.AugAssign(target, SWAPPED[type(op)](), value)
        case ast.Constant(int(value)) if not isinstance(value, bool) and value < LARGE:
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.BoolOp(op, values):
            yield ast.BoolOp(SWAPPED[type(op)](), values)
            for i in range(len(values)):
                rest = [*values[:i], *values[i + 1 :]]
                yield ast.BoolOp(op, rest) if len(rest) > 1 else rest[0]
        case ast.UnaryOp(ast.Not() | ast.Invert(), operand) | ast.UnaryOp(
            ast.USub(), ast.Name() | ast.Call() | ast.Attribute() as operand
        ):
            yield operand
        case ast.IfExp(_, body, orelse):
            yield from (body, orelse)
        case ast.If(test, body, orelse):
            yield from (ast.If(ast.Constant(truth), body, orelse) for truth in (True, False))
        case ast.While(test, body, orelse):
            yield ast.While(ast.Constant(False), body, orelse)
        case ast.Expr(ast.Call()):
            yield ast.Pass()
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for i, part in enumerate(node.generators):
                for test in part.ifs:
                    less = ast.comprehension(
                        part.target,
                        part.iter,
                        [one for one in part.ifs if one is not test],
                        part.is_async,
                    )
                    yield type(node)(
                        **vars(node)
                        | {"generators": [*node.generators[:i], less, *node.generators[i + 1 :]]}
                    )
        case ast.Call(func, args, keywords):
            if isinstance(func, ast.Name) and func.id in OPPOSITES:
                yield ast.Call(ast.Name(OPPOSITES[func.id]), args, keywords)
            if isinstance(func, ast.Attribute) and func.attr in LIMITING:
                yield func.value
            for word in keywords:
                if word.arg not in (None, *NO_MATTER):
                    yield ast.Call(func, args, [one for one in keywords if one is not word])


def _around(node: ast.AST, above: tuple[ast.AST, ...]) -> ast.AST:
    """Return the node, or as much code around it as tells it from others."""
    for outer in reversed(above):
        if len(ast.unparse(node)) >= SHORTEST or not isinstance(
            outer, (ast.expr, ast.keyword, ast.Assign, ast.Return, ast.Expr)
        ):
            break
        if len(ast.unparse(outer)) > LONGEST:
            break
        node = outer
    return node


def _shown(before: str, after: str) -> str:
    """Return what became of what in one line, without most of what is alike at either end."""
    before, after = " ".join(before.split()), " ".join(after.split())
    start, end = (
        max(_alike(before, after) - KEPT, 0),
        max(_alike(before[::-1], after[::-1]) - KEPT, 0),
    )
    if max(len(before), len(after)) <= LONGEST:
        start = end = 0
    cut = [text[start : max(len(text) - end, start)] for text in (before, after)]
    return " → ".join(f"{'…' if start else ''}{text}{'…' if end else ''}" for text in cut)


def _alike(one: str, other: str) -> int:
    """Return how many characters are the same from the beginning on."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def _put(outer: ast.AST, node: ast.AST, other: ast.AST) -> None:
    """Put another node into the place of one."""
    for name, value in ast.iter_fields(outer):
        if value is node:
            setattr(outer, name, other)
        elif isinstance(value, list):
            value[:] = [other if one is node else one for one in value]


# --- running tests ------------------------------------------------------------------------


@dataclass
class Trial:
    """A process that runs tests.

    Attributes:
        change: What was changed; None for the code as it is.
        place: Folder with the copy of the package, which nobody else uses meanwhile.
        process: The process; it ends with what pytest ends with.
        began: When it started, s.
        limit: Seconds after which it is ended.
    """

    change: Change | None
    place: Path
    process: BaseProcess
    began: float
    limit: float


def tests_of(path: str) -> list[str]:
    """Return the test files for a file of the package: the mirrored file, then its neighbours."""
    mirror = TESTS / Path(path).parent / f"test_{Path(path).name}"
    near = next(globs for pattern, globs in CORE.items() if Path(path).match(pattern))
    found = [mirror, *(test for pattern in near for test in sorted(TESTS.glob(pattern)))]
    return [str(test) for test in dict.fromkeys(found) if test.exists()]


def start(change: Change | None, tests: list[str], place: Path, limit: float) -> Trial:
    """Run tests on a copy of the package in which a change is made."""
    if change is not None:
        file = place / "sleap_lab" / change.path
        shutil.copy2(file, place / "before.py")
        file.write_text(changed(file.read_text(encoding="utf-8"), change.number), encoding="utf-8")
        # Compiled code is found by the time; no other version of the file has this one.
        os.utime(file, (change.number, change.number))
    process = multiprocessing.get_context("fork").Process(target=_run, args=(tests, place))
    process.start()
    return Trial(change, place, process, time.monotonic(), limit)


def _run(tests: list[str], place: Path) -> None:
    """Run tests on the copy of the package that lies in a folder; never returns."""
    os.setsid()  # so that the processes it starts can be ended with it
    output = os.open(place / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = str(place)
    sys.path.insert(0, str(place))
    import pytest

    options = [
        "-q",
        "-x",
        "-m",
        SELECTION,
        "-p",
        "no:cacheprovider",
        f"--basetemp={place / 'tests'}",
    ]
    os._exit(pytest.main([*options, "-W", "ignore::pytest.PytestAssertRewriteWarning", *tests]))


def finish(trial: Trial) -> int | None:
    """End what a trial left behind, and return how the tests ended; None where they hung."""
    hung = trial.process.exitcode is None
    with suppress(ProcessLookupError):
        os.killpg(trial.process.pid or 0, signal.SIGKILL)
    trial.process.join()
    if trial.change is not None:
        shutil.copy2(trial.place / "before.py", trial.place / "sleap_lab" / trial.change.path)
    return None if hung else trial.process.exitcode


def run_all(
    todo: Iterator[tuple[Change | None, list[str], float]], places: list[Path]
) -> Iterator[tuple[Trial, int | None]]:
    """Run trials side by side, one in each place, and yield each with how it ended."""
    free, running = list(places), list[Trial]()
    try:
        while True:
            while free and (following := next(todo, None)) is not None:
                change, tests, limit = following
                running.append(start(change, tests, free.pop(), limit))
            if not running:
                return
            soonest = min(trial.began + trial.limit for trial in running)
            wait(
                [trial.process.sentinel for trial in running],
                timeout=max(soonest - time.monotonic(), 0),
            )
            for trial in list(running):
                if not trial.process.is_alive() or time.monotonic() > trial.began + trial.limit:
                    running.remove(trial)
                    yield trial, finish(trial)
                    free.append(trial.place)
    finally:  # stopped: their processes do not hear a Ctrl-C
        for trial in running:
            finish(trial)


def prepare(folder: Path, workers: int) -> list[Path]:
    """Copy the package, once for each worker, and load the large libraries."""
    sys.pycache_prefix, sys.dont_write_bytecode = str(folder / "compiled"), False
    os.environ |= {"PYTHONPYCACHEPREFIX": sys.pycache_prefix, "PYTHONDONTWRITEBYTECODE": ""}
    places = [folder / f"place{number}" for number in range(workers)]
    for place in places:
        shutil.copytree(PACKAGE, place / "sleap_lab", ignore=shutil.ignore_patterns("__pycache__"))
        (place / "sleap_lab" / "conf").symlink_to(ROOT / "conf")
    for name in HEAVY:
        importlib.import_module(name)
    from hypothesis import settings

    settings.load_profile("ci")  # the same examples each time
    return places


# --- the whole ----------------------------------------------------------------------------


def all_changes() -> list[Change]:
    """Return all changes of the core."""
    files = [file for pattern in CORE for file in sorted(PACKAGE.glob(pattern))]
    return [
        change
        for file in files
        for change in changes(
            file.relative_to(PACKAGE).as_posix(), file.read_text(encoding="utf-8")
        )
    ]


def known(text: str) -> dict[str, str]:
    """Return the listed changes with their reasons.

    A line without indentation is the reason of the lines below it.
    """
    reasons, reason = {}, ""
    for line in text.splitlines():
        if line.startswith(" "):
            reasons[line.strip()] = reason
        elif line and not line.startswith("#"):
            reason = line
    return reasons


def drawn(found: list[Change], count: int, seed: int) -> list[Change]:
    """Draw some changes.

    A drawn change stays drawn when others come or go, and when its file moves to another folder.
    """

    def rank(change: Change) -> bytes:
        named = change.name.removeprefix(f"{Path(change.path).parent.as_posix()}/")
        return hashlib.sha256(f"{seed} {named}".encode()).digest()

    return sorted(found, key=rank)[:count]


def main() -> int:
    """Make changes, and report which of them nobody noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=float, default=0.92)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="", help="only files of which the path begins so")
    options = parser.parse_args()
    found, listed = (
        [change for change in all_changes() if change.path.startswith(options.only)],
        known(KNOWN.read_text(encoding="utf-8")),
    )
    chosen = drawn(
        [change for change in found if change.name not in listed], options.count, options.seed
    )
    for name in sorted(listed.keys() - {change.name for change in all_changes()}):
        print(f"listed, but no such change is left: {name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        places = prepare(Path(folder), options.workers)
        tests = {change.path: tests_of(change.path) for change in chosen}
        unnoticed = _report(chosen, tests, places)
    share = 1 - len(unnoticed) / len(chosen)
    spared = sum(change.name in listed for change in found)
    print(
        f"{len(chosen) - len(unnoticed)} of {len(chosen)} changes were noticed ({share:.1%}); "
        f"{spared} that nobody can notice were not made"
    )
    return int(share < options.least)


def _report(chosen: list[Change], tests: dict[str, list[str]], places: list[Path]) -> list[Change]:
    """Make changes and print those that no test notices; the tests must pass before."""
    seconds: dict[frozenset[str], float] = {}
    for files in {frozenset(files): files for files in tests.values()}.values():
        ((trial, code),) = run_all(iter([(None, files, 3600.0)]), places[:1])
        if code != 0:
            output = (trial.place / "output.txt").read_text(encoding="utf-8")
            sys.exit(f"error: tests fail on the code as it is:\n{output}")
        seconds[frozenset(files)] = time.monotonic() - trial.began
    unnoticed = []
    todo = (
        (change, tests[change.path], GRACE + 3 * seconds[frozenset(tests[change.path])])
        for change in chosen
    )
    for done, (trial, code) in enumerate(run_all(todo, places), start=1):
        if code == 0 and trial.change is not None:
            unnoticed.append(trial.change)
            change = trial.change
            name = change.name.removeprefix(f"{change.path} ")
            print(f"{change.path}:{change.line} {name}", flush=True)
        if done % 50 == 0:
            print(f"# {done} of {len(chosen)}, {len(unnoticed)} unnoticed", flush=True)
    return unnoticed


if __name__ == "__main__":
    sys.exit(main())
