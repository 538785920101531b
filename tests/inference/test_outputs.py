"""Arrays in files; what is in them is tested where they are returned, in test_api.py."""

import zipfile

import numpy as np
import pytest

from sleap_lab import run_experiment
from sleap_lab.errors import ConfigError, RunError
from sleap_lab.inference.outputs import outputs_file
from sleap_lab.settings.compose import compose_config

BATCH = {
    "video_idx": np.array([0, 0]),
    "frame_idx": np.array([4, 9]),
    "eff_scale": np.array([1.0, 0.5]),
    "pred_instance_peaks": [np.zeros((2, 3, 2)), np.zeros((0, 3, 2))],
    "pred_confmaps": np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5),
}


def test_a_frame_has_its_arrays_under_its_number(tmp_path):
    with outputs_file(tmp_path / "outputs.npz") as add:
        add(BATCH)
        add(BATCH | {"video_idx": np.array([1, 1])})
    with np.load(tmp_path / "outputs.npz", allow_pickle=False) as arrays:
        names = ["eff_scale", "pred_instance_peaks", "pred_confmaps"]
        assert arrays.files == [
            f"{video}/{frame}/{name}" for video in (0, 1) for frame in (4, 9) for name in names
        ]
        assert arrays["1/9/eff_scale"] == 0.5
        assert arrays["0/4/pred_instance_peaks"].shape == (2, 3, 2)
        assert arrays["0/9/pred_instance_peaks"].shape == (0, 3, 2)
        np.testing.assert_array_equal(arrays["0/9/pred_confmaps"], BATCH["pred_confmaps"][1])
        assert arrays["0/9/pred_confmaps"].dtype == np.float32


def test_batches_are_written_as_they_come(tmp_path):
    with outputs_file(tmp_path / "outputs.npz") as add:
        sizes = []
        for i in range(3):
            add(BATCH | {"frame_idx": np.array([2 * i, 2 * i + 1])})
            sizes.append(sum(file.stat().st_size for file in tmp_path.iterdir()))
    assert sizes[0] > BATCH["pred_confmaps"].nbytes
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_run_that_fails_leaves_no_file(tmp_path):
    with pytest.raises(KeyError), outputs_file(tmp_path / "outputs.npz") as add:
        add({name: values for name, values in BATCH.items() if name != "frame_idx"})
    assert not list(tmp_path.iterdir())


def test_what_could_run_code_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="pickle"), outputs_file(tmp_path / "outputs.npz") as add:
        add(BATCH | {"objects": np.array([object(), None])})


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(RunError, match=r"file/outputs.npz: cannot be written"),
        outputs_file(tmp_path / "file" / "outputs.npz"),
    ):
        pass


# ---- experiments


@pytest.fixture
def experiment(tmp_path, monkeypatch, video_path, make_model):
    """Return a function that runs a single-instance model on three frames, in the folder `run`."""
    monkeypatch.chdir(tmp_path)
    model = make_model(
        "single_instance",
        {"confmaps": [[1.0, 0], [0.5, 0]]},
        preprocessing={"max_height": 32, "max_width": 48},
    )
    always = [
        f"data.path={video_path}",
        f"model.paths=[{model}]",
        "data.frames=0-2",
        "runtime=cpu",
        "logger=none",
        "report=none",
    ]

    def experiment(*overrides, folder="run"):
        run_experiment([*always, *overrides], folder=folder)
        return {file.name for file in (tmp_path / folder).rglob("*.npz")}

    return experiment


def frames_of(path):
    with zipfile.ZipFile(path) as archive:
        return sorted({name.rpartition("/")[0] for name in archive.namelist()})


def test_maps_are_written_beside_the_labels(experiment, tmp_path):
    assert experiment("output.return_confmaps=true") == {"outputs.npz"}
    assert (tmp_path / "run" / "predictions.slp").is_file()
    with np.load("run/outputs.npz", allow_pickle=False) as arrays:
        assert arrays["0/0/pred_confmaps"].shape[0] == 2
    assert frames_of("run/outputs.npz") == ["0/0", "0/1", "0/2"]


def test_arrays_alone(experiment, tmp_path):
    assert experiment("output.make_labels=false") == {"outputs.npz"}
    assert not list((tmp_path / "run").glob("*.slp"))
    with np.load("run/outputs.npz", allow_pickle=False) as arrays:
        assert "0/0/pred_instance_peaks" in arrays
        assert "0/0/pred_confmaps" not in arrays


def test_arrays_alone_where_they_are_wanted(experiment, tmp_path):
    assert experiment("output.make_labels=false", "output.path=elsewhere/arrays.npz") == set()
    assert frames_of(tmp_path / "elsewhere" / "arrays.npz") == ["0/0", "0/1", "0/2"]


def test_maps_are_computed_even_where_poses_are_cached(experiment):
    assert experiment(folder="poses") == set()
    assert experiment("output.return_confmaps=true", folder="maps") == {"outputs.npz"}
    assert experiment(folder="again") == set()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["output.make_labels=false", "tracker=fixed_window"],
            r"output.make_labels: got False, but the arrays hold no tracks",
        ),
        (
            ["output.make_labels=false", "output.path=a.slp"],
            r"output.path: got .*a.slp, but .* accepted: an .npz file",
        ),
    ],
)
def test_what_does_not_fit_is_refused(experiment, overrides, message):
    with pytest.raises(ConfigError, match=message):
        experiment(*overrides)


@pytest.mark.parametrize(
    "key", ["make_labels=false", "return_confmaps=true", "return_paf_graph=true"]
)
def test_without_a_model_there_is_nothing_to_return(tmp_path, key):
    (tmp_path / "labels.slp").touch()
    name = key.partition("=")[0]
    with pytest.raises(
        ConfigError,
        match=f"output.{name}: without a model there is no network whose outputs could be returned",
    ):
        compose_config(
            [
                f"data.path={tmp_path / 'labels.slp'}",
                "model=none",
                "tracker=fixed_window",
                f"output.{key}",
            ]
        )
