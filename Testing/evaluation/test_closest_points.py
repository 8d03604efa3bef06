"""Closest points found fast are those found by looking at every triangle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.evaluation.closest import closest_distances
from ActiveSegLoopLib.evaluation.lattice_distance import lattice_distances
from ActiveSegLoopLib.evaluation.surface_distance import point_distances
from ActiveSegLoopLib.evaluation.surfaces import Surface, extract_surface
from ActiveSegLoopLib.images.volume import Volume
from Testing.evaluation.shapes import (
    box,
    brute_force,
    grid,
    labeled_ball,
    labeled_box,
    sphere,
    without_lattice,
)


@st.composite
def label_pairs(draw):
    """Two label maps of anything on one grid of any kind."""
    shape = draw(st.tuples(*[st.integers(1, 6)] * 3))
    spacing = draw(st.tuples(*[st.sampled_from([0.5, 1.0, 3.0, 10.0])] * 3))
    turn = Rotation.from_rotvec(draw(st.tuples(*[st.floats(-3, 3)] * 3)))
    geometry = grid(shape, spacing, turn, draw(st.booleans()))
    labels = arrays(np.uint8, shape, elements=st.integers(0, 1)).filter(np.any)
    return Volume(draw(labels), geometry), Volume(draw(labels), geometry)


@given(label_pairs())
@settings(deadline=None, max_examples=60)
def test_looking_up_voxels_searching_triangles_and_trying_all_agree(pair):
    first, second = (extract_surface(volume, 1) for volume in pair)
    truth = brute_force(first.points, second)
    by_voxels = point_distances(first, second)
    by_triangles = closest_distances(first.points, without_lattice(second))
    assert np.allclose(np.abs(by_voxels), truth, atol=1e-9)
    assert np.allclose(np.abs(by_triangles), truth, atol=1e-9)
    apart = truth > 1e-9
    assert np.array_equal(by_voxels[apart] < 0, by_triangles[apart] < 0)


def test_corners_on_a_line_are_measured_as_its_ends_and_edges():
    corners = np.array([[13.65941783, 2, 2], [1, 2, 2], [2, 2, 2]])
    points = np.array([[0.0, 0, 0], [7, 2, 5], [20, 2, 2]])
    for order in ([0, 1, 2], [1, 2, 0], [2, 1, 0]):
        found = closest_distances(points, Surface(corners, np.array([order])), signed=False)
        assert np.allclose(found, [3, 3, 20 - 13.65941783])


@given(
    arrays(float, (12, 3), elements=st.floats(-20, 20)),
    arrays(np.int64, (8, 3), elements=st.integers(0, 11)),
    arrays(float, (5, 3), elements=st.floats(-30, 30)),
)
@settings(deadline=None, max_examples=150)
def test_any_triangles_even_without_area_are_measured_exactly(corners, triangles, points):
    surface = Surface(corners, triangles)
    found = closest_distances(points, surface, signed=False)
    assert np.allclose(found, brute_force(points, surface), atol=1e-7)


def test_large_triangles_among_small_ones_are_not_overlooked():
    small, large = sphere(2, (0, 0, 30), splits=4), box((200, 200, 10), (-100, -100, -10))
    both = Surface(
        np.concatenate([small.points, large.points]),
        np.concatenate([small.triangles, large.triangles + len(small.points)]),
    )
    points = np.random.default_rng(0).uniform((-60, -60, -20), (60, 60, 40), (3000, 3))
    found = closest_distances(points, both)
    alone = brute_force(points, large), np.abs(closest_distances(points, small))
    assert np.allclose(np.abs(found), np.minimum(*alone), atol=1e-9)
    inside = (points[:, 2] < 0) & (points[:, 2] > -10)
    assert np.array_equal(found < 0, inside | (np.linalg.norm(points - (0, 0, 30), axis=1) < 1.99))


def test_a_few_small_triangles_among_many_large_ones_are_not_overlooked():
    large, small = sphere(20, splits=4), sphere(0.3, (24, 0, 0), splits=1)
    assert len(small.triangles) * 20 < len(large.triangles), "They share the large ones' tree."
    both = Surface(
        np.concatenate([large.points, small.points]),
        np.concatenate([large.triangles, small.triangles + len(large.points)]),
    )
    points = np.random.default_rng(3).uniform((15, -4, -4), (28, 4, 4), (3000, 3))
    alone = [closest_distances(points, one) for one in (large, small)]
    found = closest_distances(points, both)
    assert np.allclose(np.abs(found), np.abs(alone).min(axis=0), atol=1e-9)
    assert np.array_equal(found < 0, np.min(alone, axis=0) < 0)
    assert (np.abs(alone[1]) < np.abs(alone[0])).sum() > 500


def test_a_few_points_and_many_find_the_same():
    surface = sphere(15, splits=4)
    points = np.random.default_rng(1).normal(0, 12, (2000, 3))
    together = closest_distances(points, surface)
    alone = np.concatenate([closest_distances(points[i : i + 7], surface) for i in range(0, 70, 7)])
    assert np.array_equal(together[:70], alone)


def test_the_sign_at_a_sharp_tip_is_that_of_the_angle_weighted_normal():
    # Above the tip of a long thin pyramid the nearest triangles' own normals disagree.
    corners = np.array([[0, -1, -1], [0, 1, -1], [0, 1, 1], [0, -1, 1], [40, 0, 0]], float)
    pyramid = Surface(
        corners, np.array([[0, 2, 1], [0, 3, 2], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    )
    assert pyramid.open_edges == 0 and pyramid.volume_ml > 0
    around = np.random.default_rng(2).normal(0, 1.5, (4000, 3)) + [39, 0, 0]
    found = closest_distances(around, pyramid)
    inside = np.abs(around[:, 1:]).max(axis=1) < 1 - around[:, 0] / 40
    assert np.array_equal(found < 0, inside)


def test_points_farther_away_than_voxels_are_looked_up_are_searched_for():
    geometry = grid((40, 40, 60), (1, 1, 1), Rotation.from_rotvec([0.3, 0.2, 0.1]))
    ball = extract_surface(labeled_ball(geometry, (0, 0, 0), 10), 1)
    far = extract_surface(labeled_box(geometry, (9, 9, 1), (31, 38, 59)), 1)
    for one, other in ((far, ball), (ball, far)):
        distance, _ = lattice_distances(one.lattice, other.lattice)
        assert np.isnan(distance).any() and not np.isnan(distance).all()
        expected = closest_distances(one.points, without_lattice(other))
        assert np.allclose(point_distances(one, other), expected, atol=1e-9)


def test_surfaces_of_different_grids_are_compared_by_their_triangles():
    coarse = labeled_ball(grid((16, 16, 16), (2, 2, 2)), (0, 0, 0), 11)
    fine = labeled_ball(grid((30, 30, 30), (1, 1, 1)), (0, 0, 0), 11)
    a, b = extract_surface(coarse, 1), extract_surface(fine, 1)
    assert not a.lattice.fits(b.lattice)
    assert np.allclose(np.abs(point_distances(a, b)), brute_force(a.points, b), atol=1e-9)


def test_it_equals_vtks_distance_filter():
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkFiltersGeneral import vtkDistancePolyDataFilter

    from ActiveSegLoopLib.evaluation.surfaces import poly_data

    geometry = grid((24, 30, 30), (2, 1, 1), Rotation.from_rotvec([0.3, 0.2, 0.1]))
    a = extract_surface(labeled_ball(geometry, (0, 0, 0), 11), 1)
    b = extract_surface(labeled_ball(geometry, (2, 1, -3), 10), 1)
    peer = vtkDistancePolyDataFilter()
    for place, surface in enumerate((a, b)):
        peer.SetInputData(place, poly_data(surface.points, surface.triangles))
    peer.Update()
    theirs = vtk_to_numpy(peer.GetOutput().GetPointData().GetArray("Distance"))
    assert np.allclose(point_distances(a, b), theirs, atol=1e-5)
    assert np.allclose(closest_distances(a.points, without_lattice(b)), theirs, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3])
def test_fewer_corners_than_are_asked_for_at_first(count):
    one = Surface(np.eye(3) * 5, np.array([[0, 1, 2]]))
    points = np.arange(3 * count, dtype=float).reshape(-1, 3)
    found = closest_distances(points, one, signed=False)
    assert np.allclose(found, brute_force(points, one))
