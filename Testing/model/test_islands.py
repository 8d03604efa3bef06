"""Stray parts of a prediction are dropped by the size of what was labeled, real ones are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ActiveSegLoopLib.model.islands import drop_islands, island_limits, smallest_part


def a_map(*parts):
    """A map of channels with boxes of (channel, first corner, last corner)."""
    channels = np.zeros((12, 12, 12), np.uint8)
    for channel, first, last in parts:
        channels[tuple(slice(a, b) for a, b in zip(first, last))] = channel
    return channels


ORGAN = (1, (0, 0, 0), (4, 4, 4))
LESION = (1, (8, 8, 8), (10, 10, 10))
SPECK = (1, (11, 0, 11), (12, 1, 12))


def test_the_smallest_part_is_measured_in_mm3():
    assert smallest_part(a_map(ORGAN, LESION) == 1, 0.5) == 4.0


def test_a_slip_of_the_pen_is_no_part():
    assert smallest_part(a_map((1, (0, 0, 0), (5, 6, 6)), SPECK) == 1, 1.0) == 180


def test_a_label_of_a_few_voxels_alone_is_no_slip_of_the_pen():
    assert smallest_part(a_map(SPECK, (1, (0, 0, 0), (1, 1, 2))) == 1, 2.0) == 2.0


def test_a_real_lesion_counts_however_large_the_tumor_beside_it_is():
    # 33 ml and 0.25 ml on voxels of 1 mm3, in each of six cases.
    channels = np.zeros((40, 40, 60), np.uint8)
    channels[2:34, 2:34, 2:34] = 1
    channels[10:15, 10:15, 45:55] = 1
    limits = island_limits([(smallest_part(channels == 1, 1.0),)] * 6)
    assert limits == (125.0,)
    predicted = channels.copy()
    predicted[36:39, 36:39, 56:59] = 1
    drop_islands(predicted, limits, 1.0)
    assert np.array_equal(predicted, channels)


def test_parts_that_touch_at_a_corner_are_one():
    touching = a_map((1, (0, 0, 0), (2, 2, 2)), (1, (2, 2, 2), (4, 4, 4)))
    assert smallest_part(touching == 1, 1.0) == 16


def test_a_label_that_is_not_there_has_no_smallest_part():
    assert smallest_part(a_map() == 1, 1.0) is None


def test_the_limit_is_half_of_the_smallest_part_labeled_of_each_label():
    assert island_limits([(64.0, 8.0)] * 4) == (32.0, 4.0)


def test_a_small_part_in_a_single_case_keeps_others_of_its_size():
    assert island_limits([(30_000.0,)] * 30 + [(250.0,)]) == (125.0,)


def test_too_few_cases_tell_nothing():
    assert island_limits([(64.0, None), (64.0, 8.0), (64.0, 8.0), (64.0, 8.0)]) == (32.0, 0.0)


def test_islands_become_background_and_the_rest_stays():
    channels = a_map(ORGAN, LESION, SPECK, (2, (0, 8, 0), (1, 9, 1)))
    drop_islands(channels, (4.0, 0.0), 1.0)
    assert np.array_equal(channels, a_map(ORGAN, LESION, (2, (0, 8, 0), (1, 9, 1))))


def test_the_limit_counts_mm3_and_not_voxels():
    channels = a_map(ORGAN, LESION)
    drop_islands(channels, (9.0,), 2.0)
    assert np.array_equal(channels, a_map(ORGAN, LESION))


def test_a_labels_largest_part_stays_however_small_it_is():
    channels = a_map(LESION, SPECK)
    drop_islands(channels, (1000.0,), 1.0)
    assert np.array_equal(channels, a_map(LESION))


def test_a_part_of_another_label_between_is_left_alone():
    channels = a_map((1, (0, 0, 0), (4, 4, 12)), (2, (1, 1, 5), (3, 3, 7)), SPECK)
    drop_islands(channels, (20.0, 20.0), 1.0)
    assert np.array_equal(channels, a_map((1, (0, 0, 0), (4, 4, 12)), (2, (1, 1, 5), (3, 3, 7))))


@pytest.mark.parametrize("limits", [(), (0.0, 0.0)])
def test_without_limits_nothing_changes(limits):
    channels = a_map(ORGAN, SPECK)
    drop_islands(channels, limits, 1.0)
    assert np.array_equal(channels, a_map(ORGAN, SPECK))


@given(
    arrays.arrays(np.uint8, (5, 6, 7), elements=st.integers(0, 2)),
    st.tuples(st.floats(0, 60), st.floats(0, 60)),
)
def test_labels_only_lose_parts_below_their_limit_and_never_all(channels, limits):
    kept = channels.copy()
    drop_islands(kept, limits, 1.0)
    assert np.all((kept == channels) | (kept == 0))
    for channel, limit in enumerate(limits, start=1):
        lost = (channels == channel) & (kept != channel)
        assert np.any(kept == channel) == np.any(channels == channel)
        if lost.any():
            assert smallest_part(lost, 1.0) < limit
