"""The section Next to label: proposals opened, labeled, timed, kept and accepted."""

import numpy as np
import pytest
import slicer

from ActiveSegLoopLib.study.drafts import draft_of, save_draft
from Testing.panel.cases import GRID, labels
from Testing.panel.test_study_section import cells, open_in
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


def proposal(case, index, score=1.0):
    """A proposed axial slice, as the engine saves it."""
    return {
        "case": case, "unit": "slice", "plane": "axial", "index": index, "score": score,
        "reason": "the model is unsure here", "strategy": "entropy", "round": None,
    }


@pytest.fixture
def proposed(panel, study):
    """The panel with a study in which three slices are proposed."""
    study.save_proposals([proposal("p1", 2, 0.9), proposal("p1", 4, 0.8), proposal("p2", 3, 0.5)])
    open_in(panel, study.folder)
    return panel


def open_next(panel):
    """Press Open next and wait for the case."""
    panel.ui.openNextButton.click()
    wait(panel)
    return panel.sections["next"].labeling


def wait(panel):
    """Let everything in the background end."""
    until(lambda: not panel.background.is_busy)


def paint(labeling, array):
    """Change the segments as an effect of the segment editor does."""
    node = labeling.opened.segmentation_node
    from ActiveSegLoopLib.images.volume import Volume
    from ActiveSegLoopLib.scene.segmentations import replace_labelmap

    replace_labelmap(node, Volume(array, GRID), labeling.panel.study.schema.segments())
    segmentation = node.GetSegmentation()
    segmentation.InvokeEvent(slicer.vtkSegmentation.SourceRepresentationModified)


def test_proposals_show_with_place_reason_and_score_the_best_first(proposed):
    assert cells(proposed.ui.proposalTable) == [
        ["p1", "axial 2", "the model is unsure here", "0.9"],
        ["p1", "axial 4", "the model is unsure here", "0.8"],
        ["p2", "axial 3", "the model is unsure here", "0.5"],
    ]
    assert proposed.ui.openNextButton.enabled


def test_open_next_shows_the_image_its_segments_and_the_slice(proposed):
    labeling = open_next(proposed)
    opened = labeling.opened
    assert opened.case.name == "p1"
    assert proposed.ui.labelingFrame.visible
    assert "p1, axial 2: the model is unsure here" in proposed.ui.currentLabel.text
    assert proposed.ui.sliceDoneButton.text == "Axial slice 2 done, next"
    editor = proposed.ui.segmentEditorWidget
    assert editor.segmentationNode() is opened.segmentation_node
    assert editor.sourceVolumeNode() is opened.volume_node
    assert (proposed.parameters.case, proposed.parameters.slice_shown) == ("p1", 2)
    assert proposed.parameters.proposal == proposed.sections["next"].proposal.id


def test_the_effect_of_the_segment_editor_stays_for_the_next_case(proposed):
    open_next(proposed)
    editor = proposed.ui.segmentEditorWidget
    editor.setActiveEffectByName("Paint")
    for _ in range(2):
        proposed.ui.sliceDoneButton.click()
        wait(proposed)
    assert proposed.sections["next"].labeling.opened.case.name == "p2"
    assert editor.activeEffect().name == "Paint"
    proposed.open_study(None)
    assert editor.activeEffect() is None


def test_a_proposed_slice_that_was_labeled_without_opening_it_is_not_opened_next(proposed):
    proposed.sections["next"].open("p1", "axial", 2)
    wait(proposed)
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert proposed.ui.sliceDoneButton.text == "Axial slice 4 done, next"


def test_slice_done_keeps_the_slice_and_opens_the_next_one_of_the_same_case_at_once(
    proposed, study
):
    labeling = open_next(proposed)
    node = labeling.opened.segmentation_node
    paint(labeling, labels().array)
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    revision = study.latest(study.case("p1"))
    assert dict(revision.annotation.slices) == {"axial": (2,)}
    np.testing.assert_array_equal(study.labelmap(revision).array[2], labels().array[2])
    assert labeling.opened.segmentation_node is node
    assert proposed.ui.sliceDoneButton.text == "Axial slice 4 done, next"
    assert [row[1] for row in cells(proposed.ui.proposalTable)] == ["axial 4", "axial 3"]
    assert proposed.ui.nextMessageLabel.text == "Axial slice 2 of p1 is kept."


def test_another_slice_than_the_proposed_one_is_kept_and_the_proposal_stays(proposed, study):
    from ActiveSegLoopLib.scene.jumping import jump_to_slice

    labeling = open_next(proposed)
    jump_to_slice(GRID, "axial", 5)
    proposed.sections["next"].at_hand.look()
    assert proposed.ui.sliceDoneButton.text == "Axial slice 5 done, next"
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert dict(study.latest(study.case("p1")).annotation.slices) == {"axial": (5,)}
    assert "Proposed was: p1, axial 2" in proposed.ui.nextMessageLabel.text
    assert len(cells(proposed.ui.proposalTable)) == 3
    assert labeling.case.name == "p1"


def test_the_plane_of_the_box_is_the_one_that_is_accepted_and_the_button_names_it(
    proposed, study
):
    from ActiveSegLoopLib.scene.jumping import jump_to_slice

    open_next(proposed)
    proposed.ui.planeComboBox.setCurrentText("sagittal")
    jump_to_slice(GRID, "sagittal", 7)
    proposed.sections["next"].at_hand.look()
    assert proposed.ui.sliceDoneButton.text == "Sagittal slice 7 done, next"
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert dict(study.latest(study.case("p1")).annotation.slices) == {"sagittal": (7,)}
    assert "Proposed was: p1, axial 2" in proposed.ui.nextMessageLabel.text


def test_a_slice_that_no_view_shows_is_not_accepted(proposed, study):
    from ActiveSegLoopLib.scene.jumping import slice_nodes

    open_next(proposed)
    for node in slice_nodes():
        node.SetOrientationToSagittal()
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert study.latest(study.case("p1")) is None
    assert "No slice view shows this case in the axial plane" in proposed.ui.nextMessageLabel.text


def test_a_slice_of_a_proposed_volume_is_kept_and_the_proposal_stays(panel, study):
    whole = {**proposal("p1", None), "unit": "volume", "plane": None}
    study.save_proposals([whole])
    open_in(panel, study.folder)
    open_next(panel)
    panel.ui.sliceDoneButton.click()
    wait(panel)
    assert "Proposed was: p1, whole volume" in panel.ui.nextMessageLabel.text
    assert len(cells(panel.ui.proposalTable)) == 1


def test_volume_done_keeps_everything_and_goes_on_with_another_case(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    proposed.ui.volumeDoneButton.click()
    wait(proposed)
    assert study.latest(study.case("p1")).annotation.slices is None
    assert labeling.case.name == "p2"
    assert [row[0] for row in cells(proposed.ui.proposalTable)] == ["p2"]


def test_after_the_last_proposal_one_is_told_what_to_do(proposed):
    open_next(proposed)
    for _ in range(3):
        proposed.ui.sliceDoneButton.click()
        wait(proposed)
    assert cells(proposed.ui.proposalTable) == []
    assert not proposed.ui.openNextButton.enabled


def test_skip_and_flag_keep_the_reason(proposed, study):
    open_next(proposed)
    proposed.ui.reasonLineEdit.text = "metal"
    proposed.ui.skipButton.click()
    wait(proposed)
    assert proposed.ui.reasonLineEdit.text == ""
    proposed.ui.flagButton.click()
    wait(proposed)
    states = [(p.state, p.note) for p in study.proposals(None)]
    assert states == [("skipped", "metal"), ("flagged", ""), ("open", "")]
    assert proposed.sections["next"].labeling.case.name == "p2"


def test_time_runs_by_segment_while_one_edits_and_stops_without_edits(proposed, study):
    labeling = open_next(proposed)
    now = [1000.0]
    labeling.stopwatch._clock = lambda: now[0]
    labeling.stopwatch.start()
    editor = proposed.ui.segmentEditorWidget
    for seconds, segment in ((10, "artery"), (20, "vein"), (500, "vein"), (5, "vein")):
        editor.setCurrentSegmentID(segment)
        now[0] += seconds
        labeling._on_segments(None, None)
    now[0] += 3
    proposed.sections["next"].at_hand.look()
    assert proposed.ui.timeLabel.text == "Time on this: 0:38"
    now[0] += 100
    proposed.sections["next"].at_hand.look()
    assert "stopped" in proposed.ui.timeLabel.text
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert study.latest(study.case("p1")).seconds == {"artery": 10.0, "vein": 25.0}


def test_unaccepted_work_is_kept_as_a_draft_and_offered_again(proposed, study):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    assert labeling.has_edits
    labeling._autosave.setInterval(0)
    labeling.keep_draft()
    wait(proposed)
    assert draft_of(study, study.case("p1")) is not None
    proposed.open_study(None)
    open_in(proposed, study.folder)
    assert proposed.ui.draftFrame.visible
    assert "p1 has labels that weren't accepted" in proposed.ui.draftLabel.text
    proposed.ui.restoreDraftButton.click()
    wait(proposed)
    assert not proposed.ui.draftFrame.visible
    assert labeling.opened.beginning.source == "draft"
    assert proposed.ui.sliceDoneButton.text == "Axial slice 2 done, next"


def test_a_draft_that_is_discarded_is_gone_and_the_case_shows_without_it(proposed, study):
    save_draft(study, study.case("p1"), labels())
    labeling = open_next(proposed)
    assert labeling.opened.beginning.source == "draft"
    proposed.ui.discardDraftButton.click()
    wait(proposed)
    assert draft_of(study, study.case("p1")) is None
    assert labeling.opened.beginning.source == "nothing"
    assert proposed.ui.segmentEditorWidget.segmentationNode() is labeling.opened.segmentation_node


def test_a_segment_that_is_no_label_is_refused_in_one_sentence_and_nothing_is_kept(
    proposed, study
):
    labeling = open_next(proposed)
    segmentation = labeling.opened.segmentation_node.GetSegmentation()
    paint(labeling, labels().array)
    copied = slicer.vtkSegment()
    copied.DeepCopy(segmentation.GetSegment("artery"))
    copied.SetName("tumor")
    segmentation.AddSegment(copied, "tumor")
    proposed.ui.sliceDoneButton.click()
    wait(proposed)
    assert study.latest(study.case("p1")) is None
    assert "tumor" in proposed.ui.nextMessageLabel.text


def test_a_missing_image_is_told_and_nothing_is_open(proposed, study):
    study.case("p1").channels[0].unlink()
    open_next(proposed)
    assert "p1.nrrd" in proposed.ui.nextMessageLabel.text
    assert proposed.ui.currentLabel.text == "Nothing is open."
    assert not proposed.ui.labelingFrame.visible


def test_the_keys_of_the_editor_work_only_while_the_module_is_shown_and_a_case_is_open(
    widget, proposed
):
    from Testing.panel import pythonqt

    if not hasattr(pythonqt, "unwrap"):
        pytest.skip("only the stand-in counts shortcuts")
    editor = pythonqt.unwrap(proposed.ui.segmentEditorWidget)
    assert editor.shortcuts == 0
    open_next(proposed)
    assert editor.shortcuts == 1
    widget.exit()
    assert editor.shortcuts == 0
    widget.enter()
    assert editor.shortcuts == 1


def test_a_closed_scene_keeps_the_work_as_a_draft_and_a_new_case_opens_with_a_new_editor_node(
    proposed, study
):
    labeling = open_next(proposed)
    paint(labeling, labels().array)
    former = proposed.ui.segmentEditorWidget.mrmlSegmentEditorNode()
    slicer.mrmlScene.Clear(False)
    wait(proposed)
    assert draft_of(study, study.case("p1")) is not None
    assert labeling.opened is None
    assert proposed.study.folder == study.folder
    open_next(proposed)
    assert labeling.opened.beginning.source == "draft"
    assert proposed.ui.segmentEditorWidget.mrmlSegmentEditorNode() is not None
    assert former is not None


def test_a_case_opens_by_double_click_in_the_table_of_cases(proposed):
    proposed.ui.caseTable.selectRow(1)
    proposed.ui.openCaseButton.click()
    wait(proposed)
    assert proposed.sections["next"].labeling.case.name == "p2"
    assert not proposed.ui.nextCollapsibleButton.collapsed


def test_a_click_on_the_strip_goes_to_the_slice(proposed):
    from ActiveSegLoopLib.scene.jumping import shown_slice

    open_next(proposed)
    strip = proposed.sections["next"].strip
    assert list(strip.chart.curves.values()) == [[(2.0, 0.9), (4.0, 0.8)]]
    strip.chart.on_click(4.2)
    assert shown_slice(GRID, "axial") == 4
    assert strip.chart.marked == 4.0


def test_a_renamed_label_renames_the_open_segment_and_keeps_its_id(proposed, study):
    labeling = open_next(proposed)
    assert not proposed.ui.removeLabelButton.enabled
    proposed.ui.labelTable.item(0, 0).setText("Arteria")
    segmentation = labeling.opened.segmentation_node.GetSegmentation()
    assert segmentation.GetSegment("artery").GetName() == "Arteria"
    assert segmentation.GetNumberOfSegments() == 2
