"""Numbers per slice or volume from what a model says of each voxel."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.study.schema import LabelSchema


def as_items(array: np.ndarray, geometry: Geometry, plane: str | None) -> np.ndarray:
    """The voxels of each slice of a plane (slices, voxels), or all in one row (plane None)."""
    if plane is None:
        return array.reshape(1, -1)
    axis = geometry.axis_of(plane)
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def count_foreground(labelmap: Volume, plane: str | None, schema: LabelSchema) -> np.ndarray:
    """Voxels of each label (the schema's order) in each slice, or the volume: int (items, labels).
    """
    items = as_items(labelmap.array, labelmap.geometry, plane)
    values = [label.value for label in schema.labels]
    return np.array([np.bincount(item, minlength=256)[values] for item in items])
