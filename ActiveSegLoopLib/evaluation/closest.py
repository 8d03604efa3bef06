"""The exact closest point on a surface's triangles, for many points at once.

The closest point lies on a face, an edge or a corner of some triangle, and the way there is at
right angles to that face or edge. So one of the triangle's corners is at most sqrt(d^2 + r^2) away
(d the distance sought, r the triangle's reach: how far a point in it can be from its nearest
corner). It is enough to look at the triangles of the nearest few corners; where the last corner
looked at isn't yet too far away to matter, more are looked at. The result is exact.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from ActiveSegLoopLib.evaluation.surfaces import Surface
from ActiveSegLoopLib.evaluation.triangle_distance import (
    squared_distance,
    squared_reach,
    triangle_table,
    unit_normals,
    way_to,
)

_FIRST_CORNERS = 5  # nearest corners in the first try
_MORE = 2  # times as many in each further one
_CHUNK = 4096  # pairs of point and triangle at once: their numbers stay in the cache
_FEW = 20  # times as many are many
_CLASS_RATIO = 4.0  # of the reaches within one search tree


def closest_distances(points: np.ndarray, surface: Surface, signed: bool = True) -> np.ndarray:
    """Distances (n,) in mm of points (n, 3) LPS from a surface that isn't empty; negative inside.

    The sign is that of the angle-weighted pseudonormal (Baerentzen and Aanaes 2005, Signed distance
    computation using the angle weighted pseudonormal); the surface must be closed for it.
    """
    if len(points) * _FEW < len(surface.triangles):
        surface = _neighborhood(points, surface)
    return _ClosestPoints(surface).find(points, signed)


def _neighborhood(points: np.ndarray, surface: Surface) -> Surface:
    """The triangles that can be closest to some of a few points, with those around them."""
    corner = np.ascontiguousarray(surface.triangles.T)
    used = np.zeros(len(surface.points), bool)
    used[surface.triangles.ravel()] = True
    tree = cKDTree(surface.points[used], balanced_tree=False, compact_nodes=False)
    distance, _ = tree.query(points)
    # No triangle's reach exceeds that of an equilateral one with its longest edge.
    reach = np.sqrt(distance**2 + _longest_edge2(surface, corner) / 3) * (1 + 1e-9)
    numbers = np.flatnonzero(used)
    near = np.zeros(len(surface.points), bool)
    for found in tree.query_ball_point(points, reach, return_sorted=False):
        near[numbers[found]] = True
    triangles = surface.triangles[near[corner[0]] | near[corner[1]] | near[corner[2]]]
    numbers = np.unique(triangles)
    return Surface(surface.points[numbers], np.searchsorted(numbers, triangles))


def _longest_edge2(surface: Surface, corner: np.ndarray) -> float:
    """The squared length of the longest edge, or what it can't exceed."""
    if surface.lattice is not None:
        return float(np.sum(np.square(surface.lattice.geometry.spacing)))  # within one cube
    columns = np.ascontiguousarray(surface.points.T)
    longest = 0.0
    for i in range(3):
        along = columns.take(corner[i], axis=1) - columns.take(corner[i - 1], axis=1)
        longest = max(longest, float(np.einsum("in,in->n", along, along).max()))
    return longest


def _classes(squared_reach: np.ndarray) -> list[np.ndarray]:
    """The triangles of about one size, the most first, which share a search tree.

    A large one mustn't widen the search among the small; a few small ones do no harm to the large.
    """
    if squared_reach.max() <= _CLASS_RATIO**2 * squared_reach.min():
        return [np.arange(len(squared_reach))]
    size = np.floor(np.log(np.maximum(squared_reach, 1e-300)) / (2 * np.log(_CLASS_RATIO)))
    classes: list[np.ndarray] = []
    for kind in np.unique(size)[::-1]:
        some = np.flatnonzero(size == kind)
        if classes and len(some) * _FEW < len(classes[-1]):
            classes[-1] = np.sort(np.concatenate([classes[-1], some]))
        else:
            classes.append(some)
    return sorted(classes, key=len, reverse=True)


class _ClosestPoints:
    """Finds the points of a surface that are closest to given points."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self._columns = np.ascontiguousarray(surface.points.T)
        self._table = triangle_table(*(self._columns.take(i, 1) for i in surface.triangles.T))
        reach2 = squared_reach(self._table)
        self._trees = [_Tree(surface, some, reach2[some]) for some in _classes(reach2)]

    def find(self, points: np.ndarray, signed: bool = True) -> np.ndarray:
        """As closest_distances."""
        columns = np.ascontiguousarray(points.T)
        squared = np.full(len(points), np.inf)
        triangle = np.zeros(len(points), np.int64)
        for tree in self._trees:
            tree.improve(self._table, points, columns, squared, triangle)
        way, weights = way_to(self._table, columns, triangle)
        distance = np.sqrt(np.einsum("in,in->n", way, way))
        if signed:
            # Points on the surface itself are neither inside nor outside, and often many.
            off = np.flatnonzero(squared > 0)
            normals = self._pseudonormals(triangle[off], weights[:, off])
            inside = off[np.einsum("in,in->n", way[:, off], normals) < 0]
            distance[inside] = -distance[inside]
        return distance

    def _corner_normals(self, corners: np.ndarray) -> np.ndarray:
        """(3, n): the normals of the triangles around points, weighted by their angles there."""
        points, which = np.unique(corners, return_inverse=True)
        number, found = self._around.expand(points)
        ends = self.surface.triangles[found]
        place = (ends == points[number, None]).argmax(axis=1)
        at = self._columns.take(points[number], axis=1)
        row = np.arange(len(found))
        to_next = self._columns.take(ends[row, (place + 1) % 3], axis=1) - at
        to_last = self._columns.take(ends[row, (place + 2) % 3], axis=1) - at
        normals, double_area = unit_normals(self._table, found)
        normals *= np.arctan2(double_area, np.einsum("in,in->n", to_next, to_last))
        total = [np.bincount(number, weighted, len(points)) for weighted in normals]
        return np.stack(total)[:, which]

    @cached_property
    def _around(self) -> _Fans:
        only = self._trees[0]  # has the fans already where it has all points
        if len(self._trees) == 1 and only.size == len(self.surface.points):
            return only.fans
        return _Fans(self.surface.triangles, len(self.surface.points))

    def _pseudonormals(self, triangle: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(3, n): of the face, edge or corner whose barycentric weights (3, n) aren't 0."""
        normals, _ = unit_normals(self._table, triangle)
        corners = self.surface.triangles[triangle]
        used = weights > 0
        count = used.sum(axis=0)
        at_corner = np.flatnonzero(count == 1)
        if at_corner.size:
            which = used[:, at_corner].argmax(axis=0)
            normals[:, at_corner] = self._corner_normals(corners[at_corner, which])
        on_edge = np.flatnonzero(count == 2)
        if on_edge.size:
            unused = (~used[:, on_edge]).argmax(axis=0)
            ends = corners[on_edge[:, None], (unused[:, None] + [1, 2]) % 3]
            number, found = self._around.expand(ends[:, 0])
            both = (self.surface.triangles[found] == ends[number, 1][:, None]).any(axis=1)
            number, found = number[both], found[both]
            for axis, along in enumerate(unit_normals(self._table, found)[0]):
                normals[axis, on_edge] = np.bincount(number, along, len(on_edge))
        return normals


class _Fans:
    """The triangles around each point."""

    def __init__(self, triangles: np.ndarray, points: int) -> None:
        # Turning a matrix with a row for each triangle takes linear time.
        ends = np.arange(0, triangles.size + 1, 3)
        ones = np.ones(triangles.size, np.int8)
        by_point = csr_array((ones, triangles.ravel(), ends), (len(triangles), points)).tocsc()
        self._triangles = by_point.indices.astype(np.intp)
        self._first = by_point.indptr[:-1].astype(np.intp)
        self._count = np.diff(by_point.indptr).astype(np.intp)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """The largest value (of each triangle) around each point; every point has triangles."""
        return np.maximum.reduceat(values[self._triangles], self._first)

    def expand(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each triangle around each point: the place in `points`, and the triangle."""
        count = self._count[points]
        last = np.cumsum(count)
        place = np.repeat(np.arange(len(points)), count)
        within = np.arange(last[-1] if len(last) else 0) - np.repeat(last - count, count)
        return place, self._triangles[self._first[points][place] + within]


class _Tree:
    """Triangles of about one size, found by their corners."""

    def __init__(self, surface: Surface, members: np.ndarray, reach2: np.ndarray) -> None:
        self._members = members if len(members) < len(surface.triangles) else None
        triangles = surface.triangles[members]
        used = np.zeros(len(surface.points), bool)
        used[triangles] = True
        renumbered = np.cumsum(used) - 1
        self.fans = _Fans(renumbered[triangles], int(renumbered[-1]) + 1)
        self.size = int(renumbered[-1]) + 1
        self._tree = cKDTree(surface.points[used], leafsize=20, balanced_tree=False)
        self._reach2 = self.fans.largest(reach2) * (1 + 1e-12)  # around each corner

    def improve(
        self,
        table: np.ndarray,
        points: np.ndarray,
        columns: np.ndarray,
        squared: np.ndarray,
        triangle: np.ndarray,
    ) -> None:
        """Put in the squared distance and the triangle wherever one here is closer."""
        asked = np.arange(len(points))
        corners = min(_FIRST_CORNERS, self.size)
        most = self._reach2.max()
        looked_at = 0
        while asked.size:
            far, near = self._tree.query(points[asked], k=np.arange(1, corners + 1))
            far *= far
            if looked_at == 0 and not np.isfinite(squared).all():
                self._look(table, columns, asked, near[:, 0], squared, triangle)
                looked_at = 1
            further = far[:, looked_at:] - squared[asked, None]
            matters = further <= self._reach2[near[:, looked_at:]]
            row, column = np.nonzero(matters & (squared[asked, None] > 0))
            column += looked_at
            self._look(table, columns, asked[row], near[row, column], squared, triangle)
            if corners == self.size:
                return
            unproven = far[:, -1] <= squared[asked] * (1 + 1e-12) + most
            asked = asked[unproven & (squared[asked] > 0)]
            looked_at, corners = corners, min(corners * _MORE, self.size)

    def _look(
        self,
        table: np.ndarray,
        columns: np.ndarray,
        point: np.ndarray,
        corner: np.ndarray,
        squared: np.ndarray,
        triangle: np.ndarray,
    ) -> None:
        """Compare points with the triangles around a corner each; point numbers may repeat."""
        place, found = self.fans.expand(corner)
        if not found.size:
            return
        point = point[place]
        if self._members is not None:
            found = self._members[found]
        distance = np.empty(len(found))
        for start in range(0, len(found), _CHUNK):
            part = slice(start, start + _CHUNK)
            distance[part] = squared_distance(
                np.take(table, found[part], axis=1), np.take(columns, point[part], axis=1)
            )
        first = np.flatnonzero(np.diff(point, prepend=-1))
        best = np.minimum.reduceat(distance, first)
        better = best < squared[point[first]]
        squared[point[first]] = np.minimum(best, squared[point[first]])
        runs = np.diff(first, append=len(point))
        hit = (distance == np.repeat(best, runs)) & np.repeat(better, runs)
        triangle[point[hit]] = found[hit]
