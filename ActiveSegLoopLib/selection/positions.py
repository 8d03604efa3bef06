"""Where slices lie in an image, in the directions of the patient."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry

_WORLD_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}  # LPS


def runs_backwards(geometry: Geometry, plane: str) -> bool:
    """Whether slices are numbered towards inferior (axial), anterior (coronal) or right."""
    return bool(geometry.affine()[_WORLD_AXIS[plane], geometry.axis_of(plane)] < 0)


def relative_positions(geometry: Geometry, plane: str) -> np.ndarray:
    """Where each slice lies (slices,), from 0 to 1 towards superior, posterior or left."""
    count = geometry.shape[geometry.axis_of(plane)]
    positions = (np.arange(count) + 0.5) / count
    return 1 - positions if runs_backwards(geometry, plane) else positions
