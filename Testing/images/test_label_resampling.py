"""Label maps on other grids: thin structures in one piece, volumes kept, no label invented."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.reading import read_labelmap
from ActiveSegLoopLib.images.resampling import resample_labels, with_spacing
from ActiveSegLoopLib.images.volume import Volume

ALL = np.ones((3, 3, 3))
factors = st.tuples(*[st.sampled_from([1, 2, 3])] * 3)
any_factors = st.tuples(*[st.sampled_from([1 / 3, 0.5, 0.7, 1, 1.5, 2, 2.3, 3, 4])] * 3)
seeds = st.integers(0, 1_000_000)


def pieces(mask):
    return ndimage.label(mask, ALL)[1]


def tube(rng, shape, steps):
    """A connected path, one voxel thick, that winds more or less."""
    mask = np.zeros(shape, bool)
    position, direction = rng.uniform(0, np.array(shape) - 1), rng.normal(size=3)
    straight = rng.choice([0.0, 0.5, 0.9, 0.98])
    for _ in range(steps):
        direction = straight * direction + (1 - straight) * rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        moved = position + 0.5 * direction
        bounced = (moved < 0) | (moved > np.array(shape) - 1)
        direction[bounced] *= -1
        position = np.where(bounced, position, moved)
        mask[tuple(np.rint(position).astype(int))] = True
    return mask


def ball(shape, center, radius):
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    return ((grid - center) ** 2).sum(axis=-1) <= radius**2


def scaled(labels, factor, spacing=(2.0, 1.0, 1.5)):
    grid = Geometry(labels.shape, spacing)
    return resample_labels(Volume(labels, grid), with_spacing(grid, np.multiply(spacing, factor)))


@given(seeds, st.integers(4, 200), factors)
@settings(deadline=None, max_examples=100)
def test_a_tube_of_one_voxel_stays_in_one_piece_on_coarser_grids(seed, steps, factor):
    rng = np.random.default_rng(seed)
    mask = tube(rng, rng.integers(10, 40, 3), steps)
    result = scaled(mask.astype(np.uint8), factor).array
    assert pieces(result) == 1
    # It reaches wherever the tube did, but for a voxel.
    reached = ndimage.binary_dilation(result, ALL)
    where = np.floor(np.argwhere(mask) * np.divide(result.shape, mask.shape)).astype(int)
    assert reached[tuple(where.T)].all()


@given(seeds, st.integers(4, 150), any_factors)
@settings(deadline=None, max_examples=100)
def test_tubes_on_organs_stay_in_one_piece_on_any_scaled_grid(seed, steps, factor):
    rng = np.random.default_rng(seed)
    mask = tube(rng, rng.integers(10, 30, 3), steps)
    for place in rng.permutation(np.argwhere(mask))[:2]:
        mask |= ball(mask.shape, place, rng.uniform(1, 5))
    assert pieces(mask) == 1
    assert pieces(scaled(mask.astype(np.uint8), factor).array) == 1


@given(seeds, st.integers(4, 100), any_factors)
@settings(deadline=None, max_examples=40)
def test_tubes_stay_in_one_piece_on_turned_grids(seed, steps, factor):
    rng = np.random.default_rng(seed)
    mask = tube(rng, rng.integers(8, 20, 3), steps)
    grid = Geometry(mask.shape, (2.0, 1.0, 1.5))
    turn = Rotation.from_rotvec(rng.normal(size=3)).as_matrix()
    spacing = np.multiply(grid.spacing, factor)
    shape = np.ceil(1.1 * np.linalg.norm(grid.extent) / spacing).astype(int) + 2
    center = grid.index_to_world((np.array(grid.shape) - 1) / 2)
    target = Geometry(
        shape, spacing, center - turn @ ((shape - 1) / 2 * spacing)[::-1], turn.ravel()
    )
    result = resample_labels(Volume(mask.astype(np.uint8), grid), target).array
    assert pieces(result) == 1


@given(seeds, any_factors)
@settings(deadline=None, max_examples=60)
def test_vessels_in_an_organ_keep_their_pieces_and_labels(seed, factor):
    rng = np.random.default_rng(seed)
    labels = 9 * ball((30, 34, 38), (15, 17, 19), rng.uniform(8, 14)).astype(np.uint8)
    labels[tube(rng, labels.shape, rng.integers(10, 100))] = 2
    result = scaled(labels, factor).array
    assert set(np.unique(result)) == set(np.unique(labels))
    assert pieces(result == 2) == 1


@given(seeds, any_factors)
@settings(deadline=None, max_examples=60)
def test_no_label_is_invented_or_lost(seed, factor):
    rng = np.random.default_rng(seed)
    labels = (rng.integers(1, 6, (9, 10, 11)) * (rng.random((9, 10, 11)) < rng.random())).astype(
        np.uint16
    )
    labels[labels == 4] = 40_000
    result = scaled(labels, factor)
    assert result.array.dtype == np.uint16
    if result.array.size > 50:
        assert set(np.unique(result.array[result.array > 0])) == set(np.unique(labels[labels > 0]))
    else:
        assert set(np.unique(result.array)) <= set(np.unique(labels)) | {0}


@given(
    seeds, st.floats(9, 12), st.tuples(*[st.sampled_from([1 / 3, 0.5, 0.7, 1, 1.5, 2, 2.3, 3])] * 3)
)
@settings(deadline=None, max_examples=60)
def test_compact_structures_keep_their_volume_within_a_tenth(seed, radius, factor):
    rng = np.random.default_rng(seed)
    radii = radius * rng.uniform(0.8, 1.25, 3)
    center = rng.uniform(15, 17, 3)
    grid = np.indices((32, 32, 32)).transpose(1, 2, 3, 0)
    mask = (((grid - center) / radii) ** 2).sum(axis=-1) <= 1
    there = scaled(mask.astype(np.uint8), factor)
    before, after = mask.sum() * 3.0, there.array.sum() * there.geometry.voxel_volume
    assert abs(after / before - 1) < 0.1
    back = resample_labels(there, Geometry(mask.shape, (2.0, 1.0, 1.5))).array
    assert abs(back.sum() / mask.sum() - 1) < 0.1


def test_thin_structures_keep_their_volume_on_finer_grids():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[np.arange(2, 18), np.arange(2, 18), np.arange(2, 18)] = 1  # touching by corners only
    mask[10, 3:17, 5] = 1
    for factor in (0.5, 1 / 3, 0.25):
        result = scaled(mask, (factor,) * 3)
        ratio = result.array.sum() * result.geometry.voxel_volume / (mask.sum() * 3.0)
        assert 0.95 < ratio < 1.3
        assert pieces(result.array) == pieces(mask)


@given(seeds)
@settings(deadline=None, max_examples=10)
def test_the_same_grid_changes_nothing(seed):
    labels = np.random.default_rng(seed).integers(0, 5, (6, 7, 8)).astype(np.uint8)
    grid = Geometry(labels.shape, (2, 1, 1))
    result = resample_labels(Volume(labels, grid), grid)
    assert np.array_equal(result.array, labels)
    assert not np.shares_memory(result.array, labels)


def test_a_larger_grid_adds_background_and_a_smaller_one_cuts():
    labels = np.random.default_rng(0).integers(0, 4, (6, 7, 8)).astype(np.uint8)
    grid = Geometry(labels.shape, (2, 1, 1))
    wide = Geometry((10, 11, 12), (2, 1, 1), grid.index_to_world((-2, -2, -2)))
    result = resample_labels(Volume(labels, grid), wide)
    assert np.array_equal(result.array, np.pad(labels, 2))
    assert np.array_equal(resample_labels(result, grid).array, labels)


def test_boxes_that_cover_half_voxels_neither_grow_nor_shrink_on_average():
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(60):
        low, size = rng.integers(2, 8, 3), rng.integers(5, 12, 3)
        mask = np.zeros((24, 24, 24), np.uint8)
        mask[tuple(slice(a, a + n) for a, n in zip(low, size))] = 1
        ratios.append(scaled(mask, (2, 2, 2)).array.sum() * 8 / mask.sum())
    assert 0.97 < np.mean(ratios) < 1.03


@pytest.mark.parametrize("factor", [2, 0.5, 1.7])
def test_real_organs_keep_volume_and_pieces(factor, shared_data):
    path = sorted((shared_data / "headneck_ct" / "labels").glob("*.nii.gz"))[0]
    labels = read_labelmap(path)
    grid = with_spacing(labels.geometry, np.multiply(labels.geometry.spacing, factor))
    result = resample_labels(labels, grid)
    for value in range(1, 6):
        before, after = labels.array == value, result.array == value
        voxels = before.sum() * labels.geometry.voxel_volume / grid.voxel_volume
        assert abs(after.sum() - voxels) < max(5, 0.1 * voxels)
        assert pieces(after) <= pieces(before)


def test_what_is_no_label_map_is_refused():
    grid = Geometry((2, 2, 2), (1, 1, 1))
    for array in (np.full((2, 2, 2), value) for value in (0.5, -1, 70_000)):
        with pytest.raises(ImageError, match="Only whole values from 0 to 65535"):
            resample_labels(Volume(array, grid), with_spacing(grid, (2, 2, 2)))


def test_five_labels_on_a_cube_of_128_take_well_under_a_second():
    rng = np.random.default_rng(1)
    labels = np.zeros((128, 128, 128), np.uint8)
    for value in range(1, 6):
        labels[ball(labels.shape, rng.uniform(30, 98, 3), rng.uniform(8, 30))] = value
    labels[tube(rng, labels.shape, 400)] = 3
    start = time.process_time()
    scaled(labels, (2, 2, 2))
    scaled(labels, (1.5, 3, 2.5))
    assert time.process_time() - start < 2
