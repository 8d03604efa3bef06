"""Signed distances (mm, negative inside) of the simple shapes that anatomy is composed of.

Coordinates are arrays x, y, z (mm) that broadcast against each other; points are x, y, z.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from ActiveSegLoopLib.simulation.canvas import Canvas, Region

FAR = 1e3  # a distance that counts as outside


def ellipse(x, y, center: Sequence[float], radii: Sequence):
    """Distance to an ellipse in a plane, first order: exact on the edge and in a circle."""
    return _first_order([(x - center[0], radii[0]), (y - center[1], radii[1])])


def ellipsoid(x, y, z, center: Sequence[float], radii: Sequence):
    """Distance to an ellipsoid along the axes, first order: exact on the surface and a sphere."""
    offsets = (x - center[0], y - center[1], z - center[2])
    return _first_order(list(zip(offsets, radii)))


def _first_order(parts):
    # Level k0 - 1 divided by the length of its gradient, k1 / k0.
    scaled = [p / r for p, r in parts]
    k0 = np.sqrt(sum(s * s for s in scaled))
    k1 = np.sqrt(sum((s / r) ** 2 for s, (_, r) in zip(scaled, parts)))
    return k0 * (k0 - 1) / np.maximum(k1, 1e-6)


def union(first, second, blend: float):
    """Smooth union: the smaller distance, rounded over `blend` mm where both are close."""
    h = np.maximum(blend - np.abs(first - second), 0) / blend
    return np.minimum(first, second) - h * h * (blend / 4)


def intersection(first, second, blend: float):
    """Smooth intersection: the larger distance, rounded over `blend` mm where both are close."""
    return -union(-first, -second, blend)


def curve(points: Sequence[Sequence[float]], step: float = 3.0) -> np.ndarray:
    """A smooth curve through the points, sampled about every `step` mm: (n, columns).

    Columns after the third (radii, for instance) are interpolated linearly.
    """
    points = np.asarray(points, dtype=float)
    lengths = np.linalg.norm(np.diff(points[:, :3], axis=0), axis=1)
    # Points almost on top of each other would make the spline overshoot.
    along = np.concatenate([[0], np.cumsum(np.maximum(lengths, 3.0))])
    at = np.linspace(0, along[-1], max(2, int(np.ceil(along[-1] / step)) + 1))
    rest = [np.interp(at, along, column) for column in points[:, 3:].T]
    slopes = np.gradient(points[:, :3], along, axis=0)
    return np.column_stack([CubicHermiteSpline(along, points[:, :3], slopes)(at), *rest])


def tube(canvas: Canvas, path: np.ndarray, extra: float = 0.0) -> tuple[Region, np.ndarray]:
    """Distance to a tube along `path`, rows of (x, y, z, radius), and the region that holds it.

    The radius changes linearly along each piece (rounded cones); `extra` mm are added around.
    """
    path = np.asarray(path, dtype=float)
    reach = path[:, 3].max() + extra + canvas.voxel
    region = canvas.region(path[:, :3].min(axis=0) - reach, path[:, :3].max(axis=0) + reach)
    distance = np.full(region.shape, FAR, dtype=np.float32)
    base = [part.start for part in region.slices]
    for start, end in zip(path[:-1], path[1:]):
        near = max(start[3], end[3]) + extra + canvas.voxel
        low = np.minimum(start[:3], end[:3]) - near
        high = np.maximum(start[:3], end[:3]) + near
        piece = canvas.region(low, high)
        if 0 in piece.shape:
            continue
        local = tuple(slice(s.start - b, s.stop - b) for s, b in zip(piece.slices, base))
        view = distance[local]
        np.minimum(view, cone(piece.x, piece.y, piece.z, start, end), out=view)
    return region, distance


def cone(x, y, z, start: Sequence[float], end: Sequence[float]) -> np.ndarray:
    """Distance to a piece of tube between two points (x, y, z, radius), first order."""
    start, end = [float(s) for s in start], [float(e) for e in end]
    axis = [e - s for s, e in zip(start[:3], end[:3])]
    offset = [x - start[0], y - start[1], z - start[2]]
    length = max(sum(a * a for a in axis), 1e-9)
    t = np.clip(sum(o * a for o, a in zip(offset, axis)) / length, 0, 1)
    squared = sum((o - t * a) ** 2 for o, a in zip(offset, axis))
    return np.sqrt(squared) - (start[3] + t * (end[3] - start[3]))

