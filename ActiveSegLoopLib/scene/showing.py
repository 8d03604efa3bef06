"""Which image the slice views show: the open case's, or one that was loaded or chosen meanwhile.

Slicer shows a volume that was just loaded in all views, and so do other modules with theirs.
"""

from __future__ import annotations

from typing import Any

from ActiveSegLoopLib.scene.jumping import (
    align_views,
    composite_of,
    fit_views,
    seen,
    shown_slice,
    shows,
    slice_nodes,
)
from ActiveSegLoopLib.scene.opening import Opened
from ActiveSegLoopLib.scene.ownership import STUDY, find


def slice_of_case(opened: Opened, plane: str) -> int | None:
    """The slice of a plane in which a slice view shows the open case; None where none does."""
    return shown_slice(opened.case.geometry, plane, _images(opened))


def shows_case(opened: Opened) -> bool:
    """Whether any slice view shows the open case, in whatever plane."""
    images = _images(opened)
    return any(shows(node, images) for node in seen(slice_nodes()))


def show_again(opened: Opened) -> bool:
    """Show the open case in the slice views that show another image; returns whether any did.

    Those views are fitted to it; what lies above the image in them stays. An image that was removed
    from the scene can't be shown: the case is to be opened again.
    """
    images, volume = _images(opened), opened.volume_node
    astray = [node for node in slice_nodes() if composite_of(node) and not shows(node, images)]
    if not astray or volume.GetScene() is None:
        return False
    align_views(volume)
    fit_views(volume, astray)
    for node in astray:
        composite_of(node).SetBackgroundVolumeID(volume.GetID())
    return True


def _images(opened: Opened) -> list[Any]:
    """What may lie at the back of a view of the case: its channels, and our maps of it."""
    study = opened.segmentation_node.GetAttribute(STUDY)
    return [*opened.volume_nodes, *find("uncertainty", opened.case.name, study)]
