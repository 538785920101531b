"""What each job gets of the machine, by launcher."""

import pytest
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf

from sleap_lab.launch import launchers
from sleap_lab.launch.job import Share
from sleap_lab.launch.launchers import gpus, launching, share
from sleap_lab.settings.application import Configs

JOBLIB = {
    "_target_": "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "n_jobs": -1,
}
LOCAL = {
    "_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
    "timeout_min": 60,
    "gpus_per_node": None,
}
SLURM = {
    "_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    "timeout_min": 60,
    "partition": None,
}
BASIC = {"_target_": "hydra._internal.core_plugins.basic_launcher.BasicLauncher"}


@pytest.mark.parametrize(
    ("settings", "jobs", "expected", "changed"),
    [
        (BASIC, 9, Share(), {}),
        (JOBLIB, 9, Share(8, ("0", "1"), 1), {"n_jobs": 8}),
        # No more places than jobs; 8 CPUs // 3 jobs.
        (JOBLIB, 3, Share(3, ("0", "1"), 2), {"n_jobs": 3}),
        (JOBLIB | {"n_jobs": -2}, 9, Share(7, ("0", "1"), 1), {"n_jobs": 7}),  # all but one CPU
        (JOBLIB | {"n_jobs": 2}, 9, Share(2, ("0", "1"), 4), {"n_jobs": 2}),
        (JOBLIB | {"n_jobs": 20}, 30, Share(20, ("0", "1"), 1), {"n_jobs": 20}),
        (LOCAL, 3, Share(3, ("0", "1"), 2), {"timeout_min": 60}),
        (LOCAL, 30, Share(8, ("0", "1"), 1), {}),
        (LOCAL | {"gpus_per_node": 2}, 8, Share(8, (), 1), {}),
        (SLURM, 8, Share(), {"timeout_min": 60}),
    ],
)
def test_what_each_job_gets_of_the_machine(settings, jobs, expected, changed, monkeypatch):
    monkeypatch.setattr(launchers.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(launchers, "fit_time_limits", lambda launcher: None)
    monkeypatch.setenv("SLEAP_LAB_GPUS", "2")
    launcher = OmegaConf.create(settings)
    assert share(launcher, jobs) == expected
    assert {name: launcher[name] for name in changed} == changed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hydra/launcher=submitit_slurm"], 24 * 60),
        (["hydra/launcher=submitit_local"], 365 * 24 * 60),
        (["hydra/launcher=hour"], 60),  # though 60 is what the plugin has, too
        (["hydra/launcher=own"], 7),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=60"], 60),
    ],
)
def test_what_the_user_says_of_a_launcher_holds(words, expected, tmp_path):
    folder = tmp_path / "hydra/launcher"
    folder.mkdir(parents=True)
    (folder / "hour.yaml").write_text("defaults: [submitit_slurm]\ntimeout_min: 60\n")
    (folder / "own.yaml").write_text(f"_target_: {SLURM['_target_']}\ntimeout_min: 7\n")
    with launching(words, Configs(folder=str(tmp_path))) as (settings, _):
        assert settings.hydra.launcher.timeout_min == expected


def test_defaults_hold_after_a_launcher_has_restored_the_state_of_hydra():
    """As that of joblib does for every job; Hydra then looks for plugins again."""
    for _ in range(2):
        with launching(["hydra/launcher=submitit_slurm"], Configs()) as (settings, _):
            assert settings.hydra.launcher.timeout_min == 24 * 60
        Singleton.set_state(Singleton.get_state())


def test_which_gpus_there_are(monkeypatch, tmp_path):
    for name in ("SLEAP_LAB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus() == ()
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 0\necho 1\n")
    command.chmod(0o755)
    assert gpus() == ("0", "1")
    command.write_text("#!/bin/sh\necho 'driver not loaded'\nexit 9\n")
    assert gpus() == ()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-ab,3")
    assert gpus() == ("GPU-ab", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == ()
    monkeypatch.setenv("SLEAP_LAB_GPUS", "3")
    assert gpus() == ("0", "1", "2")
