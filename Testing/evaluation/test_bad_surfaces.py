"""What can't be measured is refused in one clear sentence."""

import numpy as np
import pytest

from ActiveSegLoopLib.errors import EvaluationError, ImageError
from ActiveSegLoopLib.evaluation.comparison import compare_pairs, compare_segmentations
from ActiveSegLoopLib.evaluation.surface_distance import point_distances, surface_distance
from ActiveSegLoopLib.evaluation.surface_files import write_surface
from ActiveSegLoopLib.evaluation.surfaces import Surface, extract_surface
from ActiveSegLoopLib.evaluation.verdict import verdict_of
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from Testing.evaluation.shapes import box, grid, labeled_box, sphere

GRID = grid((6, 6, 6), (1, 1, 1))
LABELED = labeled_box(GRID, (1, 1, 1), (4, 4, 4))
OPEN = Surface(box((5, 5, 5)).points, box((5, 5, 5)).triangles[1:])
TURNED = box((5, 5, 5)).triangles.copy()
TURNED[0] = TURNED[0, ::-1]
ONE_TRIANGLE = Surface(np.eye(3), np.array([[0, 1, 2]]))
EMPTY = Surface(np.zeros((0, 3)), np.zeros((0, 3), int))


def fan():
    """Two closed boxes that share an edge, along which four triangles meet: no manifold."""
    first, second = box((2, 2, 2)), box((2, 2, 2), (2, 2, 0))
    points = np.concatenate([first.points, second.points])
    points, number = np.unique(points, axis=0, return_inverse=True)
    triangles = np.concatenate([first.triangles, second.triangles + 8])
    return Surface(points, number.ravel()[triangles])


def on_grid(shape=(6, 6, 6), spacing=(1, 1, 1), origin=None):
    geometry = grid(shape, spacing)
    if origin is not None:
        geometry = Geometry(shape, spacing, origin)
    return Volume(np.ones(shape, np.uint8), geometry)


def bad_float():
    array = LABELED.array.astype(np.float32)
    array[0, 0, 0] = np.nan
    return Volume(array, GRID)


@pytest.mark.parametrize(
    "work, error, said",
    [
        pytest.param(
            lambda: compare_segmentations(LABELED, on_grid((6, 6, 7)), {1: "organ"}),
            ImageError, "6 x 6 x 6 against 6 x 6 x 7 voxels", id="grids of different shapes",
        ),
        pytest.param(
            lambda: compare_segmentations(LABELED, on_grid(spacing=(1, 1, 1.2)), {1: "organ"}),
            ImageError, "spacing 1 x 1 x 1 against 1 x 1 x 1.2 mm", id="different spacings",
        ),
        pytest.param(
            lambda: compare_segmentations(LABELED, on_grid(origin=(0, 0, 0)), {1: "organ"}),
            ImageError, "origins 36.4", id="different origins",
        ),
        pytest.param(
            lambda: compare_segmentations(LABELED, LABELED, {}),
            EvaluationError, "name at least one label", id="no structure",
        ),
        pytest.param(
            lambda: compare_pairs({"manual": LABELED}, {1: "organ"}),
            EvaluationError, "needs two segmentations or more", id="one segmentation",
        ),
        pytest.param(
            lambda: compare_segmentations(LABELED, LABELED, {1: "organ"}, tolerance_mm=-1),
            EvaluationError, "The tolerance must be 0 mm or more, not -1", id="tolerance",
        ),
        pytest.param(
            lambda: extract_surface(on_grid(spacing=(1e-6, 1e-6, 1e-6)), 1),
            EvaluationError, "spacing of 1e-06 x 1e-06 x 1e-06 mm", id="tiny spacing",
        ),
        pytest.param(
            lambda: extract_surface(on_grid(spacing=(1, 1, 5000)), 1),
            EvaluationError, "5000 mm (z, y, x) isn't that of a patient's image", id="huge spacing",
        ),
        pytest.param(
            lambda: extract_surface(bad_float(), 1),
            EvaluationError, "voxels that aren't finite", id="voxels not finite",
        ),
        pytest.param(
            lambda: extract_surface(LABELED, 0),
            EvaluationError, "must be a whole number from 1 on, not 0", id="background's surface",
        ),
        pytest.param(
            lambda: extract_surface(LABELED, 1, 1.5),
            EvaluationError, "smoothing must be from 0 (none) to 1, not 1.5", id="smoothing",
        ),
        pytest.param(
            lambda: Surface(np.full((3, 3), np.inf), np.array([[0, 1, 2]])),
            EvaluationError, "3 of the surface's 3 points aren't finite", id="points not finite",
        ),
        pytest.param(
            lambda: Surface(np.eye(3), np.array([[0, 1, 3]])),
            EvaluationError, "names the point 3, but there are only 3, counted",
            id="point that isn't there",
        ),
        pytest.param(
            lambda: Surface(np.eye(3), np.array([[-1, 1, 2]])),
            EvaluationError, "names the point -1", id="negative point",
        ),
        pytest.param(
            lambda: Surface(np.eye(4), np.array([[0, 1, 2]])),
            EvaluationError, "three coordinates each", id="four coordinates",
        ),
        pytest.param(
            lambda: Surface(np.eye(3), np.array([[0, 1, 2, 0]])),
            EvaluationError, "triangulate its polygons first", id="quadrilaterals",
        ),
        pytest.param(
            lambda: surface_distance(sphere(3), OPEN),
            EvaluationError, "The second surface isn't closed", id="open surface",
        ),
        pytest.param(
            lambda: surface_distance(Surface(box((5, 5, 5)).points, TURNED), sphere(3)),
            EvaluationError, "The first surface isn't closed or its triangles face both ways",
            id="triangle turned over",
        ),
        pytest.param(
            lambda: surface_distance(sphere(3), sphere(2), "volume"),
            EvaluationError, "must be 'points' or 'area', not 'volume'", id="weighting",
        ),
        pytest.param(
            lambda: surface_distance(sphere(3), sphere(2), samples=0),
            EvaluationError, "At least one point must be sampled, not 0", id="no samples",
        ),
        pytest.param(
            lambda: verdict_of(surface_distance(sphere(3), sphere(2)), 0),
            EvaluationError, "larger than 0 mm, not 0", id="limit",
        ),
        pytest.param(
            lambda: verdict_of(surface_distance(sphere(3), sphere(2)), 2, "median"),
            EvaluationError, "'median' is no criterion: use one of rms, p95, maximum",
            id="criterion",
        ),
        pytest.param(
            lambda: write_surface("organ.stl", sphere(3), {}),
            EvaluationError, "a surface's name ends in .vtp", id="ending",
        ),
        pytest.param(
            lambda: write_surface("organ.vtp", EMPTY, {}),
            EvaluationError, "the surface is empty", id="nothing to write",
        ),
        pytest.param(
            lambda: write_surface("organ.vtp", sphere(3), {"Distance": np.zeros(4)}),
            EvaluationError, "'Distance' has (4,) numbers", id="array of another length",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(work, error, said):
    with pytest.raises(error) as raised:
        work()
    text = str(raised.value)
    assert said in text
    assert "\n" not in text and text.endswith(".") and len(text) < 300


def test_an_open_surface_still_has_distances_without_a_sign():
    found = surface_distance(sphere(3, (2.5, 2.5, 2.5)), OPEN, signed=False)
    assert found.symmetric.maximum > 0 and np.isnan(found.symmetric.signed_mean)
    assert point_distances(sphere(3), ONE_TRIANGLE, signed=False).min() == pytest.approx(2)


def test_a_surface_that_is_no_manifold_is_measured_with_a_sign_where_it_is_closed():
    joined = fan()
    assert joined.open_edges == 0
    asked = Surface(sphere(0.5, (1, 1, 1)).points, sphere(0.5).triangles)
    assert (point_distances(asked, joined) < 0).all()
    beside = Surface(sphere(0.5, (3, 1, 1)).points, sphere(0.5).triangles)
    assert (point_distances(beside, joined) > 0).all()
