"""The length of outlines in slices: what a person draws, and what a correction adds to it."""

from __future__ import annotations

import numpy as np

from ActiveSegLoopLib.images.volume import Volume


def contour_mm(labels: Volume, plane: str, indices, known: Volume | None = None) -> float:
    """Length in mm of the outlines of all structures in slices of a plane.

    Outlines run along the voxels' edges, so oblique ones count up to 1.41 times their length; an
    edge that two structures share counts once. known: a label map whose outlines are there
    already; only those that aren't count (the added path length, Vaassen et al. 2020).
    """
    axis = labels.geometry.axis_of(plane)
    slices = _outward(labels.array, axis)[list(indices)]
    before = None if known is None else _outward(known.array, axis)[list(indices)]
    spacing = [labels.geometry.spacing[a] for a in range(3) if a != axis]
    total = 0.0
    for across in (0, 1):
        edges = _edges(slices, across + 1)
        if before is not None:
            edges &= ~_edges(before, across + 1)
        # An edge between neighbors along one axis runs along the other.
        total += float(np.count_nonzero(edges)) * spacing[1 - across]
    return total


def _outward(array: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(array, axis, 0)


def _edges(slices: np.ndarray, axis: int) -> np.ndarray:
    """Where neighbors along an axis differ; beyond the image is background."""
    width = [(0, 0)] * slices.ndim
    width[axis] = (1, 1)
    padded = np.pad(slices, width)
    first = np.take(padded, range(padded.shape[axis] - 1), axis)
    second = np.take(padded, range(1, padded.shape[axis]), axis)
    return first != second
