"""Slicer's crosshair: it shows a point in the slice views."""

from __future__ import annotations

from typing import Any

import slicer

_POINTS = "ActiveSegLoop.Points"


def point_at(ras: tuple[float, float, float]) -> None:
    """Show the crosshair at a point (RAS, mm); where it is shown already, it looks as it did."""
    node = _crosshair()
    if node is None:
        return
    if node.GetCrosshairMode() == node.NoCrosshair:
        node.SetCrosshairMode(node.ShowIntersection)
        node.SetAttribute(_POINTS, "yes")
    node.SetCrosshairRAS(*ras)


def stop_pointing() -> None:
    """Hide the crosshair if it is shown only because of `point_at`."""
    node = _crosshair()
    if node is not None and node.GetAttribute(_POINTS):
        node.RemoveAttribute(_POINTS)
        node.SetCrosshairMode(node.NoCrosshair)


def _crosshair() -> Any:
    """The one of all slice views; None in a scene without them."""
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
