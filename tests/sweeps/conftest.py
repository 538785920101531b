from dataclasses import asdict

import pytest
import yaml

from sleap_lab.runs.summary import RunSummary
from sleap_lab.settings.config import Config
from sleap_lab.sweeps.best import Job
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


@pytest.fixture
def make_job(tmp_path):
    """Return a function that makes a job whose run took 1.5 s."""

    def make(
        number,
        overrides=(),
        status="finished",
        error=None,
        metrics=None,
        counts=None,
        settings=None,
    ):
        ran = {"status": status} if status != "not run" else {}
        run = RunSummary(
            **ran, error=error, metrics=metrics or {}, counts=counts or {}, stages={"track": 1.5}
        )
        if settings is not None:
            config = asdict(Config())
            for key, value in settings.items():
                group, _, last = key.partition(".")
                config[group][last] = value
            snapshot = tmp_path / str(number) / "snapshot"
            snapshot.mkdir(parents=True, exist_ok=True)
            (snapshot / "config.yaml").write_text(yaml.safe_dump(config))
        return Job(
            number, tmp_path / str(number), list(overrides), run if status != "not run" else None
        )

    return make
