"""Questions before something is done that is seldom meant."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

NAME = "ActiveSegLoop"


def may_keep_whole(opened: Any) -> bool:
    """Ask before a case is kept as a whole without any label: a later model would learn that."""
    from ActiveSegLoopLib.scene.labelmaps import is_empty

    if not is_empty(opened.segmentation_node, opened.beginning.schema.ids):
        return True
    text = _(
        "Nothing is labeled in {case}. Keep the whole volume as one in which none of the labels "
        "occurs? The next model learns that from it."
    ).format(case=opened.case.name)
    return slicer.util.confirmOkCancelDisplay(text, NAME)
