"""The section Study: a study's folder, its labels and its images."""

from types import SimpleNamespace

import pytest

from ActiveSegLoopLib.study.study import Study
from Testing.panel.cases import GRID, add_case, image, labels
from Testing.panel.window import until

pytestmark = pytest.mark.usefixtures("slots")


def open_in(panel, folder):
    """Choose a folder and press Open."""
    panel.ui.studyPathLineEdit.currentPath = str(folder)
    panel.ui.openButton.click()
    until(lambda: not panel.background.is_busy)


def cells(table):
    """A table's texts, row by row."""
    return [
        [table.item(row, column).text() for column in range(table.columnCount)]
        for row in range(table.rowCount)
    ]


def shown_rows(table):
    """The first cell of each row that isn't hidden."""
    return [
        table.item(row, 0).text() for row in range(table.rowCount) if not table.isRowHidden(row)
    ]


def test_a_study_opens_and_shows_its_cases_and_labels(panel, study):
    study.add_revision(study.case("p1"), labels())
    open_in(panel, study.folder)
    assert cells(panel.ui.caseTable) == [
        ["p1", "labeled", "pool", ""], ["p2", "", "pool", ""], ["p3", "", "test", ""],
    ]
    assert [row[0] for row in cells(panel.ui.labelTable)] == ["artery", "vein"]
    assert panel.ui.studyLabel.text == "Images: 3, with labels: 1. No model has been trained yet."
    assert panel.parameters.study_folder == str(study.folder)


def test_a_folder_without_a_study_is_told_in_one_sentence_and_the_open_study_stays(
    panel, study, tmp_path
):
    open_in(panel, study.folder)
    open_in(panel, tmp_path)
    assert str(tmp_path) in panel.ui.studyMessageLabel.text
    assert panel.ui.studyMessageLabel.visible
    assert panel.study.folder == study.folder


def test_a_study_is_created_with_the_labels_of_the_table(panel, tmp_path):
    panel.ui.studyPathLineEdit.currentPath = str(tmp_path / "new")
    assert panel.ui.createButton.enabled
    panel.ui.addLabelButton.click()
    panel.ui.addLabelButton.click()
    panel.ui.labelTable.item(0, 0).setText("Renal artery")
    panel.ui.createButton.click()
    until(lambda: not panel.background.is_busy)
    made = Study.open(tmp_path / "new")
    assert [label.name for label in made.schema.labels] == ["Renal artery", "label 2"]
    assert made.schema.ids[0] == "renal_artery"
    assert panel.study.folder == made.folder


def test_after_a_study_was_closed_a_new_one_begins_without_its_labels(panel, study, tmp_path):
    open_in(panel, study.folder)
    panel.open_study(None)
    assert cells(panel.ui.labelTable) == []
    assert cells(panel.ui.caseTable) == []
    assert "Choose a folder" in panel.ui.studyLabel.text


def test_a_study_without_labels_is_refused_in_one_sentence(panel, tmp_path):
    panel.ui.studyPathLineEdit.currentPath = str(tmp_path / "new")
    panel.ui.createButton.click()
    assert "at least one label" in panel.ui.studyMessageLabel.text
    assert not (tmp_path / "new").exists()


def test_before_the_first_label_labels_are_removed_and_reordered_freely(panel, study):
    open_in(panel, study.folder)
    panel.ui.labelTable.selectRow(1)
    panel.ui.labelUpButton.click()
    assert [label.name for label in study.schema.labels] == ["vein", "artery"]
    assert panel.ui.labelTable.currentRow() == 0
    panel.ui.removeLabelButton.click()
    assert [label.name for label in study.schema.labels] == ["artery"]
    assert not panel.ui.removeLabelButton.enabled  # a study keeps at least one


def test_once_something_is_labeled_labels_are_renamed_and_added_only(panel, study):
    study.add_revision(study.case("p1"), labels())
    open_in(panel, study.folder)
    panel.ui.labelTable.selectRow(0)
    assert not panel.ui.removeLabelButton.enabled
    assert not panel.ui.labelDownButton.enabled
    panel.ui.labelTable.item(0, 0).setText("Arteria renalis")
    assert study.schema.label("artery").name == "Arteria renalis"
    panel.ui.addLabelButton.click()
    assert len(study.schema.labels) == 3


def test_a_name_that_is_taken_is_told_and_taken_back(panel, study):
    open_in(panel, study.folder)
    panel.ui.labelTable.item(0, 0).setText("vein")
    assert "share the name" in panel.ui.studyMessageLabel.text
    assert panel.ui.labelTable.item(0, 0).text() == "artery"


def test_the_filter_hides_rows_without_its_words(panel, study):
    open_in(panel, study.folder)
    panel.ui.caseSearchBox.text = "TEST"
    assert shown_rows(panel.ui.caseTable) == ["p3"]
    panel.ui.caseSearchBox.text = ""
    assert shown_rows(panel.ui.caseTable) == ["p1", "p2", "p3"]


def test_files_are_added_with_role_and_patient_and_a_bad_one_keeps_no_other_out(
    panel, study, tmp_path, monkeypatch
):
    from ActiveSegLoopLib.images.writing import write_volume

    open_in(panel, study.folder)
    write_volume(tmp_path / "q1.nrrd", image(11))
    (tmp_path / "q2.nrrd").write_text("no image")
    panel.ui.roleComboBox.currentIndex = 1
    panel.ui.groupLineEdit.text = "Patient 7"
    panel.sections["study"].adding.add([tmp_path / "q1.nrrd", tmp_path / "q2.nrrd"])
    until(lambda: not panel.background.is_busy)
    case = study.case("q1")
    assert (case.role, case.group) == ("validation", "Patient 7")
    assert panel.ui.studyMessageLabel.text.startswith("Images added: 1.")
    assert "q2.nrrd" in panel.ui.studyMessageLabel.text
    assert ["q1", "", "validation", "Patient 7"] in cells(panel.ui.caseTable)


def test_images_added_next_are_of_another_patient_and_in_another_study_of_no_role_yet(
    panel, study, another, tmp_path
):
    from ActiveSegLoopLib.images.writing import write_volume

    open_in(panel, study.folder)
    write_volume(tmp_path / "q1.nrrd", image(11))
    panel.ui.roleComboBox.currentIndex = 2
    panel.ui.groupLineEdit.text = "Patient 7"
    panel.sections["study"].adding.add([tmp_path / "q1.nrrd"])
    until(lambda: not panel.background.is_busy)
    assert study.case("q1").group == "Patient 7"
    assert panel.ui.groupLineEdit.text == ""
    assert panel.ui.roleComboBox.currentText == "test"
    panel.ui.groupLineEdit.text = "Patient 8"
    open_in(panel, another.folder)
    assert panel.ui.groupLineEdit.text == ""
    assert panel.ui.roleComboBox.currentText == "pool"


def test_a_volume_of_the_scene_without_a_file_is_kept_in_the_study(panel, study):
    from ActiveSegLoopLib.scene.volumes import volume_node

    open_in(panel, study.folder)
    node = volume_node(image(12), "CT chest")
    panel.ui.addVolumeSelector.setCheckState(node, 2)
    panel.ui.addVolumesButton.click()
    until(lambda: not panel.background.is_busy)
    case = study.case("CT-chest")
    assert case.channels[0].parent == study.folder / "images"
    assert case.geometry.difference(GRID) is None


def test_cases_added_elsewhere_show_after_opening_again(panel, study, tmp_path):
    open_in(panel, study.folder)
    add_case(study, tmp_path / "images", "p4")
    open_in(panel, study.folder)
    assert [row[0] for row in cells(panel.ui.caseTable)] == ["p1", "p2", "p3", "p4"]


@pytest.mark.parametrize("text", ["", "   "])
def test_without_a_folder_nothing_can_be_opened_or_created(panel, text):
    panel.ui.studyPathLineEdit.currentPath = "/tmp"
    panel.ui.studyPathLineEdit.currentPath = text
    assert not panel.ui.openButton.enabled
    assert not panel.ui.createButton.enabled


def test_a_text_of_several_lines_takes_no_room_from_what_is_below(panel):
    label = panel.ui.studyMessageLabel
    panel.sections["study"].tell("short")
    one = label.minimumHeight
    panel.sections["study"].tell("A long sentence that needs more than one line. " * 8)
    panel.fit_texts()
    assert label.minimumHeight >= 3 * one > 0
    panel.sections["study"].tell("")
    assert label.minimumHeight == 0


def test_a_case_is_excluded_and_included_by_the_same_button(panel, study):
    open_in(panel, study.folder)
    button, table = panel.ui.excludeButton, panel.ui.caseTable
    assert not button.enabled
    table.setCurrentCell(0, 0)
    assert button.enabled and button.text == "Exclude"
    button.click()
    until(lambda: not panel.background.is_busy)
    assert study.case("p1").excluded and table.item(0, 1).text() == "excluded"
    assert "takes no part from now on" in panel.ui.studyMessageLabel.text
    assert button.text == "Include"
    table.setCurrentCell(1, 0)
    assert button.text == "Exclude", "That case takes part."
    table.setCurrentCell(0, 0)
    button.click()
    until(lambda: not panel.background.is_busy)
    assert not study.case("p1").excluded and button.text == "Exclude"
    assert table.item(0, 1).text() != "excluded"


def test_a_case_whose_image_was_moved_is_told_where_it_lies_now(
    panel, study, tmp_path, monkeypatch
):
    from ActiveSegLoopLib.panel import places

    open_in(panel, study.folder)
    assert not panel.ui.locateButton.enabled
    panel.ui.caseTable.setCurrentCell(0, 0)
    former = study.case("p1").channels[0]
    moved = tmp_path / "elsewhere" / former.name
    moved.parent.mkdir()
    former.rename(moved)
    answers = ["", str(study.case("p2").channels[0]), str(moved)]
    dialog = SimpleNamespace(
        getOpenFileName=lambda parent, title, folder: answers.pop(0),
        getExistingDirectory=lambda parent, title, folder: pytest.fail("it isn't a DICOM folder"),
    )
    monkeypatch.setattr(places.qt, "QFileDialog", dialog, raising=False)

    def locate():
        panel.ui.locateButton.click()
        until(lambda: not panel.background.is_busy)
        return panel.ui.studyMessageLabel.text

    assert locate() == "" and study.case("p1").channels[0] == former, "the user canceled"
    assert "p1" in locate() and study.case("p1").channels[0] == former, "it was another image"
    assert locate() == f"The image of p1 is read from {moved} now."
    assert len(study.volumes(study.case("p1"))) == 1
