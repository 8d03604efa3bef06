"""What a case begins with, and what is seen in the views once it is open."""

import numpy as np
import pytest

from ActiveSegLoopLib.study import Annotation
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
