"""The package as users get it: built as a wheel, installed without the checkout, run elsewhere."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the commands folder of an environment with the wheel; it borrows the dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # Building leaves files behind.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(folder),
            str(source),
        ],
        check=True,
    )
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", *folder.glob("*.whl")], check=True
    )
    site = sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})
    (Path(site) / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python.parent


@pytest.mark.slow
def test_the_wheel_runs_from_any_folder(installed, tmp_path):
    """Takes eight seconds: the installed command runs the demo, with every import cold."""
    cwd = tmp_path / "any folder"
    cwd.mkdir()
    where = subprocess.run(
        [installed / "python", "-c", "import sleap_lab.conf; print(sleap_lab.conf.__file__)"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(installed.parent)
    run = subprocess.run(
        [installed / "sleap-lab", "experiment=demo", "data.frames=0-20"],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    (report,) = cwd.glob("outputs/*/*/report.html")
    assert {"predictions.slp", "metrics.json"} <= {path.name for path in report.parent.iterdir()}
    subprocess.run(
        [installed / "python", "-m", "sleap_lab.demo", "practice"],
        cwd=cwd,
        check=True,
        capture_output=True,
    )
    assert (cwd / "practice" / "video.mp4").is_file()
