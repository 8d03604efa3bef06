"""Slicer's own choice of a terminology entry, in a dialog."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

_SIZE = 700, 600  # pixels: beside the types there is room for their categories


def choose_terminology(entry: str | None, parent: Any) -> str | None:
    """The entry that the user chooses, as Slicer writes it in a file; None when canceled.

    Without an entry the choice begins where Slicer's own does for a new segment.
    """
    logic = slicer.modules.terminologies.logic()
    chosen = slicer.vtkSlicerTerminologyEntry()
    dialog = qt.QDialog(parent)
    dialog.windowTitle = _("Terminology of the label")
    navigator = slicer.qSlicerTerminologyNavigatorWidget()
    navigator.overrideSectionVisible = False  # name and color are in the table
    buttons = qt.QDialogButtonBox()
    buttons.setStandardButtons(qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel)
    layout = qt.QVBoxLayout(dialog)
    layout.addWidget(navigator)
    layout.addWidget(buttons)
    if logic.DeserializeTerminologyEntry(entry or slicer.vtkSegment().GetTerminology(), chosen):
        navigator.setTerminologyEntry(chosen)
    dialog.resize(*_SIZE)
    buttons.connect("accepted()", dialog.accept)
    buttons.connect("rejected()", dialog.reject)
    accepted = dialog.exec_() == qt.QDialog.Accepted and navigator.terminologyEntry(chosen)
    dialog.deleteLater()
    return logic.SerializeTerminologyEntry(chosen) if accepted else None
