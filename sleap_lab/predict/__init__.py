"""From frames to poses: one module per model kind, and the engine that feeds them.

`run_inference` can be imported from here, as users of sleap-nn expect.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sleap_lab.api import run_inference

__all__ = ["run_inference"]


def __getattr__(name: str) -> Any:
    if name != "run_inference":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sleap_lab.api import run_inference  # imports this package in turn

    return run_inference
