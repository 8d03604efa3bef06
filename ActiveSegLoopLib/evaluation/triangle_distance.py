"""Distances of points from triangles, one triangle for each point.

A triangle is a column of a table (16, ...): corner a; ab; ac; ab.ab, ab.ac, ac.ac; 1 / (4 area^2),
1 / ab.ab, 1 / ac.ac, 1 / bc.bc. Columns are taken along, so that nothing is computed twice.
"""

from __future__ import annotations

import numpy as np


def triangle_table(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The table (16, m) of triangles with corners (3, m)."""
    ab, ac, bc = b - a, c - a, c - b
    products = [np.einsum("im,im->m", x, y) for x, y in ((ab, ab), (ab, ac), (ac, ac), (bc, bc))]
    area2 = products[0] * products[2] - products[1] ** 2
    # Rounding leaves some 1e-16 of the products where the corners lie on a line.
    flat = area2 <= 1e-13 * products[0] * products[2]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # A triangle without area is its edges, and an edge without length its ends.
        inverse = [np.where(flat, np.nan, 1 / area2)]
        lengths = (products[0], products[2], products[3])
        inverse += [np.where(length > 1e-280, 1 / length, 0.0) for length in lengths]
    return np.ascontiguousarray(np.vstack([a, ab, ac, *products[:3], *inverse]))


def squared_reach(table: np.ndarray) -> np.ndarray:
    """(m,): how far a point in each triangle can be from its nearest corner, squared.

    The radius of the circumcircle; half the longest edge in a triangle with an obtuse angle.
    """
    aa, ab, cc = table[9:12]
    bb = aa + cc - 2 * ab  # squared lengths of ab, ac (cc) and bc (bb)
    longest = np.maximum(np.maximum(aa, bb), cc)
    obtuse = 2 * longest >= aa + bb + cc
    circle = aa * bb * cc * table[12] / 4
    return np.where(obtuse | ~np.isfinite(circle), longest / 4, circle)


def unit_normals(table: np.ndarray, triangle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The normals (3, n) of triangles, 0 of those without area, and twice their areas (n,)."""
    a0, a1, a2, b0, b1, b2 = table[3:9].take(triangle, axis=1)
    normals = np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0])
    double_area = np.sqrt(np.einsum("in,in->n", normals, normals))
    return normals / np.maximum(double_area, 1e-300), double_area


def squared_distance(table: np.ndarray, point: np.ndarray) -> np.ndarray:
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


def way_to(
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
