"""Surfaces as models colored by how far they are from another surface, with a legend in mm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.surfaces import Surface
from ActiveSegLoopLib.scene.colors import SIGNED, UNSIGNED, color_node
from ActiveSegLoopLib.scene.grids import to_ras
from ActiveSegLoopLib.scene.ownership import named

DISTANCE = "Distance (mm)"


def colored_model(
    surface: Surface,
    distances: np.ndarray,
    name: str,
    limit_mm: float = 2.0,
    signed: bool = True,
) -> Any:
    """Our model node of this name: a surface colored by its points' distances (n,) in mm.

    limit_mm: the end of the range of colors, which begins at -limit_mm where distances have a sign
    (outside the other surface is positive) and at 0 otherwise. A model of the same name that is
    ours is given the new surface, so that a comparison can be refreshed.
    """
    distances = np.asarray(distances, np.float64)
    if distances.shape != (len(surface.points),):
        raise EvaluationError(
            f"A surface of {len(surface.points)} points needs as many distances, not "
            f"{distances.size}."
        )
    data = _poly_data(surface)
    scalars = numpy_to_vtk(distances.astype(np.float32), deep=True)
    scalars.SetName(DISTANCE)
    data.GetPointData().AddArray(scalars)
    return colored_by_distance(data, name, limit_mm, signed)


def colored_by_distance(
    data: vtk.vtkPolyData, name: str, limit_mm: float = 2.0, signed: bool = True
) -> Any:
    """As colored_model, of a surface in RAS that has the point array DISTANCE already."""
    node = named("model", name, "vtkMRMLModelNode")
    node.SetAndObservePolyData(data)
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    colors = ("Signed distance", SIGNED) if signed else ("Distance", UNSIGNED)
    display.SetAndObserveColorNodeID(color_node(*colors).GetID())
    display.SetActiveScalar(DISTANCE, vtk.vtkAssignAttribute.POINT_DATA)
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseManualScalarRange)
    display.SetScalarRange(-limit_mm if signed else 0.0, limit_mm)
    display.SetScalarVisibility(True)
    return node


def set_range(node: Any, low: float, high: float) -> None:
    """The distances in mm at which the colors of a model begin and end."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise EvaluationError(f"The colors can't span {low:g} to {high:g} mm.")
    node.GetDisplayNode().SetScalarRange(low, high)


def face_cameras(node: Any) -> None:
    """Let the 3D views look at a model from where they look now, as large as it fits."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    low, high = np.array(bounds[::2]), np.array(bounds[1::2])
    found = slicer.mrmlScene.GetNodesByClass("vtkMRMLCameraNode")
    cameras = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
    found.UnRegister(None)
    for camera in cameras:
        away = np.array(camera.GetPosition()) - camera.GetFocalPoint()
        half_angle = math.radians(camera.GetViewAngle() / 2)
        distance = np.linalg.norm(high - low) / 2 / math.sin(half_angle)
        center = (low + high) / 2
        camera.SetFocalPoint(*center)
        camera.SetPosition(*(center + away * (distance / np.linalg.norm(away))))
        camera.ResetClippingRange()


def show_legend(node: Any, visible: bool = True) -> Any:
    """Show or hide the legend of a colored model in the views; returns its display node."""
    display = node.GetDisplayNode()
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(display)
    if legend is None:
        if not visible:
            return None
        legend = slicer.vtkSlicerColorLogic.AddDefaultColorLegendDisplayNode(display)
    legend.SetTitleText("mm")
    legend.SetLabelFormat("%.1f")
    legend.SetVisibility(visible)
    return legend


def _poly_data(surface: Surface) -> vtk.vtkPolyData:
    # LPS to RAS is half a turn about the vertical: triangles face outwards as before.
    points = vtk.vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(to_ras(surface.points)), deep=True))
    cells = vtk.vtkCellArray()
    triangles = np.ascontiguousarray(surface.triangles, np.int64)
    cells.SetData(
        numpy_to_vtkIdTypeArray(np.arange(0, triangles.size + 1, 3, dtype=np.int64), deep=True),
        numpy_to_vtkIdTypeArray(triangles.ravel(), deep=True),
    )
    data = vtk.vtkPolyData()
    data.SetPoints(points)
    data.SetPolys(cells)
    return data
