"""What the views show: slices jumped to, overlays, colored models, tables, charts."""

import math

import numpy as np
import pytest

from ActiveSegLoopLib.errors import EvaluationError, ImageError
from ActiveSegLoopLib.evaluation.comparison import compare_segmentations
from ActiveSegLoopLib.evaluation.surface_distance import point_distances
from ActiveSegLoopLib.evaluation.surfaces import extract_surface
from ActiveSegLoopLib.images.geometry import PLANES, Geometry
from ActiveSegLoopLib.images.volume import Volume
from Testing.scene.conftest import GRID

CUBE = Geometry((20, 20, 20), (1.0, 1.0, 1.0), (5.0, -3.0, 2.0))


def cube(low: int, high: int) -> Volume:
    """A cube of label 1."""
    array = np.zeros(CUBE.shape, np.uint8)
    array[low:high, low:high, low:high] = 1
    return Volume(array, CUBE)


@pytest.fixture
def image(views):
    """A volume on the oblique grid."""
    from ActiveSegLoopLib.scene.volumes import volume_node

    return volume_node(Volume(np.random.default_rng(0).random(GRID.shape), GRID), "scan")


def test_a_jump_to_any_slice_of_an_oblique_volume_shows_that_slice(image):
    from ActiveSegLoopLib.scene.jumping import align_views, jump_to_slice, shown_slice, slice_index

    align_views(image)
    for plane in PLANES:
        for index in range(GRID.shape[GRID.axis_of(plane)]):
            point = jump_to_slice(GRID, plane, index)
            assert shown_slice(GRID, plane) == index
            assert slice_index(GRID, plane, point) == index


def test_views_that_arent_along_the_volume_show_none_of_its_slices(image):
    from ActiveSegLoopLib.scene.jumping import jump_to_slice, shown_slice

    jump_to_slice(GRID, "coronal", 3)
    assert shown_slice(GRID, "coronal") is None
    assert shown_slice(GRID, "axial") is not None  # the grid is turned about the vertical


def test_views_stay_as_they_are_for_a_volume_along_them(views):
    from ActiveSegLoopLib.scene.grids import to_numpy
    from ActiveSegLoopLib.scene.jumping import align_views, slice_nodes
    from ActiveSegLoopLib.scene.volumes import volume_node

    before = [to_numpy(node.GetSliceToRAS()) for node in slice_nodes()]
    align_views(volume_node(cube(3, 5), "straight"))
    assert np.array_equal(before, [to_numpy(node.GetSliceToRAS()) for node in slice_nodes()])


def test_views_are_fitted_to_an_image_that_wasnt_shown_and_then_left_to_the_user(image):
    from ActiveSegLoopLib.scene.grids import to_ras
    from ActiveSegLoopLib.scene.jumping import align_views, slice_nodes
    from ActiveSegLoopLib.scene.overlay import show

    corners = np.array(np.meshgrid(*([-0.5, size - 0.5] for size in GRID.shape))).reshape(3, -1).T
    corners = to_ras(GRID.index_to_world(corners))
    nodes = slice_nodes()
    for node in nodes:
        node.SetDimensions(400, 300, 1)
    align_views(image)
    show(image)
    for node in nodes:
        to_view = np.linalg.inv([[node.GetXYToRAS().GetElement(i, j) for j in range(4)]
                                 for i in range(4)])
        pixels = (np.c_[corners, np.ones(8)] @ to_view.T)[:, :2]
        spans = np.ptp(pixels, axis=0)
        assert np.isclose(max(spans / (400, 300)), 1.0)  # all of it is seen, as large as fits
        assert np.all(np.abs(pixels.mean(axis=0) - (200, 150)) < 0.15 * max(spans))
        node.SetFieldOfView(10.0, 7.5, 1.0)
    show(image)
    assert all(node.GetFieldOfView() == (10.0, 7.5, 1.0) for node in nodes)


def test_3d_views_face_a_model_from_where_they_looked(views):
    import slicer

    from ActiveSegLoopLib.scene.colored_models import colored_model, face_cameras

    surface = extract_surface(cube(3, 9), 1)
    model = colored_model(surface, np.zeros(len(surface.points)), "far away")
    camera = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCameraNode")
    camera.SetPosition(0, 500, 0)
    face_cameras(model)
    bounds = [0.0] * 6
    model.GetRASBounds(bounds)
    center = (np.array(bounds[::2]) + bounds[1::2]) / 2
    assert np.allclose(camera.GetFocalPoint(), center)
    away = np.array(camera.GetPosition()) - center
    assert np.allclose(away[[0, 2]], 0) and 5 < away[1] < 50


def test_a_slice_outside_is_refused_and_a_point_outside_is_in_no_slice():
    pytest.importorskip("slicer")
    from ActiveSegLoopLib.scene.jumping import slice_index, slice_point

    with pytest.raises(ImageError, match="no axial slice 6: the image has 6, 0 to 5"):
        slice_point(GRID, "axial", 6)
    assert slice_index(GRID, "axial", (0.0, 0.0, 999.0)) is None
    near = slice_point(GRID, "axial", 2, near=(1.0, 2.0, 3.0))
    assert slice_index(GRID, "axial", near) == 2


def test_an_overlay_is_colored_clear_where_sure_and_leaves_the_users_foreground(image, views):
    from ActiveSegLoopLib.scene.overlay import (
        composite_nodes,
        hide,
        set_opacity,
        show,
        uncertainty_node,
    )
    from ActiveSegLoopLib.scene.volumes import volume_node

    array = np.zeros(GRID.shape, np.float32)
    array[2, 3, 4] = 0.8
    node = uncertainty_node(Volume(array, GRID), "entropy")
    display = node.GetDisplayNode()
    assert display.GetColorNode().GetNumberOfColors() == 256
    assert display.GetWindowLevelMax() == pytest.approx(0.8)
    assert display.GetApplyThreshold() and display.GetLowerThreshold() == pytest.approx(0.08)
    show(image, node, 0.3)
    assert {c.GetForegroundVolumeID() for c in composite_nodes()} == {node.GetID()}
    set_opacity(0.7)
    assert {c.GetForegroundOpacity() for c in composite_nodes()} == {0.7}
    hide()
    assert {c.GetForegroundVolumeID() for c in composite_nodes()} == {None}
    mine = volume_node(Volume(array, GRID), "my PET")
    composite_nodes()[0].SetForegroundVolumeID(mine.GetID())
    show(image)
    hide()
    assert composite_nodes()[0].GetForegroundVolumeID() == mine.GetID()
    assert composite_nodes()[0].GetBackgroundVolumeID() == image.GetID()


def test_a_model_is_colored_by_its_distance(scene):
    from ActiveSegLoopLib.scene.colored_models import (
        DISTANCE,
        colored_model,
        set_range,
        show_legend,
    )

    first, second = extract_surface(cube(4, 10), 1), extract_surface(cube(4, 13), 1)
    distances = point_distances(second, first)
    node = colored_model(second, distances, "kidney", limit_mm=2.0)
    data, display = node.GetPolyData(), node.GetDisplayNode()
    assert data.GetNumberOfPoints() == len(second.points)
    assert data.GetNumberOfPolys() == len(second.triangles)
    assert display.GetActiveScalarName() == DISTANCE and display.GetScalarVisibility()
    assert display.GetScalarRange() == (-2.0, 2.0)
    assert display.GetColorNode().GetNumberOfColors() == 256
    set_range(node, -1, 4)
    assert display.GetScalarRange() == (-1.0, 4.0)
    with pytest.raises(EvaluationError, match="can't span"):
        set_range(node, 2, 1)
    assert show_legend(node).GetVisibility() and not show_legend(node, False).GetVisibility()
    again = colored_model(first, np.zeros(len(first.points)), "kidney", signed=False)
    assert again is node and display.GetScalarRange() == (0.0, 2.0)
    with pytest.raises(EvaluationError, match="needs as many distances"):
        colored_model(first, np.zeros(3), "kidney")


def test_triangles_face_outwards_in_slicer_too(scene):
    import vtk

    from ActiveSegLoopLib.scene.colored_models import colored_model

    surface = extract_surface(cube(4, 10), 1)
    node = colored_model(surface, np.zeros(len(surface.points)), "kidney")
    mass = vtk.vtkMassProperties()
    mass.SetInputData(node.GetPolyData())
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(node.GetPolyData())
    normals.ConsistencyOff()
    normals.SplittingOff()
    normals.AutoOrientNormalsOn()
    normals.Update()
    oriented = normals.GetOutput().GetCell(0).GetPointIds()
    ours = node.GetPolyData().GetCell(0).GetPointIds()
    assert [oriented.GetId(i) for i in range(3)] == [ours.GetId(i) for i in range(3)]
    assert mass.GetVolume() / 1000 == pytest.approx(surface.volume_ml, rel=1e-3)


def test_a_comparison_becomes_a_table_and_is_refreshed_in_place(scene):
    from ActiveSegLoopLib.scene.tables import comparison_table

    labels = {1: "kidney", 2: "none there"}
    node = comparison_table(compare_segmentations(cube(4, 10), cube(4, 10), labels), "p1")
    assert node.GetNumberOfRows() == 2
    assert node.GetCellText(0, node.GetColumnIndex("Structure")) == "kidney"
    column = node.GetTable().GetColumnByName("Dice")
    assert column.GetValue(0) == 1.0 and math.isnan(column.GetValue(1))
    again = comparison_table(compare_segmentations(cube(4, 10), cube(4, 12), labels), "p1")
    assert again is node
    expected = compare_segmentations(cube(4, 10), cube(4, 12), labels)[0]
    values = {
        title: node.GetTable().GetColumnByName(title).GetValue(0)
        for title in ("Dice", "Surface RMS (mm)", "First (ml)", "Verdict")
    }
    assert values["Dice"] == pytest.approx(expected.dice)
    assert values["Surface RMS (mm)"] == pytest.approx(expected.surface.symmetric.rms)
    assert values["First (ml)"] == pytest.approx(expected.first_ml)
    assert values["Verdict"] == expected.verdict


def test_a_chart_has_a_series_per_curve_and_is_drawn_anew(scene):
    from ActiveSegLoopLib.scene.charts import chart, slice_scores
    from ActiveSegLoopLib.scene.ownership import find

    node = chart("c", ("n", [1, 2, 3]), {"a": [1, 2, None], "b": [0, 1, 2]}, "Dice")
    assert node.GetNumberOfPlotSeriesNodes() == 2
    series = node.GetNthPlotSeriesNode(0)
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("n", "a")
    assert series.GetTableNode().GetNumberOfRows() == 3
    assert chart("c", ("n", [1]), {"a": [1]}, "Dice") is node
    assert node.GetNumberOfPlotSeriesNodes() == 1 == len(find("series"))
    strip = slice_scores("p1 scores", "axial", {7: 0.2, 3: 0.9})
    source = strip.GetNthPlotSeriesNode(0).GetTableNode()
    assert [source.GetCellText(row, 0) for row in (0, 1)] == ["3", "7"]


def test_a_training_draws_its_loss_and_dice_as_it_goes(scene):
    from ActiveSegLoopLib.scene.charts import TrainingChart

    drawn = TrainingChart()
    drawn.add([
        {"event": "progress", "stage": "locator", "step": 1, "total": 2, "loss": 0.9},
        {"event": "progress", "stage": "locator", "step": 2, "total": 2, "loss": 0.8},
        {"event": "validation", "stage": "locator", "step": 2, "dice": 0.4},
        {"event": "message", "text": "so far"},
    ])
    drawn.add([{"event": "progress", "stage": "segmenter", "step": 1, "total": 9, "loss": 0.7}])
    loss, dice = (drawn.node.GetNthPlotSeriesNode(i).GetTableNode().GetTable() for i in (0, 1))
    assert [loss.GetValue(i, 0).ToDouble() for i in range(3)] == [1, 2, 3]
    assert [loss.GetValue(i, 1).ToDouble() for i in range(3)] == pytest.approx([0.9, 0.8, 0.7])
    assert dice.GetNumberOfRows() == 1 and dice.GetValue(0, 1).ToDouble() == 0.4


def test_the_learning_curve_shows_the_rounds_that_have_a_dice(scene, study, labels):
    from ActiveSegLoopLib.scene.charts import learning_curve

    assert learning_curve(study) is None
    revision = study.add_revision(study.case("p1"), labels)
    round = study.start_round("fast", {}, 0, [revision])
    dice = {"Artery": 0.5, "Kidney": None}
    study.finish_round(round, {"training_cases": 1, "dice": dice}, {})
    node = learning_curve(study)
    assert node.GetNumberOfPlotSeriesNodes() == 3
    table = node.GetNthPlotSeriesNode(0).GetTableNode().GetTable()
    assert table.GetValueByName(0, "Artery").ToDouble() == 0.5
    assert math.isnan(table.GetValueByName(0, "Kidney").ToDouble())


def test_our_editor_node_is_one_and_lets_nothing_overlap(scene):
    import slicer

    from ActiveSegLoopLib.scene.editing import editor_node

    node = editor_node()
    assert editor_node() is node
    assert node.GetOverwriteMode() == slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments
    scene.Clear(False)  # as when the user closes the scene
    assert editor_node().GetSingletonTag() == "ActiveSegLoop"


def test_only_our_own_nodes_are_found_and_removed(scene):
    from ActiveSegLoopLib.scene.ownership import find, is_ours, own, remove

    mine = scene.AddNewNodeByClass("vtkMRMLTableNode", "table of p1")
    with pytest.raises(ValueError, match="isn't a role"):
        own(mine, "something")
    assert not is_ours(mine) and find() == []
    ours = own(scene.AddNewNodeByClass("vtkMRMLTableNode", "table of p1"), "table", "p1", "/s")
    assert find("table", "p1", "/s") == find(case="p1") == [ours] and find(case="p2") == []
    assert remove("table") == 1
    assert mine.GetScene() is scene and ours.GetScene() is None
