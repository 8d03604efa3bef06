"""The section Compare: two or three labelings of a case measured and shown."""

import numpy as np
import pytest
import slicer

from ActiveSegLoopLib.images.volume import Volume
from Testing.panel.cases import GRID, labels
from Testing.panel.test_next_section import paint, wait
from Testing.panel.test_study_section import cells, open_in

pytestmark = pytest.mark.usefixtures("slots")


@pytest.fixture
def compared(panel, study):
    """The panel with a case that has labels by hand and corrected ones, one column apart."""
    study.add_revision(study.case("p1"), labels())
    study.add_revision(study.case("p1"), labels(1), origin="corrected")
    open_in(panel, study.folder)
    return panel


def texts(box):
    """What a combo box offers."""
    return [box.itemText(index) for index in range(box.count)]


def compare(panel):
    """Press Compare and wait."""
    panel.ui.compareButton.click()
    wait(panel)


def test_only_what_a_case_has_is_offered(compared):
    assert texts(compared.ui.compareCaseComboBox) == ["p1", "p2", "p3"]
    assert texts(compared.ui.firstComboBox) == ["by hand", "corrected"]
    assert texts(compared.ui.thirdComboBox) == ["none", "by hand", "corrected"]
    compared.ui.compareCaseComboBox.currentIndex = 1
    assert texts(compared.ui.firstComboBox) == []
    compare(compared)
    assert compared.ui.compareMessageLabel.text.startswith("Choose two different ones")


def test_what_was_chosen_is_measured_also_when_there_is_more_meanwhile(panel, study):
    study.add_revision(study.case("p1"), labels())
    open_in(panel, study.folder)
    panel.open_case("p1")
    wait(panel)
    assert panel.ui.secondComboBox.currentText == "on screen now"
    study.add_revision(study.case("p1"), labels(1), origin="corrected")  # by the command line, say
    compare(panel)
    assert panel.sections["compare"].pair() == ("manual", "on screen")


def test_what_was_chosen_and_is_gone_is_told_in_one_sentence(compared, study, monkeypatch):
    from ActiveSegLoopLib.scene import comparing

    monkeypatch.setattr(comparing, "sources", lambda *_: {"manual": labels})
    compare(compared)
    assert compared.ui.compareMessageLabel.text == (
        "p1 doesn't have these labels any more: choose again."
    )
    assert texts(compared.ui.firstComboBox) == ["by hand"]


def test_each_label_gets_a_row_a_verdict_and_a_colored_surface(compared):
    compare(compared)
    rows = cells(compared.ui.verdictTable)
    assert [row[:2] for row in rows] == [["artery", "yes"], ["vein", "yes"]]
    assert 0 < float(rows[0][3]) < 1 and float(rows[1][3]) == 0
    assert "below the limit of 2 mm" in compared.ui.compareMessageLabel.text
    table = compared.ui.surfaceTableView.mrmlTableNode()
    assert table.GetNumberOfRows() == 2 and slicer.mrmlScene.IsNodePresent(table)
    model = compared.sections["compare"].coloring.node
    assert model.GetDisplayNode().GetScalarVisibility()
    assert tuple(model.GetDisplayNode().GetScalarRange()) == (-4.0, 4.0)
    compared.ui.rangeSpinBox.value = 1.5
    assert tuple(model.GetDisplayNode().GetScalarRange()) == (-1.5, 1.5)


def test_a_click_on_worst_spot_goes_there(compared):
    compare(compared)
    compared.ui.worstButton.click()
    assert compared.ui.compareMessageLabel.text.startswith("Worst spot: 1.0 mm")
    wait(compared)
    assert compared.sections["next"].labeling.case.name == "p1"  # its image is shown there


def test_the_crosshair_shows_the_worst_spot_as_long_as_its_surface_is_there(compared):
    crosshair = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    compare(compared)
    compared.ui.worstButton.click()
    assert crosshair.GetCrosshairMode() != crosshair.NoCrosshair
    assert crosshair.GetCrosshairRAS() == compared.sections["compare"].coloring._worst.ras
    compared.ui.surfaceCheckBox.checked = False
    assert crosshair.GetCrosshairMode() == crosshair.NoCrosshair


def test_a_crosshair_of_the_users_own_stays_as_it_is(compared):
    crosshair = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCrosshairMode(crosshair.ShowBasic)
    compare(compared)
    compared.ui.worstButton.click()
    compared.ui.surfaceCheckBox.checked = False
    assert crosshair.GetCrosshairMode() == crosshair.ShowBasic


def test_two_different_ones_are_chosen_where_there_are_two(compared, study):
    study.add_revision(study.case("p2"), labels())
    study.add_revision(study.case("p2"), labels(1), origin="corrected")
    compared.parameters.first = "corrected"
    compared.parameters.second = "model"  # which no case has any more
    compared.ui.compareCaseComboBox.currentIndex = 1
    assert compared.ui.firstComboBox.currentText == "corrected"
    assert compared.ui.secondComboBox.currentText == "by hand"
    compare(compared)
    assert compared.sections["compare"].pair() == ("corrected", "manual")


@pytest.mark.parametrize(("remembered", "chosen"), [
    (("", "", ""), ["a", "b", ""]),
    (("b", "b", "c"), ["b", "a", "c"]),
    (("x", "a", "c"), ["b", "a", "c"]),
    (("", "", "a"), ["a", "b", ""]),
])
def test_a_choice_is_kept_unless_another_is_the_same(slots, remembered, chosen):
    from ActiveSegLoopLib.panel.compare_section import different

    assert different(["a", "b", "c"], remembered) == chosen


def test_where_there_is_one_it_is_the_first_and_the_second_choice(slots):
    from ActiveSegLoopLib.panel.compare_section import different

    assert different(["a"], ["", "", "a"]) == ["a", "a", ""]
    assert different([], ["a", "", ""]) == ["", "", ""]


def test_every_number_has_the_same_number_of_decimals(compared):
    compare(compared)
    numbers = [number for row in cells(compared.ui.verdictTable) for number in row[2:]]
    assert "1.000" in numbers
    assert all(len(number.partition(".")[2]) == 3 for number in numbers)


def test_the_nodes_of_a_comparison_are_called_as_the_choices_are(compared):
    compare(compared)
    section = compared.sections["compare"]
    assert section.coloring.node.GetName() == "p1: by hand - corrected, artery"
    assert section.ui.surfaceTableView.mrmlTableNode().GetName() == "p1: by hand - corrected"


def test_the_worst_spot_may_lie_on_either_surface(panel):
    from ActiveSegLoopLib.panel.coloring import measuring

    near, far = (np.zeros(GRID.shape, np.uint8) for _ in range(2))
    near[1:3, 1:3, 1:3] = far[1:3, 1:3, 1:3] = far[1:3, 1:3, 5:7] = 1
    maps = [lambda: Volume(near, GRID), lambda: Volume(far, GRID)]
    spots = [measuring(*pair, 1)().worst for pair in (maps, maps[::-1])]
    assert spots[0] == spots[1] and spots[0].mm > 2


def test_a_stricter_limit_turns_the_verdict(compared):
    compared.ui.limitSpinBox.value = 0.1
    compare(compared)
    assert cells(compared.ui.verdictTable)[0][1] == "no"


def test_what_is_on_screen_is_measured_anew_while_correcting(compared, study):
    compared.open_case("p1")
    wait(compared)
    labeling = compared.sections["next"].labeling
    compared.ui.firstComboBox.currentIndex = 1
    compared.ui.secondComboBox.currentIndex = 2
    assert texts(compared.ui.secondComboBox)[2] == "on screen now"
    compare(compared)
    assert float(cells(compared.ui.verdictTable)[0][2]) == 1
    array = labels(1).array.copy()
    array[array == 1] = 0
    array[1:5, 2:6, 5:9] = 1
    paint(labeling, array)
    compared.ui.secondComboBox.currentIndex = 2
    compare(compared)
    assert float(cells(compared.ui.verdictTable)[0][2]) < 1


def test_three_are_compared_two_by_two(compared, study):
    compared.open_case("p1")
    wait(compared)
    compared.ui.thirdComboBox.currentIndex = 3
    compare(compared)
    assert texts(compared.ui.pairComboBox) == [
        "by hand and corrected", "by hand and on screen now", "corrected and on screen now"
    ]
    compared.ui.pairComboBox.currentIndex = 2
    wait(compared)
    assert float(cells(compared.ui.verdictTable)[0][2]) == 1


def test_a_label_that_one_lacks_has_no_verdict_and_no_surface(compared, study):
    array = labels().array.copy()
    array[array == 1] = 0
    study.add_revision(study.case("p1"), Volume(array, GRID), origin="corrected")
    compare(compared)
    assert cells(compared.ui.verdictTable)[0][:2] == ["artery", "unknown"]
    assert compared.sections["compare"].coloring.node is None
    assert not compared.ui.worstButton.enabled
    assert np.isfinite(float(cells(compared.ui.verdictTable)[1][3]))


def test_a_verdict_goes_with_its_study(compared, another):
    compare(compared)
    assert compared.ui.compareMessageLabel.text != ""
    open_in(compared, another.folder)
    assert compared.ui.compareMessageLabel.text == ""


def test_a_verdict_goes_with_the_scene_that_it_was_seen_in(compared):
    compare(compared)
    slicer.mrmlScene.Clear(False)
    wait(compared)
    assert compared.ui.compareMessageLabel.text == ""


def test_a_comparison_that_ends_in_another_study_is_not_shown(compared, another):
    compared.ui.compareButton.click()
    open_in(compared, another.folder)
    wait(compared)
    assert cells(compared.ui.verdictTable) == []
    assert compared.ui.compareMessageLabel.text == ""
