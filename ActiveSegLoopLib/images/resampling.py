"""Images, label maps and masks brought onto another grid."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.grids import (
    apply_weights,
    axis_maps,
    smooth_weights,
    with_spacing,
)
from ActiveSegLoopLib.images.itk import resampler, to_sitk
from ActiveSegLoopLib.images.label_resampling import resample_labels
from ActiveSegLoopLib.images.orientation import from_lps, lps_geometry, to_lps
from ActiveSegLoopLib.images.volume import Volume

__all__ = ["resample_image", "resample_labels", "resample_mask", "with_spacing"]

_EDGE = 1e-3  # voxels by which a position may miss the grid's outer edge


def resample_image(volume: Volume, geometry: Geometry, mode: str = "linear") -> Volume:
    """The image on another grid, as float32.

    mode "linear" interpolates, and averages over a coarser grid's voxels so that nothing aliases;
    "nearest" takes the nearest voxel. Outside the image its border voxels are repeated.
    """
    if mode not in ("linear", "nearest"):
        raise ImageError(f"'{mode}' isn't a way to resample: use 'linear' or 'nearest'.")
    if volume.geometry.difference(geometry) is None:
        return Volume(volume.array.astype(np.float32), geometry)
    source, target = to_lps(volume), lps_geometry(geometry)
    maps = axis_maps(source.geometry, target)
    if maps and mode == "linear":
        array = apply_weights(source.array, [smooth_weights(axis) for axis in maps])
    elif maps:
        picks = [np.clip(_nearest(axis.centers), 0, axis.source - 1) for axis in maps]
        array = source.array[np.ix_(*picks)].astype(np.float32)
    else:
        array = _turned(source, target, mode)
    return from_lps(Volume(array, target), geometry)


def resample_mask(mask: Volume, geometry: Geometry) -> Volume:
    """A boolean mask on another grid: the nearest voxel's value, False outside the mask's grid."""
    if mask.geometry.difference(geometry) is None:
        return Volume(mask.array.astype(bool), geometry)
    source, target = to_lps(mask.with_array(mask.array.astype(bool))), lps_geometry(geometry)
    maps = axis_maps(source.geometry, target)
    if maps:
        array = np.ones(target.shape, bool)
        picks = []
        for number, axis in enumerate(maps):
            outside = (axis.centers < -0.5 - _EDGE) | (axis.centers > axis.source - 0.5 + _EDGE)
            array[(slice(None),) * number + (outside,)] = False
            picks.append(np.clip(_nearest(axis.centers), 0, axis.source - 1))
        array &= source.array[np.ix_(*picks)]
    else:
        image = resampler(target, sitk.sitkNearestNeighbor).Execute(to_sitk(source))
        array = sitk.GetArrayFromImage(image).astype(bool)
    return from_lps(Volume(array, target), geometry)


def _nearest(centers: np.ndarray) -> np.ndarray:
    """The nearest voxel; of two equally near ones always the lower."""
    return np.ceil(centers - 0.5 - 1e-6).astype(int)


def _turned(source: Volume, target: Geometry, mode: str) -> np.ndarray:
    """Onto a grid with other axes: averaged along its own axes first, where that one is coarser."""
    if mode == "linear":
        turn = (
            np.array(source.geometry.direction).reshape(3, 3)[:, ::-1].T
            @ (np.array(target.direction).reshape(3, 3)[:, ::-1])
        )
        # The target's spacing as met along each source axis: squared cosines add up to 1.
        spacing = np.maximum(source.geometry.spacing, (turn**2) @ np.asarray(target.spacing))
        source = resample_image(source, with_spacing(source.geometry, spacing))
    how = resampler(target, sitk.sitkLinear if mode == "linear" else sitk.sitkNearestNeighbor)
    how.SetUseNearestNeighborExtrapolator(True)
    how.SetOutputPixelType(sitk.sitkFloat32)
    return sitk.GetArrayFromImage(how.Execute(to_sitk(source)))
