"""Surfaces of label maps: closed, outward, in the right place on any grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.evaluation.closest import closest_distances
from ActiveSegLoopLib.evaluation.surface_files import write_surface
from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from ActiveSegLoopLib.images.volume import Volume
from Testing.evaluation.shapes import grid, labeled_ball, labeled_box, without_lattice

TURN = Rotation.from_euler("xyz", [20, -35, 70], degrees=True)


@st.composite
def masks(draw):
    """Small label maps of anything, up to the border, on all kinds of grids."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    array = draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    spacing = draw(st.tuples(*[st.sampled_from([0.4, 1.0, 2.5, 7.0])] * 3))
    turn = Rotation.from_rotvec(draw(st.tuples(*[st.floats(-3, 3)] * 3)))
    return Volume(array, grid(shape, spacing, turn, draw(st.booleans())))


@given(masks())
@settings(deadline=None, max_examples=150)
def test_voxels_are_inside_exactly_if_they_have_the_value(volume):
    surface = extract_surface(volume, 1)
    if not volume.array.any():
        assert surface.is_empty and surface.volume_ml == 0
        return
    assert without_lattice(surface).open_edges == 0
    assert surface.volume_ml > 0
    centers = volume.geometry.index_to_world(np.argwhere(volume.array < 9))
    signed = closest_distances(centers, surface)
    assert np.array_equal(signed < 0, volume.array.ravel() == 1)
    assert np.abs(signed).min() >= 0.2 * min(volume.geometry.spacing)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (5, 0.7, 0.7), (0.5, 2, 1)])
def test_a_box_has_its_faces_where_its_voxels_end(spacing, mirrored):
    geometry = grid((6, 8, 9), spacing, TURN, mirrored)
    surface = extract_surface(labeled_box(geometry, (1, 2, 0), (4, 7, 9), 3), 3)
    index = geometry.world_to_index(surface.points)
    assert np.allclose(index.min(axis=0), (0.5, 1.5, -0.5))
    assert np.allclose(index.max(axis=0), (3.5, 6.5, 8.5))
    # Every point lies in one of the faces, and not at an edge of the box.
    on_face = np.isclose(index, (0.5, 1.5, -0.5)) | np.isclose(index, (3.5, 6.5, 8.5))
    assert (on_face.sum(axis=1) == 1).all()


def test_one_voxel_makes_an_octahedron():
    geometry = grid((1, 1, 1), (3, 1, 2), TURN)
    surface = extract_surface(labeled_box(geometry, (0, 0, 0), (1, 1, 1)), 1)
    assert len(surface.points) == 6 and len(surface.triangles) == 8
    assert surface.volume_ml == pytest.approx(3 * 1 * 2 / 6 / 1000)
    middle = geometry.index_to_world((0, 0, 0))
    assert closest_distances(middle[None], surface)[0] < 0


def test_several_components_and_a_hole_all_belong_to_the_surface():
    geometry = grid((9, 9, 20), (1, 1, 1))
    array = labeled_box(geometry, (1, 1, 1), (8, 8, 8)).array
    array[3:6, 3:6, 3:6] = 0
    array[4, 4, 15] = 1
    surface = extract_surface(Volume(array, geometry), 1)
    asked = geometry.index_to_world([(4, 4, 4), (2, 2, 2), (4, 4, 15), (4, 4, 12)])
    assert (closest_distances(asked, surface) < 0).tolist() == [False, True, True, False]


def test_only_the_value_asked_for_is_taken():
    geometry = grid((5, 5, 5), (1, 1, 1))
    array = labeled_box(geometry, (1, 1, 1), (4, 4, 4), 300 % 256).array.astype(np.uint16)
    array[2, 2, 2] = 300
    surface = extract_surface(Volume(array, geometry), 300)
    assert len(surface.points) == 6
    assert extract_surface(Volume(array, geometry), 7).is_empty


def test_the_area_of_points_adds_up_to_that_of_the_triangles():
    surface = extract_surface(labeled_ball(grid((20, 20, 20), (1, 1, 1)), (0, 0, 0), 7), 1)
    assert surface.point_areas.sum() == pytest.approx(surface.areas.sum())
    assert surface.volume_ml == pytest.approx(4 / 3 * np.pi * 7**3 / 1000, rel=0.02)


def test_smoothing_says_how_far_it_moved_the_surface():
    volume = labeled_ball(grid((24, 30, 30), (2, 1, 1), TURN), (0, 0, 0), 10)
    rough, smooth = extract_surface(volume, 1), extract_surface(volume, 1, 0.5)
    assert rough.smoothing is None
    shift = np.linalg.norm(smooth.points - rough.points, axis=1)
    effect = smooth.smoothing
    assert effect.rms == pytest.approx(np.sqrt((shift**2).mean())) and 0.1 < effect.rms < 1
    assert effect.largest == pytest.approx(shift.max())
    assert (effect.volume_before, effect.volume_after) == (rough.volume_ml, smooth.volume_ml)
    assert smooth.open_edges == 0
    assert str(effect).startswith(f"Smoothing 0.5 moved the surface by {effect.rms:.2f} mm (RMS")


def slicers_surface(volume, smoothing):
    """The points (n, 3, LPS) and number of triangles that 3D Slicer makes of value 1."""
    slicer = pytest.importorskip("slicer", reason="slicer-core isn't installed")
    if not hasattr(slicer, "vtkSegmentation"):
        pytest.skip("this slicer package doesn't hold Slicer's classes")
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    logic = slicer.vtkSlicerSegmentationsModuleLogic()  # registers the converters
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*volume.array.shape[::-1])
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([-1.0, -1, 1]) @ volume.geometry.affine()[:3, [2, 1, 0]]
    matrix[:3, 3] = np.diag([-1.0, -1, 1]) @ volume.geometry.origin
    to_world = vtk.vtkMatrix4x4()
    to_world.DeepCopy(matrix.ravel())
    image.SetGeometryFromImageToWorldMatrix(to_world)
    image.GetPointData().SetScalars(numpy_to_vtk(volume.array.ravel(), deep=True))
    scene = slicer.vtkMRMLScene()
    logic.SetMRMLScene(scene)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.AddSegmentFromBinaryLabelmapRepresentation(image, "organ", [1, 0, 0])
    segmentation = node.GetSegmentation()
    segmentation.SetConversionParameter("Smoothing factor", str(smoothing))
    assert segmentation.CreateRepresentation("Closed surface")
    data = vtk.vtkPolyData()
    node.GetClosedSurfaceRepresentation(segmentation.GetNthSegmentID(0), data)
    points = vtk_to_numpy(data.GetPoints().GetData()) * (-1, -1, 1)
    return points, data.GetNumberOfPolys()


@pytest.mark.parametrize("smoothing", [0, 0.5])
@pytest.mark.parametrize("mirrored", [False, True])
def test_it_is_the_surface_that_slicer_shows(smoothing, mirrored):
    ball = labeled_ball(grid((16, 20, 24), (2.5, 1.2, 0.8), TURN, mirrored), (1, 0, 0), 8)
    ball.array[3:9, 12:, 20:] = 1  # up to the border
    ours = extract_surface(ball, 1, smoothing)
    points, triangles = slicers_surface(ball, smoothing)
    assert len(points) == len(ours.points) and triangles == len(ours.triangles)
    assert np.abs(closest_distances(points, ours, signed=False)).max() < 1e-4
    order, its_order = (np.lexsort(np.round(p, 2).T) for p in (ours.points, points))
    assert np.allclose(ours.points[order], points[its_order], atol=0.02)


def test_slicer_finds_a_written_surface_in_the_same_place(tmp_path):
    slicer = pytest.importorskip("slicer", reason="slicer-core isn't installed")
    if not hasattr(slicer, "vtkMRMLModelStorageNode"):
        pytest.skip("this slicer package doesn't hold Slicer's classes")
    from vtk.util.numpy_support import vtk_to_numpy

    surface = extract_surface(labeled_ball(grid((9, 9, 9), (1, 1, 1)), (0, 0, 0), 3), 1)
    distance = np.arange(len(surface.points)) / 10
    write_surface(tmp_path / "organ.vtp", surface, {"Distance": distance})
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLModelNode")
    storage = slicer.vtkMRMLModelStorageNode()
    storage.SetFileName(str(tmp_path / "organ.vtp"))
    assert storage.ReadData(node)
    points = vtk_to_numpy(node.GetPolyData().GetPoints().GetData())
    assert np.allclose(points * (-1, -1, 1), surface.points)
    scalars = node.GetPolyData().GetPointData().GetScalars()
    assert scalars.GetName() == "Distance" and np.allclose(vtk_to_numpy(scalars), distance)
    assert [path.name for path in tmp_path.iterdir()] == ["organ.vtp"]
