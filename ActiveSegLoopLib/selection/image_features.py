"""What an image looks like, as numbers, without any network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ActiveSegLoopLib.images.normalization import normalize
from ActiveSegLoopLib.images.orientation import to_lps
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.selection.positions import relative_positions, runs_backwards

# Pixels or voxels of the thumbnail along each axis, and bins of the histogram.
_THUMBNAIL, _BINS = 8, 16
_OF_POSITION = 2.0


def image_features(volumes: Sequence[Volume], plane: str | None) -> np.ndarray:
    """Vectors (slices, F) of each slice of a plane, or (1, F) of the whole image (plane None).

    Per channel a thumbnail of 8 x 8 (x 8) means and a histogram of 16 bins of the normalized
    intensities, turned to LPS; then the image's size: its extent in mm for a volume, the relative
    position (0 to 1, towards superior, posterior or left) for a slice. Each of the three parts has
    about the same weight. Slices are in the order of the image's array.
    """
    parts = []
    for volume in volumes:
        upright = to_lps(volume)
        array = np.clip(normalize(upright.array, {"kind": "case"}), -3, 3)
        if plane is None:
            items = array[None]
        else:
            items = np.moveaxis(array, upright.geometry.axis_of(plane), 0)
        parts += [_thumbnails(items), _histograms(items)]
    if plane is None:
        parts.append(np.log(upright.geometry.extent)[None])
        return np.concatenate(parts, axis=1)
    # A slice's position says about as much as what is in it.
    position = relative_positions(upright.geometry, plane)
    parts.append(_OF_POSITION * position[:, None])
    found = np.concatenate(parts, axis=1)
    return found[::-1] if runs_backwards(volumes[0].geometry, plane) else found


def _thumbnails(items: np.ndarray) -> np.ndarray:
    small = items
    for axis in range(1, items.ndim):
        small = np.moveaxis(np.tensordot(small, _thinning(items.shape[axis]), (axis, 1)), -1, axis)
    flat = small.reshape(len(items), -1)
    return flat / np.sqrt(flat.shape[1])


def _thinning(size: int) -> np.ndarray:
    """Weights (thumbnail, size) that average what each pixel of the thumbnail covers."""
    edges = np.linspace(0, size, _THUMBNAIL + 1)
    low, high = edges[:-1, None], edges[1:, None]
    voxel = np.arange(size)[None]
    overlap = np.clip(np.minimum(high, voxel + 1) - np.maximum(low, voxel), 0, None)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)


def _histograms(items: np.ndarray) -> np.ndarray:
    bins = np.clip(((items + 3) * (_BINS / 6)).astype(np.int64), 0, _BINS - 1)
    counts = [np.bincount(item.ravel(), minlength=_BINS) for item in bins]
    return np.array(counts) / bins[0].size
