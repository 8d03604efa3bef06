"""Grids as MRML and VTK describe them (RAS, x y z) and as the engine does (LPS, z y x)."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry

_FLIP = np.diag((-1.0, -1.0, 1.0, 1.0))  # between RAS and LPS


def ras_matrix(geometry: Geometry) -> vtk.vtkMatrix4x4:
    """The matrix from voxel index i, j, k (x, y, z) to RAS in mm."""
    affine = geometry.affine()
    affine[:, :3] = affine[:, 2::-1]
    return to_vtk(_FLIP @ affine)


def geometry_from(matrix: vtk.vtkMatrix4x4, dimensions: tuple[int, ...], name: str) -> Geometry:
    """The geometry of a grid: its matrix from i, j, k to RAS, its voxels along i, j, k.

    Raises ImageError, naming the node, for a grid without voxels or one that is sheared.
    """
    if min(dimensions) < 1:
        raise ImageError(f"'{name}' has no voxels: load or choose another one.")
    lps = _FLIP @ to_numpy(matrix)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    try:
        return Geometry(
            tuple(dimensions)[::-1], tuple(spacing)[::-1], tuple(lps[:3, 3]),
            tuple((lps[:3, :3] / spacing).ravel()),
        )
    except ImageError as error:
        raise ImageError(f"'{name}' can't be used: {error}") from error


def to_ras(points: Any) -> np.ndarray:
    """RAS points (..., 3) of LPS points, and the other way round."""
    return np.asarray(points, float) * (-1.0, -1.0, 1.0)


def to_vtk(matrix: np.ndarray) -> vtk.vtkMatrix4x4:
    """A 4x4 matrix for VTK."""
    made = vtk.vtkMatrix4x4()
    made.DeepCopy(np.ascontiguousarray(matrix, float).ravel().tolist())
    return made


def to_numpy(matrix: vtk.vtkMatrix4x4) -> np.ndarray:
    """A 4x4 matrix of VTK."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def require_no_transform(node: Any) -> None:
    """Raise ImageError for a node whose place in the world isn't that of its own grid."""
    transform = node.GetParentTransformNode()
    if transform is not None:
        raise ImageError(
            f"'{node.GetName()}' is moved by the transform '{transform.GetName()}': harden or "
            "remove the transform first."
        )
