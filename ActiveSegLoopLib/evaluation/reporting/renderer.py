"""Shaded pictures of colored surfaces, drawn by numpy alone.

A report is made in processes without a window, on servers without a graphics driver, where OpenGL
may end the process rather than fail. A still picture of some 100,000 triangles takes about a second
this way, and looks the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Where the camera looks to, and what is to the right and up in the picture (LPS directions).
SIDES = {
    "front": ((0, 1, 0), (1, 0, 0), (0, 0, 1)),
    "back": ((0, -1, 0), (-1, 0, 0), (0, 0, 1)),
}
_SAMPLES = 2  # per pixel and direction, averaged
_MOST_FRAGMENTS = 2_000_000  # drawn at a time, to bound the memory
_AMBIENT, _SHINE, _GLOSS = 0.38, 0.16, 24
_BOX_SIZES = np.unique(np.round(1.25 ** np.arange(45)).astype(int))  # pixels, up to 18,000
_EDGE = 1e-9  # rounding, so that no gap shows between neighbors
_SMOOTHED_NORMALS = 3  # rounds; only the light follows them, the surface stays where it is


@dataclass(frozen=True)
class Frame:
    """What a picture shows: its center (LPS mm) and width and height in mm and pixels."""

    center: np.ndarray
    size_mm: tuple[float, float]
    pixels: tuple[int, int]


def frame_around(points: np.ndarray, pixels: int = 480, margin: float = 0.04) -> Frame:
    """A frame that holds all points (n, 3), from the front and the back alike.

    pixels: of the longer side.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    extent = np.maximum(high - low, 1e-3)
    size = np.array([extent[0], extent[2]]) + 2 * margin * extent[[0, 2]].max()
    shape = np.maximum(1, np.round(pixels * size / size.max())).astype(int)
    return Frame((low + high) / 2, (float(size[0]), float(size[1])), (int(shape[0]), int(shape[1])))


def render(
    points: np.ndarray,
    triangles: np.ndarray,
    colors: np.ndarray,
    frame: Frame,
    side: str = "front",
    background: Sequence[float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """Draw a surface without perspective; uint8 (height, width, 3), the first row on top.

    points (n, 3) in LPS mm; triangles (m, 3); colors (n, 3) from 0 to 1, mixed across a triangle.
    The light comes from the camera, and both sides of a triangle are lit.
    """
    toward, right, up = (np.array(v, float) for v in SIDES[side])
    width, height = (n * _SAMPLES for n in frame.pixels)
    scale = width / frame.size_mm[0]
    relative = np.asarray(points, float) - frame.center
    across = relative @ right * scale + width / 2
    down = height / 2 - relative @ up * scale
    depth = -(relative @ toward)  # larger is nearer
    corners = np.stack([across, down, depth], axis=1)[triangles]
    nearest, triangle, weights = _nearest_fragments(corners, width, height)

    picture = np.empty((height * width, 3))
    picture[:] = background
    drawn = np.flatnonzero(np.isfinite(nearest))
    hit = triangles[triangle[drawn]]
    share = weights[drawn][..., None]
    color = (np.asarray(colors, float)[hit] * share).sum(axis=1)
    normals = (_normals(points, triangles)[hit] * share).sum(axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    facing = np.abs(normals @ toward)[:, None]
    lit = color * (_AMBIENT + (1 - _AMBIENT) * facing) + _SHINE * facing**_GLOSS
    picture[drawn] = np.clip(lit, 0, 1)
    shape = (height // _SAMPLES, _SAMPLES, width // _SAMPLES, _SAMPLES, 3)
    return np.round(255 * picture.reshape(shape).mean(axis=(1, 3))).astype(np.uint8)


def _nearest_fragments(
    corners: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per pixel the nearest depth (-inf where nothing is), its triangle and its three weights."""
    nearest = np.full(width * height, -np.inf)
    triangle = np.zeros(width * height, np.int64)
    weights = np.zeros((width * height, 3))
    low = np.floor(corners[..., :2].min(axis=1) - 0.5).astype(int) + 1
    high = np.floor(corners[..., :2].max(axis=1) - 0.5).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, (width - 1, height - 1))
    count = high - low + 1  # of pixel centers that a triangle's box holds
    seen = (count > 0).all(axis=1)
    # Triangles of like size are drawn together, on boxes of the group's size.
    sizes = _BOX_SIZES[np.searchsorted(_BOX_SIZES, np.maximum(count, 1))]
    sizes[~seen] = 0
    for box in np.unique(sizes[seen], axis=0):
        members = np.flatnonzero((sizes == box).all(axis=1))
        step = max(1, _MOST_FRAGMENTS // int(box.prod()))
        rows, columns = np.divmod(np.arange(box.prod()), box[0])
        for start in range(0, len(members), step):
            part = members[start : start + step]
            x = low[part, 0, None] + columns
            y = low[part, 1, None] + rows
            number, pixel, share = _fragments(corners, part, x, y, width, height)
            depth = np.einsum("ij,ij->i", share, corners[number, :, 2])
            nearer = depth > nearest[pixel]
            number, pixel, share, depth = (v[nearer] for v in (number, pixel, share, depth))
            # Of several assignments to one pixel numpy keeps the last: the nearest.
            order = np.argsort(depth, kind="stable")
            pixel = pixel[order]
            nearest[pixel] = depth[order]
            triangle[pixel] = number[order]
            weights[pixel] = share[order]
    return nearest, triangle, weights


def _fragments(
    corners: np.ndarray, part: np.ndarray, x: np.ndarray, y: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which of the pixels (k, pixels) lie in the k triangles `part`.

    Returns for each such fragment the triangle, the pixel's number, and the corners' weights.
    """
    (ax, ay), (bx, by), (cx, cy) = (
        (corners[part, i, 0, None], corners[part, i, 1, None]) for i in range(3)
    )
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    right, below = x + 0.5 - ax, y + 0.5 - ay
    with np.errstate(divide="ignore", invalid="ignore"):
        second = (right * (cy - ay) - below * (cx - ax)) / area
        third = (below * (bx - ax) - right * (by - ay)) / area
        inside = (second >= -_EDGE) & (third >= -_EDGE) & (second + third <= 1 + _EDGE)
    inside &= (x < width) & (y < height)
    second, third = second[inside], third[inside]
    number = part[np.nonzero(inside)[0]]
    share = np.stack([1 - second - third, second, third], axis=1)
    return number, (y * width + x)[inside], share


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals (n, 3) at points, smoothed so that voxels' steps don't hide the shape."""
    a, b, c = (np.asarray(points, float)[triangles[:, i]] for i in range(3))
    of_triangle = np.cross(b - a, c - a)
    for _ in range(1 + _SMOOTHED_NORMALS):
        at_point = np.stack(
            [
                np.bincount(triangles.ravel(), np.repeat(of_triangle[:, i], 3), len(points))
                for i in range(3)
            ],
            axis=1,
        )
        at_point /= np.maximum(np.linalg.norm(at_point, axis=1, keepdims=True), 1e-12)
        of_triangle = at_point[triangles].mean(axis=1)
    return at_point
