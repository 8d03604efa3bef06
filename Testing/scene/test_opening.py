"""What a case begins with, what is seen in the views, and which of its slices they show."""

import numpy as np
import pytest

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study import Annotation
from Testing.scene.conftest import GRID
from Testing.scene.test_loop import BLOCK, finish_round, predict
from Testing.scene.test_segmentations import paint, values_of

slicer = pytest.importorskip("slicer", reason="slicer-core isn't installed")


@pytest.fixture
def loop(views, study, labels):
    """The loop with the study open; p1 is labeled by hand as a whole, and a round is trained."""
    from ActiveSegLoopLib.scene.loop import Loop

    finish_round(study, labels)
    made = Loop()
    made.open_study(study.folder)
    yield made
    made.close_study()


def test_labels_made_by_hand_stay_by_hand_when_the_model_segments_the_case_later(
    loop, study, labels
):
    predict(study, "p1")
    opened = loop.open_case("p1")
    begun = opened.beginning
    assert (begun.source, begun.origin, begun.model_round) == ("revision", "manual", None)
    assert np.array_equal(values_of(opened.segmentation_node), labels.array)
    revision = loop.accept_volume()
    assert (revision.origin, revision.model_round) == ("manual", None)


def test_corrected_labels_stay_those_of_the_model_with_which_they_began(loop, study, labels):
    study.add_revision(study.case("p2"), labels, origin="corrected", model_round=1)
    finish_round(study, labels)
    predict(study, "p2")
    begun = loop.open_case("p2").beginning
    assert (begun.source, begun.origin, begun.model_round) == ("revision", "corrected", 1)


def test_labels_of_one_structure_leave_the_others_to_the_model(loop, study, labels):
    array = np.where(BLOCK, 1, 0).astype(np.uint8)
    only = Annotation(classes=("artery",))
    study.add_revision(study.case("p2"), labels.with_array(array), only)
    predict(study, "p2")
    opened = loop.open_case("p2")
    assert (opened.beginning.source, opened.beginning.origin) == ("prediction", "corrected")
    assert np.array_equal(values_of(opened.segmentation_node), np.where(BLOCK, 1, 5))


def test_a_case_that_is_annotated_as_a_whole_is_read_anew_only_once(loop, study):
    opened = loop.open_case("p1")
    assert not loop.has_newer_prediction(opened)
    predict(study, "p1")
    assert loop.has_newer_prediction(opened)
    assert not loop.has_newer_prediction(loop.open_case("p1"))


def test_what_was_drawn_in_an_earlier_opening_keeps_the_model_out_until_it_is_accepted(
    loop, study
):
    paint(loop.open_case("p2").segmentation_node, "kidney", BLOCK)
    loop.open_case("p1")
    opened = loop.open_case("p2", "axial", 2)
    predict(study, "p2")
    assert opened.beginning.source == "scene" and not loop.has_newer_prediction(opened)
    loop.accept_slice()
    assert not loop.has_newer_prediction(opened), "a draft holds the other slices"
    loop.acceptance({"axial": range(1, 4)})()
    assert loop.has_newer_prediction(opened)
    assert loop.open_case("p2").beginning.source == "prediction"


def test_only_segments_of_labels_with_voxels_are_not_empty(loop, study):
    from ActiveSegLoopLib.scene.labelmaps import is_empty

    node = loop.open_case("p2").segmentation_node
    assert is_empty(node, study.schema.ids)
    node.GetSegmentation().AddEmptySegment("tumor", "tumor")
    paint(node, "tumor", BLOCK)
    assert is_empty(node, study.schema.ids)
    paint(node, "kidney", BLOCK)
    assert not is_empty(node, study.schema.ids)
    assert is_empty(node, ["artery", "vein"])
    node.CreateClosedSurfaceRepresentation()
    paint(node, "kidney", ~BLOCK & BLOCK)
    assert is_empty(node, study.schema.ids)


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
    assert visible() == [first.segmentation_node, scripts]
    said.GetDisplayNode().SetVisibility(True)
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
