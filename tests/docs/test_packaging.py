"""What the project's files say about versions and folders agrees."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        normalized(name): version
        for name, _, version in (line.partition("==") for line in lines)
        if version
    }


def test_uv_installs_the_versions_that_pip_does():
    pinned = dict(text.split("==") for text in PROJECT["tool"]["uv"]["constraint-dependencies"])
    assert {normalized(name): version for name, version in pinned.items()} == {
        name: pins()[normalized(name)] for name in pinned
    }


def test_every_dependency_is_pinned():
    project = PROJECT["project"]
    wanted = project["dependencies"] + [
        text for extra in project["optional-dependencies"].values() for text in extra
    ]
    names = {normalized(re.match(r"[\w.-]+", text)[0]) for text in wanted}
    assert names - pins().keys() == set()


def test_every_package_folder_is_declared():
    folders = [file.parent.relative_to(ROOT) for file in (ROOT / "sleap_lab").rglob("__init__.py")]
    found = {".".join(folder.parts) for folder in folders}
    assert found | {"sleap_lab.conf"} == set(PROJECT["tool"]["setuptools"]["packages"])


def test_version_is_one():
    from sleap_lab import __version__

    assert __version__ == PROJECT["project"]["version"]


def test_every_pin_installs_on_the_oldest_python():
    """Debian 12 has Python 3.11.2; a package may ask for more than its neighbours do."""
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=") + ".0"
    refused = {}
    for name in pins():
        try:
            asked = metadata(name).get("Requires-Python")
        except PackageNotFoundError:  # what other systems or Pythons need
            continue
        if asked and not SpecifierSet(asked).contains(oldest):
            refused[name] = asked
    assert refused == {}


# --- make install -----------------------------------------------------------------------

# Stands for the Python of a fresh machine and of its .venv: it logs its arguments, and OpenCV loads
# as $LOADS says.
PYTHON = """#!/bin/sh
echo "$*" >> "$LOG"
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *ensurepip*) test "$LOADS" != "no venv" ;;
  *--editable*) rm -f "$LOG.headless" ;;
  *opencv-python-headless==*) touch "$LOG.headless" ;;
  *"import cv2"*)
    test "$LOADS" = all || test -e "$LOG.headless" || {
      printf 'Traceback\\nImportError: libGL.so.1: no such file\\n' >&2
      exit 1
    } ;;
esac
"""


@pytest.fixture
def install(tmp_path):
    """Return a function that runs `make install` or another target with a stand-in for Python.

    It returns the finished process and the arguments of each call of Python.
    """
    python, log = tmp_path / "python", tmp_path / "log"
    python.write_text(PYTHON)
    python.chmod(0o755)

    def install(loads, target="install"):
        words = ["make", "-C", str(ROOT), target, f"PYTHON={python}", f"VENV={tmp_path}/venv"]
        environment = os.environ | {"LOADS": loads, "LOG": str(log), "MAKEFLAGS": ""}
        ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        return ended, [line.removeprefix("-m pip ") for line in log.read_text().splitlines()]

    return install


def test_without_libgl_the_headless_build_of_the_same_version_is_installed(install):
    ended, asked = install("headless")
    assert ended.returncode == 0, ended.stderr
    version = pins()["opencv-python"]
    assert asked[-4:] == [
        "-c import cv2",
        "uninstall -qq --yes opencv-python opencv-python-headless",
        f"install --no-deps opencv-python-headless=={version}",
        "-c import cv2",
    ]
    assert (
        "(ImportError: libGL.so.1: no such file); "
        f"opencv-python-headless {version} takes its place\n" in ended.stdout
    )


def test_with_libgl_it_is_not(install):
    ended, asked = install("all")
    assert ended.returncode == 0, ended.stderr
    assert asked[-1] == "-c import cv2"
    assert "headless" not in ended.stdout


def test_pip_shows_what_it_does_and_installs_no_tools_until_they_are_needed(install):
    """Tests, checks and docs need 0.4 GB more than runs do."""
    extras = PROJECT["project"]["optional-dependencies"].keys()
    tools = {"dev", "docs", "onnxruntime", "openvino"}
    extras = extras - {"cluster"}  # comes with make cluster
    ended, asked = install("all")
    (first,) = [line for line in asked if "--editable" in line]
    assert ended.returncode == 0, ended.stderr
    assert (
        first
        == f"install --constraint constraints.txt --editable .[{','.join(sorted(extras - tools))}]"
    )
    _, asked = install("all", "tools")
    installs = [line for line in asked if line.startswith("install")]
    assert (
        installs[-1]
        == f"install --constraint constraints.txt --editable .[{','.join(sorted(tools))}]"
    )
    assert asked[-1] == "-c import cv2"


def test_tools_leave_the_headless_build_in_place(install):
    """pip brings `opencv-python` back, because the package asks for it."""
    _, asked = install("headless", "tools")
    replaced = [
        line for line in asked if line.startswith("install --no-deps opencv-python-headless")
    ]
    assert (len(replaced), asked[-1]) == (2, "-c import cv2")


def test_a_python_without_venv_is_told_in_a_line(install):
    ended, asked = install("no venv")
    assert ended.returncode != 0
    assert re.search(
        r"^error: \S+ cannot make virtual environments; "
        r"on Debian and Ubuntu: apt-get install python3-venv$",
        ended.stdout,
        re.MULTILINE,
    )
    assert not any("venv " in line for line in asked)


def test_the_page_names_the_same_version():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert re.findall(r"opencv-python-headless==(\S+)", page) == [pins()["opencv-python"]]
