import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleap_lab.checkpoints import CropRule, TrainingConfig, crop_rule
from sleap_lab.poses.record import Skeleton


def config(*, version="0.3.5", augmented=True, geometric=None, crop_size=96, legacy=False):
    """Return the training config of a model with crops; everything else is at its default."""
    data = {"use_augmentations_train": augmented, "augmentation_config": {"geometric": geometric}}
    raw = {"sleap_nn_version": version, "data_config": data}
    return TrainingConfig(
        folder=Path("model"), kind="centered_instance", raw=raw, skeleton=Skeleton(("a",)),
        heads={}, max_stride=1, scale=1.0, max_height=None, max_width=None, ensure_rgb=False,
        ensure_grayscale=False, crop_size=crop_size, legacy=legacy,
    )  # fmt: skip


def turned(low, high, **shares):
    return crop_rule(
        config(geometric={"rotation_min": low, "rotation_max": high, **shares}), 96
    ).shift


@pytest.mark.parametrize(
    ("version", "shift"),
    [
        ("0.0.1", 0),
        ("0.0.5", 0),
        ("0.1.0a4", 0),  # before the release that changed it
        ("0.1.0", 1),
        ("0.3.5", 1),
        ("1.0.0", 1),
        (None, 0.5),  # not told
        ("unknown", 0.5),
    ],
)
def test_the_version_decides(version, shift):
    rule = crop_rule(config(version=version), 96)
    assert rule.shift == shift
    assert (rule.gain > 0) == (shift == 1)


def test_models_of_sleap_have_exact_crops():
    assert crop_rule(config(version=None, legacy=True), 96) == CropRule(0.0)


def test_content_lies_where_two_stretched_crops_put_it():
    # A crop of n pixels around c shows what is labelled p, counted from its corner, at
    # p * n / (n - 1).
    n, first = 96, 135  # int(96 * sqrt(2))
    rule = crop_rule(config(), 0)
    for label in (0.0, 20.0, (n - 1) / 2, 95.0):
        in_first = label + (first - n) / 2
        seen_in_first = in_first * first / (first - 1)
        seen = (seen_in_first - (first - n) / 2) * n / (n - 1)
        # The rule leaves out 1 / (n - 1) of the first crop's half pixel.
        assert rule.content(np.array([label, label]), n) == pytest.approx(
            [seen, seen], abs=0.5 / (n - 1) + 1e-9
        )


@pytest.mark.parametrize(("place", "expected"), [(-0.35, 0.4), (0, 1.0), (0.35, 1.6)])
def test_content_lies_where_sleap_nn_was_seen_to_put_it(place, expected):
    n = 160
    label = np.full(2, (n - 1) / 2 + place * n)
    assert crop_rule(config(crop_size=n), 0).content(label, n) - label == pytest.approx(
        [expected, expected], abs=0.05
    )


def test_random_rotations_blur_the_shift():
    assert turned(-180, 180, rotation_p=1.0) == pytest.approx(0)
    assert turned(-180, 180, rotation_p=0.5) == pytest.approx(0.5)
    assert turned(-90, 90, rotation_p=1.0) == pytest.approx(2 / math.pi)
    assert turned(-180, 180, affine_p=1.0) == pytest.approx(0), (
        "before rotations had a share of their own"
    )
    assert turned(-180, 180, affine_p=1.0, rotation_p=0.0) == 1
    assert turned(-180, 180) == 1
    assert turned(0, 0, rotation_p=1.0) == 1


@pytest.mark.parametrize(
    "geometric",
    [None, "rotation", {}, {"rotation_min": "all", "rotation_max": None, "rotation_p": 1.0}],
)
def test_what_does_not_tell_of_rotations_tells_of_none(geometric):
    assert crop_rule(config(geometric=geometric), 96).shift == 1


def test_rotations_of_a_training_without_augmentation_do_not_count():
    assert (
        crop_rule(
            config(
                augmented=False,
                geometric={"rotation_min": -180, "rotation_max": 180, "rotation_p": 1.0},
            ),
            96,
        ).shift
        == 1
    )


def test_the_size_of_training_counts_where_it_is_known():
    assert crop_rule(config(crop_size=32), 96) == crop_rule(config(crop_size=None), 32)
    assert crop_rule(config(crop_size=32), 96).gain > crop_rule(config(crop_size=96), 32).gain
    assert math.isfinite(crop_rule(config(crop_size=1), 1).gain)


@given(shift=st.floats(-2, 2), gain=st.floats(0, 0.1), size=st.integers(2, 300))
def test_the_middle_of_a_crop_is_moved_by_the_shift(shift, gain, size):
    middle = np.full((3, 2), (size - 1) / 2)
    np.testing.assert_allclose(CropRule(shift, gain).content(middle, size), middle + shift)
