"""The canvas and shapes that the phantom is painted with."""

import numpy as np
import pytest

from ActiveSegLoopLib.simulation.canvas import Canvas, Pose, Texture
from ActiveSegLoopLib.simulation.shapes import curve, ellipsoid, tube, union

STRAIGHT = Pose((1.0, 1.0, 1.0), ((0.0, 0.0),) * 3, (np.zeros((0, 4)),) * 3)


def a_canvas(spacing=(2.0, 2.0, 2.0), pose=STRAIGHT):
    shape = [int(80 / s) for s in spacing]
    return Canvas(shape, spacing, (0, 0, 0), pose)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (4.0, 2.0, 2.0)])
def test_a_painted_sphere_has_its_volume_in_partial_volumes(spacing):
    canvas = a_canvas(spacing)
    region = canvas.region((-20, -20, -20), (20, 20, 20))
    region.paint(ellipsoid(region.x, region.y, region.z, (0, 0, 0), (15, 15, 15)), 0.0)
    share = (canvas.image + 1000) / 1000
    volume = share.sum() * np.prod(spacing)
    assert volume == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.03)


def test_a_region_holds_everything_within_its_box_also_in_a_tilted_distorted_patient():
    pose = Pose.random(np.random.default_rng(3))
    canvas = a_canvas((2.5, 2.0, 2.0), pose)
    whole = next(canvas.regions())
    lower, upper = np.array([-9, -14, -3]), np.array([12, 6, 15])
    inside = np.ones(whole.shape, bool)
    for axis, coordinate in enumerate((whole.x, whole.y, whole.z)):
        inside &= (coordinate >= lower[axis]) & (coordinate <= upper[axis])
    region = canvas.region(lower, upper)
    found = np.zeros_like(inside)
    found[region.slices] = True
    assert inside.sum() > 300
    assert not (inside & ~found).any()
    assert found.sum() < 4 * inside.sum()  # and not much more


def test_slabs_cover_the_grid_once(monkeypatch):
    from ActiveSegLoopLib.simulation import canvas as module

    monkeypatch.setattr(module, "_LARGEST_REGION", 5000)
    canvas = a_canvas()
    painted = np.zeros(canvas.image.shape, int)
    count = 0
    for region in canvas.regions():
        painted[region.slices] += 1
        count += 1
    assert count > 5 and (painted == 1).all()


def test_a_box_outside_the_grid_is_empty_and_can_be_painted():
    canvas = a_canvas()
    region, distance = tube(canvas, np.array([[200.0, 0, 0, 5], [220, 0, 0, 5]]))
    region.paint(distance, 100.0)
    assert (canvas.image == -1000).all()


def test_a_tube_is_as_thick_as_its_path_says_all_along():
    canvas = a_canvas((1.0, 1.0, 1.0))
    path = curve([(-30, 0, 0, 3), (0, 8, 0, 6), (30, 0, 0, 6)], 2.0)
    region, distance = tube(canvas, path)
    for x, _, _, radius in path[2:-2:5]:
        near = np.abs(region.x - x) < 0.6
        area = (near & (distance < 0)).sum() / max(1, np.unique(region.x[near]).size)
        assert area == pytest.approx(np.pi * radius**2, rel=0.2)


def test_a_curve_passes_its_points_and_doesnt_overshoot_where_they_nearly_coincide():
    points = [(0, 0, 0, 5), (10, 0, 0, 5), (10.001, 0, 0, 5), (20, 5, 0, 5)]
    path = curve(points, 1.0)
    assert np.abs(path[:, 1]).max() < 8
    assert (path[:, 3] == 5).all()
    assert np.allclose(path[[0, -1], :3], [points[0][:3], points[-1][:3]])


def test_a_smooth_union_only_adds_near_the_seam():
    first, second = np.array([-5.0, 1.0, 4.0]), np.array([9.0, 1.0, -3.0])
    joined = union(first, second, 3.0)
    assert joined[0] == -5 and joined[2] == -3
    assert joined[1] == pytest.approx(1.0 - 0.75)


def test_a_texture_is_smooth_has_unit_variance_and_doesnt_depend_on_the_region():
    canvas = a_canvas((1.0, 1.0, 1.0))
    texture = Texture(5.0, np.random.default_rng(0))
    whole = texture.over(next(canvas.regions()))
    assert whole.std() == pytest.approx(1, abs=0.1)
    assert np.abs(np.diff(whole, axis=0)).max() < 1.5
    region = canvas.region((-5, -8, -3), (9, 4, 12))
    assert np.array_equal(texture.over(region), whole[region.slices])
