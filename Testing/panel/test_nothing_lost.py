"""What a person has drawn is kept, with its own case and study, whatever happens meanwhile."""

import threading

import numpy as np
import pytest
import slicer
import vtk

from ActiveSegLoopLib.study.drafts import draft_of, read_draft
from ActiveSegLoopLib.study.schema import LabelSchema
from ActiveSegLoopLib.study.study import Study
from Testing.panel.cases import GRID, add_case, labels
from Testing.panel.test_next_section import open_next, paint, proposal, wait
from Testing.panel.test_study_section import cells, open_in

pytestmark = pytest.mark.usefixtures("slots")


@pytest.fixture
def proposed(panel, study):
    """The panel with a study in which slices of two cases are proposed."""
    study.save_proposals([proposal("p1", 2, 0.9), proposal("p2", 3, 0.5)])
    open_in(panel, study.folder)
    return panel


@pytest.fixture
def other(tmp_path):
    """Another study with a case of the same name."""
    made = Study.create(tmp_path / "livers", LabelSchema.parse("1=artery,2=vein"))
    add_case(made, tmp_path / "other images", "p1")
    return made


@pytest.fixture
def held(panel):
    """What is in the background waits until this is called."""
    gate = threading.Event()
    yield lambda: panel.background.start(gate.wait, lambda _: None, pytest.fail), gate.set
    gate.set()
    wait(panel)


def drafted(study, case="p1"):
    """The label map of a case's draft, None without one."""
    draft = draft_of(study, study.case(case))
    return None if draft is None else read_draft(study, draft).array


def transformed(node):
    """Put a node under a transform of 1 mm."""
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 1.0)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def predict(study, case, array):
    """Train a round and keep what its model says of a case."""
    begun = study.start_round("fast", {}, 0, [study.latest(study.case("p1"))])
    finished = study.finish_round(begun, {}, {})
    study.save_prediction(finished, study.case(case), labels().with_array(array))


def shown(labeling):
    """The values on the screen."""
    from ActiveSegLoopLib.scene.labelmaps import labelmap_of

    node = labeling.opened.segmentation_node
    return labelmap_of(node, labeling.study.schema.segments(), GRID).array


def own_segment(labeling):
    """Draw in a segment that is no label of the study."""
    segmentation = labeling.opened.segmentation_node.GetSegmentation()
    copied = slicer.vtkSegment()
    copied.DeepCopy(segmentation.GetSegment("artery"))
    copied.SetName("tumor")
    segmentation.AddSegment(copied, "tumor")


def test_a_case_that_is_still_loading_does_not_come_into_another_study(
    proposed, study, other, held
):
    hold, let_go = held
    hold()
    proposed.ui.openNextButton.click()
    proposed.ui.studyPathLineEdit.currentPath = str(other.folder)
    proposed.ui.openButton.click()
    let_go()
    wait(proposed)
    assert proposed.study.folder == other.folder
    assert proposed.sections["next"].labeling.opened is None
    assert proposed.ui.currentLabel.text == "Nothing is open."


def test_a_case_that_is_still_loading_does_not_come_into_a_closed_scene(proposed, held):
    hold, let_go = held
    hold()
    proposed.ui.openNextButton.click()
    slicer.mrmlScene.Clear(False)
    let_go()
    wait(proposed)
    assert proposed.sections["next"].labeling.opened is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_edits_are_a_draft_of_their_own_study_when_another_is_opened(proposed, study, other):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    open_in(proposed, other.folder)
    np.testing.assert_array_equal(drafted(study), labels().array)
    assert drafted(other) is None


def test_edits_made_while_the_next_case_loads_are_a_draft(proposed, study, held):
    labeling = open_next(proposed)
    hold, let_go = held
    hold()
    proposed.sections["next"].open("p2", "axial", 3)
    paint(labeling, labels().array)
    let_go()
    wait(proposed)
    assert labeling.case.name == "p2"
    np.testing.assert_array_equal(drafted(study), labels().array)


def test_a_segment_of_ones_own_is_refused_but_its_labels_stay_open_and_are_a_draft(
    proposed, study
):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    own_segment(labeling)
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert labeling.case.name == "p1"
    assert labeling.has_edits
    assert "tumor" in proposed.ui.nextMessageLabel.text
    assert [row[0] for row in cells(proposed.ui.proposalTable)] == ["p1", "p2"]
    labeling.keep_draft()
    wait(proposed)
    np.testing.assert_array_equal(drafted(study), labels().array)


def test_an_image_that_was_moved_is_told_and_what_was_drawn_is_a_draft(widget, proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    transform = transformed(labeling.opened.volume_node)
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert "'p1' is moved by the transform 'shift'" in proposed.ui.nextMessageLabel.text
    labeling.opened.segmentation_node.SetAndObserveTransformNodeID(transform.GetID())
    widget.exit()
    wait(proposed)
    np.testing.assert_array_equal(drafted(study), labels().array)
    for node in (labeling.opened.volume_node, labeling.opened.segmentation_node):
        node.HardenTransform()
    proposed.ui.volumeDoneButton.click()
    wait(proposed)
    assert "no longer lies where the case's image does" in proposed.ui.nextMessageLabel.text
    assert study.latest(study.case("p1")) is None


def test_slices_that_were_drawn_but_not_accepted_outlive_a_prediction(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    drawn = labels().array
    assert drafted(study) is not None
    predict(study, "p1", np.zeros_like(drawn))
    proposed.open_study(None)
    open_in(proposed, study.folder)
    proposed.sections["next"].open("p1", "axial", 2)
    wait(proposed)
    np.testing.assert_array_equal(shown(labeling), drawn)


def test_the_whole_volume_accepted_leaves_no_draft(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    proposed.sections["next"].open("p1", "axial", 2)
    wait(proposed)
    proposed.ui.volumeDoneButton.click()
    wait(proposed)
    assert drafted(study) is None


def test_undo_counts_as_an_edit(proposed, study):
    labeling = open_next(proposed)
    segmentation = labeling.opened.segmentation_node.GetSegmentation()
    history = slicer.vtkSegmentationHistory()
    history.SetSegmentation(segmentation)
    history.SaveState()
    paint(labeling, labels().array)
    labeling.keep_draft()
    wait(proposed)
    assert not labeling.has_edits
    history.RestorePreviousState()
    assert labeling.has_edits


def test_a_new_name_is_no_edit(proposed):
    labeling = open_next(proposed)
    segment = labeling.opened.segmentation_node.GetSegmentation().GetSegment("artery")
    segment.SetName("Arteria")
    assert not labeling.has_edits


def test_a_label_whose_segment_was_removed_is_not_accepted_as_absent(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    labeling.opened.segmentation_node.GetSegmentation().RemoveSegment("vein")
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert study.latest(study.case("p1")) is None
    assert "no segment for 'vein' any more" in proposed.ui.nextMessageLabel.text
    proposed.sections["next"].open("p1", "axial", 2)
    segmentation = labeling.opened.segmentation_node.GetSegmentation()
    assert segmentation.GetSegment("vein") is not None


def test_done_pressed_twice_keeps_one_slice(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    proposed.ui.sliceDoneButton.click()
    proposed.ui.sliceDoneButton.click()
    assert "One moment" in proposed.ui.nextMessageLabel.text
    wait(proposed)
    assert len(study.revisions(study.case("p1"))) == 1
    assert labeling.case.name == "p2"
    assert [row[0] for row in cells(proposed.ui.proposalTable)] == ["p2"]


def test_while_the_next_case_loads_the_text_is_about_the_one_that_is_open(proposed, held):
    open_next(proposed)
    hold, _ = held
    hold()
    proposed.ui.openNextButton.click()
    assert proposed.ui.currentLabel.text.startswith("p1:")


def test_a_key_that_is_held_down_accepts_once(proposed):
    for shortcut, _ in proposed.sections["next"]._shortcuts:
        assert not shortcut.autoRepeat


def test_a_case_whose_segments_were_deleted_opens_again(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    labeling.keep_draft()
    wait(proposed)
    slicer.mrmlScene.RemoveNode(labeling.opened.segmentation_node)
    proposed.sections["next"].open("p1", "axial", 2)
    wait(proposed)
    np.testing.assert_array_equal(shown(labeling), labels().array)


def test_what_a_model_says_of_the_open_case_comes_when_it_is_opened_again(proposed, study):
    study.add_revision(study.case("p1"), labels())
    proposed.sections["next"].open("p2", "axial", 3)
    wait(proposed)
    labeling = proposed.sections["next"].labeling
    assert not shown(labeling).any()
    predict(study, "p2", labels().array)
    proposed.sections["next"].open("p2", "axial", 3)
    wait(proposed)
    np.testing.assert_array_equal(shown(labeling), labels().array)
    assert labeling.opened.beginning.source == "prediction"


def test_a_newer_prediction_does_not_replace_what_was_drawn(proposed, study):
    study.add_revision(study.case("p1"), labels())
    proposed.sections["next"].open("p2", "axial", 3)
    wait(proposed)
    labeling = proposed.sections["next"].labeling
    paint(labeling, labels().array)
    predict(study, "p2", np.zeros_like(labels().array))
    proposed.sections["next"].open("p2", "axial", 3)
    wait(proposed)
    np.testing.assert_array_equal(shown(labeling), labels().array)
