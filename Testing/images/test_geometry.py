"""Grids: where voxels lie, which axis is which, what differs."""

import json
from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume, require_same_geometry

lengths = st.floats(0.1, 20)
places = st.floats(-500, 500)


@st.composite
def geometries(draw):
    turn = Rotation.from_rotvec(draw(st.tuples(*[st.floats(-3, 3)] * 3))).as_matrix()
    mirror = np.diag([1, 1, draw(st.sampled_from([-1, 1]))])
    return Geometry(
        draw(st.tuples(*[st.integers(1, 40)] * 3)),
        draw(st.tuples(lengths, lengths, lengths)),
        draw(st.tuples(places, places, places)),
        (turn @ mirror).ravel(),
    )


@given(geometries(), st.tuples(*[st.floats(-50, 50)] * 3))
@settings(deadline=None, max_examples=60)
def test_points_go_to_the_world_and_back(geometry, index):
    world = geometry.index_to_world(index)
    assert np.allclose(geometry.world_to_index(world), index, atol=1e-6)
    assert np.allclose(geometry.affine() @ [*index, 1], [*world, 1], atol=1e-9)


@given(geometries(), st.tuples(*[st.integers(0, 39)] * 3))
@settings(deadline=None, max_examples=60)
def test_points_lie_where_simpleitk_has_them(geometry, index):
    image = sitk.Image(geometry.shape[::-1], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing[::-1])
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    expected = image.TransformIndexToPhysicalPoint([int(i) for i in index[::-1]])
    assert np.allclose(geometry.index_to_world(index), expected, atol=1e-6)


@given(geometries())
@settings(deadline=None, max_examples=40)
def test_a_geometry_survives_json(geometry):
    again = Geometry.from_dict(json.loads(json.dumps(geometry.to_dict())))
    assert again == geometry
    assert geometry.difference(again) is None


@given(geometries())
@settings(deadline=None, max_examples=60)
def test_each_plane_has_an_axis_of_its_own(geometry):
    axes = [geometry.axis_of(plane) for plane in ("axial", "coronal", "sagittal")]
    assert sorted(axes) == [0, 1, 2]


def test_planes_follow_the_direction_in_all_48_orientations():
    for order in permutations(range(3)):
        for signs in product((-1, 1), repeat=3):
            direction = np.zeros((3, 3))
            for image_axis, (world, sign) in enumerate(zip(order, signs)):
                direction[world, image_axis] = sign
            geometry = Geometry((4, 5, 6), (1, 1, 1), (0, 0, 0), direction.ravel())
            for world, plane in enumerate(("sagittal", "coronal", "axial")):
                step = np.eye(3)[geometry.axis_of(plane)]
                moved = geometry.index_to_world(step) - geometry.index_to_world((0, 0, 0))
                assert np.argmax(np.abs(moved)) == world


def test_an_unknown_plane_is_refused():
    with pytest.raises(ImageError, match="'transverse' isn't a plane"):
        Geometry((1, 1, 1), (1, 1, 1)).axis_of("transverse")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": (4, 5, 7)}, "4 x 5 x 6 against 4 x 5 x 7 voxels"),
        ({"spacing": (2.0, 1.0, 1.1)}, "spacing 2 x 1 x 1 against 2 x 1 x 1.1 mm"),
        ({"origin": (0.0, 3.0, 4.0)}, "origins 5 mm apart"),
        (
            {"direction": Rotation.from_euler("z", 3, True).as_matrix().ravel()},
            "turned by 3 degrees",
        ),
        ({"direction": (-1, 0, 0, 0, 1, 0, 0, 0, 1)}, "mirror image"),
    ],
)
def test_what_differs_is_said_in_words(change, words):
    fields = {"shape": (4, 5, 6), "spacing": (2.0, 1.0, 1.0), "origin": (0.0, 0.0, 0.0)}
    assert words in Geometry(**fields).difference(Geometry(**{**fields, **change}))


@given(geometries())
def test_a_grid_overlaps_itself_and_none_that_lies_elsewhere(geometry):
    assert geometry.overlaps(geometry)
    far = np.add(geometry.origin, 2.1 * np.multiply(geometry.shape, geometry.spacing).sum() + 1)
    assert not geometry.overlaps(replace(geometry, origin=tuple(far)))


def test_rounding_errors_of_files_are_no_difference():
    one = Geometry((20, 300, 300), (3.0, 0.7, 0.7), (-100.0, 50.0, 20.0))
    other = Geometry((20, 300, 300), (3.0, 0.7000001, 0.7), (-100.0001, 50.0, 20.0))
    assert one.difference(other) is None


def test_a_drift_of_spacing_over_many_voxels_is_a_difference():
    one = Geometry((500, 10, 10), (1.0, 1.0, 1.0))
    other = Geometry((500, 10, 10), (1.0005, 1.0, 1.0))
    assert "spacing" in one.difference(other)


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (0, 5, 5)},
        {"spacing": (1, 0, 1)},
        {"spacing": (1, float("nan"), 1)},
        {"origin": (0, 0)},
        {"direction": (1, 0.2, 0, 0, 1, 0, 0, 0, 1)},
        {"direction": (0,) * 9},
    ],
)
def test_what_cannot_be_a_grid_is_refused(fields):
    with pytest.raises(ImageError):
        Geometry(**{"shape": (5, 5, 5), "spacing": (1, 1, 1), **fields})


def test_a_volume_needs_an_array_of_the_grids_shape():
    with pytest.raises(ImageError, match="doesn't fit"):
        Volume(np.zeros((2, 3, 4)), Geometry((4, 3, 2), (1, 1, 1)))


def test_an_image_and_a_label_on_other_grids_are_refused_by_name(a_volume):
    grid = a_volume.geometry
    moved = Geometry(grid.shape, grid.spacing, (0, 0, 0), grid.direction)
    require_same_geometry(a_volume, a_volume, "ct.nii.gz", "label.nii.gz")
    with pytest.raises(ImageError, match="label.nii.gz .*grid of ct.nii.gz .*mm apart"):
        require_same_geometry(a_volume, Volume(a_volume.array, moved), "ct.nii.gz", "label.nii.gz")


def test_real_images_and_labels_share_their_grids(shared_data):
    from ActiveSegLoopLib.images.reading import read_image, read_labelmap

    images = sorted((shared_data / "spinalcord_mri" / "images").glob("*.nii.gz"))
    assert images
    for image in images:
        label = image.parents[1] / "labels" / image.name
        require_same_geometry(read_image(image), read_labelmap(label), image.name, label.name)
