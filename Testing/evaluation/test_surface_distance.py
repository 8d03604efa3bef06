"""Surface distances against closed forms, and what must hold for all surfaces."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.evaluation.surface_distance import (
    measure,
    point_distances,
    surface_distance,
)
from ActiveSegLoopLib.evaluation.surfaces import Surface, extract_surface
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from Testing.evaluation.shapes import (
    box,
    grid,
    labeled_ball,
    labeled_box,
    moved,
    sphere,
    without_lattice,
)

TURN = Rotation.from_euler("xyz", [20, -35, 70], degrees=True)
EMPTY = Surface(np.zeros((0, 3)), np.zeros((0, 3), int))
GRIDS = [
    pytest.param((1.0, 1.0, 1.0), None, False, id="regular"),
    pytest.param((3.0, 0.8, 0.8), None, True, id="thick mirrored slices"),
    pytest.param((1.0, 1.0, 1.0), TURN, False, id="oblique"),
    pytest.param((2.5, 1.25, 0.7), TURN, True, id="oblique, anisotropic, mirrored"),
]


def test_concentric_spheres_are_apart_by_the_difference_of_their_radii():
    found = surface_distance(sphere(20, splits=5), sphere(17, splits=5))
    for stats, side in ((found.a_to_b, 3), (found.b_to_a, -3), (found.symmetric, 3)):
        assert stats.rms == pytest.approx(3, rel=0.002)
        assert stats.maximum == pytest.approx(3, rel=0.005)
        assert stats.signed_mean == pytest.approx(side, rel=0.005)
        assert stats.sd < 0.01
        assert (stats.within_1mm, stats.within_2mm) == (0, 0)


@pytest.mark.parametrize("shift", [1.0, 5.0, 12.0])
@pytest.mark.parametrize("weighting", ["points", "area"])
def test_a_shifted_sphere_has_the_rms_of_the_closed_form(shift, weighting):
    # Over a sphere of radius r the mean of (|p - t| - r)^2 is t^2 / 3 for every t < 2 r.
    direction = np.array([2, -1, 2]) / 3
    first, second = sphere(20, splits=5), sphere(20, shift * direction, splits=5)
    found = surface_distance(first, second, weighting)
    # An octahedron's split triangles are denser at its corners: points are not quite even.
    allowed = 0.01 if weighting == "area" else 0.02
    assert found.a_to_b.rms == pytest.approx(shift / math.sqrt(3), rel=allowed)
    assert found.b_to_a.rms == pytest.approx(shift / math.sqrt(3), rel=allowed)
    assert found.symmetric.maximum == pytest.approx(shift, rel=0.01)
    sampled = surface_distance(first, second, samples=40_000)
    assert sampled.symmetric.rms == pytest.approx(shift / math.sqrt(3), rel=0.01)
    assert sampled.a_to_b.count == 40_000


def test_a_large_box_is_measured_on_its_faces_not_at_its_corners():
    # Eight points and twelve triangles against points everywhere above the faces.
    points = sphere(5, (50, 50, 113)).points
    distance = point_distances(Surface(points, sphere(5).triangles), box((100, 100, 100)))
    assert np.allclose(distance, points[:, 2] - 100)
    inside = point_distances(sphere(5, (50, 50, 80)), box((100, 100, 100)))
    assert inside.max() == pytest.approx(-15) and inside.min() == pytest.approx(-25)


def test_a_box_in_a_larger_box_of_voxels_is_as_far_inside_as_counted():
    geometry = grid((20, 20, 20), (3, 1, 2), TURN)
    small = extract_surface(labeled_box(geometry, (7, 7, 7), (13, 13, 13)), 1)
    large = extract_surface(labeled_box(geometry, (5, 4, 6), (15, 16, 14)), 1)
    # 2 voxels of 3 mm, 3 of 1 mm and 1 of 2 mm.
    assert surface_distance(small, large).a_to_b.count == 6 * 6 * 6
    signed = point_distances(small, large)
    index = geometry.world_to_index(small.points)
    # Not the face's own opposite but the nearest one.
    to_face = np.minimum(index - (4.5, 3.5, 5.5), np.array((14.5, 15.5, 13.5)) - index)
    assert np.allclose(-signed, (to_face * (3, 1, 2)).min(axis=1))


@pytest.mark.parametrize("spacing, turn, mirrored", GRIDS)
def test_shifted_balls_of_voxels_come_within_the_error_of_a_voxel(spacing, turn, mirrored):
    shape = tuple(math.ceil(48 / s) for s in spacing)
    geometry = grid(shape, spacing, turn, mirrored)
    shift = np.array([4.0, 4.0, -2.0])
    first = extract_surface(labeled_ball(geometry, -shift / 2, 15), 1)
    second = extract_surface(labeled_ball(geometry, shift / 2, 15), 1)
    found = surface_distance(first, second)
    # The closest point of a surface of stairs is a corner that sticks out: somewhat too near.
    assert found.symmetric.rms == pytest.approx(6 / math.sqrt(3), abs=0.25 * max(spacing))
    assert found.symmetric.maximum == pytest.approx(6, abs=0.5 * np.linalg.norm(spacing))
    assert found.symmetric.signed_mean == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("spacing, turn, mirrored", GRIDS)
@pytest.mark.parametrize("keep", [True, False], ids=["voxels known", "triangles only"])
def test_turning_and_shifting_the_whole_scene_changes_nothing(spacing, turn, mirrored, keep):
    def surfaces(geometry):
        pair = labeled_box(geometry, (1, 2, 3), (6, 8, 9)), labeled_box(geometry, *other)
        made = [extract_surface(volume, 1) for volume in pair]
        return made if keep else [without_lattice(surface) for surface in made]

    other = (0, 3, 2), (9, 7, 12)
    upright = surface_distance(*surfaces(Geometry((9, 10, 12), spacing)))
    turned = surface_distance(*surfaces(grid((9, 10, 12), spacing, turn, mirrored)))
    for direction in ("a_to_b", "b_to_a", "symmetric"):
        one, same = (getattr(found, direction).__dict__ for found in (upright, turned))
        assert one == pytest.approx(same, rel=1e-6, abs=1e-6)


turns = st.tuples(*[st.floats(-3, 3)] * 3).map(Rotation.from_rotvec)
shifts = st.tuples(*[st.floats(-20, 20)] * 3)


@given(turns, turns, shifts, shifts, st.tuples(*[st.floats(0.5, 30)] * 3))
@settings(deadline=None, max_examples=40)
def test_for_any_two_surfaces_the_definitions_hold(turn, scene, shift, scene_shift, size):
    first, second = sphere(8, splits=2), moved(box(size), turn, shift)
    found = surface_distance(first, second)
    swapped = surface_distance(second, first)
    assert found.a_to_b == swapped.b_to_a and found.b_to_a == swapped.a_to_b
    assert found.symmetric.rms == pytest.approx(swapped.symmetric.rms)
    assert found.symmetric.signed_mean == pytest.approx(-swapped.symmetric.signed_mean)
    for stats in (found.a_to_b, found.b_to_a, found.symmetric):
        assert stats.rms**2 == pytest.approx(stats.mean**2 + stats.sd**2)
        assert abs(stats.signed_mean) <= stats.mean + 1e-12 <= stats.rms + 2e-12
        assert 0 <= stats.median <= stats.p95 <= stats.maximum
        assert 0 <= stats.within_1mm <= stats.within_2mm <= 1
    assert found.symmetric.count == found.a_to_b.count + found.b_to_a.count
    assert found.symmetric.maximum == max(found.a_to_b.maximum, found.b_to_a.maximum)
    elsewhere = surface_distance(
        moved(first, scene, scene_shift), moved(second, scene, scene_shift)
    )
    assert elsewhere.symmetric.rms == pytest.approx(found.symmetric.rms, abs=1e-9)
    assert elsewhere.symmetric.signed_mean == pytest.approx(found.symmetric.signed_mean, abs=1e-9)


def test_a_surface_lies_on_itself():
    surface = extract_surface(labeled_ball(grid((20, 20, 20), (2, 1, 1), TURN), (0, 0, 0), 7), 1)
    for one in (surface, without_lattice(surface)):
        found = surface_distance(one, surface)
        assert found.symmetric.maximum < 1e-9
        assert found.symmetric.within_1mm == 1


def test_points_and_area_weigh_differently_where_points_crowd():
    # A sphere whose upper half has 16 times as many triangles as the lower.
    coarse, fine = sphere(10, splits=3), sphere(10, splits=5)
    low = coarse.triangles[coarse.points[coarse.triangles].mean(axis=1)[:, 2] < 0]
    high = fine.triangles[fine.points[fine.triangles].mean(axis=1)[:, 2] > 0] + len(coarse.points)
    crowded = Surface(np.concatenate([coarse.points, fine.points]), np.concatenate([low, high]))
    target = sphere(12, (0, 0, 4), splits=5)
    by_points = surface_distance(crowded, target, signed=False).a_to_b
    by_area = surface_distance(crowded, target, "area", signed=False).a_to_b
    even = surface_distance(crowded, target, samples=20_000, signed=False).a_to_b
    # |p - t| has the mean square r^2 + t^2 and the mean r + t^2 / 3 r over a sphere.
    closed_form = math.sqrt(116 - 24 * (10 + 16 / 30) + 144)
    assert by_area.rms == pytest.approx(closed_form, rel=0.01)
    assert even.rms == pytest.approx(closed_form, rel=0.01)
    assert even.p95 == pytest.approx(by_area.p95, rel=0.02)
    assert even.median == pytest.approx(by_area.median, rel=0.05)
    # The upper half, which has most points, is farther away.
    assert by_points.rms > 1.3 * closed_form
    # Points of no triangle, as the unused half spheres' here, are no part of a surface.
    assert by_points.count == by_area.count < len(crowded.points)
    assert math.isnan(by_points.signed_mean)


def test_samples_are_the_same_for_the_same_seed():
    pair = sphere(10), sphere(11)
    assert surface_distance(*pair, samples=500) == surface_distance(*pair, samples=500)
    assert surface_distance(*pair, samples=500) != surface_distance(*pair, samples=500, seed=1)


def test_the_surface_dice_is_the_share_of_area_within_the_tolerance():
    measured = measure(sphere(20, splits=5), sphere(20, (0, 0, 6), splits=5))
    # |p - t| - r is within 1 mm in a band of cosines (Archimedes: area goes with the cosine).
    low, high = ((36 - ((20 + d) ** 2 - 400)) / (2 * 20 * 6) for d in (1, -1))
    assert measured.within(1.0) == pytest.approx((high - low) / 2, rel=0.05)
    assert measured.within(0.0) < 0.02 and measured.within(6.01) == 1


@pytest.mark.parametrize(
    "a, b, said",
    [
        (EMPTY, EMPTY, "Both surfaces are empty"),
        (EMPTY, sphere(3), "The first surface is empty"),
        (sphere(3), EMPTY, "The second surface is empty"),
    ],
)
def test_nothing_has_no_distance_and_the_reason_is_said(a, b, said):
    found = surface_distance(a, b)
    assert found.reason.startswith(said)
    for stats in (found.a_to_b, found.b_to_a, found.symmetric):
        numbers = dict(stats.__dict__)
        assert numbers.pop("count") == 0
        assert all(math.isnan(value) for value in numbers.values())
    stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert stored["symmetric"]["rms"] is None and stored["reason"] == found.reason
    assert np.isnan(point_distances(a, EMPTY)).all()


def test_label_maps_without_the_structure_are_empty_too():
    geometry = grid((5, 5, 5), (1, 1, 1))
    nothing = extract_surface(Volume(np.zeros((5, 5, 5), np.uint8), geometry), 1)
    something = extract_surface(labeled_box(geometry, (1, 1, 1), (3, 3, 3)), 1)
    assert "second surface is empty" in surface_distance(something, nothing).reason
