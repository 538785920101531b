"""What the project's files say about versions and folders agrees."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {normalized(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def test_uv_installs_the_versions_that_pip_does():
    pinned = dict(text.split("==") for text in PROJECT["tool"]["uv"]["constraint-dependencies"])
    assert {normalized(name): version for name, version in pinned.items()} == {name: pins()[normalized(name)] for name in pinned}


def test_every_dependency_is_pinned():
    project = PROJECT["project"]
    wanted = project["dependencies"] + [text for extra in project["optional-dependencies"].values() for text in extra]
    names = {normalized(re.match(r"[\w.-]+", text)[0]) for text in wanted}
    assert names - pins().keys() == set()


def test_every_package_folder_is_declared():
    folders = [file.parent.relative_to(ROOT) for file in (ROOT / "sleap_lab").rglob("__init__.py")]
    found = {".".join(folder.parts) for folder in folders}
    assert found | {"sleap_lab.conf"} == set(PROJECT["tool"]["setuptools"]["packages"])


def test_version_is_one():
    from sleap_lab import __version__

    assert __version__ == PROJECT["project"]["version"]
