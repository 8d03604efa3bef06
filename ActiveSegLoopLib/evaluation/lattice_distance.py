"""The exact distance between unsmoothed surfaces of label maps on one grid, by looking it up.

Such a surface consists of pieces, one per cube of 2 x 2 x 2 voxels, which are the same wherever
the same of the eight voxels belong to the structure; and its points lie in the middle between two
voxels. So there are 256 pieces, three kinds of points and a few hundred places of one relative to
the other within some voxels: their distances are computed once. A point then looks up the pieces
around it, the nearest cubes first, until no other cube is near enough to matter. Points farther
away than the table reaches are left to the general search.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ActiveSegLoopLib.evaluation.surfaces import Lattice, flying_edges
from ActiveSegLoopLib.evaluation.triangle_distance import squared_distance, triangle_table

_CUBES = 420  # of the table, about: those within a ball around a point
_FIRST = 12  # of them looked at first, then more and more
_GROWTH = 1.6
_PAIRS = 1 << 15  # of point and cube at once
_WORTHWHILE = 64  # points that are left


def lattice_distances(points: Lattice, surface: Lattice) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n,) in mm of a lattice's surface points from another's surface; who is inside it.

    The second array is bool. Distances of points that are farther away than was looked are NaN.
    """
    spacing = surface.geometry.spacing
    margin = np.max([_margin(kind, spacing) for kind in range(3)], axis=0)
    # With such a margin cubes over the border of the array, which are read as others in the flat
    # array, are in the margin too, and as empty as they should be.
    mask = np.pad(surface.mask, [(m, m) for m in margin])
    strides = (mask.shape[1] * mask.shape[2], mask.shape[2], 1)
    flat = mask.ravel()
    codes = _codes(flat.view(np.uint8), strides)
    shift = np.array(points.offset) - surface.offset + margin
    low = [(row >> 1) + by for row, by in zip(points.doubled, shift.tolist())]
    reached = np.ones(low[0].size, bool)
    for row, n in zip(low, mask.shape):
        reached &= (row >= 0) & (row < n - 1)
    place = low[0].astype(np.intp) * strides[0] + low[1] * strides[1] + low[2]
    distance = np.full(place.size, np.nan)
    inside = np.zeros(place.size, bool)
    for kind in range(3):
        mine = np.flatnonzero(reached & ((points.doubled[kind] & 1) == 1))
        here = place[mine]
        first, second = flat[here], flat[here + strides[kind]]
        inside[mine] = first & second
        found = np.where(first != second, 0.0, np.nan)  # between two such voxels is the surface
        off = np.flatnonzero(first == second)
        found[off] = _look_up(codes, here[off], strides, kind, spacing)
        distance[mine] = found
    return distance, inside


def _codes(flat: np.ndarray, strides: tuple[int, int, int]) -> np.ndarray:
    """Of the cube at each voxel which corners are set: bit x + 2 y + 4 z; the last ones lack."""
    for step, weight in zip(strides[::-1], (2, 4, 16)):
        flat = flat[:-step] + flat[step:] * np.uint8(weight)
    return flat


def _margin(kind: int, spacing: tuple[float, float, float]) -> np.ndarray:
    return np.abs(_cubes(kind, spacing)[0]).max(axis=0) + 1


def _look_up(
    codes: np.ndarray,
    place: np.ndarray,
    strides: tuple[int, int, int],
    kind: int,
    spacing: tuple[float, float, float],
) -> np.ndarray:
    """The distances in mm of points of a kind at places in the codes; NaN where out of reach."""
    offsets, bounds = _cubes(kind, spacing)
    steps = offsets @ np.array(strides)
    result = np.full(place.size, np.nan)
    left, best = np.arange(place.size), np.full(place.size, np.inf)
    first, last = 0, _FIRST
    while first < len(steps) and left.size > (_WORTHWHILE if first else 0):
        last = min(last, len(steps))
        table = _table(kind, spacing, first, last)
        row = 256 * np.arange(last - first)[:, None]
        chunk = max(1, _PAIRS // (last - first))
        for start in range(0, left.size, chunk):
            part = slice(start, start + chunk)
            code = codes.take(place[part] + steps[first:last, None], mode="clip")
            near = table.take(code + row, mode="clip").min(axis=0)
            np.minimum(best[part], near, out=best[part])
        done = best <= bounds[last]  # no cube that wasn't looked at begins nearer
        result[left[done]] = best[done]
        keep = ~done
        left, best, place = left[keep], best[keep], place[keep]
        first, last = last, last + int((last - first) * _GROWTH)
    return result


@lru_cache(maxsize=64)
def _cubes(kind: int, spacing: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Cubes (k, 3) relative to a point's, nearest first, and how near (k + 1) in mm they begin.

    The last bound is of what isn't listed.
    """
    size = np.array(spacing)
    reach = (_CUBES * size.prod() * 3 / (4 * np.pi)) ** (1 / 3)
    wide = np.ceil(reach / size).astype(int) + 1
    grid = np.stack(np.meshgrid(*(np.arange(-w, w + 1) for w in wide), indexing="ij"), axis=-1)
    offsets = grid.reshape(-1, 3)
    point = np.where(np.arange(3) == kind, 0.5, 0.0)
    gap = np.maximum(np.maximum(offsets - point, point - offsets - 1), 0) * size
    distance = np.sqrt((gap**2).sum(axis=1))
    order = np.argsort(distance, kind="stable")
    count = int(np.searchsorted(distance[order], reach))
    return offsets[order[:count]], distance[order[: count + 1]]


@lru_cache(maxsize=512)
def _table(
    kind: int, spacing: tuple[float, float, float], first: int, last: int
) -> np.ndarray:
    """Distances in mm ((last - first) * 256,) of a point from each piece in each such cube."""
    triangles, pieces = _pieces()
    size = np.array(spacing)
    offsets, _ = _cubes(kind, spacing)
    point = (np.where(np.arange(3) == kind, 0.5, 0.0) - offsets[first:last]) * size
    table = triangle_table(*(triangles * size).transpose(1, 2, 0))
    squared = squared_distance(table[:, None, :], point.T[:, :, None])
    squared = np.concatenate([squared, np.full((len(point), 1), np.inf)], axis=1)
    nearest = squared[:, pieces[:, 0]]
    for column in pieces.T[1:]:
        np.minimum(nearest, squared[:, column], out=nearest)
    return np.sqrt(nearest).ravel()


@lru_cache(maxsize=1)
def _pieces() -> tuple[np.ndarray, np.ndarray]:
    """The triangles (t, 3 corners, 3: z, y, x) that pieces are made of, in a cube from 0 to 1.

    And for each of the 256 codes the numbers of its triangles (256, most), filled up with t.
    They are taken from VTK itself, so that they are those of the surface.
    """
    bits = np.arange(256)[:, None, None, None] >> np.arange(8).reshape(2, 2, 2) & 1
    # Every second cube of this row of cubes has the code wanted.
    row = np.concatenate(list(bits), axis=2).astype(bool)
    index, triangles = flying_edges(row)
    corners = index[triangles]
    number = np.floor(corners.mean(axis=1)[:, 2]).astype(int)
    wanted = number % 2 == 0
    corners, number = corners[wanted], number[wanted]
    corners[:, :, 2] -= number[:, None]
    doubled = np.rint(2 * corners).astype(int)
    doubled = np.take_along_axis(doubled, np.lexsort(doubled.transpose(2, 0, 1))[..., None], 1)
    unique, which = np.unique(doubled.reshape(-1, 9), axis=0, return_inverse=True)
    codes = number // 2
    count = np.bincount(codes, minlength=256)
    pieces = np.full((256, count.max()), len(unique))
    order = np.argsort(codes, kind="stable")
    column = np.arange(len(codes)) - np.repeat(np.cumsum(count) - count, count)
    pieces[codes[order], column] = which.ravel()[order]
    return unique.reshape(-1, 3, 3) / 2, pieces
