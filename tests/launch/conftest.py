import pytest
from hydra.core.global_hydra import GlobalHydra


@pytest.fixture(autouse=True)
def without_hydra():
    """Hydra keeps one application per process."""
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()
