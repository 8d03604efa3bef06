"""A grid to paint anatomy on: every structure is evaluated only in the box that it fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

AIR = -1000.0
_LARGEST_REGION = 4_000_000  # voxels evaluated at once; bounds the memory of large structures


@dataclass(frozen=True)
class Pose:
    """How a patient lies in the scanner: size, tilt and a smooth distortion.

    Anatomy coordinates are nominal millimeters in LPS (x to the patient's left, y to the back, z to
    the head; the origin lies in front of the second lumbar vertebra). Each is the scanner's
    coordinate divided by `size` plus a smooth function of the other two.
    """

    size: tuple[float, float, float]  # x, y, z; 1 is the nominal patient
    tilt: tuple[tuple[float, float], ...]  # mm per mm: x by (z, y), y by (z, x), z by (y, x)
    waves: tuple[np.ndarray, ...]  # per coordinate rows of (amplitude mm, k, k, phase)

    @classmethod
    def random(cls, rng: np.random.Generator) -> Pose:
        """A pose within what lying on a table allows; draws from `rng`."""
        overall = rng.uniform(0.94, 1.06)
        low, high = (0.96, 0.94, 0.96), (1.04, 1.08, 1.04)
        size = tuple(float(overall * s) for s in rng.uniform(low, high))
        roll, pitch, yaw = rng.normal(0, [0.045, 0.03, 0.03]).clip(-0.09, 0.09)
        tilt = ((yaw, roll), (pitch, -roll), (-pitch, -yaw))
        waves = []
        for _ in range(3):
            length = rng.uniform(90, 260, size=5)  # mm; long against the organs' details
            angle = rng.uniform(0, 2 * np.pi, size=5)
            amplitude = 1.2 * length / 175
            phase = rng.uniform(0, 2 * np.pi, size=5)
            k = 2 * np.pi / length
            waves.append(np.stack([amplitude, k * np.cos(angle), k * np.sin(angle), phase], axis=1))
        return cls(size, tilt, tuple(waves))

    def shift(self, axis: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """What is added to coordinate `axis` (0 x, 1 y, 2 z), a 2D array over the other two."""
        by_first, by_second = self.tilt[axis]
        total = by_first * first[:, None] + by_second * second[None, :]
        for amplitude, k, m, phase in self.waves[axis]:
            total = total + amplitude * np.cos(k * first[:, None] + m * second[None, :] + phase)
        return total.astype(np.float32)


class Region:
    """A box of a canvas with the anatomy coordinates x, y, z (mm) of its voxels' centers."""

    def __init__(self, canvas: Canvas, slices: tuple[slice, slice, slice]):
        self.canvas = canvas
        self.slices = slices
        zs, ys, xs = (axis[part] for axis, part in zip(canvas.axes, slices))
        at_z, at_y, at_x = slices
        size = canvas.pose.size
        self.x = (xs / size[0])[None, None, :] + canvas.shifts[0][at_z, at_y][:, :, None]
        self.y = (ys / size[1])[None, :, None] + canvas.shifts[1][at_z, at_x][:, None, :]
        self.z = (zs / size[2])[:, None, None] + canvas.shifts[2][at_y, at_x][None, :, :]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y, x; 0 where the box lies outside the grid."""
        return self.x.shape

    def scanner_axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scanner coordinates (mm) along z, y, x, shaped to broadcast; free of the pose."""
        zs, ys, xs = (axis[part] for axis, part in zip(self.canvas.axes, self.slices))
        return zs[:, None, None], ys[None, :, None], xs[None, None, :]

    def paint(self, distance: np.ndarray, hounsfield, strength=1.0) -> None:
        """Blend `hounsfield` in where the signed `distance` (mm, negative inside) says inside.

        A voxel at the edge gets the share that the structure covers of it (partial volume).
        `hounsfield` and `strength` (0..1) are numbers or arrays of the region's shape.
        """
        cover = np.clip(0.5 - distance * (1.0 / self.canvas.voxel), 0, 1)
        if not (np.isscalar(strength) and strength == 1.0):
            cover *= strength
        part = self.canvas.image[self.slices]
        part += cover * (hounsfield - part)

    def label(self, inside: np.ndarray, value: int) -> None:
        """Set the label of the voxels where `inside` is true."""
        self.canvas.labels[self.slices][inside] = value


class Canvas:
    """An image (float32, HU) and its labels (uint8), both z, y, x, that structures are painted on.

    `center` is the scanner coordinate (x, y, z; mm) of the grid's center; spacing is z, y, x in mm.
    """

    def __init__(
        self,
        shape: Sequence[int],
        spacing: Sequence[float],
        center: Sequence[float],
        pose: Pose,
    ):
        self.image = np.full(shape, AIR, dtype=np.float32)
        self.labels = np.zeros(shape, dtype=np.uint8)
        self.spacing = tuple(float(s) for s in spacing)
        self.voxel = float(np.prod(self.spacing) ** (1 / 3))
        self.pose = pose
        self.axes = tuple(
            ((np.arange(n) - (n - 1) / 2) * s + c).astype(np.float32)
            for n, s, c in zip(shape, self.spacing, reversed(tuple(center)))
        )
        zs, ys, xs = self.axes
        self.shifts = (pose.shift(0, zs, ys), pose.shift(1, zs, xs), pose.shift(2, ys, xs))

    def _slices(self, lower: Sequence[float], upper: Sequence[float]) -> tuple[slice, slice, slice]:
        """Indices (z, y, x) that hold the anatomy box from `lower` to `upper` (x, y, z; mm)."""
        slices = [slice(0, n) for n in self.image.shape]
        # The shift of a coordinate depends on the other two: narrow them in turn, twice.
        for axis in (0, 1, 2) * 2:
            others = [slices[i] for i in range(3) if i != 2 - axis]
            shift = self.shifts[axis][others[0], others[1]]
            if shift.size == 0:
                return (slice(0, 0),) * 3
            size, grid = self.pose.size[axis], self.axes[2 - axis]
            first = np.searchsorted(grid, (lower[axis] - shift.max()) * size - self.voxel)
            last = np.searchsorted(grid, (upper[axis] - shift.min()) * size + self.voxel)
            slices[2 - axis] = slice(int(first), int(last))
        return tuple(slices)

    def region(self, lower: Sequence[float], upper: Sequence[float]) -> Region:
        """The part of the grid that holds an anatomy box (x, y, z; mm); it may be empty."""
        return Region(self, self._slices(lower, upper))

    def regions(
        self, lower: Sequence[float] | None = None, upper: Sequence[float] | None = None
    ) -> Iterator[Region]:
        """The same box (or the whole grid) in slabs small enough to evaluate at once."""
        if lower is None or upper is None:
            slices = tuple(slice(0, n) for n in self.image.shape)
        else:
            slices = self._slices(lower, upper)
        at_z, at_y, at_x = slices
        area = max(1, (at_y.stop - at_y.start) * (at_x.stop - at_x.start))
        step = max(1, _LARGEST_REGION // area)
        for start in range(at_z.start, at_z.stop, step):
            yield Region(self, (slice(start, min(start + step, at_z.stop)), at_y, at_x))


class Texture:
    """A smooth random field of unit variance: cubic B-splines over normal noise.

    `cell` is the size of its details in mm. It is fixed to the scanner's coordinates whatever the
    grid, and repeats after 64 cells. Only additions and products, no matrix library, so the values
    don't depend on the number of threads.
    """

    _PERIOD = 64

    def __init__(self, cell: float, rng: np.random.Generator):
        self._cell = cell
        self._values = rng.standard_normal((self._PERIOD,) * 3, dtype=np.float32)

    def over(self, region: Region) -> np.ndarray:
        """The field on a region's voxels, float32 in its shape."""
        field = self._values
        for axis, coordinates in enumerate(region.scanner_axes()):
            at = coordinates.ravel() / self._cell
            index = np.floor(at).astype(int)
            t = (at - index).astype(np.float32)
            weights = (
                (1 - t) ** 3 / 6,
                (3 * t**3 - 6 * t**2 + 4) / 6,
                (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
                t**3 / 6,
            )
            form = [-1 if i == axis else 1 for i in range(3)]
            total = 0
            for tap, weight in enumerate(weights):
                near = np.take(field, index + tap, axis=axis, mode="wrap")
                total = total + near * weight.reshape(form)
            field = total
        # The squared weights of a cubic B-spline average to 151/315 per axis.
        return field / np.float32((151 / 315) ** 1.5)
