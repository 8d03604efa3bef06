"""Intensities on a common scale, whatever the scanner's was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.normalization import (
    intensity_statistics,
    normalize,
    padding_value,
)
from ActiveSegLoopLib.images.reading import read_image


@given(st.floats(1e-3, 1e5), st.floats(-1e4, 1e4), st.integers(0, 100))
@settings(deadline=None, max_examples=30)
def test_scale_and_offset_do_not_matter_per_case(scale, offset, seed):
    image = np.random.default_rng(seed).normal(size=(8, 9, 10))
    expected = normalize(image, {"kind": "case"})
    assert np.allclose(normalize(image * scale + offset, {"kind": "case"}), expected, atol=1e-3)


def test_all_hippocampus_images_come_to_one_scale(shared_data):
    for path in sorted((shared_data / "hippocampus" / "images").glob("*.nii.gz"))[::8]:
        scaled = normalize(read_image(path).array, {"kind": "case"})
        assert scaled.dtype == np.float32
        assert abs(scaled.mean()) < 0.01 and abs(scaled.std() - 1) < 0.01
        assert np.abs(scaled).max() < 10


def test_padding_does_not_spoil_the_scale(shared_data):
    path = sorted((shared_data / "headneck_ct" / "images").glob("*.nii.gz"))[0]
    array = read_image(path).array
    assert padding_value(array) == 0
    inside = normalize(array, {"kind": "case"})[array != 0]
    assert abs(inside.mean()) < 0.01 and abs(inside.std() - 1) < 0.01
    # More of it around changes nothing inside.
    wider = np.pad(array, 10)
    assert np.allclose(normalize(wider, {"kind": "case"})[wider != 0], inside, atol=1e-3)


def test_the_image_itself_is_not_padding():
    assert padding_value(np.random.default_rng(0).random((5, 6, 7))) is None
    assert padding_value(np.pad(np.ones((3, 3, 3)), 1, constant_values=-1024)) == -1024


@pytest.mark.parametrize(
    "kind", [{"kind": "case"}, {"kind": "fixed", "low": 0, "high": 1, "mean": 0, "std": 0}]
)
@pytest.mark.parametrize("value", [0, 7, -3.5])
def test_constant_images_become_zeros(kind, value):
    result = normalize(np.full((4, 5, 6), value), kind)
    assert result.dtype == np.float32 and not result.any()


def test_fixed_settings_clip_shift_and_scale():
    array = np.array([-2000, -100, 0, 100, 3000], np.int16).reshape(1, 1, 5)
    settings_ = {"kind": "fixed", "low": -100, "high": 300, "mean": 100, "std": 50}
    assert normalize(array, settings_).ravel().tolist() == [-4, -4, -2, 0, 4]


def test_large_integers_keep_their_differences():
    array = np.arange(16777216, 16777216 + 1000, dtype=np.int32).reshape(10, 10, 10)
    scaled = normalize(array, {"kind": "case"})
    assert len(np.unique(scaled)) > 980


@pytest.mark.parametrize("bad", [{}, {"kind": "other"}, {"kind": "fixed", "low": 1}])
def test_unknown_settings_are_refused(bad):
    with pytest.raises(ImageError):
        normalize(np.zeros((2, 2, 2)), bad)


def test_statistics_are_of_the_masked_voxels():
    array = np.arange(1000).reshape(10, 10, 10)
    stats = intensity_statistics(array, array >= 500)
    assert stats["count"] == 500 and stats["minimum"] == 500 and stats["maximum"] == 999
    assert stats["mean"] == 749.5 and stats["median"] == 749.5
    assert 500 <= stats["low"] < 510 and 990 < stats["high"] <= 999
    with pytest.raises(ImageError, match="no voxels"):
        intensity_statistics(array, array > 5000)
    with pytest.raises(ImageError, match="doesn't fit"):
        intensity_statistics(array, np.ones((2, 2, 2), bool))
