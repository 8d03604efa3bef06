"""One grid seen from another: scaled axis by axis, or turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import POSITION_TOLERANCE, Geometry


def with_spacing(geometry: Geometry, spacing: Sequence[float]) -> Geometry:
    """The grid with about this spacing (z, y, x; mm) and the same extent, edge to edge.

    shape = max(1, round(extent / spacing)); the spacing is then adjusted so that the voxels fill
    the extent exactly. Direction is kept. Raises ImageError for spacings that aren't positive.
    """
    wanted = np.asarray(spacing, float)
    if wanted.shape != (3,) or not np.all(np.isfinite(wanted)) or wanted.min() <= 0:
        raise ImageError(f"A spacing needs three positive numbers (z, y, x; mm), not {spacing}.")
    extent = np.asarray(geometry.extent)
    shape = np.maximum(1, np.rint(extent / wanted)).astype(int)
    if tuple(shape) == geometry.shape:
        return geometry
    adjusted = extent / shape
    # The outer edge of the first voxel stays where it is.
    first = (adjusted / geometry.spacing - 1) / 2
    return Geometry(shape, adjusted, geometry.index_to_world(first), geometry.direction)


_SMALL = 1 << 28  # multiplications up to which a matrix product costs less than its bookkeeping


@dataclass(frozen=True)
class AxisMap:
    """One axis of a grid seen from another: voxel i of the target lies at step * i + start."""

    source: int  # number of voxels
    target: int
    step: float  # in source voxels, larger than 0
    start: float

    @property
    def centers(self) -> np.ndarray:
        """Where the target's voxels lie, in source voxels."""
        return self.step * np.arange(self.target) + self.start

    def cropped(self, source: tuple[int, int], target: tuple[int, int]) -> AxisMap:
        """The same between the half-open ranges of source and target voxels."""
        start = self.step * target[0] + self.start - source[0]
        return AxisMap(source[1] - source[0], target[1] - target[0], self.step, start)


def axis_maps(source: Geometry, target: Geometry) -> tuple[AxisMap, AxisMap, AxisMap] | None:
    """How a target grid maps onto a source grid axis by axis (z, y, x); None when it is turned."""
    matrix = np.linalg.inv(source.affine()) @ target.affine()
    scale, start = matrix[:3, :3], matrix[:3, 3]
    steps = np.diag(scale)
    drift = np.abs(scale - np.diag(steps)) * np.asarray(target.shape)
    if steps.min() <= 0 or drift.max() > POSITION_TOLERANCE:
        return None
    return tuple(
        AxisMap(source.shape[a], target.shape[a], *_tidy(steps[a], start[a], target.shape[a]))
        for a in range(3)
    )


def _tidy(step: float, start: float, count: int) -> tuple[float, float]:
    """Without rounding errors, so that what should coincide does so exactly."""
    near = round(step * 720) / 720  # multiples and simple fractions of a voxel
    if abs(near - step) * count < POSITION_TOLERANCE and near > 0:
        step = near
    near = round(start * 1440) / 1440
    return step, near if abs(near - start) < POSITION_TOLERANCE / 10 else start


def smooth_weights(axis: AxisMap) -> np.ndarray:
    """Weights (target, source) of linear interpolation that doesn't alias.

    A triangle as wide as the coarser of the two grids' voxels, as in Pillow's and PyTorch's
    antialiased bilinear resizing, corrected so that linear ramps are reproduced exactly; the border
    voxel is repeated outside. Rows sum to 1.
    """
    width = max(1.0, axis.step)
    around = int(np.ceil(2 * width))
    voxels = np.arange(-around, axis.source + around)
    centers = np.clip(axis.centers, -width, axis.source - 1 + width)[:, None]
    weights = np.maximum(1 - np.abs(voxels - centers) / width, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    if width > 1:
        mean = weights @ voxels
        away = voxels - mean[:, None]
        slope = (centers[:, 0] - mean) / (weights * away**2).sum(axis=1)
        weights *= 1 + slope[:, None] * away
    weights[:, around] += weights[:, :around].sum(axis=1)
    weights[:, -around - 1] += weights[:, -around:].sum(axis=1)
    return weights[:, around:-around].astype(np.float32)


def apply_weights(array: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Apply one matrix (target, source) of weights to each axis of a 3D array; float32.

    Axes that shrink go first and those that grow last, so the work is that of the small side.
    """
    spans = [_used(matrix) for matrix in weights]
    array = array[tuple(slice(*span) for span in spans)]
    weights = [matrix[:, slice(*span)] for matrix, span in zip(weights, spans)]
    grows = [axis for axis in (2, 1, 0) if len(weights[axis]) > array.shape[axis]]
    for axis in [axis for axis in range(3) if axis not in grows] + grows:
        array = _along(array, axis, weights[axis])
    return array.astype(np.float32, copy=False)


def _used(matrix: np.ndarray) -> tuple[int, int]:
    """The range of source voxels that have any weight."""
    used = np.flatnonzero(matrix.any(axis=0))
    return (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)


def _along(array: np.ndarray, axis: int, matrix: np.ndarray) -> np.ndarray:
    if matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.eye(len(matrix))):
        return array
    if axis == 2:
        rows = array.reshape(-1, array.shape[2]).astype(np.float32, copy=False)
        return (rows @ matrix.T).reshape(*array.shape[:2], len(matrix))
    if array.size * len(matrix) <= _SMALL:
        if axis == 1:
            return matrix @ array.astype(np.float32, copy=False)
        rows = array.reshape(len(array), -1).astype(np.float32, copy=False)
        return (matrix @ rows).reshape(len(matrix), *array.shape[1:])
    # Weighted sums of whole planes or rows: no voxel is visited more often than it has weights,
    # and a large integer image is never held as floats.
    shape = list(array.shape)
    shape[axis] = len(matrix)
    result = np.zeros(shape, np.float32)
    source, target = np.moveaxis(array, axis, 0), np.moveaxis(result, axis, 0)
    product = np.empty(source.shape[1:], np.float32)
    for number, row in enumerate(matrix):
        for place in np.flatnonzero(row):
            np.multiply(source[place], row[place], out=product, casting="unsafe")
            target[number] += product
    return result
