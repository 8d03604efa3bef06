"""Where two surfaces lie farthest apart, on either of them."""

import numpy as np
import pytest

from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from Testing.scene.test_showing import cube


def test_a_point_knows_its_distance_and_the_worst_spot_is_in_ras(scene):
    from ActiveSegLoopLib.scene.apart import apart

    small, large = extract_surface(cube(4, 10), 1), extract_surface(cube(4, 13), 1)
    found = apart(large, small)
    assert len(found.distances) == len(large.points)
    assert found.worst.mm == pytest.approx(np.abs(found.distances).max()) and found.worst.mm > 3
    # The corner at index 12.5 (LPS 17.5, 9.5, 14.5) is furthest away; RAS turns x and y.
    assert found.worst.ras == pytest.approx((-17.5, -9.5, 14.5), abs=0.6)


def test_the_worst_spot_is_the_same_from_both_sides(scene):
    from ActiveSegLoopLib.scene.apart import apart

    small, large = extract_surface(cube(4, 10), 1), extract_surface(cube(4, 13), 1)
    assert apart(large, small).worst == apart(small, large).worst


def test_an_empty_surface_is_nowhere(scene):
    from ActiveSegLoopLib.scene.apart import apart

    some, none = extract_surface(cube(4, 10), 1), extract_surface(cube(4, 10), 2)
    assert apart(some, none) is None and apart(none, some) is None
