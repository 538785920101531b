"""Installed packages: which version, whichever build."""

from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

BUILDS = {
    "opencv-python": ("opencv-python", "opencv-python-headless"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
}
"""Packages of which one of several builds is installed, all of them with the same numbers."""


def package_version(name: str) -> str:
    """Return the version of an installed package, whichever build of it is installed.

    Raises:
        PackageNotFoundError: None is.
    """
    for build in BUILDS.get(name, ()):
        with suppress(PackageNotFoundError):
            return version(build)
    return version(name)
