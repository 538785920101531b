"""Files that are broken, lie or mean harm.

Each gets one line and an exit code, without a traceback or a crash; nothing is run or written.
"""

import importlib.util
import shlex
import signal
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("bad_files", Path(__file__).parent / "bad_files.py")
bad_files = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bad_files)

OWN = ["logger=none", "report=none", "cache=off"]
SECONDS = 60  # a case takes less than one; this is for those that would never end


@pytest.fixture
def in_time():
    """End a test that hangs."""

    def stop(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_the_corpus_is_large_and_its_cases_have_names():
    names = [case.name for case in bad_files.CASES]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize("case", bad_files.CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_bad_files(case, call, in_time, tmp_path):
    bad_files.prepare(tmp_path)
    case.make(tmp_path)
    before = {path for path in tmp_path.rglob("*") if "outputs" not in path.parts}
    ended = call(*shlex.split(case.words), *OWN)
    lines = ended.err.splitlines()
    assert ended.code == case.code, ended.err
    if case.code == 3:  # it went on, and says what was lost
        assert any(line.startswith("warning: ") and case.says in line for line in lines)
        assert not any(line.startswith("error: ") for line in lines)
        assert list(Path("outputs").glob("*/*/predictions.slp"))
    else:
        assert case.says in lines[-1]
        assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
        assert not list(Path("outputs").glob("*/*/predictions.slp"))
    assert "Traceback" not in ended.err + ended.out
    assert {
        path for path in tmp_path.rglob("*") if "outputs" not in path.parts
    } == before  # nothing beside the run folder
    assert not Path("harmed").exists()
    assert Path.cwd() == tmp_path
