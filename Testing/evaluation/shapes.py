"""Surfaces and label maps whose distances are known, and a slow but simple way to measure any."""

import numpy as np
from scipy.spatial.transform import Rotation

from ActiveSegLoopLib.evaluation.surfaces import Surface
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume

BOX_TRIANGLES = np.array([
    [0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4],
    [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6], [1, 3, 5], [3, 7, 5],
])


def sphere(radius: float, center=(0.0, 0.0, 0.0), splits: int = 4) -> Surface:
    """An octahedron split so often and blown up to a sphere of that radius in mm."""
    points = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
    triangles = np.array([
        [0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5],
    ])
    for _ in range(splits):
        corners = points[triangles]
        middles = (corners + np.roll(corners, -1, axis=1)) / 2  # of ab, bc, ca
        points, number = np.unique(
            np.round(np.concatenate([corners, middles], axis=1).reshape(-1, 3), 12),
            axis=0, return_inverse=True,
        )
        a, b, c, ab, bc, ca = number.reshape(-1, 6).T
        triangles = np.concatenate(
            [np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        )
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    return Surface(radius * points + center, triangles)


def box(size, corner=(0.0, 0.0, 0.0)) -> Surface:
    """A box of 12 triangles with this size (x, y, z) in mm."""
    unit = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
    return Surface(unit[:, ::-1] * np.asarray(size, float) + corner, BOX_TRIANGLES)


def moved(surface: Surface, turn: Rotation, shift=(0.0, 0.0, 0.0)) -> Surface:
    """The surface turned about the origin, then shifted."""
    return Surface(turn.apply(surface.points) + shift, surface.triangles)


def grid(shape, spacing, turn: Rotation | None = None, mirrored: bool = False) -> Geometry:
    """A grid whose axes are turned and, if asked, mirrored."""
    axes = np.eye(3) if turn is None else turn.as_matrix()
    if mirrored:
        axes = axes @ np.diag([-1.0, 1, 1])
    return Geometry(shape, spacing, (12.0, -34.0, 5.6), tuple(axes.ravel()))


def labeled_box(geometry: Geometry, low, high, value: int = 1) -> Volume:
    """A label map with a box of voxels, from low to below high (z, y, x)."""
    array = np.zeros(geometry.shape, np.uint8)
    array[tuple(map(slice, low, high))] = value
    return Volume(array, geometry)


def labeled_ball(geometry: Geometry, center, radius: float) -> Volume:
    """A label map with a ball; center in mm (x, y, z) from the middle of the grid."""
    middle = geometry.index_to_world((np.array(geometry.shape) - 1) / 2)
    world = geometry.index_to_world(np.stack(np.indices(geometry.shape), axis=-1))
    inside = np.linalg.norm(world - middle - center, axis=-1) <= radius
    return Volume(inside.astype(np.uint8), geometry)


def without_lattice(surface: Surface) -> Surface:
    """The same surface, so that nothing but its triangles is known."""
    return Surface(surface.points, surface.triangles)


def brute_force(points: np.ndarray, surface: Surface) -> np.ndarray:
    """Distances (n,) from all triangles one by one, by another method: clipped projections.

    The closest point is the projection onto the plane where that lies inside, else on an edge.
    """
    best = np.full(len(points), np.inf)
    for a, b, c in surface.points[surface.triangles]:
        for start, end in ((a, b), (b, c), (c, a)):
            along = end - start
            length = max(along @ along, 1e-300)
            part = np.clip((points - start) @ along / length, 0, 1)
            best = np.minimum(best, np.linalg.norm(points - start - part[:, None] * along, axis=1))
        normal = np.cross(b - a, c - a)
        if normal @ normal > 0:
            height = (points - a) @ normal / (normal @ normal)
            foot = points - height[:, None] * normal
            sides = [
                np.cross(end - start, foot - start) @ normal
                for start, end in ((a, b), (b, c), (c, a))
            ]
            inside = np.min(sides, axis=0) >= 0
            plane = np.abs(height) * np.linalg.norm(normal)
            best = np.where(inside, np.minimum(best, plane), best)
    return best
