"""What is seen in the views once a case is open, and which of its slices they show."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.volume import Volume
from Testing.scene.conftest import GRID

slicer = pytest.importorskip("slicer", reason="slicer-core isn't installed")


def test_only_what_belongs_to_the_open_case_is_seen(views, study, labels, tmp_path):
    from ActiveSegLoopLib.scene.loop import Loop
    from ActiveSegLoopLib.scene.segmentations import segmentation_node, shared_image
    from ActiveSegLoopLib.scene.segmenting import prediction_node

    def visible():
        found = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in found if node.GetDisplayNode().GetVisibility()]

    loop = Loop()
    loop.open_study(study.folder)
    segments = study.schema.segments()
    first = loop.open_case("p1")
    said = prediction_node(
        shared_image(labels, segments, "p1"), segments, "p1", first.volume_node, first.case, study
    )
    scripts = segmentation_node(labels, segments, "of a script")
    assert loop.open_case("p1").segmentation_node is first.segmentation_node
    assert visible() == [first.segmentation_node, said, scripts]
    second = loop.open_case("p2")
    assert visible() == [scripts, second.segmentation_node]
    said.GetDisplayNode().SetVisibility(True)
    other = loop.create_study(tmp_path / "other", "1=artery")
    other.add_case([tmp_path / "p1.nii.gz"])
    third = loop.open_case("p1")
    assert visible() == [scripts, third.segmentation_node]
    loop.close_study()


@pytest.fixture
def opened(views, study):
    """The case p1 in the views, at its axial slice 2."""
    from ActiveSegLoopLib.scene.loop import Loop

    loop = Loop()
    loop.open_study(study.folder)
    yield loop.open_case("p1", "axial", 2)
    loop.close_study()


def another_image():
    """A volume of somebody else on the same grid."""
    from ActiveSegLoopLib.scene.volumes import volume_node

    return volume_node(Volume(np.zeros(GRID.shape, np.int16), GRID), "another patient")


def backs():
    """By the name of each view the image at its back."""
    from ActiveSegLoopLib.scene.jumping import composite_of, slice_nodes

    return {
        node.GetLayoutName(): slicer.mrmlScene.GetNodeByID(
            composite_of(node).GetBackgroundVolumeID()
        )
        for node in slice_nodes()
    }


def show(node, *views):
    """Show a volume in some views, by default in all of them."""
    from ActiveSegLoopLib.scene.jumping import composite_of, slice_nodes

    for view in slice_nodes():
        if not views or view.GetLayoutName() in views:
            composite_of(view).SetBackgroundVolumeID(node and node.GetID())


def test_a_view_shows_a_slice_of_a_case_only_with_its_image(opened):
    from ActiveSegLoopLib.scene.showing import shows_case, slice_of_case

    assert slice_of_case(opened, "axial") == 2
    show(another_image(), "Red")
    assert slice_of_case(opened, "axial") is None and shows_case(opened)
    assert slice_of_case(opened, "coronal") is not None
    show(another_image())
    assert slice_of_case(opened, "coronal") is None and not shows_case(opened)
    show(None)
    assert not shows_case(opened)


def test_a_map_of_the_case_counts_as_its_image_and_that_of_another_case_does_not(opened, study):
    from ActiveSegLoopLib.scene.overlay import uncertainty_node
    from ActiveSegLoopLib.scene.showing import slice_of_case

    map_ = Volume(np.ones(GRID.shape, np.float32), GRID)
    show(uncertainty_node(map_, "p2 uncertainty", "p2", study.folder))
    assert slice_of_case(opened, "axial") is None
    show(uncertainty_node(map_, "p1 uncertainty", "p1", study.folder))
    assert slice_of_case(opened, "axial") == 2


def test_what_a_view_outside_the_layout_shows_does_not_count(opened):
    from ActiveSegLoopLib.scene.jumping import slice_nodes
    from ActiveSegLoopLib.scene.showing import shows_case, slice_of_case

    red, green, _ = slice_nodes()
    green.SetOrientation("Axial")
    green.RotateToVolumePlane(opened.volume_node)
    green.JumpSliceByOffsetting(*[red.GetSliceToRAS().GetElement(i, 3) for i in range(3)])
    show(another_image(), "Red")
    assert slice_of_case(opened, "axial") == 2
    red.SetMappedInLayout(1)
    assert slice_of_case(opened, "axial") is None and not shows_case(opened)
    green.SetMappedInLayout(1)
    assert slice_of_case(opened, "axial") == 2 and shows_case(opened)


def test_a_case_is_shown_again_only_where_another_image_is(opened):
    from ActiveSegLoopLib.scene.jumping import slice_nodes
    from ActiveSegLoopLib.scene.showing import show_again

    assert not show_again(opened)
    nodes = slice_nodes()
    for node in nodes:
        node.SetFieldOfView(10.0, 7.5, 1.0)
    show(another_image(), "Red")
    assert show_again(opened)
    assert set(backs().values()) == {opened.volume_node}
    kept = [node.GetFieldOfView() == (10.0, 7.5, 1.0) for node in nodes]
    assert kept == [False, True, True]
    slicer.mrmlScene.RemoveNode(opened.volume_node)
    show(another_image())
    assert not show_again(opened)


def test_views_go_back_to_where_they_were(opened):
    from ActiveSegLoopLib.scene.jumping import go_back, jump_to_slice, view_points

    before = view_points()
    jump_to_slice(GRID, "axial", 5, near=(1.0, 2.0, 3.0))
    assert not np.allclose([p for _, p in before], [p for _, p in view_points()])
    go_back(before)
    assert np.allclose([p for _, p in before], [p for _, p in view_points()])
    slicer.mrmlScene.RemoveNode(before[0][0])
    go_back(before)
