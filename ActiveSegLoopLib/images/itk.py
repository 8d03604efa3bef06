"""SimpleITK images to volumes and back."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from ActiveSegLoopLib.errors import ImageError
from ActiveSegLoopLib.images.geometry import Geometry
from ActiveSegLoopLib.images.volume import Volume


def read_header(path: object) -> sitk.ImageFileReader:
    """A reader that knows what a file's header says, and no voxel yet.

    Raises RuntimeError, in SimpleITK's words, when the header can't be read.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def geometry_of(image: sitk.Image | sitk.ImageFileReader, name: object) -> Geometry:
    """The grid of a 3D SimpleITK image; raises ImageError, naming the file, when it has none."""
    try:
        return Geometry(
            image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection()
        )
    except ImageError as error:
        raise ImageError(f"{name} can't be used: {error}") from error


def from_sitk(image: sitk.Image, name: object) -> Volume:
    """The voxels (copied) and grid of a 3D scalar SimpleITK image that was read from a file."""
    return Volume(sitk.GetArrayFromImage(image), geometry_of(image, name))


def to_sitk(volume: Volume) -> sitk.Image:
    """A SimpleITK image with a copy of the voxels; bool becomes uint8."""
    array = volume.array
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(volume.geometry.spacing[::-1])
    image.SetOrigin(volume.geometry.origin)
    image.SetDirection(volume.geometry.direction)
    return image


def resampler(geometry: Geometry, interpolator: int) -> sitk.ResampleImageFilter:
    """SimpleITK's resampling onto a grid."""
    how = sitk.ResampleImageFilter()
    how.SetSize(geometry.shape[::-1])
    how.SetOutputSpacing(geometry.spacing[::-1])
    how.SetOutputOrigin(geometry.origin)
    how.SetOutputDirection(geometry.direction)
    how.SetInterpolator(interpolator)
    return how
