"""Label maps become editable segments and come back: ids, names, colors, values, grids."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.segmentation import Segment, read_segmentation
from ActiveSegLoopLib.images.volume import Volume
from Testing.scene.conftest import GRID, KIDNEY, SEGMENTS


@pytest.fixture
def node(scene, labels):
    """The labels as a segmentation under their volume."""
    from ActiveSegLoopLib.scene.segmentations import segmentation_node
    from ActiveSegLoopLib.scene.volumes import volume_node

    image = volume_node(Volume(np.zeros(GRID.shape, np.int16), GRID), "scan")
    return segmentation_node(labels, SEGMENTS, "scan labels", image)


def values_of(node, segments=SEGMENTS, geometry=GRID, **options) -> np.ndarray:
    """The label map of a node."""
    from ActiveSegLoopLib.scene.labelmaps import labelmap_of

    return labelmap_of(node, segments, geometry, **options).array


def voxels_in_slicer(node, id) -> np.ndarray:
    """The LPS centers of a segment's voxels, as Slicer's own image places them."""
    import slicer
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    image = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(id, image)
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_world = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    index = np.argwhere(array)[:, ::-1] + np.array(image.GetExtent()[::2])
    return (index @ to_world[:3, :3].T + to_world[:3, 3]) * (-1, -1, 1)


def paint(node, id, mask) -> None:
    """Set a segment's voxels as an effect of the Segment Editor does, here without overwriting."""
    import slicer
    from vtk.util.numpy_support import numpy_to_vtk

    from ActiveSegLoopLib.scene.grids import ras_matrix

    image = slicer.vtkOrientedImageData()
    image.SetDimensions(GRID.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True))
    image.SetGeometryFromImageToWorldMatrix(ras_matrix(GRID))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    assert logic.SetBinaryLabelmapToSegment(image, node, id, logic.MODE_REPLACE)


def test_segments_have_the_studys_ids_names_colors_and_terminology(node):
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == len(SEGMENTS)
    for position, wanted in enumerate(SEGMENTS):
        assert segmentation.GetNthSegmentID(position) == wanted.id
        segment = segmentation.GetSegment(wanted.id)
        assert segment.GetName() == wanted.name
        assert segment.GetColor() == wanted.color
    assert segmentation.GetSegment("kidney").GetTerminology() == KIDNEY


def test_slicer_sees_each_label_where_it_lies_on_an_oblique_grid(node, labels):
    for segment in SEGMENTS:
        expected = GRID.index_to_world(np.argwhere(labels.array == segment.value))
        assert np.allclose(voxels_in_slicer(node, segment.id), expected, atol=1e-4)


def test_a_label_map_comes_back_as_it_was(node, labels):
    assert np.array_equal(values_of(node), labels.array)


def test_the_segmentation_belongs_to_its_volume(node):
    from ActiveSegLoopLib.scene.hierarchy import parent_of

    assert parent_of(node).GetName() == "scan"
    assert node.GetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole()) == (
        parent_of(node).GetID()
    )


def test_a_user_renames_and_reorders_segments_and_nothing_is_mixed_up(node, labels):
    segmentation = node.GetSegmentation()
    segmentation.GetSegment("artery").SetName("Vein")
    segmentation.SetSegmentIndex("kidney", 0)
    assert np.array_equal(values_of(node), labels.array)


def test_a_name_that_the_user_gave_survives_a_rename_in_the_study(node):
    from ActiveSegLoopLib.scene.segmentations import apply_schema

    node.GetSegmentation().GetSegment("artery").SetName("A. renalis")
    renamed = [Segment(s.id, s.value, f"{s.name} 2", s.color) for s in SEGMENTS]
    apply_schema(node, [*renamed, Segment("ureter", 9, "Ureter", (1, 1, 0))])
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(i).GetName() for i in range(4)]
    assert names == ["A. renalis", "Véne 静脈 2", "Kidney 2", "Ureter"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, bool, np.float32])
def test_label_maps_of_any_whole_type_are_taken(scene, dtype):
    from ActiveSegLoopLib.scene.segmentations import segmentation_node

    array = (np.arange(np.prod(GRID.shape)).reshape(GRID.shape) % 3 == 1).astype(dtype)
    node = segmentation_node(Volume(array, GRID), SEGMENTS, "x")
    assert np.array_equal(values_of(node), array.astype(np.uint8))


def test_values_over_255_come_back(scene):
    from ActiveSegLoopLib.scene.segmentations import segmentation_node

    segments = [Segment("a", 3, "a", (1, 0, 0)), Segment("b", 40000, "b", (0, 1, 0))]
    array = np.random.default_rng(1).choice([0, 3, 40000], GRID.shape).astype(np.uint16)
    node = segmentation_node(Volume(array, GRID), segments, "x")
    assert np.array_equal(values_of(node, segments), array)


def test_an_empty_label_map_gives_segments_to_draw_in(scene):
    from ActiveSegLoopLib.scene.segmentations import segmentation_node
    from ActiveSegLoopLib.scene.volumes import volume_node

    empty = Volume(np.zeros(GRID.shape, np.uint8), GRID)
    node = segmentation_node(empty, SEGMENTS, "x", volume_node(empty, "scan"))
    assert not values_of(node).any()
    mask = np.zeros(GRID.shape, bool)
    mask[2:4, 1:5, 3] = True
    paint(node, "vein", mask)
    assert np.array_equal(values_of(node), np.where(mask, 5, 0))


def test_a_value_without_a_label_is_refused_and_makes_no_node(scene, labels):
    from ActiveSegLoopLib.scene.segmentations import segmentation_node

    before = scene.GetNumberOfNodes()
    with pytest.raises(ImageError, match="the value 200, which belongs to no label"):
        segmentation_node(labels, SEGMENTS[:2], "x")
    assert scene.GetNumberOfNodes() == before


def test_overlapping_segments_are_kept_in_the_scene_and_told_when_a_label_map_is_made(
    node, labels
):
    mask = np.zeros(GRID.shape, bool)
    mask[labels.array == 1] = True
    paint(node, "kidney", mask)
    count = np.count_nonzero(mask)
    assert len(voxels_in_slicer(node, "artery")) == len(voxels_in_slicer(node, "kidney")) == count
    with pytest.raises(ImageError, match=f"'Artery' and 'Kidney' .* overlap in {count} voxels"):
        values_of(node)
    expected = np.where(labels.array == 200, 0, labels.array)
    expected[mask] = 200
    assert np.array_equal(values_of(node, strict=False), expected)


def test_segments_of_the_users_own_may_be_there_but_not_drawn(node, labels):
    added = node.GetSegmentation().AddEmptySegment("Segment_1", "thought")
    assert np.array_equal(values_of(node), labels.array)
    mask = np.zeros(GRID.shape, bool)
    mask[0, 0, 0] = True
    paint(node, added, mask)
    with pytest.raises(ImageError, match="'thought' of 'scan labels' is no label of the study"):
        values_of(node)


def test_new_labels_replace_the_studys_segments_and_spare_the_users_own(node, labels):
    from ActiveSegLoopLib.scene.segmentations import replace_labelmap

    added = node.GetSegmentation().AddEmptySegment("Segment_1", "thought")
    mask = np.zeros(GRID.shape, bool)
    mask[1, 2:4, 3] = True
    node.GetSegmentation().SeparateSegmentLabelmap(added)
    paint(node, added, mask)
    other = labels.with_array(np.ascontiguousarray(labels.array[::-1]))
    replace_labelmap(node, other, SEGMENTS)
    assert len(voxels_in_slicer(node, added)) == 2
    thought = Segment(added, 77, "thought", (1, 1, 1))
    with pytest.raises(ImageError, match="overlap"):
        values_of(node, [*SEGMENTS, thought])
    node.GetSegmentation().RemoveSegment(added)
    assert np.array_equal(values_of(node), other.array)


def test_a_users_segment_in_the_shared_layer_survives_new_labels(node, labels):
    from ActiveSegLoopLib.scene.segmentations import replace_labelmap
    from ActiveSegLoopLib.scene.volumes import image_array

    added = node.GetSegmentation().AddEmptySegment("Segment_1", "thought")
    mask = labels.array == 0
    segment = node.GetSegmentation().GetSegment(added)
    image_array(segment.GetRepresentation("Binary labelmap"))[mask] = segment.GetLabelValue()
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    replace_labelmap(node, labels.with_array(np.zeros_like(labels.array)), SEGMENTS)
    assert len(voxels_in_slicer(node, added)) == np.count_nonzero(mask)
    assert not values_of(node, [*SEGMENTS, Segment(added, 77, 'x', (1, 1, 1))])[~mask].any()


def test_a_segmentation_on_another_grid_is_brought_onto_the_cases(scene):
    from ActiveSegLoopLib.scene.segmentations import segmentation_node

    fine = Geometry((12, 12, 12), (1.0, 1.0, 1.0))
    coarse = Geometry((6, 6, 6), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5))
    array = np.zeros(fine.shape, np.uint8)
    array[4:8, 2:6, 6:10] = 5
    node = segmentation_node(Volume(array, fine), SEGMENTS, "x")
    expected = np.zeros(coarse.shape, np.uint8)
    expected[2:4, 1:3, 3:5] = 5
    assert np.array_equal(values_of(node, geometry=coarse), expected)


def test_a_grid_that_is_a_part_is_cut_out_unless_labels_would_be_lost(scene):
    from ActiveSegLoopLib.scene.segmentations import segmentation_node

    whole = Geometry((6, 8, 10), (1.0, 1.0, 1.0))
    part = Geometry((4, 8, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 1.0))
    array = np.zeros(whole.shape, np.uint8)
    array[2:4, 3, 3:5] = 1
    node = segmentation_node(Volume(array, whole), SEGMENTS, "x")
    assert np.array_equal(values_of(node, geometry=part), array[1:5])
    array[0, 0, 0] = 1
    node = segmentation_node(Volume(array, whole), SEGMENTS, "y")
    with pytest.raises(ImageError, match="1 labeled voxels of 'y' lie outside the image"):
        values_of(node, geometry=part)


def test_a_segmentation_under_a_transform_is_refused(scene, node):
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(ImageError, match="moved by the transform 'shift'"):
        values_of(node)


def test_surfaces_of_a_user_become_voxels_without_touching_the_node(scene):
    import slicer
    import vtk

    sphere = vtk.vtkSphereSource()
    sphere.SetRadius(6)
    sphere.SetCenter(-10, -10, 10)
    sphere.SetThetaResolution(30)
    sphere.SetPhiResolution(30)
    sphere.Update()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "surfaces")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    segment = slicer.vtkSegment()
    segment.AddRepresentation("Closed surface", sphere.GetOutput())
    node.GetSegmentation().AddSegment(segment, "artery")
    grid = Geometry((20, 20, 20), (1.0, 1.0, 1.0))
    found = values_of(node, geometry=grid)
    center = np.argwhere(found).mean(axis=0)
    assert np.allclose(center, 10, atol=0.3)
    assert abs(np.count_nonzero(found) / (4 / 3 * np.pi * 6**3) - 1) < 0.05
    assert not node.GetSegmentation().ContainsRepresentation("Binary labelmap")


def test_what_slicer_saves_is_what_the_study_reads(node, labels, tmp_path):
    import slicer

    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "x.seg.nrrd"))
    assert storage.WriteData(node)
    volume, segments = read_segmentation(tmp_path / "x.seg.nrrd")
    # Of the grid, the file holds the labeled part.
    assert {s.id: (s.value, s.name) for s in segments} == {
        s.id: (s.value, s.name) for s in SEGMENTS
    }
    assert np.array_equal(volume.array, labels.array)


@settings(
    max_examples=25, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_any_values_of_any_labels_come_back_by_id(scene, data):
    from ActiveSegLoopLib.scene.labelmaps import labelmap_of
    from ActiveSegLoopLib.scene.segmentations import segmentation_node

    values = data.draw(st.lists(st.integers(1, 255), min_size=1, max_size=6, unique=True))
    segments = [Segment(f"s{i}", v, f"Name {i}", (0.5, 0.5, 0.5)) for i, v in enumerate(values)]
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    geometry = Geometry(shape, (1.5, 0.75, 0.5), (3.0, 2.0, 1.0), GRID.direction)
    seed = data.draw(st.integers(0, 2**32 - 1))
    array = np.random.default_rng(seed).choice([0, *values], shape).astype(np.uint8)
    node = segmentation_node(Volume(array, geometry), segments, "x")
    # Other values for the same ids: a study that was made anew.
    others = data.draw(st.permutations(values))
    mapped = [Segment(s.id, v, s.name, s.color) for s, v in zip(segments, others)]
    expected = np.zeros_like(array)
    for segment, other in zip(segments, mapped):
        expected[array == segment.value] = other.value
    assert np.array_equal(labelmap_of(node, mapped, geometry).array, expected)
    scene.RemoveNode(node)
