"""Volumes of the engine and scalar volume nodes of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume
from ActiveSegLoopLib.scene.grids import geometry_from, ras_matrix, require_no_transform

KIND = "vtkMRMLScalarVolumeNode"


def volume_node(volume: Volume, name: str, kind: str = KIND) -> Any:
    """A new volume node with these voxels (copied) on this grid, ready to be shown.

    kind: its class, for example "vtkMRMLLabelMapVolumeNode".
    """
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    set_volume(node, volume)
    node.CreateDefaultDisplayNodes()
    return node


def set_volume(node: Any, volume: Volume) -> None:
    """Give a volume node other voxels and their grid."""
    node.SetAndObserveImageData(image_data(volume.array))
    node.SetIJKToRASMatrix(ras_matrix(volume.geometry))


def image_data(array: np.ndarray) -> vtk.vtkImageData:
    """A copy of an array (z, y, x) as an image of VTK, without a place in the world."""
    image = vtk.vtkImageData()
    fill_image(image, array)
    return image


def fill_image(
    image: vtk.vtkImageData, array: np.ndarray, low: tuple[int, ...] = (0, 0, 0)
) -> None:
    """Copy an array (z, y, x) into an image; `low`: the index (z, y, x) of its first voxel."""
    extent = [edge for n, first in zip(array.shape[::-1], low[::-1])
              for edge in (first, first + n - 1)]
    image.SetExtent(extent)
    array = _storable(array)
    scalars = vtk.vtkDataArray.CreateDataArray(get_vtk_array_type(array.dtype))
    scalars.SetName("ImageScalars")
    scalars.SetNumberOfTuples(array.size)
    # By numpy, which lets go of Python's lock meanwhile: Slicer's window would wait for it.
    vtk_to_numpy(scalars).reshape(array.shape)[...] = array
    image.GetPointData().SetScalars(scalars)


def image_array(image: vtk.vtkImageData) -> np.ndarray:
    """The voxels (z, y, x) of an image, not copied: keep the image while they are used."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def geometry_of(node: Any) -> Geometry:
    """Where a volume node's voxels lie; raises ImageError where that can't be used as it is."""
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetPointData().GetScalars() is None:
        raise ImageError(f"'{name}' has no voxels: load or choose another one.")
    require_no_transform(node)
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return geometry_from(matrix, image.GetDimensions(), name)


def volume_of(node: Any) -> Volume:
    """A volume node's voxels (a copy) and their grid.

    Raises ImageError for a node without voxels, of vectors, under a transform or sheared.
    """
    geometry = geometry_of(node)
    image = node.GetImageData()
    if image.GetNumberOfScalarComponents() != 1:
        raise ImageError(
            f"'{node.GetName()}' has {image.GetNumberOfScalarComponents()} numbers in each voxel: "
            "choose a volume of single ones."
        )
    return Volume(image_array(image).copy(), geometry)


def _storable(array: np.ndarray) -> np.ndarray:
    """The same numbers in a type that Slicer stores."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return array.astype(np.uint8)
    if kind == "f" and size not in (4, 8):
        return array.astype(np.float32 if size < 4 else np.float64)
    if kind in "iu" and size == 8:
        low, high = int(array.min()), int(array.max())
        for smaller in (np.int32, np.uint32):
            if np.iinfo(smaller).min <= low and high <= np.iinfo(smaller).max:
                return array.astype(smaller)
        return array.astype(np.float64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
