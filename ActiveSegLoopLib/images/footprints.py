"""What of a structure falls into each voxel of another grid."""

from __future__ import annotations

from itertools import product

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.grids import AxisMap, apply_weights, axis_maps, with_spacing
from ActiveSegLoopLib.images.itk import resampler, to_sitk
from ActiveSegLoopLib.images.regions import Box
from ActiveSegLoopLib.images.volume import Volume

_SLIVER = 1e-3  # source voxels: less overlap than this isn't any
_TILT = (1e-3, 6e-4, 3.5e-4)  # source voxels along z, y, x


class ScaledFootprints:
    """Footprints on a grid whose axes are those of the source, scaled and shifted.

    Where the target is coarser, its voxel covers several of the source; where it is finer, it
    interpolates linearly for fractions and belongs to the nearest one for touching. Positions are
    moved by an imperceptible tilt, so that of a structure that covers exactly half a voxel on
    either side one side is taken and the other isn't: volumes stay unbiased.
    """

    def __init__(self, maps: tuple[AxisMap, AxisMap, AxisMap]) -> None:
        self.maps = maps
        self._shares = [_shares(axis, tilt) for axis, tilt in zip(maps, _TILT)]
        self._touching = [_touching(axis) for axis in maps]
        # How many voxels of the target a voxel of the coarser grid spans.
        self.reach = tuple(max(1, round(1 / axis.step)) for axis in maps)
        self.refines = all(axis.step <= 1 + 1e-9 for axis in maps)

    def window(self, box: Box) -> Box:
        """The target's voxels that a box of source voxels can reach."""
        lower, upper = [], []
        for axis, low, high in zip(self.maps, box.lower, box.upper):
            reach = max(1.0, axis.step / 2 + 0.5)
            lower.append(int(np.floor((low - reach - axis.start) / axis.step)))
            upper.append(int(np.ceil((high - 1 + reach - axis.start) / axis.step)) + 1)
        return Box(lower, upper).clipped([axis.target for axis in self.maps])

    def fractions(self, mask: np.ndarray, box: Box, window: Box) -> np.ndarray:
        """The share of each target voxel of the window that the mask, given in its box, fills."""
        return apply_weights(mask, _crop(self._shares, box, window))

    def touched(self, mask: np.ndarray, box: Box, window: Box) -> np.ndarray:
        """Whether any of the mask, given in its box, falls into each target voxel."""
        return apply_weights(mask, _crop(self._touching, box, window)) > 0.5

    def voxel_of(self, index: np.ndarray) -> np.ndarray:
        """The target voxels (..., 3) that hold the centers of source voxels; not clipped."""
        starts, steps = np.array([(axis.start, axis.step) for axis in self.maps]).T
        return np.floor((index - starts) / steps + 0.5 + _SLIVER).astype(int)


class TurnedFootprints:
    """Footprints on a grid with other axes: fractions interpolated, touching by dense points."""

    def __init__(self, source: Geometry, target: Geometry) -> None:
        self.source, self.target = source, target
        self._matrix = np.linalg.inv(target.affine()) @ source.affine()  # source to target index
        step = np.linalg.inv(self._matrix)[:3, :3]  # of the target, in source voxels
        self._wide = np.maximum(1, np.linalg.norm(step, axis=1))  # along each source axis
        steps = np.linalg.norm(step, axis=0)
        self.reach = tuple(np.maximum(1, np.rint(1 / steps)).astype(int))
        self.refines = bool(np.all(steps <= 1 + 1e-9))

    def window(self, box: Box) -> Box:
        """The target's voxels that a box of source voxels can reach."""
        ends = np.array(list(product(*zip(np.subtract(box.lower, 1), box.upper))), float)
        ends = self._to_target(ends)
        lower = np.floor(ends.min(axis=0)).astype(int) - 1
        upper = np.ceil(ends.max(axis=0)).astype(int) + 2
        return Box(lower, upper).clipped(self.target.shape)

    def fractions(self, mask: np.ndarray, box: Box, window: Box) -> np.ndarray:
        """The share of each target voxel of the window that the mask, given in its box, fills."""
        padded = np.pad(mask, 1).astype(np.float32)  # fades to nothing around the box
        near = Volume(padded, _part(self.source, box.dilated(1)))
        if any(self._wide > 1):  # averaged along its own axes first, where the target is coarser
            coarse = with_spacing(near.geometry, near.geometry.spacing * self._wide)
            scaled = ScaledFootprints(axis_maps(near.geometry, coarse))
            whole = (Box((0, 0, 0), grid) for grid in (padded.shape, coarse.shape))
            near = Volume(scaled.fractions(padded, *whole), coarse)
        how = resampler(_part(self.target, window), sitk.sitkLinear)
        return sitk.GetArrayFromImage(how.Execute(to_sitk(near)))

    def touched(self, mask: np.ndarray, box: Box, window: Box) -> np.ndarray:
        """Whether any of the mask, given in its box, falls into each target voxel."""
        near = Volume(np.pad(mask, 1), _part(self.source, box.dilated(1)))
        how = resampler(_part(self.target, window), sitk.sitkNearestNeighbor)
        touched = sitk.GetArrayFromImage(how.Execute(to_sitk(near))).astype(bool)
        # Points so dense that neighboring ones, diagonally too, fall into neighboring voxels.
        per_axis = np.ceil(3 * np.abs(self._matrix[:3, :3]).max(axis=0)).astype(int)
        offsets = product(*((np.arange(n) + 0.5) / n - 0.5 for n in per_axis))
        voxels = np.argwhere(mask) + box.lower
        for offset in offsets:
            points = (
                np.rint(self._to_target(voxels + np.asarray(offset))).astype(int) - window.lower
            )
            inside = np.all((points >= 0) & (points < window.shape), axis=1)
            touched[tuple(points[inside].T)] = True
        return touched

    def voxel_of(self, index: np.ndarray) -> np.ndarray:
        """The target voxels (..., 3) that hold the centers of source voxels; not clipped."""
        return np.rint(self._to_target(np.asarray(index, float))).astype(int)

    def _to_target(self, index: np.ndarray) -> np.ndarray:
        return index @ self._matrix[:3, :3].T + self._matrix[:3, 3]


def _shares(axis: AxisMap, tilt: float) -> np.ndarray:
    """Weights (target, source): shares of a coarser voxel, or linear interpolation of a finer."""
    voxels = np.arange(axis.source)
    centers = axis.centers + tilt
    if axis.step > 1 + 1e-9:
        low, high = (centers + side * axis.step / 2 for side in (-1, 1))
        overlap = np.minimum(voxels + 0.5, high[:, None]) - np.maximum(voxels - 0.5, low[:, None])
        return (np.maximum(overlap, 0) / axis.step).astype(np.float32)
    inside = (centers >= -0.5 - 2 * tilt) & (centers <= axis.source - 0.5 + 2 * tilt)
    clipped = np.clip(centers, 0, axis.source - 1)
    weights = np.maximum(1 - np.abs(voxels - clipped[:, None]), 0)
    return (weights * inside[:, None]).astype(np.float32)


def _touching(axis: AxisMap) -> np.ndarray:
    """Ones (target, source) where a coarser voxel overlaps, or a finer one lies nearest."""
    voxels = np.arange(axis.source)
    centers = axis.centers[:, None]
    if axis.step > 1 + 1e-9:
        return (np.abs(voxels - centers) < 0.5 + axis.step / 2 - _SLIVER).astype(np.float32)
    nearest = np.ceil(centers - 0.5 - _SLIVER)
    return (voxels == nearest).astype(np.float32)


def _part(geometry: Geometry, box: Box) -> Geometry:
    return Geometry(
        box.shape, geometry.spacing, geometry.index_to_world(box.lower), geometry.direction
    )


def _crop(matrices: list[np.ndarray], box: Box, window: Box) -> list[np.ndarray]:
    return [
        matrix[rows, columns] for matrix, rows, columns in zip(matrices, window.slices, box.slices)
    ]
