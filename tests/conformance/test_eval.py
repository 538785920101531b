"""`sleap-lab eval` gives the reference's metrics."""

import numpy as np
import pytest

from sleap_lab.evaluation import load_metrics

pytestmark = pytest.mark.conformance

FOLDER = "evaluation/single_instance_with_metrics"


def evaluated(run, tmp_path, split, *more):
    """Return what `sleap-lab eval` saves for one split of the evaluation asset."""
    run(
        "eval",
        f"-g {FOLDER}/labels_{split}_gt_0.slp -p {FOLDER}/pred_{split}_0.slp",
        "-s",
        str(tmp_path / "metrics.npz"),
        *more,
    )
    return load_metrics(tmp_path / "metrics.npz")


@pytest.mark.parametrize("split", ["train", "val"])
def test_eval_agrees_with_the_reference(split, reference, run, tmp_path):
    found, expected = (
        evaluated(run, tmp_path, split, "--oks_stddev", "0.025"),
        load_metrics(reference / FOLDER, split=split),
    )
    assert list(found) == list(expected)
    for group, metrics in expected.items():
        for name, value in metrics.items():
            if name == "video_paths":
                assert found[group][name] == value
            else:
                np.testing.assert_allclose(
                    found[group][name], value, rtol=0, atol=1e-9, err_msg=f"{group} {name}"
                )


def test_eval_has_the_kernel_of_the_founding_page(reference, run, tmp_path):
    assert evaluated(run, tmp_path, "val")["mOKS"]["mOKS"] == pytest.approx(
        0.04171, abs=5e-6
    )  # with 0.05; with 0.025 it is 0.00019
