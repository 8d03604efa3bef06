"""LPS order and back, voxel for voxel."""

import numpy as np
import pytest

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import from_lps, lps_geometry, to_lps
from ActiveSegLoopLib.images.reading import read_image
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation, write_segmentation
from ActiveSegLoopLib.images.volume import Volume


def orientations(shared_data):
    found = sorted((shared_data / "odd_files" / "nifti_space_48_orientations").glob("*.nii.gz"))
    assert len(found) == 48
    return found


def test_the_48_orientations_of_one_image_are_equal_in_lps(shared_data):
    expected = None
    for path in orientations(shared_data):
        turned = to_lps(read_image(path))
        assert turned.geometry.lps_axes() == (2, 1, 0)
        assert np.diag(np.reshape(turned.geometry.direction, (3, 3))).min() > 0.99
        expected = expected or turned
        assert np.array_equal(turned.array, expected.array), path.name
        assert turned.geometry.difference(expected.geometry) is None, path.name


def test_a_segmentation_drawn_in_lps_returns_to_all_48_grids(shared_data, tmp_path):
    drawn = None
    segments = [Segment("organ", 3, "Organ", (1, 0, 0))]
    for path in orientations(shared_data):
        original = read_image(path)
        turned = to_lps(original)
        if drawn is None:
            drawn = np.where(turned.array > np.percentile(turned.array, 90), 3, 0).astype(np.uint8)
        back = from_lps(turned.with_array(drawn), original.geometry)
        limit = np.percentile(original.array, 90)
        assert np.array_equal(back.array, np.where(original.array > limit, 3, 0)), path.name
        assert back.geometry == original.geometry
    write_segmentation(tmp_path / "x.seg.nrrd", back, segments)
    again, _ = read_segmentation(tmp_path / "x.seg.nrrd")
    assert np.array_equal(again.array, back.array)
    assert again.geometry.difference(original.geometry) is None


def test_a_segmentation_returns_to_an_oblique_grid_voxel_for_voxel(shared_data, tmp_path):
    images = sorted((shared_data / "spinalcord_mri" / "images").glob("*.nii.gz"))
    images.append(shared_data / "odd_files" / "FLAIR.nii.gz")
    rng = np.random.default_rng(0)
    for path in images:
        original = read_image(path)
        turned = to_lps(original)
        # The same voxels in the patient carry the same values.
        index = rng.integers(0, original.geometry.shape, (100, 3))
        world = original.geometry.index_to_world(index)
        found = turned.geometry.world_to_index(world)
        assert np.abs(found - np.rint(found)).max() < 1e-6
        assert np.array_equal(
            turned.array[tuple(np.rint(found).astype(int).T)], original.array[tuple(index.T)]
        )
        labels = rng.integers(0, 3, turned.array.shape).astype(np.uint8)
        back = from_lps(turned.with_array(labels), original.geometry)
        segments = [Segment(str(v), v, f"Part {v}", (v / 2, 0, 1)) for v in (1, 2)]
        write_segmentation(tmp_path / "x.seg.nrrd", back, segments)
        again, read = read_segmentation(tmp_path / "x.seg.nrrd")
        assert read == segments
        assert original.geometry.difference(again.geometry) is None
        assert np.array_equal(
            again.array[tuple(index.T)], labels[tuple(np.rint(found).astype(int).T)]
        )
        assert np.array_equal(to_lps(again).array, labels)


def test_an_image_of_one_slice_turns_too():
    geometry = Geometry((1, 4, 3), (5, 1, 2), (0, 0, 0), (0, 0, 1, -1, 0, 0, 0, 1, 0))
    volume = Volume(np.arange(12).reshape(1, 4, 3), geometry)
    turned = to_lps(volume)
    assert sorted(turned.array.shape) == [1, 3, 4]
    assert np.array_equal(from_lps(turned, geometry).array, volume.array)


def test_a_volume_on_another_grid_is_not_put_back(oblique_geometry):
    other = Geometry((5, 9, 7), (17.0, 0.84, 0.9))
    with pytest.raises(ImageError, match="isn't the original image turned to LPS"):
        from_lps(Volume(np.zeros(other.shape), other), oblique_geometry)
    same = lps_geometry(oblique_geometry)
    assert from_lps(Volume(np.zeros(same.shape), same), oblique_geometry)
