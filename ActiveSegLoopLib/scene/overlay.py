"""The uncertainty of a model as a colored layer over the image in the slice views."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.colors import UNCERTAINTY, color_node
from ActiveSegLoopLib.scene.jumping import fit_views
from ActiveSegLoopLib.scene.ownership import is_ours, own
from ActiveSegLoopLib.scene.volumes import volume_node


def uncertainty_node(
    volume: Volume, name: str, case: str | None = None, study: object | None = None
) -> Any:
    """A volume node that shows where a model is unsure: colored, and clear where it is sure.

    volume: a score per voxel from 0 on. The colors span 0 to the largest score, and the lowest
    tenth of them isn't shown; see set_threshold.
    """
    node = own(volume_node(volume, name), "uncertainty", case, study)
    highest = float(np.max(volume.array)) or 1.0
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(color_node("Uncertainty", UNCERTAINTY).GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, highest)
    display.SetInterpolate(False)
    set_threshold(node, 0.1 * highest)
    return node


def set_threshold(node: Any, lower: float) -> None:
    """Show only the voxels of an overlay from this score on."""
    display = node.GetDisplayNode()
    display.SetAutoThreshold(False)
    display.SetApplyThreshold(True)
    display.SetThreshold(lower, float(np.finfo(np.float32).max))


def show(volume_node: Any, overlay_node: Any = None, opacity: float = 0.5) -> None:
    """Show an image in all slice views, with an overlay above it or without one.

    The views are fitted to an image that wasn't shown before. Another foreground of ours is taken
    off; one that the user has chosen stays.
    """
    composites = composite_nodes()
    if any(node.GetBackgroundVolumeID() != volume_node.GetID() for node in composites):
        fit_views(volume_node)
    for node in composites:
        node.SetBackgroundVolumeID(volume_node.GetID())
        if overlay_node is not None:
            node.SetForegroundVolumeID(overlay_node.GetID())
            node.SetForegroundOpacity(opacity)
        elif _shows_ours(node):
            node.SetForegroundVolumeID(None)


def set_opacity(value: float) -> None:
    """How much of the overlay is seen, from 0 to 1."""
    for node in composite_nodes():
        if _shows_ours(node):
            node.SetForegroundOpacity(value)


def hide() -> None:
    """Take our overlay off the slice views; its node stays."""
    for node in composite_nodes():
        if _shows_ours(node):
            node.SetForegroundVolumeID(None)


def composite_nodes() -> list[Any]:
    """The nodes that say which volumes the slice views show."""
    found = slicer.mrmlScene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    nodes = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    found.UnRegister(None)
    return nodes


def _shows_ours(composite: Any) -> bool:
    node = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
    return node is not None and is_ours(node)
