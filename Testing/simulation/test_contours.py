"""The length of what is drawn around structures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.simulation.contours import contour_mm

GRID = Geometry((4, 10, 12), (5.0, 2.0, 1.0))


def box(*slices, value=1) -> Volume:
    array = np.zeros(GRID.shape, np.uint8)
    array[slices] = value
    return Volume(array, GRID)


def test_a_rectangles_outline_is_its_perimeter_in_each_plane():
    labels = box(slice(1, 3), slice(2, 5), slice(4, 10))
    assert contour_mm(labels, "axial", [1]) == 2 * (3 * 2.0 + 6 * 1.0)
    assert contour_mm(labels, "axial", [0, 1, 2, 3]) == 2 * 24.0
    assert contour_mm(labels, "coronal", [3]) == 2 * (2 * 5.0 + 6 * 1.0)
    assert contour_mm(labels, "sagittal", [5]) == 2 * (2 * 5.0 + 3 * 2.0)


def test_the_images_edge_is_drawn_too_and_a_shared_edge_once():
    whole = box(slice(None), slice(None), slice(None))
    assert contour_mm(whole, "axial", [0]) == 2 * (10 * 2.0 + 12 * 1.0)
    two = box(0, slice(0, 4), slice(0, 4))
    two.array[0, 0:4, 4:8] = 2
    assert contour_mm(two, "axial", [0]) == 2 * (4 * 2.0 + 8 * 1.0) + 4 * 2.0


def test_only_what_is_added_to_known_outlines_counts():
    labels = box(0, slice(2, 6), slice(2, 6))
    assert contour_mm(labels, "axial", [0], labels) == 0
    nothing = box(slice(0, 0))
    assert contour_mm(labels, "axial", [0], nothing) == contour_mm(labels, "axial", [0])
    # One row more: its three new sides, of which one moved.
    grown = box(0, slice(2, 7), slice(2, 6))
    assert contour_mm(grown, "axial", [0], labels) == 4 * 1.0 + 2 * 2.0


@given(st.integers(0, 2**32 - 1))
def test_a_correction_never_adds_more_than_the_whole_outline(seed):
    random = np.random.default_rng(seed)
    first, second = (
        Volume(random.integers(0, 3, GRID.shape).astype(np.uint8), GRID) for _ in range(2)
    )
    whole = contour_mm(first, "axial", range(4))
    assert 0 <= contour_mm(first, "axial", range(4), second) <= whole
    assert whole == pytest.approx(sum(contour_mm(first, "axial", [i]) for i in range(4)))
