"""Boxes around instances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.regions import Box, box_of, find_boxes

bounds = st.tuples(*[st.integers(-5, 20)] * 3)


def mask_with(shape, *boxes):
    mask = np.zeros(shape, bool)
    for lower, upper in boxes:
        mask[Box(lower, upper).slices] = True
    return mask


@given(bounds, bounds, bounds, bounds)
@settings(deadline=None, max_examples=80)
def test_boxes_behave_as_sets_of_voxels(a, b, c, d):
    one = Box(np.minimum(a, b), np.maximum(a, b) + 1)
    other = Box(np.minimum(c, d), np.maximum(c, d) + 1)
    grid = np.indices((40, 40, 40)).transpose(1, 2, 3, 0) - 10

    def inside(box):
        return np.all((grid >= box.lower) & (grid < box.upper), axis=-1)

    common = one.intersection(other)
    both = inside(one) & inside(other)
    assert both.sum() == (common.volume if common else 0)
    assert np.all(inside(one.union(other))[inside(one) | inside(other)])
    assert one.contains(other) == bool(np.all(inside(one)[inside(other)]))
    assert (
        inside(one.clipped((12, 12, 12))).sum()
        == (inside(one) & inside(Box((0, 0, 0), (12, 12, 12)))).sum()
    )
    assert one.dilated((1, 2, 3)).shape == tuple(np.add(one.shape, (2, 4, 6)))
    assert one.contains(one.lower) and not one.contains(one.upper)


def test_an_empty_mask_has_no_boxes():
    assert box_of(np.zeros((3, 4, 5), bool)) is None
    assert find_boxes(np.zeros((3, 4, 5), bool), (1, 1, 1), 10) == []


def test_each_instance_gets_a_box_the_largest_first():
    mask = mask_with((40, 40, 40), ((2, 2, 2), (5, 5, 5)), ((20, 20, 20), (30, 30, 30)))
    assert find_boxes(mask, (1, 1, 1), 0) == [
        Box((20, 20, 20), (30, 30, 30)),
        Box((2, 2, 2), (5, 5, 5)),
    ]


def test_the_margin_is_in_mm_and_clipped_to_the_image():
    mask = mask_with((20, 40, 40), ((10, 10, 1), (12, 12, 3)))
    assert find_boxes(mask, (5, 1, 2), 5) == [Box((9, 5, 0), (13, 17, 6))]


def test_small_components_are_dropped_by_volume():
    mask = mask_with((40, 40, 40), ((2, 2, 2), (4, 4, 4)), ((20, 20, 20), (30, 30, 30)))
    assert len(find_boxes(mask, (1, 1, 2), 0, minimum_mm3=16)) == 2
    assert len(find_boxes(mask, (1, 1, 2), 0, minimum_mm3=17)) == 1


@pytest.mark.parametrize(("gap", "count"), [(0, 2), (5.9, 2), (6.1, 1)])
def test_parts_closer_than_the_gap_are_one_instance(gap, count):
    # Three empty slices of 2 mm lie between them.
    mask = mask_with((40, 10, 10), ((2, 2, 2), (10, 8, 8)), ((13, 2, 2), (20, 8, 8)))
    boxes = find_boxes(mask, (2, 1, 1), 0, gap_mm=gap)
    assert len(boxes) == count


def test_many_small_parts_of_one_instance_count_together():
    mask = np.zeros((60, 20, 20), bool)
    mask[::3, 5:8, 5:8] = True
    assert find_boxes(mask, (1, 1, 1), 0, minimum_mm3=100) == []
    assert find_boxes(mask, (1, 1, 1), 0, minimum_mm3=100, gap_mm=3) == [Box((0, 5, 5), (58, 8, 8))]


def test_boxes_that_nearly_coincide_become_one():
    mask = mask_with((60, 60, 60), ((10, 10, 10), (30, 30, 18)), ((10, 10, 20), (30, 30, 30)))
    assert len(find_boxes(mask, (1, 1, 1), 0)) == 2
    assert find_boxes(mask, (1, 1, 1), 4) == [Box((6, 6, 6), (34, 34, 34))]


def test_overlapping_boxes_that_would_waste_room_stay_apart():
    mask = mask_with((80, 80, 80), ((5, 5, 5), (30, 30, 30)), ((32, 32, 32), (60, 60, 60)))
    assert len(find_boxes(mask, (1, 1, 1), 3)) == 2


@given(st.integers(0, 10_000), st.floats(0, 4), st.floats(0, 4))
@settings(deadline=None, max_examples=25)
def test_boxes_hold_every_voxel_with_its_margin(seed, margin, gap):
    rng = np.random.default_rng(seed)
    mask = rng.random((12, 14, 16)) < 0.02
    spacing = rng.uniform(0.5, 3, 3)
    boxes = find_boxes(mask, spacing, margin, gap_mm=gap)
    inside = np.zeros(mask.shape, bool)
    for box in boxes:
        inside[box.slices] = True
    steps = np.ceil(margin / spacing - 1e-6).astype(int)
    for voxel in np.argwhere(mask):
        low = np.maximum(voxel - steps, 0)
        assert inside[tuple(slice(a, b) for a, b in zip(low, voxel + steps + 1))].all()


def test_both_parotids_get_boxes_of_their_own(shared_data):
    path = sorted((shared_data / "headneck_ct" / "labels").glob("*.nii.gz"))[0]
    labels = read_labelmap(path)
    boxes = find_boxes(np.isin(labels.array, (3, 4)), labels.geometry.spacing, 5, 1000, 5)
    assert len(boxes) == 2
    for value in (3, 4):
        assert any(box.contains(box_of(labels.array == value)) for box in boxes)
