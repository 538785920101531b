import sys

import pytest

from sleap_lab.errors import ConfigError
from sleap_lab.settings.check_backend import PACKAGES, PRECISIONS, check_backend
from sleap_lab.settings.config import RuntimeConfig, keys


def test_every_backend_is_known():
    assert set(PACKAGES) == set(PRECISIONS) == set(keys()["runtime.backend"].metadata["choices"])


@pytest.mark.parametrize("backend", PACKAGES)
def test_a_backend_that_is_installed_is_accepted(backend, monkeypatch):
    monkeypatch.setattr("sleap_lab.settings.check_backend.find_spec", lambda name: name)
    for precision in PRECISIONS[backend]:
        check_backend(RuntimeConfig(backend=backend, precision=precision, compile="auto"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"backend": "openvino", "precision": "auto"},
            r"runtime\.precision: got auto; accepted with runtime\.backend=openvino: 32, bf16, 16",
        ),
        (
            {"backend": "onnxruntime", "precision": "bf16"},
            r"runtime\.precision: got bf16; accepted with runtime\.backend=onnxruntime: 32$",
        ),
        (
            {"backend": "openvino", "compile": True},
            r"runtime\.compile is for runtime\.backend=torch",
        ),
    ],
)
def test_settings_that_a_backend_does_not_know_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        check_backend(RuntimeConfig(**settings))


@pytest.mark.parametrize(
    ("backend", "missing", "message"),
    [
        ("openvino", ["openvino"], "openvino not installed"),
        ("onnxruntime", ["onnxruntime", "onnx"], "onnxruntime and onnx not installed"),
        ("onnxruntime", ["onnx"], ": onnx not installed"),
    ],
)
def test_without_its_packages_the_error_says_how_to_get_them(
    backend, missing, message, monkeypatch
):
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"{message}; pip install 'sleap-lab\[{backend}\]'"):
        check_backend(RuntimeConfig(backend=backend))
