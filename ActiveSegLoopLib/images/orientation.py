"""Images turned to LPS order and back, without touching a voxel's value."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume


def to_lps(volume: Volume) -> Volume:
    """The same voxels with array axes z, y, x growing towards superior, posterior and left.

    Axes are permuted and flipped to the order nearest to LPS; nothing is resampled, so an oblique
    image stays oblique. The array is a view where possible.
    """
    order, flipped = _turn(volume.geometry)
    array = np.transpose(volume.array, order)
    return Volume(array[_flips(flipped)], lps_geometry(volume.geometry))


def lps_geometry(geometry: Geometry) -> Geometry:
    """The grid that to_lps gives."""
    order, flipped = _turn(geometry)
    first = [0, 0, 0]  # the voxel of the original grid that becomes (0, 0, 0)
    columns = np.array(geometry.direction).reshape(3, 3)[:, ::-1]  # of the array axes z, y, x
    columns = columns[:, order].copy()
    for axis, flip in enumerate(flipped):
        if flip:
            first[order[axis]] = geometry.shape[order[axis]] - 1
            columns[:, axis] *= -1
    return Geometry(
        [geometry.shape[axis] for axis in order],
        [geometry.spacing[axis] for axis in order],
        geometry.index_to_world(first),
        columns[:, ::-1].ravel(),
    )


def from_lps(volume: Volume, geometry: Geometry) -> Volume:
    """The exact inverse of to_lps: the volume back on the original grid, voxel for voxel.

    geometry: that of the image that to_lps was given. Raises ImageError when the volume doesn't lie
    on its LPS grid.
    """
    difference = lps_geometry(geometry).difference(volume.geometry)
    if difference:
        raise ImageError(f"The volume isn't the original image turned to LPS: {difference}.")
    order, flipped = _turn(geometry)
    array = np.transpose(volume.array[_flips(flipped)], np.argsort(order))
    return Volume(array, geometry)


def _turn(geometry: Geometry) -> tuple[list[int], list[bool]]:
    """For each LPS array axis (z, y, x) the original array axis, and whether it runs backwards."""
    right_left, front_back, foot_head = geometry.lps_axes()
    order = [foot_head, front_back, right_left]
    columns = np.array(geometry.direction).reshape(3, 3)[:, ::-1]
    flipped = [bool(columns[2 - axis, order[axis]] < 0) for axis in range(3)]
    return order, flipped


def _flips(flipped: list[bool]) -> tuple[slice, ...]:
    return tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
