"""The section Study: a study's folder, its labels, and the images in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from ActiveSegLoopLib.panel.adding import Adding
from ActiveSegLoopLib.panel.icons import set_icons
from ActiveSegLoopLib.panel.labels import Labels
from ActiveSegLoopLib.panel.overview import overview, role_text, state_text, study_text
from ActiveSegLoopLib.panel.places import ask_places
from ActiveSegLoopLib.panel.section import Section, guarded, pressed
from ActiveSegLoopLib.panel.tables import current_key, fill, key_of, stretch


class StudySection(Section):
    """Opens and creates studies and shows their cases."""

    name = "study"

    def setup(self) -> None:
        """Fill and connect the widgets."""
        set_icons(
            (self.ui.openButton, "SP_DirOpenIcon"),
            (self.ui.createButton, "SP_FileDialogNewFolder"),
        )
        self.excluded: set[str] = set()
        self.labels = Labels(self)
        self.adding = Adding(self)
        # An emptied line and a folder that doesn't exist yet change only the line's text.
        self.ui.studyPathLineEdit.comboBox().connect("editTextChanged(QString)", self.on_path)
        self.ui.studyPathLineEdit.connect("currentPathChanged(QString)", self.on_path)
        self.ui.openButton.connect("clicked(bool)", self.on_open)
        self.ui.createButton.connect("clicked(bool)", self.on_create)
        self.ui.caseSearchBox.connect("textChanged(QString)", self.on_filter)
        self.ui.caseTable.connect("cellDoubleClicked(int,int)", self.on_case_double_clicked)
        self.ui.caseTable.connect("itemSelectionChanged()", self.on_case_selected)
        self.ui.openCaseButton.connect("clicked(bool)", self.on_open_case)
        self.ui.locateButton.connect("clicked(bool)", self.on_locate)
        self.ui.excludeButton.connect("clicked(bool)", self.on_exclude)
        stretch(self.ui.caseTable, 0)
        # By the click on a heading, and not before: in the order in which they were added.
        self.ui.caseTable.horizontalHeader().setSortIndicator(-1, qt.Qt.AscendingOrder)
        self.on_path()
        self.show_study()

    @guarded
    def on_path(self) -> None:
        """The line names another folder."""
        named = bool(self.ui.studyPathLineEdit.currentPath.strip())
        self.ui.openButton.enabled = named
        self.ui.createButton.enabled = named

    @pressed
    def on_open(self) -> None:
        """Open the study in the chosen folder."""
        folder = self.ui.studyPathLineEdit.currentPath.strip()
        self.panel.when_ready(lambda: self.open_folder(folder))

    @pressed
    def on_create(self) -> None:
        """Make a study in the chosen folder, with the labels of the table."""
        folder = self.ui.studyPathLineEdit.currentPath.strip()
        # With a study open, the table shows its labels: they are the new study's, too.
        schema = self.labels.schema()
        self.panel.when_ready(lambda: self.create_folder(folder, schema))

    @guarded
    def create_folder(self, folder: str, schema: Any) -> None:
        """Make a study in this folder, or say in one sentence why it can't be."""
        self._opened(self.logic.loop.create_study(folder, schema))
        self.tell(_("The study was created. Add images to it next."))

    @guarded
    def open_folder(self, folder: str) -> None:
        """Open the study in a folder, or say in one sentence why it can't be opened."""
        if self.study is not None and Path(folder).resolve() == self.study.folder:
            self.panel.show_study()  # it is open; others may have worked on it
            return
        self._opened(self.logic.loop.open_study(folder))

    def close_study(self) -> None:
        """Its labels, roles and patients are not those of the next study."""
        self.labels.labels = []
        self.adding.close_study()

    def scene_closed(self) -> None:
        """What was open and not accepted is kept as a draft: the table shows that."""
        self.show_study()

    def tell_missing(self, folder: str) -> None:
        """The scene names a study that isn't there any more."""
        self.tell(
            _("The study of this scene, {folder}, isn't there: open it where it lies now.").format(
                folder=folder
            )
        )

    def show_study(self) -> None:
        """Show the labels, and ask for the cases."""
        self.labels.show()
        study = self.study
        self.adding.show()
        self.ui.caseSearchBox.enabled = study is not None
        if study is None:
            self.ui.studyLabel.text = _(
                "Choose a folder: open the study in it, or write down the labels and create one."
            )
            fill(self.ui.caseTable, [])
            return
        self.panel.background.start(lambda: overview(study), self._show_cases, self.tell_error)

    @guarded
    def on_filter(self) -> None:
        """Show only the rows with the words of the search box."""
        words = self.ui.caseSearchBox.text.casefold().split()
        table = self.ui.caseTable
        for row in range(table.rowCount):
            cells = [table.item(row, column) for column in range(table.columnCount)]
            text = " ".join(cell.text() for cell in cells if cell is not None).casefold()
            table.setRowHidden(row, not all(word in text for word in words))

    @guarded
    def on_case_selected(self) -> None:
        """A row was chosen, or none."""
        name = current_key(self.ui.caseTable)
        for button in (self.ui.openCaseButton, self.ui.locateButton, self.ui.excludeButton):
            button.enabled = name is not None
        self.ui.excludeButton.text = _("Include") if name in self.excluded else _("Exclude")

    @guarded
    def on_case_double_clicked(self, row: int, column: int) -> None:
        """Open the case of this row."""
        self.panel.open_case(key_of(self.ui.caseTable, row))

    @pressed
    def on_open_case(self) -> None:
        """Open the case of the chosen row."""
        self.panel.open_case(current_key(self.ui.caseTable))

    @pressed
    def on_locate(self) -> None:
        """Ask where the image of the chosen case lies now that it was moved."""
        study, case = self.study, self.study.case(current_key(self.ui.caseTable))
        places = ask_places(case)
        if places is None:
            return

        def located(case: Any) -> None:
            self.tell(
                _("The image of {case} is read from {places} now.").format(
                    case=case.name, places=", ".join(map(str, case.channels))
                )
            )

        self.panel.background.start(
            lambda: study.relocate(case, places), located, self.tell_error
        )

    @pressed
    def on_exclude(self) -> None:
        """Leave the chosen case out from now on, or take it in again."""
        study, case = self.study, self.study.case(current_key(self.ui.caseTable))
        if case.excluded:
            study.include(case)
            self.tell(_("{case} takes part again.").format(case=case.name))
        else:
            study.exclude(case)
            self.tell(
                _("{case} takes no part from now on. Its labels stay.").format(case=case.name)
            )
        self.panel.show_study()

    def _opened(self, study: Any) -> None:
        line = self.ui.studyPathLineEdit
        if Path(line.currentPath) != study.folder:
            line.currentPath = str(study.folder)
        line.addCurrentPathToHistory()
        self.panel.open_study(study)

    def _show_cases(self, found: Any) -> None:
        if self.study is None or found.folder != self.study.folder:
            return  # another study was opened meanwhile
        self.ui.studyLabel.text = study_text(found)
        self.excluded = {case.name for case in found.cases if case.is_excluded}
        rows = [
            (
                case.name,
                (case.name, state_text(case), role_text(case.role),
                 "" if case.group == case.name else case.group),
            )
            for case in found.cases
        ]
        fill(self.ui.caseTable, rows)
        self.on_filter()
        self.on_case_selected()
