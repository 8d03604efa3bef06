"""Images and masks on other grids."""

import time

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.itk import resampler, to_sitk
from ActiveSegLoopLib.images.orientation import lps_geometry, to_lps
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.resampling import resample_image, resample_mask, with_spacing
from ActiveSegLoopLib.images.volume import Volume

shapes = st.tuples(*[st.integers(1, 14)] * 3)
spacings = st.tuples(*[st.floats(0.3, 6)] * 3)


def turned(degrees, shape, spacing=(1, 1, 1), center=(0, 0, 0)):
    """A grid turned about its center."""
    direction = Rotation.from_rotvec(np.radians(degrees)).as_matrix()
    half = (np.array(shape) - 1) / 2 * spacing
    return Geometry(shape, spacing, np.array(center) - direction @ half[::-1], direction.ravel())


def edges(geometry):
    """The outer corners of the first and last voxel."""
    return geometry.index_to_world([[-0.5] * 3, np.array(geometry.shape) - 0.5])


@given(shapes, spacings, spacings)
@settings(deadline=None, max_examples=60)
def test_a_new_spacing_keeps_the_extent_edge_to_edge(shape, old, new):
    geometry = turned((10, -20, 30), shape, old)
    other = with_spacing(geometry, new)
    assert np.allclose(edges(other), edges(geometry), atol=1e-6)
    assert other.direction == geometry.direction
    assert other.shape == tuple(np.maximum(1, np.rint(np.array(geometry.extent) / new)))
    assert with_spacing(geometry, geometry.spacing) == geometry


@pytest.mark.parametrize("bad", [(1, 1), (0, 1, 1), (1, float("nan"), 1), (-1, 1, 1)])
def test_an_impossible_spacing_is_refused(bad):
    with pytest.raises(ImageError, match="three positive numbers"):
        with_spacing(Geometry((2, 2, 2), (1, 1, 1)), bad)


@given(shapes, spacings, st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_resampling_stays_within_the_values_and_keeps_the_mean(shape, spacing, seed):
    array = np.random.default_rng(seed).normal(size=shape)
    volume = Volume(array, Geometry(shape, (1, 1, 1)))
    result = resample_image(volume, with_spacing(volume.geometry, spacing)).array
    assert result.dtype == np.float32
    assert result.min() >= array.min() - 1e-5 and result.max() <= array.max() + 1e-5


def test_a_constant_stays_constant_everywhere():
    volume = Volume(np.full((5, 6, 7), 42, np.int16), Geometry((5, 6, 7), (3, 1, 2)))
    for grid in (
        with_spacing(volume.geometry, (0.7, 0.7, 0.7)),
        with_spacing(volume.geometry, (9, 2, 5)),
        turned((5, 10, 20), (6, 6, 6), (4, 4, 4)),  # reaches beyond: the border is repeated
    ):
        assert np.allclose(resample_image(volume, grid).array, 42, atol=1e-4)


def test_a_linear_ramp_is_reproduced_inside():
    grid = Geometry((12, 10, 14), (2, 1, 3), (5, 6, 7))
    slopes = np.array([0.5, -2, 3])

    def ramp(geometry):
        index = np.indices(geometry.shape).transpose(1, 2, 3, 0)
        return geometry.index_to_world(index) @ slopes

    volume = Volume(ramp(grid), grid)
    for spacing in ((1, 0.7, 1.5), (3, 1, 4), (2, 1, 3)):
        other = with_spacing(grid, spacing)
        inner = (slice(2, -2),) * 3
        expected, found = ramp(other), resample_image(volume, other).array
        assert np.allclose(found[inner], expected[inner], atol=1e-3)


def test_finer_grids_agree_with_simpleitk():
    rng = np.random.default_rng(0)
    volume = Volume(rng.normal(size=(9, 11, 8)), turned((20, 10, 5), (9, 11, 8), (3, 1, 2)))
    for grid in (
        with_spacing(volume.geometry, (1.3, 0.8, 1.9)),
        turned((-15, 40, 5), (12, 12, 12), (0.9, 0.9, 0.9)),
    ):
        how = resampler(grid, sitk.sitkLinear)
        how.SetUseNearestNeighborExtrapolator(True)
        expected = sitk.GetArrayFromImage(how.Execute(to_sitk(volume)))
        assert np.allclose(resample_image(volume, grid).array, expected, atol=1e-4)


def test_fine_stripes_do_not_alias_on_a_coarse_grid():
    array = np.zeros((12, 60, 60), np.float32)
    array[:, :, ::2] = 1
    volume = Volume(array, Geometry(array.shape, (1, 1, 1)))
    for grid in (
        with_spacing(volume.geometry, (4, 4, 4)),
        turned((0, 3, 0), (2, 8, 8), (4, 4, 4), center=(29, 29, 6)),
    ):
        assert np.abs(resample_image(volume, grid).array - 0.5).max() < 0.1


def test_the_same_grid_gives_the_same_values(a_volume):
    result = resample_image(a_volume, a_volume.geometry)
    assert result.array.dtype == np.float32
    assert np.array_equal(result.array, a_volume.array)


def test_reoriented_grids_give_the_same_voxels(shared_data):
    image = read_image(shared_data / "odd_files" / "nifti_space_48_orientations" / "PIL.nii.gz")
    expected = to_lps(image)
    assert np.array_equal(resample_image(image, expected.geometry).array, expected.array)
    coarse = with_spacing(image.geometry, (5, 5, 5))
    one = resample_image(expected, coarse).array
    assert np.allclose(one, resample_image(image, coarse).array, rtol=1e-5, atol=1e-3)
    assert np.allclose(
        to_lps(Volume(one, coarse)).array,
        resample_image(image, lps_geometry(coarse)).array,
        rtol=1e-5,
        atol=1e-3,
    )


def test_the_nearest_voxel_is_taken_when_asked_for(a_volume):
    grid = with_spacing(a_volume.geometry, np.array(a_volume.geometry.spacing) / 2)
    result = resample_image(a_volume, grid, "nearest").array
    assert np.array_equal(result, a_volume.array.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    with pytest.raises(ImageError, match="'cubic' isn't a way"):
        resample_image(a_volume, grid, "cubic")


def test_a_mask_is_false_outside_its_grid():
    mask = Volume(np.ones((4, 4, 4), bool), Geometry((4, 4, 4), (2, 2, 2)))
    for grid in (Geometry((20, 20, 20), (1, 1, 1), (-5.5, -5.5, -5.5)),
                 turned((0, 0, 45), (24, 24, 24), (1, 1, 1), center=(3, 3, 3))):  # fmt: skip
        result = resample_mask(mask, grid)
        assert result.array.dtype == bool
        assert abs(result.array.sum() * grid.voxel_volume - 512) < 40
        index = mask.geometry.world_to_index(grid.index_to_world(np.argwhere(result.array)))
        assert index.min() > -0.51 and index.max() < 3.51


def test_a_mask_on_a_finer_grid_repeats_its_voxels():
    array = np.random.default_rng(0).random((4, 5, 6)) < 0.5
    mask = Volume(array, Geometry((4, 5, 6), (3, 1, 1)))
    result = resample_mask(mask, with_spacing(mask.geometry, (1, 1, 1)))
    assert np.array_equal(result.array, array.repeat(3, 0))
    assert np.array_equal(resample_mask(result, mask.geometry).array, array)


def test_a_large_ct_comes_to_4_mm_in_well_under_two_seconds():
    grid = Geometry((300, 512, 512), (1.0, 0.8, 0.8))
    array = np.zeros(grid.shape, np.int16)
    array[::2, ::3, ::5] = 1000
    volume = Volume(array, grid)
    start = time.process_time()
    result = resample_image(volume, with_spacing(grid, (4, 4, 4)))
    assert time.process_time() - start < 2
    assert result.array.shape == (75, 102, 102)
    assert abs(result.array.mean() - array.mean()) < 1
