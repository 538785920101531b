from importlib.metadata import PackageNotFoundError

import pytest

from sleap_lab.files import packages
from sleap_lab.files.packages import package_version


def test_the_version_of_a_package_is_that_of_the_build_that_is_installed(monkeypatch):
    def version(name):
        if name != "opencv-python-headless":
            raise PackageNotFoundError(name)
        return "5.0"

    monkeypatch.setattr(packages, "version", version)
    assert package_version("opencv-python") == "5.0"
    with pytest.raises(PackageNotFoundError, match="numpy"):
        package_version("numpy")


def test_so_is_that_of_one_for_cards(monkeypatch):
    def version(name):
        if name != "onnxruntime-gpu":
            raise PackageNotFoundError(name)
        return "1.32"

    monkeypatch.setattr(packages, "version", version)
    assert package_version("onnxruntime") == "1.32"
