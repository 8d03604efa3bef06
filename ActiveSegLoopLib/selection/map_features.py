"""What the network makes of a case or a slice, as vectors: for telling like from unlike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.orientation import lps_geometry
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.model.pooling import FeaturePool


def case_features(pools: Sequence[FeaturePool]) -> np.ndarray:
    """One float32 vector of a case: the last block's features, then the deepest block's.

    Each is averaged over the predicted foreground of all regions.
    """
    last = sum(pool.sums[0].sum(dim=1) for pool in pools)
    deep = sum(pool.deep for pool in pools)
    parts = (last / sum(pool.weights[0].sum() for pool in pools), deep[:-1] / deep[-1])
    return np.concatenate([part.numpy() for part in parts]).astype(np.float32)


def slice_features(
    pools: Sequence[FeaturePool], boxes: Sequence[Box], geometry: Geometry, plane: str
) -> np.ndarray:
    """One vector per slice of a plane of the image, (slices, channels) float32.

    The last block's features averaged over the slice's predicted foreground, or over all of it
    where there is none; 0 for slices in no region. `boxes` are those of the regions in voxels of
    the LPS-oriented volume. Raises ImageError for an unknown plane.
    """
    grid = lps_geometry(geometry)
    axis, original = grid.axis_of(plane), geometry.axis_of(plane)
    sums = np.zeros((len(pools[0].sums[axis]), grid.shape[axis]))
    weights = np.zeros(grid.shape[axis])
    for pool, box in zip(pools, boxes, strict=True):
        inside = slice(box.lower[axis], box.upper[axis])
        weights[inside] += _resampled(pool.weights[axis].numpy(), box.shape[axis])
        for row, values in zip(sums, pool.sums[axis].numpy(), strict=True):
            row[inside] += _resampled(values, box.shape[axis])
    found = np.divide(sums, weights, out=np.zeros_like(sums), where=weights > 0).T
    backwards = geometry.affine()[:3, original] @ grid.affine()[:3, axis] < 0
    return found[::-1 if backwards else 1].astype(np.float32)


def _resampled(values: np.ndarray, size: int) -> np.ndarray:
    """A profile of slices with the same edges, linearly at `size` slices."""
    positions = (np.arange(size) + 0.5) * len(values) / size - 0.5
    return np.interp(positions, np.arange(len(values)), values)
