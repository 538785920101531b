"""What runs the networks: which packages it needs, and which settings go with it."""

from importlib.util import find_spec

from sleap_lab.errors import ConfigError
from sleap_lab.settings.config import RuntimeConfig

PACKAGES = {"torch": (), "openvino": ("openvino",), "onnxruntime": ("onnxruntime", "onnx")}
"""Packages that each backend needs beside those of every run; its extra has the backend's name."""

PRECISIONS = {
    "torch": ("32", "auto", "bf16", "16"),
    "openvino": ("32", "bf16", "16"),
    "onnxruntime": ("32",),
}


def check_backend(runtime: RuntimeConfig) -> None:
    """Refuse settings that a backend does not know, and a backend that is not installed.

    Raises:
        ConfigError: One of these.
    """
    backend = runtime.backend
    if runtime.precision not in PRECISIONS[backend]:
        raise ConfigError(
            f"runtime.precision: got {runtime.precision}; "
            f"accepted with runtime.backend={backend}: {', '.join(PRECISIONS[backend])}"
        )
    if runtime.compile is True and backend != "torch":
        raise ConfigError(
            f"runtime.compile is for runtime.backend=torch, got {backend}, which compiles by itself"
        )
    missing = [name for name in PACKAGES[backend] if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"runtime.backend: {' and '.join(missing)} not installed; "
            f"pip install 'sleap-lab[{backend}]', or take torch"
        )
