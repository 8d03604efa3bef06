"""The oracle that corrects predictions as a person would."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.simulation.oracle import correct

NAMES = {1: "kidney", 2: "ureter"}
GRID = Geometry((16, 24, 32), (3.0, 2.0, 2.0))


def a_truth():
    """A thick structure (kidney) and a thin one (ureter)."""
    array = np.zeros(GRID.shape, np.uint8)
    z, y, x = np.ogrid[:16, :24, :32]
    array[((z - 8) / 5.5) ** 2 + ((y - 11) / 8) ** 2 + ((x - 10) / 7) ** 2 < 1] = 1
    array[2:14, 10:12, 24:26] = 2
    return Volume(array, GRID)


def shifted(volume, value, voxels):
    """One structure moved along x."""
    array = np.where(volume.array == value, 0, volume.array)
    array[np.roll(volume.array == value, voxels, axis=2)] = value
    return volume.with_array(array)


def test_a_perfect_prediction_costs_nothing():
    truth = a_truth()
    done = correct(truth, truth, NAMES)
    assert np.array_equal(done.labelmap.array, truth.array)
    assert done.total.voxels_changed == done.slices_changed == 0
    assert done.share_changed == 0


def test_a_slight_shift_of_a_thick_structures_edge_is_left_as_predicted():
    truth = a_truth()
    prediction = shifted(truth, 1, 1)
    done = correct(prediction, truth, NAMES)
    wrong = prediction.array != truth.array
    assert done.total.voxels_changed < 0.1 * wrong.sum()  # only at the poles, which are thin
    assert wrong[8].any() and np.array_equal(done.labelmap.array[8], prediction.array[8])


def test_a_larger_shift_is_corrected_where_it_is_larger():
    truth = a_truth()
    prediction = shifted(truth, 1, 4)
    done = correct(prediction, truth, NAMES)
    wrong_before = prediction.array != truth.array
    wrong_after = done.labelmap.array != truth.array
    assert wrong_after.sum() < 0.1 * wrong_before.sum()
    # Along the shift through the middle all of it is wrong, at the poles next to nothing.
    assert wrong_before[8, 11].sum() == 8 and not wrong_after[8, 11].any()
    assert done.per_label["kidney"].voxels_changed == (wrong_before & ~wrong_after).sum()
    assert done.slices_changed == wrong_before.any(axis=(1, 2)).sum()


def test_a_thin_structure_is_corrected_to_the_voxel():
    truth = a_truth()
    done = correct(shifted(truth, 2, 1), truth, NAMES)
    assert np.array_equal(done.labelmap.array, truth.array)
    assert done.per_label["ureter"].share_changed == pytest.approx(2 / 3)  # 1 of 2 + 1 columns
    assert done.per_label["kidney"].share_changed == 0


def test_a_missing_structure_is_drawn_and_an_invented_one_erased():
    truth = a_truth()
    array = truth.array.copy()
    array[array == 2] = 0
    array[4:8, 20:23, 26:30] = 1
    done = correct(truth.with_array(array), truth, NAMES)
    assert np.array_equal(done.labelmap.array, truth.array)
    assert done.per_label["ureter"].share_changed == 1


def test_a_hole_and_a_confused_class_are_corrected():
    truth = a_truth()
    array = truth.array.copy()
    array[7, 10, 9] = 0
    array[9, 12, 11] = 2
    done = correct(truth.with_array(array), truth, NAMES)
    assert np.array_equal(done.labelmap.array, truth.array)
    assert done.total.voxels_changed == 2


def test_a_structure_cut_off_by_the_images_edge_counts_as_thick():
    array = np.zeros(GRID.shape, np.uint8)
    array[:4, :, :5] = 1
    truth = Volume(array, GRID)
    smaller = array.copy()
    smaller[:, :, 4] = 0
    prediction = truth.with_array(smaller)
    done = correct(prediction, truth, NAMES)
    assert np.array_equal(done.labelmap.array, prediction.array)


def test_the_tolerance_is_in_mm():
    truth = a_truth()
    prediction = shifted(truth, 1, 1)  # 2 mm
    exact = correct(prediction, truth, NAMES, tolerance_mm=1.0)
    assert np.array_equal(exact.labelmap.array, truth.array)
    prediction = shifted(truth, 1, 2)  # 4 mm
    changed = [
        correct(prediction, truth, NAMES, tolerance_mm=t).per_label["kidney"].voxels_changed
        for t in (0.0, 2.0, 4.0)
    ]
    assert changed[0] > changed[1] > 4 * changed[2]


def test_an_absent_structure_has_no_share():
    array = np.where(a_truth().array == 2, 0, a_truth().array)
    truth = Volume(array, GRID)
    done = correct(truth, truth, NAMES)
    assert math.isnan(done.per_label["ureter"].share_changed)
    assert done.per_label["ureter"].voxels_foreground == 0


def test_another_grid_or_an_unknown_value_is_refused():
    truth = a_truth()
    elsewhere = Volume(truth.array, Geometry(GRID.shape, (3.0, 2.0, 2.5)))
    with pytest.raises(ImageError, match="spacing"):
        correct(elsewhere, truth, NAMES)
    with pytest.raises(ImageError, match="value 2"):
        correct(truth, truth, {1: "kidney"})


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, (4, 6, 7), elements=st.integers(0, 2)),
    arrays(np.uint8, (4, 6, 7), elements=st.integers(0, 2)),
    st.sampled_from([None, 0.0, 2.0, 4.1]),
)
def test_a_correction_only_ever_moves_towards_the_truth(true, predicted, tolerance):
    grid = Geometry(true.shape, (3.0, 2.0, 2.0))
    done = correct(Volume(predicted, grid), Volume(true, grid), NAMES, tolerance)
    result = done.labelmap.array
    assert ((result == true) | (result == predicted)).all()
    assert (result == true)[predicted == true].all()
    assert done.total.voxels_changed == (result != predicted).sum()
    if tolerance == 0:
        assert np.array_equal(result, true)
    again = correct(Volume(predicted, grid), Volume(true, grid), NAMES, tolerance)
    assert np.array_equal(again.labelmap.array, result)
