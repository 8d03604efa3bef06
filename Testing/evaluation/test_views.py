"""Which slice is shown, which way round, and in which gray window."""

from itertools import permutations, product

import numpy as np
import pytest

from ActiveSegLoopLib.evaluation.views import SOFT_TISSUE, gray_window, telling_slice, view
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import from_lps, to_lps
from ActiveSegLoopLib.images.volume import Volume


def a_volume():
    """Different values everywhere, on an anisotropic LPS grid."""
    shape = (4, 5, 6)
    return Volume(np.arange(120).reshape(shape), Geometry(shape, (3.0, 2.0, 1.0), (7, 8, 9)))


def stored_otherwise(volume, order, signs):
    """The same image with its axes (x, y, z) stored in another order and direction."""
    direction = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(zip(order, signs)):
        direction[world, axis] = sign
    lps = volume.geometry
    shape, spacing = (tuple(v[2 - world] for world in reversed(order))
                      for v in (lps.shape, lps.spacing))
    first = [0, 0, 0]  # LPS array index (z, y, x) of the stored voxel 0, 0, 0
    for world, sign in zip(order, signs):
        if sign < 0:
            first[2 - world] = lps.shape[2 - world] - 1
    origin = lps.index_to_world(first)
    return from_lps(volume, Geometry(shape, spacing, tuple(origin), tuple(direction.ravel())))


def test_an_axial_view_has_the_front_up_and_the_patients_right_on_the_left():
    volume = a_volume()
    shown = view(volume, "axial", 2)
    assert shown.letters == ("R", "L", "A", "P")
    assert shown.spacing == (2.0, 1.0)
    # In LPS, indices grow to the patient's left and back.
    assert np.array_equal(shown.of(volume), volume.array[2])


def test_coronal_and_sagittal_views_have_the_head_up():
    volume = a_volume()
    coronal, sagittal = view(volume, "coronal", 1), view(volume, "sagittal", 3)
    assert coronal.letters == ("R", "L", "S", "I") and coronal.spacing == (3.0, 1.0)
    assert np.array_equal(coronal.of(volume), volume.array[::-1, 1, :])
    assert sagittal.letters == ("A", "P", "S", "I") and sagittal.spacing == (3.0, 2.0)
    assert np.array_equal(sagittal.of(volume), volume.array[::-1, :, 3])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_view_is_the_same_however_the_image_is_stored(order):
    volume = a_volume()
    for signs in product((1, -1), repeat=3):
        stored = stored_otherwise(volume, order, signs)
        assert np.array_equal(to_lps(stored).array, volume.array)  # the helper is right
        for plane in ("axial", "coronal", "sagittal"):
            expected, actual = view(volume, plane, 2), view(stored, plane, 2)
            assert actual == expected
            assert np.array_equal(actual.of(stored), expected.of(volume))


def labels_at(*boxes):
    array = np.zeros((10, 12, 14), np.uint8)
    for value, slices in boxes:
        array[slices] = value
    return Volume(array, Geometry(array.shape, (1, 1, 1)))


def test_the_telling_slice_shows_most_structures_and_a_small_one_counts_like_a_large_one():
    labels = labels_at((1, np.s_[0:8, 0:9, 0:9]), (2, np.s_[7:9, 10, 3]))
    assert telling_slice(labels, "axial") == 7
    assert telling_slice(labels, "sagittal") == 3


def test_a_focus_decides_alone_and_what_was_seen_counts_less():
    labels = labels_at((1, np.s_[2, :5, :5]), (2, np.s_[6, :5, :5]), (3, np.s_[6, 6, 6]))
    assert telling_slice(labels, "axial", focus=1) == 2
    assert telling_slice(labels, "axial") == 6
    assert telling_slice(labels, "axial", seen={2, 3}) == 2


def test_without_structures_the_middle_is_shown():
    assert telling_slice(labels_at(), "coronal") == 6


def test_ct_gets_the_soft_tissue_window_and_mr_its_percentiles():
    rng = np.random.default_rng(0)
    grid = Geometry((20, 20, 20), (1, 1, 1))
    ct = rng.normal(40, 20, grid.shape)
    ct[:5] = -1000
    ct[5, :10] = 900
    assert gray_window(Volume(ct.astype(np.int16), grid)) == SOFT_TISSUE
    mr = rng.uniform(1000, 1_700_000, grid.shape)
    mr[:6] = 0  # padding
    mr[10, 10, 10] = 1e9  # one hot voxel doesn't darken the picture
    low, high = gray_window(Volume(mr, grid))
    assert 1000 <= low < 50_000
    assert 1_600_000 < high < 1_800_000


def test_a_constant_or_non_finite_image_still_gets_a_window():
    grid = Geometry((2, 2, 2), (1, 1, 1))
    for values in (np.full((2, 2, 2), 5.0), np.full((2, 2, 2), np.nan)):
        low, high = gray_window(Volume(values, grid))
        assert low < high
