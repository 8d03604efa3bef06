"""What is accepted is the open case as a view shows it, and never what another image hides."""

import pytest
import slicer

from ActiveSegLoopLib.images.volume import Volume
from Testing.panel.cases import GRID, image, labels
from Testing.panel.test_next_section import open_next, paint, proposal, wait
from Testing.panel.test_nothing_lost import own_segment, transformed
from Testing.panel.test_study_section import open_in

pytestmark = pytest.mark.usefixtures("slots")

ASTRAY = "The views show another image than p1: open the case again."


@pytest.fixture
def labeled(panel, study):
    """The panel with p1 open at its axial slice 2; next would be slice 4 of it, then p2."""
    study.save_proposals([proposal("p1", 2, 0.9), proposal("p1", 4, 0.8), proposal("p2", 3, 0.5)])
    open_in(panel, study.folder)
    open_next(panel)
    return panel


def shown():
    """The names of the images at the back of the slice views."""
    from ActiveSegLoopLib.scene.overlay import composite_nodes

    ids = {node.GetBackgroundVolumeID() for node in composite_nodes()}
    return {id and slicer.mrmlScene.GetNodeByID(id).GetName() for id in ids}


def show_another():
    """Load a volume as Slicer does, which shows it in all views."""
    from ActiveSegLoopLib.scene.overlay import composite_nodes
    from ActiveSegLoopLib.scene.volumes import volume_node

    node = volume_node(image(9), "another patient")
    for composite in composite_nodes():
        composite.SetBackgroundVolumeID(node.GetID())
        composite.SetForegroundVolumeID(None)
    return node


def places():
    """Where the three views are."""
    from ActiveSegLoopLib.scene.jumping import view_points

    return [tuple(round(value, 6) for value in point) for _, point in view_points()]


def make_refused(panel):
    """Draw in a segment that is no label, so that the next acceptance is refused."""
    labeling = panel.sections["next"].labeling
    paint(labeling, labels().array)
    own_segment(labeling)


def message(panel):
    """What the section tells."""
    return panel.ui.nextMessageLabel.text


def test_a_module_that_is_entered_shows_the_open_case_again_where_it_was(widget, labeled):
    from ActiveSegLoopLib.scene.jumping import jump_to_slice, shown_slice

    jump_to_slice(GRID, "axial", 3)
    labeled.sections["next"].at_hand.look()
    widget.exit()
    another = show_another()
    jump_to_slice(GRID, "axial", 5)
    editor = labeled.ui.segmentEditorWidget
    editor.setSourceVolumeNode(another)
    widget.enter()
    assert shown() == {"p1"}
    assert shown_slice(GRID, "axial") == 3
    assert labeled.ui.sliceDoneButton.text == "Axial slice 3 done, next"
    assert editor.sourceVolumeNode() is labeled.sections["next"].labeling.opened.volume_node


def test_views_that_show_the_open_case_are_left_alone_when_the_module_is_entered(widget, labeled):
    from ActiveSegLoopLib.scene.jumping import slice_nodes

    for node in slice_nodes():
        node.SetFieldOfView(10.0, 7.5, 1.0)
    before = places()
    widget.exit()
    widget.enter()
    assert places() == before
    assert all(node.GetFieldOfView() == (10.0, 7.5, 1.0) for node in slice_nodes())


def test_the_uncertainty_lies_over_the_case_that_is_shown_again(widget, labeled):
    from ActiveSegLoopLib.scene.overlay import composite_nodes

    labeled.ui.overlayCheckBox.checked = True
    strip = labeled.sections["next"].strip
    strip._map = Volume(image(1).array.astype("uint8"), GRID)
    widget.exit()
    show_another()
    for show in (widget.enter, lambda: labeled.open_case("p1")):
        show()
        above = {node.GetForegroundVolumeID() for node in composite_nodes()}
        assert above == {strip._node.GetID()}
        show_another()


def test_an_image_that_was_moved_is_told_when_the_module_is_entered(widget, labeled):
    widget.exit()
    show_another()
    transformed(labeled.sections["next"].labeling.opened.volume_node)
    widget.enter()
    assert "'p1' is" in message(labeled) and "shift" in message(labeled)


@pytest.mark.parametrize("button", ["sliceDoneButton", "volumeDoneButton"])
def test_nothing_is_accepted_while_the_views_show_another_image_until_the_case_is_opened_again(
    labeled, study, button
):
    show_another()
    labeled.sections["next"].at_hand.look()
    assert labeled.ui.sliceDoneButton.text == "Slice done, next"
    getattr(labeled.ui, button).click()
    wait(labeled)
    labeled.sections["next"].at_hand.look()
    assert message(labeled) == ASTRAY
    assert study.latest(study.case("p1")) is None
    labeled.open_case("p1")
    wait(labeled)
    assert shown() == {"p1"}
    labeled.sections["next"].at_hand.look()
    assert message(labeled) == "", "It is over."
    paint(labeled.sections["next"].labeling, labels().array)  # an empty volume would be asked about
    getattr(labeled.ui, button).click()
    wait(labeled)
    assert study.latest(study.case("p1")) is not None


def test_a_view_of_another_image_does_not_count_and_one_of_the_case_does(labeled, study):
    from ActiveSegLoopLib.scene.overlay import composite_nodes

    case = labeled.sections["next"].labeling.opened.volume_node
    show_another()
    composite_nodes()[1].SetBackgroundVolumeID(case.GetID())  # the coronal one
    labeled.ui.sliceDoneButton.click()
    wait(labeled)
    assert "No slice view shows this case in the axial plane" in message(labeled)
    labeled.ui.planeComboBox.setCurrentText("coronal")
    labeled.ui.sliceDoneButton.click()
    wait(labeled)
    assert list(study.latest(study.case("p1")).annotation.slices) == ["coronal"]


def test_a_case_whose_image_was_removed_is_opened_again_with_its_image(labeled):
    labeling = labeled.sections["next"].labeling
    slicer.mrmlScene.RemoveNode(labeling.opened.volume_node)
    labeled.ui.sliceDoneButton.click()
    assert message(labeled) == ASTRAY
    labeled.open_case("p1")
    wait(labeled)
    assert shown() == {"p1"}
    assert labeling.opened.volume_node.GetScene() is slicer.mrmlScene


def test_a_click_on_the_strip_and_a_spot_of_a_comparison_show_the_case_again(labeled):
    show_another()
    labeled.sections["next"].strip.on_click(4.0)
    assert shown() == {"p1"}
    assert labeled.ui.sliceDoneButton.text == "Axial slice 4 done, next"
    show_another()
    labeled.look_at("p1", (0.0, 0.0, 0.0))
    wait(labeled)
    assert shown() == {"p1"}


@pytest.mark.parametrize("button", ["sliceDoneButton", "volumeDoneButton"])
def test_views_and_plane_return_to_a_slice_that_was_refused(labeled, study, button):
    from ActiveSegLoopLib.scene.jumping import jump_to_slice

    labeling = labeled.sections["next"].labeling
    labeled.open_case("p1")  # what is proposed of it, in another plane, is next
    wait(labeled)
    labeled.ui.planeComboBox.setCurrentText("sagittal")
    jump_to_slice(GRID, "sagittal", 7, near=(0.0, 0.0, 40.0))
    labeled.sections["next"].at_hand.look()
    before = places()
    make_refused(labeled)
    getattr(labeled.ui, button).click()
    assert places() != before  # the next slice of the case is shown at once
    wait(labeled)
    assert "tumor" in message(labeled)
    assert study.latest(study.case("p1")) is None
    assert places() == before
    assert labeled.ui.sliceDoneButton.text == "Sagittal slice 7 done, next"
    assert labeled.parameters.plane.value == "sagittal"
    assert labeling.opened.plane == "sagittal" and labeled.logic.loop.opened is labeling.opened


def test_the_slice_that_was_refused_is_at_hand_again_with_its_proposal(labeled):
    make_refused(labeled)
    labeled.ui.sliceDoneButton.click()
    wait(labeled)
    assert labeled.ui.sliceDoneButton.text == "Axial slice 2 done, next"
    assert labeled.sections["next"].proposal.index == 2
    assert labeled.sections["next"].proposing.selected().index == 2


def test_what_is_told_stands_below_the_buttons_and_above_the_segment_editor(labeled):
    labeled.ui.sliceDoneButton.click()
    wait(labeled)
    label = labeled.ui.nextMessageLabel
    assert label.visible
    origin = label.mapTo(labeled.ui.nextCollapsibleButton, label.rect.topLeft())
    for name, is_above in (("flagButton", True), ("segmentEditorWidget", False)):
        widget = getattr(labeled.ui, name)
        place = widget.mapTo(labeled.ui.nextCollapsibleButton, widget.rect.topLeft())
        assert (place.y() < origin.y()) == is_above, name


def test_the_segment_editor_shows_only_while_a_case_is_open(labeled):
    assert labeled.ui.segmentEditorWidget.visible
    labeled.open_study(None)
    assert not labeled.ui.segmentEditorWidget.visible


def test_one_is_asked_to_wait_only_until_what_came_before_is_done(labeled):
    labeled.ui.sliceDoneButton.click()
    labeled.ui.sliceDoneButton.click()
    assert message(labeled).startswith("One moment")
    wait(labeled)
    assert message(labeled) == ""
    assert not labeled.ui.nextMessageLabel.visible


def test_a_refusal_that_comes_while_one_waits_stays(labeled):
    make_refused(labeled)
    labeled.ui.sliceDoneButton.click()
    labeled.ui.sliceDoneButton.click()
    assert message(labeled).startswith("One moment")
    wait(labeled)
    assert "tumor" in message(labeled)
