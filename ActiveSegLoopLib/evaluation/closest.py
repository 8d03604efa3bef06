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
from scipy.spatial import cKDTree

from ActiveSegLoopLib.evaluation.surfaces import Surface

_FIRST_CORNERS = 4  # nearest corners in the first try
_MORE = 4  # times as many in each further one
_CHUNK = 4096  # pairs of point and triangle at once: their numbers stay in the cache
_CLASS_RATIO = 4.0  # of the reaches within one search tree


class ClosestPoints:
    """Finds the points of a surface that are closest to given points; not for empty surfaces."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self._table = _triangle_table(surface)
        reach2 = _squared_reach(self._table)
        size = np.floor(np.log(np.maximum(reach2, 1e-300)) / (2 * np.log(_CLASS_RATIO)))
        # Triangles of a size share a tree: one large one mustn't widen the search among the small.
        kinds = np.unique(size)
        self._trees = [
            _Tree(surface, np.flatnonzero(size == kind), float(reach2[size == kind].max()))
            for kind in kinds[::-1]
        ]

    def find(self, points: np.ndarray, signed: bool = True) -> np.ndarray:
        """Distances (n,) in mm of points (n, 3) LPS; negative inside where signed.

        The sign is that of the angle-weighted pseudonormal (Baerentzen and Aanaes 2005, Signed
        distance computation using the angle weighted pseudonormal); the surface must be closed.
        """
        columns = np.ascontiguousarray(points.T)
        squared = np.full(len(points), np.inf)
        triangle = np.zeros(len(points), np.int64)
        for tree in self._trees:
            tree.improve(self._table, points, columns, squared, triangle)
        way, weights = _way_to(self._table, columns, triangle)
        distance = np.sqrt(np.einsum("in,in->n", way, way))
        if signed:
            outside = np.einsum("in,ni->n", way, self._pseudonormals(triangle, weights)) >= 0
            np.negative(distance, out=distance, where=~outside)
        return distance

    @cached_property
    def _unit_normals(self) -> np.ndarray:
        normals = self.surface.double_area_normals
        return normals / np.maximum(2 * self.surface.areas, 1e-300)[:, None]

    @cached_property
    def _corner_normals(self) -> np.ndarray:
        """Of every point: the normals of its triangles, weighted by their angles at it."""
        corners = self.surface.triangles
        at = self.surface.points[corners]
        total = np.zeros((len(self.surface.points), 3))
        for i in range(3):
            to_next, to_last = at[:, (i + 1) % 3] - at[:, i], at[:, (i + 2) % 3] - at[:, i]
            cosine = np.einsum("ij,ij->i", to_next, to_last)
            angle = np.arctan2(2 * self.surface.areas, cosine)
            for axis in range(3):
                weight = angle * self._unit_normals[:, axis]
                total[:, axis] += np.bincount(corners[:, i], weight, len(total))
        return total

    @cached_property
    def _around(self) -> _Fans:
        return _Fans(self.surface.triangles, len(self.surface.points))

    def _pseudonormals(self, triangle: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(n, 3): of the face, edge or corner whose barycentric weights (3, n) aren't 0."""
        normals = self._unit_normals[triangle]
        corners = self.surface.triangles[triangle]
        used = weights > 0
        count = used.sum(axis=0)
        at_corner = np.flatnonzero(count == 1)
        if at_corner.size:
            which = used[:, at_corner].argmax(axis=0)
            normals[at_corner] = self._corner_normals[corners[at_corner, which]]
        on_edge = np.flatnonzero(count == 2)
        if on_edge.size:
            unused = (~used[:, on_edge]).argmax(axis=0)
            ends = corners[on_edge[:, None], (unused[:, None] + [1, 2]) % 3]
            number, found = self._around.expand(ends[:, 0])
            both = (self.surface.triangles[found] == ends[number, 1][:, None]).any(axis=1)
            number, found = number[both], found[both]
            for axis in range(3):
                normals[on_edge, axis] = np.bincount(
                    number, self._unit_normals[found, axis], len(on_edge)
                )
        return normals


class _Fans:
    """The triangles around each point."""

    def __init__(self, triangles: np.ndarray, points: int) -> None:
        flat = triangles.ravel()
        # A stable sort of 16-bit numbers is linear in NumPy.
        order = np.argsort((flat & 0xFFFF).astype(np.uint16), kind="stable")
        for shift in range(16, max(points - 1, 1).bit_length(), 16):
            digit = ((flat[order] >> shift) & 0xFFFF).astype(np.uint16)
            order = order[np.argsort(digit, kind="stable")]
        self._triangles = order // 3
        self._count = np.bincount(flat, minlength=points)
        self._first = np.cumsum(self._count) - self._count

    def expand(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each triangle around each point: the place in `points`, and the triangle."""
        count = self._count[points]
        last = np.cumsum(count)
        place = np.repeat(np.arange(len(points)), count)
        within = np.arange(last[-1] if len(last) else 0) - np.repeat(last - count, count)
        return place, self._triangles[self._first[points][place] + within]


class _Tree:
    """Triangles of about one size, found by their corners."""

    def __init__(self, surface: Surface, members: np.ndarray, reach2: float) -> None:
        self._reach2 = reach2
        self._members = members if len(members) < len(surface.triangles) else None
        triangles = surface.triangles[members]
        used = np.zeros(len(surface.points), bool)
        used[triangles] = True
        renumbered = np.cumsum(used) - 1
        self._fans = _Fans(renumbered[triangles], int(renumbered[-1]) + 1)
        self._size = int(renumbered[-1]) + 1
        self._tree = cKDTree(surface.points[used], balanced_tree=False, compact_nodes=False)

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
        corners = min(_FIRST_CORNERS, self._size)
        looked_at = 0
        while asked.size:
            far, near = self._tree.query(points[asked], k=np.arange(1, corners + 1))
            far *= far
            if looked_at == 0:
                self._look(table, columns, asked, near[:, 0], squared, triangle)
                looked_at = 1
            limit = (squared[asked] + self._reach2) * (1 + 1e-12)
            row, column = np.nonzero(far[:, looked_at:] <= limit[:, None])
            column += looked_at
            self._look(table, columns, asked[row], near[row, column], squared, triangle)
            if corners == self._size:
                return
            limit = (squared[asked] + self._reach2) * (1 + 1e-12)
            asked = asked[far[:, -1] <= limit]
            looked_at, corners = corners, min(corners * _MORE, self._size)

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
        place, found = self._fans.expand(corner)
        if not found.size:
            return
        point = point[place]
        if self._members is not None:
            found = self._members[found]
        distance = np.empty(len(found))
        for start in range(0, len(found), _CHUNK):
            part = slice(start, start + _CHUNK)
            distance[part] = _squared_distance(
                np.take(table, found[part], axis=1), np.take(columns, point[part], axis=1)
            )
        first = np.flatnonzero(np.diff(point, prepend=-1))
        best = np.minimum.reduceat(distance, first)
        better = best < squared[point[first]]
        squared[point[first]] = np.minimum(best, squared[point[first]])
        runs = np.diff(first, append=len(point))
        hit = (distance == np.repeat(best, runs)) & np.repeat(better, runs)
        triangle[point[hit]] = found[hit]


def _triangle_table(surface: Surface) -> np.ndarray:
    """(16, m): corner a; ab; ac; ab.ab, ab.ac, ac.ac; 1/(4 area^2), 1/ab.ab, 1/ac.ac, 1/bc.bc."""
    a, b, c = (surface.points[surface.triangles[:, i]].T for i in range(3))
    ab, ac, bc = b - a, c - a, c - b
    products = [np.einsum("im,im->m", x, y) for x, y in ((ab, ab), (ab, ac), (ac, ac), (bc, bc))]
    area2 = products[0] * products[2] - products[1] ** 2
    flat = area2 <= 1e-24 * np.maximum(products[0], products[2]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        # A triangle without area is its edges, and an edge without length its ends.
        inverse = [np.where(flat, np.nan, 1 / area2)]
        inverse += [np.where(p > 0, 1 / p, 0.0) for p in (products[0], products[2], products[3])]
    return np.ascontiguousarray(np.vstack([a, ab, ac, *products[:3], *inverse]))


def _squared_reach(table: np.ndarray) -> np.ndarray:
    """(m,): how far a point in each triangle can be from its nearest corner, squared.

    The radius of the circumcircle; half the longest edge in a triangle with an obtuse angle.
    """
    aa, ab, cc = table[9:12]
    bb = aa + cc - 2 * ab  # squared lengths of ab, ac (cc) and bc (bb)
    longest = np.maximum(np.maximum(aa, bb), cc)
    obtuse = 2 * longest >= aa + bb + cc
    circle = aa * bb * cc * table[12] / 4
    return np.where(obtuse | ~np.isfinite(circle), longest / 4, circle)


def _squared_distance(table: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Squared distance of points (3, k) from triangles (16, k), accurate to some 1e-15 of it."""
    ab, ac = table[3:6], table[6:9]
    aa, bb, cc, inverse, over_ab, over_ac, over_bc = table[9:]
    x, y, z = point - table[:3]
    p = ab[0] * x + ab[1] * y + ab[2] * z
    q = ac[0] * x + ac[1] * y + ac[2] * z
    s = (cc * p - bb * q) * inverse
    t = (aa * q - bb * p) * inverse
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    u = np.minimum(np.maximum(p * over_ab, 0), 1)
    gain = u * (u * aa - 2 * p)
    u = np.minimum(np.maximum(q * over_ac, 0), 1)
    np.minimum(gain, u * (u * cc - 2 * q), out=gain)
    from_b = aa - 2 * p
    along = q - p + aa - bb
    u = np.minimum(np.maximum(along * over_bc, 0), 1)
    np.minimum(gain, from_b + u * (u * (aa + cc - 2 * bb) - 2 * along), out=gain)
    np.copyto(gain, -(s * p + t * q), where=inside)
    return np.maximum(x * x + y * y + z * z + gain, 0)


def _way_to(
    table: np.ndarray, columns: np.ndarray, triangle: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The vectors (3, n) from the closest points on triangles, and those points' weights (3, n).

    The weights are barycentric (of a, b, c), exactly 0 away from a corner or edge.
    """
    rows = table[:, triangle]
    ab, ac = rows[3:6], rows[6:9]
    aa, bb, cc, inverse, over_ab, over_ac, over_bc = rows[9:]
    offset = columns - rows[:3]
    p, q = np.einsum("in,in->n", ab, offset), np.einsum("in,in->n", ac, offset)
    s, t = (cc * p - bb * q) * inverse, (aa * q - bb * p) * inverse
    inside = (s >= 0) & (t >= 0) & (s + t <= 1)
    on_ab = np.clip(p * over_ab, 0, 1)
    on_ac = np.clip(q * over_ac, 0, 1)
    along = q - p + aa - bb
    on_bc = np.clip(along * over_bc, 0, 1)
    gains = np.stack([
        on_ab * (on_ab * aa - 2 * p),
        on_ac * (on_ac * cc - 2 * q),
        aa - 2 * p + on_bc * (on_bc * (aa + cc - 2 * bb) - 2 * along),
    ])
    edge = np.where(inside, 3, gains.argmin(axis=0))
    zero = np.zeros_like(p)
    s = np.choose(edge, [on_ab, zero, 1 - on_bc, s])
    t = np.choose(edge, [zero, on_ac, on_bc, t])
    rest = np.choose(edge, [1 - on_ab, 1 - on_ac, zero, np.maximum(1 - s - t, 0)])
    return offset - s * ab - t * ac, np.stack([rest, s, t])
