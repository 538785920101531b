"""Programs that read our files, where they are installed."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from sleap_lab import run_experiment, run_inference

DEMO = Path(__file__).parents[2] / "sleap_lab" / "demo"


def test_movement_reads_tracked_poses(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that it imports
        load_poses = pytest.importorskip("movement.io.load_poses")
        path = tmp_path / "tracked.slp"
        labels = run_inference(
            data_path=DEMO / "clip.mp4",
            model_paths=DEMO / "models" / "bottomup",
            frames="0-4",
            tracking=True,
            output_path=path,
        )
        found = load_poses.from_sleap_file(path, fps=15)
    assert dict(found.sizes) == {"time": 5, "space": 2, "keypoints": 6, "individuals": 3}
    expected = {instance.track.name: instance.numpy() for instance in labels[2]}
    for name, points in expected.items():
        read = found.position.isel(time=2).sel(individuals=name).transpose("keypoints", "space")
        np.testing.assert_allclose(read, points, rtol=0, atol=1e-3)


@pytest.mark.parametrize("suffix", [".slp", ".analysis.h5"])
def test_keypoint_moseq_reads_tracked_poses(tmp_path, suffix):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the packages that it imports
        load_keypoints = pytest.importorskip("keypoint_moseq.io").load_keypoints
        result = run_experiment(
            [
                f"data.path={DEMO / 'clip.mp4'}",
                f"model.paths=[{DEMO / 'models' / 'bottomup'}]",
                "tracker=fixed_window",
                "data.frames=0-4",
                f"output.path={tmp_path / 'tracked.slp'}",
                "output.formats=[slp,analysis_h5]",
                "cache=off",
                "logger=none",
                "report=none",
            ],
            folder=tmp_path / "run",
        )
        points, scores, nodes = load_keypoints(str(tmp_path / f"tracked{suffix}"), "sleap")
    assert nodes == list(result.poses.skeleton.nodes)
    for track, name in enumerate(sorted(points)):
        (row,) = np.flatnonzero((result.poses.frame == 2) & (result.poses.tracks == track))
        np.testing.assert_allclose(points[name][2], result.poses.points[row], atol=1e-3)
        np.testing.assert_allclose(scores[name][2], result.poses.point_scores[row], atol=1e-5)
