"""Entry points of the program, and their start-up cost."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "mlflow", "lightning", "sleap_io", "pandas", "matplotlib", "cv2"}


@pytest.mark.parametrize(
    "entry",
    [
        [sys.executable, "-m", "sleap_lab"],
        [sys.executable, str(ROOT / "scripts" / "run.py")],
        [str(Path(sys.executable).with_name("sleap-lab"))],
    ],
    ids=["module", "script", "console"],
)
def test_every_entry_is_the_same_command(entry, tmp_path):
    for words, expected in (
        (["--help"], "sleap-lab: find, track and score animal poses with trained SLEAP models"),
        (["--cfg", "job"], "data:\n  path: null"),
    ):
        ended = subprocess.run(
            [*entry, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert ended.stdout.startswith(expected)
        assert ended.stderr == ""
    assert (
        subprocess.run(
            [*entry, "data.path=missing.mp4"], cwd=tmp_path, capture_output=True, check=False
        ).returncode
        == 2
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("--help", 0, "Groups, chosen as"),
        ("track --help", 0, "--tracking_window_size"),
        ("eval --help", 0, "--ground_truth_path"),
        ("--cfg job tracker=flow", 0, "use_flow: true"),
        ("--info searchpath", 0, "pkg://sleap_lab.conf"),
        ("--hydra-help", 0, "See https://hydra.cc"),
        ("-sc install=bash", 0, "complete"),
        ("tracker.windw=3", 2, ""),
        ("-m tracker=flow,none tracker.windw=3", 2, ""),
    ],
)
def test_what_needs_no_run_imports_nothing_heavy(words, code, says, tmp_path):
    program = (
        "import sys\n"
        "from sleap_lab.cli import main\n"
        "try:\n"
        f"    main({words.split()!r})\n"
        "except SystemExit as end:\n"
        f"    print('', end.code, *sorted({HEAVY!r} & set(sys.modules)), sep='|')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert says in ended.stdout
    assert ended.stdout.splitlines()[-1] == f"|{code}"
    assert list(tmp_path.iterdir()) == []


def test_import_paths_of_the_founding_page():
    program = (
        "from sleap_lab.predict import run_inference; "
        "from sleap_lab.evaluation import Evaluator; print(run_inference, Evaluator)"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert "run_inference" in ended.stdout
