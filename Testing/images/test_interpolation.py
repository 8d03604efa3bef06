"""Labels between slices: exact where shapes change steadily, never where there is nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.interpolation import SliceShapes, interpolate_slices

SPACING = (5.0, 1.0, 1.0)


def disk(radius, value=3, center=(20, 20), shape=(41, 41)):
    y, x = np.indices(shape)
    return np.where(np.hypot(y - center[0], x - center[1]) <= radius, value, 0).astype(np.uint8)


def test_a_cone_between_two_disks_is_found_again():
    truth = np.stack([disk(6 + 1.5 * z) for z in range(9)])
    sparse = np.zeros_like(truth)
    sparse[[0, 8]] = truth[[0, 8]]
    found = interpolate_slices(sparse, [8, 0], 0, SPACING)
    assert (found != truth).sum() < 0.02 * (truth != 0).sum()
    assert np.array_equal(sparse[1:8], np.zeros_like(truth[1:8])), "the input stays as it is"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_across_any_axis_are_interpolated(axis):
    truth = np.moveaxis(np.stack([disk(6 + z) for z in range(5)]), 0, axis)
    spacing = np.insert([1.0, 1.0], axis, 5.0)
    found = interpolate_slices(truth, [0, 4], axis, tuple(spacing))
    assert (found != truth).sum() < 0.03 * (truth != 0).sum()


def test_labels_keep_apart_and_move_with_their_neighbors():
    two = [disk(6, 3, (20, 12 + z)) + disk(6, 7, (20, 28 + z)) for z in range(5)]
    found = interpolate_slices(np.stack(two), [0, 4], 0, SPACING)
    for value in (3, 7):
        one, other = found[2] == value, two[2] == value
        assert (one & other).sum() / (one | other).sum() > 0.85
    assert set(np.unique(found)) == {0, 3, 7}


def test_a_label_that_one_slice_lacks_ends_halfway():
    stack = np.stack([disk(8), *[disk(0, 0)] * 8])
    found = interpolate_slices(stack, [0, 8], 0, SPACING)
    sizes = (found != 0).sum(axis=(1, 2))
    assert (np.diff(sizes[:5]) < 0).all() and sizes[3] > 0 and not sizes[4:].any()


def test_outside_the_annotated_slices_nothing_changes():
    stack = np.stack([disk(8, value) for value in (1, 2, 3, 0, 3, 4, 5)])
    found = interpolate_slices(stack, [2, 4], 0, SPACING)
    assert np.array_equal(np.delete(found, 3, axis=0), np.delete(stack, 3, axis=0))
    assert np.array_equal(found[3], stack[2])


def test_a_label_that_fills_the_slice_is_interpolated_too():
    full = np.full((2, 5, 5), 4, np.uint8)
    assert (SliceShapes(full, [0, 1], 0, SPACING).between(0, 0, 1) == 4).all()
    full[1, :, :2] = 0
    between = SliceShapes(full, [0, 1], 0, SPACING)
    assert (between.between(0, 0, 1) == 4).all()
    assert np.array_equal(between.between(1, 0, 1), full[1])


masks = st.lists(st.booleans(), min_size=30, max_size=30).map(
    lambda bits: np.array(bits, np.uint8).reshape(5, 6)
)


@settings(deadline=None)
@given(masks, masks, st.integers(1, 3))
def test_what_both_slices_have_stays_and_what_neither_has_never_comes(first, last, index):
    stack = np.zeros((5, 5, 6), np.uint8)
    stack[0], stack[4] = first, last
    found = interpolate_slices(stack, [0, 4], 0, SPACING)[index] == 1
    assert found[(first == 1) & (last == 1)].all()
    assert not found[(first == 0) & (last == 0)].any()


def test_slices_that_are_not_there_and_single_ones_are_refused():
    with pytest.raises(ImageError, match="no slice 9 across axis 0: the label map has 2"):
        interpolate_slices(np.zeros((2, 3, 3), np.uint8), [0, 9], 0, SPACING)
    with pytest.raises(ImageError, match="at least two annotated slices, not 1"):
        interpolate_slices(np.zeros((2, 3, 3), np.uint8), [1, 1], 0, SPACING)
    empty = np.zeros((3, 3, 3), np.uint8)
    assert not interpolate_slices(empty, [0, 2], 0, SPACING).any()
