"""Asking where the images of a case lie now, after somebody moved them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from ActiveSegLoopLib.study.cases import Case


def ask_places(case: Case) -> list[Path] | None:
    """The place of each image of a case, in their order; None when the user cancels.

    A file is asked for, or a folder where the image was a folder of DICOM files.
    """
    places = []
    for path, is_folder in zip(case.channels, case.dicom):
        title = _("Where {name} of {case} lies now").format(name=path.name, case=case.name)
        dialog = qt.QFileDialog
        ask = dialog.getExistingDirectory if is_folder else dialog.getOpenFileName
        chosen = ask(slicer.util.mainWindow(), title, str(path.parent))
        if not chosen:
            return None
        places.append(Path(chosen))
    return places
