"""Surfaces with distances to files that 3D Slicer and ParaView open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ActiveSegLoopLib.errors import EvaluationError
from ActiveSegLoopLib.evaluation.surfaces import Surface, poly_data
from ActiveSegLoopLib.images.writing import replacing


def write_surface(
    path: str | os.PathLike, surface: Surface, arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a surface as .vtp (LPS, said in the file) with point arrays (n,), the first active.

    The file appears whole or not at all; one of that name is replaced. Raises EvaluationError for
    an empty surface, another ending, or an array that doesn't have a number for every point.
    """
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonCore import vtkStringArray
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    path = Path(path)
    if path.suffix.lower() != ".vtp":
        raise EvaluationError(f"{path} can't be written: a surface's name ends in .vtp.")
    if surface.is_empty:
        raise EvaluationError(f"{path} can't be written: the surface is empty.")
    data = poly_data(surface.points, surface.triangles)
    for name, values in arrays.items():
        if values.shape != (len(surface.points),):
            raise EvaluationError(
                f"{path} can't be written: '{name}' has {values.shape} numbers for "
                f"{len(surface.points)} points."
            )
        array = numpy_to_vtk(np.ascontiguousarray(values), deep=True)
        array.SetName(name)
        data.GetPointData().AddArray(array)
    if arrays:
        data.GetPointData().SetActiveScalars(next(iter(arrays)))
    # Where Slicer looks for the coordinate system.
    space = vtkStringArray()
    space.SetName("SPACE")
    space.InsertNextValue("LPS")
    data.GetFieldData().AddArray(space)
    with replacing(path) as temporary:
        writer = vtkXMLPolyDataWriter()
        writer.SetInputData(data)
        writer.SetFileName(str(temporary))
        if not writer.Write():
            raise EvaluationError(f"{path} can't be written: is the disk full?")
