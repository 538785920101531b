import pytest

from sleap_lab.sweeps.results import begin_sweep


@pytest.fixture
def sweep(root):
    return root / "multirun" / "2026-01-02" / "03-04-05"


@pytest.fixture
def make_jobs(sweep, make_sweep):
    """Return a function that begins the sweep and writes its jobs from their special values."""

    def make(*jobs, logger=None):
        make_sweep(sweep, *jobs, logger=logger)
        return begin_sweep(sweep, ["sleap-lab", "-m", "tracker=flow,kalman"])

    return make
