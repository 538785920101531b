"""The slow decoders and the fixtures made with them."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent


def script(name):
    """Import a script from the folder of the tests; scripts can import each other."""
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def slow():
    """The decoders written as loops."""
    return script("slow")


@pytest.fixture(scope="session")
def make_fixtures(slow):
    """The script that makes the fixtures."""
    return script("make_fixtures")


@pytest.fixture(scope="session")
def fixtures():
    """Maps, and what the slow decoders find in them."""
    with np.load(HERE / "data" / "decoded.npz") as data:
        return dict(data)
