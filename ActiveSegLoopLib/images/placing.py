"""Label maps put onto a larger or smaller grid whose voxels coincide."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import DIRECTION_TOLERANCE, Geometry
from ActiveSegLoopLib.images.volume import Volume

_TOLERANCE = 0.01  # voxels; files round their origins


def place(labelmap: Volume, geometry: Geometry) -> Volume:
    """The label map on a grid that differs by whole voxels of shift and by size; background around.

    3D Slicer crops segmentations, so that their files cover a part of the image's grid. Raises
    ImageError when the grids' voxels don't coincide or when labeled voxels would fall outside.
    """
    offset = whole_voxel_offset(labelmap.geometry, geometry)
    if offset is None:
        difference = geometry.difference(labelmap.geometry)
        raise ImageError(f"The label map's voxels don't coincide with the image's ({difference}).")
    lost = np.count_nonzero(labelmap.array) - np.count_nonzero(_part(labelmap, offset, geometry))
    if lost:
        raise ImageError(f"{lost} labeled voxels lie outside the image.")
    array = np.zeros(geometry.shape, labelmap.array.dtype)
    low = np.maximum(offset, 0)
    part = _part(labelmap, offset, geometry)
    array[tuple(slice(a, a + n) for a, n in zip(low, part.shape))] = part
    return Volume(array, geometry)


def whole_voxel_offset(geometry: Geometry, target: Geometry) -> tuple[int, int, int] | None:
    """The target's index (z, y, x) of a grid's voxel (0, 0, 0); None unless all voxels coincide."""
    if np.abs(np.subtract(geometry.direction, target.direction)).max() > DIRECTION_TOLERANCE:
        return None
    index = target.world_to_index(geometry.corners())
    offset = np.rint(index[0])
    last = np.subtract(geometry.shape, 1)
    if np.abs(np.array([index[0] - offset, index[-1] - offset - last])).max() > _TOLERANCE:
        return None
    return tuple(int(v) for v in offset)


def _part(labelmap: Volume, offset: tuple[int, int, int], geometry: Geometry) -> np.ndarray:
    """The voxels of the label map that lie inside the target grid."""
    return labelmap.array[
        tuple(
            slice(max(0, -o), max(0, min(n, size - o)))
            for o, n, size in zip(offset, labelmap.geometry.shape, geometry.shape)
        )
    ]
